//! Every object is an ordinary one: libbpf's tools and LLVM's accept what `sondec` writes, for all scripts
//! of `golden/` and all cases of `tests/cases`.
//!
//! On the host `bpftool gen skeleton`, `bpftool gen object` and `llvm-objdump -dS`; in a guest, with a newer
//! libbpf, `bpftool prog loadall` and the two generators again.

use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use tests::job::Job;
use tests::objects::Built;
use tests::vm::{self, Batch};
use tests::{Failure, case, kernel_btf, lab, objects, verdict};

/// One foreign reader and what it is made to do with `$O`, the object.
struct Reader {
    name: &'static str,
    command: &'static str,
    in_guest: bool,
}

const READERS: [Reader; 6] = [
    Reader { name: "skeleton", command: "bpftool gen skeleton $O > /dev/null", in_guest: false },
    Reader { name: "object", command: "bpftool gen object $O.linked $O", in_guest: false },
    // The source lines come from .BTF.ext or not at all: no DWARF in our objects, and objdump must not mind.
    Reader { name: "objdump", command: "llvm-objdump -dS $O > $O.s && grep -q '<' $O.s", in_guest: false },
    Reader {
        name: "loadall",
        command: "P=/sys/fs/bpf/t; rm -rf $P; bpftool prog loadall $O $P && ls $P | grep -q . && rm -r $P",
        in_guest: true,
    },
    Reader { name: "skeleton-new", command: "bpftool gen skeleton $O > /dev/null", in_guest: true },
    Reader { name: "object-new", command: "bpftool gen object /tmp/linked.o $O", in_guest: true },
];

const LIMIT_S: u64 = 60;

fn main() -> ExitCode {
    let args = Arguments::from_args();
    match trials(&args) {
        Ok(trials) => libtest_mimic::run(&args, trials).exit_code(),
        Err(why) => {
            eprintln!("foreign: {why}");
            ExitCode::FAILURE
        }
    }
}

fn trials(args: &Arguments) -> Result<Vec<Trial>, Failure> {
    if !args.list {
        lab::set_up()?;
    }
    let scripts = scripts()?;
    let refusals = Arc::new(refusals()?);
    let selected: Vec<(String, &Reader, String)> = scripts
        .keys()
        .flat_map(|script| READERS.iter().map(move |r| (format!("{}::{script}", r.name), r, script.clone())))
        .filter(|(name, ..)| args.filter.as_ref().is_none_or(|f| name.contains(f.as_str())))
        .collect();
    if args.list {
        return Ok(selected.into_iter().map(|(name, ..)| Trial::test(name, || Ok(()))).collect());
    }
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?.keep();
    let needed: BTreeSet<&String> = selected.iter().map(|(.., script)| script).collect();
    let mut todo = scripts.clone();
    todo.retain(|name, _| needed.contains(name));
    let built = Arc::new(objects::build_many(todo.into_iter().collect(), &dir, &btf()?)?);
    let batch = Arc::new(plan(&selected, &built)?);
    if !batch.jobs.is_empty() {
        vm::start(std::slice::from_ref(&batch));
    }
    Ok(selected
        .into_iter()
        .map(|(name, reader, script)| {
            let (built, batch, refusals) = (Arc::clone(&built), Arc::clone(&batch), Arc::clone(&refusals));
            let refusal = move |script: &str| refusals.get(script).cloned();
            let judge = move || judge(reader, &script, refusal(&script), &built, &batch);
            Trial::test(name, move || judge().map_err(Failed::from))
        })
        .collect())
}

/// Scripts by name.
fn scripts() -> Result<BTreeMap<String, PathBuf>, Failure> {
    let cases = case::load_all()?.into_iter().map(|c| (format!("cases/{}", c.name), c.script));
    Ok(cases.chain(case::load_golden()?.into_iter().map(|c| (c.name, c.script))).collect())
}

/// What libbpf says of the objects that it refuses to load, for it looks for types in all modules.
fn refusals() -> Result<BTreeMap<String, String>, Failure> {
    let cases = case::load_all()?.into_iter();
    Ok(cases.filter_map(|c| Some((format!("cases/{}", c.name), c.libbpf?))).collect())
}

fn modules() -> Result<Vec<String>, Failure> {
    let mut modules: Vec<String> = case::load_all()?.into_iter().flat_map(|c| c.modules).collect();
    modules.sort();
    modules.dedup();
    Ok(modules)
}

fn btf() -> Result<PathBuf, Failure> {
    let modules = modules()?;
    kernel_btf::directory(lab::BUILD_KERNEL, &modules.iter().map(String::as_str).collect::<Vec<_>>())
}

fn plan(selected: &[(String, &Reader, String)], built: &BTreeMap<String, Built>) -> Result<Batch, Failure> {
    let mut batch = Batch::new(lab::BUILD_KERNEL)?;
    batch.need_modules(&modules()?);
    for (name, reader, script) in selected.iter().filter(|(_, reader, _)| reader.in_guest) {
        let Some(Ok(object)) = built.get(script) else { continue };
        let guest = batch.put(object, &format!("objects/{}.bpf.o", script.replace('/', "-")))?;
        let argv = ["sh", "-c", &format!("O={guest}; {}", reader.command)].map(str::to_owned).to_vec();
        let id = job_id(name);
        batch.jobs.push(Job { id, argv, limit_s: LIMIT_S, ..Job::default() });
    }
    Ok(batch)
}

fn job_id(trial: &str) -> String {
    trial.replace([':', '/'], "-")
}

fn judge(
    reader: &Reader,
    script: &str,
    refusal: Option<String>,
    built: &BTreeMap<String, Built>,
    batch: &Batch,
) -> Result<(), Failure> {
    let object = built.get(script).ok_or("was not built")?.clone()?;
    if reader.in_guest {
        let outcome = batch.wait(&job_id(&format!("{}::{script}", reader.name)))?;
        let refused = outcome.status != 0 || outcome.timed_out;
        if reader.name == "loadall"
            && let Some(refusal) = refusal
        {
            let as_said = refused && outcome.err.contains(&refusal);
            return if as_said { Ok(()) } else { Err(verdict::context(&outcome)) };
        }
        return if refused { Err(verdict::context(&outcome)) } else { Ok(()) };
    }
    // Readers of one object run at the same time and leave files beside it.
    let own = object.with_extension(format!("{}.o", reader.name));
    std::fs::copy(&object, &own).map_err(|e| e.to_string())?;
    let output = Command::new("sh")
        .arg("-c")
        .arg(reader.command)
        .env("O", &own)
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        .output()
        .map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{} ({})\n{}", reader.command, output.status, String::from_utf8_lossy(&output.stderr)))
}
