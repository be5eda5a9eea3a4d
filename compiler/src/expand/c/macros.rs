//! Macros: their definition and their replacement.
//!
//! Input    `#define` lines; names as the preprocessor meets them
//! Output   the expansion in front of the rest of the text
//! Ensures  no name is replaced inside its own expansion (C17 6.10.3.4): a macro is `active` while its tokens
//!          are pending, and a name met meanwhile is frozen

use std::cell::Cell;
use std::rc::Rc;

use super::preprocess::Preprocessor;
use super::token::{Kind, Sym, Token, lex, without_comments};
use crate::diag::codes;
use crate::syntax::ast::Span;

/// Calls in arguments of calls nest no deeper than this.
const DEPTH_MAX: u32 = 64;

/// `#define name body`.
#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name_span: Span,
    /// Absent for an object-like macro.
    params: Option<Vec<Sym>>,
    /// The last parameter takes all arguments left.
    variadic: bool,
    pub(super) body: Rc<[Token]>,
    /// Its expansion is being read.
    pub(super) active: Cell<bool>,
}

impl Macro {
    pub(super) fn takes_args(&self) -> bool {
        self.params.is_some()
    }
}

/// The arguments of a call.
struct Args {
    raw: Vec<Vec<Token>>,
    /// Expanded when first needed.
    full: Vec<Option<Rc<[Token]>>>,
}

