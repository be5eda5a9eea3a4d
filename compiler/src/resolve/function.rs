//! Probes on kernel functions by symbol: kprobe and kretprobe.

use super::{Kind, Kprobe, Parts, Resolver, Target, Targets, absent};
use crate::diag::Diag;
use crate::fields::Fields;
use crate::kernel::VMLINUX;
use crate::kernel::pattern::{is_pattern, matches};
use crate::syntax::number::{Place, parse_integer};

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
    if targets.is_empty() { Err(absent::no_match(parts)) } else { Ok(targets) }
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
        None => kernel
            .files_matching(module.unwrap_or(VMLINUX))
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
