//! `signal`, `signal_thread`: sends a signal to whoever runs.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::types::tree::ExprKind;
use crate::types::{Check, Ty, codes};

/// Sends a signal to the current process, by name or number.
pub(super) static SIGNAL: Builtin = Builtin { changes_system: true, ..Builtin::new("signal", (1, 1), check) };

/// Sends a signal to the current thread.
pub(super) static SIGNAL_THREAD: Builtin =
    Builtin { changes_system: true, ..Builtin::new("signal_thread", (1, 1), check) };

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
