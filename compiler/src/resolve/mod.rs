//! Attach points: from text to targets with typed arguments.
//!
//! Input    the attach points of the script, the kernel description
//! Output   one [`Target`] per program
//! Ensures  function patterns of kprobes stay patterns unless the body needs their names; all other
//!          wildcards are expanded; arguments have types
//!
//! | file | holds |
//! | --- | --- |
//! | `provider.rs` | the kinds of probe by name, old names included |
//! | `function.rs` | kprobe, kretprobe |
//! | `typed.rs` | fentry, fexit |
//! | `absent.rs` | why a function is not there |
//! | `tracepoint.rs`, `record.rs` | tracepoints, and the structs of their records |
//! | `raw.rs` | raw tracepoints |
//! | `timer.rs` | profile and interval |
//! | `special.rs` | begin, end, self |
//! | `uprobe.rs` | uprobe, uretprobe |

mod absent;
pub mod codes;
mod function;
mod provider;
mod raw;
mod record;
mod special;
mod timer;
mod tracepoint;
mod typed;
mod uprobe;

use crate::diag::Diag;
use crate::fields::{Fields, Near};
use crate::kernel::pattern::is_pattern;
use crate::syntax::ast::{AttachPoint, Span};
use manifest::MissingProbes;

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
    /// The pattern it is one match of, as `fentry:tun:*`.
    pub pattern: Option<String>,
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
    Uprobe(Uprobe),
    /// `offset` is 0, and there is a function.
    Uretprobe(Uprobe),
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

/// A function of a user program or library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uprobe {
    /// The file as the script names it.
    pub path: String,
    /// Function, or a pattern with `*`; without one `offset` is an address.
    pub function: Option<String>,
    /// Bytes from the function's start.
    pub offset: u64,
    /// Types of the program.
    pub types: BtfId,
    /// Why there are no `args`, if the body asks for them.
    pub no_args: Option<String>,
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
    /// 64-bit words of the context that hold arguments; fexit's return value follows them.
    pub words: u32,
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
    /// Integer registers of the calling convention, from this one on: user programs.
    Register(u32),
    /// Memory of the user's, this many bytes behind the return address on the stack.
    Stack(u32),
    /// Memory of the user's, at the address in this integer register.
    Behind(u32),
    /// `__rel_loc_x`: as `DataLoc`, counted from the end of the member.
    RelLoc(Member),
    /// Element of `args` in `struct trace_event_raw_sys_enter`.
    Syscall {
        /// The member `args`.
        args: Member,
        /// Which element.
        index: u32,
    },
}

/// What resolving needs to know.
pub struct Resolver<'a> {
    /// Types of the kernel.
    pub fields: &'a Fields<'a>,
    /// What to do about targets that do not exist.
    pub missing: MissingProbes,
    /// The body asks for the probe's name, so that every function needs its own program.
    pub by_name: bool,
    /// The body asks for `args`, which of user programs cost reading their debug information.
    pub uses_args: bool,
    /// The body reads arguments or the return value.
    pub by_type: bool,
}

/// An attach point cut at its colons.
struct Parts<'a> {
    /// The provider's long name.
    provider: &'static str,
    /// What follows the provider.
    rest: Vec<String>,
    span: Span,
    text: &'a str,
}

impl Parts<'_> {
    /// The wrong number or kind of parts.
    fn bad(&self, forms: &str) -> Diag {
        let message = format!("`{}` is no attach point of {}", self.text, self.provider);
        Diag::error(&codes::BAD_PARTS, message, self.span, "").help(format!("write {forms}"))
    }

    /// The whole attach point, if it is a pattern.
    fn pattern(&self) -> Option<String> {
        let is_pattern = self.rest.iter().any(|part| is_pattern(part));
        is_pattern.then(|| format!("{}:{}", self.provider, self.rest.join(":")))
    }

    fn rest(&self) -> Vec<&str> {
        self.rest.iter().map(String::as_str).collect()
    }
}

/// The targets of one attach point, in order; warnings and errors go to `diags`.
pub fn resolve(point: &AttachPoint, cx: &Resolver<'_>, diags: &mut Vec<Diag>) -> Vec<Target> {
    let mut targets = match find(point, cx) {
        Ok(targets) => targets,
        Err(Missing::Diag(diag)) => {
            diags.push(*diag);
            Vec::new()
        }
        Err(Missing::Target(diag)) => {
            diags.extend(soften(*diag, cx.missing));
            Vec::new()
        }
    };
    if let Some(name) = &point.name {
        for target in &mut targets {
            target.name.clone_from(&name.text);
        }
    }
    targets
}

