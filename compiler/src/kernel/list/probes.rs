//! What there is of each kind of probe.
//!
//! Input    module or category, and name, each a pattern
//! Output   places, in no order, perhaps twice
//! Ensures  only the files that may have them are opened

use super::parameters::{self, Tables};
use super::{is_pattern, matches};
use crate::kernel::{BtfId, Kernel, VMLINUX, events};
use crate::user::{Folders, Programs};
use btf::{Kind, Type, TypeId};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

/// A kind of probe that can be listed.
pub(super) struct Lister {
    /// Long name.
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    /// Only if it is named: the same places as another kind.
    pub(super) named_only: bool,
    pub(super) find: for<'k> fn(&'k Kernel, &Wanted<'_>, &mut Vec<Place<'k>>),
    pub(super) parameters: fn(&mut Tables<'_>, &Place<'_>) -> Vec<String>,
}

const fn lister(
    name: &'static str,
    aliases: &'static [&'static str],
    find: for<'k> fn(&'k Kernel, &Wanted<'_>, &mut Vec<Place<'k>>),
    parameters: fn(&mut Tables<'_>, &Place<'_>) -> Vec<String>,
) -> Lister {
    Lister { name, aliases, named_only: false, find, parameters }
}

pub(super) const LISTERS: &[Lister] = &[
    lister("fentry", &["f", "kfunc"], fentry, parameters::fentry),
    Lister { named_only: true, ..lister("fexit", &["fr", "kretfunc"], fentry, parameters::fexit) },
    Lister { named_only: true, ..lister("interval", &["i"], timer, parameters::none) },
    lister("kprobe", &["k"], kprobe, parameters::kprobe),
    Lister { named_only: true, ..lister("kretprobe", &["kr"], kprobe, parameters::kretprobe) },
    Lister { named_only: true, ..lister("profile", &["p"], timer, parameters::none) },
    lister("rawtracepoint", &["rt"], raw, parameters::raw),
    Lister { named_only: true, ..lister("self", &[], signal, parameters::none) },
    lister("tracepoint", &["t"], tracepoint, parameters::tracepoint),
    Lister { named_only: true, ..lister("uprobe", &["u"], uprobe, parameters::uprobe) },
    Lister { named_only: true, ..lister("uretprobe", &["ur"], uprobe, parameters::none) },
];

/// What one kind is asked for.
pub(super) struct Wanted<'a> {
    /// Module or category, if the pattern has one.
    pub(super) group: Option<&'a str>,
    /// Function or event.
    pub(super) name: &'a str,
}

/// Where a probe can be.
pub(super) struct Place<'k> {
    /// Module or category, `""` if it is not shown.
    pub(super) group: Cow<'k, str>,
    /// Function or event.
    pub(super) name: Cow<'k, str>,
    /// Module that has it.
    pub(super) module: &'k str,
    /// Its type, if that was how it was found.
    pub(super) ty: Option<(BtfId, TypeId)>,
}

impl<'k> Place<'k> {
    fn new(group: &'k str, name: &'k str) -> Place<'k> {
        Place { group: group.into(), name: name.into(), module: group, ty: None }
    }

    /// As the lines are in order.
    pub(super) fn order(&self, other: &Place<'_>) -> Ordering {
        let groups = || {
            let [a, b] = [&self.group, &other.group].map(|group| group.bytes().chain([b':']));
            a.cmp(b)
        };
        let by_group = if self.group == other.group { Ordering::Equal } else { groups() };
        by_group.then_with(|| self.name.cmp(&other.name))
    }
}

/// Files whose names match: vmlinux and the modules, opened.
pub(super) fn files(kernel: &Kernel, pattern: &str) -> Vec<BtfId> {
    if !is_pattern(pattern) {
        return kernel.find(pattern).ok().flatten().into_iter().collect();
    }
    let names = std::iter::once(VMLINUX).chain(kernel.module_names()).filter(|name| matches(pattern, name));
    names.filter_map(|name| kernel.find(name).ok().flatten()).collect()
}

/// Files that may have the function or event.
fn files_with(kernel: &Kernel, wanted: &Wanted<'_>, symbol: &str) -> Vec<BtfId> {
    match wanted.group {
        Some(group) => files(kernel, group),
        None if is_pattern(symbol) => files(kernel, "*"),
        None => std::iter::once(BtfId::VMLINUX).chain(kernel.modules_with(symbol)).collect(),
    }
}

