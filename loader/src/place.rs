//! The script's line behind an instruction.
//!
//! Input    line records, the script's text
//! Output   [`Place`]; its text shows the line and marks the column

use crate::sys::bpf::LineInfo;
use manifest::Source;
use std::fmt;

/// A place in the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    file: String,
    line: u32,
    column: u32,
    text: String,
}

impl Place {
    /// The place of an instruction, from the last record that starts at or before it.
    pub fn find(records: &[LineInfo], script: &Source, insn: usize) -> Option<Self> {
        let covers = |record: &&LineInfo| usize::try_from(record.insn).is_ok_and(|start| start <= insn);
        let record = records.iter().take_while(covers).last()?;
        let (line, column) = (record.line_col >> 10, record.line_col & 0x3ff);
        let text = script.text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        Some(Self { file: script.name.clone(), line, column, text: text.replace('\t', "    ") })
    }
}

/// A message, with its place in front and the line below if there is one.
#[derive(Debug)]
pub struct At<'a>(pub Option<&'a Place>, pub &'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(place, what) = self;
        let Some(Place { file, line, column, text }) = place else { return f.write_str(what) };
        let indent = " ".repeat(usize::try_from(column.saturating_sub(1)).unwrap_or(0));
        write!(f, "{file}:{line}:{column}: {what}\n{text}\n{indent}~")
    }
}
