//! Tokens of C as the preprocessor sees them.
//!
//! Input    any text
//! Output   one token after the other, by place; line continuations and comments are gone
//! Ensures  every text has tokens: what C does not know is `Kind::Other`

use std::collections::HashMap;
use std::rc::Rc;

use crate::syntax::ast::Span;

/// A spelling, by its number in an [`Interner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sym(u32);

/// All spellings of a preamble.
#[derive(Debug, Default)]
pub(super) struct Interner {
    syms: HashMap<Rc<str>, Sym>,
    texts: Vec<Rc<str>>,
}

impl Interner {
    pub(super) fn add(&mut self, text: &str) -> Sym {
        if let Some(&sym) = self.syms.get(text) {
            return sym;
        }
        let (sym, text) = (Sym(self.texts.len() as u32), Rc::<str>::from(text));
        self.texts.push(Rc::clone(&text));
        self.syms.insert(text, sym);
        sym
    }

    /// The number of a spelling, if it was seen.
    pub(super) fn find(&self, text: &str) -> Option<Sym> {
        self.syms.get(text).copied()
    }

    pub(super) fn text(&self, sym: Sym) -> &str {
        &self.texts[sym.0 as usize]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ident(Sym),
    /// A preprocessing number: of integers and floats only the first character is certain.
    Number(Sym),
    /// With its quotes and prefix.
    Str(Sym),
    /// With its quotes and prefix.
    Char(Sym),
    /// One of `PUNCTUATION`.
    Punct(&'static str),
    Other(char),
    /// `#pragma pack`: see `Pack`.
    Pack(Pack),
    /// The end of what there is to read here.
    End,
}

/// `#pragma pack`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pack {
    /// Members are aligned to so many bytes at most; 0 ends that.
    Set(u8),
    /// As `Set` if there is a number, until the matching `Pop`.
    Push(Option<u8>),
    Pop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
    /// A blank stands in front of it.
    pub(super) space: bool,
    /// It is the first of its line.
    pub(super) line_start: bool,
    /// A name that its own macro produced: it is never replaced again.
    pub(super) frozen: bool,
}

impl Token {
    pub(super) fn new(kind: Kind, span: Span) -> Token {
        Token { kind, span, space: false, line_start: false, frozen: false }
    }

    pub(super) fn is(&self, punct: &str) -> bool {
        matches!(self.kind, Kind::Punct(p) if p == punct)
    }

    pub(super) fn ident(&self) -> Option<Sym> {
        match self.kind {
            Kind::Ident(sym) => Some(sym),
            _ => None,
        }
    }
}

/// Longest first.
const PUNCTUATION: [&str; 47] = [
    "...", "<<=", ">>=", "##", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "->", "++", "--", "+=", "-=",
    "*=", "/=", "%=", "&=", "|=", "^=", "{", "}", "(", ")", "[", "]", ";", ",", ":", "*", "=", "+", "-", "/",
    "%", "<", ">", "&", "|", "^", "!", "~", "?", ".",
];
const HASH: &str = "#";

/// Splits text that starts at offset `base`.
pub(super) fn lex(text: &str, base: u32, names: &mut Interner) -> Vec<Token> {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0 };
    let mut tokens = Vec::with_capacity(text.len() / 8);
    loop {
        let (space, line_start) = lexer.skip_blanks();
        let start = lexer.at;
        let Some(kind) = lexer.token(names) else { return tokens };
        let span = Span::new(base + start as u32, base + lexer.at as u32);
        tokens.push(Token { kind, span, space, line_start, frozen: false });
    }
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'$'
}

