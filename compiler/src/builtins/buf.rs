//! `buf`: bytes at an address.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Value, helper};
use crate::types::tree::Expr;
use crate::types::{Check, Ty, codes};
use cranelift_codegen::ir::InstBuilder as _;

/// Bytes at an address, NULs included: `buf(p, length)`, `buf(array)`.
pub(super) static BUF: Builtin = Builtin::new("buf", (1, 2), check).lowered(lower);

/// The length header takes four of `max_strlen`'s bytes.
const HEADER_BYTES: u32 = 4;

fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    let max = cx.max_strlen().saturating_sub(HEADER_BYTES);
    let whole = match &call.args[0].ty {
        Ty::String(capacity) => Some(*capacity),
        ty @ Ty::Array(of, _) if of.size() == 1 => Some(ty.size()),
        Ty::Ptr(..) => None,
        Ty::Int(_) => {
            call.integer(cx, 0)?;
            None
        }
        _ => return Err(call.wrong(cx, 0, "an address or an array of bytes")),
    };
    if call.args.len() < 2 {
        let size = whole.ok_or_else(|| {
            Diag::error(&codes::ARGUMENT_COUNT, "`buf` of an address needs a length", call.span, "")
                .help("`buf(address, length)`")
        })?;
        return Ok(Ty::Buffer(size.min(max)));
    }
    let Some(len) = call.args[1].literal() else {
        call.integer(cx, 1)?;
        return Ok(Ty::Buffer(whole.map_or(max, |size| size.min(max))));
    };
    if len < 0 {
        let message = format!("the length of `buf` is {len}");
        return Err(Diag::error(&codes::BAD_CONSTANT, message, call.args[1].span, "must not be negative"));
    }
    call.integer(cx, 1)?;
    if len > i128::from(max) {
        let message = format!("`buf` reads at most {max} bytes");
        cx.warn(
            Diag::warning(&codes::USELESS_ARGUMENT, message, call.args[1].span, format!("this is {len}"))
                .help("raise `max_strlen` in the `config` block"),
        );
    }
    Ok(Ty::Buffer(u32::try_from(len).unwrap_or(max).min(max)))
}

/// The length, then as many bytes. What follows them is left as it was, unless it counts.
fn lower(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let dst = l.destination(e);
    let capacity = e.ty.size() - HEADER_BYTES;
    let length = match args.get(1) {
        Some(length) if l.literal(length).is_none() => {
            let (length, most) = (l.lower_scalar(length), l.iconst(capacity.into()));
            l.b.ins().umin(length, most)
        }
        _ => l.iconst(capacity.into()),
    };
    if dst.is_full() {
        l.zero(dst.mem, e.ty.size());
    }
    l.store(dst.mem, HEADER_BYTES, length);
    let (address, helper) = match &args[0].ty {
        Ty::Ptr(..) | Ty::Int(_) => (l.lower_scalar(&args[0]), l.read_helper(&args[0])),
        _ => match l.address_of_remote(&args[0]) {
            Some(address) => (address, l.read_helper_of_place(&args[0])),
            None => {
                let mem = l.lower_to_memory(&args[0], false);
                (l.addr(mem), helper::PROBE_READ_KERNEL)
            }
        },
    };
    let bytes = l.addr(dst.mem.plus(HEADER_BYTES));
    l.call_helper(helper, &[bytes, length, address]);
    Value::Memory(dst.mem)
}
