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
    /// A number that says which word of a context an instruction reads: its offset, or its index.
    /// Every loader resolves it to itself; ours moves the read if the word is elsewhere.
    ContextWord(u32),
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
        let mut local =
            Local { fields, used: BTreeMap::new(), done: BTreeMap::new(), origins: BTreeMap::new(), out };
        for (subject, _) in &self.relos {
            if let Subject::Field { root, path } = subject {
                local.walk(*root, path, |local, btf, composite, index| {
                    local.used.entry((btf, composite)).or_default().insert(index);
                });
            }
        }
        let relos = self.relos.iter().map(|(subject, kind)| local.relocation(subject, *kind)).collect();
        (relos, local.origins.into_values().collect())
    }
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
    /// Roots that are not vmlinux's, by local type.
    origins: BTreeMap<TypeId, TypeOrigin>,
    out: &'a mut Builder,
}

/// Where a walk along an access path ended.
struct End {
    /// The last type.
    ty: TypeId,
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
        let mut end = End { ty: root.id, access: "0".into() };
        for &step in path {
            let (id, ty) = resolve(btf, end.ty);
            if let Type::Array { elem, .. } = ty {
                end.ty = elem;
                let _ = write!(end.access, ":{step}");
                continue;
            }
            let member = ty.composite().and_then(|c| c.member(step as usize));
            let member = member.expect("access paths come from the members of this type");
            visit(self, root.btf, id, step);
            let position = self.used.get(&(root.btf, id)).map_or(0, |used| used.range(..step).count());
            let _ = write!(end.access, ":{position}");
            end.ty = member.ty;
        }
        end
    }

    fn relocation(&mut self, subject: &Subject, kind: RelocKind) -> CoreRelo {
        match subject {
            Subject::Field { root, path } => {
                let end = self.walk(*root, path, |_, _, _, _| {});
                let local_value = field_value(kind, place_of(self.fields, *root, path));
                CoreRelo { root: self.root(*root), access: end.access, kind, local_value }
            }
            Subject::Type(root) => {
                let local_value = if kind == RelocKind::TypeSize { i64::from(root.size) } else { 1 };
                CoreRelo { root: self.root(*root), access: "0".into(), kind, local_value }
            }
            Subject::ContextWord(number) => {
                // Element `number` of an array of `char`, which every kernel has, is at that offset.
                let char = btf::IntEncoding { char: true, ..btf::IntEncoding::default() };
                let root = self.out.add_int("char", 1, char);
                CoreRelo { root, access: number.to_string(), kind, local_value: i64::from(*number) }
            }
            Subject::Enumerator { of, name, value } => {
                let (root, position) = self.enumeration(*of, name);
                let local_value = if kind == RelocKind::EnumvalValue { *value as i64 } else { 1 };
                CoreRelo { root, access: position.to_string(), kind, local_value }
            }
        }
    }

    /// The local type a relocation starts from. Where it came from is remembered.
    fn root(&mut self, of: Composite) -> TypeId {
        let local = self.composite(of.btf, of.id);
        self.remember(of.btf, of.id, local);
        local
    }

    fn remember(&mut self, file: BtfId, id: TypeId, local: TypeId) {
        if file != BtfId::VMLINUX {
            let name = name_of(self.fields.btf(file), id).to_owned();
            let module = self.fields.file_name(file).to_owned();
            self.origins.insert(local, TypeOrigin { id: local.0, name, module });
        }
    }

    /// The local type of an enum with all its values, so that positions in it are those in the kernel's;
    /// and the position of one.
    fn enumeration(&mut self, of: EnumRef, name: &str) -> (TypeId, usize) {
        let (id, ty) = resolve(self.fields.btf(of.btf), of.id);
        let Type::Enum(e) = ty else { return (TypeId::VOID, 0) };
        let position = e.values().position(|v| v.name == name).unwrap_or(0);
        if let Some(&done) = self.done.get(&(of.btf, id)) {
            return (done, position);
        }
        let values: Vec<Enumerator<'_>> = e.values().collect();
        let added = match e.is_enum64() {
            true => self.out.add_enum64(e.name(), e.size(), e.signed(), &values),
            false => self.out.add_enum(e.name(), e.size(), e.signed(), &values),
        };
        self.out.keep_apart(added);
        self.done.insert((of.btf, id), added);
        self.remember(of.btf, id, added);
        (added, position)
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
        self.out.keep_apart(local);
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

/// A field of the build kernel.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Bits from its root.
    bit_offset: u64,
    /// Width of a bit-field.
    bits: Option<u8>,
    /// Bytes of its type.
    bytes: u64,
    /// Of a 64-bit enum. The kernel loads no BTF with bit-fields of such (`btf_generic_check_kflag_member`).
    is_wide_enum: bool,
}

fn place_of(fields: &Fields<'_>, root: Composite, path: &[u32]) -> Place {
    let btf = fields.btf(root.btf);
    let (mut at, mut place) = (root.id, Place { bit_offset: 0, bits: None, bytes: 0, is_wide_enum: false });
    for &step in path {
        let ty = resolve(btf, at).1;
        if let Type::Array { elem, .. } = ty {
            place.bit_offset += u64::from(step) * btf.size_of(elem).unwrap_or(0) * 8;
            (at, place.bits) = (elem, None);
        } else if let Some(member) = ty.composite().and_then(|c| c.member(step as usize)) {
            place.bit_offset += u64::from(member.bit_offset);
            (at, place.bits) = (member.ty, member.bitfield_bits);
        }
    }
    place.bytes = btf.size_of(at).unwrap_or(0).max(1);
    place.is_wide_enum = matches!(resolve(btf, at).1, Type::Enum(e) if e.is_enum64());
    place
}

