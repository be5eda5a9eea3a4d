//! Tokens of C, as far as declarations and constant expressions need them.

use crate::diag::{Code, Diag, codes};
use crate::syntax::ast::Span;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CTok {
    Ident(String),
    Int(i128),
    /// One of `PUNCTUATION`.
    Punct(&'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CToken {
    pub(super) tok: CTok,
    pub(super) span: Span,
}

impl CToken {
    pub(super) fn is(&self, punct: &str) -> bool {
        matches!(&self.tok, CTok::Punct(p) if *p == punct)
    }
}

/// Longest first.
const PUNCTUATION: [&str; 29] = [
    "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "{", "}", "(", ")", "[", "]", ";", ",", ":", "*", "=",
    "+", "-", "/", "%", "<", ">", "&", "|", "^", "!",
];
const MORE_PUNCTUATION: [&str; 3] = ["~", "?", "."];

/// Splits text that starts at offset `base`; comments and line continuations are blanks.
pub(super) fn lex_c(text: &str, base: u32, code: &'static Code) -> Result<Vec<CToken>, Box<Diag>> {
    let mut tokens = Vec::new();
    let mut pos = 0;
    while let Some(first) = text[pos..].chars().next() {
        let rest = &text[pos..];
        let skip = blank_len(rest);
        if skip > 0 {
            pos += skip;
            continue;
        }
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let punct = PUNCTUATION.into_iter().chain(MORE_PUNCTUATION).find(|p| rest.starts_with(p));
        let len = if word > 0 { word } else { punct.map_or(first.len_utf8(), str::len) };
        let span = Span::new(base + pos as u32, base + (pos + len) as u32);
        let tok = match punct {
            Some(punct) if word == 0 => CTok::Punct(punct),
            None if word == 0 => {
                let message = format!("unexpected character `{}` in C", first.escape_default());
                return Err(Box::new(Diag::error(code, message, span, "")));
            }
            _ if first.is_ascii_digit() => match parse_c_int(&rest[..word]) {
                Some(value) => CTok::Int(value),
                None => {
                    let message = format!("`{}` is not a C integer", &rest[..word]);
                    return Err(Box::new(Diag::error(&codes::BAD_CONSTANT, message, span, "")));
                }
            },
            _ => CTok::Ident(rest[..word].to_owned()),
        };
        tokens.push(CToken { tok, span });
        pos += len;
    }
    Ok(tokens)
}

/// The length of the blank or comment at the start of `text`, 0 without one.
fn blank_len(text: &str) -> usize {
    let line_end = || text.find('\n').unwrap_or(text.len());
    match text.as_bytes() {
        [b, ..] if b.is_ascii_whitespace() => 1,
        [b'\\', b'\n', ..] => 2,
        [b'\\', b'\r', b'\n', ..] => 3,
        [b'/', b'/', ..] => line_end(),
        [b'/', b'*', ..] => text[2..].find("*/").map_or(text.len(), |at| at + 4),
        _ => 0,
    }
}

fn parse_c_int(word: &str) -> Option<i128> {
    let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
    let value = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => u64::from_str_radix(&digits[2..], 16),
        [b'0', b'b' | b'B', ..] => u64::from_str_radix(&digits[2..], 2),
        [b'0', _, ..] => u64::from_str_radix(digits, 8),
        _ => digits.parse(),
    };
    value.ok().map(i128::from)
}

/// `text` with its comments and continuations blanked out, byte for byte.
pub(super) fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pos = 0;
    while let Some(c) = text[pos..].chars().next() {
        // A quote in a preprocessor line starts a string that ends on it.
        let len = match c {
            '"' => {
                let end = text[pos + 1..].find(['"', '\n']).map_or(text.len(), |at| pos + at + 2);
                out.push_str(&text[pos..end]);
                pos = end;
                continue;
            }
            _ => blank_len(&text[pos..]),
        };
        if len == 0 {
            out.push(c);
            pos += c.len_utf8();
        } else {
            out.extend(std::iter::repeat_n(' ', len));
            pos += len;
        }
    }
    out
}
