//! Wall-clock time: `time`, `strftime`.

use super::clock::NSECS;
use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Value};
use crate::types::tree::Expr;
use crate::types::tree::ExprKind;
use crate::types::{Check, Ty, codes};
use cranelift_codegen::ir::InstBuilder as _;
use manifest::{Event, GlobalRole};

/// Prints the time of day when the event is handled: `time([format])`.
pub(super) static TIME: Builtin = Builtin::new("time", (0, 1), |_, call| {
    if !call.args.is_empty() {
        call.literal_text(0)?;
    }
    Ok(Ty::None)
})
.lowered(lower_time);

/// A clock value that prints as a time of day: `strftime(format, ns)`.
pub(super) static STRFTIME: Builtin =
    Builtin::new("strftime", (2, 2), check_strftime).lowered(lower_strftime);

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

fn lower_time(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    let format = args.first().and_then(Expr::text).unwrap_or(b"%H:%M:%S\n");
    l.send_bare(Event::Time { format: String::from_utf8_lossy(format).into_owned() });
    Value::None
}

/// Number of the format, then nanoseconds of the boot clock.
fn lower_strftime(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let format = String::from_utf8_lossy(args[0].text().unwrap_or_default()).into_owned();
    let dst = l.destination(e).mem;
    let number = l.time_format(&format);
    l.store_const(dst, 8, number.into());
    let mut ns = l.lower_scalar(&args[1]);
    if is_tai(&args[1]) {
        let offset = l.read_global(GlobalRole::TaiOffset);
        ns = l.b.ins().isub(ns, offset);
    }
    l.store(dst.plus(8), 8, ns);
    Value::Memory(dst)
}

fn is_tai(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Cast(of) => is_tai(of),
        ExprKind::Call { builtin, args } => {
            std::ptr::eq(*builtin, &NSECS)
                && args.first().is_some_and(|clock| matches!(clock.text(), Some(b"tai" | b"sw_tai")))
        }
        _ => false,
    }
}
