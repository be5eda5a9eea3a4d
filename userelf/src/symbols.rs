//! Functions by name, from `.symtab` and `.dynsym`.

use crate::image::{Error, Image};
use goblin::elf::section_header::{SHT_DYNSYM, SHT_SYMTAB, SectionHeader};
use goblin::elf::sym::{STT_FUNC, STT_GNU_IFUNC};

/// Bytes of `Elf64_Sym` (ELF gABI).
const SYM_BYTES: usize = 24;

/// `.symtab` and `.dynsym`; the gABI allows one of each.
const TABLES_MAX: usize = 2;

/// The symbol tables of a file.
#[derive(Debug, Default)]
pub struct Symbols {
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    symbols: Vec<u8>,
    strings: Vec<u8>,
}

/// A function that the file defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Symbol<'a> {
    /// Its name, without a version.
    pub name: &'a str,
    /// Its address in the file's own address space.
    pub address: u64,
    /// Bytes of its code; 0 if nobody said.
    pub size: u64,
}

impl Image {
    /// The symbol tables; none if the file is stripped.
    ///
    /// # Errors
    /// If they lie outside the file or cannot be read.
    pub fn symbols(&self) -> Result<Symbols, Error> {
        let wanted = |header: &&SectionHeader| matches!(header.sh_type, SHT_SYMTAB | SHT_DYNSYM);
        let mut tables = Vec::new();
        for header in self.headers().iter().filter(wanted).take(TABLES_MAX) {
            let Some(strings) = self.header_at(header.sh_link) else { continue };
            tables.push(Table { symbols: self.contents(header)?, strings: self.contents(strings)? });
        }
        Ok(Symbols { tables })
    }
}

impl Symbols {
    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(|table| table.symbols.len() <= SYM_BYTES)
    }

    /// Every function, table by table; one that both tables have comes twice.
    pub fn functions(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.tables.iter().flat_map(|table| {
            table.symbols.chunks_exact(SYM_BYTES).filter_map(|bytes| parse(bytes, &table.strings))
        })
    }

    /// The functions that are called this, by address.
    pub fn named(&self, name: &str) -> Vec<Symbol<'_>> {
        self.matching(|other| other == name)
    }

    /// The functions whose names match, by address; of several names for an address the first.
    pub fn matching(&self, wanted: impl Fn(&str) -> bool) -> Vec<Symbol<'_>> {
        let mut found: Vec<_> = self.functions().filter(|symbol| wanted(symbol.name)).collect();
        found.sort_by_key(|symbol| (symbol.address, symbol.name));
        found.dedup_by_key(|symbol| symbol.address);
        found
    }

    /// The function that an address lies in.
    pub fn containing(&self, address: u64) -> Option<Symbol<'_>> {
        let within = |symbol: &Symbol<'_>| {
            address.checked_sub(symbol.address).is_some_and(|within| within < symbol.size)
        };
        self.functions().find(within)
    }
}

/// A defined function; `st_info`, `st_shndx`, `st_value` and `st_size` are where the gABI has them.
fn parse<'a>(bytes: &[u8], strings: &'a [u8]) -> Option<Symbol<'a>> {
    let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..at + 8)?.first_chunk()?));
    let head = word(0)?;
    let (name, info, section) = (head & 0xffff_ffff, (head >> 32) as u8, (head >> 48) as u16);
    if section == 0 || !matches!(info & 0xf, STT_FUNC | STT_GNU_IFUNC) {
        return None;
    }
    let text = strings.get(usize::try_from(name).ok()?..)?.split(|byte| *byte == 0).next()?;
    let name = std::str::from_utf8(text).ok()?;
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    (!name.is_empty()).then_some(Symbol { name, address: word(8)?, size: word(16)? })
}
