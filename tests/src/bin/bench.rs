//! Figures beside bpftrace 0.27 and clang -O2: `cargo run --release -p tests --bin bench [-- --runs N]`.
//!
//! One boot runs both tracers on the same scripts, in turns, each once before it counts so that files are
//! cached: time from exec to attached, peak memory. Sizes are of the files each needs on a host. Programs
//! are compared with C that does the same (`tests/bench/*.bpf.c`) by instructions in the object.
//! The last part is about a host with hundreds of modules (`tests/src/host_figures.rs`); `-- modules` is
//! that part alone. Emulation slows both tracers: only the ratios of one run mean anything.

use goblin::elf::Elf;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tests::job::{Job, Outcome};
use tests::vm::Batch;
use tests::{Failure, host_figures, kernel_btf, lab, objects, verdict};

const SCRIPTS: [&str; 3] = ["opens", "calls", "runqlat"];
const LIMIT_S: u64 = 300;
/// What the stripped static loader should not exceed.
const SONDE_BYTES_MAX: u64 = 1_500_000;

fn main() -> ExitCode {
    let runs =
        std::env::args().skip_while(|a| a != "--runs").nth(1).and_then(|n| n.parse().ok()).unwrap_or(3);
    match bench(runs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn bench(runs: usize) -> Result<(), Failure> {
    lab::set_up()?;
    if std::env::args().any(|arg| arg == "modules") {
        return host_figures::print(runs);
    }
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let btf = kernel_btf::directory(lab::BUILD_KERNEL, &[])?;
    for script in SCRIPTS {
        objects::build(&source(script, "bt"), &dir.path().join(format!("{script}.bpf.o")), &btf)?;
    }
    start_and_memory(dir.path(), runs)?;
    sizes()?;
    instructions(dir.path())?;
    host_figures::print(runs)
}

fn source(script: &str, extension: &str) -> PathBuf {
    lab::tree().join(format!("tests/bench/{script}.{extension}"))
}

fn start_and_memory(objects_dir: &Path, runs: usize) -> Result<(), Failure> {
    let mut batch = Batch::new(lab::BUILD_KERNEL)?;
    batch.put(&objects::sonde_shipped()?, "bin/sonde")?;
    let id = |tracer: &str, script: &str, run: usize| format!("{script}.{tracer}.{run}");
    for script in SCRIPTS {
        let object = format!("{script}.bpf.o");
        let object = batch.put(&objects_dir.join(&object), &object)?;
        let text = batch.put(&source(script, "bt"), &format!("{script}.bt"))?;
        for run in 0..=runs {
            for (tracer, argv) in
                [("sonde", vec!["sonde", "run", &object]), ("bpftrace", vec!["bpftrace", &text])]
            {
                batch.jobs.push(Job {
                    id: id(tracer, script, run),
                    argv: argv.into_iter().map(str::to_owned).collect(),
                    is_tracer: true,
                    interrupt_after_ms: Some(100),
                    limit_s: LIMIT_S,
                    ..Job::default()
                });
            }
        }
    }
    batch.run();
    println!(
        "exec to attached and peak memory, kernel {}, median of {runs}",
        lab::release(lab::BUILD_KERNEL)?
    );
    println!(
        "{:<10} {:>12} {:>12} {:>8}   {:>10} {:>10} {:>8}",
        "", "sonde ms", "bpftrace ms", "times", "sonde KiB", "bpftr. KiB", "of it"
    );
    for script in SCRIPTS {
        let of = |tracer: &str| -> Result<(f64, f64), Failure> {
            let outcomes: Result<Vec<Outcome>, Failure> =
                (1..=runs).map(|run| measured(&batch, &id(tracer, script, run))).collect();
            let outcomes = outcomes?;
            let attached = median(outcomes.iter().map(|o| o.attached_ns.unwrap_or(0)).collect());
            Ok((attached as f64 / 1e6, median(outcomes.iter().map(|o| o.rss_kib_max).collect()) as f64))
        };
        let ((ours_ms, ours_kib), (theirs_ms, theirs_kib)) = (of("sonde")?, of("bpftrace")?);
        println!(
            "{script:<10} {ours_ms:>12.1} {theirs_ms:>12.1} {:>8.1}   {ours_kib:>10} {theirs_kib:>10} {:>8.3}",
            theirs_ms / ours_ms,
            ours_kib / theirs_kib
        );
    }
    Ok(())
}

fn measured(batch: &Batch, id: &str) -> Result<Outcome, Failure> {
    let outcome = batch.wait(id)?;
    if outcome.attached_ns.is_none() || outcome.status != 0 {
        return Err(format!("{id} did not attach and end well\n{}", verdict::context(&outcome)));
    }
    Ok(outcome)
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

fn sizes() -> Result<(), Failure> {
    let ours = file_bytes(&objects::sonde_shipped()?)?;
    let files = with_libraries(&lab::guest_root().join("usr/bin/bpftrace"))?;
    let theirs = files.iter().map(|f| file_bytes(f)).sum::<Result<u64, _>>()?;
    println!(
        "\non disk: sonde {ours} bytes (budget {SONDE_BYTES_MAX}); bpftrace with its {} libraries {theirs} bytes; {:.4} of it",
        files.len() - 1,
        ours as f64 / theirs as f64
    );
    Ok(())
}

fn file_bytes(file: &Path) -> Result<u64, Failure> {
    Ok(std::fs::metadata(file).map_err(|e| format!("{}: {e}", file.display()))?.len())
}

/// A program of the guest's root with every library it needs, directly or not, and the loader.
fn with_libraries(program: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    let dirs = ["usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib"].map(|d| lab::guest_root().join(d));
    let (mut found, mut todo) = (BTreeSet::new(), vec![program.to_path_buf()]);
    while let Some(file) = todo.pop() {
        let bytes = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let elf = Elf::parse(&bytes).map_err(|e| format!("{}: {e}", file.display()))?;
        for name in &elf.libraries {
            let library = dirs.iter().map(|d| d.join(name)).find(|p| p.exists());
            let library = library.ok_or_else(|| format!("{name}: not in the guest's root"))?;
            let library = library.canonicalize().map_err(|e| e.to_string())?;
            if !found.contains(&library) {
                todo.push(library);
            }
        }
        found.insert(file.canonicalize().map_err(|e| e.to_string())?);
    }
    Ok(found)
}

fn instructions(objects_dir: &Path) -> Result<(), Failure> {
    let clang = clang()?;
    println!("\ninstructions in the object (a 64-bit constant counts twice)");
    println!("{:<10} {:>8} {:>8} {:>8}", "", "sondec", "clang", "times");
    for script in SCRIPTS {
        let theirs = objects_dir.join(format!("{script}.clang.o"));
        let status = Command::new(&clang)
            .args(["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-c"])
            .arg(source(script, "bpf.c"))
            .arg("-o")
            .arg(&theirs)
            .status();
        if !status.is_ok_and(|s| s.success()) {
            return Err(format!("clang cannot compile {script}.bpf.c"));
        }
        let ours = instruction_count(&objects_dir.join(format!("{script}.bpf.o")))?;
        let theirs = instruction_count(&theirs)?;
        println!("{script:<10} {ours:>8} {theirs:>8} {:>8.2}", ours as f64 / theirs as f64);
    }
    Ok(())
}

fn instruction_count(object: &Path) -> Result<u64, Failure> {
    const SHF_EXECINSTR: u64 = goblin::elf::section_header::SHF_EXECINSTR as u64;
    let bytes = std::fs::read(object).map_err(|e| format!("{}: {e}", object.display()))?;
    let elf = Elf::parse(&bytes).map_err(|e| e.to_string())?;
    let code = elf.section_headers.iter().filter(|s| s.sh_flags & SHF_EXECINSTR != 0);
    Ok(code.map(|s| s.sh_size / 8).sum())
}

/// clang, installed now if it is missing: nothing but this benchmark needs it.
fn clang() -> Result<PathBuf, Failure> {
    let runs = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    if !runs("clang") {
        eprintln!("bench: installing clang");
        let install = "apt-get -q -y --no-install-recommends install clang >&2";
        let sudo = if Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n") {
            ""
        } else {
            "sudo "
        };
        let status = Command::new("sh").arg("-c").arg(format!("{sudo}{install}")).status();
        if !status.is_ok_and(|s| s.success()) || !runs("clang") {
            return Err("cannot install clang".into());
        }
    }
    Ok("clang".into())
}
