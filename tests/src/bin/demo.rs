//! Compiles one case's script and shows it running: `demo [--vm | --native] [--kernel V] [CASE.bt]`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tests::case::{self, Case};
use tests::job::{Job, Outcome};
use tests::vm::Batch;
use tests::{Failure, kernel_btf, lab, objects};

const LIMIT_S: u64 = 120;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Guest,
    Here,
    /// Here if the running kernel takes the object, else in a guest.
    Fitting,
}

fn main() -> ExitCode {
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("demo: {why}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<(), Failure> {
    let (mut place, mut kernel) = (Place::Fitting, lab::BUILD_KERNEL.to_owned());
    let mut file = lab::tree().join("tests/cases/modules/nf_tables.bt");
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--vm" => place = Place::Guest,
            "--native" => place = Place::Here,
            "--kernel" => kernel = args.next().ok_or("--kernel needs a version")?,
            _ => file = PathBuf::from(arg),
        }
    }
    let case = case::load(&file)?;
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let object = dir.path().join("demo.bpf.o");
    let script = std::fs::read_to_string(&case.script).map_err(|e| e.to_string())?;
    println!("--- {}\n{script}", case.script.display());
    let modules: Vec<&str> = case.modules.iter().map(String::as_str).collect();
    objects::build(&case.script, &object, &kernel_btf::directory(lab::BUILD_KERNEL, &modules)?)?;
    let sonde = objects::sonde()?;
    println!("--- sonde inspect");
    Command::new(&sonde).arg("inspect").arg(&object).status().map_err(|e| e.to_string())?;

    let fits = || Command::new(&sonde).arg("check").arg(&object).output().is_ok_and(|o| o.status.success());
    let here = place == Place::Here || (place == Place::Fitting && fits());
    let outcome = if here {
        println!("--- sonde run, on this machine");
        run_here(&case, &object, dir.path())?
    } else {
        println!("--- sonde run, in a guest with kernel {}", lab::release(&kernel)?);
        run_in_guest(&case, &object, &kernel)?
    };
    eprint!("{}", outcome.err);
    print!("{}", outcome.out);
    if outcome.status == case.exit { Ok(()) } else { Err(format!("exit status {}", outcome.status)) }
}

fn job(case: &Case, sonde: &str, object: &str) -> Job {
    let mut argv = vec![sonde.to_owned(), "run".to_owned()];
    argv.extend(case.args.iter().cloned());
    argv.push(object.to_owned());
    Job {
        id: "demo".into(),
        before: case.before.clone(),
        argv,
        trigger: case.trigger.clone(),
        after: case.after.clone(),
        is_tracer: true,
        interrupt_after_ms: case.interrupt_after_ms,
        limit_s: LIMIT_S,
    }
}

/// The same driver as in a guest, on this machine.
fn run_here(case: &Case, object: &Path, dir: &Path) -> Result<Outcome, Failure> {
    let job = job(case, &objects::sonde()?.to_string_lossy(), &object.to_string_lossy());
    let jobs = serde_json::to_vec(&[job]).map_err(|e| e.to_string())?;
    std::fs::write(dir.join("jobs.json"), jobs).map_err(|e| e.to_string())?;
    Command::new(objects::guest()?).arg(dir).status().map_err(|e| e.to_string())?;
    Outcome::try_read(dir, "demo").ok_or_else(|| "the run left no result".into())
}

fn run_in_guest(case: &Case, object: &Path, kernel: &str) -> Result<Outcome, Failure> {
    let mut batch = Batch::new(kernel)?;
    batch.need_modules(&case.modules);
    batch.put(&objects::sonde()?, "bin/sonde")?;
    let guest_object = batch.put(object, "demo.bpf.o")?;
    batch.jobs.push(job(case, "sonde", &guest_object));
    batch.run();
    batch.wait("demo")
}
