//! Compiles bpftrace-language scripts into relocatable BPF objects.

pub mod builtins;
pub mod diag;
pub mod expand;
pub mod fields;
pub mod kernel;
pub mod lower;
pub mod pipeline;
pub mod probes;
pub mod resolve;
pub mod syntax;
pub mod types;
pub mod user;
