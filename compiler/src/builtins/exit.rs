//! `exit`: ends the run.

use super::Builtin;
use crate::lower::{Lower, Value};
use crate::types::Ty;
use crate::types::tree::Expr;
use manifest::Event;

/// Ends the run after this event, with a status: `exit([code])`. Also leaves the probe.
pub(super) static EXIT: Builtin = Builtin::new("exit", (0, 1), |cx, call| {
    if !call.args.is_empty() {
        call.integer(cx, 0)?;
    }
    Ok(Ty::None)
})
.lowered(lower);

/// Record: number of the event, status.
const RECORD_BYTES: u32 = 16;
const STATUS_OFFSET: u32 = 8;

fn lower(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    let event = l.event(Event::Exit { offset: STATUS_OFFSET });
    let status = match args.first() {
        Some(status) => l.lower_scalar(status),
        None => l.iconst(0),
    };
    l.send(RECORD_BYTES, event, |l, record| l.store(record.plus(STATUS_OFFSET), 8, status));
    l.leave_program();
    Value::None
}
