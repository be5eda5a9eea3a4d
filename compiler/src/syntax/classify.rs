//! Decides what each opening bracket means, which takes more lookahead than the grammar has.
//!
//! `if` and `{` at the start of a statement are a statement up to their last `}` unless an operator
//! follows there, as in `if $a { 1 } else { 2 } + 3`.
//!
//! `(` is tried in this order: condition right behind `if`, `while`, `unroll` and `for`; arguments
//! right behind a name; operand of `sizeof` and its relatives; record; cast; grouping.

use super::token::{Sym, Tok, Token, is_parser_builtin};

/// Replaces `Paren` and `Bracket` by the variants the grammar knows.
pub(super) fn classify(tokens: &mut [Token]) {
    let closers = match_brackets(tokens);
    let view = View { tokens, closers: &closers };
    let found: Vec<Option<Sym>> = (0..view.tokens.len()).map(|i| view.classify_at(i)).collect();
    for (token, sym) in tokens.iter_mut().zip(found) {
        if let Some(sym) = sym {
            token.tok = Tok::Sym(sym);
        }
    }
}

/// For every opening bracket the index of its partner; the lexer has balanced them.
fn match_brackets(tokens: &[Token]) -> Vec<usize> {
    let mut closers = vec![usize::MAX; tokens.len()];
    let mut open = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        match token.tok {
            Tok::Sym(Sym::Paren | Sym::Bracket | Sym::Brace) => open.push(i),
            Tok::Sym(Sym::CloseParen | Sym::CloseBracket | Sym::CloseBrace) => {
                if let Some(opener) = open.pop() {
                    closers[opener] = i;
                }
            }
            _ => {}
        }
    }
    closers
}

struct View<'a> {
    tokens: &'a [Token],
    closers: &'a [usize],
}

impl View<'_> {
    fn is(&self, at: usize, sym: Sym) -> bool {
        self.tokens.get(at).is_some_and(|t| t.is(sym))
    }

    fn classify_at(&self, at: usize) -> Option<Sym> {
        let before = at.checked_sub(1).map(|i| &self.tokens[i].tok);
        if let Tok::Sym(sym @ (Sym::If | Sym::Brace)) = self.tokens[at].tok {
            let starts = matches!(before, Some(Tok::Sym(Sym::Brace | Sym::CloseBrace | Sym::Semi)));
            let operand = if sym == Sym::If { Sym::OperandIf } else { Sym::OperandBrace };
            return (starts && self.is_operand(at)).then_some(operand);
        }
        if self.is(at, Sym::Bracket) {
            return matches!(before, Some(Tok::Map(_))).then_some(Sym::KeyBracket);
        }
        if !self.is(at, Sym::Paren) {
            return None;
        }
        match before {
            Some(Tok::Sym(Sym::If | Sym::While | Sym::Unroll | Sym::For)) => Some(Sym::CondParen),
            Some(Tok::Sym(Sym::Sizeof | Sym::Typeof | Sym::Typeinfo)) => {
                self.type_ends_with(at + 1, Sym::CloseParen).then_some(Sym::TypeParen)
            }
            Some(Tok::Sym(Sym::Offsetof)) => {
                self.type_ends_with(at + 1, Sym::Comma).then_some(Sym::TypeParen)
            }
            // A field is no function: `a.b (c)` is an error either way.
            Some(Tok::Ident(_)) => Some(Sym::CallParen),
            _ if self.is_record(at) => Some(Sym::RecordParen),
            _ if self.is_cast(at) => Some(Sym::CastParen),
            _ => None,
        }
    }

    /// Whether an operator follows the last `}` of the `if` or block.
    fn is_operand(&self, at: usize) -> bool {
        match self.block_like_end(at).and_then(|end| self.tokens.get(end)) {
            Some(Token { tok: Tok::Sym(sym), .. }) => matches!(
                sym.text(),
                "?" | "||"
                    | "&&"
                    | "|"
                    | "^"
                    | "&"
                    | "=="
                    | "!="
                    | "<"
                    | ">"
                    | "<="
                    | ">="
                    | "<<"
                    | ">>"
                    | "+"
                    | "-"
                    | "*"
                    | "/"
                    | "%"
                    | "."
                    | "->"
                    | "["
            ),
            _ => false,
        }
    }

    fn block_like_end(&self, mut at: usize) -> Option<usize> {
        loop {
            if self.is(at, Sym::If) {
                at += 1;
                // A condition without parentheses has no braces of its own.
                while !self.is(at, Sym::Brace) {
                    let close = *self.closers.get(at)?;
                    at = if close == usize::MAX { at } else { close } + 1;
                }
            }
            if !self.is(at, Sym::Brace) {
                return None;
            }
            at = self.closers[at].checked_add(1)?;
            if !self.is(at, Sym::Else) {
                return Some(at);
            }
            at += 1;
        }
    }

    fn is_record(&self, at: usize) -> bool {
        let named = match self.tokens.get(at + 1).map(|t| &t.tok) {
            Some(Tok::Ident(name)) => !is_parser_builtin(name),
            _ => false,
        };
        named && self.is(at + 2, Sym::Assign)
    }

    fn is_cast(&self, at: usize) -> bool {
        let Some(end) = self.skip_type(at + 1) else { return false };
        if !self.is(end, Sym::CloseParen) {
            return false;
        }
        // `(x)` and `(x[1])` may be values; anything longer can only be a type.
        let could_be_value = matches!(self.tokens[at + 1].tok, Tok::Ident(_))
            && !self.tokens[at + 1..end].iter().any(|t| t.is(Sym::Star))
            && !(at + 1..end).any(|i| self.is(i, Sym::Bracket) && self.is(i + 1, Sym::CloseBracket));
        !could_be_value || self.tokens.get(end + 1).is_some_and(|t| starts_operand(&t.tok))
    }

    fn type_ends_with(&self, at: usize, sym: Sym) -> bool {
        self.skip_type(at).is_some_and(|end| self.is(end, sym))
    }

    /// The index behind the type that starts at `at`.
    fn skip_type(&self, at: usize) -> Option<usize> {
        let mut end = match &self.tokens.get(at)?.tok {
            Tok::Ident(name) if !is_parser_builtin(name) => at + 1,
            Tok::Sym(Sym::Struct | Sym::Union | Sym::Enum) => match self.tokens.get(at + 1)?.tok {
                Tok::Ident(_) => at + 2,
                _ => return None,
            },
            Tok::Sym(Sym::Typeof) if self.is(at + 1, Sym::Paren) => self.closers[at + 1].checked_add(1)?,
            _ => return None,
        };
        loop {
            if self.is(end, Sym::Star) {
                end += 1;
            } else if self.is(end, Sym::Bracket) && self.is(end + 1, Sym::CloseBracket) {
                end += 2;
            } else if self.is(end, Sym::Bracket)
                && matches!(self.tokens.get(end + 1)?.tok, Tok::Int(_))
                && self.is(end + 2, Sym::CloseBracket)
            {
                end += 3;
            } else {
                return Some(end);
            }
        }
    }
}

/// Whether an operand can start with this token. It looks at the first character only, as the
/// language does: `(x) --y` is a cast.
fn starts_operand(tok: &Tok) -> bool {
    match tok {
        Tok::Sym(sym) => match sym.text() {
            "(" | "!" | "~" | "*" | "&" | "-" | "--" => true,
            text => text.starts_with(|c: char| c.is_ascii_alphabetic()),
        },
        Tok::AttachPoint(_) | Tok::BadStmt => false,
        _ => true,
    }
}