impl Preprocessor<'_> {
    /// `#define`, from the name on.
    pub(super) fn define(&mut self, line: &[Token], here: Span) {
        let Some((name, behind)) = line.split_first() else {
            return self.error(here, "`#define` without a name");
        };
        let Some(sym) = name.ident() else { return self.error(name.span, "`#define` without a name") };
        if sym == self.words.defined {
            return self.error(name.span, "`defined` cannot be defined");
        }
        let (mut params, mut variadic, mut body) = (None, false, behind);
        if let [open, rest @ ..] = behind
            && open.is("(")
            && !open.space
        {
            let Some((found, more, after)) = self.parameters(rest) else {
                return self.error(name.span, "the parameters of this macro cannot be read");
            };
            (params, variadic, body) = (Some(found), more, after);
        }
        if body.first().is_some_and(|t| t.is("##")) || body.last().is_some_and(|t| t.is("##")) {
            return self.error(name.span, "`##` needs a token on both sides");
        }
        self.count(body.len() as u32, here);
        let new =
            Macro { name_span: name.span, params, variadic, body: body.into(), active: Cell::new(false) };
        self.macros.insert(sym, Rc::new(new));
    }

    /// `#define name 1`.
    pub(super) fn define_true(&mut self, name: &str) {
        let (name, one) = (self.names.add(name), self.names.add("1"));
        let body = Rc::new([Token::new(Kind::Number(one), Span::default())]);
        let new = Macro {
            name_span: Span::default(),
            params: None,
            variadic: false,
            body,
            active: Cell::new(false),
        };
        self.macros.insert(name, Rc::new(new));
    }

    /// The text of an object-like macro's body, comments blanked out, and its place.
    pub(super) fn body_text(&self, known: &Macro) -> (String, Span) {
        let (Some(first), Some(last)) = (known.body.first(), known.body.last()) else {
            return (String::new(), known.name_span);
        };
        let span = first.span.to(last.span);
        (without_comments(self.source(span)), span)
    }

    /// Parameters up to `)`, whether the last is variadic, and what follows.
    fn parameters<'t>(&self, mut rest: &'t [Token]) -> Option<(Vec<Sym>, bool, &'t [Token])> {
        let mut params = Vec::new();
        if rest.first()?.is(")") {
            return Some((params, false, &rest[1..]));
        }
        loop {
            let (first, after) = rest.split_first()?;
            let variadic = match first.ident() {
                Some(name) if params.contains(&name) => return None,
                Some(name) => {
                    params.push(name);
                    after.first()?.is("...")
                }
                None if first.is("...") => {
                    params.push(self.words.va_args);
                    true
                }
                None => return None,
            };
            rest = if variadic && first.ident().is_some() { &after[1..] } else { after };
            let (separator, after) = rest.split_first()?;
            rest = after;
            if separator.is(")") {
                return Some((params, variadic, rest));
            }
            if variadic || !separator.is(",") {
                return None;
            }
        }
    }

    /// Replaces `name` if it is a macro; gives the token back if it is not.
    pub(super) fn expand(&mut self, name: Sym, token: Token) -> Option<Token> {
        if name == self.words.pragma {
            return self.skip_pragma_operator(token);
        }
        let Some(known) = self.macros.get(&name) else { return Some(token) };
        if known.active.get() {
            return Some(Token { frozen: true, ..token });
        }
        let known = Rc::clone(known);
        let Some(params) = &known.params else {
            let body = known.body.iter().enumerate().map(|(i, t)| placed(*t, token, i == 0));
            let body = self.paste_all(body.collect());
            self.push(body.into(), Some(name), false);
            return None;
        };
        let next = self.next_raw();
        if !next.is("(") {
            if next.kind != Kind::End {
                self.pending.push(super::preprocess::Pending {
                    tokens: Rc::new([next]),
                    at: 0,
                    of: None,
                    barrier: false,
                });
            }
            return Some(token);
        }
        let Some(raw) = self.arguments(token.span) else { return Some(token) };
        let Some(args) = fit(raw, params.len(), known.variadic) else {
            let text = self.names.text(name).to_owned();
            self.error(token.span, format!("the macro `{text}` is used with a wrong number of arguments"));
            return None;
        };
        let body = self.substitute(&known, params, args, token);
        self.push(body.into(), Some(name), false);
        None
    }

    /// The arguments up to `)`.
    fn arguments(&mut self, span: Span) -> Option<Vec<Vec<Token>>> {
        let (mut args, mut nesting) = (vec![Vec::new()], 0u32);
        loop {
            let token = self.next_raw();
            match token.kind {
                Kind::End => {
                    self.error(span, "the arguments of this macro have no end");
                    return None;
                }
                Kind::Punct(")") if nesting == 0 => return Some(args),
                Kind::Punct(",") if nesting == 0 => {
                    self.count(1, span);
                    args.push(Vec::new());
                    continue;
                }
                Kind::Punct("(") => nesting += 1,
                Kind::Punct(")") => nesting -= 1,
                _ => {}
            }
            self.count(1, span);
            args.last_mut()?.push(token);
        }
    }

    /// An argument with its macros replaced.
    fn expanded(&mut self, raw: &[Token], span: Span) -> Rc<[Token]> {
        if !raw.iter().any(|t| matches!(t.kind, Kind::Ident(_)) && !t.frozen) {
            return raw.into();
        }
        if self.depth >= DEPTH_MAX {
            self.stop(span, "macro calls are nested too deeply");
            return Rc::new([]);
        }
        self.depth += 1;
        let expanded = self.expand_all(raw);
        self.depth -= 1;
        expanded.into()
    }

    /// These tokens and no others, macros replaced.
    pub(super) fn expand_all(&mut self, raw: &[Token]) -> Vec<Token> {
        let floor = self.pending.len();
        self.push(raw.into(), None, true);
        let mut out = Vec::new();
        loop {
            let token = self.next();
            if token.kind == Kind::End {
                break;
            }
            out.push(token);
        }
        while self.pending.len() > floor {
            self.drop_pending();
        }
        out
    }

    /// The body with its parameters replaced.
    fn substitute(&mut self, known: &Macro, params: &[Sym], mut args: Args, call: Token) -> Vec<Token> {
        let position = |t: &Token| params.iter().position(|p| t.ident() == Some(*p));
        let (mut out, body) = (Vec::new(), &known.body);
        let mut at = 0;
        while let Some(token) = body.get(at) {
            let first = at == 0;
            at += 1;
            if token.is("#")
                && let Some(param) = body.get(at).and_then(position)
            {
                at += 1;
                out.push(placed(self.stringify(&args.raw[param], token.span), call, first));
                continue;
            }
            let pasted = body.get(at).is_some_and(|t| t.is("##"));
            let behind_paste = at >= 2 && body[at - 2].is("##");
            let Some(param) = position(token) else {
                // GNU: `, ##__VA_ARGS__` without arguments takes the comma away.
                let variadic = |t: &Token| known.variadic && position(t) == Some(params.len() - 1);
                if token.is(",") && pasted && body.get(at + 1).is_some_and(variadic) {
                    at += 2;
                    let rest = self.full(&mut args, params.len() - 1, call.span);
                    if !args.raw[params.len() - 1].is_empty() {
                        out.push(placed(*token, call, first));
                        out.extend_from_slice(&rest);
                    }
                    continue;
                }
                out.push(placed(*token, call, first));
                continue;
            };
            let replacement: Rc<[Token]> = match pasted || behind_paste {
                true => args.raw[param].as_slice().into(),
                false => self.full(&mut args, param, call.span),
            };
            self.count(replacement.len() as u32, call.span);
            let nothing = replacement.is_empty() && (pasted || behind_paste);
            out.extend(nothing.then(|| Token::new(Kind::Other(PLACEMARKER), call.span)));
            let start = out.len();
            // A `##` of the caller's is a token like any other.
            out.extend(replacement.iter().map(|t| Token { frozen: t.frozen || t.is("##"), ..*t }));
            if let Some(first) = out.get_mut(start) {
                first.space = token.space;
            }
        }
        let mut out = self.paste_all(out);
        out.retain(|t| t.kind != Kind::Other(PLACEMARKER));
        out
    }

    fn full(&mut self, args: &mut Args, param: usize, span: Span) -> Rc<[Token]> {
        if let Some(known) = &args.full[param] {
            return Rc::clone(known);
        }
        let full = self.expanded(&args.raw[param], span);
        args.full[param] = Some(Rc::clone(&full));
        full
    }

    fn stringify(&mut self, raw: &[Token], span: Span) -> Token {
        let mut text = String::from("\"");
        for (i, token) in raw.iter().enumerate() {
            if i > 0 && (token.space || token.line_start) {
                text.push(' ');
            }
            let spelling = self.spelling(*token);
            match token.kind {
                Kind::Str(_) | Kind::Char(_) => {
                    text.push_str(&spelling.replace('\\', "\\\\").replace('"', "\\\""))
                }
                _ => text.push_str(&spelling),
            }
        }
        text.push('"');
        self.count(text.len() as u32 / 4, span);
        Token::new(Kind::Str(self.names.add(&text)), span)
    }

    pub(super) fn spelling(&self, token: Token) -> String {
        match token.kind {
            Kind::Ident(sym) | Kind::Number(sym) | Kind::Str(sym) | Kind::Char(sym) => {
                self.names.text(sym).to_owned()
            }
            Kind::Punct(punct) => punct.to_owned(),
            Kind::Other(PLACEMARKER) | Kind::Pack(_) | Kind::End => String::new(),
            Kind::Other(c) => c.to_string(),
        }
    }

    /// Joins the tokens around every `##` of a body.
    fn paste_all(&mut self, tokens: Vec<Token>) -> Vec<Token> {
        if !tokens.iter().any(|t| t.is("##") && !t.frozen) {
            return tokens;
        }
        let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
        let mut rest = tokens.into_iter();
        while let Some(token) = rest.next() {
            let (true, Some(left)) = (token.is("##") && !token.frozen, out.last().copied()) else {
                out.push(token);
                continue;
            };
            let Some(right) = rest.next() else { break };
            let text = self.spelling(left) + &self.spelling(right);
            self.count(1 + text.len() as u32 / 4, left.span);
            let joined = lex(&text, 0, &mut self.names);
            out.pop();
            let kind = match joined.as_slice() {
                [] => Kind::Other(PLACEMARKER),
                [one] => one.kind,
                _ => {
                    // What does not join stays apart.
                    out.extend([left, right]);
                    continue;
                }
            };
            out.push(Token { kind, frozen: false, ..left });
        }
        out
    }

    /// `_Pragma ( "text" )` is nothing to a reader of declarations.
    fn skip_pragma_operator(&mut self, token: Token) -> Option<Token> {
        let next = self.next_raw();
        if next.is("(") {
            self.arguments(token.span);
        }
        None
    }

    /// `#undef`, from the name on.
    pub(super) fn undefine(&mut self, line: &[Token], here: Span) {
        match line.first().and_then(Token::ident) {
            Some(name) => {
                self.macros.remove(&name);
            }
            None => self.report(&codes::BAD_DIRECTIVE, "`#undef` without a name", here),
        }
    }
}

