//! BTF types as the script sees them (LANGUAGE §2.5, §2.6).

use super::{Composite, EnumRef, Fields};
use crate::kernel::BtfId;
use crate::types::{Int, Space, Ty};
use btf::{Type, TypeId};

impl Fields<'_> {
    /// The type as the script sees it; [`Ty::None`] for what it cannot use. Pointers point into
    /// `space` unless tagged otherwise.
    pub fn ty(&self, btf: BtfId, id: TypeId, space: Space) -> Ty {
        let types = self.btf(btf);
        let Ok(resolved) = types.resolve(id) else { return Ty::None };
        let home = self.home(btf, resolved);
        match types.ty(resolved) {
            Ok(Type::Void) => Ty::Void,
            Ok(Type::Int { size: 1, encoding, .. }) if encoding.bool => Ty::Bool,
            Ok(Type::Int { size, encoding, .. }) => integer(size, encoding.signed).map_or(Ty::None, Ty::Int),
            Ok(Type::Enum(e)) => {
                let of = EnumRef { btf: home, id: resolved };
                integer(e.size(), e.signed()).map_or(Ty::None, |int| Ty::Enum(int, of))
            }
            Ok(Type::Ptr(to)) => self.pointer(btf, to, space),
            Ok(Type::Array { elem, len, .. }) => self.array(btf, elem, len, space),
            Ok(Type::Struct(_) | Type::Union(_) | Type::Fwd { .. }) => {
                self.composite(home, resolved).map_or(Ty::None, Ty::Struct)
            }
            // What a function is cannot be read; pointers to it are plain addresses.
            Ok(Type::FuncProto(_) | Type::Func { .. }) => Ty::Void,
            Ok(
                Type::Float { .. }
                | Type::Typedef { .. }
                | Type::Volatile(_)
                | Type::Const(_)
                | Type::Restrict(_)
                | Type::TypeTag { .. }
                | Type::Var { .. }
                | Type::DataSec(_)
                | Type::DeclTag { .. },
            )
            | Err(_) => Ty::None,
        }
    }

    fn pointer(&self, btf: BtfId, to: TypeId, space: Space) -> Ty {
        let space = match self.pointee_tag(btf, to) {
            Some("user") => Space::User,
            _ => space,
        };
        // The verifier types pointers to structs with members only; what else a typed pointer leads to
        // is a plain kernel address to it.
        let beyond = if space == Space::Typed { Space::Kernel } else { space };
        let pointee = match self.ty(btf, to, beyond) {
            Ty::None => Ty::Void,
            other => other,
        };
        let space = match pointee {
            Ty::Struct(composite) if !self.is_declaration(composite) => space,
            _ => beyond,
        };
        Ty::Ptr(Box::new(pointee), space)
    }

    /// Whether the struct or union is only declared in its file.
    pub fn is_declaration(&self, composite: Composite) -> bool {
        matches!(self.btf(composite.btf).ty(composite.id), Ok(Type::Fwd { .. }))
    }

    /// The tag of what a pointer points at: `user`, `percpu`, `rcu`.
    fn pointee_tag(&self, btf: BtfId, mut to: TypeId) -> Option<&str> {
        loop {
            match self.btf(btf).ty(to).ok()? {
                Type::TypeTag { name, attribute: false, .. } => return Some(name),
                Type::Const(next) | Type::Volatile(next) | Type::Restrict(next) => to = next,
                _ => return None,
            }
        }
    }

    /// The tag that a pointer type carries, if it is one.
    pub fn pointer_tag(&self, btf: BtfId, id: TypeId) -> Option<&str> {
        let types = self.btf(btf);
        match types.ty(types.resolve(id).ok()?).ok()? {
            Type::Ptr(to) => self.pointee_tag(btf, to),
            _ => None,
        }
    }

    /// Arrays of bytes are strings, of the script only those of `char`, with a byte more for the NUL.
    fn array(&self, btf: BtfId, elem: TypeId, len: u32, space: Space) -> Ty {
        let types = self.btf(btf);
        let byte = types.resolve(elem).and_then(|id| types.ty(id));
        match byte {
            Ok(Type::Int { size: 1, encoding, name, .. }) if !encoding.bool => {
                if btf.is_kernel() {
                    return Ty::String(len);
                }
                // Of a user program only characters make strings: `uint8_t` has another name.
                if len > 0 && btf.user_index().is_some() && self.is_char(btf, elem) {
                    return Ty::String(len);
                }
                if len > 0 && btf == BtfId::SCRIPT && name == "char" {
                    return Ty::String(len + 1);
                }
            }
            _ => {}
        }
        match self.ty(btf, elem, space) {
            Ty::None | Ty::Void => Ty::None,
            elem => Ty::Array(Box::new(elem), len),
        }
    }

    /// The handle of a struct, union, or declaration of one.
    pub(super) fn composite(&self, btf: BtfId, id: TypeId) -> Option<Composite> {
        match self.btf(btf).ty(id).ok()? {
            Type::Struct(c) | Type::Union(c) => Some(Composite { btf, id, size: c.size() }),
            Type::Fwd { .. } => {
                let (id, size) = self.programs.declared(btf, id).unwrap_or((id, 0));
                Some(Composite { btf, id, size })
            }
            _ => None,
        }
    }

    /// Whether the type is a character itself, not a typedef of one.
    fn is_char(&self, btf: BtfId, id: TypeId) -> bool {
        matches!(self.btf(btf).ty(id), Ok(Type::Int { name, .. }) if name.ends_with("char"))
    }
}

fn integer(size: u32, signed: bool) -> Option<Int> {
    match size {
        1 | 2 | 4 | 8 => Some(Int { size: size as u8, signed }),
        // `__int128`: its low half.
        16 => Some(Int { size: 8, signed }),
        _ => None,
    }
}

impl Fields<'_> {
    /// Whether an enum's values are signed.
    pub fn is_signed(&self, of: EnumRef) -> bool {
        matches!(self.btf(of.btf).ty(of.id), Ok(Type::Enum(e)) if e.signed())
    }

    /// Whether an enum has an enumerator with this value.
    pub fn has_value(&self, of: EnumRef, value: u64) -> bool {
        let types = self.btf(of.btf);
        let Ok(Type::Enum(e)) = types.ty(of.id) else { return false };
        let narrow = |value: u64| if e.is_enum64() { value } else { value & u64::from(u32::MAX) };
        e.values().any(|known| narrow(known.value) == narrow(value))
    }
}