/// Offset and size of the word that a relocation reads a field by: what its type has, or the double
/// of that until the field is in it. `None` if 8 bytes are not enough. libbpf's
/// `bpf_core_calc_field_relo`.
fn word(place: Place) -> Option<(u64, u64)> {
    let Some(width) = place.bits else { return Some((place.bit_offset / 8, place.bytes)) };
    if place.is_wide_enum {
        return None;
    }
    let mut bytes = place.bytes;
    loop {
        let start = place.bit_offset / 8 / bytes * bytes;
        if place.bit_offset + u64::from(width) <= (start + bytes) * 8 {
            return Some((start, bytes));
        }
        bytes = if bytes >= 8 { return None } else { bytes * 2 };
    }
}

/// Bytes of the word that a bit-field is read by, if there is one.
pub(crate) fn word_of(fields: &Fields<'_>, root: Composite, path: &[u32]) -> Option<u8> {
    word(place_of(fields, root, path)).and_then(|(_, bytes)| u8::try_from(bytes).ok())
}

/// Whether the word that a bit-field is read by holds nothing but bit-fields: of other words the verifier
/// lets typed loads take only members (`btf_struct_walk`).
pub(crate) fn is_word_of_bits(fields: &Fields<'_>, root: Composite, path: &[u32]) -> bool {
    let Some(((start, bytes), (last, around))) = word(place_of(fields, root, path)).zip(path.split_last())
    else {
        return false;
    };
    let btf = fields.btf(root.btf);
    let end = around.iter().fold(root.id, |at, &step| match resolve(btf, at).1 {
        Type::Array { elem, .. } => elem,
        ty => ty.composite().and_then(|c| c.member(step as usize)).map_or(TypeId::VOID, |member| member.ty),
    });
    let Some(composite) = resolve(btf, end).1.composite() else { return false };
    let from = place_of(fields, root, path).bit_offset
        - composite.member(*last as usize).map_or(0, |member| u64::from(member.bit_offset));
    composite.members().filter(|member| member.bitfield_bits.is_none()).all(|member| {
        let at = (from + u64::from(member.bit_offset)) / 8;
        at + btf.size_of(member.ty).unwrap_or(0) <= start || at >= start + bytes
    })
}

/// What libbpf gives for the build kernel's field.
fn field_value(kind: RelocKind, place: Place) -> i64 {
    // Nothing asks about a field that has no word.
    let (start, bytes) = word(place).unwrap_or((place.bit_offset / 8, 8));
    let width = place.bits.map_or(bytes * 8, u64::from);
    let value = match kind {
        RelocKind::FieldByteOffset => start,
        RelocKind::FieldByteSize => bytes,
        RelocKind::FieldLshiftU64 => (64 + start * 8).saturating_sub(place.bit_offset + width),
        RelocKind::FieldRshiftU64 => 64u64.saturating_sub(width),
        _ => 1,
    };
    value as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;

    /// A struct `twin` of two words in vmlinux and in two modules.
    fn twins() -> Kernel {
        let add = |b: &mut Builder| {
            let long = b.add_int("long", 8, btf::IntEncoding { signed: true, ..Default::default() });
            let word = |name, bit_offset| Member { name, ty: long, bit_offset, bitfield_bits: None };
            b.add_struct("twin", 16, &[word("a", 0), word("b", 64)]);
        };
        let mut base = Builder::new();
        add(&mut base);
        let base = base.finish().expect("small");
        let vmlinux = std::sync::Arc::new(Btf::from_vec(base.clone()).expect("just written"));
        let module = |name: &str| {
            let mut b = Builder::split(vmlinux.clone());
            add(&mut b);
            (name.to_owned(), b.finish().expect("small"))
        };
        Kernel::from_bytes(base, vec![module("m"), module("n")]).expect("just written")
    }

    #[test]
    fn types_of_one_name_keep_their_origins() {
        let kernel = twins();
        let fields = Fields::new(&kernel, None);
        let mut core = CoreTypes::default();
        let files = [Some(BtfId::VMLINUX), kernel.find("m").expect("good"), kernel.find("n").expect("good")];
        for file in files.into_iter().flatten() {
            let id = kernel.btf(file).find("twin", btf::Kind::Struct).next().expect("each has it");
            let root = Composite { btf: file, id, size: 16 };
            core.index(Subject::Field { root, path: vec![1] }, RelocKind::FieldByteOffset);
        }
        let mut out = Builder::new();
        let (relos, origins) = core.finish(&fields, &mut out);
        let [v, m, n] = [0, 1, 2].map(|at: usize| relos[at].root);
        assert!(v != m && m != n && v != n);
        let origin =
            |id: TypeId, module: &str| TypeOrigin { id: id.0, name: "twin".into(), module: module.into() };
        assert_eq!(origins, [origin(m, "m"), origin(n, "n")]);
    }

    #[test]
    fn bit_field_values() {
        let check = |bit_offset, width, bytes, expected: [i64; 4]| {
            let place = Place { bit_offset, bits: Some(width), bytes, is_wide_enum: false };
            let kinds = [
                RelocKind::FieldByteOffset,
                RelocKind::FieldByteSize,
                RelocKind::FieldLshiftU64,
                RelocKind::FieldRshiftU64,
            ];
            assert_eq!(kinds.map(|kind| field_value(kind, place)), expected);
        };
        // 3 bits at bit 37 of a 4-byte unit.
        check(37, 3, 4, [4, 4, 56, 61]);
        // In a packed struct 7 bits may cross into the next unit.
        check(30, 7, 4, [0, 8, 27, 57]);
        let far = Place { bit_offset: 62, bits: Some(7), bytes: 4, is_wide_enum: false };
        assert!(word(far).is_none());
    }
}
