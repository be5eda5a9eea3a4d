//! What the C preamble defines, without layout: sizes need the kernel's types.

use crate::syntax::ast::{Name, Span, Tag};

/// All definitions of a preamble, in the order in which they are completed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preamble {
    /// Structs and unions, anonymous ones included.
    pub composites: Vec<CComposite>,
    /// Enums, anonymous ones included.
    pub enums: Vec<CEnum>,
    /// Typedefs.
    pub typedefs: Vec<CTypedef>,
}

impl Preamble {
    /// The struct or union of that name.
    pub fn composite(&self, tag: Tag, name: &str) -> Option<&CComposite> {
        self.composites.iter().find(|c| c.tag == tag && c.name.as_ref().is_some_and(|n| n.text == name))
    }

    /// The enumerator of that name and its enum.
    pub fn enumerator(&self, name: &str) -> Option<(&CEnum, &CEnumerator)> {
        self.enums.iter().find_map(|e| Some((e, e.values.iter().find(|v| v.name.text == name)?)))
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

/// A struct or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CComposite {
    /// `Struct` or `Union`.
    pub tag: Tag,
    /// Its tag name.
    pub name: Option<Name>,
    /// Its members.
    pub members: Vec<CMember>,
    /// `__attribute__((packed))`.
    pub packed: bool,
    /// `__attribute__((aligned(N)))`, in bytes.
    pub aligned: Option<u32>,
    /// The definition.
    pub span: Span,
}

/// A member of a struct or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CMember {
    /// Absent for anonymous structs and unions and for padding bit-fields.
    pub name: Option<Name>,
    /// Its type.
    pub ty: CType,
    /// Width if it is a bit-field.
    pub bits: Option<u32>,
    /// `__attribute__((packed))` on the member.
    pub packed: bool,
    /// `__attribute__((aligned(N)))` on the member, in bytes.
    pub aligned: Option<u32>,
    /// Where it stands.
    pub span: Span,
}

/// An enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CEnum {
    /// Its tag name.
    pub name: Option<Name>,
    /// Its enumerators.
    pub values: Vec<CEnumerator>,
    /// The definition.
    pub span: Span,
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
    /// `float`, `double`, `long double`, by size in bytes.
    Float(u32),
    /// A typedef name, of the preamble or of the kernel.
    Named(String),
    /// `struct s`, `union u`, `enum e` by name.
    Tagged(Tag, String),
    /// A struct or union without a name.
    Composite(CompositeIdx),
    /// An enum without a name.
    Enum(EnumIdx),
    /// `T *`.
    Pointer(Box<CType>),
    /// `T [N]`; no length for `T []`.
    Array(Box<CType>, Option<u64>),
    /// A function with this result; only ever behind a pointer.
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
