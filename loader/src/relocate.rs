//! Makes a program that the kernel can load out of an object's sections.
//!
//! ```text
//! Linker ─► prototype::adapt ─► Linked ─► core::apply ─► Linked ─► bind ─► instructions
//! subprograms  arguments                  target types            descriptors, kernel symbols
//! ```
//!
//! Input    an [`Object`](crate::object::Object), then the kernel's types, then descriptors of maps
//! Output   instructions, function and line records that agree with them
//! Breaks   nothing: the object is only read
//!
//! | file | holds |
//! | --- | --- |
//! | `relocate/link.rs` | subprograms behind the program, calls between them |
//! | `relocate/core.rs` | CO-RE relocations |
//! | `relocate/explain.rs` | why there is no answer |
//! | `relocate/prototype.rs` | arguments and results of functions with BTF |
//! | `relocate/externs.rs` | kernel symbols |
//! | `relocate/bind.rs` | descriptors into instructions |
//! | `relocate/filter.rs` | `-p`, in front of a program |

pub mod bind;
pub mod core;
mod explain;
pub mod externs;
pub mod filter;
pub mod link;
pub mod prototype;

pub use bind::bind;
pub use externs::{KernelSymbol, resolve_externs};
pub use link::{Linked, link_program};
