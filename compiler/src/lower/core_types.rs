//! CO-RE relocations, and the local types they start from.
//!
//! Input    accesses in order of use: a root type of the build kernel and the members followed
//! Output   `.BTF` types that hold only the members used, at the build kernel's offsets, and one
//!          relocation per distinct access
//! Requires access strings are settled last: the position of a member in its local type is known
//!          only when every access is
//!
//! What must agree between local and target type is libbpf's `bpf_core_fields_are_compat`: the kind,
//! not the names, except for enums.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use btf::{Btf, Builder, Enumerator, Member, Type, TypeId};
use codegen_bpf::{CoreRelo, RelocKind};
use manifest::TypeOrigin;

use crate::fields::{Composite, EnumRef, Fields};
use crate::kernel::BtfId;

/// What a relocation asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A member: indices of members and array elements below the root.
    Field {
        /// A named struct or union.
        root: Composite,
        /// Steps on the build kernel.
        path: Vec<u32>,
    },
    /// A struct or union as a whole.
    Type(Composite),
    /// A value of an enum.
    Enumerator {
        /// The enum.
        of: EnumRef,
        /// Its name.
        name: String,
        /// Its value on the build kernel.
        value: u64,
    },
}

/// All relocations of an object.
#[derive(Debug, Default)]
pub(crate) struct CoreTypes {
    relos: Vec<(Subject, RelocKind)>,
}

impl CoreTypes {
    /// The relocation's index; equal ones share it.
    pub(crate) fn index(&mut self, subject: Subject, kind: RelocKind) -> u32 {
        let wanted = (subject, kind);
        let known = self.relos.iter().position(|relo| *relo == wanted);
        known.unwrap_or_else(|| {
            self.relos.push(wanted);
            self.relos.len() - 1
        }) as u32
    }

    /// Writes the local types, and the relocations with their access strings.
    pub(crate) fn finish(self, fields: &Fields<'_>, out: &mut Builder) -> (Vec<CoreRelo>, Vec<TypeOrigin>) {
        let mut local = Local { fields, used: BTreeMap::new(), done: BTreeMap::new(), out };
        for (subject, _) in &self.relos {
            if let Subject::Field { root, path } = subject {
                local.walk(*root, path, |local, btf, composite, index| {
                    local.used.entry((btf, composite)).or_default().insert(index);
                });
            }
        }
        let relos = self.relos.iter().map(|(subject, kind)| local.relocation(subject, *kind)).collect();
        (relos, origins(&self.relos, fields))
    }
}

/// Types that are not vmlinux's, by name.
fn origins(relos: &[(Subject, RelocKind)], fields: &Fields<'_>) -> Vec<TypeOrigin> {
    let mut origins = BTreeSet::new();
    for (subject, _) in relos {
        let (btf, id) = match subject {
            Subject::Field { root, .. } | Subject::Type(root) => (root.btf, root.id),
            Subject::Enumerator { of, .. } => (of.btf, of.id),
        };
        if btf != BtfId::VMLINUX {
            origins.insert((name_of(fields.btf(btf), id).to_owned(), fields.file_name(btf).to_owned()));
        }
    }
    origins.into_iter().map(|(name, module)| TypeOrigin { name, module }).collect()
}

fn name_of(btf: &Btf, id: TypeId) -> &str {
    btf.ty(id).map_or("", |ty| ty.name())
}

/// The type without modifiers and typedefs; `void` if the file is broken.
fn resolve(btf: &Btf, id: TypeId) -> (TypeId, Type<'_>) {
    let id = btf.resolve(id).unwrap_or(TypeId::VOID);
    (id, btf.ty(id).unwrap_or(Type::Void))
}

struct Local<'a> {
    fields: &'a Fields<'a>,
    /// Members used of each composite, by index.
    used: BTreeMap<(BtfId, TypeId), BTreeSet<u32>>,
    done: BTreeMap<(BtfId, TypeId), TypeId>,
    out: &'a mut Builder,
}

/// Where a walk along an access path ended.
struct End {
    /// The last type.
    ty: TypeId,
    bit_offset: u64,
    bits: Option<u8>,
    /// Access string in the local types, if they are complete.
    access: String,
}

