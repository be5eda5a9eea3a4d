//! Raw tracepoints by BTF: `rawtracepoint[:module]:event`.

use super::record::class_probes;
use super::typed::arguments;
use super::{Func, Kind, Parts, Resolver, Target, Targets, absent, codes, missing};
use crate::diag::Diag;
use crate::fields::Fields;
use crate::kernel::BtfId;
use crate::kernel::events::typedef_of;
use crate::kernel::pattern::{is_pattern, matches};
use crate::types::Space;
use btf::{Type, TypeId};

pub(super) fn rawtracepoint(parts: &Parts<'_>, cx: &Resolver<'_>) -> Targets {
    let (module, event) = match parts.rest()[..] {
        [event] if !event.is_empty() => (None, event),
        [module, event] if !event.is_empty() => (Some(module), event),
        _ => return Err(parts.bad("`rawtracepoint:EVENT` or `rawtracepoint:MODULE:EVENT`").into()),
    };
    let kernel = cx.fields.kernel();
    if let Some(module) = module.filter(|module| !is_pattern(module)) {
        match kernel.find(module) {
            Ok(Some(_)) => {}
            Ok(None) => return Err(absent::no_module(parts, kernel, module)),
            Err(error) => return Err(absent::broken_module(parts, &error).into()),
        }
    }
    let files = files(cx.fields, module, event);
    let targets: Vec<_> = files
        .into_iter()
        .flat_map(|btf| {
            events_in(cx.fields, btf, event).into_iter().map(move |(name, proto)| (btf, name, proto))
        })
        .filter_map(|(btf, name, proto)| target(parts, cx.fields, btf, &name, proto))
        .collect();
    if targets.is_empty() {
        let message = format!("there is no raw tracepoint `{event}`");
        return Err(missing(Diag::error(&codes::NO_TRACEPOINT, message, parts.span, "")));
    }
    Ok(targets)
}

/// Files to look in: the modules named, else vmlinux, else the modules that have the event. A pattern
/// without a module is for all.
fn files(fields: &Fields<'_>, module: Option<&str>, event: &str) -> Vec<BtfId> {
    let kernel = fields.kernel();
    match module {
        Some(module) => kernel.files_matching(module),
        None if is_pattern(event) => kernel.files_matching("*"),
        None if !events_in(fields, BtfId::VMLINUX, event).is_empty() => vec![BtfId::VMLINUX],
        None => kernel.modules_with(&typedef_of(event)),
    }
}

/// Events of a file that match, with their prototypes: `typedef void (*btf_trace_EVENT)(void *, …)`.
fn events_in(fields: &Fields<'_>, btf: BtfId, event: &str) -> Vec<(String, TypeId)> {
    let types = fields.btf(btf);
    let proto_of = |id: TypeId| match types.ty(id).ok()? {
        Type::Typedef { name, ty } => match types.ty(types.resolve(ty).ok()?).ok()? {
            Type::Ptr(proto) => Some((name.strip_prefix("btf_trace_")?.to_owned(), proto)),
            _ => None,
        },
        _ => None,
    };
    if !is_pattern(event) {
        return types.find(&typedef_of(event), btf::Kind::Typedef).filter_map(proto_of).take(1).collect();
    }
    let mut found: Vec<_> =
        types.ids().filter_map(proto_of).filter(|(name, _)| matches(event, name)).collect();
    found.sort();
    found
}

fn target(parts: &Parts<'_>, fields: &Fields<'_>, btf: BtfId, name: &str, proto: TypeId) -> Option<Target> {
    let Ok(Type::FuncProto(signature)) = fields.btf(btf).ty(proto) else { return None };
    // The first parameter is the tracer's own pointer, which BPF programs do not see.
    // The verifier has pointers of modules' events maybe null (since 6.13): they are only numbers to us.
    let space = if btf == BtfId::VMLINUX { Space::Typed } else { Space::Kernel };
    let (mut args, words) = arguments(fields, btf, signature, 1, space);
    let mut names = fields.kernel().raw_event_names(btf, name, signature.len());
    if names.is_empty() && !args.is_empty() {
        names = names_of_class(fields, btf, name);
    }
    for (arg, name) in args.iter_mut().zip(names) {
        arg.name = name;
    }
    let module = fields.file_name(btf).to_owned();
    let full_name = format!("{}:{module}:{name}", parts.provider);
    let func = Func { btf, module, name: name.to_owned(), proto, words };
    let mut target = Target::new(Kind::RawTracepoint(func), full_name);
    target.args = args;
    Some(target)
}

/// Names of the arguments if all classes that the event may be of agree on them.
fn names_of_class(fields: &Fields<'_>, btf: BtfId, event: &str) -> Vec<String> {
    let types = fields.btf(btf);
    let names = |(_, proto): (&str, TypeId)| match types.ty(proto) {
        Ok(Type::FuncProto(probe)) => probe.params().skip(1).map(|param| param.name.to_owned()).collect(),
        _ => Vec::new(),
    };
    let mut found: Vec<Vec<String>> = class_probes(fields, btf, event).into_iter().map(names).collect();
    found.dedup();
    if found.len() == 1 { found.remove(0) } else { Vec::new() }
}
