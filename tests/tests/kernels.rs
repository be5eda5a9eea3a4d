//! Runs every case of `tests/cases` on its kernels: `cargo test -p tests --test kernels -- 6.12::lang`.
//!
//! Each object is built once and runs unchanged on all of them; one boot per kernel runs all its jobs.
//! The scripts of `golden/` are loaded and verified on all of them too. `SONDE_TESTS=oracle` runs the reference tracer alone against the expected files, and with
//! `SONDE_BLESS=1` writes them.

use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tests::case::{self, Case};
use tests::job::{Job, Outcome};
use tests::objects::Built;
use tests::vm::{self, Batch, GUEST_SHARE};
use tests::{Failure, kernel_btf, lab, objects, oracle, verdict};

/// A case that loads modules several times takes a minute on a busy machine.
const SONDE_LIMIT_S: u64 = 180;
/// The reference tracer takes some ten seconds to start under emulation, several times that on a busy machine.
const ORACLE_LIMIT_S: u64 = 240;
/// What is still in its buffers when SIGINT comes may be lost, and emptying them is slow under emulation.
const ORACLE_LINGER_MS: u64 = 3000;

/// One case on one kernel: one line of the report.
struct Run {
    case: Arc<Case>,
    kernel: String,
    name: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// `sonde` against files and oracle.
    Sonde,
    /// The oracle against files.
    Oracle,
    /// The oracle writes the files.
    Bless,
}

fn main() -> ExitCode {
    let args = Arguments::from_args();
    match trials(&args) {
        Ok(trials) => libtest_mimic::run(&args, trials).exit_code(),
        Err(why) => {
            eprintln!("kernels: {why}");
            ExitCode::FAILURE
        }
    }
}

fn trials(args: &Arguments) -> Result<Vec<Trial>, Failure> {
    let mode = match (std::env::var("SONDE_TESTS").as_deref(), std::env::var_os("SONDE_BLESS")) {
        (Ok("oracle"), None) => Mode::Oracle,
        (Ok("oracle"), Some(_)) => Mode::Bless,
        _ => Mode::Sonde,
    };
    let selected: Vec<Run> = runs(mode)?.into_iter().filter(|run| is_selected(args, &run.name)).collect();
    if args.list {
        return Ok(selected.into_iter().map(|run| Trial::test(run.name, || Ok(()))).collect());
    }
    lab::set_up()?;
    let plan = Arc::new(Plan::new(mode, &selected)?);
    vm::start(&plan.in_boot_order());
    Ok(selected
        .into_iter()
        .map(|run| {
            let plan = Arc::clone(&plan);
            Trial::test(run.name.clone(), move || plan.judge(&run).map_err(Failed::from))
        })
        .collect())
}

fn runs(mode: Mode) -> Result<Vec<Run>, Failure> {
    let mut runs = Vec::new();
    let golden = if mode == Mode::Sonde { case::load_golden()? } else { Vec::new() };
    for case in case::load_all()?.into_iter().chain(golden) {
        let case = Arc::new(case);
        if mode == Mode::Sonde && !case.has_expectation() {
            return Err(format!(
                "{}: neither a .out file nor an oracle to compare with",
                case.file.display()
            ));
        }
        for kernel in &case.kernels {
            // Expected files come from one kernel; on the others they are only compared.
            if mode == Mode::Bless && kernel != oracle_kernel(&case) {
                continue;
            }
            let name = format!("{kernel}::{}", case.name);
            runs.push(Run { case: Arc::clone(&case), kernel: kernel.clone(), name });
        }
    }
    runs.sort_by(|a, b| (&a.kernel, &a.name).cmp(&(&b.kernel, &b.name)));
    Ok(runs)
}

/// libtest-mimic's own rule; it must be known before the boots, which carry only what is selected.
fn is_selected(args: &Arguments, name: &str) -> bool {
    let matches = |filter: &String| if args.exact { name == filter } else { name.contains(filter.as_str()) };
    args.filter.as_ref().is_none_or(matches) && !args.skip.iter().any(matches)
}

fn oracle_kernel(case: &Case) -> &str {
    let build = case.kernels.iter().find(|k| *k == lab::BUILD_KERNEL);
    build.unwrap_or(&case.kernels[0])
}

struct Plan {
    mode: Mode,
    batches: BTreeMap<String, Arc<Batch>>,
    objects: BTreeMap<String, Built>,
}

