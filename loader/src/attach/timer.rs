//! `profile` and `interval`: cpu-clock perf events. The context is `struct bpf_perf_event_data`.

use super::{Kind, Order, Point, attach_event};
use crate::error::Error;
use crate::kernel::cpus;
use crate::kinds;
use crate::sys::SysError;
use crate::sys::perf::{self, Rate, Scope};
use manifest::Period;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A timer on every CPU.
pub const PROFILE: Kind = Kind {
    name: "profile",
    prog_type: kinds::PROG_PERF_EVENT,
    attach_type: 0,
    since: "4.9",
    order: Order::Forward,
};

/// A timer on one CPU.
pub const INTERVAL: Kind = Kind { name: "interval", ..PROFILE };

/// A rate and where to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    rate: Rate,
    scopes: Vec<Scope>,
}

fn rate(period: Period) -> Rate {
    match period {
        Period::Hz(hz) => Rate::Hz(hz),
        Period::Ns(ns) => Rate::Ns(ns),
    }
}

/// Every online CPU, or one process.
pub fn find_all(period: Period, pid: Option<u32>) -> Result<Point, Error> {
    let scopes = match pid {
        Some(pid) => vec![Scope::Pid(pid)],
        None => cpus::online()?.into_iter().map(Scope::Cpu).collect(),
    };
    Ok(Point::Timer(Target { rate: rate(period), scopes }))
}

/// The first online CPU.
pub fn find_one(period: Period) -> Result<Point, Error> {
    let scopes = cpus::online()?.into_iter().take(1).map(Scope::Cpu).collect();
    Ok(Point::Timer(Target { rate: rate(period), scopes }))
}

/// Attaches a program to all of them.
pub fn attach(target: &Target, program: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, SysError> {
    let mut links = Vec::new();
    for &scope in &target.scopes {
        links.extend(attach_event(perf::cpu_clock(target.rate, scope)?, program)?);
    }
    Ok(links)
}
