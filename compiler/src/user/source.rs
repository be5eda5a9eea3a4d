//! The files of a user program on the build host: its debug information, wherever that is.
//!
//! Input    the path of a program or library
//! Output   sections for the DWARF reader: the file's own, or those of its debug file, of the file that
//!          dwz shares, and of split units
//! Ensures  the only place of `user/` with I/O; a section is read only when the reader asks for it

use super::units::Slice;
use gimli::LittleEndian;
use object::{CompressedData, CompressionFormat};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use userelf::Image;

/// Decompressed sections beyond this are refused: a few bytes can claim any size.
const SECTION_BYTES_MAX: u64 = 4 << 30;
/// zlib cannot do better than about 1032 to one; zstd can, but not for DWARF.
const RATIO_MAX: u64 = 1100;

/// Folders of separate debug files on this host.
#[derive(Debug, Clone, Default)]
pub struct Folders(pub Vec<PathBuf>);

/// The file that holds the DWARF of a program.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) image: Image,
}

impl File {
    pub(super) fn open(path: &Path) -> Option<File> {
        Some(File { path: path.to_owned(), image: Image::open(path).ok()? })
    }

    /// The file itself if it has DWARF, else its debug file.
    pub(super) fn with_debug_info(program: File, folders: &Folders) -> Result<File, String> {
        if program.image.has_section(".debug_info") {
            return Ok(program);
        }
        let places = userelf::debug::files(&program.image, &program.path, &folders.0);
        let opened = places.iter().filter_map(|place| File::open(place));
        let mut usable = opened.filter(|file| file.image.has_section(".debug_info"));
        usable.next().ok_or_else(|| no_debug_info(&program, folders))
    }

    /// The file that dwz moved common parts to; an error if it is named and missing.
    pub(super) fn shared(&self, folders: &Folders) -> Result<Option<File>, String> {
        let Some(link) = self.image.alt_link() else { return Ok(None) };
        let found = userelf::debug::alt_file(&self.image, &self.path, &folders.0);
        match found.and_then(|path| File::open(&path)) {
            Some(file) => Ok(Some(file)),
            None => Err(format!(
                "`{}` shares debug information with `{}` (build id {}), which is not here",
                self.path.display(),
                link.name,
                link.check
            )),
        }
    }

    /// The package of split units beside the file.
    pub(super) fn package(&self) -> Option<File> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".dwp");
        File::open(Path::new(&name))
    }

    /// The file of a split unit: as the compiler named it, or beside this one.
    pub(super) fn split(&self, folder: &Path, name: &Path) -> Option<File> {
        let beside = self.path.parent().unwrap_or(Path::new("/")).join(name.file_name()?);
        File::open(&folder.join(name)).or_else(|| File::open(&beside))
    }

    /// A section for the reader, empty if there is none.
    pub(super) fn section(&self, name: &str) -> Result<Slice, gimli::Error> {
        Ok(self.bytes(name).unwrap_or_else(|| slice(Vec::new())))
    }

    fn bytes(&self, name: &str) -> Option<Slice> {
        let section = self.image.section(name).ok()??;
        let bytes = if section.is_compressed { decompress(&section.bytes)? } else { section.bytes };
        Some(slice(bytes))
    }
}

fn slice(bytes: Vec<u8>) -> Slice {
    Slice::new(Arc::from(bytes), LittleEndian)
}

/// Name of a section in the file of a split unit.
pub(super) fn dwo_name(id: gimli::SectionId) -> &'static str {
    id.dwo_name().unwrap_or("")
}

/// Contents behind an `Elf64_Chdr`: type, padding, size, alignment (ELF gABI, "Section Compression").
pub(super) fn decompress(bytes: &[u8]) -> Option<Vec<u8>> {
    let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let format = match word(0)? as u32 {
        1 => CompressionFormat::Zlib,
        2 => CompressionFormat::Zstandard,
        _ => return None,
    };
    let (size, data) = (word(8)?, bytes.get(24..)?);
    if size > SECTION_BYTES_MAX || size > (data.len() as u64).saturating_mul(RATIO_MAX) {
        return None;
    }
    CompressedData { format, data, uncompressed_size: size }
        .decompress()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

fn no_debug_info(program: &File, folders: &Folders) -> String {
    let mut text = format!("`{}` has no debug information", program.path.display());
    let id = program.image.build_id();
    if let Some(id) = &id {
        let places: Vec<_> =
            folders.0.iter().map(|f| userelf::debug::build_id_path(f, id).display().to_string()).collect();
        text.push_str(&format!(", nor is it in `{}`", places.join("`, `")));
    }
    text
}

impl Folders {
    /// The given folders, then the one distributions use.
    pub fn new(mut folders: Vec<PathBuf>) -> Folders {
        folders.push(userelf::debug::FOLDER.into());
        Folders(folders)
    }
}
