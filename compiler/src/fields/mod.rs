//! The field analyser: from names to types and offsets.
//!
//! Input    the kernel description, the C definitions of the script
//! Output   [`Composite`]s by name, their [`Member`]s, [`Ty`]s of BTF types
//! Ensures  modules are read only when a name leads there; one look-up per name
//! Breaks   nothing: handles stay valid for the life of the kernel description

use crate::kernel::BtfId;
use crate::types::Ty;
use btf::TypeId;

/// A struct or union of the kernel or, under [`BtfId::SCRIPT`], of the script's preamble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Composite {
    /// The file that defines it.
    pub btf: BtfId,
    /// Its type there.
    pub id: TypeId,
    /// Bytes on the build kernel.
    pub size: u32,
}

/// An enum of the kernel or the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnumRef {
    /// The file that defines it.
    pub btf: BtfId,
    /// Its type there.
    pub id: TypeId,
}

/// A member of a [`Composite`], possibly inside anonymous structs and unions of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Index of the member, preceded by those of the anonymous members around it: the steps of a
    /// CO-RE access string below the root's `0`.
    pub path: Vec<u32>,
    /// Bits from the start of the composite, on the build kernel.
    pub bit_offset: u32,
    /// Width of a bit-field.
    pub bits: Option<u8>,
    /// Whether a bit-field's highest bit is its sign.
    pub signed: bool,
    /// Type as the script sees it; [`Ty::None`] if the script cannot use it (floats).
    pub ty: Ty,
    /// Declared type in the composite's file.
    pub id: TypeId,
}
