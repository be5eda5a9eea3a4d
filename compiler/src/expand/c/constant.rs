//! Integer constant expressions: array lengths, bit widths, enumerators, macros and `#if`.
//!
//! Input    tokens whose macros are replaced; who knows the names
//! Output   a value with its C type
//! Ensures  arithmetic of C17 6.5 on two's complement that wraps; in `#if` everything has 64 bits (6.10.1).
//!          A part that is not evaluated (`0 && 1/0`) must be well-formed only.

use super::token::{Kind, Sym, Token};
use crate::diag::{Diag, codes};
use crate::syntax::ast::Span;

/// Parentheses and unary operators nest no deeper than this.
const MAX_NESTING: u32 = 100;

pub(super) type Read<T> = Result<T, Box<Diag>>;

/// An integer and its C type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The number.
    pub value: i128,
    /// Size of its type.
    pub bytes: u8,
    /// Whether its type has a sign.
    pub signed: bool,
}

impl Value {
    /// 0 in a condition.
    pub(super) const WIDE_ZERO: Value = Value { value: 0, bytes: 8, signed: true };

    /// A number as its type holds it.
    pub(super) fn wrapped(value: i128, bytes: u8, signed: bool) -> Value {
        let bits = u32::from(bytes.clamp(1, 8)) * 8;
        let low = value & ((1i128 << bits) - 1);
        let value = if signed && low >> (bits - 1) & 1 == 1 { low - (1i128 << bits) } else { low };
        Value { value, bytes, signed }
    }

    pub(super) fn int(value: i128) -> Value {
        Value::wrapped(value, 4, true)
    }

    fn bool(value: bool) -> Value {
        Value::int(value.into())
    }

    fn is_true(self) -> bool {
        self.value != 0
    }

    /// The integer promotions: nothing is smaller than `int`.
    fn promoted(self) -> Value {
        if self.bytes < 4 { Value { bytes: 4, signed: true, ..self } } else { self }
    }
}

/// What the names in an expression mean.
pub(super) trait Names {
    /// Spelling of a token.
    fn text(&self, sym: Sym) -> &str;
    /// The value of a name.
    fn name(&mut self, name: Sym, span: Span) -> Read<Value>;
    /// All values have 64 bits.
    fn is_condition(&self) -> bool {
        false
    }
    /// The cast at `at`, which is behind a `(`: what it makes of a value, and the place behind its `)`.
    fn cast(&mut self, _at: usize) -> Read<Option<(Cast, usize)>> {
        Ok(None)
    }
    /// The value of an operator that asks for a type (`sizeof`), and the place behind its operand.
    fn type_query(&mut self, _word: Sym, _at: usize) -> Read<Option<(Value, usize)>> {
        Ok(None)
    }
    /// The address of the member of a null pointer that stands at `at`, and the place behind it.
    fn address(&mut self, _at: usize) -> Read<Option<(Value, usize)>> {
        Ok(None)
    }
}

/// What a cast makes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    Int { bytes: u8, signed: bool },
    Bool,
}

/// One expression being read.
pub(super) struct Eval<'a, 'n> {
    tokens: &'a [Token],
    pub(super) at: usize,
    /// Blamed when there are no tokens.
    here: Span,
    names: &'n mut dyn Names,
    depth: u32,
    /// How many operators around decided not to evaluate this part.
    dead: u32,
}

