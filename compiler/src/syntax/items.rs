//! Cuts a script into items: the root of the text, where the order of sections is enforced.

use super::ast::{CItem, CItemKind, Span};
use super::attach::lex_attach_point;
use super::cursor::{Cursor, is_word};
use super::lexer::{End, Lexer, MAX_ERRORS};
use super::token::{Sym, Tok, Token};
use crate::diag::{Code, Diag, codes};

/// A script in pieces.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) c_items: Vec<CItem>,
    /// The tokens of every item that can be parsed.
    pub(super) items: Vec<Vec<Token>>,
    pub(super) diags: Vec<Diag>,
}

/// The sections, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    C,
    Preamble,
    Main,
}

/// Reads a whole text whose first byte has the offset `base`.
pub(super) fn lex_items(text: &str, base: u32) -> Items {
    let mut splitter = Splitter {
        cursor: Cursor::new(text, base),
        section: Section::C,
        config: None,
        out: Items::default(),
    };
    splitter.skip_shebang();
    loop {
        splitter.cursor.skip_trivia();
        if splitter.cursor.at_end() || splitter.out.diags.len() >= MAX_ERRORS {
            return splitter.out;
        }
        splitter.lex_root();
    }
}

struct Splitter<'a> {
    cursor: Cursor<'a>,
    section: Section,
    config: Option<Span>,
    out: Items,
}

