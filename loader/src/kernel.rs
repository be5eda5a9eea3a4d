//! What the running kernel tells about itself, read when first asked for.
//!
//! | file | holds |
//! | --- | --- |
//! | `types.rs` | BTF of vmlinux and modules |
//! | `modules.rs` | which modules are loaded |
//! | `functions.rs` | traceable functions, kallsyms |
//! | `tracefs.rs` | where tracefs is, event ids |
//! | `cpus.rs` | online and possible CPUs |

pub mod cpus;
pub mod functions;
pub mod modules;
pub mod tracefs;
pub mod types;
