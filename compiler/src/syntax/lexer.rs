//! Tokens of one item: the mode in which statements, expressions and predicates are read.
//!
//! Brackets are matched here and not in the grammar: a bracket that is missing is reported once and
//! put in place, so that the statements around it can still be read.

use super::ast::{IntLit, Span};
use super::cursor::{Cursor, is_word, is_word_start};
use super::number::{Place, parse_integer};
use super::strings::lex_string;
use super::token::{Sym, Tok, Token, keyword};
use crate::diag::{Diag, codes};

/// How deeply brackets may nest.
pub(super) const MAX_NESTING: usize = 128;

/// Reading stops after this many errors.
pub(super) const MAX_ERRORS: usize = 20;

/// Longest signs first, so that the first prefix is the right one.
const SIGNS: [Sym; 46] = [
    Sym::ShlAssign,
    Sym::ShrAssign,
    Sym::DotDot,
    Sym::Arrow,
    Sym::AddAssign,
    Sym::SubAssign,
    Sym::MulAssign,
    Sym::DivAssign,
    Sym::RemAssign,
    Sym::AndAssign,
    Sym::OrAssign,
    Sym::XorAssign,
    Sym::Inc,
    Sym::Dec,
    Sym::OrOr,
    Sym::AndAnd,
    Sym::EqEq,
    Sym::Ne,
    Sym::Le,
    Sym::Ge,
    Sym::Shl,
    Sym::Shr,
    Sym::Paren,
    Sym::CloseParen,
    Sym::Bracket,
    Sym::CloseBracket,
    Sym::Brace,
    Sym::CloseBrace,
    Sym::Semi,
    Sym::Comma,
    Sym::Colon,
    Sym::Question,
    Sym::Dot,
    Sym::Assign,
    Sym::Or,
    Sym::Xor,
    Sym::And,
    Sym::Lt,
    Sym::Gt,
    Sym::Plus,
    Sym::Minus,
    Sym::Star,
    Sym::Slash,
    Sym::Percent,
    Sym::Not,
    Sym::Tilde,
];

/// What ends an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The `}` of its block.
    Block,
    /// A `;`, which may be missing behind the last bracket or string.
    Semi,
}

/// Collects the tokens of one item.
#[derive(Debug)]
pub(super) struct Lexer<'a, 'b> {
    pub(super) cursor: &'b mut Cursor<'a>,
    pub(super) diags: &'b mut Vec<Diag>,
    pub(super) tokens: Vec<Token>,
    /// The item cannot be parsed and was reported.
    pub(super) broken: bool,
    open: Vec<(Sym, Span)>,
}

impl<'a, 'b> Lexer<'a, 'b> {
    pub(super) fn new(cursor: &'b mut Cursor<'a>, diags: &'b mut Vec<Diag>) -> Lexer<'a, 'b> {
        Lexer { cursor, diags, tokens: Vec::new(), broken: false, open: Vec::new() }
    }

    pub(super) fn push(&mut self, tok: Tok, start: u32) {
        self.tokens.push(Token { tok, span: self.cursor.span_from(start) });
    }

    /// Reads up to the end of the item. For `End::Block` the brackets in front of the block, such
    /// as those of macro parameters, are part of it.
    pub(super) fn lex_item(&mut self, end: End) {
        loop {
            self.cursor.skip_trivia();
            if self.cursor.at_end() || self.broken || self.diags.len() >= MAX_ERRORS {
                self.close_at_end_of_text();
                return;
            }
            self.lex_token();
            let Some(last) = self.tokens.last() else { continue };
            if !self.open.is_empty() {
                continue;
            }
            match end {
                End::Block if last.is(Sym::CloseBrace) => return,
                End::Semi if last.is(Sym::Semi) => return,
                End::Semi if last.is(Sym::CloseParen) || matches!(last.tok, Tok::Str(_)) => {
                    self.lex_optional_semi();
                    return;
                }
                End::Block | End::Semi => {}
            }
        }
    }

    /// Reads the whole text as part of one statement.
    pub(super) fn lex_to_end(&mut self) {
        loop {
            self.cursor.skip_trivia();
            if self.cursor.at_end() || self.broken {
                return self.close_at_end_of_text();
            }
            self.lex_token();
        }
    }

    fn lex_optional_semi(&mut self) {
        let mut ahead = self.cursor.clone();
        ahead.skip_trivia();
        if ahead.peek() == b';' {
            *self.cursor = ahead;
            self.lex_token();
        }
    }

