//! The preprocessor: from texts to the tokens a compiler reads.
//!
//! Input    the preamble's items and the headers they include
//! Output   one token after the other, macros replaced, by [`Preprocessor::next`]
//! Ensures  ends on any input: files nest and are read within limits, and every token that an expansion
//!          makes is counted. After the first violation there is only `End`.
//! Breaks   nothing: a token keeps the place of the file it stands in; those of a macro's body stand where
//!          the macro is used
//!
//! Facts: C17 6.10; GNU CPP manual for `#include_next`, `__VA_ARGS__` behind `##`, `#pragma pack`.

use std::collections::HashMap;
use std::rc::Rc;

use super::condition::Branch;
use super::headers;
use super::search::{BUILTIN, Found, Headers, KERNEL, Text, Wanted, find};
use super::token::{Interner, Kind, Pack, Sym, Token, lex};
use crate::diag::{Code, Diag, Sources, codes};
use crate::syntax::ast::{CItem, CItemKind, Span};

/// Files include each other no deeper than this, as in GCC.
const FILES_MAX: usize = 200;
/// Bytes of all headers together. Those of libc and Linux are 20 MB.
const BYTES_MAX: usize = 64 << 20;
/// Tokens read and made by one preamble, and again by its macros as the script uses them.
const STEPS_MAX: u32 = 2 << 20;
/// Diagnostics that are kept.
const DIAGS_MAX: usize = 20;

/// Index into `Preprocessor::files`; the script is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIdx(usize);

/// A text that was read.
struct File {
    path: String,
    rank: Option<usize>,
    base: u32,
    tokens: Rc<[Token]>,
    /// `#pragma once`.
    once: bool,
    /// The name that `#ifndef` around the whole file asks for.
    guard: Option<Sym>,
    /// The `#include` that read it first.
    included_at: Span,
}

/// A file that is being read.
struct Open {
    file: FileIdx,
    at: usize,
    /// How many branches were open before it.
    branches: usize,
}

/// Tokens that stand in front of the rest of the file.
pub(super) struct Pending {
    pub(super) tokens: Rc<[Token]>,
    pub(super) at: usize,
    /// The macro they are the expansion of; it is not replaced among them.
    pub(super) of: Option<Sym>,
    /// Nothing behind them is to be read.
    pub(super) barrier: bool,
}

pub(super) struct Preprocessor<'a> {
    headers: Headers<'a>,
    sources: &'a mut Sources,
    pub(super) names: Interner,
    pub(super) macros: HashMap<Sym, Rc<super::macros::Macro>>,
    files: Vec<File>,
    by_path: HashMap<String, FileIdx>,
    open: Vec<Open>,
    pub(super) pending: Vec<Pending>,
    pub(super) branches: Vec<Branch>,
    pub(super) diags: Vec<Diag>,
    /// Expansions of arguments in each other.
    pub(super) depth: u32,
    steps: u32,
    bytes: usize,
    /// Words that directives and expansion compare with.
    pub(super) words: Words,
    pub(super) stopped: bool,
}

/// Spellings with a meaning of their own.
pub(super) struct Words {
    pub(super) defined: Sym,
    pub(super) va_args: Sym,
    pub(super) pragma: Sym,
    pub(super) has_include: Sym,
    pub(super) has_include_next: Sym,
}

