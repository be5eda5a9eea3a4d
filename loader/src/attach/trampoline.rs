//! `fentry`, `fexit`, `rawtracepoint`: tracing programs. The context is the arguments, an array of words whose types
//! the verifier knows from BTF.

use super::{Host, Kind, Order, Point};
use crate::error::Error;
use crate::kernel::types::VMLINUX;
use crate::kinds;
use crate::sys::{SysError, bpf};
use btf::TypeId;
use manifest::AttachPoint;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Entry of a function.
pub const FENTRY: Kind = Kind {
    name: "fentry",
    prog_type: kinds::PROG_TRACING,
    attach_type: kinds::TRACE_FENTRY,
    since: "5.5, of modules 5.11",
    order: Order::Reverse,
};

/// Return of a function.
pub const FEXIT: Kind = Kind { name: "fexit", attach_type: kinds::TRACE_FEXIT, ..FENTRY };

/// A raw tracepoint.
pub const RAW_TRACEPOINT: Kind = Kind {
    name: "rawtracepoint",
    attach_type: kinds::TRACE_RAW_TP,
    since: "5.5",
    order: Order::Forward,
    ..FENTRY
};

/// What to attach to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Type id of the function, or of the raw tracepoint's `btf_trace_` typedef.
    pub id: TypeId,
    /// Module that has it; none for the kernel proper.
    pub module: Option<String>,
}

/// Looks the function or event up in the types of the module the script names.
pub fn find(at: &AttachPoint, host: &mut Host<'_>) -> Result<Option<(&'static Kind, Point)>, Error> {
    let (kind, module, name, btf_kind) = match at {
        AttachPoint::Fentry { module, function } => (&FENTRY, module, function.clone(), btf::Kind::Func),
        AttachPoint::Fexit { module, function } => (&FEXIT, module, function.clone(), btf::Kind::Func),
        AttachPoint::RawTracepoint { module, event } => {
            (&RAW_TRACEPOINT, module, format!("btf_trace_{event}"), btf::Kind::Typedef)
        }
        _ => return Ok(None),
    };
    if module != VMLINUX && !host.kernel.has_module(module) {
        return Ok(None);
    }
    let types = host.kernel.module(module)?;
    let id = types.find(&name, btf_kind).next();
    let module = (module != VMLINUX).then(|| module.clone());
    Ok(id.map(|id| (kind, Point::Trampoline(Target { id, module }))))
}

/// Attaches a program; the kernel knows from its load where. `BPF_RAW_TRACEPOINT_OPEN` has done so since 5.5, and
/// makes the same link that `BPF_LINK_CREATE` does.
pub fn attach(program: BorrowedFd<'_>) -> Result<OwnedFd, SysError> {
    bpf::trampoline_open(program)
}
