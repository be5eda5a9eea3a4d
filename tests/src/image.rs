//! An object file as bytes to damage, one section at a time.

use crate::Failure;
use goblin::elf::Elf;
use std::ops::Range;

/// Offsets of `sh_offset` and `sh_size` within an ELF64 section header (gABI, "Section Header").
const SH_OFFSET: usize = 24;
const SH_SIZE: usize = 32;
const SHDR_BYTES: usize = 64;

/// The bytes of section `name`, as a range of `object`.
pub fn section(object: &[u8], name: &str) -> Result<Range<usize>, Failure> {
    Ok(locate(object, name)?.1)
}

/// `object` with section `name` replaced, by whatever length.
pub fn with_section(object: &[u8], name: &str, contents: &[u8]) -> Result<Vec<u8>, Failure> {
    let (header, _) = locate(object, name)?;
    let mut out = object.to_vec();
    out.resize(out.len().next_multiple_of(8), 0);
    let at = out.len() as u64;
    out.extend_from_slice(contents);
    out[header + SH_OFFSET..][..8].copy_from_slice(&at.to_le_bytes());
    out[header + SH_SIZE..][..8].copy_from_slice(&(contents.len() as u64).to_le_bytes());
    Ok(out)
}

/// The position of the section's header, and its contents.
fn locate(object: &[u8], name: &str) -> Result<(usize, Range<usize>), Failure> {
    let elf = Elf::parse(object).map_err(|e| e.to_string())?;
    let found =
        elf.section_headers.iter().enumerate().find(|(_, s)| elf.shdr_strtab.get_at(s.sh_name) == Some(name));
    let (index, header) = found.ok_or_else(|| format!("no section {name}"))?;
    let contents = header.file_range().ok_or_else(|| format!("section {name} has no bytes"))?;
    Ok((elf.header.e_shoff as usize + index * SHDR_BYTES, contents))
}
