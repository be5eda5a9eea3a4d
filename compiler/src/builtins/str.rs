//! `str`: the string at an address.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Value, helper};
use crate::types::tree::Expr;
use crate::types::{Check, Int, Ty, codes};
use cranelift_codegen::ir::{self, InstBuilder as _};

/// The string at an address: `str(p)`, `str(p, length)`. Of a positional parameter, its text.
pub(super) static STR: Builtin = Builtin::new("str", (1, 2), check).lowered(lower);

fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    if cx.text_parameter(&mut call.args[0]) {
        let text = std::mem::replace(&mut call.args[0].kind, crate::types::tree::ExprKind::Unit);
        call.becomes = Some(text);
        return Ok(call.args[0].ty.clone());
    }
    match &call.args[0].ty {
        Ty::Ptr(..) | Ty::Int(Int { size: 8, .. }) | Ty::String(_) => {}
        Ty::Array(of, _) if of.size() == 1 => {}
        Ty::Int(_) if call.args[0].literal().is_some() => call.integer(cx, 0)?,
        _ => return Err(call.wrong(cx, 0, "an address")),
    }
    capacity(cx, call)
}

/// A literal length makes the string one byte longer, for the NUL.
fn capacity(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    let max = cx.max_strlen();
    if call.args.len() < 2 {
        return Ok(match call.args[0].ty {
            // Of flexible arrays the length is not known.
            Ty::String(capacity) if (1..max).contains(&capacity) => Ty::String(capacity),
            _ => Ty::String(max),
        });
    }
    let Some(len) = call.args[1].literal() else {
        call.integer(cx, 1)?;
        return Ok(Ty::String(max));
    };
    if len < 0 {
        let message = format!("the length of `str` is {len}");
        return Err(Diag::error(&codes::BAD_CONSTANT, message, call.args[1].span, "must not be negative"));
    }
    call.integer(cx, 1)?;
    let wanted = u32::try_from(len).unwrap_or(u32::MAX).saturating_add(1);
    if len > i128::from(max) {
        let message = format!("`str` reads at most {max} bytes");
        cx.warn(
            Diag::warning(&codes::USELESS_ARGUMENT, message, call.args[1].span, format!("this is {len}"))
                .help("raise `max_strlen` in the `config` block"),
        );
    }
    Ok(Ty::String(wanted.min(max)))
}

/// A length counts the NUL, so what is read is one byte shorter.
fn lower(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let dst = l.destination(e);
    let (address, helper, there) = source(l, &args[0]);
    let most = u64::from(e.ty.size().min(there));
    let known = match args.get(1) {
        None => Some(most),
        Some(length) => l.literal(length).map(|length| length.min(most)),
    };
    // The helper writes no more than the limit, and nothing at all if that is zero.
    if dst.exact || dst.is_full() && known != Some(u64::from(e.ty.size())) {
        l.zero(dst.mem, e.ty.size());
    } else if known.is_none_or(|limit| limit == 0) {
        l.zero(dst.mem, 1);
    }
    let limit = match (known, args.get(1)) {
        (None, Some(length)) => {
            let (length, most) = (l.lower_scalar(length), l.iconst(most));
            l.b.ins().umin(length, most)
        }
        (known, _) => l.iconst(known.unwrap_or(most)),
    };
    let to = l.addr(dst.mem);
    l.call_helper(helper, &[to, limit, address]);
    Value::Memory(dst.mem)
}

/// Where the string is, the helper that reads it, and the most bytes it can have.
fn source(l: &mut Lower<'_>, from: &Expr) -> (ir::Value, u32, u32) {
    if matches!(from.ty, Ty::Ptr(..) | Ty::Int(_)) {
        return (l.lower_scalar(from), l.read_str_helper(from), u32::MAX);
    }
    match l.address_of_remote(from) {
        Some(address) => {
            let there = if from.ty.size() == 0 { u32::MAX } else { from.ty.size() };
            (address, l.read_str_helper_of_place(from), there)
        }
        None => {
            let mem = l.lower_to_memory(from, false);
            (l.addr(mem), helper::PROBE_READ_KERNEL_STR, from.ty.size())
        }
    }
}
