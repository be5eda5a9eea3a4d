//! Preprocessor lines: which definitions are live, and what `#define` defines.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::constant::eval;
use super::headers::{Header, header};
use super::token::{CTok, CToken, lex_c, without_comments};
use crate::diag::{Diag, codes};
use crate::syntax::ast::{CItem, CItemKind, Name, Span};

/// `#define name body`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::expand) struct Define {
    pub(in crate::expand) name: Name,
    /// The text behind the name, comments blanked out.
    pub(in crate::expand) body: String,
    /// Where the body stands; for constants of headers, the `#include`.
    pub(in crate::expand) body_span: Span,
    /// `#define name(…)`: of no use to the script.
    pub(in crate::expand) takes_args: bool,
}

/// The live definitions by name.
pub(in crate::expand) type Defines = BTreeMap<String, Define>;

/// An open `#if`.
struct Branch {
    span: Span,
    /// The text around the `#if` is live.
    outer: bool,
    /// This branch is live.
    live: bool,
    /// A branch was live already.
    taken: bool,
    seen_else: bool,
}

struct Preprocessor<'d> {
    defines: Defines,
    branches: Vec<Branch>,
    diags: &'d mut Vec<Diag>,
}

/// Follows the lines; returns the definitions in live branches and the names defined in the end.
pub(super) fn preprocess<'a>(items: &'a [CItem], diags: &mut Vec<Diag>) -> (Vec<&'a CItem>, Defines) {
    let mut pp = Preprocessor { defines: Defines::new(), branches: Vec::new(), diags };
    let mut live = Vec::new();
    for item in items {
        match item.kind {
            CItemKind::Definition if pp.is_live() => live.push(item),
            CItemKind::Definition => {}
            CItemKind::Directive => pp.directive(item),
        }
    }
    while let Some(branch) = pp.branches.pop() {
        let message = "`#if` without `#endif`";
        pp.diags.push(Diag::error(&codes::BAD_DIRECTIVE, message, branch.span, "not closed in the preamble"));
    }
    (live, pp.defines)
}

