//! What must hold before anything of a file is believed.
//!
//! Input    the bytes of a `.BTF` section; for its types, a [`Btf`] whose sections are known
//! Output   the sections' ranges; the offset of each type
//! Ensures  every record lies inside the type section, every name is a string of the file or its
//!          base, every id a type of the file or its base, every linkage is known
//! Breaks   nothing
//!
//! Header: kernel `Documentation/bpf/btf.rst`, section 2. String rules: libbpf `src/btf.c`
//! (`btf_parse_str_sec`).

use std::ops::Range;

use crate::record::{Record, TYPE_BYTES, Word, layout, words};
use crate::{Btf, Error, Kind, Linkage, StrOff, TypeId};

const MAGIC: u32 = 0xeb9f;
const MAGIC_SWAPPED: u32 = 0x9feb;
const HEADER_BYTES_MIN: u32 = 24;

/// Checks the fields that `.BTF` and `.BTF.ext` headers begin with; returns the header's length.
pub(crate) fn check_header(bytes: &[u8]) -> Result<usize, Error> {
    let have = bytes.len() as u64;
    let short = |need: u32| Error::ShortHeader { need: need.into(), have };
    let [first, hdr_len] = words(bytes);
    match first & 0xffff {
        _ if bytes.len() < 2 => return Err(short(HEADER_BYTES_MIN)),
        MAGIC => {}
        MAGIC_SWAPPED => return Err(Error::BigEndian),
        // Sixteen bits by the mask.
        other => return Err(Error::Magic(other as u16)),
    }
    if have < u64::from(HEADER_BYTES_MIN) {
        return Err(short(HEADER_BYTES_MIN));
    }
    let [_, _, version, _flags] = first.to_le_bytes();
    if version != 1 {
        return Err(Error::Version(version));
    }
    let need = hdr_len.max(HEADER_BYTES_MIN);
    match usize::try_from(hdr_len) {
        Ok(len) if hdr_len == need && len <= bytes.len() => Ok(len),
        _ => Err(short(need)),
    }
}

/// Ranges of the type and string sections. They start where `hdr_len` says: newer headers append
/// fields, such as the layout section's, and what we do not know we skip.
pub(crate) fn sections(bytes: &[u8]) -> Result<(Range<usize>, Range<usize>), Error> {
    let hdr_len = check_header(bytes)?;
    let [_, _, type_off, type_len, str_off, str_len] = words(bytes);
    let have = bytes.len() as u64;
    let section = |section, off: u32, len: u32| {
        let start = hdr_len as u64 + u64::from(off);
        match (usize::try_from(start), usize::try_from(start + u64::from(len))) {
            (Ok(start), Ok(end)) if end <= bytes.len() => Ok(start..end),
            _ => Err(Error::Section { section, off: start, len: len.into(), have }),
        }
    };
    Ok((section("type", type_off, type_len)?, section("string", str_off, str_len)?))
}

/// Strings are terminated, and the first string of a base is empty. A split BTF may have none.
pub(crate) fn check_strings(strings: &[u8], is_split: bool) -> Result<(), Error> {
    match (strings.first(), strings.last()) {
        (None, _) if is_split => Ok(()),
        (None, _) => Err(Error::Strings("is empty")),
        (_, Some(&last)) if last != 0 => Err(Error::Strings("does not end in NUL")),
        (Some(&first), _) if first != 0 && !is_split => Err(Error::Strings("does not start with NUL")),
        _ if std::str::from_utf8(strings).is_err() => Err(Error::Strings("is not UTF-8")),
        _ => Ok(()),
    }
}

/// One pass over the type section: the start of each type.
pub(crate) fn index_types(btf: &Btf) -> Result<Vec<u32>, Error> {
    let mut checker =
        Checker { btf, end_str: btf.end_str(), ascii: btf.is_ascii(), max_ref: Default::default() };
    let types = btf.own_types();
    // Real files have about 20 bytes per type with its share of records.
    let mut offs = Vec::with_capacity(types.len() / 20);
    let mut at = 0;
    let mut id = btf.first_id();
    while at < types.len() {
        let bytes = checker.check(id, types, at)?;
        offs.push(u32::try_from(at).map_err(|_| Error::TooMany("type bytes"))?);
        at += bytes;
        id = TypeId(id.0.checked_add(1).ok_or(Error::TooMany("types"))?);
    }
    match checker.max_ref {
        (max, by) if max >= id.0 && max != 0 => Err(Error::Field { id: by, field: "type id", value: max }),
        _ => Ok(offs),
    }
}

struct Checker<'a> {
    btf: &'a Btf,
    end_str: u32,
    ascii: bool,
    /// Highest id referred to and by whom; forward references make it testable only at the end.
    max_ref: (u32, TypeId),
}

impl Checker<'_> {
    /// Checks the type at `at`; returns its length in bytes.
    fn check(&mut self, id: TypeId, types: &[u8], at: usize) -> Result<usize, Error> {
        let record = Record::at(types, at).ok_or(Error::CutType(id))?;
        let number = record.kind_number();
        let kind = record.kind().ok_or(Error::Kind { id, kind: number })?;
        let layout = layout(kind);
        let (once, each) = record.tails(&layout).ok_or(Error::CutType(id))?;
        self.check_name(record.name_off)?;
        if layout.head == Word::Id {
            self.refer(id, record.word);
        }
        self.check_rows(id, layout.once, once)?;
        self.check_rows(id, layout.each, each)?;
        if matches!(kind, Kind::Func | Kind::Var) {
            let value = record.linkage_number(kind);
            Linkage::from_number(value).ok_or(Error::Field { id, field: "linkage", value })?;
        }
        Ok(TYPE_BYTES + once.len() + each.len())
    }

    /// Checks rows of words. This loop sees every member of every struct: it is most of the time
    /// that a parse takes.
    fn check_rows(&mut self, id: TypeId, pattern: &[Word], bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        for row in bytes.chunks_exact(4 * pattern.len()) {
            for (word, bytes) in pattern.iter().zip(row.as_chunks::<4>().0) {
                match word {
                    Word::Plain => {}
                    Word::Name => self.check_name(u32::from_le_bytes(*bytes))?,
                    Word::Id => self.refer(id, u32::from_le_bytes(*bytes)),
                }
            }
        }
        Ok(())
    }

    fn refer(&mut self, by: TypeId, id: u32) {
        if id > self.max_ref.0 {
            self.max_ref = (id, by);
        }
    }

    /// Any offset below the end is a string, because every string section ends in NUL; only with
    /// other than ASCII text may it be the middle of a character.
    fn check_name(&self, off: u32) -> Result<(), Error> {
        if self.ascii && off < self.end_str {
            return Ok(());
        }
        self.btf.name(StrOff(off)).map(drop)
    }
}
