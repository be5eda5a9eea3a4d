//! Tracepoints of tracefs: the context is the event's record, `struct trace_event_raw_*`. Members are
//! read at relocated offsets, since layouts differ between kernels.

use manifest::AttachPoint;

use super::Record;

pub(super) fn record(category: &str, event: &str) -> Record {
    let at = AttachPoint::Tracepoint { category: category.to_owned(), event: event.to_owned() };
    Record { section: format!("tracepoint/{category}/{event}"), at }
}
