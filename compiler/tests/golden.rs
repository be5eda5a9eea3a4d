//! What we emit for the scripts of `golden/`, against the pinned kernel types there.
//!
//! `BLESS=1` writes the expected files anew instead of comparing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden")
}

fn cases() -> Vec<PathBuf> {
    let dirs = |at: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(at).expect("golden/ is part of the tree");
        let mut paths: Vec<_> = entries.map(|e| e.expect("readable").path()).filter(|p| p.is_dir()).collect();
        paths.sort();
        paths
    };
    let areas = dirs(&golden()).into_iter().filter(|area| !area.ends_with("kernel"));
    areas.flat_map(|area| dirs(&area)).collect()
}

fn sondec(case: &Path, stage: &str) -> Output {
    // Run beside the script, so that messages name it without a path of this machine.
    Command::new(env!("CARGO_BIN_EXE_sondec"))
        .current_dir(case)
        .args(["build", "script.bt", "--btf", "../../kernel", "--emit", stage])
        .env("NO_COLOR", "1")
        .output()
        .expect("sondec runs")
}

/// Compares with the expected file, or writes it.
fn expect(case: &Path, file: &str, found: &[u8], failures: &mut Vec<String>) {
    let path = case.join(file);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found).expect("golden/ is writable");
        return;
    }
    let expected = std::fs::read(&path).unwrap_or_default();
    if expected != found {
        let (expected, found) = (String::from_utf8_lossy(&expected), String::from_utf8_lossy(found));
        failures.push(format!("{}\n--- expected\n{expected}\n+++ found\n{found}", path.display()));
    }
}

#[test]
fn golden_scripts() {
    let (mut failures, cases) = (Vec::new(), cases());
    for case in &cases {
        let asm = sondec(case, "asm");
        match asm.status.code() {
            Some(0) => {
                expect(case, "asm", &asm.stdout, &mut failures);
                expect(case, "manifest.json", &sondec(case, "manifest").stdout, &mut failures);
            }
            Some(1) => expect(case, "diagnostics", &asm.stderr, &mut failures),
            _ => failures.push(format!("{}: {}", case.display(), String::from_utf8_lossy(&asm.stderr))),
        }
    }
    assert!(cases.len() >= 10, "golden/ holds {} cases", cases.len());
    assert!(failures.is_empty(), "{} files differ:\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn every_case_says_why_it_exists() {
    for case in cases() {
        let script = std::fs::read_to_string(case.join("script.bt")).expect("every case has a script");
        assert!(script.starts_with("// "), "{} starts without a reason", case.display());
        assert!(script.lines().count() <= 60, "{} is longer than 60 lines", case.display());
    }
}
