//! Network bytes: `ntop`, `macaddr`, `bswap`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Dest, Lower, Value};
use crate::types::tree::Expr;
use crate::types::{Check, Int, Ty};
use cranelift_codegen::ir::{InstBuilder as _, types};

const MAC_BYTES: u32 = 6;

/// An IP address: `ntop(address)`, `ntop(family, address)`.
pub(super) static NTOP: Builtin = Builtin::new("ntop", (1, 2), check_ntop).lowered(lower_ntop);

/// An Ethernet address.
pub(super) static MACADDR: Builtin = Builtin::new("macaddr", (1, 1), check_macaddr).lowered(lower_macaddr);

/// The bytes of an integer in opposite order.
pub(super) static BSWAP: Builtin = Builtin::new("bswap", (1, 1), check_bswap).lowered(lower_bswap);

fn check_ntop(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    let at = call.args.len() - 1;
    if at == 1 {
        call.integer(cx, 0)?;
    }
    match &call.args[at].ty {
        Ty::Int(_) | Ty::Enum(..) => Ok(Ty::Inet),
        Ty::String(4 | 16) => Ok(Ty::Inet),
        ty @ Ty::Array(..) if matches!(ty.size(), 4 | 16) => Ok(Ty::Inet),
        ty @ Ty::Struct(_) if matches!(ty.size(), 4 | 16) => Ok(Ty::Inet),
        _ => Err(call.wrong(cx, at, "an integer, or an array of 4 or 16 bytes")),
    }
}

fn check_macaddr(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    match &call.args[0].ty {
        Ty::String(size) if *size >= MAC_BYTES => Ok(Ty::Mac),
        ty @ Ty::Array(..) if ty.size() >= MAC_BYTES => Ok(Ty::Mac),
        Ty::Ptr(..) => Ok(Ty::Mac),
        _ => Err(call.wrong(cx, 0, "an array of 6 bytes, or a pointer to one")),
    }
}

fn check_bswap(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    match &call.args[0].ty {
        Ty::Int(int) | Ty::Enum(int, _) => Ok(Ty::Int(Int { size: int.size, signed: false })),
        _ => Err(call.wrong(cx, 0, "an integer")),
    }
}

/// Address families.
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const FAMILY_BYTES: u32 = 8;
const V6_BYTES: u32 = 16;

/// Family, then the address in 16 bytes.
fn lower_ntop(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let dst = l.destination(e);
    let address = &args[args.len() - 1];
    let bytes = if address.ty.is_scalar() { 4 } else { address.ty.size() };
    let family = match args {
        [family, _] => l.lower_scalar(family),
        _ => l.iconst(if bytes == V6_BYTES { AF_INET6 } else { AF_INET }),
    };
    l.store(dst.mem, FAMILY_BYTES, family);
    let place = dst.mem.plus(FAMILY_BYTES);
    if address.ty.is_scalar() {
        let value = l.lower_scalar(address);
        l.store(place, 4, value);
    } else {
        l.lower_into(address, Dest { mem: place, exact: dst.exact });
    }
    if bytes < V6_BYTES {
        l.zero(place.plus(bytes), V6_BYTES - bytes);
    }
    Value::Memory(dst.mem)
}

fn lower_macaddr(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let dst = l.destination(e).mem;
    let address = match &args[0].ty {
        Ty::Ptr(..) => Some((l.lower_scalar(&args[0]), l.read_helper(&args[0]))),
        _ => l.address_of_remote(&args[0]).map(|address| (address, l.read_helper_of_place(&args[0]))),
    };
    match address {
        Some((address, helper)) => drop(l.probe_read(helper, dst, MAC_BYTES, address)),
        None => {
            let mem = l.lower_to_memory(&args[0], false);
            l.copy(dst, mem, MAC_BYTES);
        }
    }
    Value::Memory(dst)
}

fn lower_bswap(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let value = l.lower_scalar(&args[0]);
    let narrow = match e.ty.size() {
        2 => types::I16,
        4 => types::I32,
        8 => return Value::Scalar(l.b.ins().bswap(value)),
        _ => return Value::Scalar(value),
    };
    let value = l.b.ins().ireduce(narrow, value);
    let value = l.b.ins().bswap(value);
    Value::Scalar(l.b.ins().uextend(types::I64, value))
}
