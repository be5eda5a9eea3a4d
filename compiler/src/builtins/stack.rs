//! Stacks: `kstack`, `ustack`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::types::{Check, Ty, codes};
use manifest::StackMode;

/// Frames taken unless the script says otherwise: the kernel's `PERF_MAX_STACK_DEPTH`.
const LIMIT_DEFAULT: u32 = 127;
const LIMIT_MAX: i128 = 1024;
const MODES: &[&str] = &["bpftrace", "perf", "raw", "build_id"];

/// Kernel stack.
pub(super) static KSTACK: Builtin = Builtin {
    words: MODES,
    ..Builtin::new("kstack", (0, 2), |cx, call| check(cx, call).map(|(mode, limit)| Ty::Kstack(mode, limit)))
        .lowered(lower_kstack)
};

/// User stack.
pub(super) static USTACK: Builtin = Builtin {
    words: MODES,
    ..Builtin::new("ustack", (0, 2), |cx, call| check(cx, call).map(|(mode, limit)| Ty::Ustack(mode, limit)))
        .lowered(lower_ustack)
};
use crate::lower::{Lower, Mem, Pure, Value, helper};
use crate::types::tree::Expr;
use cranelift_codegen::ir::InstBuilder as _;

/// `(mode)`, `(limit)` or `(mode, limit)`.
fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<(StackMode, u32), Diag> {
    let named = call.args.first().is_some_and(|arg| arg.text().is_some());
    let mode = if named { mode(call)? } else { cx.stack_mode() };
    if call.args.len() == 2 && !named {
        let message = format!("the first of two arguments of `{}` is a mode", call.name);
        return Err(Diag::error(&codes::ARGUMENT_KIND, message, call.args[0].span, "not a mode")
            .help("the modes are `bpftrace`, `perf` and `raw`"));
    }
    let limit = match call.args.get(usize::from(named)) {
        Some(_) => call.literal(usize::from(named), 1..=LIMIT_MAX)?,
        None => i128::from(LIMIT_DEFAULT),
    };
    Ok((mode, u32::try_from(limit).expect("at most LIMIT_MAX")))
}

fn mode(call: &Call) -> Result<StackMode, Diag> {
    match call.literal_text(0)? {
        b"bpftrace" => Ok(StackMode::Bpftrace),
        b"perf" => Ok(StackMode::Perf),
        b"raw" => Ok(StackMode::Raw),
        b"build_id" => Err(Diag::unsupported("stack mode `build_id` is", call.args[0].span)),
        other => {
            let message = format!("there is no stack mode `{}`", String::from_utf8_lossy(other));
            Err(Diag::error(&codes::ARGUMENT_KIND, message, call.args[0].span, "")
                .help("the modes are `bpftrace`, `perf` and `raw`"))
        }
    }
}

/// `BPF_F_USER_STACK`.
const USER_STACK: u64 = 1 << 8;

/// Number of frames, then frames.
fn lower_kstack(l: &mut Lower<'_>, e: &Expr, _: &[Expr]) -> Value {
    let dst = l.destination(e).mem;
    lower_frames(l, e, dst, e.ty.size() - 8, 0);
    Value::Memory(dst)
}

/// Pid, number of frames, then frames.
fn lower_ustack(l: &mut Lower<'_>, e: &Expr, _: &[Expr]) -> Value {
    let dst = l.destination(e).mem;
    let both = l.pure_helper(Pure::PidTgid, helper::GET_CURRENT_PID_TGID);
    let pid = l.b.ins().ushr_imm_s(both, 32);
    l.store(dst, 8, pid);
    lower_frames(l, e, dst.plus(8), e.ty.size() - 16, USER_STACK);
    Value::Memory(dst)
}

/// The helper clears what it does not fill, so stacks are fit for keys as they are; it returns the
/// bytes written, or a negative error.
fn lower_frames(l: &mut Lower<'_>, e: &Expr, dst: Mem, bytes: u32, flags: u64) {
    if !l.has_context() {
        l.unsupported("a stack in the body of a loop is", e.span);
        return;
    }
    let (ctx, frames) = (l.context(), l.addr(dst.plus(8)));
    let (size, flags, zero) = (l.iconst(bytes.into()), l.iconst(flags), l.iconst(0));
    let written = l.call_helper(helper::GET_STACK, &[ctx, frames, size, flags]);
    let written = l.b.ins().smax(written, zero);
    let count = l.b.ins().ushr_imm_s(written, 3);
    l.store(dst, 8, count);
}
