//! A guest as a host of its own: with many modules loaded, and the compiler in it.

use crate::vm::{Batch, GUEST_SHARE};
use crate::{Failure, objects};
use std::path::Path;
use std::process::Command;

/// Shell text that loads `count` modules beside what is there: those that drive no device and hook
/// nothing until they are told to. Prints how many BTF files there are then.
pub fn load_modules(count: usize) -> String {
    let folders = "net/netfilter net/ipv4/netfilter net/ipv6/netfilter net/sched fs/nls lib crypto net/bridge/netfilter drivers/hid drivers/media/rc/keymaps sound/soc/codecs drivers/iio";
    format!(
        "r=/lib/modules/$(uname -r)/kernel
         for d in {folders}; do find $r/$d -name '*.ko*' | sort; done |
           sed 's,.*/,,; s,[.]ko.*,,' | head -n {count} > /run/modules
         timeout 200 modprobe -a -q $(cat /run/modules)
         echo $(ls /sys/kernel/btf | wc -l) BTF files\n"
    )
}

/// Puts the compiler into a batch as `sondec`: the program as it was built for this machine, with its
/// libraries, since the guest's may be older.
pub fn put_sondec(batch: &Batch) -> Result<(), Failure> {
    let program = objects::sondec()?;
    let output = Command::new("ldd").arg(&program).output().map_err(|e| format!("ldd: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
    let mut loader = None;
    for library in libraries {
        let name = library.file_name().unwrap_or_default().to_string_lossy();
        let there = batch.put(library, &format!("sondec/{name}"))?;
        if name.starts_with("ld-") {
            loader = Some(there);
        }
    }
    let program = batch.put(&program, "sondec/sondec")?;
    let start = match loader {
        Some(loader) => format!("{loader} --library-path {GUEST_SHARE}/sondec {program}"),
        None => program,
    };
    put_script(batch, "sondec", &format!("exec {start} \"$@\""))
}

/// A shell script among the guest's programs.
fn put_script(batch: &Batch, name: &str, text: &str) -> Result<(), Failure> {
    let file = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::write(file.path(), format!("#!/bin/sh\n{text}\n"))
        .and_then(|()| std::fs::set_permissions(file.path(), mode))
        .map_err(|e| format!("{}: {e}", file.path().display()))?;
    batch.put(file.path(), &format!("bin/{name}")).map(drop)
}
