//! The extra section of a sonde object.
//!
//! An object written by `sondec` is an ordinary BPF object; what ELF and BTF cannot say (print formats,
//! attach points, parameters, the modules types came from) is in one more section, the manifest. The
//! compiler promises it, the loader relies on it, foreign loaders ignore it.
//!
//! Encoding   JSON, UTF-8, in the section named [`SECTION`] (`SHT_PROGBITS`, no flags)
//! Versions   a reader refuses a version it does not know: [`VERSION`] grows with every change of meaning
//! Absences   no logic but [`Manifest::from_bytes`]'s checks, no I/O, nothing of the build host
//!
//! Everything read from a manifest is untrusted. `from_bytes` checks what holds within the manifest
//! (indices, sizes, nesting); that it fits the object's symbols and maps is the loader's to check.

mod attach;
mod check;
mod event;
mod layout;

pub use attach::{AttachPoint, Period, Probe};
pub use check::{Error, LIMITS, Limits};
pub use event::{Event, Place, RuntimeError};
pub use layout::{Bits, Enum, Field, Layout, Map, MapValue, StackMode};

use serde::{Deserialize, Serialize};

/// Name of the manifest's ELF section. It starts with none of the prefixes that loaders match on
/// (`maps`, `license`, `version`, `.data`, `.rodata`, `.bss`, `.rel`, `.debug_`).
pub const SECTION: &str = "sonde";

/// Version of the format this crate writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// Symbol of the ring buffer that carries every event.
///
/// A record is a little-endian `u64` index into [`Manifest::events`], then that event's payload; all
/// offsets in [`Event`] count from the start of the record.
pub const EVENTS_MAP: &str = "sonde_events";

/// Symbol (in `.bss`) of the `u64` that programs add 1 to, atomically, for each event the ring buffer had no room for.
pub const LOST_EVENTS: &str = "sonde_lost";

/// What the loader needs to know of an object, beside the object itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format version, [`VERSION`].
    pub version: u32,
    /// The compiler and its version, e.g. `sondec 0.1.0`.
    pub producer: String,
    /// The script, for messages that point at its lines.
    pub source: Source,
    /// Settings of the script's `config` block that shape the run.
    pub config: Config,
    /// Probes in source order.
    pub probes: Vec<Probe>,
    /// The script's maps, in byte order of their names. Internal maps are not listed.
    pub maps: Vec<Map>,
    /// Events by their number in ring-buffer records.
    pub events: Vec<Event>,
    /// Enums that values are printed by, referred to by index.
    pub enums: Vec<Enum>,
    /// Read-only globals that the loader fills in before it loads.
    pub globals: Vec<Global>,
    /// Where the types that CO-RE relocations start from were found, for those not from vmlinux.
    pub types: Vec<TypeOrigin>,
    /// True if the script uses functions that change the system; the loader then asks for `--unsafe`.
    pub needs_unsafe: bool,
}

/// The script an object was compiled from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// File name as given to the compiler; `stdin` for `-e` and `-`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Settings that shape the run; the names are bpftrace's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What to do if an attach point does not exist.
    pub missing_probes: MissingProbes,
    /// Whether maps are printed at exit.
    pub print_maps_on_exit: bool,
    /// Ring buffer size in pages; 0 lets the loader decide.
    pub perf_rb_pages: u32,
    /// Appended to strings that fill their capacity without a NUL.
    pub str_trunc_trailer: String,
    /// Bytes that `cat` prints at the most.
    pub max_cat_bytes: u64,
    /// Most functions that may be attached.
    pub max_probes: u64,
    /// Demangle C++ symbols in stacks.
    pub cpp_demangle: bool,
}

/// bpftrace's `missing_probes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingProbes {
    /// Refuse to run.
    Error,
    /// Say so and go on.
    Warn,
    /// Go on silently.
    Ignore,
}

/// A read-only global (in `.rodata`) whose value the loader decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Global {
    /// ELF symbol, 8 bytes wide unless its role says otherwise.
    pub symbol: String,
    /// What the loader writes there.
    pub role: GlobalRole,
}

/// What a [`Global`] holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GlobalRole {
    /// Number of online CPUs.
    Ncpus,
    /// Highest possible CPU number.
    MaxCpuId,
    /// Pid of `-c CMD`, else 0.
    ChildPid,
    /// `CLOCK_BOOTTIME` in ns just before `begin` runs.
    StartNs,
    /// `CLOCK_TAI - CLOCK_BOOTTIME` in ns.
    TaiOffset,
    /// Address of a kernel symbol from kallsyms.
    KernelSymbol(String),
    /// cgroup v2 id of a path.
    CgroupId(String),
    /// Positional parameter as an integer (1-based).
    PositionalInt(u32),
    /// Positional parameter as a NUL-terminated string of this capacity in bytes.
    PositionalStr {
        /// Position, from 1.
        index: u32,
        /// Bytes of the global.
        size: u32,
    },
    /// Number of positional parameters.
    PositionalCount,
    /// Named parameter (`getopt`).
    Named(Parameter),
}

/// A named parameter: `-- --name=value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Name without the dashes.
    pub name: String,
    /// Text shown by `-- --help`.
    pub description: String,
    /// Type and default.
    pub default: ParameterValue,
}

/// Type and default of a [`Parameter`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterValue {
    /// A flag; 8 bytes, 0 or 1.
    Bool(bool),
    /// Signed if the default is negative; 8 bytes.
    Int(i64),
    /// Unsigned; 8 bytes.
    Uint(u64),
    /// NUL-terminated, in a global of `size` bytes.
    Str {
        /// Default text.
        value: String,
        /// Bytes of the global.
        size: u32,
    },
}

/// The module whose BTF a kernel type was found in. Types of one name from different modules are different
/// types of the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeOrigin {
    /// The type in the object's BTF.
    pub id: u32,
    /// Its name there, without `struct`.
    pub name: String,
    /// Module whose BTF is searched first, before vmlinux.
    pub module: String,
}

impl Manifest {
    /// Reads and checks a manifest; the error names the offending entry.
    pub fn from_bytes(bytes: &[u8]) -> Result<Manifest, Error> {
        check::read(bytes)
    }

    /// The section's bytes. Field order is fixed, so equal manifests give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest holds only strings, integers and lists of them")
    }
}
