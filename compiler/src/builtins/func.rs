//! `func`: the traced function.

use super::{Builtin, Call, symbols};
use crate::diag::Diag;
use crate::lower::{Lower, Value};
use crate::probes::kprobe;
use crate::resolve::Kind;
use crate::types::tree::Expr;
use crate::types::{Check, Ty};

/// The traced function's address, printed as its name.
pub(super) static FUNC: Builtin = Builtin::new("func", (0, 0), check).lowered(lower);

fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    match cx.target().kind {
        Kind::Kprobe(_) | Kind::Kretprobe(_) | Kind::Fentry(_) | Kind::Fexit(_) => Ok(Ty::Ksym),
        Kind::Uprobe(_) | Kind::Uretprobe(_) => Ok(Ty::Usym),
        Kind::Begin
        | Kind::End
        | Kind::SelfSignal(_)
        | Kind::Tracepoint { .. }
        | Kind::RawTracepoint(_)
        | Kind::Profile(_)
        | Kind::Interval(_) => {
            Err(cx.not_here(call, "probes on functions: kprobe, kretprobe, uprobe, uretprobe, fentry, fexit"))
        }
    }
}

fn lower(l: &mut Lower<'_>, e: &Expr, _: &[Expr]) -> Value {
    match l.target().kind {
        Kind::Uprobe(_) => {
            // The kernel's helper knows uprobes since 6.6; at the entry the instruction pointer says it.
            let address = kprobe::read_register(l, kprobe::INSTRUCTION).unwrap_or_else(|| l.iconst(0));
            symbols::usym(l, e, address)
        }
        Kind::Uretprobe(_) => {
            let address = crate::probes::traced_function(l);
            symbols::usym(l, e, address)
        }
        _ => Value::Scalar(crate::probes::traced_function(l)),
    }
}
