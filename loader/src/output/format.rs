//! Reads printf formats, once for each event.
//!
//! A conversion is `%[-][+][ ][#][0][width][.precision][length]verb` with its flags in that order;
//! what does not match is copied. The space flag, precision and `*` are read but have no effect,
//! as in bpftrace.

/// Widest padding honoured: a manifest is untrusted.
const WIDTH_MAX: usize = 1 << 16;

/// A printf format.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) pieces: Vec<Piece>,
}

/// A part of a format.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(Vec<u8>),
    Conversion(Conversion),
}

/// How one argument prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conversion {
    pub(super) left: bool,
    pub(super) plus: bool,
    pub(super) alternate: bool,
    pub(super) zero: bool,
    pub(super) width: usize,
    /// Bits that integers are cut to.
    pub(super) bits: u32,
    pub(super) verb: Verb,
}

/// What a conversion makes of its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Signed,
    Unsigned,
    Octal,
    Hex,
    UpperHex,
    Char,
    Pointer,
    /// `%s`: any value as `print` shows it.
    Value,
    /// `%r`
    Buffer,
    /// `%rx`
    BufferEscaped,
    /// `%rh`
    BufferHex,
    /// `%gr`
    GfpFlags,
}

/// Longer spellings first.
const LENGTHS: [(&str, u32); 9] =
    [("hh", 8), ("h", 16), ("ll", 64), ("l", 64), ("j", 64), ("z", 64), ("t", 64), ("L", 64), ("", 32)];
const VERBS: [(&str, Verb); 13] = [
    ("d", Verb::Signed),
    ("i", Verb::Signed),
    ("u", Verb::Unsigned),
    ("o", Verb::Octal),
    ("x", Verb::Hex),
    ("X", Verb::UpperHex),
    ("c", Verb::Char),
    ("p", Verb::Pointer),
    ("s", Verb::Value),
    ("rx", Verb::BufferEscaped),
    ("rh", Verb::BufferHex),
    ("r", Verb::Buffer),
    ("gr", Verb::GfpFlags),
];

impl Format {
    pub(super) fn parse(text: &str) -> Format {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some(percent) = rest.find('%') {
            literal.extend_from_slice(&rest.as_bytes()[..percent]);
            rest = &rest[percent + 1..];
            match conversion(rest) {
                Some((Some(conversion), after)) => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Conversion(conversion));
                    rest = after;
                }
                Some((None, after)) => {
                    literal.push(b'%');
                    rest = after;
                }
                None => literal.push(b'%'),
            }
        }
        literal.extend_from_slice(rest.as_bytes());
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Format { pieces }
    }
}

/// The conversion after a `%` and what follows it; `None` in its place for `%%`.
fn conversion(text: &str) -> Option<(Option<Conversion>, &str)> {
    let mut rest = text;
    let mut flag = |flag: char| {
        let found = rest.strip_prefix(flag);
        rest = found.unwrap_or(rest);
        found.is_some()
    };
    let (left, plus, _space, alternate, zero) = (flag('-'), flag('+'), flag(' '), flag('#'), flag('0'));
    let (width, rest) = number(rest);
    let rest = match rest.strip_prefix('.') {
        Some(precision) => number(precision).1,
        None => rest,
    };
    let (bits, rest) = LENGTHS.iter().find_map(|(name, bits)| Some((*bits, rest.strip_prefix(name)?)))?;
    if let Some(after) = rest.strip_prefix('%') {
        return Some((None, after));
    }
    let (verb, after) = VERBS.iter().find_map(|(name, verb)| Some((*verb, rest.strip_prefix(name)?)))?;
    Some((Some(Conversion { left, plus, alternate, zero, width, bits, verb }), after))
}

/// A number or `*`, which counts as 0.
fn number(text: &str) -> (usize, &str) {
    if let Some(rest) = text.strip_prefix('*') {
        return (0, rest);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(digits);
    // Only overflow fails here, or no digits at all.
    let default = if digits.is_empty() { 0 } else { WIDTH_MAX };
    (digits.parse().unwrap_or(default).min(WIDTH_MAX), rest)
}
