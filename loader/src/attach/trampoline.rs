//! `fentry`, `fexit`, `rawtracepoint`: tracing programs. The context is the arguments, an array of words whose types
//! the verifier knows from BTF.

use super::{Absent, Host, Kind, Lookup, Order, Point};
use crate::error::Error;
use crate::kernel::types::VMLINUX;
use crate::kernel::{functions, modules};
use crate::kinds;
use crate::object::Object;
use crate::relocate::prototype::Prototype;
use crate::sys::{self, SysError, bpf};
use btf::{Btf, TypeId};
use manifest::{AttachPoint, Probe};
use std::collections::BTreeMap;
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
pub fn find(object: &Object, probe: &Probe, host: &mut Host<'_>) -> Result<Lookup, Error> {
    let (kind, module, name, btf_kind) = match &probe.at {
        AttachPoint::Fentry { module, function } => (&FENTRY, module, function.clone(), btf::Kind::Func),
        AttachPoint::Fexit { module, function } => (&FEXIT, module, function.clone(), btf::Kind::Func),
        AttachPoint::RawTracepoint { module, event } => {
            (&RAW_TRACEPOINT, module, format!("btf_trace_{event}"), btf::Kind::Typedef)
        }
        _ => return Ok(Err(Absent::default())),
    };
    if module != VMLINUX && !host.kernel.has_module(module) {
        return Ok(Err(Absent(modules::why_no_types(module))));
    }
    let types = host.kernel.module(module)?;
    let found: Vec<TypeId> = types.find(&name, btf_kind).collect();
    let assumed = assumed(object, probe);
    let id = match found.as_slice() {
        [] => return Ok(Err(no_function(&probe.at, module))),
        [only] => *only,
        [first, ..] if btf_kind == btf::Kind::Typedef => *first,
        _ => {
            let in_module = Some(module.as_str()).filter(|&module| module != VMLINUX);
            let is_single = || functions::count(in_module, &name).is_ok_and(|count| count == 1);
            choose(&types, &found, assumed, is_single).ok_or_else(|| Error::AmbiguousFunction {
                probe: probe.name.clone(),
                candidates: found.iter().map(|&id| format!("`{}`", types.decl(id, ""))).collect(),
            })?
        }
    };
    let module = (module != VMLINUX).then(|| module.clone());
    Ok(Ok((kind, Point::Trampoline(Target { id, module }))))
}

/// Probes, by index, whose module's function this kernel would take for another one of its name, with what to say.
/// The kernel knows its function by BTF id but finds the address by name, before 6.4 in whatever comes first
/// ("bpf: Fix attaching fentry/fexit/fmod_ret/lsm to modules"): it would attach there, with the wrong arguments.
pub fn mistaken(object: &Object, probes: &[usize]) -> BTreeMap<usize, String> {
    let (release, _) = sys::host::kernel();
    if !finds_by_name_alone(&release) {
        return BTreeMap::new();
    }
    let function = |index: &usize| match &object.manifest.probes.get(*index)?.at {
        AttachPoint::Fentry { module, function } | AttachPoint::Fexit { module, function }
            if module != VMLINUX =>
        {
            Some((*index, module.as_str(), function.as_str()))
        }
        _ => None,
    };
    let names = probes.iter().filter_map(function).map(|(_, _, name)| name).collect();
    let owners = functions::all_owners(&names).unwrap_or_default();
    let why = |(index, module, name): (usize, &str, &str)| {
        let other = owners.get(name)?.iter().find(|owner| owner.as_deref() != Some(module))?;
        let other = other.as_deref().unwrap_or(VMLINUX);
        let text = format!(
            "kernel {release} could take it for that of {other}, since before 6.4 it goes by the name alone: use kprobe:{module}:{name}"
        );
        Some((index, text))
    };
    probes.iter().filter_map(function).filter_map(why).collect()
}

fn finds_by_name_alone(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < (6, 4))
}

/// The prototype that a probe's program was compiled for.
pub fn assumed<'a>(object: &'a Object, probe: &Probe) -> Option<Prototype<'a>> {
    Prototype::new(&object.btf, TypeId(probe.prototype?), 0)
}

/// The prototype that this kernel has.
pub fn actual<'a>(types: &'a Btf, at: &AttachPoint, target: &Target) -> Option<Prototype<'a>> {
    let skip = usize::from(matches!(at, AttachPoint::RawTracepoint { .. }));
    Prototype::new(types, target.id, skip)
}

