//! Why a run cannot start or go on, and the exit status that says so.

use crate::relocate::prototype::WrongPrototype;
use crate::sys::SysError;
use manifest::Probe;
use std::path::PathBuf;

/// Exit statuses; `exit(n)` in the script and the normal end (0) aside.
pub mod status {
    /// Wrong arguments, or nothing to attach.
    pub const USAGE: u8 = 1;
    /// The object cannot be read or is malformed.
    pub const ARTIFACT: u8 = 3;
    /// A capability is missing, or the kernel is locked down.
    pub const PERMISSION: u8 = 4;
    /// The kernel lacks an attach point, a type, a symbol or a feature.
    pub const KERNEL: u8 = 5;
    /// The verifier refused a program.
    pub const VERIFIER: u8 = 6;
    /// Anything else while setting up or running.
    pub const FAILED: u8 = 255;
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Arguments that make no sense.
    #[error("{0}")]
    Usage(String),
    /// The script has no probe that exists here.
    #[error("No probes to attach")]
    NothingToAttach,
    /// The object cannot be read.
    #[error("{}: cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The object is malformed.
    #[error("{}", file.display())]
    Artifact {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<crate::open::Error>,
    },
    /// The object's CO-RE relocations make no sense.
    #[error("program `{program}`, instruction {insn}: {what}")]
    Relocation {
        /// Which program.
        program: String,
        /// Which of its instructions.
        insn: usize,
        /// What is wrong.
        what: String,
    },
    /// The script changes the system.
    #[error("the script uses functions that change the system: run it with --unsafe if that is intended")]
    NeedsUnsafe,
    /// The kernel has no BTF, or it is unusable.
    #[error("kernel types of {module} cannot be read from {}{}", path.display(), types_hint(module, source.as_ref()))]
    KernelTypes {
        /// `vmlinux` or a module.
        module: String,
        /// Where they should be.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Types of one name that differ, and nothing says which is meant.
    #[error(
        "{what} is {} in {} and {} in {}, and the script does not say which is meant: name the module in the probe, and rebuild",
        values[0], places[0], values[1], places[1]
    )]
    AmbiguousType {
        /// The field, type or enumerator.
        what: String,
        /// `vmlinux`, or modules.
        places: [String; 2],
        /// What each says.
        values: [u64; 2],
    },
    /// An argument or result that is not what the program was compiled for.
    #[error("{0}")]
    Prototype(Box<WrongPrototype>),
    /// Several functions of one name, and nothing says which the kernel would take.
    #[error(
        "{probe}: this kernel has several functions of that name, {}, and cannot be told which: use a kprobe, which needs no types",
        candidates.join(", ")
    )]
    AmbiguousFunction {
        /// The probe.
        probe: String,
        /// The functions as C text.
        candidates: Vec<String>,
    },
    /// A kernel symbol that does not exist.
    #[error("kernel symbol `{0}` does not exist here")]
    KernelSymbol(String),
    /// A kernel symbol whose address is kept from us.
    #[error("/proc/kallsyms hides the address of kernel symbol `{0}`: CAP_SYSLOG is needed")]
    HiddenSymbol(String),
    /// Tracepoints have numbers only there.
    #[error(
        "{0} needs tracefs, which is not mounted at /sys/kernel/tracing, not readable (CAP_DAC_READ_SEARCH), or locked down"
    )]
    NoTracefs(String),
    /// An attach point that does not exist; the texts are bpftrace's.
    #[error("{0}")]
    MissingProbe(String),
    /// More functions match than the script allows.
    #[error("attaching to {found} functions, more than max_probes = {max}: narrow the pattern, or raise it")]
    TooManyProbes {
        /// Matching functions.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// A map could not be created.
    #[error("map `{map}` ({map_type}, {entries} entries): {error}{}", permission_hint(error))]
    Map {
        /// Which.
        map: String,
        /// Its type by name.
        map_type: &'static str,
        /// Its size.
        entries: u32,
        /// Why.
        error: SysError,
    },
    /// The kernel refused the object's types.
    #[error("types of the object: {error}{}\n{log}", permission_hint(error))]
    TypesRefused {
        /// Why.
        error: SysError,
        /// The kernel's log.
        log: String,
    },
    /// The verifier refused a program.
    #[error("{0}")]
    Verifier(Box<crate::verifier::Refusal>),
    /// The kernel refused a program for another reason.
    #[error("program `{program}` for {probe}: {error}{}", permission_hint(error))]
    Load {
        /// Which program.
        program: String,
        /// Its probe.
        probe: String,
        /// Why.
        error: SysError,
    },
    /// An attach point that the kernel refused.
    #[error("Unable to attach probe: {probe} (program `{program}`): {error}{}{hint}", permission_hint(error))]
    Attach {
        /// Which program.
        program: String,
        /// Its probe.
        probe: String,
        /// Why.
        error: SysError,
        /// What may help, with a leading separator.
        hint: &'static str,
    },
    /// A system call outside of loading and attaching.
    #[error("{what}: {error}")]
    System {
        /// What it was for.
        what: String,
        /// Why.
        error: SysError,
    },
    /// Input or output.
    #[error("{what}")]
    Io {
        /// What it was for.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

fn permission_hint(source: &SysError) -> &'static str {
    match source.errno {
        libc::EPERM | libc::EACCES => {
            "; this needs root, or CAP_BPF and CAP_PERFMON, and a kernel that is not locked down (see `sonde doctor`)"
        }
        libc::EMFILE => "; raise the limit on open files (ulimit -n)",
        _ => "",
    }
}

/// What can be done about types that cannot be read.
fn types_hint(module: &str, source: &(dyn std::error::Error + 'static)) -> &'static str {
    match source.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::NotFound) if module == "vmlinux" => {
            " (a kernel with CONFIG_DEBUG_INFO_BTF is needed, and sysfs mounted at /sys)"
        }
        Some(std::io::ErrorKind::PermissionDenied) => " (the file must be readable)",
        _ => "",
    }
}

impl Error {
    /// The attach point cannot be used.
    pub fn attach(probe: &Probe, error: SysError) -> Self {
        Self::Attach { program: probe.program.clone(), probe: probe.name.clone(), error, hint: "" }
    }

    /// What the process ends with.
    pub fn status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::NothingToAttach | Self::NeedsUnsafe => status::USAGE,
            Self::Read { .. } | Self::Artifact { .. } | Self::Relocation { .. } => status::ARTIFACT,
            Self::KernelTypes { .. }
            | Self::AmbiguousType { .. }
            | Self::AmbiguousFunction { .. }
            | Self::Prototype(_)
            | Self::KernelSymbol(_)
            | Self::MissingProbe(_)
            | Self::TooManyProbes { .. } => status::KERNEL,
            Self::HiddenSymbol(_) | Self::NoTracefs(_) => status::PERMISSION,
            Self::Verifier(refusal) if refusal.is_missing() => status::KERNEL,
            Self::Verifier(_) => status::VERIFIER,
            Self::Map { error, .. }
            | Self::TypesRefused { error, .. }
            | Self::Load { error, .. }
            | Self::Attach { error, .. }
            | Self::System { error, .. }
                if error.is_permission() =>
            {
                status::PERMISSION
            }
            Self::Map { .. }
            | Self::TypesRefused { .. }
            | Self::Load { .. }
            | Self::Attach { .. }
            | Self::System { .. }
            | Self::Io { .. } => status::FAILED,
        }
    }
}

/// An error and its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
