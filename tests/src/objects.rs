//! Builds what is under test: the programs from the tree, and objects from scripts.

use crate::{Failure, lab};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};

/// Guest programs are linked statically for this target: the guest's root then owes them nothing.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The compiler, built from the tree (or the one `SONDE_SONDEC` names).
pub fn sondec() -> Result<PathBuf, Failure> {
    static BUILT: OnceLock<Result<PathBuf, Failure>> = OnceLock::new();
    BUILT.get_or_init(|| built("SONDE_SONDEC", "compiler", "sondec", None)).clone()
}

/// The compiler as it ships, static.
pub fn sondec_shipped() -> Result<PathBuf, Failure> {
    static BUILT: OnceLock<Result<PathBuf, Failure>> = OnceLock::new();
    BUILT.get_or_init(|| built("SONDE_SONDEC", "compiler", "sondec", Some("release"))).clone()
}

/// The loader, static (or the one `SONDE_SONDE` names). `SONDE_LOADER_PROFILE` picks cargo's profile.
pub fn sonde() -> Result<PathBuf, Failure> {
    static BUILT: OnceLock<Result<PathBuf, Failure>> = OnceLock::new();
    let profile = std::env::var("SONDE_LOADER_PROFILE").unwrap_or_else(|_| "dev".into());
    BUILT.get_or_init(|| built("SONDE_SONDE", "loader", "sonde", Some(&profile))).clone()
}

/// The loader as it ships.
pub fn sonde_shipped() -> Result<PathBuf, Failure> {
    static BUILT: OnceLock<Result<PathBuf, Failure>> = OnceLock::new();
    BUILT.get_or_init(|| built("SONDE_SONDE", "loader", "sonde", Some("release-loader"))).clone()
}

/// This crate's driver inside the guest.
pub fn guest() -> Result<PathBuf, Failure> {
    static BUILT: OnceLock<Result<PathBuf, Failure>> = OnceLock::new();
    BUILT.get_or_init(|| built("SONDE_GUEST", "tests", "guest", Some("dev"))).clone()
}

/// `static_profile`: build for the guest with this profile; otherwise for the host.
fn built(variable: &str, package: &str, bin: &str, static_profile: Option<&str>) -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(lab::tree()).args(["build", "--quiet", "--bin", bin]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    if let Some(profile) = static_profile {
        cargo.args(["--package", package, "--target", TARGET, "--profile", profile]);
        cargo.env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
    } else {
        // With the features of the whole workspace: what `cargo test --workspace` has built already.
        cargo.arg("--workspace");
    }
    let output = cargo.output().map_err(|e| format!("cargo: {e}"))?;
    if !output.status.success() {
        return Err(format!("cannot build {bin}:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    executable(&output).ok_or_else(|| format!("cargo did not say where it put {bin}"))
}

fn executable(cargo: &Output) -> Option<PathBuf> {
    String::from_utf8_lossy(&cargo.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
        .next_back()
}

/// The folder of the programs that cases probe, built from `tests/programs` once a run.
pub fn programs() -> Result<PathBuf, Failure> {
    static BUILT: OnceLock<Result<PathBuf, Failure>> = OnceLock::new();
    BUILT.get_or_init(build_programs).clone()
}

fn build_programs() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|e| format!("current_exe: {e}"))?;
    let folder = own.with_file_name("programs");
    let output = Command::new(lab::tree().join("tests/programs/build")).arg(&folder).output();
    let output = output.map_err(|e| format!("tests/programs/build: {e}"))?;
    if output.status.success() {
        return Ok(folder);
    }
    Err(format!("cannot build the programs that cases probe:\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// `PATH` with the programs that cases probe in front.
fn search_path() -> Result<std::ffi::OsString, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(programs()?).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).map_err(|e| format!("PATH: {e}"))
}

/// `sondec build SCRIPT -o OBJECT --btf BTF`; the failure is what the compiler said.
pub fn build(script: &Path, object: &Path, btf: &Path) -> Result<(), Failure> {
    let output = Command::new(sondec()?)
        .arg("build")
        .arg(script)
        .arg("-o")
        .arg(object)
        .arg("--btf")
        .arg(btf)
        .env("PATH", search_path()?)
        .output()
        .map_err(|e| format!("sondec: {e}"))?;
    if output.status.success() && object.exists() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("sondec refused {} ({}):\n{said}", script.display(), output.status))
}

/// An object's path, or what the compiler said.
pub type Built = Result<PathBuf, Failure>;

/// Builds scripts given by name into `dir`, on as many threads as there are processors.
pub fn build_many(
    scripts: Vec<(String, PathBuf)>,
    dir: &Path,
    btf: &Path,
) -> Result<BTreeMap<String, Built>, Failure> {
    sondec()?;
    let todo = Mutex::new(scripts);
    let done = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((name, script)) = { todo.lock().expect("no holder panics").pop() } {
                    let object = dir.join(format!("{}.bpf.o", name.replace('/', "-")));
                    let built = build(&script, &object, btf).map(|()| object);
                    done.lock().expect("no holder panics").insert(name, built);
                }
            });
        }
    });
    Ok(done.into_inner().expect("no holder panics"))
}
