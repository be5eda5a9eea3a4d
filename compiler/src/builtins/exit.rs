//! `exit`: ends the run.

use super::Builtin;
use crate::types::Ty;

/// Ends the run after this event, with a status: `exit([code])`. Also leaves the probe.
pub(super) static EXIT: Builtin = Builtin::new("exit", (0, 1), |cx, call| {
    if !call.args.is_empty() {
        call.integer(cx, 0)?;
    }
    Ok(Ty::None)
});
