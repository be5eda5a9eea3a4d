//! Probes on kernel functions: kprobe and kretprobe by symbol, fentry and fexit by BTF.

use super::{Arg, ArgSource, Func, Kind, Kprobe, Missing, Parts, Resolver, Target, Targets, codes, missing};
use crate::diag::Diag;
use crate::fields::Fields;
use crate::kernel::pattern::{is_pattern, matches};
use crate::kernel::{BtfId, VMLINUX};
use crate::syntax::number::{Place, parse_integer};
use crate::types::{Space, Ty};
use btf::{FuncProto, Type, TypeId};

/// Bytes of a context word.
const WORD: u64 = 8;
/// Larger structs are passed in memory, and fentry does not show them.
const STRUCT_BYTES_MAX: u64 = 16;

pub(super) fn kprobe(parts: &Parts<'_>, cx: &Resolver<'_>) -> Targets {
    functions(parts, cx, true, Kind::Kprobe)
}

pub(super) fn kretprobe(parts: &Parts<'_>, cx: &Resolver<'_>) -> Targets {
    functions(parts, cx, false, Kind::Kretprobe)
}

/// Parts of a kprobe: `[module:]function[+offset]`.
fn functions(parts: &Parts<'_>, cx: &Resolver<'_>, entry: bool, kind: fn(Kprobe) -> Kind) -> Targets {
    let forms = || {
        let provider = parts.provider;
        let offset = if entry { format!(" or `{provider}:FUNCTION+OFFSET`") } else { String::new() };
        parts.bad(&format!("`{provider}:FUNCTION`, `{provider}:MODULE:FUNCTION`{offset}"))
    };
    let (module, function) = match parts.rest()[..] {
        [function] => (None, function),
        [module, function] => (Some(module.to_owned()), function),
        _ => return Err(forms().into()),
    };
    let (function, offset) = match function.split_once('+') {
        None => (function, 0),
        Some((function, offset)) if entry && !is_pattern(function) => {
            (function, parse_integer(offset, Place::Text).map_err(|_| forms())?.value)
        }
        Some(_) => return Err(forms().into()),
    };
    if function.is_empty() {
        return Err(forms().into());
    }
    if function.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Diag::unsupported("a kprobe by address is", parts.span).into());
    }
    let pattern = is_pattern(function) || module.as_deref().is_some_and(is_pattern);
    let probe = Kprobe { module, function: function.to_owned(), offset, pattern };
    if pattern && cx.by_name {
        return expand(parts, cx, &probe, kind);
    }
    let name = name_of(parts.provider, &probe);
    Ok(vec![Target::new(kind(probe), name)])
}

fn name_of(provider: &str, probe: &Kprobe) -> String {
    let module = probe.module.as_ref().map_or(String::new(), |module| format!("{module}:"));
    let offset = if probe.offset == 0 { String::new() } else { format!("+{}", probe.offset) };
    format!("{provider}:{module}{}{offset}", probe.function)
}

/// One target for each function of the build kernel that matches.
fn expand(parts: &Parts<'_>, cx: &Resolver<'_>, probe: &Kprobe, kind: fn(Kprobe) -> Kind) -> Targets {
    let found = matching(cx.fields, probe.module.as_deref(), &probe.function);
    let targets: Vec<_> = found
        .into_iter()
        .map(|(module, function)| {
            let module = probe.module.as_ref().map(|_| module);
            let one = Kprobe { module, function, offset: 0, pattern: false };
            let name = name_of(parts.provider, &one);
            Target::new(kind(one), name)
        })
        .collect();
    if targets.is_empty() { Err(no_match(parts)) } else { Ok(targets) }
}