impl<'a> Preprocessor<'a> {
    pub(super) fn new(items: &[CItem], headers: Headers<'a>, sources: &'a mut Sources) -> Preprocessor<'a> {
        let mut names = Interner::default();
        let words = Words {
            defined: names.add("defined"),
            va_args: names.add("__VA_ARGS__"),
            pragma: names.add("_Pragma"),
            has_include: names.add("__has_include"),
            has_include_next: names.add("__has_include_next"),
        };
        let tokens = script_tokens(headers.first, items, &mut names);
        let mut pp = Preprocessor {
            headers,
            sources,
            names,
            macros: HashMap::new(),
            files: Vec::new(),
            by_path: HashMap::new(),
            open: Vec::new(),
            pending: Vec::new(),
            branches: Vec::new(),
            diags: Vec::new(),
            depth: 0,
            steps: 0,
            bytes: 0,
            words,
            stopped: false,
        };
        pp.files.push(File {
            path: String::new(),
            rank: None,
            base: 0,
            tokens: tokens.into(),
            once: false,
            guard: None,
            included_at: Span::default(),
        });
        pp.enter(FileIdx(0));
        // Without a token nothing can ask for it.
        if !pp.files[0].tokens.is_empty() {
            let found = Found {
                path: format!("{BUILTIN}predefined.h"),
                rank: None,
                text: Text::New(headers::PREDEFINED.to_owned()),
            };
            pp.open_found(found, Span::default());
            pp.define_true("BPFTRACE_HAVE_BTF");
        }
        pp
    }

    /// The next token, macros replaced.
    pub(super) fn next(&mut self) -> Token {
        loop {
            let token = self.next_raw();
            match token.kind {
                Kind::Ident(name) if !token.frozen => {
                    if let Some(token) = self.expand(name, token) {
                        return token;
                    }
                }
                _ => return token,
            }
        }
    }

    /// The next token as written. `End` does not move on.
    pub(super) fn next_raw(&mut self) -> Token {
        loop {
            if self.stopped {
                return Token::new(Kind::End, Span::default());
            }
            if let Some(pending) = self.pending.last_mut() {
                if let Some(&token) = pending.tokens.get(pending.at) {
                    pending.at += 1;
                    return token;
                }
                if pending.barrier {
                    return Token::new(Kind::End, Span::default());
                }
                self.drop_pending();
                continue;
            }
            let Some(open) = self.open.last_mut() else { return Token::new(Kind::End, Span::default()) };
            let Some(&token) = self.files[open.file.0].tokens.get(open.at) else {
                let branches = open.branches;
                self.close_branches(branches);
                // The script stays open: its end is the end of all.
                if self.open.len() == 1 {
                    return Token::new(Kind::End, Span::default());
                }
                self.open.pop();
                continue;
            };
            open.at += 1;
            if token.line_start && token.is("#") {
                let line = self.rest_of_line();
                self.count(1 + line.tokens().len() as u32, token.span);
                self.directive(token, &line);
                continue;
            }
            self.count(1, token.span);
            return token;
        }
    }

    /// Takes the tokens up to the end of the line from the file.
    fn rest_of_line(&mut self) -> Line {
        let open = self.open.last_mut().expect("a directive stands in a file");
        let tokens = Rc::clone(&self.files[open.file.0].tokens);
        let start = open.at;
        let len = tokens[start..].iter().position(|t| t.line_start).unwrap_or(tokens.len() - start);
        open.at += len;
        Line { tokens, start, end: start + len }
    }

    /// Moves to the next `#` that starts a line.
    pub(super) fn skip_to_directive(&mut self) -> Option<(Token, Line)> {
        let open = self.open.last_mut()?;
        let tokens = &self.files[open.file.0].tokens;
        let found = tokens[open.at..].iter().position(|t| t.line_start && t.is("#"));
        let Some(found) = found else {
            open.at = tokens.len();
            return None;
        };
        let hash = tokens[open.at + found];
        open.at += found + 1;
        let line = self.rest_of_line();
        self.count((found + 1 + line.tokens().len()) as u32, hash.span);
        Some((hash, line))
    }

    /// Pushes tokens in front of the rest.
    pub(super) fn push(&mut self, tokens: Rc<[Token]>, of: Option<Sym>, barrier: bool) {
        self.count(tokens.len() as u32, tokens.first().map_or(Span::default(), |t| t.span));
        self.pending.push(Pending { tokens, at: 0, of, barrier });
        if let Some(known) = of.and_then(|name| self.macros.get(&name)) {
            known.active.set(true);
        }
    }

    pub(super) fn drop_pending(&mut self) {
        let of = self.pending.pop().and_then(|pending| pending.of);
        if let Some(known) = of.and_then(|name| self.macros.get(&name)) {
            known.active.set(false);
        }
    }

    /// Counts tokens; stops everything when there are too many.
    pub(super) fn count(&mut self, tokens: u32, span: Span) {
        self.steps = self.steps.saturating_add(tokens);
        if self.steps > STEPS_MAX {
            self.stop(span, "the C preamble is too large with its macros expanded");
        }
    }

    /// What is counted from here on is counted anew.
    pub(super) fn restart_count(&mut self) {
        self.steps = 0;
    }

    pub(super) fn stop(&mut self, span: Span, message: &str) {
        if !self.stopped {
            self.report(&codes::TOO_DEEP, message, span);
        }
        self.stopped = true;
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.report(&codes::BAD_DIRECTIVE, message, span);
    }

    pub(super) fn report(&mut self, code: &'static Code, message: impl Into<String>, span: Span) {
        let diag = self.with_chain(Diag::error(code, message, span, ""));
        self.push_diag(diag);
    }

    pub(super) fn push_diag(&mut self, diag: Diag) {
        if self.diags.len() < DIAGS_MAX {
            self.diags.push(diag);
        }
    }

    /// Adds the `#include` lines that lead to where the diagnostic points.
    pub(super) fn with_chain(&self, mut diag: Diag) -> Diag {
        let mut at = diag.primary.span;
        for _ in 0..8 {
            match self.file_of(at) {
                Some(file) if file.base > 0 && file.included_at != Span::default() => {
                    at = file.included_at;
                    diag = diag.also(at, "included from here");
                }
                _ => break,
            }
        }
        diag
    }

    fn file_of(&self, span: Span) -> Option<&File> {
        // Files are in the order of their places.
        let index = self.files.partition_point(|file| file.base <= span.start).checked_sub(1)?;
        self.files.get(index)
    }

    /// Whether a place is in a header and not in the script.
    pub(super) fn in_header(&self, span: Span) -> bool {
        self.files.get(1).is_some_and(|first| span.start >= first.base)
    }

    /// The text of a place.
    pub(super) fn source(&self, span: Span) -> &str {
        self.sources.text(span).unwrap_or_default()
    }

    /// The file being read and where its reading stands.
    fn current(&self) -> FileIdx {
        self.open.last().map_or(FileIdx(0), |open| open.file)
    }

    fn enter(&mut self, file: FileIdx) {
        self.open.push(Open { file, at: 0, branches: self.branches.len() });
    }

    /// `#pragma once`.
    pub(super) fn once(&mut self) {
        let file = self.current();
        self.files[file.0].once = true;
    }

    pub(super) fn pack(&mut self, pack: Pack, span: Span) {
        self.push(Rc::new([Token::new(Kind::Pack(pack), span)]), None, false);
    }

    fn wanted<'n>(&'n self, name: &'n str, quoted: bool, next: bool) -> Wanted<'n> {
        let from = self.current();
        let file = &self.files[from.0];
        let from = (from != FileIdx(0)).then_some((file.path.as_str(), file.rank));
        Wanted { name, quoted, from, next }
    }

    /// `__has_include`.
    pub(super) fn has_header(&mut self, name: &str, quoted: bool, next: bool) -> bool {
        let known = |path: &str| self.by_path.contains_key(path);
        match find(&self.headers, self.wanted(name, quoted, next), &known) {
            // Who asks includes it next.
            Some(Found { path, rank, text: Text::New(text) }) => {
                self.load(path, rank, &text, Span::default()).is_some()
            }
            found => found.is_some(),
        }
    }

    /// Opens a header, and behind it what the kernel's header of that name has beyond it.
    pub(super) fn include(&mut self, name: &str, quoted: bool, next: bool, span: Span) {
        if self.open.len() >= FILES_MAX {
            return self.stop(span, "headers include each other too deeply");
        }
        let known = |path: &str| self.by_path.contains_key(path);
        let found = find(&self.headers, self.wanted(name, quoted, next), &known);
        let from_script = self.current() == FileIdx(0);
        let kernel = if quoted || next { None } else { headers::kernel(name) };
        match (found, kernel) {
            (None, None) => self.missing(name, quoted, span),
            (found, kernel) => {
                // A header of the file system needs nothing from us on its way to its own parts.
                if let Some(text) = kernel
                    && (from_script || found.is_none())
                {
                    let path = format!("{KERNEL}{name}");
                    let text = if self.by_path.contains_key(&path) { Text::Known } else { Text::New(text) };
                    self.open_found(Found { path, rank: None, text }, span);
                }
                if let Some(found) = found {
                    self.open_found(found, span);
                }
            }
        }
    }

    fn missing(&mut self, name: &str, quoted: bool, span: Span) {
        let shown = if quoted { format!("\"{name}\"") } else { format!("<{name}>") };
        let message = format!("cannot find the header `{shown}`");
        let diag = Diag::error(&codes::NO_HEADER, message, span, "")
            .note(format!("searched: {}", self.headers.search_path()))
            .help("name its folder with `-I DIR`, or write the definitions the script needs into it");
        let diag = self.with_chain(diag);
        self.push_diag(diag);
    }

    fn open_found(&mut self, found: Found, span: Span) {
        let file = match found.text {
            Text::Known => self.by_path.get(&found.path).copied(),
            Text::New(text) => self.load(found.path, found.rank, &text, span),
        };
        let Some(file) = file else { return };
        let known = &self.files[file.0];
        if !known.once && !known.guard.is_some_and(|guard| self.macros.contains_key(&guard)) {
            self.enter(file);
        }
    }

    fn load(&mut self, path: String, rank: Option<usize>, text: &str, span: Span) -> Option<FileIdx> {
        self.bytes += text.len();
        if self.bytes > BYTES_MAX {
            self.stop(span, "the headers are too large");
            return None;
        }
        let base = self.sources.add(&path, text);
        let tokens: Rc<[Token]> = lex(text, base, &mut self.names).into();
        let guard = super::condition::guard(&tokens, &self.names);
        let file = FileIdx(self.files.len());
        self.by_path.insert(path.clone(), file);
        self.files.push(File { path, rank, base, tokens, once: false, guard, included_at: span });
        Some(file)
    }
}

/// The tokens of a directive behind its `#`.
#[derive(Clone)]
pub(super) struct Line {
    tokens: Rc<[Token]>,
    start: usize,
    end: usize,
}

impl Line {
    /// All of them.
    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens[self.start..self.end]
    }
}

/// The items of a script as the tokens of one file, behind the files that come first.
fn script_tokens(first: &[String], items: &[CItem], names: &mut Interner) -> Vec<Token> {
    let includes = first.iter().map(|name| format!("#include \"{name}\""));
    let mut tokens: Vec<Token> = includes.flat_map(|line| lex(&line, 0, names)).collect();
    for item in items {
        let start = tokens.len();
        tokens.extend(lex(&item.text, item.span.start, names));
        let Some(last) = tokens.last().copied().filter(|_| tokens.len() > start) else { continue };
        if item.kind == CItemKind::Definition && !last.is(";") {
            // The script may leave it out behind a brace.
            let end = Span::new(item.span.end.saturating_sub(1), item.span.end);
            tokens.push(Token::new(Kind::Punct(";"), end));
        }
    }
    tokens
}
