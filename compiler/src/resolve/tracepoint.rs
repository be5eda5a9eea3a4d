//! Tracepoints of tracefs: `tracepoint:category:event`.

use super::record::{fields_of, record_of, syscall_fields};
use super::{Kind, Parts, Resolver, Target, Targets, codes, missing};
use crate::diag::Diag;
use crate::kernel::events::{SYSCALLS, syscall_event};
use crate::kernel::pattern::is_pattern;

pub(super) fn tracepoint(parts: &Parts<'_>, cx: &Resolver<'_>) -> Targets {
    let [category, event] = parts.rest()[..] else {
        return Err(parts.bad("`tracepoint:CATEGORY:EVENT`").into());
    };
    if is_pattern(category) || is_pattern(event) {
        let found = cx.fields.kernel().events(category, event);
        if found.is_empty() {
            return Err(missing(no_event(parts, category, event)));
        }
        return Ok(found.iter().map(|(category, event)| target(parts, cx, category, event)).collect());
    }
    if !is_known_syscall(category, event) && cx.fields.kernel().has_event(category, event) == Some(false) {
        return Err(missing(no_event(parts, category, event)));
    }
    Ok(vec![target(parts, cx, category, event)])
}

/// System calls are numbered for ever: whether the target kernel has one is for the loader to see.
fn is_known_syscall(category: &str, event: &str) -> bool {
    category == SYSCALLS && syscall_event(event).is_some_and(|(_, name)| stdlib::syscall_args(name).is_some())
}

fn target(parts: &Parts<'_>, cx: &Resolver<'_>, category: &str, event: &str) -> Target {
    let name = format!("{}:{category}:{event}", parts.provider);
    let (record, args) = match syscall_event(event).filter(|_| category == SYSCALLS) {
        Some((enter, call)) => syscall_fields(cx.fields, enter, call),
        None => {
            let record = record_of(cx.fields, category, event).ok();
            (record, record.map_or(Vec::new(), |record| fields_of(cx.fields, record)))
        }
    };
    let kind = Kind::Tracepoint { category: category.to_owned(), event: event.to_owned(), record };
    let mut target = Target::new(kind, name);
    target.args = args;
    target
}

fn no_event(parts: &Parts<'_>, category: &str, event: &str) -> Diag {
    let message = format!("there is no tracepoint `{category}:{event}`");
    let diag = Diag::error(&codes::NO_TRACEPOINT, message, parts.span, "");
    let known = stdlib::tracepoints().map(|t| format!("{}:{}", t.category, t.event));
    if category == "syscall" {
        return diag.help(format!("did you mean `syscalls:{event}`?"));
    }
    let elsewhere = stdlib::tracepoints().find(|t| t.event == event).map(|t| t.category.to_owned());
    if let Some(elsewhere) = elsewhere.filter(|elsewhere| elsewhere != category) {
        return diag.help(format!("did you mean `{elsewhere}:{event}`?"));
    }
    let syscalls = stdlib::syscall_names()
        .flat_map(|name| [format!("{SYSCALLS}:sys_enter_{name}"), format!("{SYSCALLS}:sys_exit_{name}")]);
    let known: Vec<String> = known.chain(syscalls).collect();
    match crate::types::nearest(&format!("{category}:{event}"), known.iter().map(String::as_str)) {
        Some(near) => diag.help(format!("did you mean `{near}`?")),
        None => diag,
    }
}
