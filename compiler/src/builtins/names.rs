//! Numbers as names: `strerror`, `signal_name`, `syscall_name`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::types::{Check, Ty};

/// Text of an error number; the sign does not matter.
pub(super) static STRERROR: Builtin = Builtin::new("strerror", (1, 1), check);

/// Name of a signal.
pub(super) static SIGNAL_NAME: Builtin = Builtin::new("signal_name", (1, 1), check);

/// Name of a system call.
pub(super) static SYSCALL_NAME: Builtin = Builtin::new("syscall_name", (1, 1), check);

/// Capacity of all these names.
const NAME_BYTES: u32 = 64;

fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    call.integer(cx, 0)?;
    Ok(Ty::String(NAME_BYTES))
}
