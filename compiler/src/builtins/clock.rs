//! Clocks: `nsecs`, `elapsed`, `jiffies`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Value, helper};
use crate::types::tree::Expr;
use crate::types::{Check, Ty};
use cranelift_codegen::ir::InstBuilder as _;
use manifest::GlobalRole;

/// Nanoseconds of a clock: `boot` unless another is named.
pub(super) static NSECS: Builtin = Builtin {
    words: &["boot", "monotonic", "sw_tai", "tai"],
    ..Builtin::new("nsecs", (0, 1), check_nsecs).lowered(lower_nsecs)
};

/// Nanoseconds since the loader started its probes.
pub(super) static ELAPSED: Builtin =
    Builtin::new("elapsed", (0, 0), |_, _| Ok(Ty::U64)).lowered(lower_elapsed);

/// 64-bit jiffies.
pub(super) static JIFFIES: Builtin =
    Builtin::new("jiffies", (0, 0), |_, _| Ok(Ty::U64)).lowered(lower_jiffies);

fn check_nsecs(_: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    if !call.args.is_empty() {
        call.literal_text(0)
            .map_err(|diag| diag.help("the clocks are `boot`, `monotonic`, `tai` and `sw_tai`"))?;
    }
    Ok(Ty::U64)
}

fn lower_nsecs(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    let clock = args.first().and_then(Expr::text).unwrap_or(b"boot");
    Value::Scalar(match clock {
        b"monotonic" => l.call_helper(helper::KTIME_GET_NS, &[]),
        b"tai" => l.call_helper(helper::KTIME_GET_TAI_NS, &[]),
        b"sw_tai" => {
            let boot = l.call_helper(helper::KTIME_GET_BOOT_NS, &[]);
            let offset = l.read_global(GlobalRole::TaiOffset);
            l.b.ins().iadd(boot, offset)
        }
        _ => l.call_helper(helper::KTIME_GET_BOOT_NS, &[]),
    })
}

fn lower_elapsed(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    let now = l.call_helper(helper::KTIME_GET_BOOT_NS, &[]);
    let start = l.read_global(GlobalRole::StartNs);
    Value::Scalar(l.b.ins().isub(now, start))
}

fn lower_jiffies(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    Value::Scalar(l.call_helper(helper::JIFFIES64, &[]))
}
