//! Pointers: `kptr`, `uptr` name the memory one points into, `is_err` tells errors from addresses.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Value};
use crate::types::tree::{Expr, ExprKind};
use crate::types::{Check, Space, Ty};
use cranelift_codegen::ir::{InstBuilder as _, condcodes::IntCC};

/// Points into kernel memory.
pub(super) static KPTR: Builtin = Builtin::new("kptr", (1, 1), |cx, call| in_space(cx, call, Space::Kernel));

/// Points into user memory.
pub(super) static UPTR: Builtin = Builtin::new("uptr", (1, 1), |cx, call| in_space(cx, call, Space::User));

/// Whether a pointer is one of the kernel's error codes (`IS_ERR`).
pub(super) static IS_ERR: Builtin = Builtin::new("is_err", (1, 1), |cx, call| {
    call.address(cx, 0)?;
    Ok(Ty::Bool)
})
.lowered(lower_is_err);

/// The same bits; only the type changes. An integer becomes a pointer to `uint64`, which is what `*` reads of integers.
fn in_space(cx: &mut Check<'_>, call: &mut Call, space: Space) -> Result<Ty, Diag> {
    call.address(cx, 0)?;
    let ty = match &call.args[0].ty {
        Ty::Ptr(to, Space::Typed) if space == Space::Kernel => Ty::Ptr(to.clone(), Space::Typed),
        Ty::Ptr(to, _) => Ty::Ptr(to.clone(), space),
        _ => Ty::Ptr(Box::new(Ty::U64), space),
    };
    let arg = call.args.pop().unwrap_or(Expr::new(ExprKind::Unit, Ty::None, call.span));
    call.becomes = Some(if arg.ty == ty { arg.kind } else { ExprKind::Cast(Box::new(arg)) });
    Ok(ty)
}

/// The highest 4095 addresses are error codes.
fn lower_is_err(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    const MAX_ERRNO: i64 = 4095;
    let value = l.lower_scalar(&args[0]);
    let is_err = l.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThanOrEqual, value, -MAX_ERRNO);
    Value::Scalar(l.widen_bool(is_err))
}
