//! What the loader does on behalf of a probe: `cat`, `system`, `join`.

use super::printf::FORMAT_ARITY;
use super::{Builtin, Call, format};
use crate::diag::Diag;
use crate::lower::{Format, Lower, Value};
use crate::types::tree::Expr;
use crate::types::{Check, Int, Ty};
use cranelift_codegen::ir::InstBuilder as _;
use manifest::Event;

/// Prints a file whose path is formatted.
pub(super) static CAT: Builtin = Builtin::new("cat", FORMAT_ARITY, check_format).lowered(lower_cat);

/// Runs a command that is formatted.
pub(super) static SYSTEM: Builtin = Builtin {
    changes_system: true,
    ..Builtin::new("system", FORMAT_ARITY, check_format).lowered(lower_system)
};

/// Prints an array of string pointers: `join(argv [, separator])`.
pub(super) static JOIN: Builtin = Builtin::new("join", (1, 2), check_join).lowered(lower_join);

fn check_format(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    format::check(cx, call)?;
    Ok(Ty::None)
}

fn check_join(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    match &call.args[0].ty {
        Ty::Ptr(..) | Ty::Int(Int { size: 8, .. }) => {}
        _ => return Err(call.wrong(cx, 0, "the address of an array of string pointers")),
    }
    if call.args.len() > 1 {
        call.literal_text(1)?;
    }
    Ok(Ty::None)
}

fn lower_cat(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    l.send_format(Format::Cat, e, args);
    Value::None
}

fn lower_system(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    l.send_format(Format::System, e, args);
    Value::None
}

/// Strings `join` reads at the most, and bytes of each.
const JOIN_STRINGS_MAX: i64 = 16;
const JOIN_STRING_BYTES: u32 = 1024;
/// Record: number of the event, number of strings, strings.
const JOIN_OFFSET: u32 = 8;

/// A loop whose end the verifier sees: it runs at most [`JOIN_STRINGS_MAX`] times.
fn lower_join(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    let separator = args.get(1).and_then(Expr::text).unwrap_or(b" ");
    let separator = String::from_utf8_lossy(separator).into_owned();
    let event = Event::Join { separator, offset: JOIN_OFFSET, stride: JOIN_STRING_BYTES };
    let event = l.event(event);
    let (read, read_str) = (l.read_helper(&args[0]), l.read_str_helper(&args[0]));
    let argv = l.lower_scalar(&args[0]);
    let bytes = JOIN_OFFSET + 8 + JOIN_STRINGS_MAX as u32 * JOIN_STRING_BYTES;
    l.send(bytes, event, |l, record| {
        let pointer = l.temp(8);
        let count = l.count_up(JOIN_STRINGS_MAX, |l, index, stop| {
            let offset = l.b.ins().ishl_imm_s(index, 3);
            let from = l.b.ins().iadd(argv, offset);
            l.probe_read(read, pointer, 8, from);
            let string = l.load_u64(pointer);
            l.stop_unless(string, stop);
            let offset = l.b.ins().ishl_imm_s(index, i64::from(JOIN_STRING_BYTES.trailing_zeros()));
            let first = l.addr(record.plus(JOIN_OFFSET + 8));
            let to = l.b.ins().iadd(first, offset);
            let size = l.iconst(JOIN_STRING_BYTES.into());
            l.call_helper(read_str, &[to, size, string]);
        });
        l.store(record.plus(JOIN_OFFSET), 8, count);
    });
    Value::None
}