    /// Reads `/ expression /`, whose first slash comes next. The slash in front of `{` closes it.
    pub(super) fn lex_predicate(&mut self) {
        let start = self.cursor.offset();
        self.cursor.bump();
        self.push(Tok::Sym(Sym::PredOpen), start);
        let first = self.tokens.len();
        loop {
            self.cursor.skip_trivia();
            let at = self.cursor.offset();
            match self.cursor.peek() {
                _ if self.cursor.at_end() || self.broken => {
                    self.open.clear();
                    return self.give_up(
                        Diag::error(
                            &codes::UNBALANCED,
                            "unclosed predicate",
                            Span::new(start, start + 1),
                            "starts here",
                        )
                        .help("close the predicate with `/` in front of the `{` of the body"),
                    );
                }
                b'/' if self.closes_predicate() => {
                    self.close_down_to(None, self.cursor.offset());
                    self.cursor.bump();
                    return self.push(Tok::Sym(Sym::PredClose), at);
                }
                b'{' if self.body_starts_here(first) => {
                    let message = "predicate not closed before the body";
                    let diag =
                        Diag::error(&codes::UNEXPECTED, message, Span::new(at, at + 1), "expected `/`")
                            .also(Span::new(start, start + 1), "the predicate starts here");
                    self.diags.push(diag);
                    return self.push(Tok::Sym(Sym::PredClose), at);
                }
                _ => self.lex_token(),
            }
        }
    }

    fn closes_predicate(&self) -> bool {
        let mut ahead = self.cursor.clone();
        ahead.bump();
        ahead.skip_trivia();
        ahead.peek() == b'{'
    }

    /// A `{` behind an operand cannot belong to the predicate unless an `if` waits for its block.
    fn body_starts_here(&self, first: usize) -> bool {
        let tokens = &self.tokens[first..];
        self.open.is_empty()
            && tokens.last().is_some_and(|t| t.tok.ends_operand())
            && !tokens.iter().any(|t| t.is(Sym::If))
    }

    fn lex_token(&mut self) {
        let start = self.cursor.offset();
        match self.cursor.peek() {
            b'"' => {
                let bytes = lex_string(self.cursor, self.diags);
                self.push(Tok::Str(bytes), start);
            }
            b'0'..=b'9' => self.lex_number(),
            b'$' => self.lex_dollar(),
            b'@' => {
                self.cursor.bump();
                let name = self.cursor.peek_word();
                self.cursor.eat(name);
                self.push(Tok::Map(name.to_owned()), start);
            }
            b if is_word_start(b) => self.lex_word(),
            _ => match SIGNS.into_iter().find(|sign| self.cursor.eat(sign.text())) {
                Some(sign) => self.push_sign(sign, start),
                None => self.lex_bad_character(),
            },
        }
    }

    fn lex_word(&mut self) {
        let start = self.cursor.offset();
        let word = self.cursor.take_while(is_word);
        // `import` is only a keyword in front of its path, and nothing is one behind a dot.
        let is_import = word == "import" && {
            let mut ahead = self.cursor.clone();
            ahead.skip_trivia();
            ahead.peek() == b'"'
        };
        let after_dot = self.tokens.last().is_some_and(|t| t.is(Sym::Dot) || t.is(Sym::Arrow));
        let sym = if is_import { Some(Sym::Import) } else { keyword(word) };
        match sym {
            Some(sym) if !after_dot => self.push(Tok::Sym(sym), start),
            _ => self.push(Tok::Ident(word.to_owned()), start),
        }
    }

    fn lex_number(&mut self) {
        let start = self.cursor.offset();
        let word = self.cursor.take_while(is_word);
        let tok = match parse_integer(word, Place::Source) {
            Ok(int) => Tok::Int(int),
            Err(why) => {
                let message = format!("integer `{word}` {why}");
                self.diags.push(Diag::error(&codes::BAD_INTEGER, message, self.cursor.span_from(start), ""));
                Tok::Int(IntLit { value: 0, duration: false })
            }
        };
        self.push(tok, start);
    }

    fn lex_dollar(&mut self) {
        let start = self.cursor.offset();
        self.cursor.bump();
        let next = self.cursor.peek();
        if self.cursor.eat("#") {
            self.push(Tok::ParamCount, start);
        } else if next.is_ascii_digit() {
            let digits = self.cursor.take_while(|b| b.is_ascii_digit());
            let n = digits.parse::<u64>().ok().filter(|&n| n > 0 && i64::try_from(n).is_ok());
            if n.is_none() {
                let message = format!("parameter `${digits}` is out of range");
                let span = self.cursor.span_from(start);
                let diag = Diag::error(&codes::BAD_PARAM, message, span, "");
                self.diags.push(diag.help("the first parameter is `$1`; `$#` is their number"));
            }
            self.push(Tok::Param(n.unwrap_or(1)), start);
        } else if is_word_start(next) {
            let name = self.cursor.take_while(is_word);
            self.push(Tok::Var(name.to_owned()), start);
        } else {
            let message = "`$` without a name or number";
            self.diags.push(Diag::error(&codes::BAD_CHARACTER, message, self.cursor.span_from(start), ""));
            self.push(Tok::BadExpr, start);
        }
    }

