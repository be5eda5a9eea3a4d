//! The two streams, and when they are flushed.

use super::diagnostic::{self, Severity};
use std::io::{self, Write};

/// Face of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// What people read.
    Text,
    /// One JSON object a line.
    Json,
}

/// When output is flushed (`-B`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffering {
    /// After every event.
    None,
    /// After every event that ends a line.
    Line,
    /// When [`Output::flush`](super::Output::flush) is called, or the stream's own buffer is full.
    Full,
}

/// Which run-time warnings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warnings {
    /// All but failed reads and missing map keys.
    Default,
    /// All (`-k`).
    All,
    /// None (`--no-warnings`).
    None,
}

/// How output is shaped.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Text or JSON.
    pub format: Format,
    /// When to flush.
    pub buffering: Buffering,
    /// Which run-time warnings to show.
    pub warnings: Warnings,
    /// `out` is a terminal: control characters of untrusted strings are neutralised.
    pub terminal: bool,
    /// Diagnostics on `err` are coloured.
    pub colour: bool,
    /// No `Attached N probes` (`-q`).
    pub quiet: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            format: Format::Text,
            buffering: Buffering::Line,
            warnings: Warnings::Default,
            terminal: false,
            colour: false,
            quiet: false,
        }
    }
}

/// Output and diagnostics.
pub(super) struct Streams {
    pub(super) options: Options,
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    written: bool,
    line_ended: bool,
}

impl Streams {
    pub(super) fn new(options: Options, out: Box<dyn Write>, err: Box<dyn Write>) -> Streams {
        Streams { options, out, err, written: false, line_ended: false }
    }

    /// Whether control characters of untrusted strings are made harmless. JSON has none.
    pub(super) fn neutralises(&self) -> bool {
        self.options.terminal && self.options.format == Format::Text
    }

    pub(super) fn out(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written |= !bytes.is_empty();
        self.line_ended |= bytes.contains(&b'\n');
        self.out.write_all(bytes)
    }

    /// Diagnostics are not buffered.
    pub(super) fn err(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.err.write_all(bytes)?;
        self.err.flush()
    }

    /// Text for the error stream, or an object for the output.
    pub(super) fn note(&mut self, text: &str, object: &str) -> io::Result<()> {
        match self.options.format {
            Format::Text => self.err(text.as_bytes()),
            Format::Json => {
                self.out(object.as_bytes())?;
                self.end_event()
            }
        }
    }

    /// A message of ours, text in both formats.
    pub(super) fn complain(&mut self, severity: Severity, message: &str) -> io::Result<()> {
        let text = diagnostic::plain(severity, message, self.options.colour);
        self.err(&text)
    }

    /// Flushes what an event wrote, if the buffering says so.
    pub(super) fn end_event(&mut self) -> io::Result<()> {
        let due = match self.options.buffering {
            Buffering::None => self.written,
            Buffering::Line => self.line_ended,
            Buffering::Full => false,
        };
        if due { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        (self.written, self.line_ended) = (false, false);
        self.out.flush()?;
        self.err.flush()
    }
}
