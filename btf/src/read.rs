//! A BTF file held in memory: header, sections, where each type starts.
//!
//! Input    the bytes of a `.BTF` section, little-endian, shared and never copied
//! Output   [`Btf`], through which `kind.rs`'s views read the same bytes
//! Ensures  after `parse`, what `check.rs` tests holds, so views need no checks of their own. Loops of
//!          ids remain possible: see `skip_mods`.
//! Breaks   nothing
//!
//! A split BTF's ids and string offsets follow those of its base, as in libbpf `src/btf.c`
//! (`btf__type_by_id`, `btf_strs_data`).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::record::Record;
use crate::{Error, StrOff, Type, TypeId, check};

/// The bytes of a file: a `Vec<u8>`, a memory map, anything that lends a slice.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Chains of modifiers and typedefs longer than this are taken for loops; libbpf's
/// `MAX_RESOLVE_DEPTH`.
pub(crate) const DEPTH_MAX: usize = 32;

/// The types and strings of one file, and of its base if it is split BTF.
#[derive(Clone)]
pub struct Btf {
    data: Bytes,
    base: Option<Arc<Btf>>,
    types: Range<usize>,
    strings: Range<usize>,
    first_id: u32,
    first_str: u32,
    /// Whether all strings, the base's too, are ASCII; kept so that a base is looked through once.
    ascii: bool,
    /// Start of each own type, from the beginning of the type section.
    type_offs: Vec<u32>,
}

impl Btf {
    /// Reads a whole BTF, such as `/sys/kernel/btf/vmlinux` or the `.BTF` section of an object.
    ///
    /// # Errors
    /// Anything that breaks the promises at the head of this file.
    pub fn parse(data: Bytes) -> Result<Self, Error> {
        Self::parse_with(data, None)
    }

    /// Reads a split BTF, such as `/sys/kernel/btf/MODULE`, whose ids and strings continue `base`'s.
    ///
    /// # Errors
    /// As [`Btf::parse`]; a base of another kernel may go unnoticed or give any of the errors.
    pub fn parse_split(data: Bytes, base: Arc<Btf>) -> Result<Self, Error> {
        Self::parse_with(data, Some(base))
    }

    /// [`Btf::parse`] of a vector.
    ///
    /// # Errors
    /// As [`Btf::parse`].
    pub fn from_vec(data: Vec<u8>) -> Result<Self, Error> {
        Self::parse(Arc::new(data))
    }

    fn parse_with(data: Bytes, base: Option<Arc<Btf>>) -> Result<Self, Error> {
        let bytes = data.as_ref().as_ref();
        let (types, strings) = check::sections(bytes)?;
        check::check_strings(bytes.get(strings.clone()).unwrap_or_default(), base.is_some())?;
        let (first_id, first_str, ascii) = match &base {
            Some(base) => (base.end_id(), base.end_str(), base.ascii),
            None => (1, 0, true),
        };
        let type_offs = Vec::new();
        let mut btf = Self { data, base, types, strings, first_id, first_str, ascii, type_offs };
        btf.ascii &= btf.own_strings().is_ascii();
        if u64::from(first_str) + btf.strings.len() as u64 > u64::from(u32::MAX) {
            return Err(Error::TooMany("strings"));
        }
        btf.type_offs = check::index_types(&btf)?;
        Ok(btf)
    }

    fn section(&self, range: &Range<usize>) -> &[u8] {
        // A well-behaved `AsRef` lends the same slice as at parse; an odd one gets no panic from us.
        self.data.as_ref().as_ref().get(range.clone()).unwrap_or_default()
    }

    pub(crate) fn own_types(&self) -> &[u8] {
        self.section(&self.types)
    }

    pub(crate) fn own_strings(&self) -> &[u8] {
        self.section(&self.strings)
    }

    /// The whole file as given to `parse`.
    pub fn as_bytes(&self) -> &[u8] {
        self.data.as_ref().as_ref()
    }

    /// The BTF this one continues.
    pub fn base(&self) -> Option<&Arc<Btf>> {
        self.base.as_ref()
    }

    /// The first of this file's own types: 1, or the base's end.
    pub fn first_id(&self) -> TypeId {
        TypeId(self.first_id)
    }

    /// One past the last type.
    pub(crate) fn end_id(&self) -> u32 {
        // `check::index_types` keeps the sum within 32 bits.
        self.first_id.saturating_add(u32::try_from(self.type_offs.len()).unwrap_or(u32::MAX))
    }

