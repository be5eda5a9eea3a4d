//! Strings compared and searched: `strncmp`, `strlen`, `strstr`, `strcontains`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Value};
use crate::types::tree::Expr;
use crate::types::{Check, Ty};
use cranelift_codegen::ir::{InstBuilder as _, condcodes::IntCC};

/// 0 if the first bytes of two strings are equal, else 1. It does not order them.
pub(super) static STRNCMP: Builtin = Builtin::new("strncmp", (3, 3), |cx, call| {
    string(cx, call, 0)?;
    string(cx, call, 1)?;
    call.literal(2, 0..=i128::from(u32::MAX))?;
    call.integer(cx, 2)?;
    Ok(Ty::U64)
})
.lowered(lower_strncmp);

/// Bytes up to the NUL.
pub(super) static STRLEN: Builtin = Builtin::new("strlen", (1, 1), |cx, call| {
    string(cx, call, 0)?;
    Ok(Ty::U64)
})
.lowered(lower_strlen);

/// Where the second string starts in the first, or -1.
pub(super) static STRSTR: Builtin = Builtin::new("strstr", (2, 2), |cx, call| {
    string(cx, call, 0)?;
    string(cx, call, 1)?;
    Ok(Ty::I64)
});

/// Whether the first string holds the second.
pub(super) static STRCONTAINS: Builtin = Builtin::new("strcontains", (2, 2), |cx, call| {
    string(cx, call, 0)?;
    string(cx, call, 1)?;
    Ok(Ty::Bool)
});

fn string(cx: &mut Check<'_>, call: &mut Call, index: usize) -> Result<(), Diag> {
    cx.text_parameter(&mut call.args[index]);
    match &call.args[index].ty {
        Ty::String(_) => Ok(()),
        Ty::Array(of, _) if of.size() == 1 => Ok(()),
        Ty::Ptr(of, _) if of.size() == 1 => {
            Err(call.wrong(cx, index, "a string").help("read it first: `str(pointer)`"))
        }
        _ => Err(call.wrong(cx, index, "a string")),
    }
}

fn lower_strncmp(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    let most = l.literal(&args[2]).map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX));
    let equal = l.lower_equal_within(&args[0], &args[1], most);
    let differs = l.b.ins().icmp_imm_s(IntCC::Equal, equal, 0);
    Value::Scalar(l.widen_bool(differs))
}

fn lower_strlen(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    Value::Scalar(l.string_length(&args[0]))
}
