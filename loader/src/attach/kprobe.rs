//! `kprobe`, `kretprobe`: one function or many. The context is `struct pt_regs`.
//!
//! A pattern's functions share one program. Where the kernel has `kprobe_multi` links (5.18) and the program was
//! compiled for them, one link takes all; else each function gets a perf event of its own.

use super::{Attached, Failure, Host, Kind, Order, Point, attach_event};
use crate::error::Error;
use crate::kernel::functions::{self, Function};
use crate::kinds;
use crate::sys::SysError;
use crate::sys::bpf::{self, Functions};
use crate::sys::perf::{self, KprobeAt, ProbePmu};
use manifest::AttachPoint;
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Entry of one function, or an instruction in it.
pub const KPROBE: Kind = Kind {
    name: "kprobe",
    prog_type: kinds::PROG_KPROBE,
    attach_type: 0,
    since: "4.17",
    order: Order::Reverse,
};

/// Return of one function.
pub const KRETPROBE: Kind = Kind { name: "kretprobe", order: Order::Forward, ..KPROBE };

/// Entry of many functions.
pub const KPROBE_MULTI: Kind =
    Kind { name: "kprobe.multi", attach_type: kinds::TRACE_KPROBE_MULTI, since: "5.18", ..KPROBE };

/// Return of many functions.
pub const KRETPROBE_MULTI: Kind = Kind { name: "kretprobe.multi", order: Order::Forward, ..KPROBE_MULTI };

/// Which functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one the script names; whether it exists shows when it is attached.
    Named {
        /// Module, if the script names one.
        module: Option<String>,
        /// Its name.
        function: String,
        /// Bytes from its start.
        offset: u64,
    },
    /// Those that match, by one link.
    Multi(Vec<Function>),
    /// Those that match, one by one.
    Each(Vec<Function>),
}

impl Target {
    /// How many functions.
    pub fn count(&self) -> usize {
        match self {
            Self::Named { .. } => 1,
            Self::Multi(functions) | Self::Each(functions) => functions.len(),
        }
    }
}

/// Expands a pattern. `is_multi` is whether the program was compiled for a multi link.
pub fn find(
    at: &AttachPoint,
    is_multi: bool,
    host: &mut Host<'_>,
) -> Result<Option<(&'static Kind, Point)>, Error> {
    let (single, multi, module, function, offset) = match at {
        AttachPoint::Kprobe { module, function, offset } => {
            (&KPROBE, &KPROBE_MULTI, module, function, *offset)
        }
        AttachPoint::Kretprobe { module, function } => (&KRETPROBE, &KRETPROBE_MULTI, module, function, 0),
        _ => return Ok(None),
    };
    if !is_multi && !function.contains('*') {
        let target = Target::Named { module: module.clone(), function: function.clone(), offset };
        return Ok(Some((single, Point::Kprobe(target))));
    }
    let what = || "list of traceable functions".to_owned();
    let found = functions::matching(module.as_deref(), function);
    let found = found.map_err(|source| Error::Io { what: what(), source })?;
    if found.is_empty() {
        return Ok(None);
    }
    if is_multi && host.features.kprobe_multi(host.kernel)? {
        return Ok(Some((multi, Point::Kprobe(Target::Multi(found)))));
    }
    Ok(Some((single, Point::Kprobe(Target::Each(found)))))
}

/// Attaches a program to its functions.
pub fn attach(at: &AttachPoint, target: &Target, program: BorrowedFd<'_>) -> Result<Attached, Failure> {
    let is_return = matches!(at, AttachPoint::Kretprobe { .. });
    match target {
        Target::Named { module, function, offset } => {
            let links = attach_named(module.as_deref(), function, *offset, is_return, program)?;
            Ok(Attached { links, count: 1 })
        }
        Target::Multi(functions) => {
            let link = attach_multi(functions, is_return, program)?;
            Ok(Attached { links: vec![link], count: functions.len() })
        }
        Target::Each(functions) => attach_each(functions, is_return, program),
    }
}

