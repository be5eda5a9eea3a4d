//! Diagnostics about the script: what they hold, how they are shown, and what each code means.
//!
//! A pass returns `Vec<Diag>` and goes on. Each family of codes has a file of `Code` records here
//! or in the folder of the pass that raises them.

mod config;
mod macros;
mod preamble;
mod render;
mod sources;
mod syntax;
mod unsupported;

use crate::syntax::ast::Span;

pub use render::{Colour, render};
pub use sources::Sources;

/// The codes of each family.
pub mod codes {
    pub use super::config::*;
    pub use super::macros::*;
    pub use super::preamble::*;
    pub use super::syntax::*;
    pub use super::unsupported::*;
}

/// What a diagnostic code means. `E00xx` syntax and expansion, `E01xx` names and attach points,
/// `E02xx` types, `E09xx` not supported yet, `W….` warnings.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `E0001`.
    pub id: &'static str,
    /// What is wrong, in one line.
    pub what: &'static str,
    /// Why the language asks for it.
    pub why: &'static str,
    /// A script that raises it.
    pub example: &'static str,
    /// How to put it right.
    pub remedy: &'static str,
}

/// Error or warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// No object is written.
    Error,
    /// The object is written all the same.
    Warning,
}

/// A span and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// May be empty.
    pub text: String,
}

/// A remark below the source excerpt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A fact.
    Note(String),
    /// The next step, copyable.
    Help(String),
}

/// One diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diag {
    /// The record of its code.
    pub code: &'static Code,
    /// Error or warning.
    pub severity: Severity,
    /// Lower case, names the thing, no full stop.
    pub message: String,
    /// What is wrong here.
    pub primary: Label,
    /// The places it disagrees with.
    pub secondary: Vec<Label>,
    /// Notes and help in order.
    pub notes: Vec<Note>,
}

impl Diag {
    /// An error; `label` says what is wrong at `span` and may be empty.
    pub fn error(
        code: &'static Code,
        message: impl Into<String>,
        span: Span,
        label: impl Into<String>,
    ) -> Diag {
        Diag {
            code,
            severity: Severity::Error,
            message: message.into(),
            primary: Label { span, text: label.into() },
            secondary: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(
        code: &'static Code,
        message: impl Into<String>,
        span: Span,
        label: impl Into<String>,
    ) -> Diag {
        Diag { severity: Severity::Warning, ..Diag::error(code, message, span, label) }
    }

    /// Error `E0900`: `what` is part of the language but not of this compiler yet.
    pub fn unsupported(what: &str, span: Span) -> Diag {
        Diag::error(&codes::UNSUPPORTED, format!("{what} not supported yet"), span, "")
    }

    /// Adds a place it disagrees with.
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Diag {
        self.secondary.push(Label { span, text: text.into() });
        self
    }

    /// Adds a fact.
    pub fn note(mut self, text: impl Into<String>) -> Diag {
        self.notes.push(Note::Note(text.into()));
        self
    }

    /// Adds the next step.
    pub fn help(mut self, text: impl Into<String>) -> Diag {
        self.notes.push(Note::Help(text.into()));
        self
    }

    /// Whether it prevents an object.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
