//! Inference and checking: expanded tree and kernel types in, [`tree::Program`] out.

mod check;
pub mod tree;
mod ty;

pub use check::Check;
pub use ty::{Agg, Int, Space, Ty, layout};