/// One of several functions of a name: any if all are alike, else the one that the program was compiled for, if the
/// kernel can have no other in mind.
fn choose(
    types: &Btf,
    found: &[TypeId],
    assumed: Option<Prototype<'_>>,
    is_single: impl FnOnce() -> bool,
) -> Option<TypeId> {
    let all: Vec<Prototype<'_>> =
        found.iter().map(|&id| Prototype::new(types, id, 0)).collect::<Option<_>>()?;
    if all.windows(2).all(|pair| matches!(pair, [a, b] if a.is_same(b))) {
        return found.first().copied();
    }
    let assumed = assumed?;
    let mut fitting = found.iter().zip(&all).filter(|(_, actual)| assumed.is_same(actual));
    match (fitting.next(), fitting.next()) {
        (Some((id, _)), None) if is_single() => Some(*id),
        _ => None,
    }
}

fn no_function(at: &AttachPoint, module: &str) -> Absent {
    let (release, _) = sys::host::kernel();
    let text = match at {
        AttachPoint::Fentry { function, .. } | AttachPoint::Fexit { function, .. } => {
            let in_module = Some(module).filter(|&module| module != VMLINUX);
            let advice = match functions::count(in_module, function) {
                Ok(0) => {
                    "nor does the kernel have it (it may be inlined, or be of another release)".to_owned()
                }
                Ok(_) => format!("but the kernel has it: use kprobe:{function}"),
                Err(_) => "it may be inlined, or be of another release".to_owned(),
            };
            format!("In kernel {release} the BTF of {module} has no such function, {advice}")
        }
        _ => format!("In kernel {release} the BTF of {module} has no such tracepoint"),
    };
    Absent(text)
}

/// Attaches a program; the kernel knows from its load where. `BPF_RAW_TRACEPOINT_OPEN` has done so since 5.5, and
/// makes the same link that `BPF_LINK_CREATE` does.
pub fn attach(program: BorrowedFd<'_>) -> Result<OwnedFd, SysError> {
    bpf::trampoline_open(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use btf::{Builder, IntEncoding, Linkage, Param};

    #[test]
    fn kernels_that_go_by_the_name() {
        for (release, expected) in [
            ("6.1.0-50-amd64", true),
            ("5.15.0", true),
            ("6.4.0-rc1", false),
            ("6.12.107+deb13-amd64", false),
            ("7.3", false),
            ("x", false),
        ] {
            assert_eq!(finds_by_name_alone(release), expected, "{release}");
        }
    }

    /// A BTF with a function `f` for each prototype: sizes of its only argument.
    fn functions(sizes: &[u32]) -> (Btf, Vec<TypeId>) {
        let mut b = Builder::new();
        let mut ids = Vec::new();
        for &size in sizes {
            let ty = b.add_int(&format!("u{size}"), size, IntEncoding::default());
            let proto = b.add_func_proto(TypeId::VOID, &[Param { name: "a", ty }]);
            ids.push(b.add_func("f", proto, Linkage::Static));
        }
        (Btf::from_vec(b.finish().expect("small")).expect("valid"), ids)
    }

    /// Which of the functions is chosen by a program that was built for an argument of `assumed` bytes.
    fn chosen(sizes: &[u32], assumed: Option<u32>, is_single: bool) -> Option<usize> {
        let (types, ids) = functions(sizes);
        let built = assumed.map(|size| functions(&[size]));
        let assumed = built.as_ref().and_then(|(btf, ids)| Prototype::new(btf, *ids.first()?, 0));
        let id = choose(&types, &ids, assumed, || is_single)?;
        ids.iter().position(|&known| known == id)
    }

    #[test]
    fn functions_of_one_name() {
        assert_eq!(chosen(&[4, 4], None, false), Some(0), "all alike");
        assert_eq!(chosen(&[4, 8], Some(8), true), Some(1));
        assert_eq!(chosen(&[4, 8], Some(8), false), None, "the kernel may attach to the other");
        assert_eq!(chosen(&[4, 8], Some(2), true), None, "neither was meant");
        assert_eq!(chosen(&[4, 8], None, true), None, "the trampoline must know the arguments");
        assert_eq!(chosen(&[4, 8, 8], Some(8), true), None, "two fit");
    }
}
