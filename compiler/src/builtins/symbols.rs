//! Addresses and symbols: `ksym`, `usym`, `kaddr`.

use super::Builtin;
use crate::types::Ty;

/// A kernel address that prints as its symbol.
pub(super) static KSYM: Builtin = Builtin::new("ksym", (1, 1), |cx, call| {
    call.address(cx, 0)?;
    Ok(Ty::Ksym)
});

/// A user address of the current process that prints as its symbol.
pub(super) static USYM: Builtin = Builtin::new("usym", (1, 1), |cx, call| {
    call.address(cx, 0)?;
    Ok(Ty::Usym)
});

/// Address of a kernel symbol, looked up by the loader.
pub(super) static KADDR: Builtin = Builtin::new("kaddr", (1, 1), |_, call| {
    call.literal_text(0)?;
    Ok(Ty::U64)
});
