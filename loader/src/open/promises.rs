//! That the manifest fits the object.
//!
//! Input    an [`Object`] complete but for what the manifest names
//! Output   the same with programs, globals and script maps found
//! Ensures  each probe has its own program, in a section of the right kind; each script map's elements are at least
//!          as large as their layouts; each global lies in read-only data

use super::{Error, elf};
use crate::kinds;
use crate::object::{DataPlace, Object, Program};
use btf::TypeId;
use manifest::{AttachPoint, GlobalRole, MapValue, ParameterValue};
use std::collections::{HashMap, HashSet};

/// Helpers that change the system or another process: `bpf_probe_write_user`, `bpf_override_return`,
/// `bpf_send_signal`, `bpf_send_signal_thread`, `bpf_sys_bpf`, `bpf_sys_close`.
const UNSAFE_HELPERS: [i32; 6] = [36, 58, 109, 117, 166, 168];

fn promise(entry: impl std::fmt::Display, what: impl Into<String>) -> Error {
    Error::Promise { entry: entry.to_string(), what: what.into() }
}

pub(super) fn check(
    object: &mut Object,
    elf: &elf::Elf<'_>,
    data_sections: &HashMap<usize, usize>,
) -> Result<(), Error> {
    object.programs = find_programs(object)?;
    object.script_maps = find_maps(object)?;
    object.events = object.maps.iter().position(|map| map.symbol == manifest::EVENTS_MAP);
    match object.events.and_then(|events| object.maps.get(events)) {
        None if object.manifest.events.is_empty() => {}
        Some(map) if map.map_type == kinds::MAP_RINGBUF => {}
        _ => return Err(promise("events", format!("map `{}` is no ring buffer", manifest::EVENTS_MAP))),
    }
    let place = |symbol: &str| find_data(elf, data_sections, symbol);
    object.lost_events = place(manifest::LOST_EVENTS).filter(|place| place.size == 8);
    for global in &object.manifest.globals {
        let bad = |what| promise(format!("global `{}`", global.symbol), what);
        let place = place(&global.symbol).ok_or_else(|| bad("has no symbol in a data section"))?;
        if !object.data.get(place.section).is_some_and(|data| data.read_only) {
            return Err(bad("is not in .rodata"));
        }
        if place.size != role_size(&global.role) {
            return Err(bad("has another size than its role"));
        }
        object.globals.push(place);
    }
    check_types(object)?;
    check_helpers(object)
}

/// The types whose origin is told are those of the object.
fn check_types(object: &Object) -> Result<(), Error> {
    for origin in &object.manifest.types {
        let known = object.btf.ty(TypeId(origin.id)).is_ok_and(|ty| ty.name() == origin.name);
        if !known {
            let what = format!("type {} of the object is another", origin.id);
            return Err(promise(format!("type `{}`", origin.name), what));
        }
    }
    Ok(())
}

fn find_programs(object: &Object) -> Result<Vec<Program>, Error> {
    let mut by_name = HashMap::new();
    for (section, code) in object.code.iter().enumerate().filter(|&(section, _)| Some(section) != object.text)
    {
        for (function, f) in code.functions.iter().enumerate() {
            by_name.insert(f.name.as_str(), (section, function, code.name.as_str()));
        }
    }
    let mut seen = HashSet::new();
    let mut programs = Vec::new();
    for probe in &object.manifest.probes {
        let bad = |what: String| promise(format!("probe `{}`", probe.name), what);
        let Some(&(section, function, name)) = by_name.get(probe.program.as_str()) else {
            return Err(bad(format!("the object has no program `{}`", probe.program)));
        };
        if !seen.insert(probe.program.as_str()) {
            return Err(bad(format!("program `{}` belongs to another probe", probe.program)));
        }
        let prefix = name.split('/').next().unwrap_or_default();
        if !section_kinds(&probe.at).contains(&prefix) {
            return Err(bad(format!("program `{}` is in section `{name}`, of another kind", probe.program)));
        }
        programs.push(Program { section, function, is_multi: prefix.ends_with(".multi") });
    }
    Ok(programs)
}

