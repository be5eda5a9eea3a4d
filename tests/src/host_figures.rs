//! Figures of a host with many modules: listings beside the reference tracer's, and what a script that
//! names one module costs there, relative to the same with hardly any module loaded.

use crate::job::{Job, Outcome};
use crate::vm::{Batch, GUEST_SHARE};
use crate::{Failure, host, lab, objects, verdict};

/// Modules to load beside the few that the guest needs.
const MODULES: usize = 320;
/// Hundreds of modules, their BTF, and the files that listings go to; the same for both boots.
const MEMORY_MIB: u32 = 4096;
const LIMIT_S: u64 = 600;
const SCRIPT: &str = "fentry:nf_tables:nft_do_chain { @ = count(); }";
/// Option `-v` or nothing, and pattern.
const LISTINGS: [(&str, &str); 11] = [
    ("", "fentry:*"),
    ("-v", "fentry:nf_tables:*"),
    ("", "struct nft_*"),
    ("-v", "struct nft_table"),
    ("", "*"),
    ("", "kprobe:*"),
    ("", "tracepoint:*"),
    ("", "rawtracepoint:*"),
    ("-v", "rawtracepoint:*"),
    ("-v", "struct *"),
    ("-v", "kprobe:nf_tables:*"),
];
/// Name, command, and whether it says when it is attached.
const LAZY: [(&str, &str, bool); 3] = [
    ("sondec build", "sondec build -e \"$SCRIPT\" -o /tmp/script.bpf.o", false),
    ("sonde run", "sonde run /tmp/script.bpf.o", true),
    ("bpftrace", "bpftrace -e \"$SCRIPT\"", true),
];

/// Measures and prints.
///
/// # Errors
/// If something cannot be built, booted or run.
pub fn print(runs: usize) -> Result<(), Failure> {
    let (few, many) = (planned(0, runs)?, planned(MODULES, runs)?);
    few.run();
    many.run();
    let files = |batch: &Batch| -> Result<String, Failure> {
        Ok(ended(batch, "modules")?.out.trim().trim_end_matches(" BTF files").to_owned())
    };
    let (few_files, many_files) = (files(&few)?, files(&many)?);
    println!("\nlistings, {many_files} BTF files on the host, output to a file, median of {runs}");
    println!("{:<26} {:>12} {:>12} {:>8}", "", "sondec ms", "bpftrace ms", "times");
    for (index, (option, pattern)) in LISTINGS.iter().enumerate() {
        let of =
            |tracer: &str| median(&many, runs, |run| format!("list.{index}.{tracer}.{run}"), |o| o.wall_ns);
        let (ours, theirs) = (of("sondec")? / 1e6, of("bpftrace")? / 1e6);
        let what = format!("{option} {pattern}");
        println!("{:<26} {ours:>12.1} {theirs:>12.1} {:>8.1}", what.trim(), theirs / ours);
    }
    println!("\na script that names one module, {few_files} and {many_files} BTF files on the host");
    println!(
        "{:<14} {:>10} {:>10} {:>7}   {:>9} {:>9} {:>7}",
        "", "ms", "ms", "times", "KiB", "KiB", "times"
    );
    for (name, _, attaches) in LAZY {
        let time = |o: &Outcome| if attaches { o.attached_ns.unwrap_or(0) } else { o.wall_ns };
        let id = |run| format!("{name}.{run}");
        let [ms_few, ms_many] = [&few, &many].map(|batch| median(batch, runs, id, time));
        let [kib_few, kib_many] = [&few, &many].map(|batch| median(batch, runs, id, |o| o.rss_kib_max));
        let (ms_few, ms_many) = (ms_few? / 1e6, ms_many? / 1e6);
        let (kib_few, kib_many) = (kib_few?, kib_many?);
        println!(
            "{name:<14} {ms_few:>10.1} {ms_many:>10.1} {:>7.2}   {kib_few:>9} {kib_many:>9} {:>7.2}",
            ms_many / ms_few,
            kib_many / kib_few
        );
    }
    println!("{:<14} {:>10} {:>10}         {:>9} {:>9}", "", "opens", "opens", "read", "read");
    for (name, _, _) in LAZY {
        let [few, many] = [&few, &many].map(|batch| reads(batch, name));
        let ((few_opens, few_bytes), (opens, bytes)) = (few?, many?);
        println!("{name:<14} {few_opens:>10} {opens:>10}         {few_bytes:>9} {bytes:>9}");
    }
    Ok(())
}

