//! `.BTF.ext`: what belongs to which instruction. Function types, source lines, CO-RE relocations.
//!
//! Input    reader: the section's bytes; writer: records by ELF section name, in any order
//! Output   reader: [`Ext`]; writer: bytes
//! Ensures  reader: records lie inside the data, sizes come from the data, larger records are cut to
//!          what we know. Writer: no empty sub-section (libbpf drops the whole of `.BTF.ext` for one),
//!          one info section per ELF section, records sorted by instruction.
//!
//! Layout: kernel `Documentation/bpf/btf.rst`, section 4.2; `core_relo` as in libbpf
//! `src/libbpf_internal.h` (`struct btf_ext_header`).

use std::collections::BTreeMap;
use std::marker::PhantomData;

use crate::check::check_header;
use crate::core::RelocKind;
use crate::record::words;
use crate::{Error, StrOff, TypeId};

const MAGIC_VERSION_FLAGS: u32 = 0x0001_eb9f;

/// Bytes from the start of an ELF section to an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteOff(pub u32);

/// The function that starts at an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FuncInfo {
    /// First instruction.
    pub insn: ByteOff,
    /// Its [`crate::Type::Func`].
    pub ty: TypeId,
}

/// The source line that instructions from here on belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineInfo {
    /// First instruction.
    pub insn: ByteOff,
    /// Name of the source file.
    pub file: StrOff,
    /// Text of the line.
    pub text: StrOff,
    /// Line number, from 1; the format has 22 bits for it.
    pub line: u32,
    /// Column, from 1; the format has 10 bits for it. The writer caps both.
    pub column: u32,
}

/// A CO-RE relocation of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreRelo {
    /// The instruction to patch.
    pub insn: ByteOff,
    /// Root type, in the object's own BTF.
    pub ty: TypeId,
    /// Path from the root, e.g. `0:1:2`.
    pub access: StrOff,
    /// What to put there.
    pub kind: RelocKind,
}

/// A record of one of the three tables.
pub trait Record: Copy {
    /// Bytes of the record as we know it.
    const BYTES: usize;
    /// The table's name in messages.
    const PART: &'static str;
    /// Reads the record's words; `None` for a value the format does not define.
    fn decode(words: [u32; 4]) -> Option<Self>;
    /// The record's words; only the first `BYTES / 4` are written.
    fn encode(self) -> [u32; 4];
    /// Instruction it is about.
    fn insn(self) -> ByteOff;
}

impl Record for FuncInfo {
    const BYTES: usize = 8;
    const PART: &'static str = "func_info";
    fn decode([insn, ty, _, _]: [u32; 4]) -> Option<Self> {
        Some(Self { insn: ByteOff(insn), ty: TypeId(ty) })
    }
    fn encode(self) -> [u32; 4] {
        [self.insn.0, self.ty.0, 0, 0]
    }
    fn insn(self) -> ByteOff {
        self.insn
    }
}

impl Record for LineInfo {
    const BYTES: usize = 16;
    const PART: &'static str = "line_info";
    fn decode([insn, file, text, line_col]: [u32; 4]) -> Option<Self> {
        Some(Self {
            insn: ByteOff(insn),
            file: StrOff(file),
            text: StrOff(text),
            line: line_col >> 10,
            column: line_col & 0x3ff,
        })
    }
    fn encode(self) -> [u32; 4] {
        let line_col = self.line.min(0x3f_ffff) << 10 | self.column.min(0x3ff);
        [self.insn.0, self.file.0, self.text.0, line_col]
    }
    fn insn(self) -> ByteOff {
        self.insn
    }
}

impl Record for CoreRelo {
    const BYTES: usize = 16;
    const PART: &'static str = "core_relo";
    fn decode([insn, ty, access, kind]: [u32; 4]) -> Option<Self> {
        let kind = RelocKind::from_number(kind)?;
        Some(Self { insn: ByteOff(insn), ty: TypeId(ty), access: StrOff(access), kind })
    }
    fn encode(self) -> [u32; 4] {
        [self.insn.0, self.ty.0, self.access.0, self.kind as u32]
    }
    fn insn(self) -> ByteOff {
        self.insn
    }
}

/// A parsed `.BTF.ext`.
#[derive(Debug, Clone)]
pub struct Ext<'a> {
    funcs: Table<'a>,
    lines: Table<'a>,
    relos: Table<'a>,
}

/// One sub-section without its record size.
#[derive(Debug, Clone, Copy, Default)]
struct Table<'a> {
    record_bytes: usize,
    bytes: &'a [u8],
}

/// The records of one ELF section.
#[derive(Debug, Clone, Copy)]
pub struct Section<'a, R> {
    /// The ELF section's name.
    pub name: StrOff,
    record_bytes: usize,
    bytes: &'a [u8],
    record: PhantomData<R>,
}

impl<'a, R: Record> Section<'a, R> {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.record_bytes.max(1)
    }

    /// Whether there are none; `parse` refuses such sections.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The records in the order of the file.
    pub fn records(&self) -> impl Iterator<Item = R> + Clone + use<'a, R> {
        // `parse` has decoded each of them once.
        self.bytes.chunks_exact(self.record_bytes.max(1)).filter_map(|bytes| R::decode(words(bytes)))
    }
}

