//! The kinds of BTF types.
//!
//! Output   [`Type`], one variant per kind; kinds with a list behind them hold a view of `view.rs`
//! Ensures  both widths of enum are one variant: readers need not care
//!
//! Layouts: kernel `Documentation/bpf/btf.rst`, section 2.2 "Type Encoding".

use std::fmt;

use crate::{Composite, DataSec, Enum, FuncProto};

/// Number of a type. 0 is `void`; a split BTF's own types follow those of its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`, which no file contains.
    pub const VOID: Self = Self(0);
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Offset of a string in the string section. A split BTF's strings follow those of its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StrOff(pub u32);

impl fmt::Display for StrOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Kind number of a type, `BTF_KIND_*` in `include/uapi/linux/btf.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the variants are the kernel's names")]
pub enum Kind {
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    DataSec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
}

impl Kind {
    const ALL: [Self; 19] = [
        Self::Int,
        Self::Ptr,
        Self::Array,
        Self::Struct,
        Self::Union,
        Self::Enum,
        Self::Fwd,
        Self::Typedef,
        Self::Volatile,
        Self::Const,
        Self::Restrict,
        Self::Func,
        Self::FuncProto,
        Self::Var,
        Self::DataSec,
        Self::Float,
        Self::DeclTag,
        Self::TypeTag,
        Self::Enum64,
    ];

    /// The kind with this number, or `None` for 0 and numbers from the future.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The kind's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Ptr => "pointer",
            Self::Array => "array",
            Self::Struct => "struct",
            Self::Union => "union",
            Self::Enum => "enum",
            Self::Fwd => "forward declaration",
            Self::Typedef => "typedef",
            Self::Volatile => "volatile",
            Self::Const => "const",
            Self::Restrict => "restrict",
            Self::Func => "function",
            Self::FuncProto => "function prototype",
            Self::Var => "variable",
            Self::DataSec => "data section",
            Self::Float => "float",
            Self::DeclTag => "declaration tag",
            Self::TypeTag => "type tag",
            Self::Enum64 => "enum64",
        }
    }
}

/// A set of kinds, the filter of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindSet(u32);

impl KindSet {
    /// Every kind.
    pub const ALL: Self = Self(u32::MAX);
    /// `struct` and `union`.
    pub const COMPOSITE: Self = Self::of(&[Kind::Struct, Kind::Union]);
    /// Enums of either width.
    pub const ENUM: Self = Self::of(&[Kind::Enum, Kind::Enum64]);

    /// The set of these kinds.
    pub const fn of(kinds: &[Kind]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < kinds.len() {
            bits |= 1 << kinds[i] as u32;
            i += 1;
        }
        Self(bits)
    }

    /// Whether `kind` is in the set.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }
}

impl From<Kind> for KindSet {
    fn from(kind: Kind) -> Self {
        Self::of(&[kind])
    }
}

/// How the bits of an integer are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntEncoding {
    /// Two's complement.
    pub signed: bool,
    /// Prints as a character.
    pub char: bool,
    /// C's `_Bool`.
    pub bool: bool,
}

/// Who may see a function or variable. Both use the same numbers in BTF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linkage {
    /// Local to its object.
    Static = 0,
    /// Defined here, visible to others.
    Global = 1,
    /// Defined elsewhere.
    Extern = 2,
}

impl Linkage {
    /// The linkage with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Static),
            1 => Some(Self::Global),
            2 => Some(Self::Extern),
            _ => None,
        }
    }
}

/// One type. Names borrow the string section; an anonymous type's name is `""`.
#[derive(Debug, Clone, Copy)]
pub enum Type<'a> {
    /// Id 0.
    Void,
    /// Integer, character or boolean.
    Int {
        /// C name, e.g. `unsigned int`.
        name: &'a str,
        /// Size in bytes.
        size: u32,
        /// Sign and use.
        encoding: IntEncoding,
        /// First bit of the value; non-zero only in bit-fields of old files.
        bit_offset: u8,
        /// Width in bits; smaller than the size only in bit-fields of old files.
        bits: u8,
    },
    /// Pointer to the type.
    Ptr(TypeId),
    /// `elem name[len]`; `len` is 0 for a flexible array member.
    Array {
        /// Type of the elements.
        elem: TypeId,
        /// Type of the subscript, of no use in C.
        index: TypeId,
        /// Number of elements.
        len: u32,
    },
    /// `struct`.
    Struct(Composite<'a>),
    /// `union`.
    Union(Composite<'a>),
    /// `enum` of 32 bits or fewer, or of 64.
    Enum(Enum<'a>),
    /// `struct name;` or `union name;`.
    Fwd {
        /// Tag without the keyword.
        name: &'a str,
        /// Declares a union, not a struct.
        is_union: bool,
    },
    /// `typedef ty name`.
    Typedef {
        /// New name.
        name: &'a str,
        /// What it stands for.
        ty: TypeId,
    },
    /// `volatile ty`.
    Volatile(TypeId),
    /// `const ty`.
    Const(TypeId),
    /// `restrict ty`.
    Restrict(TypeId),
    /// `__attribute__((btf_type_tag("name")))`, e.g. `user`, `percpu`, `rcu`.
    TypeTag {
        /// Text of the tag.
        name: &'a str,
        /// Type it is attached to.
        ty: TypeId,
        /// The text is a whole attribute, not a BTF tag (`kind_flag`).
        attribute: bool,
    },
    /// Function.
    Func {
        /// Symbol name.
        name: &'a str,
        /// Its [`Type::FuncProto`].
        proto: TypeId,
        /// Visibility.
        linkage: Linkage,
    },
    /// Return type and parameters.
    FuncProto(FuncProto<'a>),
    /// Variable.
    Var {
        /// Symbol name.
        name: &'a str,
        /// Its type.
        ty: TypeId,
        /// Visibility.
        linkage: Linkage,
    },
    /// An ELF section's variables or functions.
    DataSec(DataSec<'a>),
    /// Floating-point number.
    Float {
        /// C name.
        name: &'a str,
        /// Size in bytes.
        size: u32,
    },
    /// `__attribute__((btf_decl_tag("name")))`.
    DeclTag {
        /// Text of the tag.
        name: &'a str,
        /// What is tagged.
        ty: TypeId,
        /// Member or parameter tagged; `None` for the whole of `ty`.
        component_idx: Option<u32>,
        /// The text is a whole attribute, not a BTF tag (`kind_flag`).
        attribute: bool,
    },
}

impl<'a> Type<'a> {
    /// The type's own name; `""` for kinds that have none.
    pub fn name(&self) -> &'a str {
        match *self {
            Type::Int { name, .. }
            | Type::Fwd { name, .. }
            | Type::Typedef { name, .. }
            | Type::TypeTag { name, .. }
            | Type::Func { name, .. }
            | Type::Var { name, .. }
            | Type::Float { name, .. }
            | Type::DeclTag { name, .. } => name,
            Type::Struct(c) | Type::Union(c) => c.name(),
            Type::Enum(e) => e.name(),
            Type::DataSec(d) => d.name(),
            Type::Void
            | Type::Ptr(_)
            | Type::Array { .. }
            | Type::Volatile(_)
            | Type::Const(_)
            | Type::Restrict(_)
            | Type::FuncProto(_) => "",
        }
    }

    /// The kind; `None` for `void`. [`Type::Enum`] tells 32 from 64 bits by how it is stored.
    pub fn kind(&self) -> Option<Kind> {
        Some(match self {
            Type::Void => return None,
            Type::Int { .. } => Kind::Int,
            Type::Ptr(_) => Kind::Ptr,
            Type::Array { .. } => Kind::Array,
            Type::Struct(_) => Kind::Struct,
            Type::Union(_) => Kind::Union,
            Type::Enum(e) if e.is_enum64() => Kind::Enum64,
            Type::Enum(_) => Kind::Enum,
            Type::Fwd { .. } => Kind::Fwd,
            Type::Typedef { .. } => Kind::Typedef,
            Type::Volatile(_) => Kind::Volatile,
            Type::Const(_) => Kind::Const,
            Type::Restrict(_) => Kind::Restrict,
            Type::TypeTag { .. } => Kind::TypeTag,
            Type::Func { .. } => Kind::Func,
            Type::FuncProto(_) => Kind::FuncProto,
            Type::Var { .. } => Kind::Var,
            Type::DataSec(_) => Kind::DataSec,
            Type::Float { .. } => Kind::Float,
            Type::DeclTag { .. } => Kind::DeclTag,
        })
    }

    /// The struct or union, if it is one.
    pub fn composite(&self) -> Option<Composite<'a>> {
        match *self {
            Type::Struct(c) | Type::Union(c) => Some(c),
            _ => None,
        }
    }
}
