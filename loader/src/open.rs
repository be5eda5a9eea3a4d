//! Opens an object: bytes to plain data.
//!
//! Input    a file's bytes, untrusted
//! Output   [`Object`], with everything it promises checked
//! Ensures  no panic and no system call on any input; memory in proportion to the file, but for `.bss`, which is
//!          bounded by [`LIMITS`]
//! Breaks   nothing
//!
//! | file | holds |
//! | --- | --- |
//! | `open/elf.rs` | sections, symbols, relocations |
//! | `open/maps.rs` | map definitions from BTF |
//! | `open/code.rs` | instructions, functions, `.BTF.ext` |
//! | `open/promises.rs` | that the manifest fits the object |

mod code;
mod elf;
mod maps;
mod promises;

use crate::object::{DataSection, Extern, ExternKind, Object};
use btf::{Btf, Kind, Type, TypeId};
use manifest::Manifest;
use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;

/// Bounds on an object; all far above what a compiler emits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of a data section, `.bss` included.
    pub data_bytes: u64,
}

/// The bounds in force.
pub const LIMITS: Limits = Limits { file_bytes: 64 << 20, data_bytes: 16 << 20 };

/// Why an object is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than [`Limits::file_bytes`].
    #[error("file of {0} bytes is larger than {max}", max = LIMITS.file_bytes)]
    TooLarge(u64),
    /// Not an ELF file at all.
    #[error("not an ELF file: expected an object built by `sondec build`")]
    NotElf,
    /// An ELF file that goblin cannot read.
    #[error("malformed ELF file")]
    Elf(#[source] goblin::error::Error),
    /// An ELF file that is not as BPF objects are.
    #[error("malformed object: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// A section that is wrong.
    #[error("section `{section}` {what}")]
    Section {
        /// Which.
        section: String,
        /// What is wrong.
        what: String,
    },
    /// A symbol that is wrong.
    #[error("symbol `{symbol}` {what}")]
    Symbol {
        /// Which.
        symbol: String,
        /// What is wrong.
        what: String,
    },
    /// A relocation that is wrong.
    #[error("section `{section}`, instruction {insn}: relocation {what}")]
    Reloc {
        /// Section it is about.
        section: String,
        /// Instruction it is about.
        insn: usize,
        /// What is wrong.
        what: String,
    },
    /// An instruction that is wrong.
    #[error("section `{section}`, instruction {insn}: {what}")]
    Insn {
        /// Its section.
        section: String,
        /// Which.
        insn: usize,
        /// What is wrong.
        what: String,
    },
    /// A map definition that is wrong.
    #[error("map `{symbol}` {what}")]
    Map {
        /// Its symbol.
        symbol: String,
        /// What is wrong.
        what: String,
    },
    /// BTF that is wrong.
    #[error("section `{section}` is malformed")]
    Btf {
        /// Which.
        section: &'static str,
        /// What is wrong.
        #[source]
        source: btf::Error,
    },
    /// No manifest.
    #[error(
        "section `{section}` is missing: this is a BPF object, but `sondec` did not build it, or a tool dropped the section",
        section = manifest::SECTION
    )]
    NoManifest,
    /// A manifest that is wrong.
    #[error("section `{section}` is malformed", section = manifest::SECTION)]
    Manifest(#[source] manifest::Error),
    /// A manifest that promises what the object does not hold.
    #[error("manifest {entry}: {what}")]
    Promise {
        /// Which entry.
        entry: String,
        /// What is wrong.
        what: String,
    },
}

