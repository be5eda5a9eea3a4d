//! Questions about types, answered at compile time.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::types::tree::{Expr, ExprKind};
use crate::types::{Check, Int, Ty};

/// Whether the value is an array.
pub(super) static IS_ARRAY: Builtin =
    Builtin::new("is_array", (1, 1), |_, call| Ok(answer(call, |arg| matches!(arg.ty, Ty::Array(..)))));

/// Whether the value is an integer.
pub(super) static IS_INTEGER: Builtin =
    Builtin::new("is_integer", (1, 1), |_, call| Ok(answer(call, |arg| matches!(arg.ty, Ty::Int(_)))));

/// Whether the value is a literal.
pub(super) static IS_LITERAL: Builtin = Builtin::new("is_literal", (1, 1), |_, call| {
    Ok(answer(call, |arg| arg.literal().is_some() || arg.text().is_some()))
});

/// Whether the value is a pointer.
pub(super) static IS_PTR: Builtin =
    Builtin::new("is_ptr", (1, 1), |_, call| Ok(answer(call, |arg| matches!(arg.ty, Ty::Ptr(..)))));

/// Whether the value is a string.
pub(super) static IS_STR: Builtin =
    Builtin::new("is_str", (1, 1), |_, call| Ok(answer(call, |arg| matches!(arg.ty, Ty::String(_)))));

/// Whether the value is an integer without sign.
pub(super) static IS_UNSIGNED_INTEGER: Builtin = Builtin::new("is_unsigned_integer", (1, 1), |_, call| {
    Ok(answer(call, |arg| matches!(arg.ty, Ty::Int(Int { signed: false, .. }))))
});

/// Bytes a string has room for, or elements of an array.
pub(super) static STRCAP: Builtin = Builtin::new("strcap", (1, 1), check_strcap);

fn answer(call: &mut Call, test: fn(&Expr) -> bool) -> Ty {
    call.becomes = Some(ExprKind::Int(u64::from(test(&call.args[0]))));
    Ty::Bool
}

fn check_strcap(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    let (Ty::String(capacity) | Ty::Array(_, capacity)) = call.args[0].ty else {
        return Err(call.wrong(cx, 0, "a string or an array"));
    };
    call.becomes = Some(ExprKind::Int(capacity.into()));
    Ok(Ty::I64)
}
