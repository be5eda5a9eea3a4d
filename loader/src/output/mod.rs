//! Turns ring-buffer records and map contents into what the user sees.
//!
//! Input    records and map cells (untrusted bytes), the manifest that gives them meaning
//! Output   bytes on two streams, in bpftrace's text format or its JSON
//! Requires a manifest that passed [`Manifest::from_bytes`]
//! Absences no system calls but through [`Host`] and [`Symbols`]; no panic on any bytes

use manifest::Manifest;
use std::io::{self, Write};
use std::sync::Arc;

/// Face of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// What people read.
    Text,
    /// One JSON object a line.
    Json,
}

/// When output is flushed (`-B`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffering {
    /// After every event.
    None,
    /// After every event that ends a line.
    Line,
    /// When [`Output::flush`] is called, or the stream's own buffer is full.
    Full,
}

/// Which run-time warnings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warnings {
    /// All but failed reads and missing map keys.
    Default,
    /// All (`-k`).
    All,
    /// None (`--no-warnings`).
    None,
}

/// How output is shaped.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Text or JSON.
    pub format: Format,
    /// When to flush.
    pub buffering: Buffering,
    /// Which run-time warnings to show.
    pub warnings: Warnings,
    /// `out` is a terminal: control characters of untrusted strings are neutralised.
    pub terminal: bool,
    /// Diagnostics on `err` are coloured.
    pub colour: bool,
    /// No `Attached N probes` (`-q`).
    pub quiet: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            format: Format::Text,
            buffering: Buffering::Line,
            warnings: Warnings::Default,
            terminal: false,
            colour: false,
            quiet: false,
        }
    }
}

/// Whether to go on after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Handle the next event.
    Continue,
    /// `exit(code)`: drop later events, detach, run `end`, end with this status.
    Exit(u8),
}

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
        todo!()
    }
    /// Wall clock minus boot clock in nanoseconds, for `strftime()`; fixed for a run.
    fn boot_offset_ns(&mut self) -> i64 {
        todo!()
    }
    /// At most `max` bytes of a file, for `cat()`.
    fn read_file(&mut self, _path: &str, _max: u64) -> io::Result<Vec<u8>> {
        todo!()
    }
    /// What `sh -c` writes to its standard output, for `system()`.
    fn run_shell(&mut self, _command: &str) -> io::Result<Vec<u8>> {
        todo!()
    }
}

/// Writes events and maps as text or JSON.
pub struct Output {
    _manifest: Arc<Manifest>,
    _options: Options,
    _out: Box<dyn Write>,
    _err: Box<dyn Write>,
}

impl Output {
    /// `out` gets the output (wrap it in a `BufWriter`: flushes are explicit), `err` diagnostics in text format.
    pub fn new(manifest: Arc<Manifest>, options: Options, out: Box<dyn Write>, err: Box<dyn Write>) -> Output {
        Output { _manifest: manifest, _options: options, _out: out, _err: err }
    }

    /// Handles one ring-buffer record. An error means `out` or `err` cannot be written to; what is wrong
    /// with a record or a map is shown as a diagnostic and counted.
    pub fn event(&mut self, _record: &[u8], _host: &mut dyn Host) -> io::Result<Flow> {
        todo!()
    }

    /// Says how many probes are attached, unless quiet.
    pub fn attached(&mut self, _probes: usize) -> io::Result<()> {
        todo!()
    }

    /// Says that this many events were lost since the last call; 0 says nothing.
    pub fn lost(&mut self, _events: u64) -> io::Result<()> {
        todo!()
    }

    /// Says how many events were lost in all, if any.
    pub fn total_lost(&mut self) -> io::Result<()> {
        todo!()
    }

    /// The two newlines and, if the script's config says so, all maps that are not empty.
    pub fn maps_at_exit(&mut self, _host: &mut dyn Host) -> io::Result<()> {
        todo!()
    }

    /// Records that could not be decoded so far.
    pub fn bad_records(&self) -> u64 {
        todo!()
    }

    /// Flushes both streams, whatever the buffering.
    pub fn flush(&mut self) -> io::Result<()> {
        todo!()
    }
}