/// Opens the bytes of an object.
pub fn parse(bytes: &[u8]) -> Result<Object, Error> {
    if bytes.len() as u64 > LIMITS.file_bytes {
        return Err(Error::TooLarge(bytes.len() as u64));
    }
    let elf = elf::Elf::parse(bytes)?;
    let manifest = section_bytes(&elf, manifest::SECTION)?.ok_or(Error::NoManifest)?;
    let manifest = Arc::new(Manifest::from_bytes(manifest).map_err(Error::Manifest)?);
    let missing = |section: &str| Error::Section { section: section.into(), what: "is missing".into() };
    let btf = section_bytes(&elf, ".BTF")?.ok_or_else(|| missing(".BTF"))?;
    let btf = Btf::from_vec(btf.to_vec()).map_err(|source| Error::Btf { section: ".BTF", source })?;
    let license = section_bytes(&elf, "license")?.ok_or_else(|| missing("license"))?;
    let license = CStr::from_bytes_until_nul(license)
        .map_err(|_| Error::Section { section: "license".into(), what: "does not end in NUL".into() })?;

    let maps = maps::parse_maps(&elf, &btf)?;
    let (data, data_sections) = parse_data(&elf, &btf)?;
    let externs = parse_externs(&elf, &btf)?;
    let referents =
        code::Referents { maps: &maps, externs: &externs, data: &data, data_sections: &data_sections };
    let (mut code, text) = code::parse_code(&elf, &referents)?;
    if let Some(ext) = section_bytes(&elf, ".BTF.ext")? {
        code::add_ext(&mut code, &btf, ext)?;
    }
    let mut object = Object {
        license: license.to_owned(),
        btf: Arc::new(btf),
        code,
        text,
        maps,
        data,
        externs,
        programs: Vec::new(),
        manifest,
        lost_events: None,
        globals: Vec::new(),
        events: None,
        script_maps: Vec::new(),
    };
    promises::check(&mut object, &elf, &data_sections)?;
    Ok(object)
}

fn section_bytes<'a>(elf: &elf::Elf<'a>, name: &str) -> Result<Option<&'a [u8]>, Error> {
    let index = elf.section(name)?;
    Ok(index.and_then(|index| elf.sections.get(index)).map(|section| section.bytes))
}

/// The sections of global variables, and where each ELF section went.
fn parse_data(elf: &elf::Elf<'_>, btf: &Btf) -> Result<(Vec<DataSection>, HashMap<usize, usize>), Error> {
    let mut data = Vec::new();
    let mut places = HashMap::new();
    let is =
        |name: &str, base: &str| name == base || name.strip_prefix(base).is_some_and(|r| r.starts_with('.'));
    for (index, section) in elf.sections.iter().enumerate() {
        let read_only = is(section.name, ".rodata");
        if !read_only && !is(section.name, ".data") && !is(section.name, ".bss") || section.size == 0 {
            continue;
        }
        elf.section(section.name)?;
        let bad = |what: String| Error::Section { section: section.name.into(), what };
        if section.size > LIMITS.data_bytes {
            return Err(bad(format!("of {} bytes is larger than {}", section.size, LIMITS.data_bytes)));
        }
        if elf.relocs.contains_key(&index) {
            return Err(bad("holds addresses, which sonde does not support".into()));
        }
        let bytes = match section.is_nobits {
            true => vec![0; usize::try_from(section.size).unwrap_or(0)],
            false => section.bytes.to_vec(),
        };
        let ty = btf.find(section.name, Kind::DataSec).next().unwrap_or(TypeId::VOID);
        places.insert(index, data.len());
        data.push(DataSection { name: section.name.into(), bytes, read_only, ty });
    }
    Ok((data, places))
}

/// The kernel symbols that BTF declares in `.ksyms`.
fn parse_externs(elf: &elf::Elf<'_>, btf: &Btf) -> Result<Vec<Extern>, Error> {
    if btf.find(".kconfig", Kind::DataSec).next().is_some() {
        let what = "is not supported: use sonde's own read-only globals".into();
        return Err(Error::Section { section: ".kconfig".into(), what });
    }
    let Some(id) = btf.find(".ksyms", Kind::DataSec).next() else { return Ok(Vec::new()) };
    let Ok(Type::DataSec(datasec)) = btf.ty(id) else { return Ok(Vec::new()) };
    let mut externs = Vec::new();
    for var in datasec.vars() {
        let (name, kind) = match btf.ty(var.ty) {
            Ok(Type::Func { name, .. }) => (name, ExternKind::Function),
            Ok(Type::Var { name, ty, .. }) => match btf.skip_mods(ty) {
                Ok(TypeId::VOID) => (name, ExternKind::Address),
                _ => (name, ExternKind::Variable),
            },
            _ => continue,
        };
        let symbol = elf.symbols.iter().find(|s| s.name == name && s.home == elf::Home::Undefined);
        let weak = symbol.is_some_and(|symbol| symbol.is_weak);
        externs.push(Extern { name: name.into(), weak, kind });
    }
    Ok(externs)
}

#[cfg(test)]
mod tests;
