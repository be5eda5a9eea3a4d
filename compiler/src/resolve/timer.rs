//! Timed probes: `profile:hz:99`, `interval:s:1`, `interval:10ms`.

use super::{Kind, Parts, Resolver, Target, Targets, codes};
use crate::diag::Diag;
use crate::syntax::number::{Place, parse_integer};
use manifest::Period;

const NS_MIN: u64 = 1000;

pub(super) fn profile(parts: &Parts<'_>, _: &Resolver<'_>) -> Targets {
    timer(parts, Kind::Profile)
}

pub(super) fn interval(parts: &Parts<'_>, _: &Resolver<'_>) -> Targets {
    timer(parts, Kind::Interval)
}

fn timer(parts: &Parts<'_>, kind: fn(Period) -> Kind) -> Targets {
    let provider = parts.provider;
    let (period, name) = match parts.rest()[..] {
        // A bare number counts nanoseconds; the name counts microseconds, as bpftrace's does.
        [ns] => {
            let ns = number(parts, ns)?;
            (Period::Ns(ns), format!("{provider}:us:{}", ns / 1000))
        }
        [unit, count] => {
            let count = number(parts, count)?;
            (period(parts, unit, count)?, format!("{provider}:{unit}:{count}"))
        }
        _ => return Err(parts.bad(&format!("`{provider}:10ms` or `{provider}:hz:99`")).into()),
    };
    match period {
        Period::Ns(ns) if ns < NS_MIN => {
            let message = format!("the interval of {ns} ns is too short");
            Err(Diag::error(&codes::BAD_PERIOD, message, parts.span, "at least 1000 ns, or `1us`").into())
        }
        Period::Hz(0) => Err(bad(parts, "a rate of 0 never fires").into()),
        Period::Ns(_) | Period::Hz(_) => Ok(vec![Target::new(kind(period), name)]),
    }
}

fn period(parts: &Parts<'_>, unit: &str, count: u64) -> Result<Period, Diag> {
    let ns = match unit {
        "hz" => return Ok(Period::Hz(count)),
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" => 1000,
        _ => {
            return Err(
                bad(parts, &format!("there is no unit `{unit}`")).help("the units are hz, s, ms and us")
            );
        }
    };
    count.checked_mul(ns).map(Period::Ns).ok_or_else(|| bad(parts, "the interval does not fit in 64 bits"))
}

fn number(parts: &Parts<'_>, text: &str) -> Result<u64, Diag> {
    let parsed = parse_integer(text, Place::Text);
    parsed.map(|literal| literal.value).map_err(|why| bad(parts, &format!("the number `{text}` {why}")))
}

fn bad(parts: &Parts<'_>, message: &str) -> Diag {
    Diag::error(&codes::BAD_PERIOD, message, parts.span, "")
}
