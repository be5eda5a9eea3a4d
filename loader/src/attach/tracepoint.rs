//! `tracepoint`: events of tracefs. The context is `struct trace_event_raw_*`.

use super::{Kind, Order, Point, attach_event};
use crate::error::Error;
use crate::kernel::tracefs;
use crate::kinds;
use crate::sys::{SysError, perf};
use std::os::fd::{BorrowedFd, OwnedFd};

/// A tracepoint.
pub const KIND: Kind = Kind {
    name: "tracepoint",
    prog_type: kinds::PROG_TRACEPOINT,
    attach_type: 0,
    since: "4.7",
    order: Order::Forward,
};

/// The event's number, if it exists. Without tracefs nobody knows whether it does.
pub fn find(category: &str, event: &str) -> Result<Option<(&'static Kind, Point)>, Error> {
    if tracefs::root().is_none() {
        return Err(Error::NoTracefs(format!("tracepoint:{category}:{event}")));
    }
    Ok(tracefs::event_id(category, event).map(|id| (&KIND, Point::Tracepoint(id))))
}

/// Attaches a program.
pub fn attach(id: u64, program: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, SysError> {
    attach_event(perf::tracepoint(id)?, program)
}
