//! What the loader does on behalf of a probe: `cat`, `system`, `join`.

use super::printf::FORMAT_ARITY;
use super::{Builtin, Call, format};
use crate::diag::Diag;
use crate::types::{Check, Int, Ty};

/// Prints a file whose path is formatted.
pub(super) static CAT: Builtin = Builtin::new("cat", FORMAT_ARITY, check_format);

/// Runs a command that is formatted.
pub(super) static SYSTEM: Builtin =
    Builtin { changes_system: true, ..Builtin::new("system", FORMAT_ARITY, check_format) };

/// Prints an array of string pointers: `join(argv [, separator])`.
pub(super) static JOIN: Builtin = Builtin::new("join", (1, 2), check_join);

fn check_format(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    format::check(cx, call)?;
    Ok(Ty::None)
}

fn check_join(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    match &call.args[0].ty {
        Ty::Ptr(..) | Ty::Int(Int { size: 8, .. }) => {}
        _ => return Err(call.wrong(cx, 0, "the address of an array of string pointers")),
    }
    if call.args.len() > 1 {
        call.literal_text(1)?;
    }
    Ok(Ty::None)
}