/// Functions that ftrace can hook and that match, by module; `None` if the host does not tell.
fn traceable<'k>(kernel: &'k Kernel, wanted: &Wanted<'_>) -> Option<HashMap<&'k str, HashSet<&'k str>>> {
    let mut by_module: HashMap<&str, HashSet<&str>> = HashMap::new();
    for (module, name) in hookable(kernel, wanted)? {
        by_module.entry(module).or_default().insert(name);
    }
    Some(by_module)
}

fn hookable<'k>(kernel: &'k Kernel, wanted: &Wanted<'_>) -> Option<impl Iterator<Item = (&'k str, &'k str)>> {
    let named = kernel.traceable_functions()?.map(|(m, name)| (if m.is_empty() { VMLINUX } else { m }, name));
    Some(named.filter(move |(module, name)| {
        wanted.group.is_none_or(|group| matches(group, module)) && matches(wanted.name, name)
    }))
}

/// Parameters that kernels before 6.6 pass to a tracing program (`arch_prepare_bpf_trampoline` of
/// x86); bpftrace hides what has more.
const PARAMETERS_MAX: usize = 6;

fn fentry<'k>(kernel: &'k Kernel, wanted: &Wanted<'_>, out: &mut Vec<Place<'k>>) {
    let traceable = traceable(kernel, wanted);
    for file in files_with(kernel, wanted, wanted.name) {
        let (types, module) = (kernel.btf(file), kernel.name(file));
        let hooked = traceable.as_ref().map(|all| all.get(module));
        for (id, name) in types.named(Kind::Func).filter(|(_, name)| matches(wanted.name, name)) {
            let hooked = hooked.is_none_or(|hooked| hooked.is_some_and(|names| names.contains(name)));
            let few = parameters::signature(types, id).is_some_and(|signature| {
                signature.len() + usize::from(signature.is_variadic()) <= PARAMETERS_MAX
            });
            if hooked && few {
                out.push(Place { ty: Some((file, id)), ..Place::new(module, name) });
            }
        }
    }
}

fn kprobe<'k>(kernel: &'k Kernel, wanted: &Wanted<'_>, out: &mut Vec<Place<'k>>) {
    let place = |module, name| Place {
        group: if wanted.group.is_some() { Cow::Borrowed(module) } else { Cow::Borrowed("") },
        ..Place::new(module, name)
    };
    match hookable(kernel, wanted) {
        Some(all) => out.extend(all.map(|(module, name)| place(module, name))),
        None => {
            for file in files_with(kernel, wanted, wanted.name) {
                let names = kernel.btf(file).named(Kind::Func).map(|(_, name)| name);
                let names = names.filter(|name| matches(wanted.name, name));
                out.extend(names.map(|name| place(kernel.name(file), name)));
            }
        }
    }
}

fn raw<'k>(kernel: &'k Kernel, wanted: &Wanted<'_>, out: &mut Vec<Place<'k>>) {
    for file in files_with(kernel, wanted, &events::typedef_of(wanted.name)) {
        let types = kernel.btf(file);
        for (id, name) in types.named(Kind::Typedef) {
            let event = name.strip_prefix("btf_trace_").filter(|event| matches(wanted.name, event));
            let (Some(event), Ok(Type::Typedef { ty, .. })) = (event, types.ty(id)) else { continue };
            out.push(Place { ty: Some((file, ty)), ..Place::new(kernel.name(file), event) });
        }
    }
}

fn tracepoint<'k>(kernel: &'k Kernel, wanted: &Wanted<'_>, out: &mut Vec<Place<'k>>) {
    let events = kernel.events(wanted.group.unwrap_or("*"), wanted.name).into_iter();
    out.extend(events.map(|(category, event)| Place {
        group: category.into(),
        name: event.into(),
        ..Place::new("", "")
    }));
}

fn timer<'k>(_: &'k Kernel, wanted: &Wanted<'_>, out: &mut Vec<Place<'k>>) {
    for unit in ["hz", "ms", "s", "us"] {
        if matches(wanted.name, unit) || wanted.group.is_some_and(|group| matches(group, unit)) {
            out.push(Place::new(unit, ""));
        }
    }
}

/// Functions of one program; a file that is not here has none.
fn uprobe<'k>(_: &'k Kernel, wanted: &Wanted<'_>, out: &mut Vec<Place<'k>>) {
    let Some(path) = wanted.group else { return };
    let programs = Programs::new(Folders::default());
    let names = programs.functions(path, |name| matches(wanted.name, name)).unwrap_or_default();
    let place =
        |name: String| Place { group: path.to_owned().into(), name: name.into(), ..Place::new("", "") };
    out.extend(names.into_iter().map(place));
}

fn signal<'k>(_: &'k Kernel, _: &Wanted<'_>, out: &mut Vec<Place<'k>>) {
    out.push(Place::new("signal", "SIGUSR1"));
}