impl<'a> Ext<'a> {
    /// Reads the section; whole, so that the accessors cannot fail.
    ///
    /// # Errors
    /// A header like `.BTF`'s that is wrong in the same ways; [`Error::Ext`] for the tables.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let hdr = check_header(bytes)?;
        let [_, _, func_off, func_len, line_off, line_len, core_off, core_len] = words(bytes);
        let body = bytes.get(hdr..).unwrap_or_default();
        // Headers without the CO-RE fields come from compilers before CO-RE.
        let (core_off, core_len) = if hdr >= 32 { (core_off, core_len) } else { (0, 0) };
        Ok(Self {
            funcs: Table::parse::<FuncInfo>(body, func_off, func_len)?,
            lines: Table::parse::<LineInfo>(body, line_off, line_len)?,
            relos: Table::parse::<CoreRelo>(body, core_off, core_len)?,
        })
    }

    /// Function types by ELF section.
    pub fn funcs(&self) -> impl Iterator<Item = Section<'a, FuncInfo>> + use<'a> {
        self.funcs.sections()
    }

    /// Source lines by ELF section.
    pub fn lines(&self) -> impl Iterator<Item = Section<'a, LineInfo>> + use<'a> {
        self.lines.sections()
    }

    /// CO-RE relocations by ELF section.
    pub fn relos(&self) -> impl Iterator<Item = Section<'a, CoreRelo>> + use<'a> {
        self.relos.sections()
    }
}

impl<'a> Table<'a> {
    fn parse<R: Record>(body: &'a [u8], off: u32, len: u32) -> Result<Self, Error> {
        let err = |what| Error::Ext { part: R::PART, what };
        if len == 0 {
            return Ok(Self::default());
        }
        if !off.is_multiple_of(4) {
            return Err(err("is not aligned to 4 bytes"));
        }
        let start = usize::try_from(off).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
        let bytes = body.get(start..end).ok_or(err("is outside the data"))?;
        let (size, bytes) = bytes.split_first_chunk::<4>().ok_or(err("has no record size"))?;
        let record_bytes = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
        if record_bytes < R::BYTES || !record_bytes.is_multiple_of(4) {
            return Err(err("has an invalid record size"));
        }
        let table = Self { record_bytes, bytes };
        let mut rest = bytes;
        if rest.is_empty() {
            return Err(err("has no records"));
        }
        while !rest.is_empty() {
            let (section, after) =
                split_section::<R>(rest, record_bytes).ok_or(err("is cut off inside a section"))?;
            if section.is_empty() {
                return Err(err("has a section without records"));
            }
            if section.records().count() != section.len() {
                return Err(err("has a record of an unknown kind"));
            }
            rest = after;
        }
        Ok(table)
    }

    fn sections<R: Record>(&self) -> impl Iterator<Item = Section<'a, R>> + use<'a, R> {
        let Self { record_bytes, bytes: mut rest } = *self;
        std::iter::from_fn(move || {
            let (section, after) = split_section(rest, record_bytes)?;
            rest = after;
            Some(section)
        })
    }
}

/// The first section of a table, and what follows it.
fn split_section<R: Record>(bytes: &[u8], record_bytes: usize) -> Option<(Section<'_, R>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    let [name, count] = words(head);
    let len = usize::try_from(count).ok()?.checked_mul(record_bytes)?;
    let (bytes, after) = rest.split_at_checked(len)?;
    Some((Section { name: StrOff(name), record_bytes, bytes, record: PhantomData }, after))
}

/// A `.BTF.ext` under construction. Strings come from the `.BTF`'s [`crate::Builder::str_off`].
#[derive(Debug, Clone, Default)]
pub struct ExtBuilder {
    funcs: BTreeMap<StrOff, Vec<FuncInfo>>,
    lines: BTreeMap<StrOff, Vec<LineInfo>>,
    relos: BTreeMap<StrOff, Vec<CoreRelo>>,
}

impl ExtBuilder {
    /// One without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function of the ELF section named `section`.
    pub fn add_func(&mut self, section: StrOff, func: FuncInfo) {
        self.funcs.entry(section).or_default().push(func);
    }

    /// Adds a source line.
    pub fn add_line(&mut self, section: StrOff, line: LineInfo) {
        self.lines.entry(section).or_default().push(line);
    }

    /// Adds a CO-RE relocation.
    pub fn add_relo(&mut self, section: StrOff, relo: CoreRelo) {
        self.relos.entry(section).or_default().push(relo);
    }

    /// Whether nothing was added: then the object needs no `.BTF.ext`.
    pub fn is_empty(&self) -> bool {
        self.funcs.is_empty() && self.lines.is_empty() && self.relos.is_empty()
    }

    /// The finished section, with a header of 32 bytes.
    pub fn finish(self) -> Vec<u8> {
        let tables = [table_bytes(self.funcs), table_bytes(self.lines), table_bytes(self.relos)];
        let mut header = vec![MAGIC_VERSION_FLAGS, 32];
        let mut off = 0;
        for table in &tables {
            // Records number at most one per instruction, far below 2^32 bytes.
            let len = table.len() as u32;
            header.extend([off, len]);
            off += len;
        }
        let mut out: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        out.extend(tables.concat());
        out
    }
}