/// Module and name of the functions that match: those ftrace can hook if the host tells, else those
/// with BTF. Without a module, functions of all modules if that costs no reading of them.
fn matching(fields: &Fields<'_>, module: Option<&str>, function: &str) -> Vec<(String, String)> {
    let kernel = fields.kernel();
    let mut found: Vec<(String, String)> = match kernel.traceable_functions() {
        Some(all) => {
            let named = all.map(|(m, f)| (if m.is_empty() { VMLINUX } else { m }, f));
            let wanted = named.filter(|(m, f)| module.is_none_or(|p| matches(p, m)) && matches(function, f));
            wanted.map(|(m, f)| (m.to_owned(), f.to_owned())).collect()
        }
        None => modules_matching(fields, module)
            .into_iter()
            .flat_map(|btf| {
                let names = kernel.btf(btf).find_funcs_matching(|name| matches(function, name));
                names.map(move |(_, name)| (kernel.name(btf).to_owned(), name.to_owned()))
            })
            .collect(),
    };
    found.retain(|(_, name)| !name.contains(".part."));
    found.sort_unstable();
    found.dedup();
    found
}

fn modules_matching(fields: &Fields<'_>, module: Option<&str>) -> Vec<BtfId> {
    let kernel = fields.kernel();
    let Some(pattern) = module else { return vec![BtfId::VMLINUX] };
    let names = std::iter::once(VMLINUX).chain(kernel.module_names()).filter(|name| matches(pattern, name));
    names.filter_map(|name| kernel.find(name).ok().flatten()).collect()
}

fn no_match(parts: &Parts<'_>) -> Missing {
    let message = format!("nothing matches `{}`", parts.text);
    missing(Diag::error(&codes::NO_FUNCTION, message, parts.span, ""))
}

pub(super) fn fentry(parts: &Parts<'_>, cx: &Resolver<'_>) -> Targets {
    typed(parts, cx, Kind::Fentry)
}

pub(super) fn fexit(parts: &Parts<'_>, cx: &Resolver<'_>) -> Targets {
    typed(parts, cx, Kind::Fexit)
}

/// Parts of a fentry: `[module:]function`.
fn typed(parts: &Parts<'_>, cx: &Resolver<'_>, kind: fn(Func) -> Kind) -> Targets {
    let (module, function) = match parts.rest()[..] {
        ["bpf", _] | ["bpf", _, _] => {
            return Err(Diag::unsupported("a probe on a BPF program is", parts.span).into());
        }
        [function] if !function.is_empty() => (None, function),
        [module, function] if !function.is_empty() => (Some(module), function),
        _ => {
            let provider = parts.provider;
            return Err(parts.bad(&format!("`{provider}:FUNCTION` or `{provider}:MODULE:FUNCTION`")).into());
        }
    };
    let found = if is_pattern(function) || module.is_some_and(is_pattern) {
        let names = matching(cx.fields, module, function);
        let kernel = cx.fields.kernel();
        names.into_iter().filter_map(|(m, f)| find_in(cx, kernel.find(&m).ok().flatten()?, &f)).collect()
    } else {
        one(parts, cx, module, function)?
    };
    if found.is_empty() {
        return Err(no_match(parts));
    }
    Ok(found.into_iter().map(|(btf, func)| typed_target(parts, cx.fields, btf, func, kind)).collect())
}

fn find_in(cx: &Resolver<'_>, btf: BtfId, function: &str) -> Option<(BtfId, TypeId)> {
    let func = cx.fields.btf(btf).find(function, btf::Kind::Func).next()?;
    Some((btf, func))
}

/// The one function meant.
fn one(
    parts: &Parts<'_>,
    cx: &Resolver<'_>,
    module: Option<&str>,
    function: &str,
) -> Result<Vec<(BtfId, TypeId)>, Missing> {
    let kernel = cx.fields.kernel();
    let found = match module {
        None => kernel.functions(function),
        Some(module) => match kernel.find(module) {
            Ok(Some(btf)) => find_in(cx, btf, function).into_iter().collect(),
            Ok(None) => return Err(missing(no_module(parts, cx.fields, module))),
            Err(error) => {
                let message = format!("{error}");
                let diag = Diag::error(&codes::NO_MODULE, message, parts.span, "");
                return Err(match std::error::Error::source(&error) {
                    Some(source) => diag.note(source.to_string()),
                    None => diag,
                }
                .into());
            }
        },
    };
    match found[..] {
        [] => Err(missing(no_function(parts, cx.fields, module, function))),
        [_] => Ok(found),
        _ => Err(ambiguous(parts, cx.fields, function, &found).into()),
    }
}

