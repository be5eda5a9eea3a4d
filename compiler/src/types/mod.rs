//! Inference and checking: expanded tree and kernel types in, [`tree::Program`] out.

pub mod tree;
mod ty;

pub use ty::{Agg, Int, Space, Ty, layout};
