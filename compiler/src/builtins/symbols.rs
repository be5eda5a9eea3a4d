//! Addresses and symbols: `ksym`, `usym`, `kaddr`.

use super::Builtin;
use crate::lower::{Lower, Pure, Value, helper};
use crate::types::Ty;
use crate::types::tree::Expr;
use cranelift_codegen::ir::{self, InstBuilder as _};
use manifest::GlobalRole;

/// A kernel address that prints as its symbol.
pub(super) static KSYM: Builtin = Builtin::new("ksym", (1, 1), |cx, call| {
    call.address(cx, 0)?;
    Ok(Ty::Ksym)
})
.lowered(lower_ksym);

/// A user address of the current process that prints as its symbol.
pub(super) static USYM: Builtin = Builtin::new("usym", (1, 1), |cx, call| {
    call.address(cx, 0)?;
    Ok(Ty::Usym)
})
.lowered(lower_usym);

/// Address of a kernel symbol, looked up by the loader.
pub(super) static KADDR: Builtin = Builtin::new("kaddr", (1, 1), |_, call| {
    call.literal_text(0)?;
    Ok(Ty::U64)
})
.lowered(lower_kaddr);

fn lower_ksym(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    Value::Scalar(l.lower_scalar(&args[0]))
}

fn lower_usym(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let address = l.lower_scalar(&args[0]);
    usym(l, e, address)
}

/// Address, then pid.
pub(super) fn usym(l: &mut Lower<'_>, e: &Expr, address: ir::Value) -> Value {
    let dst = l.destination(e).mem;
    l.store(dst, 8, address);
    let both = l.pure_helper(Pure::PidTgid, helper::GET_CURRENT_PID_TGID);
    let pid = l.b.ins().ushr_imm_s(both, 32);
    l.store(dst.plus(8), 8, pid);
    Value::Memory(dst)
}

fn lower_kaddr(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    let name = String::from_utf8_lossy(args[0].text().unwrap_or_default()).into_owned();
    Value::Scalar(l.read_global(GlobalRole::KernelSymbol(name)))
}
