//! One ELF file, read piece by piece.
//!
//! Input    a file, or its bytes
//! Output   [`Image`]: headers at once, contents of sections when asked for
//! Ensures  a piece outside the file is an error, never an allocation

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{EM_X86_64, ET_DYN, ET_EXEC, Header};
use goblin::elf::program_header::{PT_LOAD, ProgramHeader};
use goblin::elf::section_header::{SHF_COMPRESSED, SHT_NOBITS, SectionHeader};

const CTX: Ctx = Ctx { container: Container::Big, le: Endian::Little };
/// Bytes of `Elf64_Ehdr`, `Elf64_Phdr` and `Elf64_Shdr` (ELF gABI).
const EHDR_BYTES: u64 = 64;
const PHDR_BYTES: u64 = 56;
const SHDR_BYTES: u64 = 64;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot read it")]
    Read(#[from] std::io::Error),
    /// Something else than a 64-bit little-endian ELF file.
    #[error("it is no 64-bit little-endian ELF file")]
    NotElf,
    /// Headers that contradict the file.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// An ELF file.
#[derive(Debug)]
pub struct Image {
    source: Source,
    bytes: u64,
    header: Header,
    segments: Vec<ProgramHeader>,
    sections: Vec<SectionHeader>,
    names: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    File(File),
    Bytes(Vec<u8>),
}

/// A section's contents as they are in the file.
#[derive(Debug)]
pub struct Section {
    /// Contents, with their compression header if they are compressed.
    pub bytes: Vec<u8>,
    /// `SHF_COMPRESSED`.
    pub is_compressed: bool,
}

impl Image {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be read or is no ELF file we know.
    pub fn open(path: &Path) -> Result<Image, Error> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(Error::NotElf);
        }
        Image::new(Source::File(file), meta.len())
    }

    /// A file that is in memory.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Image, Error> {
        let len = bytes.len() as u64;
        Image::new(Source::Bytes(bytes), len)
    }

    fn new(source: Source, bytes: u64) -> Result<Image, Error> {
        let start = read(&source, bytes, 0, EHDR_BYTES).map_err(|_| Error::NotElf)?;
        let header = goblin::elf::Elf::parse_header(&start).map_err(|_| Error::NotElf)?;
        if header.container().ok() != Some(Container::Big) || header.endianness().ok() != Some(Endian::Little)
        {
            return Err(Error::NotElf);
        }
        let damaged = |_| Error::Damaged("its tables of segments or sections");
        let count = u64::from(header.e_phnum);
        let table = read(&source, bytes, header.e_phoff, count * PHDR_BYTES)?;
        let segments = ProgramHeader::parse(&table, 0, count as usize, CTX).map_err(damaged)?;
        let count = section_count(&source, bytes, &header)?;
        let size = count.checked_mul(SHDR_BYTES).ok_or(Error::Damaged("its number of sections"))?;
        let table = read(&source, bytes, header.e_shoff, size)?;
        let sections = table
            .chunks_exact(SHDR_BYTES as usize)
            .map(|one| SectionHeader::parse_from(one, 0, 1, CTX).map(|mut all| all.pop()))
            .collect::<Result<Option<Vec<_>>, _>>()
            .map_err(damaged)?
            .unwrap_or_default();
        let mut image = Image { source, bytes, header, segments, sections, names: Vec::new() };
        image.names = image.section_names();
        Ok(image)
    }

    fn section_names(&self) -> Vec<u8> {
        // `SHN_XINDEX`: the index is in the first section's link.
        let at = match self.header.e_shstrndx {
            0xffff => self.sections.first().map_or(0, |first| first.sh_link as usize),
            at => usize::from(at),
        };
        self.sections.get(at).and_then(|header| self.contents(header).ok()).unwrap_or_default()
    }

    /// Whether the machine is x86-64.
    pub fn is_x86_64(&self) -> bool {
        self.header.e_machine == EM_X86_64
    }

    /// Whether it is something that runs: a program or a shared library.
    pub fn is_executable(&self) -> bool {
        matches!(self.header.e_type, ET_EXEC | ET_DYN)
    }

    /// Bytes at a place of the file.
    pub(crate) fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
        read(&self.source, self.bytes, offset, len)
    }

    fn name_of(&self, header: &SectionHeader) -> &[u8] {
        let rest = self.names.get(header.sh_name..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&SectionHeader> {
        self.sections.iter().find(|header| self.name_of(header) == name.as_bytes())
    }

    pub(crate) fn header_at(&self, index: u32) -> Option<&SectionHeader> {
        self.sections.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn headers(&self) -> &[SectionHeader] {
        &self.sections
    }

    pub(crate) fn contents(&self, header: &SectionHeader) -> Result<Vec<u8>, Error> {
        if header.sh_type == SHT_NOBITS {
            return Ok(Vec::new());
        }
        self.read(header.sh_offset, header.sh_size)
    }

    /// The contents of the section of this name, if there is one with contents.
    ///
    /// # Errors
    /// If it lies outside the file or cannot be read.
    pub fn section(&self, name: &str) -> Result<Option<Section>, Error> {
        let Some(header) = self.header(name).filter(|header| header.sh_type != SHT_NOBITS) else {
            return Ok(None);
        };
        let is_compressed = header.sh_flags & u64::from(SHF_COMPRESSED) != 0;
        Ok(Some(Section { bytes: self.contents(header)?, is_compressed }))
    }

    /// Whether there is a section of this name with contents.
    pub fn has_section(&self, name: &str) -> bool {
        self.header(name).is_some_and(|header| header.sh_type != SHT_NOBITS && header.sh_size > 0)
    }

    /// Where the byte is in the file that a running program has at this address of the file's own
    /// address space; the kernel wants uprobes by file offset.
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        let loaded =
            self.segments.iter().filter(|segment| segment.p_type == PT_LOAD && segment.is_executable());
        let segment = loaded
            .into_iter()
            .find(|s| address.checked_sub(s.p_vaddr).is_some_and(|within| within < s.p_filesz))?;
        (address - segment.p_vaddr).checked_add(segment.p_offset)
    }
}

/// `e_shnum`, or the first section's size if there are too many to count there.
fn section_count(source: &Source, bytes: u64, header: &Header) -> Result<u64, Error> {
    if header.e_shoff == 0 {
        return Ok(0);
    }
    if header.e_shnum != 0 {
        return Ok(header.e_shnum.into());
    }
    let first = read(source, bytes, header.e_shoff, SHDR_BYTES)?;
    let first = first.get(32..40).and_then(|size| size.first_chunk::<8>());
    Ok(first.map_or(0, |size| u64::from_le_bytes(*size)))
}

fn read(source: &Source, bytes: u64, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
    let outside = || Error::Damaged("a part lies outside the file");
    let end = offset.checked_add(len).filter(|end| *end <= bytes).ok_or_else(outside)?;
    match source {
        Source::Bytes(all) => {
            let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
            range.and_then(|(start, end)| all.get(start..end)).map(<[u8]>::to_vec).ok_or_else(outside)
        }
        Source::File(file) => {
            let mut piece = vec![0; usize::try_from(len).map_err(|_| outside())?];
            file.read_exact_at(&mut piece, offset)?;
            Ok(piece)
        }
    }
}
