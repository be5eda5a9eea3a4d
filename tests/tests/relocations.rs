//! CO-RE as libbpf does it: every instruction that `sonde` relocates gets the value that libbpf gives it, on every
//! kernel, for all scripts of `golden/` and for `tests/relocations/kinds.bpf.c`, which has kinds that scripts lack.
//!
//! libbpf's answers are in the debug log of `bpftool`, ours in that of `sonde check -v`. Also: a module with a base of
//! its own (`.BTF.base`) has the types that the kernel shows once it has loaded it.

use btf::Btf;
use libtest_mimic::{Arguments, Failed, Trial};
use manifest::{AttachPoint, Config, Manifest, MissingProbes, Probe, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use tests::job::{Job, Outcome};
use tests::objects::Built;
use tests::vm::{self, Batch, GUEST_SHARE};
use tests::{Failure, case, kernel_btf, lab, objects, verdict};

const LIMIT_S: u64 = 120;
const LIBBPF: &str = "P=/sys/fs/bpf/t; rm -rf $P; bpftool -d prog loadall $O $P 2>&1 | grep \"prog '.*relo #.* insn #\"; rm -rf $P; true";
const OURS: &str = "sonde check -v $O 2>&1";
const KINDS: &str = "kinds";
/// A trial of its own, on kernels that know distilled bases (6.11).
const BASE: &str = "distilled-base";
const BASE_KERNELS: [&str; 2] = ["6.12", "newest"];
const OUTSIDE: &str = "sonde_outside";

fn main() -> ExitCode {
    let args = Arguments::from_args();
    match trials(&args) {
        Ok(trials) => libtest_mimic::run(&args, trials).exit_code(),
        Err(why) => {
            eprintln!("relocations: {why}");
            ExitCode::FAILURE
        }
    }
}

fn trials(args: &Arguments) -> Result<Vec<Trial>, Failure> {
    let mut scripts: BTreeMap<String, PathBuf> =
        case::load_golden()?.into_iter().map(|case| (case.name, case.script)).collect();
    let is_selected = |name: &str| args.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let names = |kernel| {
        let base = BASE_KERNELS.contains(&kernel).then_some(BASE);
        scripts.keys().map(String::as_str).chain([KINDS]).chain(base)
    };
    let all: Vec<(&str, String)> = lab::KERNELS
        .into_iter()
        .flat_map(|kernel| names(kernel).map(move |name| (kernel, name.to_owned())))
        .filter(|(kernel, name)| is_selected(&format!("{kernel}::{name}")))
        .collect();
    if args.list {
        let trial = |(kernel, name)| Trial::test(format!("{kernel}::{name}"), || Ok(()));
        return Ok(all.into_iter().map(trial).collect());
    }
    lab::set_up()?;
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    scripts.retain(|name, _| all.iter().any(|(_, wanted)| wanted == name));
    let modules = modules()?;
    let btf =
        kernel_btf::directory(lab::BUILD_KERNEL, &modules.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut built = objects::build_many(scripts.into_iter().collect(), dir.path(), &btf)?;
    built.insert(KINDS.to_owned(), kinds(dir.path()));
    let mut batches = BTreeMap::new();
    for kernel in lab::KERNELS {
        let mut batch = Batch::new(kernel)?;
        batch.need_modules(&modules);
        batch.put(&objects::sonde()?, "bin/sonde")?;
        for (_, name) in all.iter().filter(|(of, _)| *of == kernel) {
            plan(&mut batch, name, &built)?;
        }
        if !batch.jobs.is_empty() {
            batches.insert(kernel, Arc::new(batch));
        }
    }
    vm::start(&batches.values().cloned().collect::<Vec<_>>());
    let trial = |(kernel, name): (&'static str, String)| {
        let batch = Arc::clone(&batches[kernel]);
        Trial::test(format!("{kernel}::{name}"), move || {
            let verdict = if name == BASE { judge_base(&batch) } else { judge(&name, &batch) };
            verdict.map_err(Failed::from)
        })
    };
    Ok(all.into_iter().map(trial).collect())
}

/// Adds the jobs of one trial.
fn plan(batch: &mut Batch, name: &str, built: &BTreeMap<String, Built>) -> Result<(), Failure> {
    let mut job = |who: &str, command: String| {
        let argv = ["sh".to_owned(), "-c".to_owned(), command].to_vec();
        batch.jobs.push(Job { id: job_id(name, who), argv, limit_s: LIMIT_S, ..Job::default() });
    };
    if name == BASE {
        job("copy", format!("cp /sys/kernel/btf/{OUTSIDE} {GUEST_SHARE}/{OUTSIDE}"));
        batch.need_modules(&[OUTSIDE.to_owned()]);
        return Ok(());
    }
    let object = built.get(name).ok_or("was not built")?.clone()?;
    let guest = format!("{GUEST_SHARE}/objects/{}.bpf.o", name.replace('/', "-"));
    job("libbpf", format!("O={guest}; {LIBBPF}"));
    job("ours", format!("O={guest}; {OURS}"));
    batch.put(&object, guest.trim_start_matches(GUEST_SHARE).trim_start_matches('/')).map(drop)
}

/// Compares the types of a module that we moved off its distilled base with those the kernel made of them.
fn judge_base(batch: &Batch) -> Result<(), Failure> {
    let copied = batch.wait(&job_id(BASE, "copy"))?;
    if copied.status != 0 {
        return Err(verdict::context(&copied));
    }
    let dir = kernel_btf::directory(&batch.kernel, &[OUTSIDE])?;
    let read = |path: PathBuf| std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()));
    let vmlinux = Arc::new(Btf::from_vec(read(dir.join("vmlinux"))?).map_err(|e| e.to_string())?);
    let types = |bytes: Vec<u8>| {
        Btf::parse_split(Arc::new(bytes), Arc::clone(&vmlinux))
            .map(|btf| describe(&btf))
            .map_err(|e| e.to_string())
    };
    let (ours, kernels) = (types(read(dir.join(OUTSIDE))?)?, types(read(batch.share().join(OUTSIDE))?)?);
    let differs = ours.iter().zip(&kernels).find(|(a, b)| a != b);
    match differs {
        None if ours.len() == kernels.len() && !ours.is_empty() => Ok(()),
        None => Err(format!("{} types, the kernel has {}", ours.len(), kernels.len())),
        Some((a, b)) => Err(format!("ours: {a}\nthe kernel's: {b}")),
    }
}