/// Operators by rising precedence.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", ">", "<=", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl<'a, 'n> Eval<'a, 'n> {
    pub(super) fn new(tokens: &'a [Token], at: usize, here: Span, names: &'n mut dyn Names) -> Eval<'a, 'n> {
        Eval { tokens, at, here, names, depth: 0, dead: 0 }
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(self.here, |t| t.span)
    }

    fn error(&self, message: impl Into<String>) -> Box<Diag> {
        Box::new(Diag::error(&codes::BAD_CONSTANT, message, self.span(), ""))
    }

    fn is(&self, punct: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|t| t.is(punct))
    }

    fn eat(&mut self, punct: &str) -> bool {
        let found = self.is(punct);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, punct: &str) -> Read<()> {
        if self.eat(punct) {
            return Ok(());
        }
        Err(self.error(format!("expected `{punct}` in a constant expression")))
    }

    /// An integer as wide as this expression wants it.
    fn number(&self, value: Value) -> Value {
        if self.names.is_condition() { Value { bytes: 8, ..value } } else { value }
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.error("constant expression nested too deeply"));
        }
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// Reads a part whose value counts only if `live`.
    fn part<T>(&mut self, live: bool, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.dead += u32::from(!live);
        let value = read(self);
        self.dead -= u32::from(!live);
        value
    }

    pub(super) fn ternary(&mut self) -> Read<Value> {
        self.nested(|eval| {
            let condition = eval.binary(0)?;
            if !eval.eat("?") {
                return Ok(condition);
            }
            let chosen = condition.is_true();
            // GNU: `a ?: b`.
            let then = match eval.is(":") {
                true => condition,
                false => eval.part(chosen, Self::ternary)?,
            };
            eval.expect(":")?;
            let otherwise = eval.part(!chosen, Self::ternary)?;
            let (then, otherwise) = common(then, otherwise);
            Ok(if chosen { then } else { otherwise })
        })
    }

    fn binary(&mut self, level: usize) -> Read<Value> {
        let Some(ops) = LEVELS.get(level) else { return self.unary() };
        let mut value = self.binary(level + 1)?;
        while let Some(op) = ops.iter().find(|op| self.eat(op)) {
            let live = match *op {
                "||" => !value.is_true(),
                "&&" => value.is_true(),
                _ => true,
            };
            let rhs = self.part(live, |eval| eval.binary(level + 1))?;
            let result = match apply(op, value, rhs) {
                None if self.dead > 0 => Some(Value::int(0)),
                result => result,
            };
            value = self.number(result.ok_or_else(|| self.error("constant expression has no value"))?);
        }
        Ok(value)
    }

    fn unary(&mut self) -> Read<Value> {
        self.nested(|eval| {
            let Some(&token) = eval.tokens.get(eval.at) else {
                return Err(eval.error("expected a constant"));
            };
            match token.kind {
                Kind::Punct(op @ ("-" | "+" | "!" | "~")) => {
                    eval.at += 1;
                    let value = eval.unary()?.promoted();
                    let changed = match op {
                        "-" => Value::wrapped(-value.value, value.bytes, value.signed),
                        "~" => Value::wrapped(!value.value, value.bytes, value.signed),
                        "!" => Value::bool(!value.is_true()),
                        _ => value,
                    };
                    Ok(eval.number(changed))
                }
                Kind::Punct("(") => eval.parenthesised(),
                Kind::Punct("&") => match eval.names.address(eval.at + 1)? {
                    Some((value, behind)) => {
                        eval.at = behind;
                        Ok(value)
                    }
                    None => Err(eval.error("expected a constant")),
                },
                Kind::Ident(word) => eval.named(word, token.span),
                Kind::Number(sym) => {
                    let Some(value) = parse_number(eval.names.text(sym)) else {
                        let message = format!("`{}` is not a C integer", eval.names.text(sym));
                        return Err(eval.error(message));
                    };
                    eval.at += 1;
                    Ok(eval.number(value))
                }
                Kind::Char(sym) => {
                    let value = parse_char(eval.names.text(sym));
                    let value = value.ok_or_else(|| eval.error("not a C character constant"))?;
                    eval.at += 1;
                    Ok(eval.number(value))
                }
                _ => Err(eval.error("expected a constant")),
            }
        })
    }

    fn parenthesised(&mut self) -> Read<Value> {
        if let Some((cast, behind)) = self.names.cast(self.at + 1)? {
            self.at = behind;
            let value = self.unary()?;
            return Ok(match cast {
                Cast::Int { bytes, signed } => Value::wrapped(value.value, bytes, signed),
                Cast::Bool => Value { value: i128::from(value.is_true()), bytes: 1, signed: false },
            });
        }
        self.at += 1;
        let mut value = self.ternary()?;
        while self.eat(",") {
            value = self.ternary()?;
        }
        self.expect(")")?;
        Ok(value)
    }

    fn skip_parentheses(&mut self) {
        let mut depth = 0u32;
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            if token.is("(") {
                depth += 1;
            } else if token.is(")") {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            }
        }
    }

    fn named(&mut self, word: Sym, span: Span) -> Read<Value> {
        if self.names.text(word) == "__extension__" {
            self.at += 1;
            return self.unary();
        }
        if let Some((value, behind)) = self.names.type_query(word, self.at + 1)? {
            self.at = behind;
            return Ok(value);
        }
        let value = self.names.name(word, span);
        self.at += 1;
        if self.dead > 0 && self.is("(") {
            // A function that is not called.
            self.skip_parentheses();
            return Ok(Value::int(0));
        }
        value
    }
}

/// The usual arithmetic conversions.
fn common(a: Value, b: Value) -> (Value, Value) {
    let (a, b) = (a.promoted(), b.promoted());
    let (bytes, signed) = match a.bytes.cmp(&b.bytes) {
        std::cmp::Ordering::Greater => (a.bytes, a.signed),
        std::cmp::Ordering::Less => (b.bytes, b.signed),
        std::cmp::Ordering::Equal => (a.bytes, a.signed && b.signed),
    };
    (Value::wrapped(a.value, bytes, signed), Value::wrapped(b.value, bytes, signed))
}

