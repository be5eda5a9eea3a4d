//! Reads declarations: which structs, unions, enums and typedefs there are.
//!
//! Input    tokens without macros
//! Output   the [`Preamble`], and the values of enumerators
//! Ensures  a declaration of a header that cannot be read is passed over and its names are remembered in
//!          `Preamble::unreadable`; one of the script's is an error
//!
//! Facts: C17 6.7; GCC manual "Extensions to the C Language Family".

use std::collections::HashMap;
use std::rc::Rc;

use super::constant::{Eval, Read, Value};
use super::preprocess::Preprocessor;
use super::specifier::{Attributes, Spec};
use super::token::{Kind, Pack, Sym, Token};
use super::types::*;
use crate::diag::{Code, Diag, codes};
use crate::syntax::ast::{Name, Span, Tag};

/// Structs in structs and declarators in parentheses nest no deeper than this.
const MAX_NESTING: u32 = 32;

/// Pointers, arrays and typedefs lead on no further than this: passes behind follow them by recursion.
const DEPTH_MAX: u32 = 100;

/// The kernel's types: size and alignment of a struct, union, enum, or typedef without a tag.
pub type KernelTypes<'a> = dyn Fn(Option<Tag>, &str) -> Option<Extent> + 'a;

/// What a name means that is neither tag nor member.
pub(super) enum Meaning {
    Typedef(TypedefIdx),
    Enumerator(Value, Span),
}

/// Collects the definitions of a preamble.
pub(super) struct Reader<'a> {
    pub(super) pp: Preprocessor<'a>,
    pub(super) kernel: &'a KernelTypes<'a>,
    pub(super) out: Preamble,
    pub(super) meanings: HashMap<Sym, Meaning>,
    /// The declaration that is being read.
    pub(super) tokens: Rc<[Token]>,
    pub(super) at: usize,
    pub(super) end: Span,
    pub(super) depth: u32,
    /// `#pragma pack` in force, the outermost first.
    pub(super) pack: Vec<Option<u8>>,
}

/// A step from a declared name outwards.
enum Derive {
    Pointer,
    Array(Option<u32>),
    Function,
}

