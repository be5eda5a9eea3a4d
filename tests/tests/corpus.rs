//! Every script of Debian's bpftrace packages parses: the language as people have written it since 2022.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use tests::{lab, objects, tree};

/// Scripts the reference of today rejects itself, with its reason: path within the corpus, why.
const REJECTED_BY_REFERENCE: [(&str, &str); 0] = [];

fn scripts() -> Vec<PathBuf> {
    let corpus = lab::lab().join("corpus");
    tree::files(&corpus, "bt")
}

#[test]
fn every_packaged_script_parses() {
    lab::set_up().expect("the corpus is fetched");
    let scripts = scripts();
    assert!(scripts.len() > 100, "only {} scripts in the corpus", scripts.len());
    let sondec = objects::sondec().expect("the compiler builds");
    let failures = Mutex::new(Vec::new());
    let todo = Mutex::new(scripts.clone());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(script) = { todo.lock().expect("no holder panics").pop() } {
                    if REJECTED_BY_REFERENCE.iter().any(|(path, _)| script.ends_with(path)) {
                        continue;
                    }
                    let output = Command::new(&sondec).args(["build", "--emit=ast"]).arg(&script).output();
                    let output = output.expect("the compiler starts");
                    if !output.status.success() || output.stdout.is_empty() {
                        let said = String::from_utf8_lossy(&output.stderr).into_owned();
                        failures.lock().expect("no holder panics").push((script, said));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no holder panics");
    for (script, said) in &failures {
        println!("{}\n{said}", script.display());
    }
    assert!(failures.is_empty(), "{} of {} scripts do not parse", failures.len(), scripts.len());
}