impl Lexer<'_> {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Whether there was a blank, and whether the next token starts a line.
    fn skip_blanks(&mut self) -> (bool, bool) {
        let (start, mut line_start) = (self.at, self.at == 0);
        loop {
            match self.rest() {
                [b'\n', ..] => {
                    line_start = true;
                    self.at += 1;
                }
                [b, ..] if b.is_ascii_whitespace() || *b == 0x0b => self.at += 1,
                rest => match blank_len(rest) {
                    0 => return (self.at > start, line_start),
                    len => self.at += len,
                },
            }
        }
    }

    fn token(&mut self, names: &mut Interner) -> Option<Kind> {
        let (first, second) = (*self.rest().first()?, self.rest().get(1).copied().unwrap_or(0));
        if first.is_ascii_digit() || (first == b'.' && second.is_ascii_digit()) {
            return Some(Kind::Number(self.word(names, true)));
        }
        let prefix = match self.rest() {
            [b'L' | b'u' | b'U', b'"' | b'\'', ..] => 1,
            [b'u', b'8', b'"', ..] => 2,
            _ => 0,
        };
        match self.bytes[self.at + prefix] {
            quote @ (b'"' | b'\'') => {
                if let Some(len) = quoted_len(&self.bytes[self.at + prefix..], quote) {
                    let sym = names.add(&self.text[self.at..self.at + prefix + len]);
                    self.at += prefix + len;
                    return Some(if quote == b'"' { Kind::Str(sym) } else { Kind::Char(sym) });
                }
            }
            _ if is_name(first) => return Some(Kind::Ident(self.word(names, false))),
            _ => {}
        }
        let text = &self.text[self.at..];
        let punct = PUNCTUATION.into_iter().chain([HASH]).find(|p| text.starts_with(p));
        let kind = match (punct, text.chars().next()) {
            (Some(punct), _) => Kind::Punct(punct),
            (None, c) => Kind::Other(c.unwrap_or(' ')),
        };
        self.at += punct.map_or(text.chars().next().map_or(1, char::len_utf8), str::len);
        Some(kind)
    }

    /// A name or number, which may go on behind a line continuation.
    fn word(&mut self, names: &mut Interner, number: bool) -> Sym {
        let mut joined = String::new();
        loop {
            let start = self.at;
            while let Some(&b) = self.rest().first() {
                let exponent = number
                    && matches!(b, b'+' | b'-')
                    && matches!(self.bytes[self.at - 1], b'e' | b'E' | b'p' | b'P')
                    && self.at > start;
                let goes_on = is_name(b) || exponent || (number && b == b'.');
                if !goes_on {
                    break;
                }
                self.at += 1;
            }
            let run = &self.text[start..self.at];
            let skip = continuation_len(self.rest());
            if skip == 0 || !self.rest().get(skip).is_some_and(|&b| is_name(b)) {
                return if joined.is_empty() { names.add(run) } else { names.add(&(joined + run)) };
            }
            joined.push_str(run);
            self.at += skip;
        }
    }
}

/// The length of the backslash and line end at the start, 0 without them.
fn continuation_len(rest: &[u8]) -> usize {
    match rest {
        [b'\\', b'\n', ..] => 2,
        [b'\\', b'\r', b'\n', ..] => 3,
        _ => 0,
    }
}

/// The length of the comment or line continuation at the start, 0 without one.
fn blank_len(rest: &[u8]) -> usize {
    match rest {
        [b'/', b'/', ..] => {
            let mut at = 2;
            while at < rest.len() && rest[at] != b'\n' {
                at += continuation_len(&rest[at..]).max(1);
            }
            at
        }
        [b'/', b'*', ..] => rest[2..].windows(2).position(|w| w == b"*/").map_or(rest.len(), |at| at + 4),
        _ => continuation_len(rest),
    }
}

/// The length of a string or character constant; none if the line ends first.
fn quoted_len(rest: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        match *rest.get(at)? {
            b'\n' => return None,
            b'\\' => at += continuation_len(&rest[at..]).max(2),
            b if b == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// `text` with its comments and continuations blanked out, byte for byte.
pub(super) fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text.as_bytes()[at..];
        let (len, blank) = match c {
            '"' | '\'' => (quoted_len(rest, c as u8).unwrap_or(1), false),
            _ if blank_len(rest) > 0 => (blank_len(rest), true),
            _ => (c.len_utf8(), false),
        };
        if blank {
            out.extend(std::iter::repeat_n(' ', len));
        } else {
            out.push_str(&text[at..at + len]);
        }
        at += len;
    }
    out
}