impl Preprocessor<'_> {
    fn is_live(&self) -> bool {
        self.branches.last().is_none_or(|b| b.live)
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.diags.push(Diag::error(&codes::BAD_DIRECTIVE, message, span, ""));
    }

    fn directive(&mut self, item: &CItem) {
        let text = without_comments(&item.text);
        let after_hash = text[1..].trim_start();
        let word = after_hash.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after_hash.len());
        let (word, rest) = after_hash.split_at(word);
        let line = Line { rest, offset: item.span.end - rest.len() as u32, span: item.span };
        match word {
            "if" => self.open(&line, |pp| pp.condition(&line)),
            "ifdef" => self.open(&line, |pp| pp.defined_in(&line)),
            "ifndef" => self.open(&line, |pp| !pp.defined_in(&line)),
            "elif" => self.next_branch(&line, false),
            "else" => self.next_branch(&line, true),
            "endif" => {
                if self.branches.pop().is_none() {
                    self.error(item.span, "`#endif` without `#if`");
                }
            }
            _ if !self.is_live() => {}
            "define" => self.define(&line),
            "undef" => {
                self.defines.remove(line.rest.trim());
            }
            "include" => self.include(&line),
            "error" => {
                let message = format!("the preamble stops with an error: {}", line.rest.trim());
                self.diags.push(Diag::error(&codes::HASH_ERROR, message, item.span, ""));
            }
            // Notes to a C compiler, and the lone `#`.
            "pragma" | "warning" | "line" | "ident" | "" => {}
            _ => self.error(item.span, format!("unknown directive `#{word}`")),
        }
    }

    fn open(&mut self, line: &Line<'_>, condition: impl Fn(&mut Self) -> bool) {
        let outer = self.is_live();
        let live = outer && condition(self);
        self.branches.push(Branch { span: line.span, outer, live, taken: live, seen_else: false });
    }

    fn next_branch(&mut self, line: &Line<'_>, is_else: bool) {
        let Some(mut branch) = self.branches.pop() else {
            return self.error(line.span, "`#else` or `#elif` without `#if`");
        };
        if branch.seen_else {
            self.error(line.span, "`#else` or `#elif` behind `#else`");
        }
        branch.live = branch.outer && !branch.taken && (is_else || self.condition(line));
        branch.taken |= branch.live;
        branch.seen_else |= is_else;
        self.branches.push(branch);
    }

    fn defined_in(&mut self, line: &Line<'_>) -> bool {
        let name = line.rest.trim();
        if !is_identifier(name) {
            self.error(line.span, "expected a name");
        }
        self.is_defined(name)
    }

    fn is_defined(&self, name: &str) -> bool {
        name == "BPFTRACE_HAVE_BTF" || self.defines.contains_key(name)
    }

    fn condition(&mut self, line: &Line<'_>) -> bool {
        let value = lex_c(line.rest, line.offset, &codes::BAD_DIRECTIVE).and_then(|tokens| {
            let tokens = self.replace_defined(tokens);
            let lookup = |name: &str, span: Span| match name {
                "BPFTRACE_HAVE_BTF" => Ok(1),
                _ if self.defines.contains_key(name) => value_of(&self.defines, name, span, &|_| Some(0)),
                _ => Ok(0),
            };
            let mut at = 0;
            let value = eval(&tokens, &mut at, line.span, &lookup)?;
            match tokens.get(at) {
                None => Ok(value),
                Some(t) => Err(Box::new(Diag::error(&codes::BAD_DIRECTIVE, "unexpected text", t.span, ""))),
            }
        });
        value.unwrap_or_else(|diag| {
            self.diags.push(*diag);
            0
        }) != 0
    }

    /// Puts 0 or 1 for `defined X` and `defined(X)`.
    fn replace_defined(&self, tokens: Vec<CToken>) -> Vec<CToken> {
        let mut out = Vec::with_capacity(tokens.len());
        let mut rest = tokens.as_slice();
        while let [first, after @ ..] = rest {
            let is_defined = matches!(&first.tok, CTok::Ident(word) if word == "defined");
            let (name, skip) = match after {
                [open, CToken { tok: CTok::Ident(name), .. }, close, ..] if open.is("(") && close.is(")") => {
                    (name, 4)
                }
                [CToken { tok: CTok::Ident(name), .. }, ..] => (name, 2),
                _ => {
                    out.push(first.clone());
                    rest = after;
                    continue;
                }
            };
            if is_defined {
                let value = i128::from(self.is_defined(name));
                out.push(CToken { tok: CTok::Int(value), span: first.span });
                rest = &rest[skip..];
            } else {
                out.push(first.clone());
                rest = after;
            }
        }
        out
    }

    fn define(&mut self, line: &Line<'_>) {
        let name = line.rest.trim_start();
        let start = line.offset + (line.rest.len() - name.len()) as u32;
        let len = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        let (name, behind) = name.split_at(len);
        if !is_identifier(name) {
            return self.error(line.span, "`#define` without a name");
        }
        let body = behind.trim();
        let body_start = start + (name.len() + behind.len() - behind.trim_start().len()) as u32;
        let define = Define {
            name: Name { text: name.to_owned(), span: Span::new(start, start + name.len() as u32) },
            body: body.to_owned(),
            body_span: Span::new(body_start, body_start + body.len() as u32),
            takes_args: behind.starts_with('('),
        };
        self.defines.insert(name.to_owned(), define);
    }

    fn include(&mut self, line: &Line<'_>) {
        let name = line.rest.trim();
        let quoted = name.strip_prefix('<').and_then(|n| n.strip_suffix('>'));
        match quoted.map_or(Header::Unknown, header) {
            Header::Known(constants) => {
                for (constant, value) in constants {
                    let define = Define {
                        name: Name { text: (*constant).to_owned(), span: line.span },
                        body: (*value).to_owned(),
                        body_span: line.span,
                        takes_args: false,
                    };
                    self.defines.entry((*constant).to_owned()).or_insert(define);
                }
            }
            Header::Unknown => {
                let diag = Diag::unsupported(&format!("`#include {name}`"), line.span);
                self.diags.push(diag.help("write the definitions the script needs into its preamble"));
            }
        }
    }
}

/// A directive behind its keyword.
struct Line<'a> {
    rest: &'a str,
    offset: u32,
    span: Span,
}

fn is_identifier(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// The value of a `#define` as an integer constant. `other` knows names that are not defined.
pub(super) fn value_of(
    defines: &Defines,
    name: &str,
    span: Span,
    other: &dyn Fn(&str) -> Option<i128>,
) -> Result<i128, Box<Diag>> {
    let active = RefCell::new(Vec::new());
    value_within(defines, name, span, other, &active)
}

fn value_within(
    defines: &Defines,
    name: &str,
    span: Span,
    other: &dyn Fn(&str) -> Option<i128>,
    active: &RefCell<Vec<String>>,
) -> Result<i128, Box<Diag>> {
    let none = |message: String| Box::new(Diag::error(&codes::BAD_CONSTANT, message, span, ""));
    let Some(define) = defines.get(name).filter(|d| !d.takes_args) else {
        return other(name).ok_or_else(|| none(format!("`{name}` is not a known constant")));
    };
    // The limit also bounds the recursion of long chains.
    if active.borrow().iter().any(|n| n == name) || active.borrow().len() >= 32 {
        let message = format!("`{name}` is defined by itself");
        return Err(Box::new(Diag::error(&codes::RECURSIVE_DEFINE, message, define.name.span, "")));
    }
    active.borrow_mut().push(name.to_owned());
    let tokens = lex_c(&define.body, define.body_span.start, &codes::BAD_CONSTANT)?;
    let lookup = |n: &str, _: Span| value_within(defines, n, span, other, active);
    let mut at = 0;
    let value = eval(&tokens, &mut at, define.body_span, &lookup)?;
    active.borrow_mut().pop();
    match tokens.get(at) {
        None => Ok(value),
        Some(_) => Err(none(format!("`{name}` does not stand for one constant"))),
    }
}