impl Plan {
    fn new(mode: Mode, selected: &[Run]) -> Result<Plan, Failure> {
        let mut batches: BTreeMap<String, Batch> = BTreeMap::new();
        let mut objects = BTreeMap::new();
        let build_dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        if mode == Mode::Sonde {
            objects = build_all(selected, build_dir.path())?;
        }
        for run in selected {
            if let Some(Ok(object)) = objects.get(&run.case.name) {
                let batch = batch(&mut batches, &run.kernel)?;
                batch.need_modules(&run.case.modules);
                put_programs(&run.case, batch)?;
                let job = sonde_job(&run.case, batch, object)?;
                batch.jobs.push(job);
            }
            let kernel = if mode == Mode::Sonde { oracle_kernel(&run.case) } else { &run.kernel };
            if mode != Mode::Sonde || run.case.has_oracle {
                add_oracle_job(&run.case, kernel, &mut batches)?;
            }
        }
        for batch in batches.values().filter(|_| mode == Mode::Sonde) {
            batch.put(&objects::sonde()?, "bin/sonde")?;
        }
        let batches = batches.into_iter().map(|(kernel, batch)| (kernel, Arc::new(batch))).collect();
        Ok(Plan { mode, batches, objects })
    }

    /// The longest first: the boot that also has the oracle's jobs.
    fn in_boot_order(&self) -> Vec<Arc<Batch>> {
        let mut batches: Vec<_> = self.batches.values().cloned().collect();
        batches.sort_by_key(|b| std::cmp::Reverse(b.jobs.iter().map(|j| j.limit_s).sum::<u64>()));
        batches
    }

    fn judge(&self, run: &Run) -> Result<(), Failure> {
        let case = &run.case;
        if self.mode != Mode::Sonde {
            let outcome = self.oracle(case, &run.kernel)?;
            if self.mode == Mode::Bless {
                return verdict::ran(case, &outcome).and_then(|()| bless(case, &outcome));
            }
            return verdict::against_files(case, &outcome);
        }
        if let Some(Err(why)) = self.objects.get(&case.name) {
            return Err(why.clone());
        }
        let batch = self.batches.get(&run.kernel).ok_or("no boot was planned")?;
        let id = job_id(case, "sonde");
        let outcome = batch.wait(&id)?;
        verdict::against_files(case, &outcome)?;
        if let Some(want) = &case.opens_btf {
            let log = std::fs::read_to_string(batch.share().join(format!("{id}.strace")));
            verdict::opened_btf(&log.map_err(|e| format!("strace left no log: {e}"))?, want)?;
        }
        if case.has_oracle {
            let oracle = self.oracle(case, oracle_kernel(case))?;
            verdict::against_oracle(case, &outcome, &oracle)?;
        }
        Ok(())
    }

    fn oracle(&self, case: &Case, kernel: &str) -> Result<Outcome, Failure> {
        let slot = oracle::slot(case, kernel)?;
        if let Some(outcome) = slot.try_read() {
            return Ok(outcome);
        }
        let batch = self.batches.get(kernel).ok_or("no boot was planned for the oracle")?;
        let id = job_id(case, "oracle");
        let outcome = batch.wait(&id)?;
        verdict::ran(case, &outcome).map_err(|e| format!("the oracle itself: {e}"))?;
        slot.keep(batch.share(), &id)?;
        Ok(outcome)
    }
}

fn batch<'a>(batches: &'a mut BTreeMap<String, Batch>, kernel: &str) -> Result<&'a mut Batch, Failure> {
    if !batches.contains_key(kernel) {
        batches.insert(kernel.to_owned(), Batch::new(kernel)?);
    }
    Ok(batches.get_mut(kernel).expect("just inserted"))
}

/// The programs a case probes go where the guest's `PATH` begins.
fn put_programs(case: &Case, batch: &Batch) -> Result<(), Failure> {
    for name in &case.programs {
        batch.put(&objects::programs()?.join(name), &format!("bin/{name}"))?;
    }
    Ok(())
}

fn job_id(case: &Case, tracer: &str) -> String {
    format!("{}.{tracer}", case.name.replace('/', "-"))
}