    /// Whether a string may start at any offset below the end.
    pub(crate) fn is_ascii(&self) -> bool {
        self.ascii
    }

    /// Offset of this file's first string: 0, or the base's end.
    pub(crate) fn first_str(&self) -> u32 {
        self.first_str
    }

    /// One past the last string.
    pub(crate) fn end_str(&self) -> u32 {
        self.first_str.saturating_add(u32::try_from(self.strings.len()).unwrap_or(u32::MAX))
    }

    /// Number of this file's own types, without `void` and without the base's.
    pub fn len(&self) -> usize {
        self.type_offs.len()
    }

    /// Whether the file has no types of its own.
    pub fn is_empty(&self) -> bool {
        self.type_offs.is_empty()
    }

    /// Ids of this file's own types, ascending.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = TypeId> + DoubleEndedIterator + Clone + use<> {
        let first = self.first_id;
        // A `Range<u32>` has no exact size on 16-bit machines, hence the detour through `usize`.
        (0..self.type_offs.len())
            .map(move |i| TypeId(first.saturating_add(u32::try_from(i).unwrap_or(u32::MAX))))
    }

    /// The string at `off`, of this file or its base.
    ///
    /// # Errors
    /// [`Error::Name`] beyond the strings or inside a character.
    pub fn name(&self, off: StrOff) -> Result<&str, Error> {
        let mut btf = self;
        while off.0 < btf.first_str {
            btf = btf.base.as_deref().ok_or(Error::Name(off))?;
        }
        let strings = btf.own_strings();
        let at = usize::try_from(off.0 - btf.first_str).unwrap_or(usize::MAX);
        let tail = match strings.get(at..) {
            // A split BTF may have no strings of its own; offset 0 is then still the empty string.
            Some([]) | None => return Err(Error::Name(off)),
            Some(tail) => tail,
        };
        let len = memchr::memchr(0, tail).ok_or(Error::Name(off))?;
        std::str::from_utf8(tail.get(..len).unwrap_or_default()).map_err(|_| Error::Name(off))
    }

    /// A name that `check.rs` has seen: cannot fail, except for an `AsRef` that changes its mind.
    pub(crate) fn checked_name(&self, off: u32) -> &str {
        self.name(StrOff(off)).unwrap_or_default()
    }

    /// The type with this id, of this file or its base.
    ///
    /// # Errors
    /// [`Error::NoType`] for an id beyond the types.
    pub fn ty(&self, id: TypeId) -> Result<Type<'_>, Error> {
        if id == TypeId::VOID {
            return Ok(Type::Void);
        }
        let (btf, record) = self.record(id).ok_or(Error::NoType(id))?;
        record.view(btf, id)
    }

    /// Finds the file and record of a type.
    pub(crate) fn record(&self, id: TypeId) -> Option<(&Btf, Record<'_>)> {
        let mut btf = self;
        while id.0 < btf.first_id {
            btf = btf.base.as_deref()?;
        }
        let off = *btf.type_offs.get(usize::try_from(id.0 - btf.first_id).ok()?)?;
        let record = Record::at(btf.own_types(), usize::try_from(off).ok()?)?;
        Some((btf, record))
    }

    /// Own records in order with their ids, from the one at `start` in [`Btf::ids`].
    pub(crate) fn records_from(&self, start: usize) -> impl Iterator<Item = (TypeId, Record<'_>)> {
        let types = self.own_types();
        self.ids()
            .zip(&self.type_offs)
            .skip(start)
            .filter_map(move |(id, &off)| Some((id, Record::at(types, usize::try_from(off).ok()?)?)))
    }

    /// Follows `const`, `volatile`, `restrict` and type tags to what they qualify.
    ///
    /// # Errors
    /// [`Error::NoType`]; [`Error::TooDeep`] for a loop.
    pub fn skip_mods(&self, id: TypeId) -> Result<TypeId, Error> {
        self.follow(id, |ty| match *ty {
            Type::Const(to) | Type::Volatile(to) | Type::Restrict(to) | Type::TypeTag { ty: to, .. } => {
                Some(to)
            }
            _ => None,
        })
    }

    /// [`Btf::skip_mods`] that follows typedefs too: the type that decides layout.
    ///
    /// # Errors
    /// As [`Btf::skip_mods`].
    pub fn resolve(&self, id: TypeId) -> Result<TypeId, Error> {
        self.follow(id, |ty| match *ty {
            Type::Const(to)
            | Type::Volatile(to)
            | Type::Restrict(to)
            | Type::TypeTag { ty: to, .. }
            | Type::Typedef { ty: to, .. } => Some(to),
            _ => None,
        })
    }

    fn follow(&self, id: TypeId, next: impl Fn(&Type<'_>) -> Option<TypeId>) -> Result<TypeId, Error> {
        let mut at = id;
        for _ in 0..DEPTH_MAX {
            match next(&self.ty(at)?) {
                Some(to) => at = to,
                None => return Ok(at),
            }
        }
        Err(Error::TooDeep(id))
    }
}

