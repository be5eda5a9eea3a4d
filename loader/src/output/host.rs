//! What the output asks of the running system: map contents, names, clocks, files, commands.

use super::time;
use std::fs::File;
use std::io::{self, Read};
use std::process::{Command, Stdio};

/// Names for numbers, asked for when a value is printed.
pub trait Symbols {
    /// Kernel symbol that holds an address: name and offset within it.
    fn ksym(&mut self, addr: u64) -> Option<(String, u64)>;
    /// Symbol of a process that holds an address.
    fn usym(&mut self, pid: u32, addr: u64) -> Option<UserSymbol>;
    /// Name of a user.
    fn username(&mut self, uid: u32) -> Option<String>;
    /// Paths of a cgroup id as bpftrace prints them, e.g. `unified:/system.slice`.
    fn cgroup_path(&mut self, id: u64) -> Option<String>;
}

/// A symbol of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSymbol {
    /// Function.
    pub name: String,
    /// Bytes from its start.
    pub offset: u64,
    /// File it was mapped from.
    pub module: String,
}

/// What handling an event needs of the running system.
pub trait Host {
    /// All entries of a manifest map: key bytes, value bytes. For maps in per-CPU cells
    /// (`MapValue` other than `Plain`) the value is every possible CPU's cell, each padded to 8 bytes,
    /// as `BPF_MAP_LOOKUP_ELEM` returns them.
    fn map_entries(&mut self, map: usize) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>>;
    /// Deletes all entries.
    fn clear_map(&mut self, map: usize) -> io::Result<()>;
    /// Sets all values to zero bytes; keys stay.
    fn zero_map(&mut self, map: usize) -> io::Result<()>;
    /// Names for addresses and ids.
    fn symbols(&mut self) -> &mut dyn Symbols;

    /// Nanoseconds since 1970 by the wall clock, for `time()`.
    fn wall_ns(&mut self) -> i64 {
        time::wall_ns()
    }

    /// Wall clock minus boot clock in nanoseconds, for `strftime()`; asked once a run.
    fn boot_offset_ns(&mut self) -> i64 {
        time::boot_offset_ns()
    }

    /// At most `max` bytes of a file, for `cat()`.
    fn read_file(&mut self, path: &str, max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What `sh -c` writes to its standard output, for `system()`; an error if it fails.
    fn run_shell(&mut self, command: &str) -> io::Result<Vec<u8>> {
        let output = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .stdout(Stdio::piped())
            .output()?;
        match output.status.code() {
            Some(0) => Ok(output.stdout),
            Some(code) => Err(io::Error::other(format!("command exited with code {code}"))),
            None => Err(io::Error::other(format!("command ended by {}", output.status))),
        }
    }
}

/// The system's text for an error number, without Rust's `(os error N)`.
pub(super) fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => text.trim_end_matches(&format!(" (os error {number})")).to_owned(),
        None => text,
    }
}
