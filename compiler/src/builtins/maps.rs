//! Maps as a whole: `clear`, `zero`, `delete`, `has_key`, `len`.

use super::{Builtin, ByRef, Call};
use crate::diag::Diag;
use crate::types::{Check, Ty, codes};

/// Removes all entries.
pub(super) static CLEAR: Builtin = Builtin {
    by_ref: ByRef::Map,
    ..Builtin::new("clear", (1, 1), |cx, call| {
        call.map(cx, 0)?;
        Ok(Ty::None)
    })
};

/// Sets all values to zero.
pub(super) static ZERO: Builtin = Builtin {
    by_ref: ByRef::Map,
    ..Builtin::new("zero", (1, 1), |cx, call| {
        call.map(cx, 0)?;
        Ok(Ty::None)
    })
};

/// Removes an entry: `delete(@m, key)`, `delete(@scalar)`, and `delete(@m[key])` as of old.
pub(super) static DELETE: Builtin =
    Builtin { by_ref: ByRef::Entry, ..Builtin::new("delete", (1, 2), check_delete) };

/// Whether an entry exists.
pub(super) static HAS_KEY: Builtin =
    Builtin { by_ref: ByRef::Map, ..Builtin::new("has_key", (2, 2), check_has_key) };

/// Number of entries of a map, or of frames of a stack.
pub(super) static LEN: Builtin = Builtin { by_ref: ByRef::Map, ..Builtin::new("len", (1, 1), check_len) };

fn check_delete(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    let map = call.map(cx, 0)?;
    let span = call.args[0].span;
    match call.args.get_mut(1) {
        Some(key) => cx.map_key(map, key, span)?,
        None => cx.map_scalar(map, span)?,
    }
    Ok(Ty::Bool)
}

fn check_has_key(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    let map = call.map(cx, 0)?;
    let span = call.args[0].span;
    cx.map_key(map, &mut call.args[1], span)?;
    Ok(Ty::Bool)
}

fn check_len(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    if matches!(call.args[0].ty, Ty::Kstack(..) | Ty::Ustack(..)) {
        return Ok(Ty::I64);
    }
    let map = call.map(cx, 0).map_err(|_| call.wrong(cx, 0, "a map or a stack"))?;
    if cx.map_is_scalar(map) {
        let message = "`len` wants a map with keys";
        return Err(Diag::error(&codes::ARGUMENT_KIND, message, call.args[0].span, "a scalar map"));
    }
    Ok(Ty::I64)
}
