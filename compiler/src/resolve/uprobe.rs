//! Probes on functions of user programs: uprobe and uretprobe.
//!
//! Which bytes of the file a function is, and which file `libc` is, is the target host's to say: the
//! loader resolves both. Only a pattern whose body needs the functions one by one is expanded here.

use super::{Kind, Parts, Resolver, Target, Targets, Uprobe, codes, missing};
use crate::diag::Diag;
use crate::kernel::pattern::{is_pattern, matches};
use crate::syntax::number::{Place, parse_integer};
use crate::user;

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
    let probe = Uprobe { path: path.to_owned(), function: function.map(str::to_owned), offset };
    match function {
        Some(pattern) if is_pattern(pattern) && cx.by_name => expand(parts, &probe, pattern, kind),
        _ => Ok(vec![target(parts, probe, kind)]),
    }
}

fn target(parts: &Parts<'_>, probe: Uprobe, kind: fn(Uprobe) -> Kind) -> Target {
    let place = match (&probe.function, probe.offset) {
        (Some(function), 0) => function.clone(),
        (Some(function), offset) => format!("{function}+{offset}"),
        (None, address) => address.to_string(),
    };
    let name = format!("{}:{}:{place}", parts.provider, probe.path);
    Target::new(kind(probe), name)
}

/// One target for each function of the build host's file that matches.
fn expand(parts: &Parts<'_>, probe: &Uprobe, pattern: &str, kind: fn(Uprobe) -> Kind) -> Targets {
    let names = user::functions(&probe.path, |name| matches(pattern, name));
    let names = names.map_err(|why| {
        let message = format!("the functions of `{}` are not known here: {why}", probe.path);
        let diag = Diag::error(&codes::NO_FUNCTION, message, parts.span, "");
        missing(diag.note(
            "a body that uses `probe` is compiled for each function, so the file must be on the build host",
        ))
    })?;
    if names.is_empty() {
        let message = format!("nothing matches `{}`", parts.text);
        return Err(missing(Diag::error(&codes::NO_FUNCTION, message, parts.span, "")));
    }
    let one = |function| Uprobe { function: Some(function), ..probe.clone() };
    Ok(names.into_iter().map(|name| target(parts, one(name), kind)).collect())
}