fn attach_named(
    module: Option<&str>,
    function: &str,
    offset: u64,
    is_return: bool,
    program: BorrowedFd<'_>,
) -> Result<Vec<OwnedFd>, Failure> {
    let pmu = ProbePmu::kprobe().ok_or(SysError { call: "kprobe PMU", errno: libc::ENOENT })?;
    // The kernel looks `vmlinux:f` up in a module of that name.
    let prefix = module.filter(|&module| module != "vmlinux").map(|module| format!("{module}:"));
    let symbol = format!("{}{function}", prefix.unwrap_or_default());
    let no_such = || Failure::from(SysError { call: "perf_event_open", errno: libc::ENOENT });
    let symbol = CString::new(symbol).map_err(|_| no_such())?;
    let by_name = perf::kprobe(pmu, KprobeAt::Symbol(&symbol, offset), is_return);
    let event = match by_name {
        // Some kernels do not understand the module's prefix, and refuse names that occur twice.
        Err(error) if module.is_some() && is_missing(error) => {
            let address = functions::address(module, function).ok().flatten().filter(|&address| address != 0);
            let address = address.and_then(|address| address.checked_add(offset));
            let address = address.ok_or(Failure { source: error, missing: true, hint: "" })?;
            perf::kprobe(pmu, KprobeAt::Address(address), is_return)
        }
        other => other,
    };
    let event = event.map_err(|source| explain(source, offset))?;
    Ok(attach_event(event, program)?)
}

/// `ENOENT`: no such symbol; `EADDRNOTAVAIL`: several, or its place cannot be probed.
fn is_missing(error: SysError) -> bool {
    matches!(error.errno, libc::ENOENT | libc::ESRCH | libc::EADDRNOTAVAIL)
}

fn explain(source: SysError, offset: u64) -> Failure {
    let hint = match source.errno {
        libc::EILSEQ | libc::EINVAL if offset != 0 => {
            ". Possible attachment attempt in the middle of an instruction, try a different offset."
        }
        libc::EADDRNOTAVAIL => ". The name occurs more than once: name the module, or use an offset",
        _ => "",
    };
    Failure { source, missing: is_missing(source) && source.errno != libc::EADDRNOTAVAIL, hint }
}

fn attach_multi(
    functions: &[Function],
    is_return: bool,
    program: BorrowedFd<'_>,
) -> Result<OwnedFd, SysError> {
    let mut addresses: Vec<u64> = functions.iter().map(|f| f.address).filter(|&a| a != 0).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if !addresses.is_empty() {
        return bpf::link_kprobe_multi(program, Functions::Addresses(&addresses), is_return);
    }
    // Without CAP_SYSLOG the addresses are hidden.
    let mut names: Vec<CString> =
        functions.iter().filter_map(|function| CString::new(function.name.as_str()).ok()).collect();
    names.sort();
    names.dedup();
    let names: Vec<&CStr> = names.iter().map(CString::as_c_str).collect();
    bpf::link_kprobe_multi(program, Functions::Names(&names), is_return)
}

/// Attaches to as many as possible: the list of traceable functions holds some that refuse. Only if none takes the
/// program is it an error.
fn attach_each(
    functions: &[Function],
    is_return: bool,
    program: BorrowedFd<'_>,
) -> Result<Attached, Failure> {
    let mut attached = Attached { links: Vec::new(), count: 0 };
    let mut first = None;
    for function in functions {
        match attach_named(function.module.as_deref(), &function.name, 0, is_return, program) {
            Ok(links) => {
                attached.links.extend(links);
                attached.count += 1;
            }
            Err(failure) if failure.source.errno == libc::EMFILE => return Err(failure),
            Err(failure) => drop(first.get_or_insert(failure)),
        }
    }
    match first {
        Some(failure) if attached.count == 0 => Err(failure),
        _ => Ok(attached),
    }
}
