//! Probes on functions of user programs: uprobe and uretprobe.
//!
//! Which bytes of the file a function is, and which file `libc` is, is the target host's to say: the
//! loader resolves both. Only a pattern whose body needs the functions one by one is expanded here.

use super::{Arg, ArgSource, Kind, Parts, Resolver, Target, Targets, Uprobe, codes, missing};
use crate::diag::Diag;
use crate::kernel::pattern::{is_pattern, matches};
use crate::syntax::number::{Place, parse_integer};
use crate::types::{Space, Ty};
use crate::user::{Home, Param};

pub(super) fn uprobe(parts: &Parts<'_>, cx: &Resolver<'_>) -> Targets {
    functions(parts, cx, true, Kind::Uprobe)
}

pub(super) fn uretprobe(parts: &Parts<'_>, cx: &Resolver<'_>) -> Targets {
    functions(parts, cx, false, Kind::Uretprobe)
}

/// Parts of a uprobe: `path:function[+offset]` or `path:address`.
fn functions(parts: &Parts<'_>, cx: &Resolver<'_>, entry: bool, kind: fn(Uprobe) -> Kind) -> Targets {
    let forms = || {
        let provider = parts.provider;
        let more = if entry {
            format!(", `{provider}:PATH:FUNCTION+OFFSET` or `{provider}:PATH:ADDRESS`")
        } else {
            String::new()
        };
        parts.bad(&format!("`{provider}:PATH:FUNCTION`{more}"))
    };
    let unsupported = |what: &str| Err(Diag::unsupported(what, parts.span).into());
    let (path, place) = match parts.rest()[..] {
        [_, "cpp", _] => return unsupported("a probe by a C++ name is"),
        [path, place] if !path.is_empty() && !place.is_empty() => (path, place),
        [path] if path.contains('@') => return unsupported("a probe by a source line is"),
        _ => return Err(forms().into()),
    };
    if is_pattern(path) {
        return unsupported("a wildcard for the file of a uprobe is");
    }
    let number =
        |text: &str| parse_integer(text, Place::Text).map(|literal| literal.value).map_err(|_| forms());
    let (function, offset) = match place.split_once('+') {
        None if place.starts_with(|c: char| c.is_ascii_digit()) => (None, number(place)?),
        None => (Some(place), 0),
        Some((function, offset)) if !is_pattern(function) => (Some(function), number(offset)?),
        Some(_) => return Err(forms().into()),
    };
    if !entry && (offset != 0 || function.is_none()) {
        return Err(forms().into());
    }
    let types = cx.fields.programs().id(path);
    let (path, function_name) = (path.to_owned(), function.map(str::to_owned));
    let probe = Uprobe { path, function: function_name, offset, types, no_args: None };
    match function {
        Some(pattern) if is_pattern(pattern) && (cx.by_name || cx.uses_args) => {
            expand(parts, cx, &probe, pattern, kind)
        }
        _ => Ok(vec![target(parts, cx, probe, kind)]),
    }
}

fn target(parts: &Parts<'_>, cx: &Resolver<'_>, mut probe: Uprobe, kind: fn(Uprobe) -> Kind) -> Target {
    let place = match (&probe.function, probe.offset) {
        (Some(function), 0) => function.clone(),
        (Some(function), offset) => format!("{function}+{offset}"),
        (None, address) => address.to_string(),
    };
    let name = format!("{}:{}:{place}", parts.provider, probe.path);
    let mut args = Vec::new();
    if cx.uses_args {
        match arguments(cx, &probe) {
            Ok(found) => args = found,
            Err(why) => probe.no_args = Some(why),
        }
    }
    Target { args, ..Target::new(kind(probe), name) }
}

/// The parameters by name, from the program's debug information.
fn arguments(cx: &Resolver<'_>, probe: &Uprobe) -> Result<Vec<Arg>, String> {
    let name = probe.function.as_deref().ok_or("an address does not say which function it is in")?;
    let function = cx.fields.programs().function(probe.types, name)?;
    let argument = |Param { name, ty, home }: Param| {
        let ty = cx.fields.ty(probe.types, ty, Space::User);
        let (source, ty) = match home {
            Home::Register(first) => (ArgSource::Register(first), ty),
            Home::Stack(bytes) => (ArgSource::Stack(bytes), ty),
            Home::Behind(register) => (ArgSource::Behind(register), ty),
            // Floating point registers are not in the context.
            Home::Nowhere => (ArgSource::Register(0), Ty::None),
        };
        Arg { name, ty, source }
    };
    Ok(function.params.into_iter().map(argument).collect())
}

/// One target for each function of the build host's file that matches.
fn expand(
    parts: &Parts<'_>,
    cx: &Resolver<'_>,
    probe: &Uprobe,
    pattern: &str,
    kind: fn(Uprobe) -> Kind,
) -> Targets {
    let names = cx.fields.programs().functions(&probe.path, |name| matches(pattern, name));
    let names = names.map_err(|why| {
        let message = format!("the functions of `{}` are not known here: {why}", probe.path);
        let diag = Diag::error(&codes::NO_FUNCTION, message, parts.span, "");
        missing(diag.note(
            "a body that uses `probe` or `args` is compiled for each function, so the file must be on the build host",
        ))
    })?;
    if names.is_empty() {
        let message = format!("nothing matches `{}`", parts.text);
        return Err(missing(Diag::error(&codes::NO_FUNCTION, message, parts.span, "")));
    }
    let one = |function| Uprobe { function: Some(function), ..probe.clone() };
    Ok(names.into_iter().map(|name| target(parts, cx, one(name), kind)).collect())
}
