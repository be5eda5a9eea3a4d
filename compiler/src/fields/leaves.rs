//! What a value of a kernel type consists of, for copying it part by part.
//!
//! Input    a struct, union or array of structs of the build kernel
//! Output   [`Leaf`]s in order: each can be found on another kernel by its path
//! Ensures  leaves cover all members; at most [`LEAVES_MAX`], and a few for what is then left whole

use super::{Composite, Fields};
use crate::kernel::BtfId;
use crate::types::Ty;
use btf::{Type, TypeId};

/// More parts than any struct of the kernel has that one would copy as a whole.
const LEAVES_MAX: usize = 2048;

/// Structs nested deeper than this are given up: only corrupt files have them.
const DEPTH_MAX: usize = 32;

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Steps of the CO-RE access path, below the value's own.
    pub path: Vec<u32>,
    /// Bits from the start of the value, on the build kernel.
    pub bit_offset: u32,
    /// How it is copied.
    pub shape: Shape,
}

/// How a part is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An integer, enum, bool or pointer of at most 8 bytes.
    Scalar {
        /// Bytes on the build kernel.
        bytes: u8,
        /// Sign.
        signed: bool,
    },
    /// A bit-field.
    Bits {
        /// Width on the build kernel.
        width: u8,
        /// Sign.
        signed: bool,
    },
    /// Bytes as they are: an array, or a union, whose members overlap.
    Bytes {
        /// Their number on the build kernel.
        bytes: u32,
        /// Whether the path leads to all of it, so that its size on another kernel can be asked. An
        /// anonymous union has no name to be found by; the path is that of its first member.
        is_whole: bool,
    },
}

impl Fields<'_> {
    /// The parts of a value that is, or holds, a struct of a file; `None` for what has only one layout.
    pub fn leaves(&self, ty: &Ty) -> Option<Vec<Leaf>> {
        let mut walk = Walk { fields: self, leaves: Vec::new() };
        walk.value(ty, &mut Vec::new(), 0)?;
        Some(walk.leaves)
    }
}

struct Walk<'f, 'k> {
    fields: &'f Fields<'k>,
    leaves: Vec<Leaf>,
}

impl Walk<'_, '_> {
    fn value(&mut self, ty: &Ty, path: &mut Vec<u32>, bit_offset: u32) -> Option<()> {
        match ty {
            Ty::Struct(Composite { btf, id, .. }) => self.part(*btf, *id, path, bit_offset),
            Ty::Array(of, len) if self.leaves.len() + (*len as usize) < LEAVES_MAX => {
                for index in 0..*len {
                    path.push(index);
                    let start = index.saturating_mul(of.size()).saturating_mul(8);
                    self.value(of, path, bit_offset.saturating_add(start))?;
                    path.pop();
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn part(&mut self, btf: BtfId, id: TypeId, path: &mut Vec<u32>, bit_offset: u32) {
        let types = self.fields.btf(btf);
        let id = types.resolve(id).unwrap_or(TypeId::VOID);
        let bytes = types.size_of(id).ok().and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(0);
        let scalar = |signed| match bytes {
            1 | 2 | 4 | 8 => Shape::Scalar { bytes: bytes as u8, signed },
            _ => Shape::Bytes { bytes, is_whole: true },
        };
        let has_room = self.leaves.len() < LEAVES_MAX && path.len() < DEPTH_MAX;
        let shape = match types.ty(id) {
            Ok(Type::Struct(_)) if has_room => return self.members(btf, id, path, bit_offset),
            Ok(Type::Array { elem, len, .. }) if has_room && self.is_struct(btf, elem) => {
                return self.elements(btf, elem, len, path, bit_offset);
            }
            Ok(Type::Int { encoding, .. }) => scalar(encoding.signed),
            Ok(Type::Enum(e)) => scalar(e.signed()),
            Ok(Type::Ptr(_)) => scalar(false),
            Ok(_) => Shape::Bytes { bytes, is_whole: true },
            Err(_) => return,
        };
        if bytes > 0 {
            self.leaves.push(Leaf { path: path.clone(), bit_offset, shape });
        }
    }

    fn is_struct(&self, btf: BtfId, id: TypeId) -> bool {
        let types = self.fields.btf(btf);
        matches!(types.resolve(id).and_then(|id| types.ty(id)), Ok(Type::Struct(_)))
    }

    fn elements(&mut self, btf: BtfId, elem: TypeId, len: u32, path: &mut Vec<u32>, bit_offset: u32) {
        let bytes = self.fields.btf(btf).size_of(elem).ok().and_then(|bytes| u32::try_from(bytes).ok());
        let bytes = bytes.unwrap_or(0);
        if self.leaves.len() + len as usize >= LEAVES_MAX {
            let shape = Shape::Bytes { bytes: bytes.saturating_mul(len), is_whole: true };
            self.leaves.push(Leaf { path: path.clone(), bit_offset, shape });
            return;
        }
        for index in 0..len {
            path.push(index);
            let start = index.saturating_mul(bytes).saturating_mul(8);
            self.part(btf, elem, path, bit_offset.saturating_add(start));
            path.pop();
        }
    }

    fn members(&mut self, btf: BtfId, id: TypeId, path: &mut Vec<u32>, bit_offset: u32) {
        let types = self.fields.btf(btf);
        let Some(composite) = types.ty(id).ok().and_then(|ty| ty.composite()) else { return };
        for (index, member) in composite.members().enumerate() {
            path.push(u32::try_from(index).expect("BTF counts members with 16 bits"));
            let (bits, within) = self.fields.bit_field(btf, member);
            let bit_offset = bit_offset.saturating_add(within);
            let resolved = types.resolve(member.ty).unwrap_or(TypeId::VOID);
            match (bits, types.ty(resolved)) {
                (Some(width), ty) => {
                    let signed = match ty {
                        Ok(Type::Int { encoding, .. }) => encoding.signed,
                        Ok(Type::Enum(e)) => e.signed(),
                        _ => false,
                    };
                    if width > 0 && !member.name.is_empty() {
                        let shape = Shape::Bits { width, signed };
                        self.leaves.push(Leaf { path: path.clone(), bit_offset, shape });
                    }
                }
                (None, Ok(Type::Union(union))) if member.name.is_empty() => {
                    self.anonymous_union(btf, resolved, union.size(), path, bit_offset);
                }
                (None, _) => self.part(btf, member.ty, path, bit_offset),
            }
            path.pop();
        }
    }

    /// Copied from where its first named member is.
    fn anonymous_union(&mut self, btf: BtfId, id: TypeId, bytes: u32, path: &mut Vec<u32>, bit_offset: u32) {
        let depth = path.len();
        let mut at = id;
        while path.len() < DEPTH_MAX {
            let types = self.fields.btf(btf);
            let Some(composite) = types.ty(at).ok().and_then(|ty| ty.composite()) else { break };
            let Some(first) = composite.member(0) else { break };
            path.push(0);
            if !first.name.is_empty() {
                let shape = Shape::Bytes { bytes, is_whole: false };
                self.leaves.push(Leaf { path: path.clone(), bit_offset, shape });
                break;
            }
            at = types.resolve(first.ty).unwrap_or(TypeId::VOID);
        }
        path.truncate(depth);
    }
}