    fn lex_bad_character(&mut self) {
        let start = self.cursor.offset();
        if self.cursor.peek() == b'\'' {
            return self.lex_single_quoted();
        }
        let what = self.cursor.bump().map_or(String::new(), |c| c.escape_default().to_string());
        // One report for a whole word in a foreign script.
        self.cursor.take_while(|b| !b.is_ascii());
        let message = format!("unexpected character `{what}`");
        self.diags.push(Diag::error(&codes::BAD_CHARACTER, message, self.cursor.span_from(start), ""));
    }

    fn lex_single_quoted(&mut self) {
        let start = self.cursor.offset();
        self.cursor.bump();
        let mut ahead = self.cursor.clone();
        ahead.take_while(|b| b != b'\'' && b != b'\n');
        if ahead.eat("'") {
            *self.cursor = ahead;
        }
        let message = "single quotes do not make a string or character";
        let diag = Diag::error(&codes::BAD_CHARACTER, message, self.cursor.span_from(start), "");
        self.diags.push(diag.help("use double quotes; the number of a character is `\"x\"[0]`"));
        self.push(Tok::BadExpr, start);
    }

    fn push_sign(&mut self, sign: Sym, start: u32) {
        match sign {
            Sym::Paren | Sym::Bracket | Sym::Brace => {
                let span = self.cursor.span_from(start);
                self.open.push((sign, span));
                self.push(Tok::Sym(sign), start);
                if self.open.len() > MAX_NESTING {
                    let message = format!("more than {MAX_NESTING} brackets inside each other");
                    self.give_up(Diag::error(&codes::TOO_DEEP, message, span, "this one is too many"));
                }
            }
            Sym::CloseParen => self.close(Sym::Paren, sign, start),
            Sym::CloseBracket => self.close(Sym::Bracket, sign, start),
            Sym::CloseBrace => self.close(Sym::Brace, sign, start),
            // No statement ends inside round or square brackets.
            Sym::Semi => {
                self.close_down_to(Some(Sym::Brace), start);
                self.push(Tok::Sym(sign), start);
            }
            _ => self.push(Tok::Sym(sign), start),
        }
    }

    fn close(&mut self, opener: Sym, closer: Sym, start: u32) {
        let reachable = self.open.iter().rev().map(|&(sym, _)| sym);
        // Round and square brackets do not reach over a brace.
        let found = match opener {
            Sym::Brace => reachable.clone().any(|sym| sym == opener),
            _ => reachable.take_while(|&sym| sym != Sym::Brace).any(|sym| sym == opener),
        };
        if !found {
            let message = format!("`{}` without `{}`", closer.text(), opener.text());
            let span = self.cursor.span_from(start);
            self.diags.push(Diag::error(&codes::UNBALANCED, message, span, "closes nothing"));
            return;
        }
        self.close_down_to(Some(opener), start);
        self.open.pop();
        self.push(Tok::Sym(closer), start);
    }

    /// Reports brackets opened after the innermost `opener` (all, without one) and closes them.
    fn close_down_to(&mut self, opener: Option<Sym>, at: u32) {
        while let Some(&(sym, span)) = self.open.last() {
            if Some(sym) == opener {
                return;
            }
            self.open.pop();
            let closer = closer_of(sym);
            let diag = Diag::error(&codes::UNBALANCED, format!("unclosed `{}`", sym.text()), span, "");
            let here = Span::new(at, at + 1);
            self.diags.push(diag.also(here, format!("expected `{}` before this", closer.text())));
            // The last token but one ends where the bracket is missing.
            let end = self.tokens.last().map_or(at, |t| t.span.end);
            self.tokens.push(Token { tok: Tok::Sym(closer), span: Span::new(end, end) });
        }
    }

    fn close_at_end_of_text(&mut self) {
        let Some(&(sym, span)) = self.open.last() else { return };
        self.open.clear();
        if !self.broken && self.diags.len() < MAX_ERRORS {
            let message = format!("unclosed `{}`", sym.text());
            let label = "not closed by the end of the script";
            self.diags.push(Diag::error(&codes::UNBALANCED, message, span, label));
        }
        self.broken = true;
    }

    /// Reports what makes the rest of the text meaningless.
    fn give_up(&mut self, diag: Diag) {
        if !self.broken {
            self.diags.push(diag);
        }
        self.broken = true;
        while self.cursor.bump().is_some() {}
    }
}

fn closer_of(opener: Sym) -> Sym {
    match opener {
        Sym::Brace => Sym::CloseBrace,
        Sym::Bracket => Sym::CloseBracket,
        _ => Sym::CloseParen,
    }
}
