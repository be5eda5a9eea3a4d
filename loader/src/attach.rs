//! Finds attach points on this host and attaches programs to them.
//!
//! ```text
//! plan ─► [Planned] ─► (load) ─► attach_all ─► [Attached]
//! what exists here               links, in the order that keeps probes of one event in source order
//! ```
//!
//! Input    the manifest's probes; loaded programs
//! Output   [`Attached`]: dropping it detaches
//! Ensures  attach points that do not exist are treated as the script's `missing_probes` says; on any error all that
//!          was attached is detached; of a pattern, what cannot be attached to is left out
//!
//! One file a kind. Each has a [`Kind`] record, finds its points, and attaches to one.

pub mod kprobe;
pub mod pattern;
pub mod run;
pub mod timer;
pub mod tracepoint;
pub mod trampoline;
pub mod uprobe;

use crate::error::Error;
use crate::features::Features;
use crate::kernel::modules;
use crate::kernel::types::{KernelTypes, VMLINUX};
use crate::object::Object;
use crate::sys::SysError;
use manifest::{AttachPoint, MissingProbes, Probe};
use pattern::Skipped;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the kernel must know of a program before it is loaded, and when its kind came.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Name in messages.
    pub name: &'static str,
    /// `BPF_PROG_TYPE_*`.
    pub prog_type: u32,
    /// `BPF_TRACE_*`, or 0.
    pub attach_type: u32,
    /// First kernel that has it.
    pub since: &'static str,
    /// How the kernel orders several programs at one point.
    pub order: Order,
}

/// The order in which the kernel runs programs attached to one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As attached.
    Forward,
    /// The last attached first.
    Reverse,
    /// Not attached: the loader runs them.
    ByHand,
}

/// Where exactly a program goes on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// Nowhere: the loader runs it.
    Run,
    /// A function or raw tracepoint with BTF.
    Trampoline(trampoline::Target),
    /// One or many functions.
    Kprobe(kprobe::Target),
    /// Places in a user program.
    Uprobe(uprobe::Target),
    /// An event of tracefs, by number.
    Tracepoint(u64),
    /// A timer.
    Timer(timer::Target),
}

/// A probe that exists here.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Index of the probe.
    pub probe: usize,
    /// Its kind.
    pub kind: &'static Kind,
    /// Where it goes.
    pub point: Point,
}

impl Planned {
    /// Whether the kernel keeps a module loaded while this is attached in it.
    pub fn pins_module(&self) -> bool {
        match &self.point {
            Point::Trampoline(_) | Point::Tracepoint(_) | Point::Kprobe(kprobe::Target::Multi(_)) => true,
            Point::Run | Point::Kprobe(_) | Point::Uprobe(_) | Point::Timer(_) => false,
        }
    }

    /// How many probes it counts as.
    pub fn count(&self) -> usize {
        match &self.point {
            Point::Kprobe(target) => target.count(),
            Point::Uprobe(target) => target.count(),
            Point::Run | Point::Trampoline(_) | Point::Tracepoint(_) | Point::Timer(_) => 1,
        }
    }
}

/// The module an attach point names, if it is not the kernel proper.
pub fn module_of(at: &AttachPoint) -> Option<&str> {
    let module = match at {
        AttachPoint::Fentry { module, .. }
        | AttachPoint::Fexit { module, .. }
        | AttachPoint::RawTracepoint { module, .. } => Some(module),
        AttachPoint::Kprobe { module, .. } | AttachPoint::Kretprobe { module, .. } => module.as_ref(),
        AttachPoint::Begin
        | AttachPoint::End
        | AttachPoint::SelfSignal(_)
        | AttachPoint::Uprobe { .. }
        | AttachPoint::Uretprobe { .. }
        | AttachPoint::Tracepoint { .. }
        | AttachPoint::Profile(_)
        | AttachPoint::Interval(_) => None,
    };
    module.map(String::as_str).filter(|&module| module != VMLINUX)
}

/// Why an attach point does not exist; empty if there is no more to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Absent(pub String);

