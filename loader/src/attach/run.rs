//! `begin`, `end`, `self`: raw tracepoint programs that the loader runs with `BPF_PROG_TEST_RUN`.

use super::{Kind, Order};
use crate::kinds;
use crate::sys::{SysError, bpf};
use std::os::fd::BorrowedFd;

/// Programs run by hand. The context is twelve zero words, the most a raw tracepoint has.
pub const KIND: Kind = Kind {
    name: "special",
    prog_type: kinds::PROG_RAW_TRACEPOINT,
    attach_type: 0,
    since: "5.10",
    order: Order::ByHand,
};

/// Runs a program once, in this process.
pub fn run(program: BorrowedFd<'_>) -> Result<(), SysError> {
    bpf::prog_run(program, &[0; 12]).map(drop)
}
