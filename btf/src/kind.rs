//! The kinds of BTF types, as views that borrow the file.
//!
//! Input    records whose length, names and ids `read.rs` has checked
//! Output   [`Type`] and one view per kind with a list behind it
//! Ensures  iterating a view never fails and never allocates
//!
//! Layouts: kernel `Documentation/bpf/btf.rst`, section 2.2 "Type Encoding".

use std::fmt;

use crate::Btf;

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

fn word<const N: usize>(record: &[u8; N], index: usize) -> u32 {
    record.as_chunks::<4>().0.get(index).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// A struct or union.
#[derive(Clone, Copy)]
pub struct Composite<'a> {
    pub(crate) btf: &'a Btf,
    pub(crate) name: &'a str,
    pub(crate) size: u32,
    pub(crate) records: &'a [[u8; 12]],
    pub(crate) kind_flag: bool,
}

/// A member of a struct or union.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// `""` for an anonymous struct or union inside.
    pub name: &'a str,
    /// Declared type.
    pub ty: TypeId,
    /// Distance from the start of the composite.
    pub bit_offset: u32,
    /// Width of a bit-field, `None` for an ordinary member.
    pub bitfield_bits: Option<u8>,
}

impl<'a> Composite<'a> {
    /// Tag without the keyword; `""` when anonymous.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Size in bytes.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The member at `index`, in declaration order.
    pub fn member(&self, index: usize) -> Option<Member<'a>> {
        self.records.get(index).map(|record| self.decode(record))
    }

    /// All members in declaration order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'a>> + Clone + use<'a> {
        let this = *self;
        self.records.iter().map(move |record| this.decode(record))
    }

    /// With `kind_flag` the offset word holds the bit-field width in its top byte
    /// (`BTF_MEMBER_BITFIELD_SIZE`); without it, all 32 bits are the offset.
    fn decode(&self, record: &[u8; 12]) -> Member<'a> {
        let offset = word(record, 2);
        let (bit_offset, width) =
            if self.kind_flag { (offset & 0xff_ffff, offset >> 24) } else { (offset, 0) };
        Member {
            name: self.btf.checked_name(word(record, 0)),
            ty: TypeId(word(record, 1)),
            bit_offset,
            bitfield_bits: u8::try_from(width).ok().filter(|&bits| bits != 0),
        }
    }
}

impl fmt::Debug for Composite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composite")
            .field("name", &self.name)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// An enum of either width.
#[derive(Clone, Copy)]
pub struct Enum<'a> {
    pub(crate) btf: &'a Btf,
    pub(crate) name: &'a str,
    pub(crate) size: u32,
    pub(crate) signed: bool,
    pub(crate) values: EnumRecords<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum EnumRecords<'a> {
    Narrow(&'a [[u8; 8]]),
    Wide(&'a [[u8; 12]]),
}

/// One name of an enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enumerator<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value: sign-extended to 64 bits when the enum is signed (then cast to `i64`), else
    /// zero-extended.
    pub value: u64,
}

impl<'a> Enum<'a> {
    /// Tag without the keyword; `""` when anonymous.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Size in bytes.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Whether values are to be read as signed.
    pub fn signed(&self) -> bool {
        self.signed
    }

    /// Whether values are stored with 64 bits (`BTF_KIND_ENUM64`).
    pub fn is_enum64(&self) -> bool {
        matches!(self.values, EnumRecords::Wide(_))
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        match self.values {
            EnumRecords::Narrow(records) => records.len(),
            EnumRecords::Wide(records) => records.len(),
        }
    }

    /// Whether it has no names.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name at `index`, in declaration order.
    pub fn value(&self, index: usize) -> Option<Enumerator<'a>> {
        match self.values {
            EnumRecords::Narrow(records) => records.get(index).map(|record| {
                let low = word(record, 1);
                let value =
                    if self.signed { i64::from(low.cast_signed()).cast_unsigned() } else { low.into() };
                Enumerator { name: self.btf.checked_name(word(record, 0)), value }
            }),
            EnumRecords::Wide(records) => records.get(index).map(|record| {
                let value = u64::from(word(record, 2)) << 32 | u64::from(word(record, 1));
                Enumerator { name: self.btf.checked_name(word(record, 0)), value }
            }),
        }
    }

    /// All names in declaration order.
    pub fn values(&self) -> impl Iterator<Item = Enumerator<'a>> + Clone + use<'a> {
        let this = *self;
        (0..self.len()).filter_map(move |index| this.value(index))
    }
}

impl fmt::Debug for Enum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enum").field("name", &self.name).field("size", &self.size).finish_non_exhaustive()
    }
}

/// Return type and parameters of a function.
#[derive(Clone, Copy)]
pub struct FuncProto<'a> {
    pub(crate) btf: &'a Btf,
    pub(crate) ret: TypeId,
    pub(crate) records: &'a [[u8; 8]],
}

/// A parameter of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// `""` when unnamed, as in prototypes behind pointers.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
}

impl<'a> FuncProto<'a> {
    /// Type of the result, [`TypeId::VOID`] for none.
    pub fn ret(&self) -> TypeId {
        self.ret
    }

    /// Number of parameters, without the `...`.
    pub fn len(&self) -> usize {
        self.records.len() - usize::from(self.is_variadic())
    }

    /// Whether it takes nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the list ends in `...`, which BTF writes as a nameless parameter of type void.
    pub fn is_variadic(&self) -> bool {
        self.records.last().is_some_and(|record| word(record, 0) == 0 && word(record, 1) == 0)
    }

    /// The parameter at `index`.
    pub fn param(&self, index: usize) -> Option<Param<'a>> {
        self.params().nth(index)
    }

    /// All parameters in order, without the `...`.
    pub fn params(&self) -> impl ExactSizeIterator<Item = Param<'a>> + Clone + use<'a> {
        let btf = self.btf;
        self.records
            .iter()
            .take(self.len())
            .map(move |record| Param { name: btf.checked_name(word(record, 0)), ty: TypeId(word(record, 1)) })
    }
}

impl fmt::Debug for FuncProto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FuncProto").field("ret", &self.ret).field("len", &self.len()).finish_non_exhaustive()
    }
}

/// An ELF section's contents.
#[derive(Debug, Clone, Copy)]
pub struct DataSec<'a> {
    pub(crate) name: &'a str,
    pub(crate) size: u32,
    pub(crate) records: &'a [[u8; 12]],
}

/// One variable or function in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecVar {
    /// A [`Type::Var`] or, in `.ksyms`, a [`Type::Func`].
    pub ty: TypeId,
    /// Bytes from the start of the section.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
}

impl<'a> DataSec<'a> {
    /// Name of the ELF section.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Size in bytes; 0 in files whose producer left it to the linker.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Number of variables.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All variables in the order of the file.
    pub fn vars(&self) -> impl ExactSizeIterator<Item = SecVar> + Clone + use<'a> {
        self.records.iter().map(|record| SecVar {
            ty: TypeId(word(record, 0)),
            offset: word(record, 1),
            size: word(record, 2),
        })
    }
}
