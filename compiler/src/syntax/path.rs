//! The path of `offsetof`: members and elements.

use super::ast::{Name, Span};

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPart {
    /// `.name`, the first without the dot.
    Member(Name),
    /// `[index]`.
    Element(u64, Span),
}
