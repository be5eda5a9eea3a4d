//! tracefs, wherever it is mounted. Nothing is mounted for it.

use std::path::{Path, PathBuf};

const ROOTS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// The folder of tracefs, if it is mounted and readable.
pub fn root() -> Option<PathBuf> {
    ROOTS.iter().map(Path::new).find(|root| root.join("events").is_dir()).map(Path::to_owned)
}

/// The number of an event; `None` if it does not exist, or tracefs does not.
pub fn event_id(category: &str, event: &str) -> Option<u64> {
    let is_name = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
            && !part.starts_with('.')
    };
    if !is_name(category) || !is_name(event) {
        return None;
    }
    let path = root()?.join("events").join(category).join(event).join("id");
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