fn ambiguous(parts: &Parts<'_>, fields: &Fields<'_>, function: &str, found: &[(BtfId, TypeId)]) -> Diag {
    let message = format!("several modules have a function `{function}`");
    let names =
        found.iter().map(|(btf, _)| format!("`{}:{}:{function}`", parts.provider, fields.file_name(*btf)));
    Diag::error(&codes::AMBIGUOUS, message, parts.span, "which one?")
        .help(format!("name the module: {}", names.collect::<Vec<_>>().join(", ")))
}

fn no_module(parts: &Parts<'_>, fields: &Fields<'_>, module: &str) -> Diag {
    let message = format!("there is no module `{module}`");
    let diag = Diag::error(&codes::NO_MODULE, message, parts.span, "");
    match crate::types::nearest(module, fields.kernel().module_names()) {
        Some(near) => diag.help(format!("did you mean `{near}`?")),
        None => diag.note("only modules that are loaded, or among the files given, are known"),
    }
}

fn no_function(parts: &Parts<'_>, fields: &Fields<'_>, module: Option<&str>, function: &str) -> Diag {
    let place = module.map_or(String::new(), |module| format!(" in `{module}`"));
    let message = format!("there is no function `{function}`{place}");
    let diag = Diag::error(&codes::NO_FUNCTION, message, parts.span, "");
    let btf = module.and_then(|module| fields.kernel().find(module).ok().flatten()).unwrap_or(BtfId::VMLINUX);
    let types = fields.btf(btf);
    let names = types.find_funcs_matching(|_| true).map(|(_, name)| name);
    match crate::types::nearest(function, names) {
        Some(near) => diag.help(format!("did you mean `{near}`?")),
        None => diag,
    }
}

fn typed_target(
    parts: &Parts<'_>,
    fields: &Fields<'_>,
    btf: BtfId,
    func: TypeId,
    kind: fn(Func) -> Kind,
) -> Target {
    let types = fields.btf(btf);
    let (name, proto) = match types.ty(func) {
        Ok(Type::Func { name, proto, .. }) => (name.to_owned(), proto),
        _ => unreachable!("only functions are looked for"),
    };
    let module = fields.file_name(btf).to_owned();
    let full_name = format!("{}:{module}:{name}", parts.provider);
    let Ok(Type::FuncProto(signature)) = types.ty(proto) else {
        return Target::new(kind(Func { btf, module, name, proto, words: 0 }), full_name);
    };
    let (args, words) = arguments(fields, btf, signature, 0);
    let retval = fields.ty(btf, signature.ret(), Space::Typed);
    let mut target = Target::new(kind(Func { btf, module, name, proto, words }), full_name);
    target.args = args;
    target.retval = (retval != Ty::Void).then_some(retval);
    target
}

/// Parameters from `skip` on as context words, and how many words they take. The trampoline stores
/// a struct that fits in two registers in as many words (kernel `btf_func_model`).
pub(super) fn arguments(
    fields: &Fields<'_>,
    btf: BtfId,
    signature: FuncProto<'_>,
    skip: usize,
) -> (Vec<Arg>, u32) {
    let (mut args, mut word) = (Vec::new(), 0);
    for param in signature.params().skip(skip) {
        let bytes = fields.btf(btf).size_of(param.ty).unwrap_or(WORD);
        let ty = match fields.ty(btf, param.ty, Space::Typed) {
            Ty::Struct(_) | Ty::Array(..) | Ty::String(_) => Ty::None,
            ty => ty,
        };
        args.push(Arg { name: param.name.to_owned(), ty, source: ArgSource::Word(word) });
        word += if bytes > WORD && bytes <= STRUCT_BYTES_MAX { 2 } else { 1 };
    }
    (args, word)
}
