//! The ELF container: sections, symbols, relocations, all inside the file.
//!
//! Input    untrusted bytes
//! Output   [`Elf`], which borrows them
//! Ensures  section and symbol indices in range, symbols inside their sections, one symbol table; tables are no
//!          longer than the file can hold, so nothing is allocated that the file does not pay for

use super::Error;
use goblin::container::Ctx;
use goblin::elf::header::{self, Header};
use goblin::elf::section_header::{self, SectionHeader};
use goblin::elf::{Elf as GoblinElf, RelocSection, Symtab, sym};
use std::collections::BTreeMap;

/// `EM_BPF`.
const EM_BPF: u16 = 247;

/// A section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) name: &'a str,
    /// Contents; empty for `SHT_NOBITS`.
    pub(super) bytes: &'a [u8],
    /// Bytes, also of `SHT_NOBITS`.
    pub(super) size: u64,
    pub(super) is_code: bool,
    pub(super) is_nobits: bool,
}

/// Which section a symbol is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    Undefined,
    Section(usize),
    Elsewhere,
}

/// A symbol.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol<'a> {
    pub(super) name: &'a str,
    pub(super) home: Home,
    pub(super) value: u64,
    pub(super) size: u64,
    pub(super) is_function: bool,
    pub(super) is_object: bool,
    pub(super) is_weak: bool,
}

/// A relocation of a section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rel {
    pub(super) offset: u64,
    pub(super) kind: u32,
    pub(super) symbol: usize,
}

/// The container.
#[derive(Debug)]
pub(super) struct Elf<'a> {
    pub(super) sections: Vec<Section<'a>>,
    pub(super) symbols: Vec<Symbol<'a>>,
    /// By the index of the section they change.
    pub(super) relocs: BTreeMap<usize, Vec<Rel>>,
}

fn malformed(what: impl Into<String>) -> Error {
    Error::Malformed { what: what.into() }
}

fn slice<'a>(bytes: &'a [u8], offset: u64, size: u64, what: &str) -> Result<&'a [u8], Error> {
    let start = usize::try_from(offset).ok();
    let end = offset.checked_add(size).and_then(|end| usize::try_from(end).ok());
    start
        .zip(end)
        .and_then(|(start, end)| bytes.get(start..end))
        .ok_or_else(|| malformed(format!("{what} lies outside the file of {} bytes", bytes.len())))
}

fn text<'a>(strings: &'a [u8], offset: usize, what: &str) -> Result<&'a str, Error> {
    let tail = strings.get(offset..).unwrap_or_default();
    let end = tail.iter().position(|&byte| byte == 0);
    end.and_then(|end| std::str::from_utf8(tail.get(..end)?).ok()).ok_or_else(|| {
        malformed(format!("{what} has a name outside its string table, or one that is not UTF-8"))
    })
}

impl<'a> Elf<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let head = check_header(bytes)?;
        let ctx = Ctx::new(goblin::container::Container::Big, goblin::container::Endian::Little);
        let table_bytes = u64::from(head.e_shnum) * 64;
        slice(bytes, head.e_shoff, table_bytes, "the section table")?;
        let offset = usize::try_from(head.e_shoff).unwrap_or(usize::MAX);
        let headers = SectionHeader::parse(bytes, offset, head.e_shnum.into(), ctx).map_err(Error::Elf)?;
        let data = |header: &SectionHeader, what: &str| match header.sh_type {
            section_header::SHT_NOBITS | section_header::SHT_NULL => Ok(&bytes[..0]),
            _ => slice(bytes, header.sh_offset, header.sh_size, what),
        };
        let names = headers.get(usize::from(head.e_shstrndx)).ok_or_else(|| malformed("no section names"))?;
        let names = data(names, "the section name table")?;

        let mut sections = Vec::with_capacity(headers.len());
        for (index, header) in headers.iter().enumerate() {
            let name = text(names, header.sh_name, &format!("section {index}"))?;
            sections.push(Section {
                name,
                bytes: data(header, &format!("section {name}"))?,
                size: header.sh_size,
                is_code: header.sh_flags & u64::from(section_header::SHF_EXECINSTR) != 0,
                is_nobits: header.sh_type == section_header::SHT_NOBITS,
            });
        }
        let symbols = parse_symbols(&headers, &sections, ctx)?;
        let relocs = parse_relocs(&headers, &sections, symbols.len(), ctx)?;
        Ok(Self { sections, symbols, relocs })
    }

    /// The only section of this name; the first counts for loaders, so two are refused.
    pub(super) fn section(&self, name: &str) -> Result<Option<usize>, Error> {
        let mut found = self.sections.iter().enumerate().filter(|(_, section)| section.name == name);
        let first = found.next().map(|(index, _)| index);
        match found.next() {
            None => Ok(first),
            Some(_) => Err(Error::Section { section: name.into(), what: "occurs twice".into() }),
        }
    }
}

