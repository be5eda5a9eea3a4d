//! Reads a script into its tree.

pub mod ast;
