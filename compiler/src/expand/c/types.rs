//! What the C preamble defines, with the layout of the System V ABI of 64-bit machines.

use std::collections::BTreeMap;

use crate::diag::Diag;
use crate::syntax::ast::{Name, Span, Tag};

/// All definitions of a preamble and its headers, in the order in which they are completed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preamble {
    /// Structs and unions, anonymous ones included.
    pub composites: Vec<CComposite>,
    /// Enums, anonymous ones included.
    pub enums: Vec<CEnum>,
    /// Typedefs.
    pub typedefs: Vec<CTypedef>,
    /// Why a name that a header declares cannot be used. An error only if the script uses it.
    pub unreadable: BTreeMap<String, Diag>,
    /// Structs, unions and enums by name.
    pub(super) tags: BTreeMap<(Tag, String), TagIdx>,
}

/// What a tag stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagIdx {
    /// A struct or union.
    Composite(CompositeIdx),
    /// An enum.
    Enum(EnumIdx),
}

impl Preamble {
    /// The struct, union or enum of that name.
    pub fn tagged(&self, tag: Tag, name: &str) -> Option<TagIdx> {
        self.tags.get(&(tag, name.to_owned())).copied()
    }

    /// Whether nothing is defined.
    pub fn is_empty(&self) -> bool {
        self.composites.is_empty() && self.enums.is_empty() && self.typedefs.is_empty()
    }
}

/// Index into `Preamble::composites`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompositeIdx(pub usize);

/// Index into `Preamble::enums`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnumIdx(pub usize);

/// Index into `Preamble::typedefs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypedefIdx(pub usize);

/// A struct or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CComposite {
    /// `Struct` or `Union`.
    pub tag: Tag,
    /// Its tag name.
    pub name: Option<Name>,
    /// Its members, without padding.
    pub members: Vec<CMember>,
    /// Size and alignment.
    pub extent: Extent,
    /// A header defines it, not the script.
    pub in_header: bool,
    /// The definition.
    pub span: Span,
}

/// Size and alignment of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Size in bytes.
    pub bytes: u32,
    /// Alignment in bytes, a power of two.
    pub align: u32,
}

/// A member of a struct or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CMember {
    /// Absent for anonymous structs and unions.
    pub name: Option<Name>,
    /// Its type.
    pub ty: CType,
    /// Where it starts.
    pub bit_offset: u32,
    /// Width if it is a bit-field.
    pub bits: Option<u8>,
}

/// An enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CEnum {
    /// Its tag name.
    pub name: Option<Name>,
    /// Its enumerators.
    pub values: Vec<CEnumerator>,
    /// Size in bytes.
    pub bytes: u32,
    /// Whether a value is negative.
    pub signed: bool,
    /// A header defines it, not the script.
    pub in_header: bool,
}

/// One value of an enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CEnumerator {
    /// Its name.
    pub name: Name,
    /// Its value; every value fits in an `i64` or a `u64`.
    pub value: i128,
}

/// `typedef T name;`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CTypedef {
    /// The new name.
    pub name: Name,
    /// What it stands for.
    pub ty: CType,
    /// Size and alignment where they are known at the definition.
    pub(super) extent: Option<Extent>,
    /// The struct or union it stands for if that was only declared at the definition.
    pub(super) declared: Option<(Tag, String)>,
    /// Pointers, arrays and typedefs on the way to what is none of these.
    pub(super) depth: u32,
}

/// A type in a declaration; `const` and its kind are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CType {
    /// `void`.
    Void,
    /// `_Bool`.
    Bool,
    /// A C integer type.
    Int(CIntKind),
    /// A floating-point number, a vector or what else has only a size.
    Opaque(Extent),
    /// A typedef of the preamble.
    Typedef(TypedefIdx),
    /// A typedef of the kernel.
    Kernel(String),
    /// `struct s`, `union u`, `enum e` that is not defined before its use: behind a pointer the preamble may
    /// define it later, else it is the kernel's.
    Tagged(Tag, String),
    /// A struct or union.
    Composite(CompositeIdx),
    /// An enum.
    Enum(EnumIdx),
    /// `T *`.
    Pointer(Box<CType>),
    /// `T [N]`; no length for `T []`.
    Array(Box<CType>, Option<u32>),
    /// A function with this result; only ever behind a pointer or typedef.
    Function(Box<CType>),
}

/// The integer types of C on a 64-bit Linux target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CIntKind {
    /// Spelled as in BTF: `char`, `unsigned int`, `long long int`.
    pub name: &'static str,
    /// Size in bytes.
    pub bytes: u32,
    /// Whether values can be negative. Plain `char` is signed.
    pub signed: bool,
}

impl CIntKind {
    /// The type of this size that is not plain `char`.
    pub(super) fn sized(bytes: u32, signed: bool) -> Option<CIntKind> {
        let name = match (bytes, signed) {
            (1, true) => "signed char",
            (1, false) => "unsigned char",
            (2, true) => "short int",
            (2, false) => "short unsigned int",
            (4, true) => "int",
            (4, false) => "unsigned int",
            (8, true) => "long int",
            (8, false) => "long unsigned int",
            (16, true) => "__int128",
            (16, false) => "__int128 unsigned",
            _ => return None,
        };
        Some(CIntKind { name, bytes, signed })
    }
}
