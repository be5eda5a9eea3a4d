//! `comm`: the name of the current thread.

use super::Builtin;
use crate::diag::Diag;
use crate::lower::{Lower, Value, helper};
use crate::types::Ty;
use crate::types::tree::Expr;

/// `TASK_COMM_LEN` of the kernel.
pub(super) const COMM_BYTES: u32 = 16;

/// Name of the current thread.
pub(super) static COMM: Builtin = Builtin::new("comm", (0, 1), |_, call| match call.args.first() {
    None => Ok(Ty::String(COMM_BYTES)),
    Some(arg) => Err(Diag::unsupported("`comm` of another process is", arg.span)),
})
.lowered(lower);

/// The helper pads with zeroes, so the name is fit for keys as it is.
fn lower(l: &mut Lower<'_>, e: &Expr, _: &[Expr]) -> Value {
    let dst = l.destination(e).mem;
    let (address, size) = (l.addr(dst), l.iconst(COMM_BYTES.into()));
    l.call_helper(helper::GET_CURRENT_COMM, &[address, size]);
    Value::Memory(dst)
}
