//! Which modules each probe needs before it can be attached.
//!
//! Input    an object, the kernel's types and symbols
//! Output   probes that need none, and [`Need`]s for the others
//! Ensures  a probe needs the module it is in, and those that its types came from, unless vmlinux has here what is asked for

use crate::attach;
use crate::error::Error;
use crate::kernel::types::KernelTypes;
use crate::kernel::{functions, tracefs};
use crate::object::Object;
use crate::relocate::link_program;
use btf::TypeId;
use btf::core::{Spec, find_candidates, resolve};
use manifest::AttachPoint;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What some probes have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    /// Modules, sorted.
    pub modules: Vec<String>,
    /// A symbol that no module has yet: whichever brings it is needed too.
    pub symbol: Option<String>,
    /// The probes, by index.
    pub probes: Vec<usize>,
}

/// Sorts the probes of an object.
pub(super) fn sort(object: &Object, kernel: &mut KernelTypes) -> Result<(Vec<usize>, Vec<Need>), Error> {
    let probes = &object.manifest.probes;
    let symbols: Vec<Option<String>> = probes.iter().map(|probe| symbol(&probe.at)).collect();
    let owners = functions::owners(&symbols.iter().flatten().map(String::as_str).collect());
    let owners = owners.map_err(|source| Error::Io { what: "/proc/kallsyms".into(), source })?;
    let mut free = Vec::new();
    let mut needs: BTreeMap<(BTreeSet<String>, Option<String>), Vec<usize>> = BTreeMap::new();
    for (index, (probe, symbol)) in probes.iter().zip(symbols).enumerate() {
        let mut modules = modules_of_types(object, index, kernel)?;
        modules.extend(module_of(&probe.at));
        let symbol = symbol.filter(|symbol| is_awaited(&probe.at, symbol, &owners, &mut modules));
        let is_special =
            matches!(probe.at, AttachPoint::Begin | AttachPoint::End | AttachPoint::SelfSignal(_));
        match is_special || (modules.is_empty() && symbol.is_none()) {
            true => free.push(index),
            false => needs.entry((modules, symbol)).or_default().push(index),
        }
    }
    let mut needs: Vec<Need> = needs
        .into_iter()
        .map(|((modules, symbol), probes)| Need { modules: modules.into_iter().collect(), symbol, probes })
        .collect();
    needs.sort_by(|a, b| a.probes.cmp(&b.probes));
    Ok((free, needs))
}

/// Whether no module has a symbol yet. If one has, it is added.
fn is_awaited(
    at: &AttachPoint,
    symbol: &str,
    owners: &HashMap<String, Option<String>>,
    modules: &mut BTreeSet<String>,
) -> bool {
    let exists = match at {
        AttachPoint::Tracepoint { category, event } => tracefs::event_id(category, event).is_some(),
        _ => false,
    };
    match owners.get(symbol) {
        Some(Some(module)) => {
            modules.insert(module.clone());
            false
        }
        Some(None) => false,
        // Those of system calls have no symbol of their own.
        None => !exists,
    }
}

/// The symbol that tells which module has an attach point, if its name does not.
fn symbol(at: &AttachPoint) -> Option<String> {
    match at {
        AttachPoint::Kprobe { module: None, function, .. }
        | AttachPoint::Kretprobe { module: None, function }
            if !function.contains('*') =>
        {
            Some(function.clone())
        }
        // What `DECLARE_TRACE` names the function that calls the probes (Linux 5.10).
        AttachPoint::Tracepoint { event, .. } => Some(format!("__traceiter_{event}")),
        _ => None,
    }
}

/// The module that an attach point names; a pattern names none.
fn module_of(at: &AttachPoint) -> Option<String> {
    attach::module_of(at).filter(|module| !module.contains('*')).map(str::to_owned)
}

/// Modules that types of a program came from.
fn modules_of_types(
    object: &Object,
    probe: usize,
    kernel: &mut KernelTypes,
) -> Result<BTreeSet<String>, Error> {
    let mut modules = BTreeSet::new();
    let Some(program) = object.programs.get(probe).filter(|_| !object.manifest.types.is_empty()) else {
        return Ok(modules);
    };
    let local = object.btf.as_ref();
    let origins = object.manifest.types.iter().map(|origin| (TypeId(origin.id), origin.module.as_str()));
    let origins: HashMap<TypeId, &str> = origins.collect();
    for (_, relo) in link_program(object, program, &[]).core_relos {
        // What cannot be read is reported when the program is relocated.
        let spec = local.name(relo.access).ok();
        let spec = spec.and_then(|access| Spec::parse(local, relo.ty, access, relo.kind).ok());
        let Some(spec) = spec else { continue };
        let Some(module) = origins.get(&spec.root()) else { continue };
        let vmlinux = kernel.vmlinux()?;
        let here = find_candidates(&spec, &[vmlinux.as_ref()]).and_then(|found| resolve(&spec, &found));
        if here.is_ok_and(|resolution| resolution.target.is_none()) {
            modules.insert((*module).to_owned());
        }
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kprobe(module: Option<&str>, function: &str) -> AttachPoint {
        AttachPoint::Kprobe { module: module.map(str::to_owned), function: function.into(), offset: 0 }
    }

    #[test]
    fn what_an_attach_point_says() {
        let fentry = AttachPoint::Fentry { module: "nf_tables".into(), function: "f".into() };
        for (at, module, wanted) in [
            (fentry, Some("nf_tables"), None),
            (kprobe(Some("vmlinux"), "f"), None, None),
            (kprobe(Some("nf_*"), "f"), None, None),
            (kprobe(Some("nf_tables"), "nft_*"), Some("nf_tables"), None),
            (kprobe(None, "nft_*"), None, None),
            (kprobe(None, "f"), None, Some("f")),
            (
                AttachPoint::Tracepoint { category: "kvm".into(), event: "kvm_exit".into() },
                None,
                Some("__traceiter_kvm_exit"),
            ),
        ] {
            assert_eq!(module_of(&at).as_deref(), module, "{at:?}");
            assert_eq!(symbol(&at).as_deref(), wanted, "{at:?}");
        }
    }

    #[test]
    fn a_symbol_names_its_module_or_is_awaited() {
        let owners = HashMap::from([("in_m".into(), Some("m".into())), ("proper".into(), None)]);
        for (name, awaited, module) in
            [("in_m", false, Some("m")), ("proper", false, None), ("f", true, None)]
        {
            let mut modules = BTreeSet::new();
            assert_eq!(is_awaited(&kprobe(None, name), name, &owners, &mut modules), awaited, "{name}");
            assert_eq!(modules.first().map(String::as_str), module, "{name}");
        }
    }
}
