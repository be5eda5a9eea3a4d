//! What a file says of its debug files: build id, `.gnu_debuglink`, `.gnu_debugaltlink`.

use crate::image::Image;
use goblin::elf::section_header::{SHT_NOTE, SectionHeader};
use std::fmt;

/// `NT_GNU_BUILD_ID`.
const GNU_BUILD_ID: u32 = 3;
/// Sections of more notes are not looked at.
const NOTES_BYTES_MAX: u64 = 1 << 16;
/// Longer ones are no build ids: linkers write 8 to 32 bytes.
const BUILD_ID_BYTES_MAX: usize = 64;

/// The build id: equal ones mean equal files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildId(pub Vec<u8>);

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A link to another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link<T> {
    /// Its name; a file's own choice, never to be trusted to be only a name.
    pub name: String,
    /// What tells that it is the right one.
    pub check: T,
}

impl Image {
    /// The build id of the GNU note, if there is one.
    pub fn build_id(&self) -> Option<BuildId> {
        let is_note =
            |header: &&SectionHeader| header.sh_type == SHT_NOTE && header.sh_size <= NOTES_BYTES_MAX;
        let notes = self.headers().iter().filter(is_note);
        notes.filter_map(|header| self.contents(header).ok()).find_map(|bytes| build_id_in(&bytes))
    }

    /// `.gnu_debuglink`: a name and the CRC-32 of the file.
    pub fn debug_link(&self) -> Option<Link<u32>> {
        let bytes = self.section(".gnu_debuglink").ok()??.bytes;
        let name = bytes.split(|byte| *byte == 0).next()?;
        // The checksum stands at the next multiple of four behind the NUL.
        let at = (name.len() + 1).next_multiple_of(4);
        let check = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        Some(Link { name: std::str::from_utf8(name).ok()?.to_owned(), check })
    }

    /// `.gnu_debugaltlink`: the file that dwz moved common parts to, by name and build id.
    pub fn alt_link(&self) -> Option<Link<BuildId>> {
        let bytes = self.section(".gnu_debugaltlink").ok()??.bytes;
        let name = bytes.split(|byte| *byte == 0).next()?;
        let id = bytes.get(name.len() + 1..).filter(|id| id.len() <= BUILD_ID_BYTES_MAX)?;
        Some(Link { name: std::str::from_utf8(name).ok()?.to_owned(), check: BuildId(id.to_vec()) })
    }
}

/// Notes are a header of three words (lengths of name and contents, type), the name, the contents;
/// both padded to four bytes (ELF gABI, "Note Section").
fn build_id_in(mut bytes: &[u8]) -> Option<BuildId> {
    loop {
        let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let (name_len, len, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let rest = bytes.get(12..)?;
        let name = rest.get(..name_len)?;
        let rest = rest.get(name_len.checked_next_multiple_of(4)?..)?;
        let contents = rest.get(..len)?;
        if kind == GNU_BUILD_ID && name == b"GNU\0" && (1..=BUILD_ID_BYTES_MAX).contains(&len) {
            return Some(BuildId(contents.to_vec()));
        }
        bytes = rest.get(len.checked_next_multiple_of(4)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_ids_behind_other_notes() {
        let note = |kind: u32, contents: &[u8]| {
            let mut bytes: Vec<u8> =
                [4, contents.len() as u32, kind].iter().flat_map(|w| w.to_le_bytes()).collect();
            bytes.extend(b"GNU\0");
            bytes.extend(contents);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let both = [note(1, &[9; 5]), note(3, &[0xab, 0x01])].concat();
        assert_eq!(build_id_in(&both).map(|id| id.to_string()), Some("ab01".to_owned()));
        assert_eq!(build_id_in(&both[..20]), None);
        assert_eq!(build_id_in(&[0xff; 12]), None);
    }
}
