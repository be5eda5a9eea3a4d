//! Aggregations, which stand directly on the right of `@map =`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::types::{Agg, Check, Int, Ty, codes};

/// Counts.
pub(super) static COUNT: Builtin = Builtin::new("count", (0, 0), |_, _| Ok(Ty::Agg(Agg::Count)));

/// Adds up.
pub(super) static SUM: Builtin =
    Builtin::new("sum", (1, 1), |cx, call| number(cx, call).map(|signed| Ty::Agg(Agg::Sum { signed })));

/// Keeps the smallest.
pub(super) static MIN: Builtin =
    Builtin::new("min", (1, 1), |cx, call| number(cx, call).map(|signed| Ty::Agg(Agg::Min { signed })));

/// Keeps the largest.
pub(super) static MAX: Builtin =
    Builtin::new("max", (1, 1), |cx, call| number(cx, call).map(|signed| Ty::Agg(Agg::Max { signed })));

/// Averages.
pub(super) static AVG: Builtin =
    Builtin::new("avg", (1, 1), |cx, call| number(cx, call).map(|signed| Ty::Agg(Agg::Avg { signed })));

/// Counts, adds up and averages.
pub(super) static STATS: Builtin =
    Builtin::new("stats", (1, 1), |cx, call| number(cx, call).map(|signed| Ty::Agg(Agg::Stats { signed })));

/// Histogram by powers of two, each split in `2^bits` rows: `hist(n [, bits])`.
pub(super) static HIST: Builtin = Builtin::new("hist", (1, 2), check_hist);

/// Histogram with equal rows: `lhist(n, min, max, step)`.
pub(super) static LHIST: Builtin = Builtin::new("lhist", (4, 4), check_lhist);

const HIST_BITS_MAX: i128 = 5;
const LHIST_BUCKETS_MAX: i128 = 1000;

/// The number to aggregate, 64 bits wide, and whether it is signed.
fn number(cx: &mut Check<'_>, call: &mut Call) -> Result<bool, Diag> {
    call.integer(cx, 0)?;
    // A literal takes the sign of the other values; alone it counts as signed.
    Ok(matches!(call.args[0].ty, Ty::Int(Int { signed: true, .. })))
}

fn check_hist(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    number(cx, call)?;
    let bits = match call.args.get(1) {
        Some(_) => call.literal(1, 0..=HIST_BITS_MAX)?,
        None => 0,
    };
    call.args.truncate(1);
    Ok(Ty::Agg(Agg::Hist { bits: u8::try_from(bits).expect("at most HIST_BITS_MAX") }))
}

fn check_lhist(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    const I64: std::ops::RangeInclusive<i128> = i64::MIN as i128..=i64::MAX as i128;
    number(cx, call)?;
    let (min, max) = (call.literal(1, I64)?, call.literal(2, I64)?);
    let step = call.literal(3, 1..=i128::from(i64::MAX))?;
    let bad = |index: usize, message: String| {
        Err(Diag::error(&codes::BAD_CONSTANT, message, call.args[index].span, ""))
    };
    if max < min {
        return bad(2, format!("`lhist` has its maximum {max} below its minimum {min}"));
    }
    if max - min < step {
        return bad(3, format!("the step {step} of `lhist` is larger than its range {min}..{max}"));
    }
    let buckets = (max - min) / step;
    if buckets > LHIST_BUCKETS_MAX {
        let message = format!("`lhist` has {buckets} buckets, at most {LHIST_BUCKETS_MAX} are possible");
        return bad(3, message);
    }
    call.args.truncate(1);
    let narrow = |value: i128| i64::try_from(value).expect("in the range asked for");
    Ok(Ty::Agg(Agg::Lhist { min: narrow(min), max: narrow(max), step: narrow(step).unsigned_abs() }))
}
