//! Separate debug files: by build id, by `.gnu_debuglink`, and the one dwz shares among several.
//!
//! Ensures  a file found by name is the right one: its checksum, or its build id, is as the link says

use crate::image::Image;
use crate::note::BuildId;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where distributions put debug files.
pub const FOLDER: &str = "/usr/lib/debug";

/// Where the debug file of a build id would be in a folder such as [`FOLDER`].
pub fn build_id_path(folder: &Path, id: &BuildId) -> PathBuf {
    let text = id.to_string();
    let (first, rest) = text.split_at(2.min(text.len()));
    folder.join(".build-id").join(first).join(format!("{rest}.debug"))
}

/// Places of the debug file of `image`, which is at `path`; those that are there and right.
pub fn files(image: &Image, path: &Path, folders: &[PathBuf]) -> Vec<PathBuf> {
    let id = image.build_id();
    let by_id = folders.iter().zip(std::iter::repeat(id)).filter_map(|(f, id)| Some(build_id_path(f, &id?)));
    let link = image.debug_link();
    let by_link = link.into_iter().flat_map(|link| {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let inside = folder.strip_prefix("/").unwrap_or(folder);
        let near = [folder.to_owned(), folder.join(".debug")];
        let far = folders.iter().map(move |folder| folder.join(inside));
        let places = near.into_iter().chain(far).map(move |folder| folder.join(&link.name));
        places.filter(move |place| place != path && crc_of(place) == Some(link.check))
    });
    by_id.filter(|path| path.is_file()).chain(by_link).collect()
}

/// The file that `.gnu_debugaltlink` of `image`, which is at `path`, leads to.
pub fn alt_file(image: &Image, path: &Path, folders: &[PathBuf]) -> Option<PathBuf> {
    let link = image.alt_link()?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let by_id = folders.iter().map(|folder| build_id_path(folder, &link.check));
    let places = std::iter::once(folder.join(&link.name)).chain(by_id);
    let is_it =
        |place: &PathBuf| Image::open(place).is_ok_and(|image| image.build_id() == Some(link.check.clone()));
    places.into_iter().find(is_it)
}

/// The CRC-32 of a file, as `.gnu_debuglink` has it.
fn crc_of(path: &Path) -> Option<u32> {
    let mut file = std::fs::File::open(path).ok()?;
    let table = crc_table();
    let (mut crc, mut chunk) = (u32::MAX, vec![0; 1 << 16]);
    loop {
        let len = file.read(&mut chunk).ok()?;
        if len == 0 {
            return Some(!crc);
        }
        for byte in chunk.get(..len)? {
            crc = table[usize::from(crc as u8 ^ byte)] ^ crc >> 8;
        }
    }
}

/// Remainders of each byte by the reflected polynomial of IEEE 802.3.
fn crc_table() -> [u32; 256] {
    std::array::from_fn(|byte| {
        (0..8).fold(byte as u32, |crc, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_checksums() {
        let id = BuildId(vec![0xab, 0xcd, 0xef]);
        assert_eq!(
            build_id_path(Path::new(FOLDER), &id),
            Path::new("/usr/lib/debug/.build-id/ab/cdef.debug")
        );
        let path = std::env::temp_dir().join(format!("userelf-crc-{}", std::process::id()));
        std::fs::write(&path, b"123456789").expect("writes");
        assert_eq!(crc_of(&path), Some(0xcbf4_3926));
        std::fs::remove_file(&path).expect("removes");
    }
}
