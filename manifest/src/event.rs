//! Events: what a ring-buffer record means and what the loader does for it.
//!
//! All offsets are bytes from the start of the record, whose first 8 bytes are the event's number.

use crate::layout::Field;
use serde::{Deserialize, Serialize};

/// What the loader does for a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// `printf`.
    Printf {
        /// Format with bpftrace's verbs.
        format: String,
        /// Arguments in order.
        args: Vec<Field>,
    },
    /// `errorf`: as `printf`, on stderr, with the place.
    Errorf {
        /// Format.
        format: String,
        /// Arguments in order.
        args: Vec<Field>,
        /// Where it is called.
        place: Place,
    },
    /// `warnf`.
    Warnf {
        /// Format.
        format: String,
        /// Arguments in order.
        args: Vec<Field>,
        /// Where it is called.
        place: Place,
    },
    /// `print(value)`.
    Value(Field),
    /// `print(@map)`.
    PrintMap {
        /// Index into the manifest's maps.
        map: u32,
        /// Only the last entries, 0 for all.
        top: u64,
        /// Divisor, 0 or 1 for none.
        div: u64,
    },
    /// `clear(@map)`.
    Clear {
        /// Index into the manifest's maps.
        map: u32,
    },
    /// `zero(@map)`.
    Zero {
        /// Index into the manifest's maps.
        map: u32,
    },
    /// `time(format)`.
    Time {
        /// strftime format.
        format: String,
    },
    /// `join(argv, separator)`.
    Join {
        /// Between two strings.
        separator: String,
        /// Offset of a `u64` count of strings, at most 16, followed by the strings.
        offset: u32,
        /// Bytes that each string takes.
        stride: u32,
    },
    /// `cat(format, ...)`.
    Cat {
        /// Format of the path.
        format: String,
        /// Arguments in order.
        args: Vec<Field>,
    },
    /// `system(format, ...)`.
    System {
        /// Format of the command.
        format: String,
        /// Arguments in order.
        args: Vec<Field>,
    },
    /// `exit(code)`.
    Exit {
        /// Offset of the `u64` code.
        offset: u32,
    },
    /// Something went wrong while a program ran.
    RuntimeError {
        /// What went wrong.
        error: RuntimeError,
        /// The expression.
        place: Place,
        /// Offset of the helper's return value (`i64`), if a helper was called.
        retcode: Option<u32>,
    },
}

/// A place in the script: 1-based lines and columns, the end column exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Column after the last.
    pub end_column: u32,
}

/// What went wrong while a program ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeError {
    /// Division or modulo by zero; 1 was used.
    DivideByZero,
    /// No room in the map.
    MapFull,
    /// Lookup of a missing key (shown with `-k`).
    LookupMissing,
    /// Array index out of bounds.
    ArrayBounds,
    /// A helper failed; its name (shown with `-k` for reads).
    Helper(String),
}