/// The value if there is one.
fn apply(op: &str, a: Value, b: Value) -> Option<Value> {
    if matches!(op, "<<" | ">>") {
        let a = a.promoted();
        let by = u32::try_from(b.value).ok().filter(|&by| by < u32::from(a.bytes) * 8)?;
        let value = if op == "<<" { a.value << by } else { a.value >> by };
        return Some(Value::wrapped(value, a.bytes, a.signed));
    }
    if matches!(op, "||" | "&&") {
        return Some(Value::bool(if op == "||" {
            a.is_true() || b.is_true()
        } else {
            a.is_true() && b.is_true()
        }));
    }
    let (a, b) = common(a, b);
    let (x, y) = (a.value, b.value);
    let number = match op {
        "==" => return Some(Value::bool(x == y)),
        "!=" => return Some(Value::bool(x != y)),
        "<" => return Some(Value::bool(x < y)),
        ">" => return Some(Value::bool(x > y)),
        "<=" => return Some(Value::bool(x <= y)),
        ">=" => return Some(Value::bool(x >= y)),
        "|" => x | y,
        "^" => x ^ y,
        "&" => x & y,
        "+" => x + y,
        "-" => x - y,
        "*" => x.wrapping_mul(y),
        "/" => x.checked_div(y)?,
        _ => x.checked_rem(y)?,
    };
    Some(Value::wrapped(number, a.bytes, a.signed))
}

/// The value and type of an integer constant (C17 6.4.4.1).
pub(super) fn parse_number(word: &str) -> Option<Value> {
    let lower = word.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', ..] => (&lower[..], 8),
        _ => (&lower[..], 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (digits, suffix) = digits.split_at(end);
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let (unsigned, long) = match suffix {
        "" => (false, false),
        "u" => (true, false),
        "l" | "ll" => (false, true),
        "ul" | "ull" | "lu" | "llu" => (true, true),
        _ => return None,
    };
    let types = [(4, true), (4, false), (8, true), (8, false)];
    let fits = |&(bytes, signed): &(u8, bool)| {
        (!unsigned || !signed)
            && (unsigned || radix != 10 || signed)
            && (!long || bytes == 8)
            && Value::wrapped(value, bytes, signed).value == value
    };
    let (bytes, signed) = types.into_iter().find(fits).unwrap_or((8, false));
    Some(Value { value, bytes, signed })
}

/// The value of a character constant; several characters make one number, as in GCC.
fn parse_char(text: &str) -> Option<Value> {
    let wide = !text.starts_with('\'');
    let inner = text.trim_start_matches(['L', 'u', 'U']).strip_prefix('\'')?.strip_suffix('\'')?;
    if wide {
        let c = inner.chars().next()?;
        return (inner.chars().count() == 1 && c != '\\').then(|| Value::int(u32::from(c).into()));
    }
    let (mut rest, mut value, mut count) = (inner.as_bytes(), 0i128, 0);
    while let Some((&first, after)) = rest.split_first() {
        let (byte, used) = if first == b'\\' { escape(after)? } else { (first, 0) };
        rest = &after[used..];
        value = value << 8 | i128::from(byte);
        count += 1;
        if count > 4 {
            return None;
        }
    }
    match count {
        0 => None,
        // Plain `char` has a sign.
        1 => Some(Value { bytes: 4, ..Value::wrapped(value, 1, true) }),
        _ => Some(Value::int(value)),
    }
}

/// The byte that an escape stands for and its length without the backslash.
pub(super) fn escape(after: &[u8]) -> Option<(u8, usize)> {
    let simple = match after.first()? {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'v' => 11,
        b'e' => 27,
        b'x' => {
            let digits = after[1..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
            let text = std::str::from_utf8(&after[1..1 + digits]).ok()?;
            return Some((u8::from_str_radix(text, 16).ok()?, 1 + digits));
        }
        b'0'..=b'7' => {
            let digits = after.iter().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
            let text = std::str::from_utf8(&after[..digits]).ok()?;
            return Some((u8::from_str_radix(text, 8).ok()?, digits));
        }
        &other => other,
    };
    Some((simple, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_types_of_c() {
        for (text, value, bytes, signed) in [
            ("0", 0, 4, true),
            ("017", 15, 4, true),
            ("2147483648", 2_147_483_648, 8, true),
            ("0x80000000", 0x8000_0000, 4, false),
            ("0x8000000000000000", 1 << 63, 8, false),
            ("1uLL", 1, 8, false),
            ("0b101", 5, 4, true),
        ] {
            assert_eq!(parse_number(text), Some(Value { value, bytes, signed }), "{text}");
        }
        for text in ["1.5", "1e3", "08", "0x", "1ulu", "99999999999999999999"] {
            assert_eq!(parse_number(text), None, "{text}");
        }
    }

    #[test]
    fn characters() {
        let value = |text| parse_char(text).map(|v| v.value);
        assert_eq!(value("'T'"), Some(84));
        assert_eq!(value(r"'\n'"), Some(10));
        assert_eq!(value(r"'\377'"), Some(-1));
        assert_eq!(value("'ab'"), Some(0x6162));
        assert_eq!((value("''"), value("'abcde'")), (None, None));
    }
}