impl fmt::Debug for Btf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Btf")
            .field("first_id", &self.first_id)
            .field("types", &self.type_offs.len())
            .field("string_bytes", &self.strings.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{Btf, Builder, Enumerator, Error, IntEncoding, Kind, Linkage, Member, StrOff, Type, TypeId};

    /// `int`, and a struct that points to itself.
    fn sample() -> Result<Vec<u8>, Error> {
        let mut b = Builder::new();
        let int = b.add_int("int", 4, IntEncoding { signed: true, ..Default::default() });
        let list = b.reserve_struct("list");
        let next = b.add_ptr(list);
        let members = [
            Member { name: "next", ty: next, bit_offset: 0, bitfield_bits: None },
            Member { name: "flags", ty: int, bit_offset: 64, bitfield_bits: Some(3) },
        ];
        b.set_struct(list, "list", 16, &members);
        b.finish()
    }

    fn with_word(bytes: &[u8], at: usize, word: u32) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        bytes.get_mut(at..at + 4).expect("inside the sample").copy_from_slice(&word.to_le_bytes());
        bytes
    }

    #[test]
    fn views_show_what_was_built() -> Result<(), Error> {
        let btf = Btf::from_vec(sample()?)?;
        assert_eq!(btf.ids().map(|id| id.0).collect::<Vec<_>>(), [1, 2, 3]);
        let Type::Struct(list) = btf.ty(TypeId(2))? else { panic!("2 is a struct") };
        let members: Vec<_> =
            list.members().map(|m| (m.name, m.ty.0, m.bit_offset, m.bitfield_bits)).collect();
        assert_eq!(members, [("next", 3, 0, None), ("flags", 1, 64, Some(3))]);
        assert_eq!(list.member(2), None);
        assert!(matches!(btf.ty(TypeId(3))?, Type::Ptr(TypeId(2))));
        assert!(matches!(btf.ty(TypeId::VOID)?, Type::Void));
        assert_eq!(btf.ty(TypeId(4)).map(|_| ()), Err(Error::NoType(TypeId(4))));
        Ok(())
    }

    #[test]
    fn enums_of_both_widths() -> Result<(), Error> {
        let minus_one = Enumerator { name: "A", value: u64::MAX };
        let table = [
            (4, true, false, minus_one.value),
            (4, false, false, u64::from(u32::MAX)),
            (8, true, true, minus_one.value),
            (8, false, true, minus_one.value),
        ];
        for (size, signed, wide, expected) in table {
            let mut b = Builder::new();
            if wide {
                b.add_enum64("e", size, signed, &[minus_one]);
            } else {
                b.add_enum("e", size, signed, &[minus_one]);
            }
            let btf = Btf::from_vec(b.finish()?)?;
            let Type::Enum(e) = btf.ty(TypeId(1))? else { panic!("not an enum") };
            assert_eq!((e.size(), e.signed(), e.is_enum64()), (size, signed, wide));
            assert_eq!(e.values().map(|v| (v.name, v.value)).collect::<Vec<_>>(), [("A", expected)]);
        }
        Ok(())
    }

    #[test]
    fn a_longer_header_is_skipped_not_read() -> Result<(), Error> {
        let old = sample()?;
        let (header, body) = old.split_at(24);
        let new = [&with_word(header, 4, 32), [0xff; 8].as_slice(), body, b"layout"].concat();
        assert_eq!(Btf::from_vec(new)?.len(), 3);
        Ok(())
    }

    #[test]
    fn broken_files_say_what_is_broken() -> Result<(), Error> {
        let good = sample()?;
        let type_len = good.len() - 24 - 21;
        let cases: Vec<(Vec<u8>, Error)> = vec![
            (vec![], Error::ShortHeader { need: 24, have: 0 }),
            (good[..23].to_vec(), Error::ShortHeader { need: 24, have: 23 }),
            (with_word(&good, 0, 0x0001_9feb), Error::BigEndian),
            (with_word(&good, 0, 0x0001_1234), Error::Magic(0x1234)),
            (with_word(&good, 0, 0x0002_eb9f), Error::Version(2)),
            (with_word(&good, 4, 20), Error::ShortHeader { need: 24, have: good.len() as u64 }),
            (with_word(&good, 4, 4000), Error::ShortHeader { need: 4000, have: good.len() as u64 }),
            (with_word(&good, 20, 0), Error::Strings("is empty")),
            (with_word(&good, 20, 20), Error::Strings("does not end in NUL")),
            (
                with_word(&with_word(&good, 16, type_len as u32 + 1), 20, 20),
                Error::Strings("does not start with NUL"),
            ),
            (with_word(&good, 12, type_len as u32 - 1), Error::CutType(TypeId(3))),
            (with_word(&good, 24, 21), Error::Name(StrOff(21))),
            (with_word(&good, 28, 31 << 24), Error::Kind { id: TypeId(1), kind: 31 }),
            (
                with_word(&good, good.len() - 21 - 4, 9),
                Error::Field { id: TypeId(3), field: "type id", value: 9 },
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Btf::from_vec(bytes).map(|_| ()), Err(expected));
        }
        let outside = Btf::from_vec(with_word(&good, 12, 1 << 31));
        assert!(matches!(outside, Err(Error::Section { section: "type", .. })));
        Ok(())
    }

    #[test]
    fn split_ids_and_strings_continue_the_base() -> Result<(), Error> {
        let base = Arc::new(Btf::from_vec(sample()?)?);
        let mut b = Builder::split(Arc::clone(&base));
        let list = base.find("list", Kind::Struct).next().expect("the sample has it");
        let ptr = b.add_ptr(list);
        let own = b.add_var("head", ptr, Linkage::Global);
        let split = Btf::parse_split(Arc::new(b.finish()?), Arc::clone(&base))?;
        assert_eq!((split.first_id(), ptr, own), (TypeId(4), TypeId(4), TypeId(5)));
        assert_eq!(split.decl(own, ""), "struct list *head");
        assert_eq!(split.ty(TypeId(1))?.name(), "int");
        assert_eq!(split.size_of(own), Ok(8));
        Ok(())
    }

    #[test]
    fn a_module_without_types_and_strings_is_empty_only_as_split() -> Result<(), Error> {
        let empty: Vec<u8> = [0x0001_eb9f_u32, 24, 0, 0, 0, 0].iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(Btf::from_vec(empty.clone()).map(|_| ()), Err(Error::Strings("is empty")));
        let base = Arc::new(Btf::from_vec(sample()?)?);
        assert!(Btf::parse_split(Arc::new(empty), base)?.is_empty());
        Ok(())
    }

    #[test]
    fn loops_of_modifiers_end() -> Result<(), Error> {
        let mut b = Builder::new();
        b.add_const(TypeId(2));
        b.add_typedef("t", TypeId(1));
        b.add_array(TypeId(3), TypeId(3), 2);
        let btf = Btf::from_vec(b.finish()?)?;
        assert_eq!(btf.skip_mods(TypeId(1)), Ok(TypeId(2)));
        assert_eq!(btf.resolve(TypeId(1)), Err(Error::TooDeep(TypeId(1))));
        assert_eq!(btf.size_of(TypeId(3)), Err(Error::TooDeep(TypeId(3))));
        assert_eq!(btf.align_of(TypeId(3)), Err(Error::TooDeep(TypeId(3))));
        Ok(())
    }

    #[test]
    fn an_as_ref_that_changes_its_mind_gives_no_panic() -> Result<(), Error> {
        struct Fickle(Vec<u8>, std::sync::atomic::AtomicUsize);
        impl AsRef<[u8]> for Fickle {
            fn as_ref(&self) -> &[u8] {
                let calls = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if calls < 20 { &self.0 } else { &[] }
            }
        }
        // Truncated at some point during or after the parse; either way an error or empty views.
        if let Ok(btf) = Btf::parse(Arc::new(Fickle(sample()?, 0.into()))) {
            for id in btf.ids() {
                let _ = btf.ty(id).map(|ty| ty.composite().map(|c| c.members().count()));
            }
        }
        Ok(())
    }
}
