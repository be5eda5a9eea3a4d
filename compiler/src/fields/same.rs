//! Whether a struct of a header is the kernel's struct of that name.
//!
//! Ensures  yes only if size, members, their names, places and types agree, those of structs in it included.
//!          What pointers lead to is compared by name.

use super::names::KernelNames;
use crate::expand::c::{CComposite, CIntKind, CType, Preamble};
use crate::syntax::ast::Tag;
use btf::{Type, TypeId};
use std::collections::HashMap;

/// Structs in structs nest no deeper in real kernels.
const DEPTH_MAX: u32 = 32;

/// Compares one preamble with one BTF.
pub(super) struct Same<'a> {
    preamble: &'a Preamble,
    kernel: &'a KernelNames<'a>,
    known: HashMap<(usize, TypeId), bool>,
    depth: u32,
}

impl<'a> Same<'a> {
    pub(super) fn new(preamble: &'a Preamble, kernel: &'a KernelNames<'a>) -> Same<'a> {
        Same { preamble, kernel, known: HashMap::new(), depth: 0 }
    }

    /// Whether the composite of this index is the kernel's of this id.
    pub(super) fn composite(&mut self, index: usize, id: TypeId) -> bool {
        if let Some(&known) = self.known.get(&(index, id)) {
            return known;
        }
        if self.depth >= DEPTH_MAX {
            return false;
        }
        self.depth += 1;
        let same = self.preamble.composites.get(index).is_some_and(|own| self.members(own, id));
        self.depth -= 1;
        self.known.insert((index, id), same);
        same
    }

    fn members(&mut self, own: &CComposite, id: TypeId) -> bool {
        let (base, name) = (self.kernel.base(), own.name.as_ref().map_or("", |name| name.text.as_str()));
        let theirs = match (base.ty(id), own.tag) {
            (Ok(Type::Struct(theirs)), Tag::Struct) | (Ok(Type::Union(theirs)), Tag::Union) => theirs,
            _ => return false,
        };
        theirs.name() == name
            && theirs.size() == own.extent.bytes
            && theirs.len() == own.members.len()
            && own.members.iter().zip(theirs.members()).all(|(a, b)| {
                a.name.as_ref().map_or("", |name| name.text.as_str()) == b.name
                    && a.bit_offset == b.bit_offset
                    && a.bits == b.bitfield_bits
                    && self.ty(&a.ty, b.ty)
            })
    }

    fn ty(&mut self, own: &CType, id: TypeId) -> bool {
        let (preamble, base) = (self.preamble, self.kernel.base());
        let mut own = own;
        // Typedefs refer to earlier ones only.
        while let CType::Typedef(idx) = own {
            match preamble.typedefs.get(idx.0) {
                Some(typedef) => own = &typedef.ty,
                None => return false,
            }
        }
        let Ok(id) = base.resolve(id) else { return false };
        match (own, base.ty(id)) {
            (CType::Void, Ok(Type::Void)) | (CType::Function(_), Ok(Type::FuncProto(_))) => true,
            (CType::Bool, Ok(Type::Int { size: 1, encoding, .. })) => encoding.bool,
            (CType::Int(CIntKind { name: "char", .. }), Ok(Type::Int { size: 1, encoding, name, .. })) => {
                !encoding.bool && name == "char"
            }
            (CType::Int(int), Ok(Type::Int { size, encoding, .. })) => {
                int.bytes == size && int.signed == encoding.signed && !encoding.bool
            }
            (CType::Opaque(extent), Ok(Type::Float { size, .. })) => extent.bytes == size,
            (CType::Enum(idx), Ok(Type::Enum(theirs))) => {
                preamble.enums.get(idx.0).is_some_and(|own| own.bytes == theirs.size())
            }
            (CType::Kernel(name), _) => {
                let typedef = self.kernel.find(None, name);
                typedef.is_some_and(|typedef| base.resolve(typedef) == Ok(id))
            }
            (CType::Tagged(_, name), Ok(theirs)) => theirs.name() == name,
            (CType::Composite(idx), Ok(_)) => self.composite(idx.0, id),
            (CType::Pointer(own), Ok(Type::Ptr(to))) => self.pointee(own, to),
            (CType::Array(own, own_len), Ok(Type::Array { elem, len, .. })) => {
                own_len.unwrap_or(0) == len && self.ty(own, elem)
            }
            _ => false,
        }
    }

    /// Structs that have names are not looked into.
    fn pointee(&mut self, own: &CType, to: TypeId) -> bool {
        let base = self.kernel.base();
        let tag = match own {
            CType::Tagged(_, name) => Some(name),
            CType::Composite(idx) => {
                self.preamble.composites.get(idx.0).and_then(|own| Some(&own.name.as_ref()?.text))
            }
            _ => None,
        };
        match (tag, base.resolve(to).and_then(|id| base.ty(id))) {
            (Some(name), Ok(theirs)) => theirs.name() == name,
            _ => self.ty(own, to),
        }
    }
}
