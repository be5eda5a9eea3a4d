//! Puts a refusal of the grammar into words.

use super::ast::Span;
use super::token::{Sym, Tok, Token};
use crate::diag::{Diag, codes};

/// The token the grammar refused and the terminals it would have taken.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) at: usize,
    /// Names of terminals as the grammar spells them, in quotes.
    pub(super) expected: Vec<String>,
}

impl Refusal {
    pub(super) fn expects(&self, terminal: &str) -> bool {
        self.expected.iter().any(|e| e.trim_matches('"') == terminal)
    }

    /// What could stand here, shortened to what a reader can use.
    fn wanted(&self) -> String {
        let mut wanted = Vec::new();
        let groups = [
            ("while", "a statement"),
            ("number", "an expression"),
            ("name", "a name"),
            ("attach point", "an attach point"),
            ("$var", "a `$variable`"),
            ("@map", "a `@map`"),
            ("string", "a string"),
        ];
        if let Some((_, words)) = groups.iter().find(|(terminal, _)| self.expects(terminal)) {
            wanted.push((*words).to_owned());
        }
        for sign in [";", ",", ":", "=", "{", "}", ")", "]", "pred/", "call("] {
            // After a whole expression anything may follow; only the ends are worth a word.
            if self.expects(sign) && !(sign == "=" && self.expects("+")) {
                wanted.push(format!(
                    "`{}`",
                    if sign == "pred/" { "/" } else { sign.trim_start_matches("call") }
                ));
            }
        }
        if self.expects("+") && !self.expects("number") {
            wanted.push("an operator".to_owned());
        }
        match wanted.split_last() {
            None => String::new(),
            Some((last, [])) => format!("expected {last}"),
            Some((last, rest)) => format!("expected {} or {last}", rest.join(", ")),
        }
    }
}

/// The diagnostic for a refusal; `semi` tells that only a `;` is missing.
pub(super) fn explain(tokens: &[Token], refusal: &Refusal, semi: bool) -> Diag {
    let before = refusal.at.checked_sub(1).and_then(|i| tokens.get(i));
    if semi && let Some(before) = before {
        let end = Span::new(before.span.end, before.span.end);
        return Diag::error(&codes::UNEXPECTED, "missing `;` after a statement", end, "expected `;`");
    }
    let Some(token) = tokens.get(refusal.at) else {
        let end = before.map_or(0, |t| t.span.end);
        let message = "the script ends inside an item";
        return Diag::error(&codes::UNEXPECTED, message, Span::new(end, end), refusal.wanted());
    };
    let message = format!("unexpected {}", token.tok.describe());
    let diag = Diag::error(&codes::UNEXPECTED, message, token.span, refusal.wanted());
    if let Some(head) = bare_condition(tokens, refusal) {
        let help = format!("put the whole condition in parentheses: `{} (…) {{`", head.text());
        return diag.note("without parentheses a condition ends at the first operator").help(help);
    }
    match token.tok {
        Tok::Sym(Sym::Assign) => diag.help("compare with `==`; an assignment is a statement of its own"),
        Tok::Sym(Sym::Slash) => diag.note("a predicate stands between the attach points and the `{`"),
        _ => diag,
    }
}

/// The keyword of the condition that ends too early at the refused token.
fn bare_condition(tokens: &[Token], refusal: &Refusal) -> Option<Sym> {
    let operator = match &tokens[refusal.at].tok {
        Tok::Sym(Sym::Semi | Sym::CloseBrace | Sym::CloseParen | Sym::CloseBracket) => false,
        Tok::Sym(sym) => sym.text().bytes().all(|b| b.is_ascii_punctuation()),
        _ => false,
    };
    if !operator || !refusal.expects("{") {
        return None;
    }
    tokens[..refusal.at].iter().rev().find_map(|t| match t.tok {
        Tok::Sym(sym @ (Sym::If | Sym::OperandIf | Sym::While | Sym::Unroll)) => Some(sym),
        _ => None,
    })
}