/// Every type with its id, and where its members are.
fn describe(btf: &Btf) -> Vec<String> {
    let one = |id| {
        let mut text = format!("{id} {}", btf.decl(id, ""));
        let ty = btf.ty(id).ok()?;
        for member in ty.composite().into_iter().flat_map(|c| c.members()) {
            let (ty, width) = (btf.decl(member.ty, member.name), member.bitfield_bits);
            text.push_str(&format!("; {ty} at {} {width:?}", member.bit_offset));
        }
        Some(text)
    };
    btf.ids().filter_map(one).collect()
}

fn modules() -> Result<Vec<String>, Failure> {
    let mut modules: Vec<String> = case::load_golden()?.into_iter().flat_map(|c| c.modules).collect();
    modules.sort();
    modules.dedup();
    Ok(modules)
}

fn job_id(name: &str, who: &str) -> String {
    format!("{}.{who}", name.replace('/', "-"))
}

/// The C program with a manifest, so that `sonde` takes it.
fn kinds(dir: &Path) -> Result<PathBuf, Failure> {
    let source = lab::tree().join("tests/relocations/kinds.bpf.c");
    let (object, section) = (dir.join("kinds.bpf.o"), dir.join("kinds.manifest"));
    std::fs::write(&section, kinds_manifest().to_bytes()).map_err(|e| e.to_string())?;
    run(Command::new("clang")
        .args(["-target", "bpf", "-g", "-O2", "-c"])
        .arg(source)
        .arg("-o")
        .arg(&object))?;
    let added = format!("{}={}", manifest::SECTION, section.display());
    run(Command::new("llvm-objcopy").arg("--add-section").arg(added).arg(&object))?;
    Ok(object)
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn kinds_manifest() -> Manifest {
    let probe = |program: &str| Probe {
        program: program.into(),
        name: "begin".into(),
        at: AttachPoint::Begin,
        line: 1,
        prototype: None,
        pattern: None,
    };
    Manifest {
        version: manifest::VERSION,
        producer: "test".into(),
        source: Source { name: "kinds.bpf.c".into(), text: String::new() },
        config: Config {
            missing_probes: MissingProbes::Error,
            print_maps_on_exit: false,
            perf_rb_pages: 0,
            str_trunc_trailer: String::new(),
            max_cat_bytes: 0,
            max_probes: 1024,
            cpp_demangle: false,
        },
        probes: ["fields", "bitfields", "types", "enumerators"].map(probe).to_vec(),
        maps: Vec::new(),
        events: Vec::new(),
        enums: Vec::new(),
        globals: Vec::new(),
        types: Vec::new(),
        needs_unsafe: false,
    }
}

/// What an instruction, by its program and number, got; `None` if it was made invalid.
type Patched = BTreeMap<(String, u64), Option<i64>>;

fn judge(name: &str, batch: &Batch) -> Result<(), Failure> {
    let (libbpf, ours) = (batch.wait(&job_id(name, "libbpf"))?, batch.wait(&job_id(name, "ours"))?);
    if ours.status != 0 {
        return Err(verdict::context(&ours));
    }
    let (theirs, unchanged) = read_libbpf(&libbpf)?;
    let ours_read = read_ours(&ours);
    // libbpf relocates subprograms by themselves, we behind each program that calls them.
    let is_program = |program: &str| ours.out.contains(&format!("loaded {program} "));
    let mut wrong = Vec::new();
    for (at, value) in &ours_read {
        match theirs.get(at) {
            Some(other) if other == value => {}
            Some(other) => wrong.push(format!("{at:?}: libbpf {other:?}, ours {value:?}")),
            None => {}
        }
    }
    for (at, value) in &theirs {
        // What we leave to the prototype's check is the same for libbpf before and after.
        if !ours_read.contains_key(at) && is_program(&at.0) && !unchanged.contains(at) {
            wrong.push(format!("{at:?}: libbpf {value:?}, ours untouched"));
        }
    }
    let compared = ours_read.keys().filter(|at| theirs.contains_key(at)).count();
    if compared == 0 && !ours_read.is_empty() {
        wrong.push(format!("nothing to compare: libbpf's log is\n{}", libbpf.out));
    }
    if name == KINDS && compared < 50 {
        wrong.push(format!("only {compared} relocations of the C program"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Lines such as `libbpf: prog 'p': relo #3: patched insn #10 (ALU/ALU64) imm 0 -> 8`, and which of them change
/// nothing. One that changes an access's size as well has two.
fn read_libbpf(outcome: &Outcome) -> Result<(Patched, Vec<(String, u64)>), Failure> {
    let (mut patched, mut unchanged) = (Patched::new(), Vec::new());
    for line in outcome.out.lines().filter(|line| line.contains("prog '")) {
        let bad = || format!("libbpf's log is not as expected: {line}");
        let program = between(line, "prog '", "'").ok_or_else(bad)?;
        let insn = line.split("insn #").nth(1).ok_or_else(bad)?;
        let insn = insn.split([' ', ':']).next().and_then(|n| n.parse().ok()).ok_or_else(bad)?;
        let at = (program.to_owned(), insn);
        if line.contains("invalid insn") {
            patched.insert(at, None);
        } else if line.contains(" size ") || line.contains(" mem_sz ") {
            continue;
        } else if let Some((before, after)) = line.rsplit_once(" -> ") {
            let value = number(after).ok_or_else(bad)?;
            if before.rsplit(' ').next().and_then(number) == Some(value) {
                unchanged.push(at.clone());
            }
            patched.insert(at, Some(value));
        }
    }
    Ok((patched, unchanged))
}

/// Lines such as ``p: insn 10: field `struct task_struct.pid` 0 -> 8``.
fn read_ours(outcome: &Outcome) -> Patched {
    let line = |line: &str| {
        let (program, rest) = line.split_once(": insn ")?;
        let (insn, rest) = rest.split_once(": ")?;
        let (_, value) = rest.rsplit_once(" -> ")?;
        Some(((program.to_owned(), insn.parse().ok()?), number(value)))
    };
    outcome.out.lines().filter_map(line).collect()
}

/// Unsigned numbers of 64 bits stand for the signed ones.
fn number(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| Some(text.parse::<u64>().ok()?.cast_signed()))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(found, _)| found)
}