fn planned(modules: usize, runs: usize) -> Result<Batch, Failure> {
    let mut batch = Batch::new(lab::BUILD_KERNEL)?;
    batch.memory_mib = MEMORY_MIB;
    batch.need_modules(&["nf_tables".to_owned()]);
    batch.put(&objects::sonde_shipped()?, "bin/sonde")?;
    batch.put(&objects::sondec_shipped()?, "bin/sondec")?;
    batch.jobs.push(job("modules", &host::load_modules(modules), false));
    for run in 0..=runs {
        for (name, command, attaches) in LAZY {
            batch.jobs.push(job(&format!("{name}.{run}"), &format!("exec {command}"), attaches));
        }
    }
    for (name, command, attaches) in LAZY {
        let trace = format!("strace -DD -f -e trace=openat,read -o '{GUEST_SHARE}/{name}.strace'");
        let traced = job(&format!("{name}.strace"), &format!("exec {trace} {command}"), attaches);
        batch.jobs.push(Job { after: "sleep 0.5".to_owned(), ..traced });
    }
    for (index, (option, pattern)) in LISTINGS.iter().enumerate().filter(|_| modules > 0) {
        for run in 0..=runs {
            for (tracer, list) in [("sondec", "list"), ("bpftrace", "-l")] {
                let command = format!("exec {tracer} {list} {option} '{pattern}' > /run/listing 2>&1");
                batch.jobs.push(job(&format!("list.{index}.{tracer}.{run}"), &command, false));
            }
        }
    }
    Ok(batch)
}

fn job(id: &str, command: &str, attaches: bool) -> Job {
    Job {
        id: id.to_owned(),
        argv: vec!["sh".to_owned(), "-c".to_owned(), format!("SCRIPT='{SCRIPT}'; {command}")],
        is_tracer: attaches,
        interrupt_after_ms: attaches.then_some(100),
        limit_s: LIMIT_S,
        ..Job::default()
    }
}

fn ended(batch: &Batch, id: &str) -> Result<Outcome, Failure> {
    let outcome = batch.wait(id)?;
    if outcome.status != 0 || outcome.timed_out {
        return Err(format!("{id} did not end well\n{}", verdict::context(&outcome)));
    }
    Ok(outcome)
}

/// The first run fills caches and does not count.
fn median(
    batch: &Batch,
    runs: usize,
    id: impl Fn(usize) -> String,
    of: impl Fn(&Outcome) -> u64,
) -> Result<f64, Failure> {
    let values: Result<Vec<u64>, Failure> =
        (1..=runs).map(|run| ended(batch, &id(run)).map(|outcome| of(&outcome))).collect();
    let mut values = values?;
    values.sort_unstable();
    Ok(values.get(values.len() / 2).copied().unwrap_or(0) as f64)
}

/// Files opened and bytes read, from strace's log.
fn reads(batch: &Batch, name: &str) -> Result<(usize, u64), Failure> {
    ended(batch, &format!("{name}.strace"))?;
    let file = batch.share().join(format!("{name}.strace"));
    let log = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let returned = |line: &str| line.rsplit_once("= ")?.1.parse::<u64>().ok();
    let opens = log.lines().filter(|line| line.contains("openat(") && returned(line).is_some()).count();
    let bytes = log.lines().filter(|line| line.contains("read(")).filter_map(returned).sum();
    Ok((opens, bytes))
}