/// Where a probe goes, if that exists.
pub type Lookup = Result<(&'static Kind, Point), Absent>;

/// What planning asks.
#[derive(Debug)]
pub struct Host<'a> {
    /// Types of the kernel.
    pub kernel: &'a mut KernelTypes,
    /// What the kernel can do.
    pub features: &'a Features,
    /// What the command line asks for.
    pub asked: Asked,
}

/// Options that decide where programs attach.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    /// `-p`, for the kinds that attach to a process.
    pub pid: Option<u32>,
    /// `--unsafe`.
    pub allow_unsafe: bool,
}

/// Finds the attach points of probes, given by index. `warn` gets what `missing_probes = warn` asks to be said.
pub fn plan(
    object: &Object,
    probes: &[usize],
    host: &mut Host<'_>,
    skipped: &mut Skipped,
    warn: &mut dyn FnMut(&str),
) -> Result<Vec<Planned>, Error> {
    skipped.retry(probes);
    let (mut planned, mut absent) = (Vec::new(), Vec::new());
    let mut functions = 0;
    let mut mistaken = trampoline::mistaken(object, probes);
    for &index in probes {
        let Some(probe) = object.manifest.probes.get(index) else { continue };
        let found = match mistaken.remove(&index) {
            Some(why) => Ok(Err(Absent(why))),
            None => find(object, index, host, warn),
        };
        match found {
            Ok(Ok((kind, point))) => {
                let one = Planned { probe: index, kind, point };
                functions += one.count() as u64;
                planned.push(one);
            }
            Ok(Err(Absent(why))) if skipped.skip(object, index, &why) => {}
            Ok(Err(why)) => absent.push((probe, why)),
            Err(error) => skipped.skip_refused(object, index, error)?,
        }
    }
    skipped.settle(object, warn)?;
    for (probe, why) in absent {
        let is_alone =
            |one: &Planned| object.manifest.probes.get(one.probe).is_none_or(|p| p.line != probe.line);
        missing(object, &probe.name, &why, planned.iter().all(is_alone), warn)?;
    }
    let max = object.manifest.config.max_probes;
    if functions > max {
        return Err(Error::TooManyProbes { found: functions, max });
    }
    Ok(planned)
}

