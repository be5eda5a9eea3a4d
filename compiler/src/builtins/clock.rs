//! Clocks: `nsecs`, `elapsed`, `jiffies`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::types::{Check, Ty};

/// Nanoseconds of a clock: `boot` unless another is named.
pub(super) static NSECS: Builtin =
    Builtin { words: &["boot", "monotonic", "sw_tai", "tai"], ..Builtin::new("nsecs", (0, 1), check_nsecs) };

/// Nanoseconds since the loader started its probes.
pub(super) static ELAPSED: Builtin = Builtin::new("elapsed", (0, 0), |_, _| Ok(Ty::U64));

/// 64-bit jiffies.
pub(super) static JIFFIES: Builtin = Builtin::new("jiffies", (0, 0), |_, _| Ok(Ty::U64));

fn check_nsecs(_: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    if !call.args.is_empty() {
        call.literal_text(0)
            .map_err(|diag| diag.help("the clocks are `boot`, `monotonic`, `tai` and `sw_tai`"))?;
    }
    Ok(Ty::U64)
}
