//! profile and interval: `cpu-clock` perf events.

use manifest::{AttachPoint, Period};

use super::Record;

pub(super) fn profile(period: Period) -> Record {
    Record { section: "perf_event".into(), at: AttachPoint::Profile(period) }
}

pub(super) fn interval(period: Period) -> Record {
    Record { section: "perf_event".into(), at: AttachPoint::Interval(period) }
}
