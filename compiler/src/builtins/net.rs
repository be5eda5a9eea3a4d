//! Network bytes: `ntop`, `macaddr`, `bswap`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::types::{Check, Int, Ty};

const MAC_BYTES: u32 = 6;

/// An IP address: `ntop(address)`, `ntop(family, address)`.
pub(super) static NTOP: Builtin = Builtin::new("ntop", (1, 2), check_ntop);

/// An Ethernet address.
pub(super) static MACADDR: Builtin = Builtin::new("macaddr", (1, 1), check_macaddr);

/// The bytes of an integer in opposite order.
pub(super) static BSWAP: Builtin = Builtin::new("bswap", (1, 1), check_bswap);

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