/// Section names, up to the first slash, of programs for this kind of attach point.
fn section_kinds(at: &AttachPoint) -> &'static [&'static str] {
    match at {
        AttachPoint::Begin | AttachPoint::End | AttachPoint::SelfSignal(_) => &["raw_tp", "raw_tracepoint"],
        AttachPoint::Kprobe { .. } => &["kprobe", "kprobe.multi"],
        AttachPoint::Kretprobe { .. } => &["kretprobe", "kretprobe.multi"],
        AttachPoint::Uprobe { .. } => &["uprobe"],
        AttachPoint::Uretprobe { .. } => &["uretprobe"],
        AttachPoint::Fentry { .. } => &["fentry"],
        AttachPoint::Fexit { .. } => &["fexit"],
        AttachPoint::Tracepoint { .. } => &["tracepoint", "tp"],
        AttachPoint::RawTracepoint { .. } => &["tp_btf"],
        AttachPoint::Profile(_) | AttachPoint::Interval(_) => &["perf_event"],
    }
}

fn find_maps(object: &Object) -> Result<Vec<usize>, Error> {
    let mut found = Vec::new();
    for map in &object.manifest.maps {
        let bad = |what: String| promise(format!("map `{}`", map.name), what);
        let index = object.maps.iter().position(|def| def.symbol == map.symbol);
        let index = index.ok_or_else(|| bad(format!("the object has no map `{}`", map.symbol)))?;
        let Some(def) = object.maps.get(index) else { continue };
        if def.map_type == kinds::MAP_RINGBUF || def.map_type == kinds::MAP_STACK_TRACE {
            return Err(bad(format!("`{}` is of a type that cannot hold it", map.symbol)));
        }
        let key = map.key.as_ref().map_or(0, manifest::Layout::size);
        let key = match map.value {
            MapValue::Hist { .. } | MapValue::Lhist { .. } => key.next_multiple_of(8) + 8,
            _ => key,
        };
        let cell = map.value.cell_size();
        if u64::from(def.key_size) < key || u64::from(def.value_size) < cell {
            return Err(bad(format!(
                "`{}` has keys of {} and values of {} bytes, {key} and {cell} are needed",
                map.symbol, def.key_size, def.value_size
            )));
        }
        found.push(index);
    }
    Ok(found)
}

fn find_data(elf: &elf::Elf<'_>, data_sections: &HashMap<usize, usize>, symbol: &str) -> Option<DataPlace> {
    elf.symbols.iter().filter(|s| s.name == symbol && s.is_object).find_map(|s| {
        let elf::Home::Section(home) = s.home else { return None };
        let section = *data_sections.get(&home)?;
        // The container's reader has checked that the symbol is inside the section.
        Some(DataPlace {
            section,
            offset: usize::try_from(s.value).ok()?,
            size: usize::try_from(s.size).ok()?,
        })
    })
}

/// Bytes of a global with this role.
fn role_size(role: &GlobalRole) -> usize {
    let size = match role {
        GlobalRole::PositionalStr { size, .. } => *size,
        GlobalRole::Named(parameter) => match &parameter.default {
            ParameterValue::Str { size, .. } => *size,
            ParameterValue::Bool(_) | ParameterValue::Int(_) | ParameterValue::Uint(_) => 8,
        },
        GlobalRole::Ncpus
        | GlobalRole::MaxCpuId
        | GlobalRole::ChildPid
        | GlobalRole::StartNs
        | GlobalRole::TaiOffset
        | GlobalRole::KernelSymbol(_)
        | GlobalRole::CgroupId(_)
        | GlobalRole::PositionalInt(_)
        | GlobalRole::PositionalCount => 8,
    };
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// An object that says it is safe calls nothing that is not.
fn check_helpers(object: &Object) -> Result<(), Error> {
    if object.manifest.needs_unsafe {
        return Ok(());
    }
    for section in &object.code {
        let is_unsafe = |insn: &crate::sys::bpf::Insn| {
            insn.code == kinds::CALL && insn.src() == 0 && UNSAFE_HELPERS.contains(&insn.imm)
        };
        if let Some(insn) = section.insns.iter().position(is_unsafe) {
            let what = "calls a helper that changes the system, and the manifest does not say so".into();
            return Err(Error::Insn { section: section.name.clone(), insn, what });
        }
    }
    Ok(())
}
