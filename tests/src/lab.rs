//! Where things are: the tree, and the laboratory outside it that `tests/setup` fills.

use crate::Failure;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kernels every case runs on unless it says otherwise, as directory names of the laboratory.
pub const KERNELS: [&str; 3] = ["6.1", "6.12", "newest"];
/// Objects are built once, against this kernel's types, whatever they run on later.
pub const BUILD_KERNEL: &str = "6.12";

/// The root of the source tree.
pub fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace").to_path_buf()
}

/// Kernels, guest roots, corpus and cached oracle output.
pub fn lab() -> PathBuf {
    if let Some(lab) = std::env::var_os("LAB") {
        return lab.into();
    }
    let cache = std::env::var_os("SONDE_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").expect("HOME or SONDE_CACHE is set");
        Path::new(&home).join(".cache/sonde")
    });
    cache.join("lab")
}

/// Runs `tests/setup`: instant when there is nothing to do, a failure when something cannot be had.
pub fn set_up() -> Result<(), Failure> {
    let setup = tree().join("tests/setup");
    let status = Command::new(&setup).status().map_err(|e| format!("{}: {e}", setup.display()))?;
    if status.success() { Ok(()) } else { Err(format!("tests/setup failed ({status}); see above")) }
}

/// The release a kernel directory holds, e.g. `6.12.107+deb13-amd64`.
pub fn release(kernel: &str) -> Result<String, Failure> {
    let file = lab().join("kernels").join(kernel).join("release");
    let text = std::fs::read_to_string(&file)
        .map_err(|e| format!("kernel {kernel} is not fetched ({}: {e}): run tests/setup", file.display()))?;
    Ok(text.trim().to_owned())
}

/// The guests' root: an image to boot and the directory it was made from.
pub fn guest_root() -> PathBuf {
    lab().join("roots/bt27")
}

/// The reference tracer's package and version, part of every cached oracle result's key.
pub fn oracle_version() -> Result<String, Failure> {
    let file = guest_root().join("packages");
    let text =
        std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}: run tests/setup", file.display()))?;
    let line = text.lines().find(|l| l.starts_with("bpftrace_"));
    Ok(line.ok_or("the guest root has no bpftrace")?.to_owned())
}

/// A script of the reference tracer's Debian package, by file name.
pub fn packaged_script(name: &str) -> PathBuf {
    guest_root().join("usr/sbin").join(name)
}