/// Stands for an empty argument beside `##`.
const PLACEMARKER: char = '\u{0}';

/// A token of a body where its macro is used.
fn placed(token: Token, call: Token, first: bool) -> Token {
    let space = if first { call.space } else { token.space };
    Token { span: call.span, space, line_start: false, ..token }
}

/// Arguments as the parameters want them; none if there are too many or too few.
fn fit(mut raw: Vec<Vec<Token>>, params: usize, variadic: bool) -> Option<Args> {
    if params == 0 && raw.len() == 1 && raw[0].is_empty() {
        raw.clear();
    }
    if variadic && raw.len() >= params {
        let comma = |token: &Token| Token::new(Kind::Punct(","), token.span);
        let rest: Vec<Vec<Token>> = raw.drain(params - 1..).collect();
        let mut joined: Vec<Token> = Vec::new();
        for (i, arg) in rest.into_iter().enumerate() {
            if i > 0 {
                let span = joined.last().or(arg.first()).copied();
                joined.push(comma(&span.unwrap_or(Token::new(Kind::End, Span::default()))));
            }
            joined.extend(arg);
        }
        raw.push(joined);
    } else if variadic && raw.len() + 1 == params {
        raw.push(Vec::new());
    }
    let full = vec![None; raw.len()];
    (raw.len() == params).then_some(Args { raw, full })
}
