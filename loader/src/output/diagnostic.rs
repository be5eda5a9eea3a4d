//! Errors and warnings of a running script: message, place, excerpt.

use super::json;
use manifest::{Place, RuntimeError, Source};
use std::io;

/// How bad, and the colour that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
        }
    }
}

/// Message with a severity and no place.
pub(super) fn plain(severity: Severity, message: &str, colour: bool) -> Vec<u8> {
    format!("{}\n", coloured(severity, &format!("{}: {message}", severity.word()), colour)).into_bytes()
}

/// Message with its place in front; without an excerpt, as `errorf` and `warnf` show it.
pub(super) fn placed(
    severity: Severity,
    source: &Source,
    place: Place,
    message: &[u8],
    colour: bool,
) -> Vec<u8> {
    let Place { line, column, end_column } = place;
    let head = format!("{}:{line}:{column}-{end_column}: {}: ", source.name, severity.word());
    let mut text = head.into_bytes();
    // A message that ends its own line gets no second line end.
    text.extend_from_slice(message.strip_suffix(b"\n").unwrap_or(message));
    let (start, end) = escapes(severity, colour);
    [start.as_bytes(), &text, end.as_bytes(), b"\n"].concat()
}

/// A run-time error with its excerpt.
pub(super) fn runtime(
    error: &RuntimeError,
    retcode: Option<i64>,
    source: &Source,
    place: Place,
    colour: bool,
) -> Vec<u8> {
    let message = message(error, retcode);
    let mut text = placed(Severity::Warning, source, place, message.as_bytes(), colour);
    if let (Some(helper), Some(retcode)) = (helper(error), retcode) {
        text.extend(format!("Additional Info - helper: {helper}, retcode: {retcode}\n").bytes());
    }
    text.extend(excerpt(&source.text, place).bytes());
    text
}

/// JSON object of `errorf` and `warnf`.
pub(super) fn placed_json(kind: &str, source: &Source, place: Place, message: &[u8]) -> Vec<u8> {
    let message = json::string(message);
    format!("{{\"type\": \"{kind}\", \"msg\": {message}, {}}}\n", place_json(source, place)).into_bytes()
}

/// JSON object of a run-time error.
pub(super) fn runtime_json(
    error: &RuntimeError,
    retcode: Option<i64>,
    source: &Source,
    place: Place,
) -> Vec<u8> {
    match (helper(error), retcode) {
        // Here the message is always that of the error number.
        (Some(helper), Some(retcode)) => format!(
            "{{\"type\": \"helper_error\", \"msg\": {}, \"helper\": {}, \"retcode\": {}, {}}}\n",
            json::string(error_number_text(retcode).as_bytes()),
            json::string(helper.as_bytes()),
            json::number(i128::from(retcode)),
            place_json(source, place)
        )
        .into_bytes(),
        _ => placed_json("runtime_error", source, place, message(error, retcode).as_bytes()),
    }
}

fn place_json(source: &Source, place: Place) -> String {
    let name = json::string(source.name.as_bytes());
    format!("\"filename\": {name}, \"line\": {}, \"col\": {}", place.line, place.column)
}

/// Whether an error is shown only with `-k`.
pub(super) fn is_minor(error: &RuntimeError) -> bool {
    match error {
        RuntimeError::LookupMissing => true,
        RuntimeError::Helper(name) => name.trim_start_matches("bpf_").starts_with("probe_read"),
        RuntimeError::DivideByZero | RuntimeError::MapFull | RuntimeError::ArrayBounds => false,
    }
}

/// The helper that failed, without its `bpf_`.
fn helper(error: &RuntimeError) -> Option<&str> {
    match error {
        RuntimeError::DivideByZero | RuntimeError::ArrayBounds => None,
        RuntimeError::MapFull => Some("map_update_elem"),
        RuntimeError::LookupMissing => Some("map_lookup_elem"),
        RuntimeError::Helper(name) => Some(name.strip_prefix("bpf_").unwrap_or(name)),
    }
}

fn message(error: &RuntimeError, retcode: Option<i64>) -> String {
    match error {
        RuntimeError::DivideByZero => "Divide or modulo by 0 detected. This can lead to unexpected \
                                       results. 1 is being used as the result."
            .to_owned(),
        RuntimeError::MapFull => "Map full; can't update element. Try increasing max_map_keys config or \
                                  manually setting the max entries in a map declaration e.g. `let @a = \
                                  hash(5000)`"
            .to_owned(),
        RuntimeError::LookupMissing => "Can't lookup map element because it does not exist.".to_owned(),
        RuntimeError::ArrayBounds => {
            "Array access out of bounds. This can lead to unexpected results.".to_owned()
        }
        RuntimeError::Helper(_) => error_number_text(retcode.unwrap_or(0)),
    }
}

/// glibc's words for a helper's return value, also where another C library has others.
fn error_number_text(retcode: i64) -> String {
    match retcode.unsigned_abs() {
        0 => "Success".to_owned(),
        34 => "Numerical result out of range".to_owned(),
        number => {
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            super::host::error_text(&io::Error::from_raw_os_error(number))
        }
    }
}

/// The line and its underline; tabs count as four columns. Empty if there is no such line.
fn excerpt(text: &str, place: Place) -> String {
    let Some(line) = (place.line as usize).checked_sub(1).and_then(|line| text.lines().nth(line)) else {
        return String::new();
    };
    let (mut shown, mut marks) = (String::new(), String::new());
    for (at, byte) in line.bytes().enumerate() {
        let columns = if byte == b'\t' { 4 } else { 1 };
        let column = at as u64 + 1;
        let mark = column >= u64::from(place.column) && column < u64::from(place.end_column);
        // Columns are bytes; a character of several bytes is underlined once.
        if line.is_char_boundary(at) {
            marks.push_str(&if mark { "~" } else { " " }.repeat(columns));
        }
    }
    shown.push_str(&line.replace('\t', "    "));
    format!("{shown}\n{}\n", marks.trim_end())
}

fn coloured(severity: Severity, text: &str, colour: bool) -> String {
    let (start, end) = escapes(severity, colour);
    format!("{start}{text}{end}")
}

fn escapes(severity: Severity, colour: bool) -> (&'static str, &'static str) {
    match (colour, severity) {
        (false, _) => ("", ""),
        (true, Severity::Error) => ("\x1b[31m", "\x1b[0m"),
        (true, Severity::Warning) => ("\x1b[33m", "\x1b[0m"),
    }
}