fn find(
    object: &Object,
    index: usize,
    host: &mut Host<'_>,
    warn: &mut dyn FnMut(&str),
) -> Result<Lookup, Error> {
    let Some(probe) = object.manifest.probes.get(index) else { return Ok(Err(Absent::default())) };
    let is_multi = object.programs.get(index).is_some_and(|program| program.is_multi);
    let known = |found: Option<(&'static Kind, Point)>| found.ok_or_else(Absent::default);
    Ok(match &probe.at {
        AttachPoint::Begin | AttachPoint::End | AttachPoint::SelfSignal(_) => Ok((&run::KIND, Point::Run)),
        AttachPoint::Kprobe { .. } | AttachPoint::Kretprobe { .. } => match module_of(&probe.at) {
            Some(module) if modules::is_absent(module) => Err(Absent(modules::why_no_types(module))),
            _ => known(kprobe::find(&probe.at, is_multi, host)?),
        },
        AttachPoint::Fentry { .. } | AttachPoint::Fexit { .. } | AttachPoint::RawTracepoint { .. } => {
            trampoline::find(object, probe, host)?
        }
        AttachPoint::Uprobe { .. } | AttachPoint::Uretprobe { .. } => {
            uprobe::find(&probe.at, host, warn).map_err(Absent)
        }
        AttachPoint::Tracepoint { category, event } => known(tracepoint::find(category, event)?),
        AttachPoint::Profile(period) => Ok((&timer::PROFILE, timer::find_all(*period, host.asked.pid)?)),
        AttachPoint::Interval(period) => Ok((&timer::INTERVAL, timer::find_one(*period)?)),
    })
}

/// Does what the script's `missing_probes` says. `is_alone` is whether nothing is left of the script's probe.
fn missing(
    object: &Object,
    name: &str,
    Absent(why): &Absent,
    is_alone: bool,
    warn: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let (provider, rest) = name.split_once(':').unwrap_or((name, ""));
    let why = if why.is_empty() { String::new() } else { format!(" {why}.") };
    match object.manifest.config.missing_probes {
        MissingProbes::Error => Err(Error::MissingProbe(format!("No matches for {provider} {rest}.{why}"))),
        MissingProbes::Warn => {
            warn(&format!("No matches for {provider} {rest}.{why} Skipping."));
            if is_alone {
                warn(
                    "Probe has no valid attach points. It is being removed which may cause issues with program behavior.",
                );
            }
            Ok(())
        }
        MissingProbes::Ignore => Ok(()),
    }
}

/// A program that is attached.
#[derive(Debug)]
pub struct Attached {
    /// Links and perf events that keep it so.
    pub links: Vec<OwnedFd>,
    /// How many probes it counts as.
    pub count: usize,
}

/// A program to attach.
#[derive(Debug)]
pub struct Loaded {
    /// Where it goes.
    pub planned: Planned,
    /// The program.
    pub program: OwnedFd,
}

/// Attaches all programs that are not run by hand. Stops early if `interrupted` says so.
pub fn attach_all(
    object: &Object,
    loaded: &[Loaded],
    interrupted: &dyn Fn() -> bool,
    skipped: &mut Skipped,
    warn: &mut dyn FnMut(&str),
) -> Result<Vec<Attached>, Error> {
    let with = |order: Order| loaded.iter().filter(move |one| one.planned.kind.order == order);
    let mut attached = Vec::new();
    for one in with(Order::Forward).chain(with(Order::Reverse).rev()) {
        if interrupted() {
            break;
        }
        let Some(probe) = object.manifest.probes.get(one.planned.probe) else { continue };
        match attach(probe, one) {
            Ok(now) => attached.push(now),
            Err(Failure { source, missing, .. })
                if (missing || pattern::is_refusal(source))
                    && skipped.skip(object, one.planned.probe, &source.to_string()) => {}
            Err(Failure { source, missing: true, .. })
                if object.manifest.config.missing_probes != MissingProbes::Error =>
            {
                if object.manifest.config.missing_probes == MissingProbes::Warn {
                    warn(&format!("Unable to attach probe: {}. Skipping. ({source})", probe.name));
                }
            }
            Err(Failure { missing: true, .. }) => {
                return Err(Error::MissingProbe(format!(
                    "Unable to attach probe: {}. If this is expected, set the 'missing_probes' config variable to 'warn'.",
                    probe.name
                )));
            }
            Err(Failure { source, hint, .. }) => {
                let (program, probe) = (probe.program.clone(), probe.name.clone());
                return Err(Error::Attach { program, probe, error: source, hint });
            }
        }
    }
    skipped.settle(object, warn)?;
    Ok(attached)
}

/// Why a program could not be attached.
#[derive(Debug)]
pub struct Failure {
    /// The kernel's answer.
    pub source: SysError,
    /// The attach point does not exist.
    pub missing: bool,
    /// What may help, with a leading separator.
    pub hint: &'static str,
}

impl From<SysError> for Failure {
    fn from(source: SysError) -> Self {
        Self { source, missing: false, hint: "" }
    }
}

fn attach(probe: &Probe, one: &Loaded) -> Result<Attached, Failure> {
    let program = one.program.as_fd();
    let links = match &one.planned.point {
        Point::Run => Vec::new(),
        Point::Trampoline(_) => vec![trampoline::attach(program)?],
        Point::Kprobe(target) => return kprobe::attach(&probe.at, target, program),
        Point::Uprobe(target) => return uprobe::attach(&probe.at, target, program),
        Point::Tracepoint(id) => tracepoint::attach(*id, program)?,
        Point::Timer(target) => timer::attach(target, program)?,
    };
    Ok(Attached { links, count: one.planned.count() })
}

/// Ties a program to a perf event: by a link where the kernel has them (5.15), else by ioctl.
fn attach_event(event: OwnedFd, program: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, SysError> {
    use crate::sys::{bpf, perf};
    match bpf::link_perf_event(program, event.as_fd()) {
        Ok(link) => Ok(vec![link, event]),
        Err(error) if error.errno == libc::EINVAL => {
            perf::set_bpf(event.as_fd(), program)?;
            Ok(vec![event])
        }
        Err(error) => Err(error),
    }
}
