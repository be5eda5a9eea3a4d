//! The probe's own names: `probe`, `probetype`.

use super::{Builtin, Call};
use crate::resolve::Kind;
use crate::types::tree::ExprKind;
use crate::types::{Check, Ty};

/// Full name of the probe.
pub(super) static PROBE: Builtin = Builtin::new("probe", (0, 0), |cx, call| {
    let name = cx.probe_name().to_owned();
    Ok(text(call, &name))
});

/// Kind of the probe.
pub(super) static PROBETYPE: Builtin = Builtin::new("probetype", (0, 0), |cx, call| {
    let name = kind_name(cx);
    Ok(text(call, name))
});

fn text(call: &mut Call, value: &str) -> Ty {
    call.becomes = Some(ExprKind::Str(value.as_bytes().to_vec()));
    Ty::String(u32::try_from(value.len() + 1).unwrap_or(u32::MAX))
}

fn kind_name(cx: &Check<'_>) -> &'static str {
    match cx.target().kind {
        Kind::Begin | Kind::End | Kind::SelfSignal(_) => "special",
        Kind::Kprobe(_)
        | Kind::Kretprobe(_)
        | Kind::Uprobe(_)
        | Kind::Uretprobe(_)
        | Kind::Fentry(_)
        | Kind::Fexit(_)
        | Kind::Tracepoint { .. }
        | Kind::RawTracepoint(_)
        | Kind::Profile(_)
        | Kind::Interval(_) => cx.provider(),
    }
}
