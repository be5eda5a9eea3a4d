//! One type as stored: `struct btf_type` and the records behind it.
//!
//! Input    the type section and an offset into it
//! Output   [`Record`], decoded by `view` into a [`Type`]
//! Ensures  [`layout`] is the only place that knows which words are names and which are ids; the
//!          reader's checks and the relocation of module BTF both follow it
//!
//! Layouts: kernel `Documentation/bpf/btf.rst`, section 2.2.

use crate::view::EnumRecords;
use crate::{Btf, Composite, DataSec, Enum, Error, FuncProto, IntEncoding, Kind, Linkage, Type, TypeId};

/// Bytes of `struct btf_type`.
pub(crate) const TYPE_BYTES: usize = 12;

/// What a 32-bit word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Name,
    Id,
    Plain,
}

/// The words of a kind behind `name_off` and `info`.
pub(crate) struct Layout {
    /// The third word, `size` or `type`.
    pub(crate) head: Word,
    /// Words that come once.
    pub(crate) once: &'static [Word],
    /// Words that come `vlen` times.
    pub(crate) each: &'static [Word],
}

/// The table of all kinds.
pub(crate) fn layout(kind: Kind) -> Layout {
    use Word::{Id, Name, Plain};
    let of = |head, once, each| Layout { head, once, each };
    match kind {
        Kind::Int => of(Plain, &[Plain], &[]),
        Kind::Float | Kind::Fwd => of(Plain, &[], &[]),
        Kind::Ptr
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::TypeTag
        | Kind::Func => of(Id, &[], &[]),
        Kind::Var | Kind::DeclTag => of(Id, &[Plain], &[]),
        // An array leaves the third word zero and has its ids behind.
        Kind::Array => of(Plain, &[Id, Id, Plain], &[]),
        Kind::Struct | Kind::Union => of(Plain, &[], &[Name, Id, Plain]),
        Kind::Enum => of(Plain, &[], &[Name, Plain]),
        Kind::Enum64 => of(Plain, &[], &[Name, Plain, Plain]),
        Kind::FuncProto => of(Id, &[], &[Name, Id]),
        Kind::DataSec => of(Plain, &[], &[Id, Plain, Plain]),
    }
}

/// The first `N` little-endian words; zero beyond the end.
pub(crate) fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let (chunks, _) = bytes.as_chunks::<4>();
    std::array::from_fn(|i| chunks.get(i).map_or(0, |chunk| u32::from_le_bytes(*chunk)))
}

/// A type in its section.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) name_off: u32,
    pub(crate) info: u32,
    /// `size` or `type`, by kind.
    pub(crate) word: u32,
    /// From the end of `struct btf_type` to the end of the section.
    rest: &'a [u8],
}

impl<'a> Record<'a> {
    pub(crate) fn at(types: &'a [u8], off: usize) -> Option<Self> {
        let (head, rest) = types.get(off..)?.split_first_chunk::<TYPE_BYTES>()?;
        let [name_off, info, word] = words(head);
        Some(Self { name_off, info, word, rest })
    }

    pub(crate) fn vlen(&self) -> usize {
        // 16 bits fit any usize.
        (self.info & 0xffff) as usize
    }

    pub(crate) fn kind_number(&self) -> u8 {
        (self.info >> 24 & 0x1f) as u8
    }

    pub(crate) fn kind(&self) -> Option<Kind> {
        Kind::from_number(self.kind_number())
    }

    fn kind_flag(&self) -> bool {
        self.info >> 31 != 0
    }

    /// The words that come once and those that come `vlen` times; `None` if the section is cut.
    pub(crate) fn tails(&self, layout: &Layout) -> Option<(&'a [u8], &'a [u8])> {
        let (once, rest) = self.rest.split_at_checked(4 * layout.once.len())?;
        Some((once, rest.get(..4 * layout.each.len() * self.vlen())?))
    }

    /// Linkage of a function or variable, as a number.
    pub(crate) fn linkage_number(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Func => self.info & 0xffff,
            _ => {
                let [linkage] = words(self.rest);
                linkage
            }
        }
    }

    /// The `vlen` records of `N` bytes behind the type; none if the section were cut.
    fn list<const N: usize>(&self) -> &'a [[u8; N]] {
        let (records, _) = self.rest.as_chunks::<N>();
        records.get(..self.vlen()).unwrap_or_default()
    }

    fn linkage(&self, id: TypeId, kind: Kind) -> Result<Linkage, Error> {
        let value = self.linkage_number(kind);
        Linkage::from_number(value).ok_or(Error::Field { id, field: "linkage", value })
    }

    /// Decodes the type; `btf` is the file it is in.
    pub(crate) fn view(self, btf: &'a Btf, id: TypeId) -> Result<Type<'a>, Error> {
        let number = self.kind_number();
        let kind = Kind::from_number(number).ok_or(Error::Kind { id, kind: number })?;
        let name = btf.checked_name(self.name_off);
        let ty = TypeId(self.word);
        let size = self.word;
        let kind_flag = self.kind_flag();
        let composite = || Composite { btf, name, size, records: self.list(), kind_flag };
        let enumeration = |values| Enum { btf, name, size, signed: kind_flag, values };
        Ok(match kind {
            Kind::Int => {
                let [data] = words(self.rest);
                let [bits, _, bit_offset, flags] = data.to_le_bytes();
                let encoding =
                    IntEncoding { signed: flags & 1 != 0, char: flags & 2 != 0, bool: flags & 4 != 0 };
                Type::Int { name, size, encoding, bit_offset, bits }
            }
            Kind::Ptr => Type::Ptr(ty),
            Kind::Array => {
                let [elem, index, len] = words(self.rest);
                Type::Array { elem: TypeId(elem), index: TypeId(index), len }
            }
            Kind::Struct => Type::Struct(composite()),
            Kind::Union => Type::Union(composite()),
            Kind::Enum => Type::Enum(enumeration(EnumRecords::Narrow(self.list()))),
            Kind::Enum64 => Type::Enum(enumeration(EnumRecords::Wide(self.list()))),
            Kind::Fwd => Type::Fwd { name, is_union: kind_flag },
            Kind::Typedef => Type::Typedef { name, ty },
            Kind::Volatile => Type::Volatile(ty),
            Kind::Const => Type::Const(ty),
            Kind::Restrict => Type::Restrict(ty),
            Kind::TypeTag => Type::TypeTag { name, ty, attribute: kind_flag },
            Kind::Func => Type::Func { name, proto: ty, linkage: self.linkage(id, kind)? },
            Kind::FuncProto => Type::FuncProto(FuncProto { btf, ret: ty, records: self.list() }),
            Kind::Var => Type::Var { name, ty, linkage: self.linkage(id, kind)? },
            Kind::DataSec => Type::DataSec(DataSec { name, size, records: self.list() }),
            Kind::Float => Type::Float { name, size },
            Kind::DeclTag => {
                let [component] = words(self.rest);
                let component_idx = (component != u32::MAX).then_some(component);
                Type::DeclTag { name, ty, component_idx, attribute: kind_flag }
            }
        })
    }
}