/// A table, or nothing at all if it has no records.
fn table_bytes<R: Record>(sections: BTreeMap<StrOff, Vec<R>>) -> Vec<u8> {
    if sections.is_empty() {
        return Vec::new();
    }
    let mut words = vec![R::BYTES as u32];
    for (name, mut records) in sections {
        words.extend([name.0, records.len() as u32]);
        records.sort_by_key(|record| record.insn());
        words.extend(records.iter().flat_map(|record| record.encode().into_iter().take(R::BYTES / 4)));
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::{ByteOff, CoreRelo, Ext, ExtBuilder, FuncInfo, LineInfo};
    use crate::core::RelocKind;
    use crate::{Error, StrOff, TypeId};

    fn func(insn: u32) -> FuncInfo {
        FuncInfo { insn: ByteOff(insn), ty: TypeId(7) }
    }

    fn sample() -> Vec<u8> {
        let mut b = ExtBuilder::new();
        b.add_func(StrOff(9), func(16));
        b.add_func(StrOff(9), func(0));
        b.add_func(StrOff(5), func(8));
        let kind = RelocKind::TypeSize;
        b.add_relo(StrOff(5), CoreRelo { insn: ByteOff(8), ty: TypeId(3), access: StrOff(1), kind });
        b.finish()
    }

    fn words(bytes: &[u8]) -> Vec<u32> {
        bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    }

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn empty_tables_are_left_out_and_records_sorted() {
        let header = [0x0001_eb9f, 32, 0, 44, 44, 0, 44, 28];
        let funcs = [8, 5, 1, 8, 7, 9, 2, 0, 7, 16, 7];
        let relos = [16, 5, 1, 8, 3, 1, 9];
        assert_eq!(words(&sample()), [header.as_slice(), &funcs, &relos].concat());
    }

    #[test]
    fn what_was_written_is_read() -> Result<(), Error> {
        let bytes = sample();
        let ext = Ext::parse(&bytes)?;
        let funcs: Vec<_> = ext.funcs().map(|s| (s.name.0, s.records().collect::<Vec<_>>())).collect();
        assert_eq!(funcs, [(5, vec![func(8)]), (9, vec![func(0), func(16)])]);
        assert_eq!(ext.lines().count(), 0);
        assert_eq!(ext.relos().flat_map(|s| s.records()).map(|r| r.kind).next(), Some(RelocKind::TypeSize));
        Ok(())
    }

    #[test]
    fn lines_and_columns_are_capped() -> Result<(), Error> {
        let mut b = ExtBuilder::new();
        let line = LineInfo { insn: ByteOff(0), file: StrOff(1), text: StrOff(2), line: 70, column: 5000 };
        b.add_line(StrOff(3), line);
        let bytes = b.finish();
        let read = Ext::parse(&bytes)?.lines().flat_map(|s| s.records()).next();
        assert_eq!(read, Some(LineInfo { column: 1023, ..line }));
        Ok(())
    }

    #[test]
    fn larger_records_and_older_headers_are_read() -> Result<(), Error> {
        // 24 bytes of header, so no CO-RE fields; function records of 12 bytes.
        let old = bytes(&[0x0001_eb9f, 24, 0, 24, 24, 0, 12, 5, 1, 8, 7, 0xffff, 0]);
        let ext = Ext::parse(&old)?;
        assert_eq!(ext.funcs().flat_map(|s| s.records()).collect::<Vec<_>>(), [func(8)]);
        assert_eq!(ext.relos().count(), 0);
        Ok(())
    }

    #[test]
    fn broken_tables_say_what_is_broken() {
        // Header with only a table of functions, of the length given.
        let check = |off, len, table: &[u32], expected: &str| {
            let bytes = bytes(&[&[0x0001_eb9f, 24, off, len, 0, 0], table].concat());
            let result = Ext::parse(&bytes).map(|_| ());
            assert_eq!(result.map_err(|e| e.to_string()), Err(format!("BTF.ext func_info: {expected}")));
        };
        check(2, 20, &[8, 5, 1, 8, 7, 0], "is not aligned to 4 bytes");
        check(0, 24, &[8, 5, 1, 8, 7], "is outside the data");
        check(u32::MAX - 3, u32::MAX, &[8, 5, 1, 8, 7], "is outside the data");
        check(0, 4, &[4], "has an invalid record size");
        check(0, 4, &[8], "has no records");
        check(0, 12, &[8, 5, 0], "has a section without records");
        check(0, 20, &[8, 5, 2, 8, 7], "is cut off inside a section");
        check(0, 20, &[8, 5, u32::MAX, 8, 7], "is cut off inside a section");
        let swapped = Ext::parse(&[0xeb, 0x9f, 1, 0]).map(|_| ());
        assert_eq!(swapped, Err(Error::BigEndian));
        assert_eq!(Ext::parse(&[]).map(|_| ()), Err(Error::ShortHeader { need: 24, have: 0 }));
    }
}