/// Builds the object of every selected case once.
fn build_all(selected: &[Run], dir: &Path) -> Result<BTreeMap<String, Built>, Failure> {
    let cases: BTreeMap<&str, &Case> = selected.iter().map(|r| (r.case.name.as_str(), &*r.case)).collect();
    let mut built = BTreeMap::new();
    for kernel in cases.values().map(|case| case.build.as_str()).collect::<BTreeSet<_>>() {
        let cases = || cases.values().filter(|case| case.build == kernel);
        let modules: BTreeSet<&str> = cases().flat_map(|c| c.modules.iter().map(String::as_str)).collect();
        let btf = kernel_btf::directory(kernel, &modules.into_iter().collect::<Vec<_>>())?;
        let scripts = cases().map(|c| (c.name.clone(), c.script.clone())).collect();
        built.append(&mut objects::build_many(scripts, dir, &btf)?);
    }
    Ok(built)
}

fn sonde_job(case: &Case, batch: &Batch, object: &Path) -> Result<Job, Failure> {
    let id = job_id(case, "sonde");
    let mut argv = Vec::new();
    let mut job = base_job(case, SONDE_LIMIT_S);
    if case.check_only {
        let object = batch.put(object, &format!("objects/{}.bpf.o", case.name))?;
        return Ok(Job { id, argv: vec!["sonde".into(), "check".into(), object], is_tracer: false, ..job });
    }
    if case.opens_btf.is_some() {
        // -DD: the tracer is the job's own process, and strace outlives it to finish its log.
        let strace = format!("strace -DD -f -e trace=open,openat -o {GUEST_SHARE}/{id}.strace");
        argv.extend(strace.split(' ').map(str::to_owned));
        job.after.push_str("sleep 0.5\n");
    }
    if let Some(caps) = &case.caps {
        argv.extend(as_nobody(caps));
        job.before.push_str(&format!("chmod a+x {GUEST_SHARE}\n"));
    }
    argv.extend(["sonde", "run"].map(str::to_owned));
    argv.extend(case.args.iter().cloned());
    argv.push(batch.put(object, &format!("objects/{}.bpf.o", case.name))?);
    add_params(case, &mut argv);
    Ok(Job { id, argv, ..job })
}

/// Drops everything but `caps` before the program it is put in front of.
fn as_nobody(caps: &[String]) -> Vec<String> {
    let only: String =
        std::iter::once("-all".to_owned()).chain(caps.iter().map(|c| format!(",+{c}"))).collect();
    let mut argv: Vec<String> =
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"].map(str::to_owned).to_vec();
    argv.extend(["inh-caps", "ambient-caps", "bounding-set"].map(|set| format!("--{set}={only}")));
    argv
}

fn add_oracle_job(case: &Case, kernel: &str, batches: &mut BTreeMap<String, Batch>) -> Result<(), Failure> {
    let id = job_id(case, "oracle");
    let planned = batches.get(kernel).is_some_and(|b| b.jobs.iter().any(|j| j.id == id));
    if planned || oracle::slot(case, kernel)?.try_read().is_some() {
        return Ok(());
    }
    let batch = batch(batches, kernel)?;
    batch.need_modules(&case.modules);
    put_programs(case, batch)?;
    let mut argv = vec!["bpftrace".to_owned()];
    argv.extend(case.args.iter().cloned());
    argv.push(batch.put(&case.script, &format!("scripts/{}.bt", case.name))?);
    add_params(case, &mut argv);
    let job = base_job(case, ORACLE_LIMIT_S);
    let interrupt_after_ms = job.interrupt_after_ms.map(|ms| ms.max(ORACLE_LINGER_MS));
    batch.jobs.push(Job { id, argv, interrupt_after_ms, ..job });
    Ok(())
}

fn base_job(case: &Case, limit_s: u64) -> Job {
    Job {
        before: case.before.clone(),
        trigger: case.trigger.clone(),
        after: case.after.clone(),
        is_tracer: true,
        interrupt_after_ms: case.interrupt_after_ms,
        limit_s,
        ..Job::default()
    }
}

fn add_params(case: &Case, argv: &mut Vec<String>) {
    if !case.params.is_empty() {
        argv.push("--".into());
        argv.extend(case.params.iter().cloned());
    }
}

fn bless(case: &Case, outcome: &Outcome) -> Result<(), Failure> {
    let to = case.file.with_extension("out");
    // A file with holes that still fits says more than this run's numbers.
    let fits = case.out.is_some() && verdict::against_files(case, outcome).is_ok();
    if fits || (case.has_oracle && case.out.is_none()) {
        return Ok(());
    }
    std::fs::write(&to, &outcome.out).map_err(|e| format!("{}: {e}", to.display()))
}
