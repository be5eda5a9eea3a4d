//! Views of the kinds that have a list behind them.
//!
//! Input    records whose length, names and ids `check.rs` has checked
//! Output   members, values, parameters, variables, each by index or in order
//! Ensures  iterating a view never fails and never allocates
//!
//! Layouts: kernel `Documentation/bpf/btf.rst`, section 2.2.

use std::fmt;

use crate::record::words;
use crate::{Btf, TypeId};

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
        let [name, ty, offset] = words(record);
        let (bit_offset, width) =
            if self.kind_flag { (offset & 0xff_ffff, offset >> 24) } else { (offset, 0) };
        Member {
            name: self.btf.checked_name(name),
            ty: TypeId(ty),
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
                let [name, low] = words(record);
                let value =
                    if self.signed { i64::from(low.cast_signed()).cast_unsigned() } else { low.into() };
                Enumerator { name: self.btf.checked_name(name), value }
            }),
            EnumRecords::Wide(records) => records.get(index).map(|record| {
                let [name, low, high] = words(record);
                let value = u64::from(high) << 32 | u64::from(low);
                Enumerator { name: self.btf.checked_name(name), value }
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
        self.records.last() == Some(&[0; 8])
    }

    /// The parameter at `index`.
    pub fn param(&self, index: usize) -> Option<Param<'a>> {
        self.params().nth(index)
    }

    /// All parameters in order, without the `...`.
    pub fn params(&self) -> impl ExactSizeIterator<Item = Param<'a>> + Clone + use<'a> {
        let btf = self.btf;
        self.records.iter().take(self.len()).map(move |record| {
            let [name, ty] = words(record);
            Param { name: btf.checked_name(name), ty: TypeId(ty) }
        })
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
    /// A [`crate::Type::Var`] or, in `.ksyms`, a [`crate::Type::Func`].
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
        self.records.iter().map(|record| {
            let [ty, offset, size] = words(record);
            SecVar { ty: TypeId(ty), offset, size }
        })
    }
}
