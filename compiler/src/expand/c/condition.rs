//! Preprocessor lines: conditions and what else starts with `#`.
//!
//! Ensures  text in branches that are not taken is passed over unread; every `#if` ends in its file

use super::constant::{Eval, Names, Value};
use super::preprocess::{Line, Preprocessor};
use super::token::{Interner, Kind, Pack, Sym, Token};
use crate::diag::{Diag, codes};
use crate::syntax::ast::Span;

/// An open `#if`.
pub(super) struct Branch {
    span: Span,
    /// A branch was read already.
    taken: bool,
    seen_else: bool,
}

impl Preprocessor<'_> {
    /// Follows one line; `hash` is its `#`.
    pub(super) fn directive(&mut self, hash: Token, line: &Line) {
        let tokens = line.tokens();
        let Some((word, rest)) = tokens.split_first() else { return };
        let span = tokens.last().map_or(hash.span, |last| hash.span.to(last.span));
        let text = self.spelling(*word);
        match text.as_str() {
            "if" | "ifdef" | "ifndef" => {
                let taken = self.is_true(&text, rest, span);
                self.branches.push(Branch { span, taken, seen_else: false });
                if !taken {
                    self.skip_branches();
                }
            }
            // Reached from a branch that was read: the others are not.
            "elif" | "else" => {
                match self.branches.last_mut() {
                    None => self.error(span, "`#else` or `#elif` without `#if`"),
                    Some(branch) if branch.seen_else => {
                        self.error(span, "`#else` or `#elif` behind `#else`");
                    }
                    Some(branch) => branch.seen_else = text == "else",
                }
                self.skip_branches();
            }
            "endif" => {
                if self.branches.pop().is_none() {
                    self.error(span, "`#endif` without `#if`");
                }
            }
            "define" => self.define(rest, span),
            "undef" => self.undefine(rest, span),
            "include" | "include_next" | "import" => self.include_line(rest, span, text == "include_next"),
            "error" => {
                let text = rest
                    .first()
                    .zip(rest.last())
                    .map_or("", |(first, last)| self.source(first.span.to(last.span)));
                let place = if self.in_header(span) { "a header" } else { "the preamble" };
                let message = format!("{place} stops with an error: {text}");
                self.report(&codes::HASH_ERROR, message, span);
            }
            "pragma" => self.pragma(rest, span),
            // Notes to a C compiler.
            "warning" | "line" | "ident" | "sccs" | "assert" | "unassert" => {}
            _ => self.error(span, format!("unknown directive `#{text}`")),
        }
    }

    /// Passes over branches until one is to be read or the `#endif` is passed.
    fn skip_branches(&mut self) {
        let mut nested = 0u32;
        while let Some((hash, line)) = self.skip_to_directive() {
            let tokens = line.tokens();
            let Some((word, rest)) = tokens.split_first() else { continue };
            let Some(word) = word.ident().map(|sym| self.names.text(sym).to_owned()) else { continue };
            let span = tokens.last().map_or(hash.span, |last| hash.span.to(last.span));
            match word.as_str() {
                "if" | "ifdef" | "ifndef" => nested += 1,
                "endif" if nested > 0 => nested -= 1,
                "endif" => {
                    self.branches.pop();
                    return;
                }
                "elif" | "else" if nested == 0 => {
                    let Some(branch) = self.branches.last_mut() else { return };
                    if branch.seen_else {
                        self.error(span, "`#else` or `#elif` behind `#else`");
                        continue;
                    }
                    branch.seen_else = word == "else";
                    if branch.taken {
                        continue;
                    }
                    let taken = word == "else" || self.condition(rest, span);
                    if taken {
                        if let Some(branch) = self.branches.last_mut() {
                            branch.taken = true;
                        }
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    /// Reports the branches that a file leaves open.
    pub(super) fn close_branches(&mut self, floor: usize) {
        while self.branches.len() > floor {
            if let Some(branch) = self.branches.pop() {
                self.error(branch.span, "`#if` without `#endif`");
            }
        }
    }

    fn is_true(&mut self, word: &str, rest: &[Token], span: Span) -> bool {
        if word == "if" {
            return self.condition(rest, span);
        }
        let Some(name) = rest.first().and_then(Token::ident) else {
            self.error(span, "expected a name");
            return false;
        };
        self.is_defined(name) == (word == "ifdef")
    }

    fn is_defined(&self, name: Sym) -> bool {
        self.macros.contains_key(&name)
            || name == self.words.has_include
            || name == self.words.has_include_next
            || matches!(self.names.text(name), "__has_attribute" | "__has_builtin")
    }

    fn condition(&mut self, rest: &[Token], span: Span) -> bool {
        let tokens = self.replace_queries(rest);
        let tokens = self.expand_all(&tokens);
        // An expansion may ask as well.
        let tokens = self.replace_queries(&tokens);
        let mut names = Unnamed(&self.names);
        let mut eval = Eval::new(&tokens, 0, span, &mut names);
        let value = eval.ternary();
        let (at, value) = (eval.at, value);
        match (value, tokens.get(at)) {
            (Ok(value), None) => return value.value != 0,
            (Ok(_), Some(token)) => self.error(token.span, "unexpected text behind the condition"),
            (Err(diag), _) => {
                let diag = self.with_chain(*diag);
                self.push_diag(diag);
            }
        }
        false
    }

    /// Puts 0 or 1 for `defined X`, `__has_include(…)` and their kind.
    fn replace_queries(&mut self, tokens: &[Token]) -> Vec<Token> {
        let mut out = Vec::with_capacity(tokens.len());
        let mut rest = tokens;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            let answer = match first.ident() {
                Some(word) if word == self.words.defined => self.query_defined(after),
                Some(word) if word == self.words.has_include => self.query_header(after, false),
                Some(word) if word == self.words.has_include_next => self.query_header(after, true),
                Some(word) if matches!(self.names.text(word), "__has_attribute" | "__has_builtin") => {
                    parenthesised(after).map(|(_, used)| (false, used))
                }
                _ => None,
            };
            match answer {
                None => out.push(*first),
                Some((value, used)) => {
                    let digit = self.names.add(if value { "1" } else { "0" });
                    out.push(Token { kind: Kind::Number(digit), ..*first });
                    rest = &after[used..];
                }
            }
        }
        out
    }

    /// The answer and how many tokens asked.
    fn query_defined(&self, after: &[Token]) -> Option<(bool, usize)> {
        match after {
            [open, name, close, ..] if open.is("(") && close.is(")") => {
                Some((self.is_defined(name.ident()?), 3))
            }
            [name, ..] => Some((self.is_defined(name.ident()?), 1)),
            [] => None,
        }
    }

    fn query_header(&mut self, after: &[Token], next: bool) -> Option<(bool, usize)> {
        let (inner, used) = parenthesised(after)?;
        let (name, quoted) = self.header_name(inner)?;
        Some((self.has_header(&name, quoted, next), used))
    }

    /// `#include` from the name on.
    fn include_line(&mut self, rest: &[Token], span: Span, next: bool) {
        let name = self.header_name(rest).or_else(|| {
            let expanded = self.expand_all(rest);
            self.header_name(&expanded)
        });
        match name {
            Some((name, quoted)) if !name.is_empty() => self.include(&name, quoted, next, span),
            _ => self.error(span, "`#include` needs `<name>` or `\"name\"`"),
        }
    }

    /// The name, and whether it is quoted.
    fn header_name(&self, tokens: &[Token]) -> Option<(String, bool)> {
        match tokens {
            [Token { kind: Kind::Str(sym), .. }, ..] => {
                let text = self.names.text(*sym);
                Some((text.strip_prefix('"')?.strip_suffix('"')?.to_owned(), true))
            }
            [open, inner @ ..] if open.is("<") => {
                let close = inner.iter().position(|t| t.is(">"))?;
                let name = inner[..close].iter().enumerate().map(|(i, t)| {
                    let blank = if t.space && i > 0 { " " } else { "" };
                    blank.to_owned() + &self.spelling(*t)
                });
                Some((name.collect(), false))
            }
            _ => None,
        }
    }

    /// `once` and `pack` mean something, the others are notes to a compiler.
    fn pragma(&mut self, rest: &[Token], span: Span) {
        let word = rest.first().and_then(Token::ident).map(|sym| self.names.text(sym).to_owned());
        match word.as_deref() {
            Some("once") => self.once(),
            Some("pack") => {
                let inner = parenthesised(&rest[1..]).map_or(&[][..], |(inner, _)| inner);
                let number = inner.iter().find_map(|t| match t.kind {
                    Kind::Number(sym) => {
                        self.names.text(sym).parse().ok().filter(|n: &u8| n.is_power_of_two())
                    }
                    _ => None,
                });
                let has = |word: &str| {
                    inner.iter().any(|t| t.ident().is_some_and(|sym| self.names.text(sym) == word))
                };
                let pack = match (has("push"), has("pop")) {
                    (true, _) => Pack::Push(number),
                    (_, true) => Pack::Pop,
                    _ => Pack::Set(number.unwrap_or(0)),
                };
                self.pack(pack, span);
            }
            _ => {}
        }
    }
}

/// The tokens in the parentheses at the start, and how many tokens that is with them.
fn parenthesised(tokens: &[Token]) -> Option<(&[Token], usize)> {
    if !tokens.first()?.is("(") {
        return None;
    }
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth -= 1;
            if depth == 0 {
                return Some((&tokens[1..at], at + 1));
            }
        }
    }
    None
}

/// The name `X` if the whole file stands in one `#ifndef X`.
pub(super) fn guard(tokens: &[Token], names: &Interner) -> Option<Sym> {
    let is = |token: &Token, word: &str| token.ident().is_some_and(|sym| names.text(sym) == word);
    let [hash, word, name, after, ..] = tokens else { return None };
    if !hash.is("#") || !is(word, "ifndef") || !after.line_start {
        return None;
    }
    let mut depth = 0usize;
    for (at, pair) in tokens.windows(2).enumerate() {
        if !pair[0].line_start || !pair[0].is("#") {
            continue;
        }
        if ["if", "ifdef", "ifndef"].iter().any(|word| is(&pair[1], word)) {
            depth += 1;
        } else if is(&pair[1], "endif") {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                let rest = &tokens[at + 2..];
                return if rest.iter().any(|t| t.line_start) { None } else { name.ident() };
            }
        } else if depth == 1 && (is(&pair[1], "else") || is(&pair[1], "elif")) {
            return None;
        }
    }
    None
}

/// In a condition no name has a meaning: all are 0.
struct Unnamed<'a>(&'a Interner);

impl Names for Unnamed<'_> {
    fn text(&self, sym: Sym) -> &str {
        self.0.text(sym)
    }

    fn name(&mut self, _: Sym, _: Span) -> Result<Value, Box<Diag>> {
        Ok(Value::WIDE_ZERO)
    }

    fn is_condition(&self) -> bool {
        true
    }
}
