//! `func`: the traced function.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Value};
use crate::resolve::Kind;
use crate::types::tree::Expr;
use crate::types::{Check, Ty};

/// The traced function's address, printed as its name.
pub(super) static FUNC: Builtin = Builtin::new("func", (0, 0), check).lowered(lower);

fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    match cx.target().kind {
        Kind::Kprobe(_) | Kind::Kretprobe(_) | Kind::Fentry(_) | Kind::Fexit(_) => Ok(Ty::Ksym),
        Kind::Begin
        | Kind::End
        | Kind::SelfSignal(_)
        | Kind::Tracepoint { .. }
        | Kind::RawTracepoint(_)
        | Kind::Profile(_)
        | Kind::Interval(_) => {
            Err(cx.not_here(call, "probes on functions: kprobe, kretprobe, fentry, fexit"))
        }
    }
}

fn lower(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    Value::Scalar(crate::probes::traced_function(l))
}
