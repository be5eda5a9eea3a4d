//! Wall-clock time: `time`, `strftime`.

use super::clock::NSECS;
use super::{Builtin, Call};
use crate::diag::Diag;
use crate::types::tree::ExprKind;
use crate::types::{Check, Ty, codes};

/// Prints the time of day when the event is handled: `time([format])`.
pub(super) static TIME: Builtin = Builtin::new("time", (0, 1), |_, call| {
    if !call.args.is_empty() {
        call.literal_text(0)?;
    }
    Ok(Ty::None)
});

/// A clock value that prints as a time of day: `strftime(format, ns)`.
pub(super) static STRFTIME: Builtin = Builtin::new("strftime", (2, 2), check_strftime);

fn check_strftime(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    call.literal_text(0)?;
    let arg = &call.args[1];
    if arg.literal().is_some_and(|ns| ns < 0) {
        return Err(Diag::error(&codes::BAD_CONSTANT, "`strftime` of a negative time", arg.span, ""));
    }
    if let ExprKind::Call { builtin, args } = &arg.kind
        && std::ptr::eq(*builtin, &NSECS)
        && args.first().is_some_and(|mode| mode.text() == Some(b"monotonic"))
    {
        let message = "`strftime` cannot tell the time of day of the monotonic clock";
        return Err(Diag::error(&codes::ARGUMENT_KIND, message, arg.span, "stops while the machine sleeps")
            .help("use `nsecs` or `nsecs(tai)`"));
    }
    call.integer(cx, 1)?;
    Ok(Ty::Timestamp)
}