impl<'a> Reader<'a> {
    pub(super) fn new(pp: Preprocessor<'a>, kernel: &'a KernelTypes<'a>) -> Reader<'a> {
        Reader {
            pp,
            kernel,
            out: Preamble::default(),
            meanings: HashMap::new(),
            tokens: Rc::new([]),
            at: 0,
            end: Span::default(),
            depth: 0,
            pack: vec![None],
        }
    }

    /// Reads all declarations.
    pub(super) fn read_all(&mut self) {
        while let Some(tokens) = self.collect() {
            let end = tokens.last().map_or(Span::default(), |t| t.span);
            self.restart(tokens, end);
            if let Err(diag) = self.declaration() {
                self.give_up(*diag);
            }
        }
    }

    /// Reads these tokens next.
    pub(super) fn restart(&mut self, tokens: Rc<[Token]>, end: Span) {
        (self.tokens, self.at, self.depth, self.end) = (tokens, 0, 0, end);
    }

    /// The tokens up to the `;` or function body that ends a declaration; none at the end of the text.
    fn collect(&mut self) -> Option<Rc<[Token]>> {
        let mut tokens: Vec<Token> = Vec::new();
        let (mut nesting, mut body, mut is_function) = (0usize, false, false);
        loop {
            let token = self.pp.next();
            match token.kind {
                Kind::End if tokens.is_empty() => return None,
                Kind::End => break,
                Kind::Pack(pack) => {
                    self.apply_pack(pack);
                    continue;
                }
                Kind::Punct(";") if nesting == 0 => {
                    tokens.push(token);
                    break;
                }
                Kind::Punct("=") if nesting == 0 => is_function = false,
                Kind::Punct("(" | "[" | "{") => {
                    if nesting == 0 && token.is("(") {
                        is_function |= !tokens.last().is_some_and(|t| self.takes_parentheses(t));
                    }
                    body |= nesting == 0 && token.is("{") && is_function;
                    nesting += 1;
                }
                Kind::Punct(")" | "]" | "}") => {
                    nesting = nesting.saturating_sub(1);
                    if nesting == 0 && body && token.is("}") {
                        tokens.clear();
                        (body, is_function) = (false, false);
                        continue;
                    }
                }
                _ => {}
            }
            // Nothing in a function's body can be seen from outside.
            if !body {
                tokens.push(token);
            }
        }
        Some(tokens.into())
    }

    /// Whether parentheses behind this word belong to it and are no function's parameters.
    fn takes_parentheses(&self, token: &Token) -> bool {
        token.ident().is_some_and(|sym| {
            let word = self.pp.names.text(sym);
            matches!(
                word,
                "__attribute__"
                    | "__attribute"
                    | "_Alignas"
                    | "typeof"
                    | "__typeof__"
                    | "__typeof"
                    | "_Atomic"
            )
        })
    }

    fn apply_pack(&mut self, pack: Pack) {
        let limit = |bytes: u8| (bytes > 0).then_some(bytes);
        match pack {
            Pack::Push(bytes) => {
                let now = self.pack.last().copied().flatten();
                // Too many are as good as none: nobody sees that deep.
                if self.pack.len() < 1000 {
                    self.pack.push(bytes.map_or(now, limit));
                }
            }
            Pack::Pop if self.pack.len() > 1 => {
                self.pack.pop();
            }
            Pack::Pop => {}
            Pack::Set(bytes) => {
                if let Some(last) = self.pack.last_mut() {
                    *last = limit(bytes);
                }
            }
        }
    }

    fn declaration(&mut self) -> Read<()> {
        if self.eat(";") || matches!(self.peek_word(), "_Static_assert" | "asm" | "__asm__" | "__asm") {
            return Ok(());
        }
        let spec = self.specifier()?;
        if spec.typedef {
            loop {
                self.typedef(&spec)?;
                if !self.eat(",") {
                    break;
                }
            }
        }
        // A header declares functions and variables, too.
        if self.eat(";") || (!spec.typedef && self.pp.in_header(self.span())) {
            return Ok(());
        }
        Err(self.unexpected("the end of the definition"))
    }

    fn typedef(&mut self, spec: &Spec) -> Read<()> {
        let (name, ty, attributes) = self.declarator(spec.ty.clone())?;
        let name = name.ok_or_else(|| self.unexpected("a name"))?;
        let attributes = spec.attributes.and(attributes);
        let ty = self.with_mode(ty, &attributes, name.span)?;
        let depth = 1 + self.depth_of(&ty);
        if depth > DEPTH_MAX {
            return Err(self.error(&codes::TOO_DEEP, "C type nested too deeply", name.span));
        }
        let mut declared = None;
        let extent = match &ty {
            CType::Tagged(tag @ (Tag::Struct | Tag::Union), to) => {
                declared = Some((*tag, to.clone()));
                None
            }
            CType::Typedef(idx) => {
                let other = &self.out.typedefs[idx.0];
                declared.clone_from(&other.declared);
                other.extent
            }
            CType::Void | CType::Function(_) => None,
            // The size of an array needs its element's.
            CType::Array(..) => Some(self.extent(&ty, name.span)?),
            _ => Some(self.extent(&ty, name.span)?),
        };
        let extent = extent.map(|e| Extent { align: attributes.aligned.unwrap_or(e.align), ..e });
        let sym = self.pp.names.add(&name.text);
        if let Some(Meaning::Typedef(_)) = self.meanings.get(&sym) {
            // C allows to say the same again; the first one counts.
            return Ok(());
        }
        self.meanings.insert(sym, Meaning::Typedef(TypedefIdx(self.out.typedefs.len())));
        self.out.typedefs.push(CTypedef { name, ty, extent, declared, depth });
        Ok(())
    }

    fn depth_of(&self, ty: &CType) -> u32 {
        match ty {
            CType::Pointer(to) | CType::Array(to, _) | CType::Function(to) => 1 + self.depth_of(to),
            CType::Typedef(idx) => self.out.typedefs[idx.0].depth,
            _ => 0,
        }
    }

    /// Remembers what a declaration would have defined.
    fn give_up(&mut self, diag: Diag) {
        let diag = self.pp.with_chain(diag);
        if !self.pp.in_header(self.end) {
            return self.pp.push_diag(diag);
        }
        let tokens = Rc::clone(&self.tokens);
        let words: Vec<Option<Sym>> = tokens.iter().map(Token::ident).collect();
        let text = |at: usize| words.get(at).copied().flatten().map(|sym| self.pp.names.text(sym).to_owned());
        let mut names: Vec<String> = Vec::new();
        for at in 0..tokens.len() {
            let tag = text(at).filter(|word| matches!(word.as_str(), "struct" | "union" | "enum"));
            if let (Some(_), Some(name)) = (tag, text(at + 1))
                && tokens.get(at + 2).is_some_and(|t| t.is("{"))
            {
                names.push(name);
            }
        }
        if text(0).as_deref() == Some("typedef") {
            names.extend((0..tokens.len()).rev().find_map(text));
        }
        let tags = [Tag::Struct, Tag::Union, Tag::Enum];
        let defined = |name: &String| tags.iter().any(|tag| self.out.tagged(*tag, name).is_some());
        names.retain(|name| !defined(name));
        for name in names {
            self.out.unreadable.entry(name).or_insert_with(|| diag.clone());
        }
    }

    pub(super) fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(self.end, |t| t.span)
    }

    pub(super) fn error(&self, code: &'static Code, message: impl Into<String>, span: Span) -> Box<Diag> {
        Box::new(Diag::error(code, message, span, ""))
    }

    pub(super) fn unexpected(&self, expected: &str) -> Box<Diag> {
        let found = match self.tokens.get(self.at) {
            Some(token) => format!("`{}`", self.pp.spelling(*token)),
            None => "the end".to_owned(),
        };
        let message = format!("unexpected {found} in a C definition");
        Box::new(Diag::error(&codes::BAD_DEFINITION, message, self.span(), format!("expected {expected}")))
    }

    pub(super) fn word_at(&self, at: usize) -> &str {
        self.tokens.get(at).and_then(Token::ident).map_or("", |sym| self.pp.names.text(sym))
    }

