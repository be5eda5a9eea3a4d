//! Formatted output: `printf`, `errorf`, `warnf`.

use super::{Builtin, Call, format};
use crate::diag::Diag;
use crate::lower::{Format, Lower, Value};
use crate::types::tree::Expr;
use crate::types::{Check, Ty};

/// The format and its arguments: as many as a record can name.
pub(super) const FORMAT_ARITY: (usize, usize) = (1, 128);

/// Prints to standard output.
pub(super) static PRINTF: Builtin = Builtin::new("printf", FORMAT_ARITY, check).lowered(lower_printf);

/// Prints to standard error, as an error with its place.
pub(super) static ERRORF: Builtin = Builtin::new("errorf", FORMAT_ARITY, check).lowered(lower_errorf);

/// Prints to standard error, as a warning with its place.
pub(super) static WARNF: Builtin = Builtin::new("warnf", FORMAT_ARITY, check).lowered(lower_warnf);

fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    format::check(cx, call)?;
    Ok(Ty::None)
}

fn lower_printf(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    l.send_format(Format::Printf, e, args);
    Value::None
}

fn lower_errorf(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    l.send_format(Format::Errorf, e, args);
    Value::None
}

fn lower_warnf(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    l.send_format(Format::Warnf, e, args);
    Value::None
}