impl Local<'_> {
    /// Follows `path`, telling `visit` each composite and which of its members is meant.
    fn walk(
        &mut self,
        root: Composite,
        path: &[u32],
        mut visit: impl FnMut(&mut Self, BtfId, TypeId, u32),
    ) -> End {
        let fields = self.fields;
        let btf = fields.btf(root.btf);
        let mut end = End { ty: root.id, bit_offset: 0, bits: None, access: "0".into() };
        for &step in path {
            let (id, ty) = resolve(btf, end.ty);
            if let Type::Array { elem, .. } = ty {
                end.bit_offset += u64::from(step) * btf.size_of(elem).unwrap_or(0) * 8;
                end.ty = elem;
                let _ = write!(end.access, ":{step}");
                continue;
            }
            let member = ty.composite().and_then(|c| c.member(step as usize));
            let member = member.expect("access paths come from the members of this type");
            visit(self, root.btf, id, step);
            let position = self.used.get(&(root.btf, id)).map_or(0, |used| used.range(..step).count());
            let _ = write!(end.access, ":{position}");
            end.bit_offset += u64::from(member.bit_offset);
            end.bits = member.bitfield_bits;
            end.ty = member.ty;
        }
        end
    }

    fn relocation(&mut self, subject: &Subject, kind: RelocKind) -> CoreRelo {
        match subject {
            Subject::Field { root, path } => {
                let end = self.walk(*root, path, |_, _, _, _| {});
                let size = self.fields.btf(root.btf).size_of(end.ty).unwrap_or(0);
                let local_value = field_value(kind, end.bit_offset, end.bits, size);
                CoreRelo { root: self.composite(root.btf, root.id), access: end.access, kind, local_value }
            }
            Subject::Type(root) => {
                let local_value = if kind == RelocKind::TypeSize { i64::from(root.size) } else { 1 };
                CoreRelo { root: self.composite(root.btf, root.id), access: "0".into(), kind, local_value }
            }
            Subject::Enumerator { of, name, value } => {
                let fields = self.fields;
                let btf = fields.btf(of.btf);
                let (id, ty) = resolve(btf, of.id);
                let mut root = self.done.get(&(of.btf, id)).copied();
                if let (None, Type::Enum(e)) = (root, ty) {
                    // All values, so that the position in the local enum is the one in the kernel's.
                    let values: Vec<Enumerator<'_>> = e.values().collect();
                    let added = if e.is_enum64() {
                        self.out.add_enum64(e.name(), e.size(), e.signed(), &values)
                    } else {
                        self.out.add_enum(e.name(), e.size(), e.signed(), &values)
                    };
                    self.done.insert((of.btf, id), added);
                    root = Some(added);
                }
                let position = match ty {
                    Type::Enum(e) => e.values().position(|v| v.name == name).unwrap_or(0),
                    _ => 0,
                };
                let local_value = if kind == RelocKind::EnumvalValue { *value as i64 } else { 1 };
                CoreRelo {
                    root: root.unwrap_or(TypeId::VOID),
                    access: position.to_string(),
                    kind,
                    local_value,
                }
            }
        }
    }

    /// The local type of a composite: its name, its size, the members used.
    fn composite(&mut self, file: BtfId, id: TypeId) -> TypeId {
        let fields = self.fields;
        let (id, ty) = resolve(fields.btf(file), id);
        if let Some(&done) = self.done.get(&(file, id)) {
            return done;
        }
        let Some(composite) = ty.composite() else { return TypeId::VOID };
        let used = self.used.get(&(file, id)).cloned().unwrap_or_default();
        let mut members: Vec<Member<'_>> = Vec::new();
        for index in used {
            let member = composite.member(index as usize).expect("only members that exist are used");
            members.push(Member { ty: self.member_type(file, member.ty), ..member });
        }
        let local = match ty {
            Type::Union(_) => self.out.add_union(composite.name(), composite.size(), &members),
            _ => self.out.add_struct(composite.name(), composite.size(), &members),
        };
        self.done.insert((file, id), local);
        local
    }

    fn member_type(&mut self, file: BtfId, id: TypeId) -> TypeId {
        let fields = self.fields;
        match resolve(fields.btf(file), id).1 {
            Type::Int { name, size, encoding, .. } => self.out.add_int(name, size, encoding),
            Type::Float { name, size } => self.out.add_float(name, size),
            Type::Ptr(_) => self.out.add_ptr(TypeId::VOID),
            Type::Struct(_) | Type::Union(_) => self.composite(file, id),
            Type::Array { elem, len, .. } => {
                let elem = self.member_type(file, elem);
                let index = self.out.add_int("unsigned int", 4, btf::IntEncoding::default());
                self.out.add_array(elem, index, len)
            }
            Type::Enum(e) if e.is_enum64() => self.out.add_enum64(e.name(), e.size(), e.signed(), &[]),
            Type::Enum(e) => self.out.add_enum(e.name(), e.size(), e.signed(), &[]),
            _ => TypeId::VOID,
        }
    }
}

/// What libbpf's `bpf_core_calc_field_relo` gives for the build kernel's field.
fn field_value(kind: RelocKind, bit_offset: u64, bits: Option<u8>, size: u64) -> i64 {
    let size = size.max(1);
    let byte_offset = match bits {
        None => bit_offset / 8,
        Some(_) => bit_offset / 8 / size * size,
    };
    let width = bits.map_or(size * 8, u64::from);
    let value = match kind {
        RelocKind::FieldByteOffset => byte_offset,
        RelocKind::FieldByteSize => size,
        RelocKind::FieldLshiftU64 => 64 - (bit_offset + width - byte_offset * 8),
        RelocKind::FieldRshiftU64 => 64 - width,
        _ => 1,
    };
    value as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_field_values() {
        // 3 bits at bit 37 of a 4-byte unit.
        let value = |kind| field_value(kind, 37, Some(3), 4);
        assert_eq!(value(RelocKind::FieldByteOffset), 4);
        assert_eq!(value(RelocKind::FieldLshiftU64), 56);
        assert_eq!(value(RelocKind::FieldRshiftU64), 61);
    }
}
