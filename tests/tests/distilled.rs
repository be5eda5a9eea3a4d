//! A module built outside the kernel's tree brings a base of its own, `.BTF.base`: objects compiled against the
//! module's file are those compiled against what the running kernel made of it.

use std::path::Path;
use std::sync::Arc;
use tests::job::Job;
use tests::vm::{self, Batch, GUEST_SHARE};
use tests::{Failure, kernel_btf, lab, objects};

const MODULE: &str = "sonde_outside";
/// Those that know `.BTF.base`: since 6.11.
const KERNELS: [&str; 2] = ["6.12", "newest"];
const LIMIT_S: u64 = 60;

#[test]
fn the_file_means_what_the_running_kernel_has() -> Result<(), Failure> {
    lab::set_up()?;
    let batches = KERNELS.into_iter().map(dump).collect::<Result<Vec<_>, _>>()?;
    vm::start(&batches);
    for batch in batches {
        let outcome = batch.wait(MODULE)?;
        assert_eq!(outcome.status, 0, "{}: {}", batch.kernel, outcome.err);
        compare(&batch.kernel, batch.share())?;
    }
    Ok(())
}

/// A boot that copies the running kernel's types.
fn dump(kernel: &str) -> Result<Arc<Batch>, Failure> {
    let mut batch = Batch::new(kernel)?;
    batch.need_modules(&[MODULE.to_owned()]);
    let command = format!(
        "mkdir {GUEST_SHARE}/btf && cp /sys/kernel/btf/vmlinux /sys/kernel/btf/{MODULE} {GUEST_SHARE}/btf"
    );
    let argv = ["sh", "-c", &command].map(str::to_owned).to_vec();
    batch.jobs.push(Job { id: MODULE.to_owned(), argv, limit_s: LIMIT_S, ..Job::default() });
    Ok(Arc::new(batch))
}

fn compare(kernel: &str, share: &Path) -> Result<(), Failure> {
    let script = lab::tree().join("tests/cases/modules/outside.bt");
    let built = |btf: &Path, name: &str| {
        let object = share.join(name);
        objects::build(&script, &object, btf)?;
        std::fs::read(&object).map_err(|e| format!("{}: {e}", object.display()))
    };
    let file = built(&kernel_btf::directory(kernel, &[MODULE])?, "file.bpf.o")?;
    let running = built(&share.join("btf"), "running.bpf.o")?;
    assert!(file == running, "{kernel}: the objects differ, see {}", share.display());
    assert!(kernel_btf::has_own_base(kernel, MODULE)?, "{kernel}: {MODULE} was built without .BTF.base");
    Ok(())
}
