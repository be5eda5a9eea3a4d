//! Numbers as names: `strerror`, `signal_name`, `syscall_name`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Mem, Region, Value};
use crate::types::tree::Expr;
use crate::types::{Check, Ty};
use cranelift_codegen::ir::{self, InstBuilder as _};

/// Text of an error number; the sign does not matter.
pub(super) static STRERROR: Builtin = Builtin::new("strerror", (1, 1), check).lowered(lower_strerror);

/// Name of a signal.
pub(super) static SIGNAL_NAME: Builtin =
    Builtin::new("signal_name", (1, 1), check).lowered(lower_signal_name);

/// Name of a system call.
pub(super) static SYSCALL_NAME: Builtin =
    Builtin::new("syscall_name", (1, 1), check).lowered(lower_syscall_name);

/// Capacity of all these names.
const NAME_BYTES: u32 = 64;

fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    call.integer(cx, 0)?;
    Ok(Ty::String(NAME_BYTES))
}

fn lower_strerror(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let number = l.lower_scalar(&args[0]);
    let number = l.b.ins().iabs(number);
    copy_name(l, e, number, stdlib::errors(), "Unknown error")
}

fn lower_signal_name(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let number = l.lower_scalar(&args[0]);
    copy_name(l, e, number, stdlib::signals(), "N/A")
}

fn lower_syscall_name(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let number = l.lower_scalar(&args[0]);
    copy_name(l, e, number, stdlib::syscall_numbers(), "unknown system call")
}

/// Copies a name out of a read-only table, whose last entry stands for all other numbers.
fn copy_name(
    l: &mut Lower<'_>,
    e: &Expr,
    number: ir::Value,
    names: impl Iterator<Item = (u64, &'static str)>,
    unknown: &str,
) -> Value {
    let mut table: Vec<&str> = Vec::new();
    for (number, name) in names {
        let number = number as usize;
        if table.len() <= number {
            table.resize(number + 1, unknown);
        }
        table[number] = name;
    }
    table.push(unknown);
    let mut bytes = Vec::new();
    for name in &table {
        let mut entry = name.as_bytes().to_vec();
        entry.truncate(NAME_BYTES as usize - 1);
        entry.resize(NAME_BYTES as usize, 0);
        bytes.extend(entry);
    }
    let dst = l.destination(e);
    let last = l.iconst(table.len() as u64 - 1);
    let index = l.b.ins().umin(number, last);
    let offset = l.b.ins().ishl_imm_s(index, i64::from(NAME_BYTES.trailing_zeros()));
    let table = l.rodata(bytes);
    let name = l.b.ins().iadd(table, offset);
    l.copy(dst.mem, Mem::at(name, Region::Rodata), NAME_BYTES);
    Value::Memory(dst.mem)
}
