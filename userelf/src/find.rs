//! The file that a script means by `libc`, `bash` or a path, on one host.
//!
//! Ensures  bpftrace's order: names that start with `lib` are libraries (the dynamic linker's cache, then
//!          its folders), names with a `/` are paths, others are looked for in `PATH`

use std::path::{Path, PathBuf};

/// Where the dynamic linker looks without a cache (`ld.so(8)`), with Debian's multiarch folders.
const LIBRARY_FOLDERS: &[&str] =
    &["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
const CACHE: &str = "/etc/ld.so.cache";
/// Where programs are if `PATH` is not set.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The file meant by `name` under `root` (`/` for this process's own); `search` are the folders of `PATH`.
pub fn target(name: &str, root: &Path, search: Option<&str>) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(under(root, name)).filter(|path| path.is_file());
    }
    if name.starts_with("lib") {
        return library(name, root);
    }
    let folders = search.unwrap_or(PATH).split(':').filter(|folder| !folder.is_empty());
    folders.map(|folder| under(root, folder).join(name)).find(|path| is_program(path))
}

/// A path of the root's; relative ones are this process's own.
fn under(root: &Path, path: &str) -> PathBuf {
    match path.strip_prefix('/') {
        Some(inside) => root.join(inside),
        None => PathBuf::from(path),
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// `libc` and `libc.so.6` both mean `libc.so.6`.
fn library(name: &str, root: &Path) -> Option<PathBuf> {
    let cache = std::fs::read(under(root, CACHE)).unwrap_or_default();
    let cached = entries(&cache).into_iter().filter(|(soname, _)| is_called(soname, name));
    let cached = cached.map(|(_, path)| under(root, path)).find(|path| path.is_file());
    cached.or_else(|| LIBRARY_FOLDERS.iter().find_map(|folder| library_in(&under(root, folder), name)))
}

fn library_in(folder: &Path, name: &str) -> Option<PathBuf> {
    let names = folder.read_dir().ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<_> = names.filter(|file| is_called(file, name)).collect();
    found.sort();
    found.into_iter().map(|file| folder.join(file)).find(|path| path.is_file())
}

fn is_called(file: &str, name: &str) -> bool {
    file == name || file.strip_prefix(name).is_some_and(|rest| rest.starts_with(".so"))
}

/// Names and paths of the cache: glibc's new format, alone or behind the old one
/// (`sysdeps/generic/dl-cache.h`). Entries are 24 bytes: flags, name, path, two words more.
fn entries(cache: &[u8]) -> Vec<(&str, &str)> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    const HEADER_BYTES: usize = 48;
    const ENTRY_BYTES: usize = 24;
    /// `FLAG_X8664_LIB64 | FLAG_ELF_LIBC6`; others are for other machines.
    const FLAGS: u32 = 0x303;
    let Some(start) = cache.windows(MAGIC.len()).step_by(4).position(|at| at == MAGIC) else {
        return Vec::new();
    };
    let cache = &cache[start * 4..];
    let word = |at: usize| Some(u32::from_le_bytes(*cache.get(at..)?.first_chunk()?));
    let text = |at: u32| {
        let text = cache.get(at as usize..)?.split(|byte| *byte == 0).next()?;
        std::str::from_utf8(text).ok()
    };
    let count = word(MAGIC.len()).unwrap_or(0) as usize;
    let table = cache.get(HEADER_BYTES..).unwrap_or_default().chunks_exact(ENTRY_BYTES).take(count);
    let at = |index: usize| HEADER_BYTES + index * ENTRY_BYTES;
    let entry = |index: usize| {
        (word(at(index))? == FLAGS).then_some((text(word(at(index) + 4)?)?, text(word(at(index) + 8)?)?))
    };
    table.enumerate().filter_map(|(index, _)| entry(index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(u32, &str, &str)]) -> Vec<u8> {
        let mut bytes = b"glibc-ld.so.cache1.1".to_vec();
        bytes.extend((entries.len() as u32).to_le_bytes());
        bytes.resize(48, 0);
        let mut strings = Vec::new();
        let base = 48 + entries.len() * 24;
        for (flags, name, path) in entries {
            let mut at = |text: &str| {
                let at = (base + strings.len()) as u32;
                strings.extend(text.bytes().chain([0]));
                at
            };
            for word in [*flags, at(name), at(path), 0, 0, 0] {
                bytes.extend(word.to_le_bytes());
            }
        }
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn the_linkers_cache() {
        let bytes = cache(&[(0x303, "libc.so.6", "/lib/libc.so.6"), (3, "libc.so.6", "/lib32/libc.so.6")]);
        assert_eq!(entries(&bytes), [("libc.so.6", "/lib/libc.so.6")]);
        assert_eq!(entries(&bytes[..80]), []);
        let behind = [b"ld.so-1.7.0\0\0\0\0\0".to_vec(), bytes].concat();
        assert_eq!(entries(&behind).len(), 1);
    }

    #[test]
    fn names() {
        assert!(is_called("libc.so.6", "libc") && is_called("libc.so.6", "libc.so.6"));
        assert!(!is_called("libcap.so.2", "libc"));
        assert_eq!(target("/nonexistent/x", Path::new("/"), None), None);
        assert!(target("sh", Path::new("/"), None).is_some());
    }
}
