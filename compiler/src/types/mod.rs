//! Inference and checking: expanded tree and kernel types in, [`tree::Program`] out.
//!
//! Input    the expanded script, one [`Target`](crate::resolve::Target) per program, the field analyser
//! Output   [`tree::Program`], or the errors why there is none
//! Requires attach points are resolved, macros and constants expanded
//! Ensures  what the head of `tree.rs` says
//! Breaks   nothing: the syntax tree is only read
//!
//! Types of maps and variables are inferred over the whole program by passes over all bodies until
//! nothing changes; types only grow, so this ends. Only the last pass's tree and diagnostics count.
//!
//! | file | holds |
//! | --- | --- |
//! | `ty.rs`, `tree.rs` | the types; the typed tree |
//! | `infer.rs` | the passes |
//! | `check.rs` | the checker's state; what builtins may ask of it |
//! | `maps.rs`, `vars.rs` | what is known of maps and variables |
//! | `promote.rs` | one type for two values |
//! | `stmt.rs`, `expr.rs`, `operator.rs`, `access.rs`, `call.rs`, `cast.rs`, `control.rs` | rules |
//! | `spec.rs` | spelled types |
//! | `print.rs` | `--emit=typed` |

mod access;
mod call;
mod cast;
mod check;
pub mod codes;
mod control;
mod expr;
mod infer;
mod maps;
mod nearest;
mod operator;
mod print;
mod promote;
mod spec;
mod stmt;
pub mod tree;
mod ty;
mod vars;

pub use check::{Check, Checked, Reported};
pub use infer::{Resolved, Settings, check, resolve};
pub use nearest::nearest;
pub use print::print;
pub use ty::{Agg, Int, Space, Ty, layout};

#[cfg(test)]
mod tests;
