//! Integer constant expressions: array lengths, bit widths, enumerators and `#if`.

use super::token::{CTok, CToken};
use crate::diag::{Diag, codes};
use crate::syntax::ast::Span;

/// Parentheses and unary operators nest no deeper than this.
const MAX_NESTING: u32 = 64;

/// Gives a value to a name, or says why it has none.
pub(super) type Lookup<'a> = dyn Fn(&str, Span) -> Result<i128, Box<Diag>> + 'a;

/// Reads one expression from `tokens[*at..]` and moves `at` behind it. `here` is blamed when there
/// are no tokens.
pub(super) fn eval(
    tokens: &[CToken],
    at: &mut usize,
    here: Span,
    lookup: &Lookup<'_>,
) -> Result<i128, Box<Diag>> {
    let mut eval = Eval { tokens, at: *at, here, lookup, depth: 0 };
    let value = eval.ternary()?;
    *at = eval.at;
    Ok(value)
}

struct Eval<'a> {
    tokens: &'a [CToken],
    at: usize,
    here: Span,
    lookup: &'a Lookup<'a>,
    depth: u32,
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

impl Eval<'_> {
    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(self.here, |t| t.span)
    }

    fn error(&self, message: impl Into<String>) -> Box<Diag> {
        Box::new(Diag::error(&codes::BAD_CONSTANT, message, self.span(), ""))
    }

    fn eat(&mut self, punct: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|t| t.is(punct));
        self.at += usize::from(found);
        found
    }

    fn ternary(&mut self) -> Result<i128, Box<Diag>> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.error("constant expression nested too deeply"));
        }
        let mut value = self.binary(0)?;
        if self.eat("?") {
            let then = self.ternary()?;
            if !self.eat(":") {
                return Err(self.error("expected `:` in a constant expression"));
            }
            let otherwise = self.ternary()?;
            value = if value != 0 { then } else { otherwise };
        }
        self.depth -= 1;
        Ok(value)
    }

    fn binary(&mut self, level: usize) -> Result<i128, Box<Diag>> {
        let Some(ops) = LEVELS.get(level) else { return self.unary() };
        let mut value = self.binary(level + 1)?;
        while let Some(op) = ops.iter().find(|op| self.eat(op)) {
            let rhs = self.binary(level + 1)?;
            value = apply(op, value, rhs).ok_or_else(|| self.error("constant expression has no value"))?;
        }
        Ok(value)
    }

    fn unary(&mut self) -> Result<i128, Box<Diag>> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.error("constant expression nested too deeply"));
        }
        let value = if self.eat("-") {
            -self.unary()?
        } else if self.eat("+") {
            self.unary()?
        } else if self.eat("!") {
            i128::from(self.unary()? == 0)
        } else if self.eat("~") {
            !self.unary()?
        } else if self.eat("(") {
            let value = self.ternary()?;
            if !self.eat(")") {
                return Err(self.error("expected `)` in a constant expression"));
            }
            value
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn primary(&mut self) -> Result<i128, Box<Diag>> {
        let value = match self.tokens.get(self.at).map(|t| &t.tok) {
            Some(CTok::Int(value)) => *value,
            Some(CTok::Ident(name)) => (self.lookup)(name, self.span())?,
            _ => return Err(self.error("expected a constant")),
        };
        self.at += 1;
        Ok(value)
    }
}

/// The value if it exists and stays within what `i64` and `u64` hold together.
fn apply(op: &str, a: i128, b: i128) -> Option<i128> {
    let shift = || u32::try_from(b).ok().filter(|&b| b < 64);
    let value = match op {
        "||" => i128::from(a != 0 || b != 0),
        "&&" => i128::from(a != 0 && b != 0),
        "|" => a | b,
        "^" => a ^ b,
        "&" => a & b,
        "==" => i128::from(a == b),
        "!=" => i128::from(a != b),
        "<" => i128::from(a < b),
        ">" => i128::from(a > b),
        "<=" => i128::from(a <= b),
        ">=" => i128::from(a >= b),
        "<<" => a << shift()?,
        ">>" => a >> shift()?,
        "+" => a + b,
        "-" => a - b,
        "*" => a.checked_mul(b)?,
        "/" => a.checked_div(b)?,
        _ => a.checked_rem(b)?,
    };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}