fn check_header(bytes: &[u8]) -> Result<Header, Error> {
    if bytes.get(..4) != Some(b"\x7fELF") {
        return Err(Error::NotElf);
    }
    let head = GoblinElf::parse_header(bytes).map_err(Error::Elf)?;
    let is_64 = head.e_ident[header::EI_CLASS] == header::ELFCLASS64;
    if !is_64 || head.e_ident[header::EI_DATA] != header::ELFDATA2LSB {
        return Err(malformed("only 64-bit little-endian objects are supported"));
    }
    if head.e_machine != EM_BPF || head.e_type != header::ET_REL {
        return Err(malformed("it is an ELF file, but not a relocatable BPF object"));
    }
    if head.e_shnum == 0 || head.e_shentsize != 64 {
        return Err(malformed("it has no section table, or one of another layout"));
    }
    Ok(head)
}

fn parse_symbols<'a>(
    headers: &[SectionHeader],
    sections: &[Section<'a>],
    ctx: Ctx,
) -> Result<Vec<Symbol<'a>>, Error> {
    let mut tables = headers.iter().zip(sections).filter(|(h, _)| h.sh_type == section_header::SHT_SYMTAB);
    let Some((header, table)) = tables.next() else { return Err(malformed("it has no symbol table")) };
    if tables.next().is_some() {
        return Err(malformed("it has two symbol tables"));
    }
    let strings = usize::try_from(header.sh_link).ok().and_then(|link| sections.get(link));
    let strings = strings.ok_or_else(|| malformed("the symbol table has no string table"))?.bytes;
    let parsed = Symtab::parse(table.bytes, 0, table.bytes.len() / 24, ctx).map_err(Error::Elf)?;
    let mut symbols = Vec::with_capacity(parsed.len());
    for (index, symbol) in parsed.iter().enumerate() {
        let name = text(strings, symbol.st_name, &format!("symbol {index}"))?;
        let home = match symbol.st_shndx {
            0 => Home::Undefined,
            index if index >= section_header::SHN_LORESERVE as usize => Home::Elsewhere,
            index => Home::Section(index),
        };
        if let Home::Section(index) = home {
            let section = sections.get(index).ok_or_else(|| Error::Symbol {
                symbol: name.into(),
                what: format!("is in section {index}, there are {}", sections.len()),
            })?;
            if symbol.st_value.checked_add(symbol.st_size).is_none_or(|end| end > section.size) {
                let what = format!("leaves its section {}", section.name);
                return Err(Error::Symbol { symbol: name.into(), what });
            }
        }
        symbols.push(Symbol {
            name,
            home,
            value: symbol.st_value,
            size: symbol.st_size,
            is_function: symbol.st_type() == sym::STT_FUNC,
            is_object: symbol.st_type() == sym::STT_OBJECT,
            is_weak: symbol.st_bind() == sym::STB_WEAK,
        });
    }
    Ok(symbols)
}

fn parse_relocs(
    headers: &[SectionHeader],
    sections: &[Section<'_>],
    symbols: usize,
    ctx: Ctx,
) -> Result<BTreeMap<usize, Vec<Rel>>, Error> {
    const REL_BYTES: usize = 16;
    let mut all: BTreeMap<usize, Vec<Rel>> = BTreeMap::new();
    for (header, section) in headers.iter().zip(sections) {
        let bad = |what: String| Error::Section { section: section.name.into(), what };
        match header.sh_type {
            section_header::SHT_REL => {}
            section_header::SHT_RELA => return Err(bad("has relocations of a kind BPF does not use".into())),
            _ => continue,
        }
        let target = usize::try_from(header.sh_info).ok().filter(|&target| target < sections.len());
        let target = target.ok_or_else(|| bad("relocates a section that does not exist".into()))?;
        let list = all.entry(target).or_default();
        let whole = section.bytes.len() / REL_BYTES * REL_BYTES;
        for parsed in RelocSection::parse(section.bytes, 0, whole, false, ctx).map_err(Error::Elf)?.iter() {
            if parsed.r_sym == 0 || parsed.r_sym >= symbols {
                return Err(bad(format!("refers to symbol {}, there are {symbols}", parsed.r_sym)));
            }
            list.push(Rel { offset: parsed.r_offset, kind: parsed.r_type, symbol: parsed.r_sym });
        }
        list.sort_by_key(|rel| rel.offset);
    }
    Ok(all)
}
