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
    .lowered(lower_clear)
};

/// Sets all values to zero.
pub(super) static ZERO: Builtin = Builtin {
    by_ref: ByRef::Map,
    ..Builtin::new("zero", (1, 1), |cx, call| {
        call.map(cx, 0)?;
        Ok(Ty::None)
    })
    .lowered(lower_zero)
};
use crate::lower::{Lower, Value};
use crate::types::tree::{Expr, ExprKind, MapId};
use cranelift_codegen::ir::{InstBuilder as _, condcodes::IntCC};
use manifest::Event;

/// Removes an entry: `delete(@m, key)`, `delete(@scalar)`, and `delete(@m[key])` as of old.
pub(super) static DELETE: Builtin =
    Builtin { by_ref: ByRef::Entry, ..Builtin::new("delete", (1, 2), check_delete).lowered(lower_delete) };

/// Whether an entry exists.
pub(super) static HAS_KEY: Builtin =
    Builtin { by_ref: ByRef::Map, ..Builtin::new("has_key", (2, 2), check_has_key).lowered(lower_has_key) };

/// Number of entries of a map, or of frames of a stack.
pub(super) static LEN: Builtin =
    Builtin { by_ref: ByRef::Map, ..Builtin::new("len", (1, 1), check_len).lowered(lower_len) };

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

fn map_of(arg: &Expr) -> MapId {
    match arg.kind {
        ExprKind::MapRef(map) => map,
        _ => unreachable!("the checker asks for a map"),
    }
}

fn lower_clear(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    l.send_bare(Event::Clear { map: map_of(&args[0]).0 });
    Value::None
}

fn lower_zero(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    l.send_bare(Event::Zero { map: map_of(&args[0]).0 });
    Value::None
}

fn lower_delete(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    let discarded = l.discarded;
    let result = l.delete_element(map_of(&args[0]), args.get(1));
    if discarded {
        return Value::None;
    }
    let deleted = l.b.ins().icmp_imm_s(IntCC::Equal, result, 0);
    Value::Scalar(l.widen_bool(deleted))
}

fn lower_has_key(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    Value::Scalar(l.has_element(map_of(&args[0]), args.get(1)))
}

fn lower_len(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    match &args[0].ty {
        Ty::Kstack(..) => {
            let stack = l.lower_to_memory(&args[0], false);
            Value::Scalar(l.load_u64(stack))
        }
        Ty::Ustack(..) => {
            let stack = l.lower_to_memory(&args[0], false);
            Value::Scalar(l.load_u64(stack.plus(8)))
        }
        _ => Value::Scalar(l.count_elements(map_of(&args[0]), e.span)),
    }
}
