//! `print`: a value, or a whole map.

use super::{Builtin, ByRef, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Value};
use crate::types::tree::Expr;
use crate::types::tree::ExprKind;
use crate::types::{Agg, Check, Ty, codes};
use manifest::Event;

/// `print(value)`, `print(@map [, top [, divisor]])`.
pub(super) static PRINT: Builtin =
    Builtin { by_ref: ByRef::Map, ..Builtin::new("print", (1, 3), check).lowered(lower) };

fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    let ExprKind::MapRef(map) = call.args[0].kind else {
        return check_value(cx, call);
    };
    for index in 1..call.args.len() {
        call.literal(index, 0..=i128::from(u64::MAX))?;
        call.integer(cx, index)?;
    }
    if call.args.len() > 1 && matches!(cx.map_value(map), Some(Ty::Agg(Agg::Stats { .. }))) {
        let span = call.args[1].span;
        let message = "`top` and `div` have no effect on maps of `stats`";
        cx.warn(Diag::warning(&codes::USELESS_ARGUMENT, message, span, ""));
    }
    Ok(Ty::None)
}

fn check_value(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    if call.args.len() > 1 {
        let message = "`print` of a value takes one argument";
        return Err(Diag::error(&codes::ARGUMENT_COUNT, message, call.args[1].span, "only maps take more"));
    }
    match &call.args[0].ty {
        Ty::None | Ty::Void => Err(call.wrong(cx, 0, "a value")),
        _ => Ok(Ty::None),
    }
}

fn lower(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    let number = |index| args.get(index).and_then(Expr::literal).map_or(0, |value| value as u64);
    match args[0].kind {
        ExprKind::MapRef(map) => l.send_bare(Event::PrintMap { map: map.0, top: number(1), div: number(2) }),
        _ => l.send_values(&args[..1], |mut fields| Event::Value(fields.remove(0))),
    }
    Value::None
}