impl Splitter<'_> {
    fn skip_shebang(&mut self) {
        let mut ahead = self.cursor.clone();
        ahead.skip_trivia();
        if ahead.starts_with("#!") {
            ahead.take_while(|b| b != b'\n');
            self.cursor = ahead;
        }
    }

    fn lex_root(&mut self) {
        let start = self.cursor.offset();
        let mut after = self.cursor.clone();
        let word = after.peek_word();
        after.eat(word);
        let next_byte = after.peek();
        after.skip_trivia();
        let next_is_word = !after.peek_word().is_empty();
        match word {
            "struct" | "union" | "enum" if next_byte != b':' => self.lex_definition(),
            "typedef" if next_byte != b':' => self.lex_definition(),
            "config"
                if after.eat("=") && {
                    after.skip_trivia();
                    after.peek() == b'{'
                } =>
            {
                self.lex_config()
            }
            "import" if after.peek() == b'"' => {
                self.expect_section(Section::Preamble, "root imports", start);
                self.lex_headed(Sym::Import, End::Semi);
            }
            "let" if after.peek() == b'@' => {
                self.section = Section::Main;
                self.lex_headed(Sym::Let, End::Semi);
            }
            "let" if after.peek() == b'$' => {
                self.skip_statement();
                let message = "only map declarations are allowed at the root";
                let diag = self.error_from(&codes::BAD_ITEM, message, start);
                self.report(
                    diag.help("declare variables in a probe; a map is declared as `let @m = hash(100);`"),
                );
            }
            "macro" | "fn" if next_is_word => {
                self.section = Section::Main;
                self.lex_headed(if word == "fn" { Sym::Fn } else { Sym::Macro }, End::Block);
            }
            "" if self.cursor.peek() == b'#' => self.lex_directive(),
            "" if self.cursor.peek() == b'}' => {
                self.cursor.bump();
                let diag = self.error_from(&codes::UNBALANCED, "`}` without `{`", start);
                self.report(diag);
            }
            "" if self.cursor.peek() == b';' => {
                self.cursor.bump();
            }
            _ => self.lex_probe(),
        }
    }

    fn error_from(&self, code: &'static Code, message: impl Into<String>, start: u32) -> Diag {
        Diag::error(code, message, self.cursor.span_from(start), "")
    }

    fn report(&mut self, diag: Diag) {
        self.out.diags.push(diag);
    }

    fn expect_section(&mut self, section: Section, what: &str, start: u32) {
        if self.section > section {
            let span = Span::new(start, start + 1);
            let message = format!("{what} must appear before probes and functions");
            self.report(Diag::error(&codes::SECTION_ORDER, message, span, "too late here"));
        }
        self.section = self.section.max(section);
    }

    fn lex_directive(&mut self) {
        let start = self.cursor.offset();
        self.cursor.skip_logical_line();
        self.push_c_item(CItemKind::Directive, start);
    }

    /// From the keyword to `;`, or to the line end or next word behind the last brace and its attributes.
    fn lex_definition(&mut self) {
        let start = self.cursor.offset();
        let is_typedef = self.cursor.peek_word() == "typedef";
        let mut depth = 0usize;
        let mut seen_brace = false;
        loop {
            let before = self.cursor.clone();
            self.cursor.skip_trivia();
            if depth == 0 && seen_brace && !is_typedef && !self.definition_goes_on() {
                self.cursor = before;
                break;
            }
            match self.cursor.bump() {
                Some('{' | '(' | '[') => {
                    depth += 1;
                    seen_brace = true;
                }
                Some('}' | ')' | ']') => depth = depth.saturating_sub(1),
                Some(';') if depth == 0 => break,
                Some(_) => {
                    self.cursor.take_while(is_word);
                }
                None => {
                    let message = "unfinished C definition";
                    let diag =
                        Diag::error(&codes::UNBALANCED, message, Span::new(start, start + 1), "starts here");
                    return self.report(diag);
                }
            }
        }
        self.push_c_item(CItemKind::Definition, start);
    }

    fn definition_goes_on(&self) -> bool {
        matches!(self.cursor.peek(), b';' | b'(') || self.cursor.peek_word().starts_with("__attribute")
    }

    fn push_c_item(&mut self, kind: CItemKind, start: u32) {
        self.expect_section(Section::C, "C definitions", start);
        let text = self.cursor.text_from(start).trim_end().to_owned();
        let span = Span::new(start, start + text.len() as u32);
        self.out.c_items.push(CItem { kind, text, span });
    }

    fn lex_config(&mut self) {
        let start = self.cursor.offset();
        let head = Span::new(start, start + "config".len() as u32);
        match self.config {
            None => self.expect_section(Section::Preamble, "config", start),
            Some(first) => {
                let diag = Diag::error(&codes::SECTION_ORDER, "duplicate config block", head, "second block");
                self.report(diag.also(first, "first block").help("join the two blocks"));
            }
        }
        self.config.get_or_insert(head);
        self.lex_headed(Sym::Config, End::Block);
    }

    fn lex_headed(&mut self, head: Sym, end: End) {
        let mut lexer = Lexer::new(&mut self.cursor, &mut self.out.diags);
        let start = lexer.cursor.offset();
        lexer.cursor.eat(head.text());
        lexer.push(Tok::Sym(head), start);
        lexer.lex_item(end);
        let (tokens, broken) = (lexer.tokens, lexer.broken);
        self.push_item(tokens, broken);
    }

    fn push_item(&mut self, tokens: Vec<Token>, broken: bool) {
        if !broken {
            self.out.items.push(tokens);
        }
    }

    fn lex_probe(&mut self) {
        self.section = Section::Main;
        let start = self.cursor.offset();
        let Some(points) = self.lex_attach_points() else { return };
        if points.is_empty() {
            let span = Span::new(start, start + 1);
            let diag = Diag::error(&codes::BAD_ITEM, "probe without an attach point", span, "");
            self.report(diag.help("name what it attaches to, for example `begin { … }`"));
        }
        let mut lexer = Lexer::new(&mut self.cursor, &mut self.out.diags);
        lexer.tokens = points;
        if lexer.cursor.peek() == b'/' {
            lexer.lex_predicate();
            lexer.cursor.skip_trivia();
        }
        lexer.lex_item(End::Block);
        let (tokens, broken) = (lexer.tokens, lexer.broken);
        self.push_item(tokens, broken);
    }

    /// The attach points up to `/` or `{`; none if what stands here is no probe.
    fn lex_attach_points(&mut self) -> Option<Vec<Token>> {
        let mut points = Vec::new();
        loop {
            let start = self.cursor.offset();
            let point = lex_attach_point(&mut self.cursor, &mut self.out.diags);
            if point.text.ends_with([';', '}', ')']) {
                self.skip_statement();
                let diag = self.error_from(&codes::BAD_ITEM, "statement outside of a probe", start);
                self.report(diag.help("put it into a probe, for example `begin { … }`"));
                return None;
            }
            if !point.parts.is_empty() {
                let span = point.span;
                points.push(Token { tok: Tok::AttachPoint(Box::new(point)), span });
            }
            self.cursor.skip_trivia();
            match self.cursor.peek() {
                b',' => {
                    self.cursor.bump();
                    self.cursor.skip_trivia();
                    if matches!(self.cursor.peek(), b'{' | b'/') {
                        return Some(points);
                    }
                }
                b'{' | b'/' => return Some(points),
                _ => return self.expect_body(start, points),
            }
        }
    }

    /// Something else than a body follows an attach point: reports it and looks for the body.
    fn expect_body(&mut self, start: u32, points: Vec<Token>) -> Option<Vec<Token>> {
        let at = self.cursor.offset();
        let (span, label) = match self.cursor.at_end() {
            true => (Span::new(start, at), "has no body"),
            false => (Span::new(at, at + 1), "expected `,`, a predicate or `{`"),
        };
        let diag = Diag::error(&codes::UNEXPECTED, "attach point without a body", span, label);
        self.report(diag.note("an attach point ends at a space unless the space is quoted"));
        self.cursor.take_while(|b| !matches!(b, b'{' | b';' | b'}'));
        match self.cursor.peek() {
            b'{' => Some(points),
            _ => {
                self.cursor.bump();
                None
            }
        }
    }

    /// Moves behind the `;` of the line, or to its end.
    fn skip_statement(&mut self) {
        self.cursor.take_while(|b| !matches!(b, b';' | b'\n'));
        self.cursor.eat(";");
    }
}
