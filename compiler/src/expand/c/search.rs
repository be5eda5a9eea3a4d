//! Where headers are looked for.
//!
//! Order: for `"name"` the folder of the including file, of the script, and the current one; then the
//! folders of `-I`; then the compiler's own headers; then the system's folders. `#include_next` goes on
//! behind the place where the including file was found.

use super::headers;

/// Headers a script can include: where they are, and who reads them.
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    /// The script's folder, with a slash at its end; empty for the current one.
    pub script_dir: &'a str,
    /// Folders of `-I`, searched first.
    pub dirs: &'a [String],
    /// The system's folders, searched last.
    pub system: &'a [String],
    /// Files to include in front of the script.
    pub first: &'a [String],
    /// Gives a file's bytes, if it can be read.
    pub read: &'a dyn Fn(&str) -> Option<Vec<u8>>,
}

impl Headers<'_> {
    /// No headers but the compiler's own.
    pub const NONE: Headers<'static> =
        Headers { script_dir: "", dirs: &[], system: &[], first: &[], read: &|_| None };

    /// Where `-I` and the system's folders would be looked at, for messages.
    pub(super) fn search_path(&self) -> String {
        let dirs: Vec<&str> = self.dirs.iter().chain(self.system).map(String::as_str).collect();
        if dirs.is_empty() { "no folder".to_owned() } else { dirs.join(", ") }
    }
}

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// How messages and the cache of files name it.
    pub(super) path: String,
    /// Its position in the search order, if it was found there.
    pub(super) rank: Option<usize>,
    pub(super) text: Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// The file was read before.
    Known,
    New(String),
}

/// How a header is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    /// `"name"`.
    pub(super) quoted: bool,
    /// Path and rank of the including file; none for the script.
    pub(super) from: Option<(&'a str, Option<usize>)>,
    /// `#include_next`.
    pub(super) next: bool,
}

/// Looks for a header. `known` tells which paths need not be read again.
pub(super) fn find(on: &Headers<'_>, wanted: Wanted<'_>, known: &dyn Fn(&str) -> bool) -> Option<Found> {
    let Wanted { name, quoted, from, next } = wanted;
    let try_path = |path: String, rank: Option<usize>| {
        let text = match known(&path) {
            true => Text::Known,
            false => Text::New(String::from_utf8_lossy(&(on.read)(&path)?).into_owned()),
        };
        Some(Found { path, rank, text })
    };
    if name.starts_with('/') {
        return try_path(name.to_owned(), None);
    }
    if quoted && !next {
        let near = from.map_or(on.script_dir, |(path, _)| folder(path));
        let folders = [near, on.script_dir, ""];
        let mut tried: Vec<&str> = Vec::new();
        for dir in folders {
            if !tried.contains(&dir)
                && let Some(found) = try_path(format!("{dir}{name}"), from.and_then(|(_, rank)| rank))
            {
                return Some(found);
            }
            tried.push(dir);
        }
    }
    let start = if next { from.and_then(|(_, rank)| rank).map_or(0, |rank| rank + 1) } else { 0 };
    (start..=on.dirs.len() + on.system.len()).find_map(|rank| {
        if rank == on.dirs.len() {
            let text = headers::builtin(name)?.to_owned();
            let path = format!("{BUILTIN}{name}");
            let text = if known(&path) { Text::Known } else { Text::New(text) };
            return Some(Found { path, rank: Some(rank), text });
        }
        let dir = on.dirs.get(rank).or_else(|| on.system.get(rank.checked_sub(on.dirs.len() + 1)?))?;
        try_path(format!("{}/{name}", dir.trim_end_matches('/')), Some(rank))
    })
}

/// In front of the names of headers that are no files: the compiler's and the kernel's.
pub(super) const BUILTIN: &str = "<built-in>/";
pub(super) const KERNEL: &str = "<kernel>/";

/// The folder of a path with its slash.
fn folder(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..=at])
}
