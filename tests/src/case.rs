//! A case: a script under `tests/cases/AREA/NAME.bt`, its conditions, and what must come out.
//!
//! Conditions are header lines `//! key: value` of the script, all optional:
//!
//! | key | meaning |
//! | --- | --- |
//! | `kernels` | where it runs, of [`lab::KERNELS`]; default all |
//! | `build` | the kernel whose types it is compiled with, default [`lab::BUILD_KERNEL`] |
//! | `modules` | kernel modules loaded before |
//! | `programs` | programs of `tests/programs` that it probes, in `PATH` where it is compiled and where it runs |
//! | `script` | take the script from the reference tracer's Debian package instead of this file |
//! | `before`, `trigger`, `after` | shell text before the tracer starts, once attached, and after; may repeat |
//! | `linger` | milliseconds between the trigger and the SIGINT that ends the tracer |
//! | `args`, `params` | options of the tracer, and the script's own parameters |
//! | `exit` | the tracer's exit status, default 0 |
//! | `oracle` | `bpftrace`: the reference tracer runs the same in the same guest |
//! | `compare` | `exact` (default) or `shape` |
//! | `keep` | compare only lines containing this; may repeat |
//! | `opens-btf` | the BTF files the loader opens, seen by strace, all of them |
//! | `caps` | run as a user with no more than these capabilities |
//! | `libbpf` | libbpf refuses the object, saying this |
//!
//! A script that calls `exit(` is left to end by itself: the reference tracer forgets pending events when
//! SIGINT and `exit` meet. Any other `//!` line is prose. What must come out is in `NAME.out` and `NAME.err` (see
//! [`crate::pattern`]); without `NAME.out` there must be an oracle.

use crate::{Failure, lab, tree};
use std::path::{Path, PathBuf};

/// Long enough for a tracer that polls its buffers every 100 ms, on a busy machine.
const LINGER_MS: u64 = 500;

/// How two outputs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Byte for byte.
    Exact,
    /// By [`crate::shape::shape`].
    Shape,
}

/// One script with its conditions and expectation.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the table above describes each field where people write it")]
pub struct Case {
    /// `AREA/NAME`
    pub name: String,
    /// The file with the header.
    pub file: PathBuf,
    /// The file to compile: `file`, or the packaged script.
    pub script: PathBuf,
    pub kernels: Vec<String>,
    pub build: String,
    pub modules: Vec<String>,
    pub programs: Vec<String>,
    pub before: String,
    pub trigger: String,
    pub after: String,
    pub interrupt_after_ms: Option<u64>,
    pub args: Vec<String>,
    pub params: Vec<String>,
    pub exit: i32,
    pub has_oracle: bool,
    pub compare: Compare,
    pub keep: Vec<String>,
    pub opens_btf: Option<Vec<String>>,
    pub caps: Option<Vec<String>>,
    pub libbpf: Option<String>,
    /// Only resolved, loaded and verified: `sonde check`.
    pub check_only: bool,
    /// Expected standard output.
    pub out: Option<String>,
    /// Expected standard error.
    pub err: Option<String>,
}

impl Case {
    /// Whether a run can be wrong at all.
    pub fn has_expectation(&self) -> bool {
        self.out.is_some() || self.has_oracle || self.opens_btf.is_some() || self.check_only
    }
}

/// All cases, by name.
pub fn load_all() -> Result<Vec<Case>, Failure> {
    tree::files(&dir(), "bt").iter().map(|file| load(file)).collect()
}

/// The scripts of `golden/` that have an object, as cases that every kernel's verifier must pass.
pub fn load_golden() -> Result<Vec<Case>, Failure> {
    let golden = lab::tree().join("golden");
    let refused = |script: &PathBuf| {
        script.with_file_name("diagnostics").exists() || script.starts_with(golden.join("diagnostics"))
    };
    let mut cases = Vec::new();
    for script in tree::files(&golden, "bt").into_iter().filter(|s| !refused(s)) {
        let mut case = load(&script)?;
        let folder = script.parent().unwrap_or(&script);
        case.name = folder.strip_prefix(lab::tree()).unwrap_or(folder).to_string_lossy().into_owned();
        case.check_only = true;
        let modules = tree::files(&golden.join("kernel"), "")
            .into_iter()
            .filter_map(|f| Some(f.file_name()?.to_str()?.to_owned()));
        case.modules = modules.filter(|name| name != "vmlinux" && name != "roots").collect();
        cases.push(case);
    }
    Ok(cases)
}

fn dir() -> PathBuf {
    lab::tree().join("tests/cases")
}

/// The case of one file; outside `tests/cases` its name is its path.
pub fn load(file: &Path) -> Result<Case, Failure> {
    let failed = |e: String| format!("{}: {e}", file.display());
    let text = std::fs::read_to_string(file).map_err(|e| failed(e.to_string()))?;
    let name = file.strip_prefix(dir()).unwrap_or(file).with_extension("");
    let beside = |extension: &str| std::fs::read_to_string(file.with_extension(extension)).ok();
    let mut case = Case {
        name: name.to_string_lossy().into_owned(),
        file: file.to_path_buf(),
        script: file.to_path_buf(),
        kernels: lab::KERNELS.map(str::to_owned).to_vec(),
        build: lab::BUILD_KERNEL.to_owned(),
        modules: Vec::new(),
        programs: Vec::new(),
        before: String::new(),
        trigger: String::new(),
        after: String::new(),
        interrupt_after_ms: (!text.contains("exit(")).then_some(LINGER_MS),
        args: Vec::new(),
        params: Vec::new(),
        exit: 0,
        has_oracle: false,
        compare: Compare::Exact,
        keep: Vec::new(),
        opens_btf: None,
        caps: None,
        libbpf: None,
        check_only: false,
        out: beside("out"),
        err: beside("err"),
    };
    for line in text.lines().filter_map(|l| l.strip_prefix("//! ")) {
        if let Some((key, value)) = line.split_once(": ") {
            set(&mut case, key, value.trim()).map_err(failed)?;
        }
    }
    // A tracer with a child of its own ends when that does.
    if case.args.iter().any(|a| a == "-c") {
        case.interrupt_after_ms = None;
    }
    Ok(case)
}

fn set(case: &mut Case, key: &str, value: &str) -> Result<(), Failure> {
    let number = || value.parse::<u64>().map_err(|e| format!("{key}: {value}: {e}"));
    match key {
        "kernels" => case.kernels = words(value),
        "build" => case.build = value.to_owned(),
        "modules" => case.modules = words(value),
        "programs" => case.programs = words(value),
        "script" => case.script = lab::packaged_script(value),
        "before" => add_line(&mut case.before, value),
        "trigger" => add_line(&mut case.trigger, value),
        "after" => add_line(&mut case.after, value),
        "linger" => case.interrupt_after_ms = Some(number()?),
        "args" => case.args = words(value),
        "params" => case.params = words(value),
        "exit" => case.exit = number()? as i32,
        "oracle" if value == "bpftrace" => case.has_oracle = true,
        "compare" if value == "exact" => case.compare = Compare::Exact,
        "compare" if value == "shape" => case.compare = Compare::Shape,
        "keep" => case.keep.push(value.to_owned()),
        "opens-btf" => case.opens_btf = Some(words(value)),
        "caps" => case.caps = Some(words(value)),
        "libbpf" => case.libbpf = Some(value.to_owned()),
        "oracle" | "compare" => return Err(format!("{key}: unknown value {value}")),
        _ => {}
    }
    Ok(())
}

fn add_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Splits at blanks; single quotes keep blanks together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in text.split('\'').enumerate() {
        if i % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
