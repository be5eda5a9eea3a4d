//! `sonde inspect`: what an object is, without asking the kernel.

use crate::attach;
use crate::maps::type_name;
use crate::object::{ExternKind, Object};
use crate::params::parameters;
use manifest::{AttachPoint, MissingProbes, ParameterValue};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

/// An object, printed for people.
#[derive(Debug)]
pub struct Description<'a>(pub &'a Object);

impl Display for Description<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let object = self.0;
        let manifest = &object.manifest;
        writeln!(f, "script    {} ({} lines)", manifest.source.name, manifest.source.text.lines().count())?;
        writeln!(f, "built by  {}", manifest.producer)?;
        writeln!(f, "licence   {}", object.license.to_string_lossy())?;
        writeln!(f, "\nprobes ({})", manifest.probes.len())?;
        for (probe, program) in manifest.probes.iter().zip(&object.programs) {
            let section = object.code.get(program.section);
            let function = section.and_then(|section| section.functions.get(program.function));
            let (section, len) = (section.map_or("", |s| &s.name), function.map_or(0, |f| f.len));
            writeln!(f, "  {:<40} {} in {section}, {len} instructions", probe.name, probe.program)?;
        }
        self.patterns(f)?;
        self.maps(f)?;
        self.parameters(f)?;
        self.needs(f)
    }
}

impl Description<'_> {
    fn patterns(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut patterns: BTreeMap<&str, usize> = BTreeMap::new();
        for pattern in self.0.manifest.probes.iter().filter_map(|probe| probe.pattern.as_deref()) {
            *patterns.entry(pattern).or_default() += 1;
        }
        if !patterns.is_empty() {
            writeln!(f, "\npatterns")?;
        }
        patterns.iter().try_for_each(|(pattern, matches)| {
            writeln!(f, "  {pattern}: {matches} of these probes, where they can be attached")
        })
    }

    fn maps(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nmaps ({})", self.0.maps.len())?;
        for (index, map) in self.0.maps.iter().enumerate() {
            let script = self.0.script_maps.iter().position(|&at| at == index);
            let name = script.and_then(|at| self.0.manifest.maps.get(at)).map_or("", |map| &map.name);
            writeln!(
                f,
                "  {:<16} {:<16} {} keys of {} bytes, {} entries of {} bytes",
                map.symbol,
                name,
                type_name(map.map_type),
                map.key_size,
                map.max_entries,
                map.value_size
            )?;
        }
        Ok(())
    }

    fn parameters(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut seen = BTreeSet::new();
        for parameter in parameters(&self.0.manifest.globals) {
            if seen.is_empty() {
                writeln!(f, "\nparameters")?;
            }
            if !seen.insert(parameter.name.as_str()) {
                continue;
            }
            let default = match &parameter.default {
                ParameterValue::Bool(value) => value.to_string(),
                ParameterValue::Int(value) => value.to_string(),
                ParameterValue::Uint(value) => value.to_string(),
                ParameterValue::Str { value, .. } => format!("{value:?}"),
            };
            writeln!(f, "  --{}={default}  {}", parameter.name, parameter.description)?;
        }
        Ok(())
    }

    fn needs(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let object = self.0;
        let manifest = &object.manifest;
        writeln!(f, "\nneeds")?;
        let kernel = manifest.probes.iter().zip(&object.programs).map(|(probe, program)| match &probe.at {
            AttachPoint::Begin | AttachPoint::End | AttachPoint::SelfSignal(_) => {
                "raw_tracepoint test runs (5.10)"
            }
            AttachPoint::Kprobe { .. } | AttachPoint::Kretprobe { .. } if program.is_multi => {
                "kprobe_multi links (5.18), else one event a function"
            }
            AttachPoint::Kprobe { .. } | AttachPoint::Kretprobe { .. } => "kprobe PMU (4.17)",
            AttachPoint::Uprobe { .. } | AttachPoint::Uretprobe { .. } => "uprobe PMU (4.17)",
            AttachPoint::Fentry { .. } | AttachPoint::Fexit { .. } => {
                "BTF trampolines (5.5, of modules 5.11)"
            }
            AttachPoint::RawTracepoint { .. } => "BTF raw tracepoints (5.5)",
            AttachPoint::Tracepoint { .. } => "tracefs, mounted",
            AttachPoint::Profile(_) | AttachPoint::Interval(_) => "perf events",
        });
        for need in kernel.collect::<BTreeSet<_>>() {
            writeln!(f, "  {need}")?;
        }
        if object.events.is_some() {
            writeln!(f, "  ring buffer (5.8)")?;
        }
        let named = manifest.probes.iter().filter_map(|probe| attach::module_of(&probe.at));
        for module in named.collect::<BTreeSet<_>>() {
            writeln!(f, "  module {module}, loaded (or awaited: run --wait-module)")?;
        }
        let modules: BTreeSet<&str> = manifest.types.iter().map(|origin| origin.module.as_str()).collect();
        for module in modules {
            writeln!(f, "  types of module {module}, if loaded")?;
        }
        let relos: usize = object.code.iter().map(|section| section.core_relos.len()).sum();
        writeln!(f, "  {relos} CO-RE relocations")?;
        for wanted in &object.externs {
            let kind = match wanted.kind {
                ExternKind::Address => "symbol",
                ExternKind::Variable => "variable",
                ExternKind::Function => "kfunc",
            };
            let weak = if wanted.weak { ", may be missing" } else { "" };
            writeln!(f, "  kernel {kind} {}{weak}", wanted.name)?;
        }
        if manifest.needs_unsafe {
            writeln!(f, "  --unsafe: it changes the system")?;
        }
        let policy = match manifest.config.missing_probes {
            MissingProbes::Error => "refuses to run without",
            MissingProbes::Warn => "warns of",
            MissingProbes::Ignore => "ignores",
        };
        writeln!(f, "  {policy} missing probes")
    }
}
