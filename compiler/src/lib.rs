//! Compiles bpftrace-language scripts into relocatable BPF objects.

pub mod diag;
pub mod expand;
pub mod syntax;
