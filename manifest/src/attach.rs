//! Probes and where they attach.

use serde::{Deserialize, Serialize};

/// One program and its attach point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// ELF symbol of the program.
    pub program: String,
    /// What `probe` prints, and messages name: `fentry:nf_tables:nf_tables_newtable`.
    pub name: String,
    /// Where it attaches.
    pub at: AttachPoint,
    /// Position in the script, for order: probes of one event run in source order.
    pub line: u32,
    /// The prototype of the function or raw tracepoint, as the program sees it, that its arguments and result were
    /// compiled for: a `FUNC_PROTO` in the object's BTF. None if it reads neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prototype: Option<u32>,
    /// The script's pattern that this is one match of, as `fentry:tun:*`: a host where some of the matches cannot be
    /// attached to goes without those. Patterns that the loader expands are in `at`, not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// Where a program attaches. Function and event names may hold `*` where the text says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AttachPoint {
    /// Run once with `BPF_PROG_TEST_RUN` before anything is attached.
    Begin,
    /// Run once after everything is detached.
    End,
    /// Run when `sonde` gets the signal named (`SIGUSR1`).
    SelfSignal(String),
    /// Entry of a kernel function (pattern allowed), or an instruction within it.
    Kprobe {
        /// Module, if the script names one; `vmlinux` means built in.
        module: Option<String>,
        /// Function name or pattern.
        function: String,
        /// Bytes from the function's start.
        offset: u64,
    },
    /// Return of a kernel function (pattern allowed).
    Kretprobe {
        /// Module, if the script names one.
        module: Option<String>,
        /// Function name or pattern.
        function: String,
    },
    /// Entry of a function through its BTF.
    Fentry {
        /// Module that has the function, or `vmlinux`.
        module: String,
        /// Function name.
        function: String,
    },
    /// Return of a function through its BTF.
    Fexit {
        /// Module that has the function, or `vmlinux`.
        module: String,
        /// Function name.
        function: String,
    },
    /// Entry of a function of a user program or library, or an instruction of it.
    Uprobe {
        /// The file: a path, a library such as `libc`, or a program to be found in `PATH`.
        path: String,
        /// Function name or pattern; without one `offset` is an address of the file's address space.
        function: Option<String>,
        /// Bytes from the function's start.
        offset: u64,
        /// Build id, in hex, of the file whose debug information the program was compiled with, if it was.
        build_id: Option<String>,
    },
    /// Return of a function of a user program or library (pattern allowed).
    Uretprobe {
        /// The file, as for `Uprobe`.
        path: String,
        /// Function name or pattern.
        function: String,
    },
    /// A tracepoint of tracefs.
    Tracepoint {
        /// Category (folder in tracefs).
        category: String,
        /// Event name.
        event: String,
    },
    /// A raw tracepoint through its BTF (`tp_btf`).
    RawTracepoint {
        /// Module that has the event, or `vmlinux`.
        module: String,
        /// Event name.
        event: String,
    },
    /// A `cpu-clock` event on every CPU.
    Profile(Period),
    /// A `cpu-clock` event on one CPU.
    Interval(Period),
}

/// How often a timed probe fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Times a second.
    Hz(u64),
    /// Nanoseconds between two.
    Ns(u64),
}
