//! What review would otherwise repeat: sizes, names, leftovers of somebody's machine, dead pointers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tests::{lab, tree};

const FILE_LINES_MAX: usize = 600;
const FN_LINES_MAX: usize = 60;
const README_LINES_MAX: usize = 40;
/// Where sizes beyond the limits are recorded: they may fall, not rise. Written by `SONDE_BLESS=1`.
const RATCHET: &str = "tests/tidy.ratchet";

fn relative(path: &Path) -> String {
    path.strip_prefix(lab::tree()).unwrap_or(path).to_string_lossy().into_owned()
}

fn text_files() -> Vec<(String, String)> {
    let mut files = tree::files(&lab::tree(), "");
    files.extend(tree::files(&lab::tree().join(".ci"), ""));
    files
        .into_iter()
        .filter_map(|path| Some((relative(&path), std::fs::read_to_string(&path).ok()?)))
        .collect()
}

fn rust_files() -> Vec<(String, String)> {
    text_files().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect()
}

/// Files and functions beyond the limits: `path` or `path::function`, and how many lines.
fn oversized() -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (path, text) in rust_files() {
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            found.insert(path.clone(), lines.len());
        }
        for (name, length) in functions(&lines).into_iter().filter(|(_, n)| *n > FN_LINES_MAX) {
            found.insert(format!("{path}::{name}"), length);
        }
    }
    found
}

/// Functions by name with their lengths; relies on rustfmt: a body ends where its first line began.
fn functions(lines: &[&str]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some((before, after)) = line.split_once("fn ") else { continue };
        let modifier = |w: &str| {
            w.starts_with("pub")
                || w.starts_with('"')
                || w == "in"
                || ["const", "unsafe", "extern", "async"].contains(&w)
        };
        let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() || !before.split_whitespace().all(modifier) {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        let body =
            lines[at..].iter().position(|l| l.ends_with(';') || *l == close || l.trim_end().ends_with("{}"));
        if let Some(end) = lines[at..].iter().position(|l| *l == close)
            && body.is_some_and(|b| lines[at..=at + b].iter().any(|l| l.ends_with('{')))
        {
            found.push((name, end + 1));
        }
    }
    found
}

#[test]
fn sizes_only_fall() {
    let now = oversized();
    let file = lab::tree().join(RATCHET);
    if std::env::var_os("SONDE_BLESS").is_some() {
        let mut text = String::new();
        for (what, lines) in &now {
            writeln!(text, "{what} {lines}").expect("writing to a string");
        }
        std::fs::write(&file, text).expect("writes the ratchet");
    }
    let ratchet = std::fs::read_to_string(&file).unwrap_or_default();
    let allowed: BTreeMap<&str, usize> = ratchet
        .lines()
        .filter_map(|l| l.rsplit_once(' '))
        .map(|(what, n)| (what, n.parse().expect("the ratchet holds numbers")))
        .collect();
    let mut complaints = Vec::new();
    for (what, lines) in &now {
        match allowed.get(what.as_str()) {
            Some(max) if lines <= max => {}
            Some(max) => complaints.push(format!("{what}: {lines} lines, was {max}")),
            None => complaints.push(format!(
                "{what}: {lines} lines; past {FILE_LINES_MAX} for a file and {FN_LINES_MAX} for a function look for the second idea"
            )),
        }
    }
    let gone = allowed.keys().filter(|what| !now.contains_key(**what));
    complaints.extend(gone.map(|what| format!("{what}: within the limits now, take it out of {RATCHET}")));
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn no_file_is_named_after_nothing() {
    let bad: Vec<String> = rust_files()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|p| {
            ["util", "utils", "helpers", "common", "misc", "manager"]
                .iter()
                .any(|n| p.ends_with(&format!("/{n}.rs")))
        })
        .collect();
    assert!(bad.is_empty(), "name these after what they hold: {bad:?}");
}

/// Written in two halves, or this file would find itself.
const MACHINE: [(&str, &str); 3] = [("/ro", "ot/"), ("/ho", "me/"), ("/wo", "rk/")];
const REGISTRIES: [(&str, &str); 8] = [
    ("deb.debian", ".org"),
    ("snapshot.debian", ".org"),
    ("crates", ".io/api"),
    ("static.crates", ".io"),
    ("index.crates", ".io"),
    ("pypi", ".org"),
    ("registry.npmjs", ".org"),
    ("proxy.golang", ".org"),
];

#[test]
fn nothing_of_one_machine_is_in_the_tree() {
    let mut found = Vec::new();
    for (path, text) in text_files().iter().filter(|(path, _)| path != "Cargo.lock") {
        for (number, line) in text.lines().enumerate() {
            let at_start = |needle: &str| {
                line.match_indices(needle).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "}_./*$-\"".contains(c))
                        || line[..at].ends_with("=\"")
                })
            };
            let machine = MACHINE.iter().any(|(a, b)| at_start(&format!("{a}{b}")));
            let registry = REGISTRIES.iter().any(|(a, b)| line.contains(&format!("{a}{b}")));
            if machine || registry {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "paths of a machine or names of registry hosts:\n{}", found.join("\n"));
}

#[test]
fn every_crate_has_a_short_readme() {
    let manifest =
        std::fs::read_to_string(lab::tree().join("Cargo.toml")).expect("the workspace has a manifest");
    let members = manifest.lines().find(|l| l.starts_with("members")).expect("members are on one line");
    for member in members.split('"').skip(1).step_by(2) {
        let readme = lab::tree().join(member).join("README.md");
        let text = std::fs::read_to_string(&readme).unwrap_or_else(|e| panic!("{}: {e}", readme.display()));
        let lines = text.lines().count();
        assert!(lines <= README_LINES_MAX, "{member}/README.md has {lines} lines");
    }
}

#[test]
fn paths_named_in_the_documents_exist() {
    let mut dead = Vec::new();
    for name in ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(lab::tree().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let dead_here =
            text.split('`').skip(1).step_by(2).filter(|span| is_path(span)).filter(|p| !exists(p));
        dead.extend(dead_here.map(|p| format!("{name}: {p}")));
    }
    assert!(dead.is_empty(), "no such paths:\n{}", dead.join("\n"));
}

/// A path of the tree: relative, with a slash or a known ending, without blanks and placeholders.
fn is_path(span: &str) -> bool {
    let plain = span.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
    let known = [".rs", ".md", ".toml", ".bt", ".lalrpop"].iter().any(|e| span.ends_with(e));
    let first = span.split('/').next().unwrap_or_default();
    let below_top = span.contains('/') && lab::tree().join(first).is_dir();
    plain && !span.starts_with('/') && (known || below_top)
}

fn exists(path: &str) -> bool {
    let whole: PathBuf = lab::tree().join(path);
    // `pipeline.rs` without a folder is a file name, wherever it is.
    whole.exists()
        || (!path.contains('/') && text_files().iter().any(|(p, _)| p.ends_with(&format!("/{path}"))))
}
