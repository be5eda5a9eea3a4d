//! A position in the source text that can only move forward.

use super::ast::Span;

/// Reads the text byte by byte; multi-byte characters only matter where they are errors.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    pos: usize,
    base: u32,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, base: u32) -> Cursor<'a> {
        Cursor { text, pos: 0, base }
    }

    pub(super) fn offset(&self) -> u32 {
        self.base + self.pos as u32
    }

    pub(super) fn span_from(&self, start: u32) -> Span {
        Span::new(start, self.offset())
    }

    /// The text from an earlier offset up to here.
    pub(super) fn text_from(&self, start: u32) -> &'a str {
        &self.text[(start - self.base) as usize..self.pos]
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    pub(super) fn at_end(&self) -> bool {
        self.pos == self.text.len()
    }

    /// The next byte, or 0 at the end; NUL bytes in the text are bad characters anyway.
    pub(super) fn peek(&self) -> u8 {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.pos + ahead).copied().unwrap_or(0)
    }

    pub(super) fn starts_with(&self, prefix: &str) -> bool {
        self.rest().starts_with(prefix)
    }

    /// Moves over the next character.
    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    /// Moves over `prefix` if it comes next.
    pub(super) fn eat(&mut self, prefix: &str) -> bool {
        let found = self.starts_with(prefix);
        if found {
            self.pos += prefix.len();
        }
        found
    }

    pub(super) fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.bytes().position(|b| !keep(b)).unwrap_or(rest.len());
        // A predicate that accepts part of a multi-byte character must accept all of it.
        self.pos += len;
        &rest[..len]
    }

    /// The identifier at this place, without moving.
    pub(super) fn peek_word(&self) -> &'a str {
        let mut ahead = self.clone();
        if is_word_start(ahead.peek()) { ahead.take_while(is_word) } else { "" }
    }

    pub(super) fn skip_blank(&mut self) {
        self.take_while(|b| matches!(b, b' ' | b'\t'));
    }

    /// Moves over whitespace and comments. An open block comment runs to the end of the text.
    pub(super) fn skip_trivia(&mut self) {
        loop {
            self.take_while(|b| b.is_ascii_whitespace());
            if self.starts_with("//") {
                self.take_while(|b| b != b'\n');
            } else if self.starts_with("/*") {
                let len = self.rest()[2..].find("*/").map_or(self.rest().len(), |at| at + 4);
                self.pos += len;
            } else {
                return;
            }
        }
    }

    /// Moves to the end of the line, over lines that end in a backslash.
    pub(super) fn skip_logical_line(&mut self) {
        loop {
            let line = self.take_while(|b| b != b'\n');
            if !line.trim_end_matches('\r').ends_with('\\') || self.at_end() {
                return;
            }
            self.bump();
        }
    }
}

pub(super) fn is_word_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_'
}

pub(super) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}
