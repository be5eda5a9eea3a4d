//! The whole script: every probe lowered, then what can be settled only at the end.

use codegen_bpf::{Module, SourceFile};
use manifest::AttachPoint;
use manifest::{Event, Manifest, MapValue};

use super::map_types::define_maps;
use super::{Input, Object, function, layout};
use crate::diag::Diag;
use crate::fields::EnumRef;
use crate::probes;
use crate::syntax::ast::Span;
use crate::types::tree::Map;
use crate::types::{Agg, Ty};

/// What lowering yields.
#[derive(Debug)]
pub struct Lowered {
    /// Input of the code generator; the manifest is among its sections.
    pub module: Module,
    /// The manifest, for showing.
    pub manifest: Manifest,
    /// Where the script first uses a function that changes the system.
    pub changes_system: Option<Span>,
}

/// Lowers a script; what BPF, or this compiler, cannot do is reported all at once.
pub fn lower(input: Input<'_>) -> Result<Lowered, Vec<Diag>> {
    let mut object = Object::new(&input);
    define_maps(&mut object, &input);
    let mut listed = Vec::new();
    for probe in &input.program.probes {
        let (program, prototype) = function::lower_program(&mut object, input, probe);
        listed.push(manifest::Probe {
            program,
            name: probe.name.clone(),
            at: attach_point(input, &probe.target),
            line: input.sources.location(probe.span.start).map_or(1, |(_, line, _)| line as u32),
            prototype,
            pattern: probe.target.pattern.clone(),
        });
    }
    for parameter in &input.program.parameters {
        // The loader offers every parameter of the script, also those whose code was folded away.
        let init = super::globals::initial(&parameter.0);
        object.global(parameter.0.clone(), init);
    }
    let mut maps: Vec<manifest::Map> = Vec::new();
    for map in &input.program.maps {
        let symbol = object.map_symbols[maps.len()].clone();
        maps.push(map_entry(&mut object, &input, map, symbol));
    }
    let changes_system = object.changes_system;
    let mut done = object.finish();
    if done.diags.iter().any(Diag::is_error) {
        return Err(done.diags);
    }
    let (relos, types) = done.core.finish(input.fields, &mut done.module.btf);
    done.module.core_relos = relos;
    let enums = done.enums.into_iter().map(|of| enum_entry(&input, of)).collect();
    let mut manifest = Manifest {
        version: manifest::VERSION,
        producer: concat!("sondec ", env!("CARGO_PKG_VERSION")).into(),
        source: manifest::Source { name: input.settings.name.clone(), text: input.settings.text.clone() },
        config: input.settings.run.clone(),
        probes: listed,
        maps,
        events: done.events,
        enums,
        globals: done.globals,
        types,
        needs_unsafe: changes_system.is_some(),
    };
    set_formats(&mut manifest, &done.formats);
    let mut module = done.module;
    module.source = Some(SourceFile { name: input.settings.name.clone(), text: input.settings.text.clone() });
    module.extra_sections.push((manifest::SECTION.to_owned(), manifest.to_bytes()));
    Ok(Lowered { module, manifest, changes_system })
}

fn map_entry(object: &mut Object, input: &Input<'_>, map: &Map, symbol: String) -> manifest::Map {
    let key = map.key.as_ref().map(|key| layout::of(object, input.fields, key, 0));
    let value = match &map.value {
        Ty::Agg(agg) => map_value(*agg),
        plain => MapValue::Plain(layout::of(object, input.fields, plain, 0)),
    };
    manifest::Map { name: map.name.clone(), symbol, key, value }
}

fn enum_entry(input: &Input<'_>, of: EnumRef) -> manifest::Enum {
    let btf = input.fields.btf(of.btf);
    let id = btf.resolve(of.id).unwrap_or(of.id);
    match btf.ty(id) {
        Ok(btf::Type::Enum(e)) => {
            let values = e.values().map(|v| (v.value as i64, v.name.to_owned())).collect();
            manifest::Enum { name: e.name().to_owned(), values }
        }
        _ => manifest::Enum { name: String::new(), values: Vec::new() },
    }
}

fn map_value(agg: Agg) -> MapValue {
    match agg {
        Agg::Count => MapValue::Count,
        Agg::Sum { signed } => MapValue::Sum { signed },
        Agg::Min { signed } => MapValue::Min { signed },
        Agg::Max { signed } => MapValue::Max { signed },
        Agg::Avg { signed } => MapValue::Avg { signed },
        Agg::Stats { signed } => MapValue::Stats { signed },
        Agg::Hist { bits } => MapValue::Hist { bits },
        Agg::Lhist { min, max, step } => MapValue::Lhist { min, max, step },
    }
}

fn set_formats(manifest: &mut Manifest, formats: &[String]) {
    for map in &mut manifest.maps {
        map.key.iter_mut().for_each(|key| layout::set_formats(key, formats));
        if let MapValue::Plain(value) = &mut map.value {
            layout::set_formats(value, formats);
        }
    }
    for event in &mut manifest.events {
        match event {
            Event::Printf { args, .. }
            | Event::Errorf { args, .. }
            | Event::Warnf { args, .. }
            | Event::Cat { args, .. }
            | Event::System { args, .. } => {
                args.iter_mut().for_each(|arg| layout::set_formats(&mut arg.layout, formats));
            }
            Event::Value(field) => layout::set_formats(&mut field.layout, formats),
            Event::PrintMap { .. }
            | Event::Clear { .. }
            | Event::Zero { .. }
            | Event::Time { .. }
            | Event::Join { .. }
            | Event::Exit { .. }
            | Event::RuntimeError { .. } => {}
        }
    }
}

/// Where a program attaches, with the build id of the file whose debug information it was made with.
fn attach_point(input: Input<'_>, target: &crate::resolve::Target) -> AttachPoint {
    match probes::attach_point(target) {
        AttachPoint::Uprobe { path, function, offset, .. } => {
            let build_id = input.fields.programs().build_id(&path);
            AttachPoint::Uprobe { path, function, offset, build_id }
        }
        at => at,
    }
}
