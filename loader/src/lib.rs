//! Loads, attaches and drains objects that `sondec` built.
//!
//! ```text
//! open ─► plan ─► relocate ─► maps ─► load ─► attach ─► drain ─► output
//! bytes   probes  CO-RE       fds     fds     links     records  text, JSON
//! ```
//!
//! Input    an object file, untrusted
//! Output   what the script prints
//! Ensures  nothing outlives the process: all kernel objects are descriptors, and nothing is pinned
//! Absences no compiler, no C library besides libc; `unsafe` only in `sys` and for libc's local time
//!
//! Exit statuses are in [`error::status`].
#![deny(unsafe_code)]

pub mod attach;
pub mod cli;
pub mod doctor;
pub mod drain;
pub mod environment;
pub mod error;
pub mod features;
pub mod globals;
pub mod inspect;
pub mod kernel;
pub mod kinds;
pub mod load;
pub mod maps;
pub mod object;
pub mod object_types;
pub mod open;
#[allow(unsafe_code, reason = "libc knows the local time")]
pub mod output;
pub mod params;
pub mod place;
pub mod relocate;
pub mod ringbuf;
pub mod run;
#[cfg(test)]
mod sample;
pub mod session;
pub mod symbols;
#[allow(unsafe_code, reason = "the one place that talks to the kernel")]
pub mod sys;
pub mod verifier;
pub mod wait;
