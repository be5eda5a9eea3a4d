//! Members of structs and unions.

use super::{Composite, Fields, Member};
use crate::kernel::BtfId;
use crate::types::{Space, Ty};
use btf::{Type, TypeId};

/// Anonymous members nested deeper than this are given up: only corrupt files have them.
const DEPTH_MAX: usize = 16;

/// Where a walk through anonymous members stands.
struct At {
    id: TypeId,
    path: Vec<u32>,
    bit_offset: u32,
}

impl Fields<'_> {
    /// The member of this name, of the composite itself or of anonymous members in it. Pointers it
    /// holds point into `space`. A composite that is only declared must be completed first.
    pub fn member(&self, composite: Composite, name: &str, space: Space) -> Option<Member> {
        let mut found = None;
        self.walk(composite, &mut |this, at, member| {
            if member.name == name {
                found = Some(this.make(composite.btf, at, member, space));
            }
            found.is_none()
        });
        found
    }

    /// All members in order, those of anonymous members in their place.
    pub fn members(&self, composite: Composite, space: Space) -> Vec<Member> {
        let mut found = Vec::new();
        self.walk(composite, &mut |this, at, member| {
            found.push(this.make(composite.btf, at, member, space));
            true
        });
        found
    }

    /// Names of all members, for suggestions.
    pub fn member_names(&self, composite: Composite) -> Vec<String> {
        let mut names = Vec::new();
        self.walk(composite, &mut |_, _, member| {
            names.push(member.name.to_owned());
            true
        });
        names
    }

    /// Bytes from the start of the composite to a member, on the build kernel.
    pub fn offset_of(&self, member: &Member) -> Option<u32> {
        member.bits.is_none().then_some(member.bit_offset / 8)
    }

    /// Tells `visit` every named member until it returns false.
    fn walk(&self, composite: Composite, visit: &mut dyn FnMut(&Self, &At, btf::Member<'_>) -> bool) {
        let start = At { id: composite.id, path: Vec::new(), bit_offset: 0 };
        self.walk_below(composite.btf, &start, visit);
    }

    fn walk_below(
        &self,
        btf: BtfId,
        at: &At,
        visit: &mut dyn FnMut(&Self, &At, btf::Member<'_>) -> bool,
    ) -> bool {
        let types = self.btf(btf);
        let Some(composite) = types.ty(at.id).ok().and_then(|ty| ty.composite()) else { return true };
        for (index, member) in composite.members().enumerate() {
            let mut path = at.path.clone();
            path.push(u32::try_from(index).expect("BTF counts members with 16 bits"));
            let bit_offset = at.bit_offset.saturating_add(member.bit_offset);
            let goes_on = if member.name.is_empty() {
                let inner = types.resolve(member.ty).unwrap_or(TypeId::VOID);
                path.len() > DEPTH_MAX || self.walk_below(btf, &At { id: inner, path, bit_offset }, visit)
            } else {
                visit(self, &At { id: at.id, path, bit_offset }, member)
            };
            if !goes_on {
                return false;
            }
        }
        true
    }

    fn make(&self, btf: BtfId, at: &At, member: btf::Member<'_>, space: Space) -> Member {
        let ty = self.ty(btf, member.ty, space);
        let (bits, within) = self.bit_field(btf, member);
        let bit_offset = at.bit_offset.saturating_add(within.saturating_sub(member.bit_offset));
        let signed = matches!(ty, Ty::Int(int) | Ty::Enum(int, _) if int.signed);
        Member {
            name: member.name.to_owned(),
            path: at.path.clone(),
            bit_offset,
            bits,
            signed,
            ty,
            id: member.ty,
        }
    }

    /// Width and place of a bit-field within its composite; old files have both in the integer's type.
    pub(super) fn bit_field(&self, btf: BtfId, member: btf::Member<'_>) -> (Option<u8>, u32) {
        if member.bitfield_bits.is_some() {
            return (member.bitfield_bits, member.bit_offset);
        }
        let types = self.btf(btf);
        match types.resolve(member.ty).and_then(|id| types.ty(id)) {
            Ok(Type::Int { size, bits, bit_offset, .. }) if u32::from(bits) != size * 8 && bits != 0 => {
                (Some(bits), member.bit_offset.saturating_add(bit_offset.into()))
            }
            _ => (None, member.bit_offset),
        }
    }
}