    pub(super) fn peek_word(&self) -> &str {
        self.word_at(self.at)
    }

    pub(super) fn is(&self, punct: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|t| t.is(punct))
    }

    pub(super) fn eat(&mut self, punct: &str) -> bool {
        let found = self.is(punct);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, punct: &str) -> Read<()> {
        if self.eat(punct) { Ok(()) } else { Err(self.unexpected(&format!("`{punct}`"))) }
    }

    pub(super) fn name(&mut self) -> Option<Name> {
        let name = Name { text: self.peek_word().to_owned(), span: self.span() };
        let found = !name.text.is_empty();
        self.at += usize::from(found);
        found.then_some(name)
    }

    /// Moves behind the bracket that closes the one at this place.
    pub(super) fn skip_balanced(&mut self) {
        let mut depth = 0usize;
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            if token.is("(") || token.is("[") || token.is("{") {
                depth += 1;
            } else if token.is(")") || token.is("]") || token.is("}") {
                depth = depth.saturating_sub(1);
            }
            if depth == 0 {
                return;
            }
        }
    }

    pub(super) fn enter(&mut self) -> Read<()> {
        self.depth += 1;
        match self.depth > MAX_NESTING {
            true => Err(self.error(&codes::TOO_DEEP, "C definition nested too deeply", self.span())),
            false => Ok(()),
        }
    }

    /// Reads with one level more.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.enter()?;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    pub(super) fn constant(&mut self) -> Read<Value> {
        let (tokens, end) = (Rc::clone(&self.tokens), self.end);
        self.nested(|reader| {
            let mut eval = Eval::new(&tokens, reader.at, end, reader);
            let value = eval.ternary();
            let at = eval.at;
            reader.at = at;
            value
        })
    }

    /// `*name[N]` and the like around `base`.
    pub(super) fn declarator(&mut self, base: CType) -> Read<(Option<Name>, CType, Attributes)> {
        let mut steps = Vec::new();
        let mut attributes = Attributes::default();
        let name = self.declarator_steps(&mut steps, &mut attributes)?;
        let derive = |ty: CType, step: Derive| match step {
            Derive::Pointer => CType::Pointer(Box::new(ty)),
            Derive::Array(len) => CType::Array(Box::new(ty), len),
            Derive::Function => CType::Function(Box::new(ty)),
        };
        Ok((name, steps.into_iter().rev().fold(base, derive), attributes))
    }

    /// The steps from the name to the base type.
    fn declarator_steps(
        &mut self,
        steps: &mut Vec<Derive>,
        attributes: &mut Attributes,
    ) -> Read<Option<Name>> {
        self.enter()?;
        let mut pointers = 0;
        loop {
            *attributes = attributes.and(self.attributes()?);
            if self.eat("*") {
                pointers += 1;
            } else if is_pointer_qualifier(self.peek_word()) {
                self.at += 1;
            } else {
                break;
            }
        }
        let name = match self.is("(") && self.is_nested_declarator() {
            true => {
                self.at += 1;
                let name = self.declarator_steps(steps, attributes)?;
                self.expect(")")?;
                name
            }
            false => self.name(),
        };
        loop {
            if self.is("(") {
                self.skip_balanced();
                steps.push(Derive::Function);
            } else if self.eat("[") {
                while matches!(self.peek_word(), "static" | "const" | "restrict" | "__restrict") {
                    self.at += 1;
                }
                let len = match self.is("]") {
                    true => None,
                    false => Some(self.array_length()?),
                };
                self.expect("]")?;
                steps.push(Derive::Array(len));
            } else if matches!(self.peek_word(), "__asm__" | "asm" | "__asm") {
                self.at += 1;
                self.skip_balanced();
            } else {
                break;
            }
        }
        *attributes = attributes.and(self.attributes()?);
        steps.extend((0..pointers).map(|_| Derive::Pointer));
        if steps.len() > MAX_NESTING as usize {
            return Err(self.error(&codes::TOO_DEEP, "C declaration nested too deeply", self.span()));
        }
        self.depth -= 1;
        Ok(name)
    }

    /// Whether the parenthesis here opens a declarator and not parameters.
    fn is_nested_declarator(&self) -> bool {
        let next = self.at + 1;
        match self.tokens.get(next) {
            Some(token) if token.is("*") || token.is("(") || token.is("[") || token.is("^") => true,
            Some(token) if token.ident().is_some() => {
                let word = self.word_at(next);
                word.starts_with("__attribute") || !self.is_type_start(next)
            }
            _ => false,
        }
    }

    fn array_length(&mut self) -> Read<u32> {
        let span = self.span();
        let value = self.constant()?;
        u32::try_from(value.value).map_err(|_| self.error(&codes::BAD_CONSTANT, "not an array length", span))
    }
}

fn is_pointer_qualifier(word: &str) -> bool {
    matches!(
        word,
        "const"
            | "volatile"
            | "restrict"
            | "__restrict"
            | "__restrict__"
            | "__const"
            | "__volatile__"
            | "_Atomic"
            | "__user"
            | "__rcu"
            | "__extension__"
    )
}
