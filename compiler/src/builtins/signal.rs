//! `signal`, `signal_thread`: sends a signal to whoever runs.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Value, helper};
use crate::types::tree::Expr;
use crate::types::tree::ExprKind;
use crate::types::{Check, Ty, codes};
use manifest::RuntimeError;

/// Sends a signal to the current process, by name or number.
pub(super) static SIGNAL: Builtin =
    Builtin { changes_system: true, ..Builtin::new("signal", (1, 1), check).lowered(lower_signal) };

/// Sends a signal to the current thread.
pub(super) static SIGNAL_THREAD: Builtin = Builtin {
    changes_system: true,
    ..Builtin::new("signal_thread", (1, 1), check).lowered(lower_signal_thread)
};

/// Signals of Linux on most machines (`asm-generic/signal.h`), from 1.
pub(super) const SIGNALS: &[&str] = &[
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const SIGNAL_MAX: i128 = 64;

/// A name becomes its number.
fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    if let Some(name) = call.args[0].text() {
        let name = String::from_utf8_lossy(name).into_owned();
        let short = name.strip_prefix("SIG").unwrap_or(&name);
        let Some(at) = SIGNALS.iter().position(|signal| *signal == short) else {
            let message = format!("there is no signal `{name}`");
            return Err(Diag::error(&codes::ARGUMENT_KIND, message, call.args[0].span, ""));
        };
        call.args[0].kind = ExprKind::Int(at as u64 + 1);
        call.args[0].ty = Ty::U64;
    } else if call.args[0].literal().is_some() {
        call.literal(0, 1..=SIGNAL_MAX)?;
    }
    call.integer(cx, 0)?;
    Ok(Ty::None)
}

fn lower_signal(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    send(l, e, &args[0], helper::SEND_SIGNAL, "send_signal")
}

fn lower_signal_thread(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    send(l, e, &args[0], helper::SEND_SIGNAL_THREAD, "send_signal_thread")
}

fn send(l: &mut Lower<'_>, e: &Expr, signal: &Expr, helper: u32, name: &str) -> Value {
    let signal = l.lower_scalar(signal);
    let result = l.call_helper(helper, &[signal]);
    l.if_rare(result, |l| l.runtime_error(RuntimeError::Helper(name.to_owned()), e.span, Some(result)));
    Value::None
}
