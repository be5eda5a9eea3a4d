//! A host with many modules: what the compiler and the loader read there, and what is listed.
//!
//! One boot per kernel: both programs run under strace for a script that names one module, and must open
//! the BTF of vmlinux and of that module alone. On the build kernel listings are compared with the
//! reference tracer's, byte for byte.

use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::Arc;
use tests::job::{Job, Outcome};
use tests::vm::{self, Batch, GUEST_SHARE};
use tests::{Failure, host, lab, objects, verdict};

const MODULES: usize = 60;
const LIMIT_S: u64 = 300;
const SCRIPT: &str = "fentry:nf_tables:nft_do_chain { printf(\"%d\\n\", args.pkt->flags); }";
/// Options and pattern. All of these are equal; CHANGELOG.md says where listings differ, and why.
const LISTINGS: [(&str, &str); 8] = [
    ("-l", "fentry:nf_tables:*"),
    ("-lv", "fentry:nf_tables:*"),
    ("-lv", "kprobe:nf_tables:nft_*"),
    ("-l", "struct nft_*"),
    ("-lv", "struct nft_table"),
    ("-lv", "union nft_*"),
    ("-l", "tracepoint:*"),
    ("-lv", "tracepoint:neigh:*"),
];

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let mut trials = Vec::new();
    if args.list {
        let names = lab::KERNELS.map(|kernel| Trial::test(kernel, || Ok(())));
        return libtest_mimic::run(&args, names.into()).exit_code();
    }
    let wanted = |name: &&&str| args.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let batches: Result<Vec<Arc<Batch>>, Failure> = lab::set_up()
        .and_then(|()| lab::KERNELS.iter().filter(wanted).map(|k| planned(k).map(Arc::new)).collect());
    match batches {
        Ok(batches) => {
            vm::start(&batches);
            for batch in batches {
                let kernel = batch.kernel.clone();
                trials.push(Trial::test(kernel, move || judge(&batch).map_err(Failed::from)));
            }
            libtest_mimic::run(&args, trials).exit_code()
        }
        Err(why) => {
            eprintln!("many_modules: {why}");
            ExitCode::FAILURE
        }
    }
}

fn job(id: &str, command: &str) -> Job {
    Job {
        id: id.to_owned(),
        argv: ["sh", "-c", command].map(str::to_owned).to_vec(),
        limit_s: LIMIT_S,
        ..Job::default()
    }
}

fn planned(kernel: &str) -> Result<Batch, Failure> {
    let mut batch = Batch::new(kernel)?;
    batch.need_modules(&["nf_tables".to_owned()]);
    batch.put(&objects::sonde()?, "bin/sonde")?;
    host::put_sondec(&batch)?;
    let strace = |id: &str| format!("exec strace -DD -f -e trace=open,openat -o {GUEST_SHARE}/{id}.strace");
    batch.jobs.push(job("modules", &host::load_modules(MODULES)));
    let build = format!("{} sondec build -e '{SCRIPT}' -o /tmp/script.bpf.o", strace("build"));
    batch.jobs.push(Job { after: "sleep 0.5".to_owned(), ..job("build", &build) });
    batch.jobs.push(Job {
        after: "sleep 0.5".to_owned(),
        is_tracer: true,
        interrupt_after_ms: Some(0),
        ..job("run", &format!("{} sonde run /tmp/script.bpf.o", strace("run")))
    });
    if kernel == lab::BUILD_KERNEL {
        for (index, (options, pattern)) in LISTINGS.iter().enumerate() {
            let own = options.replace("-l", "list ").replace("list v", "list -v");
            batch.jobs.push(job(&format!("list.{index}"), &format!("exec sondec {own} '{pattern}'")));
            let theirs = options.replace("-lv", "-v -l");
            let theirs = format!("exec bpftrace {theirs} '{pattern}'");
            batch.jobs.push(job(&format!("list.{index}.oracle"), &theirs));
        }
    }
    Ok(batch)
}

fn judge(batch: &Batch) -> Result<(), Failure> {
    let modules = ended(batch, "modules")?;
    let files: usize = modules.out.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    if files < MODULES / 2 {
        return Err(format!("too few modules to show anything\n{}", verdict::context(&modules)));
    }
    for id in ["build", "run"] {
        ended(batch, id)?;
        let log = std::fs::read_to_string(batch.share().join(format!("{id}.strace")));
        let want = ["vmlinux", "nf_tables"].map(str::to_owned);
        verdict::opened_btf(&log.map_err(|e| format!("strace left no log: {e}"))?, &want)
            .map_err(|e| format!("{id}, {files} BTF files: {e}"))?;
    }
    for (index, (options, pattern)) in LISTINGS.iter().enumerate() {
        if batch.kernel != lab::BUILD_KERNEL {
            break;
        }
        let got = ended(batch, &format!("list.{index}"))?.out;
        let want = ended(batch, &format!("list.{index}.oracle"))?.out;
        if want.is_empty() || want != got {
            let differences = tests::pattern::explain(&want, &got);
            return Err(format!("{options} {pattern} differs from bpftrace: {differences}"));
        }
    }
    Ok(())
}

fn ended(batch: &Batch, id: &str) -> Result<Outcome, Failure> {
    let outcome = batch.wait(id)?;
    if outcome.status != 0 {
        return Err(format!("{id} ended with {}\n{}", outcome.status, verdict::context(&outcome)));
    }
    Ok(outcome)
}
