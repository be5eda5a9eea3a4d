//! Attach points: from text to targets with typed arguments.
//!
//! Input    the attach points of the script, the kernel description
//! Output   one [`Target`] per program
//! Ensures  function patterns of kprobes stay patterns unless the body needs their names; all other
//!          wildcards are expanded; arguments have types

use crate::fields::{Composite, Member};
use crate::kernel::BtfId;
use crate::types::Ty;
use btf::TypeId;
use manifest::Period;

/// What one program attaches to, and what it can read there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Kind of probe with its particulars.
    pub kind: Kind,
    /// What `probe` prints, e.g. `fentry:vmlinux:vfs_read`.
    pub name: String,
    /// Fields of `args`, in order.
    pub args: Vec<Arg>,
    /// Type of `retval`, if the probe has one.
    pub retval: Option<Ty>,
}

/// Probe kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the providers")]
pub enum Kind {
    Begin,
    End,
    /// Signal name, `SIGUSR1`.
    SelfSignal(String),
    Kprobe(Kprobe),
    /// `offset` is 0.
    Kretprobe(Kprobe),
    Fentry(Func),
    Fexit(Func),
    Tracepoint {
        category: String,
        event: String,
        /// `struct trace_event_raw_*`: what `ctx` points at. `None` if the kernel description has
        /// none for the event; there are no `args` then.
        record: Option<Composite>,
    },
    /// `func` is the prototype `btf_trace_*`; ctx words start behind its context pointer.
    RawTracepoint(Func),
    Profile(Period),
    Interval(Period),
}

/// A kprobe's function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kprobe {
    /// Module, if the script names one; `vmlinux` means built in.
    pub module: Option<String>,
    /// Function, or a pattern with `*`.
    pub function: String,
    /// Bytes from the function's start.
    pub offset: u64,
    /// Whether `function` (or `module`) holds a `*`.
    pub pattern: bool,
}

/// A function, or raw tracepoint, with BTF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Func {
    /// The file that describes it.
    pub btf: BtfId,
    /// That file's name: a module, or `vmlinux`.
    pub module: String,
    /// Name of the function or event.
    pub name: String,
    /// The function's prototype there.
    pub proto: TypeId,
}

/// A field of `args`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Name.
    pub name: String,
    /// Type as the script sees it.
    pub ty: Ty,
    /// Where its value is.
    pub source: ArgSource,
}

/// Where an argument's value comes from. The value read is converted to the argument's type: it
/// may be narrower than what is read (`int` system call arguments are stored in a `long`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgSource {
    /// 64-bit word of the context: fentry, fexit, raw tracepoints.
    Word(u32),
    /// Member of the tracepoint's record (CO-RE).
    Field(Member),
    /// `__data_loc_x`: the `u32` member's low 16 bits are the offset of the data from the record's
    /// start. The value is the address of the data.
    DataLoc(Member),
    /// Element of `args` in `struct trace_event_raw_sys_enter`.
    Syscall {
        /// The member `args`.
        args: Member,
        /// Which element.
        index: u32,
    },
}
