//! `comm`: the name of the current thread.

use super::Builtin;
use crate::diag::Diag;
use crate::types::Ty;

/// `TASK_COMM_LEN` of the kernel.
pub(super) const COMM_BYTES: u32 = 16;

/// Name of the current thread.
pub(super) static COMM: Builtin = Builtin::new("comm", (0, 1), |_, call| match call.args.first() {
    None => Ok(Ty::String(COMM_BYTES)),
    Some(arg) => Err(Diag::unsupported("`comm` of another process is", arg.span)),
});
