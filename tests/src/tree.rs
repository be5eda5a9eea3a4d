//! Files below a directory, in a fixed order.

use std::path::{Path, PathBuf};

/// Every file below `dir` whose name ends in `.EXTENSION`; nothing of git's, nothing below hidden
/// or build directories.
pub fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            // A worktree has a file of that name.
            if name == ".git" {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                if !name.starts_with('.') && name != "target" {
                    todo.push(path);
                }
            } else if path.extension().is_some_and(|e| e == extension) || extension.is_empty() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