fn find(point: &AttachPoint, cx: &Resolver<'_>) -> Targets {
    let (provider, parts) = provider::parse(point)?;
    let mut targets = (provider.targets)(&parts, cx)?;
    if let Some(pattern) = parts.pattern() {
        let matches = targets.iter_mut().filter(|target| target.is_expanded());
        matches.for_each(|target| target.pattern = Some(pattern.clone()));
    }
    Ok(targets)
}

/// The error about a script that would make too many programs.
pub fn too_many(point: &AttachPoint, found: usize, max: u64) -> Diag {
    let message = format!("the script makes at least {found} programs, more than max_bpf_progs = {max}");
    Diag::error(&codes::TOO_MANY, message, point.span, "")
        .help(format!("narrow the pattern, or set `BPFTRACE_MAX_BPF_PROGS={}`", found.next_power_of_two()))
}

/// The warning about a probe that has lost all its attach points.
pub fn removed(point: &AttachPoint) -> Diag {
    let message = "the probe has no attach points left and is removed";
    Diag::warning(&codes::MISSING, message, point.span, "").note("what it would have done is not done")
}

/// Why there is no target.
enum Missing {
    /// The attach point is wrong.
    Diag(Box<Diag>),
    /// The target does not exist, which `missing_probes` decides about.
    Target(Box<Diag>),
}

impl From<Diag> for Missing {
    fn from(diag: Diag) -> Missing {
        Missing::Diag(Box::new(diag))
    }
}

type Targets = Result<Vec<Target>, Missing>;

fn missing(diag: Diag) -> Missing {
    Missing::Target(Box::new(diag))
}

fn soften(diag: Diag, missing: MissingProbes) -> Option<Diag> {
    match missing {
        MissingProbes::Error => Some(diag.help("or set `missing_probes = warn` in the `config` block")),
        MissingProbes::Warn => {
            let message = format!("{}; skipped", diag.message);
            Some(Diag::warning(&codes::MISSING, message, diag.primary.span, "left out"))
        }
        MissingProbes::Ignore => None,
    }
}

impl Target {
    fn new(kind: Kind, name: impl Into<String>) -> Target {
        Target { kind, name: name.into(), args: Vec::new(), retval: None, pattern: None }
    }

    /// Whether it is one function or event even if the attach point is a pattern; else the loader expands that.
    fn is_expanded(&self) -> bool {
        match &self.kind {
            Kind::Fentry(_) | Kind::Fexit(_) | Kind::Tracepoint { .. } | Kind::RawTracepoint(_) => true,
            Kind::Kprobe(probe) | Kind::Kretprobe(probe) => !probe.pattern,
            Kind::Begin
            | Kind::End
            | Kind::SelfSignal(_)
            | Kind::Uprobe(_)
            | Kind::Uretprobe(_)
            | Kind::Profile(_)
            | Kind::Interval(_) => false,
        }
    }

    /// Where types are looked for first: in the module or program it hooks.
    pub fn near(&self) -> Near {
        match &self.kind {
            Kind::Fentry(func) | Kind::Fexit(func) | Kind::RawTracepoint(func) => Near::File(func.btf),
            Kind::Tracepoint { record, .. } => record.map_or(Near::Nowhere, |record| Near::File(record.btf)),
            Kind::Uprobe(uprobe) | Kind::Uretprobe(uprobe) => Near::File(uprobe.types),
            Kind::Kprobe(Kprobe { module: Some(module), function, .. })
            | Kind::Kretprobe(Kprobe { module: Some(module), function, .. })
                if !is_pattern(module) =>
            {
                Near::Function { module: Some(module.clone()), name: function.clone() }
            }
            Kind::Kprobe(Kprobe { module: None, function, pattern: false, .. })
            | Kind::Kretprobe(Kprobe { module: None, function, pattern: false, .. }) => {
                Near::Function { module: None, name: function.clone() }
            }
            Kind::Begin
            | Kind::End
            | Kind::SelfSignal(_)
            | Kind::Kprobe(_)
            | Kind::Kretprobe(_)
            | Kind::Profile(_)
            | Kind::Interval(_) => Near::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests;
