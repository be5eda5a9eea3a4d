//! `tracepoint`: events of tracefs. The context is `struct trace_event_raw_*`.

use super::{Kind, Order, Point, attach_event};
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

/// The event's number, if it exists.
pub fn find(category: &str, event: &str) -> Option<(&'static Kind, Point)> {
    Some((&KIND, Point::Tracepoint(tracefs::event_id(category, event)?)))
}

/// Attaches a program.
pub fn attach(id: u64, program: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, SysError> {
    attach_event(perf::tracepoint(id)?, program)
}
