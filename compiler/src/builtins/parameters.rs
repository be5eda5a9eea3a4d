//! Values that the loader fills in: named parameters (`getopt`), `cpid`, `has_cpid`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::types::tree::{Expr, ExprKind};
use crate::types::{Check, Ty, codes};
use manifest::{GlobalRole, Parameter, ParameterValue};

/// `getopt(name [, default [, description]])`; without a default it is a flag.
pub(super) static GETOPT: Builtin = Builtin::new("getopt", (1, 3), check);

/// Process id of the `-c` command, 0 without one.
pub(super) static CPID: Builtin = Builtin::new("cpid", (0, 0), |cx, call| {
    call.becomes = Some(ExprKind::Param(cx.parameter(GlobalRole::ChildPid)));
    Ok(Ty::U64)
});

/// Whether there is a `-c` command.
pub(super) static HAS_CPID: Builtin = Builtin::new("has_cpid", (0, 0), |cx, call| {
    let pid = Expr::new(ExprKind::Param(cx.parameter(GlobalRole::ChildPid)), Ty::U64, call.span);
    call.becomes = Some(ExprKind::Cast(Box::new(pid)));
    Ok(Ty::Bool)
});

fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    let name = literal(call, 0)?;
    let description = if call.args.len() > 2 { literal(call, 2)? } else { String::new() };
    let (default, ty) = match call.args.get(1) {
        None => (ParameterValue::Bool(false), Ty::Bool),
        Some(arg) => match (&arg.ty, arg.text(), arg.literal()) {
            (Ty::Bool, _, Some(value)) => (ParameterValue::Bool(value != 0), Ty::Bool),
            (_, Some(text), _) => {
                let size = cx.max_strlen();
                let value = String::from_utf8_lossy(text).into_owned();
                (ParameterValue::Str { value, size }, Ty::String(size))
            }
            (_, _, Some(value)) => integer(value),
            _ => {
                let message = "the default of `getopt` is a literal";
                return Err(Diag::error(&codes::NOT_LITERAL, message, arg.span, "not known at compile time"));
            }
        },
    };
    let role = GlobalRole::Named(Parameter { name, description, default });
    call.becomes = Some(ExprKind::Param(cx.named_parameter(role, call.span)?));
    Ok(ty)
}

/// Signed only if the default is negative.
fn integer(value: i128) -> (ParameterValue, Ty) {
    match u64::try_from(value) {
        Ok(value) => (ParameterValue::Uint(value), Ty::U64),
        Err(_) => (ParameterValue::Int(i64::try_from(value).unwrap_or(i64::MIN)), Ty::I64),
    }
}

fn literal(call: &Call, index: usize) -> Result<String, Diag> {
    Ok(String::from_utf8_lossy(call.literal_text(index)?).into_owned())
}
