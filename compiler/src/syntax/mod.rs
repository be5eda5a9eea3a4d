//! Reads a script into its tree.
//!
//! `items` cuts the text at the root, `lexer` makes the tokens of an item, `classify` tells brackets
//! apart, the grammar builds the tree through `tree`, and `parse` drives it over mistakes.

pub mod ast;
mod attach;
mod classify;
mod cursor;
mod explain;
mod items;
mod lexer;
pub mod number;
mod parse;
pub mod path;
mod print;
mod strings;
mod token;
mod tree;
pub mod visit;

pub(crate) use parse::parse_expr;
pub use parse::{Origin, parse, parse_at};
pub use print::{print_expr, print_script, print_type};
pub(crate) use tree::MAX_DEPTH;

#[cfg(test)]
mod tests;
