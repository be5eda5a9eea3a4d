//! Reads struct, union, enum and typedef definitions.

use std::collections::BTreeMap;

use super::constant::eval;
use super::preprocess::{Defines, value_of};
use super::token::{CTok, CToken, lex_c};
use super::types::*;
use crate::diag::{Code, Diag, codes};
use crate::syntax::ast::{CItem, Name, Span, Tag};

/// Structs in structs and declarators in parentheses nest no deeper than this.
const MAX_NESTING: u32 = 32;

type Read<T> = Result<T, Box<Diag>>;

/// Collects the definitions of a preamble.
pub(super) struct Reader<'a> {
    defines: &'a Defines,
    out: Preamble,
    constants: BTreeMap<String, (i128, Span)>,
    tokens: Vec<CToken>,
    at: usize,
    end: Span,
    depth: u32,
}

/// A step from a declared name outwards.
enum Derive {
    Pointer,
    Array(Option<u64>),
    Function,
}

#[derive(Default)]
struct Attributes {
    packed: bool,
    aligned: Option<u32>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(defines: &'a Defines) -> Reader<'a> {
        let (out, constants, end) = (Preamble::default(), BTreeMap::new(), Span::default());
        Reader { defines, out, constants, tokens: Vec::new(), at: 0, end, depth: 0 }
    }

    pub(super) fn finish(self) -> Preamble {
        self.out
    }

    /// Reads one item; what it completed before an error is kept.
    pub(super) fn read_definition(&mut self, item: &CItem) -> Read<()> {
        self.tokens = lex_c(&item.text, item.span.start, &codes::BAD_DEFINITION)?;
        self.at = 0;
        self.depth = 0;
        self.end = Span::new(item.span.end.saturating_sub(1), item.span.end);
        let is_typedef = self.eat_word("typedef");
        let base = self.specifier()?;
        if is_typedef {
            loop {
                let (name, ty) = self.declarator(base.clone())?;
                let name = name.ok_or_else(|| self.unexpected("a name"))?;
                self.out.typedefs.push(CTypedef { name, ty });
                if !self.eat(",") {
                    break;
                }
            }
        }
        self.eat(";");
        match self.tokens.get(self.at) {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the definition")),
        }
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(self.end, |t| t.span)
    }

    fn error(&self, code: &'static Code, message: impl Into<String>, span: Span) -> Box<Diag> {
        Box::new(Diag::error(code, message, span, ""))
    }

    fn unexpected(&self, expected: &str) -> Box<Diag> {
        let found = match self.tokens.get(self.at).map(|t| &t.tok) {
            Some(CTok::Ident(word)) => format!("`{word}`"),
            Some(CTok::Int(value)) => format!("`{value}`"),
            Some(CTok::Punct(punct)) => format!("`{punct}`"),
            None => "the end".to_owned(),
        };
        let message = format!("unexpected {found} in a C definition");
        Box::new(Diag::error(&codes::BAD_DEFINITION, message, self.span(), format!("expected {expected}")))
    }

    fn peek_word(&self) -> &str {
        match self.tokens.get(self.at).map(|t| &t.tok) {
            Some(CTok::Ident(word)) => word,
            _ => "",
        }
    }

    fn is(&self, punct: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|t| t.is(punct))
    }

    fn eat(&mut self, punct: &str) -> bool {
        let found = self.is(punct);
        self.at += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.peek_word() == word;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, punct: &str) -> Read<()> {
        if self.eat(punct) { Ok(()) } else { Err(self.unexpected(&format!("`{punct}`"))) }
    }

    fn name(&mut self) -> Option<Name> {
        let name = Name { text: self.peek_word().to_owned(), span: self.span() };
        let found = !name.text.is_empty();
        self.at += usize::from(found);
        found.then_some(name)
    }

    /// Moves behind the bracket that closes the one at this place.
    fn skip_balanced(&mut self) {
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

    fn enter(&mut self) -> Read<()> {
        self.depth += 1;
        match self.depth > MAX_NESTING {
            true => Err(self.error(&codes::TOO_DEEP, "C definition nested too deeply", self.span())),
            false => Ok(()),
        }
    }

    fn constant(&mut self) -> Read<i128> {
        let other = |name: &str| self.constants.get(name).map(|&(value, _)| value);
        let lookup = |name: &str, span: Span| value_of(self.defines, name, span, &other);
        let mut at = self.at;
        let value = eval(&self.tokens, &mut at, self.end, &lookup)?;
        self.at = at;
        Ok(value)
    }

    fn attributes(&mut self) -> Read<Attributes> {
        let mut found = Attributes::default();
        while self.eat_word("__attribute__") || self.eat_word("__attribute") {
            self.expect("(")?;
            self.expect("(")?;
            while !self.eat(")") {
                match self.peek_word() {
                    "packed" | "__packed__" => {
                        self.at += 1;
                        found.packed = true;
                    }
                    "aligned" | "__aligned__" => {
                        self.at += 1;
                        self.expect("(")?;
                        let span = self.span();
                        let value = self.constant()?;
                        let bytes = u32::try_from(value).ok().filter(|b| b.is_power_of_two() && *b <= 4096);
                        let none = || self.error(&codes::BAD_CONSTANT, "not an alignment", span);
                        found.aligned = Some(bytes.ok_or_else(none)?);
                        self.expect(")")?;
                    }
                    // Others do not change the layout.
                    _ if self.is("(") => self.skip_balanced(),
                    _ if self.at < self.tokens.len() => self.at += 1,
                    _ => return Err(self.unexpected("`)`")),
                }
            }
            self.expect(")")?;
        }
        Ok(found)
    }

    /// The type in front of the declarators.
    fn specifier(&mut self) -> Read<CType> {
        let mut words: Vec<&'static str> = Vec::new();
        loop {
            if matches!(self.peek_word(), "const" | "volatile" | "restrict" | "__extension__") {
                self.at += 1;
                continue;
            }
            let tag = match self.peek_word() {
                "struct" => Some(Tag::Struct),
                "union" => Some(Tag::Union),
                "enum" => Some(Tag::Enum),
                _ => None,
            };
            let base = INT_WORDS.into_iter().find(|word| *word == self.peek_word());
            if let (Some(tag), true) = (tag, words.is_empty()) {
                self.at += 1;
                return self.tagged(tag);
            } else if let Some(word) = base {
                self.at += 1;
                words.push(word);
            } else if words.is_empty() && !self.peek_word().is_empty() {
                let ty = CType::Named(self.peek_word().to_owned());
                self.at += 1;
                while matches!(self.peek_word(), "const" | "volatile") {
                    self.at += 1;
                }
                return Ok(ty);
            } else {
                break;
            }
        }
        base_type(&words).ok_or_else(|| match words.is_empty() {
            true => self.unexpected("a type"),
            false => {
                let message = format!("`{}` is not a type", words.join(" "));
                self.error(&codes::BAD_DEFINITION, message, self.span())
            }
        })
    }

    /// `struct`, `union` or `enum` behind its keyword, with or without a body.
    fn tagged(&mut self, tag: Tag) -> Read<CType> {
        let start = self.tokens[self.at - 1].span;
        let before = self.attributes()?;
        let name = self.name();
        if !self.is("{") {
            let name = name.ok_or_else(|| self.unexpected("a name or `{`"))?;
            return Ok(CType::Tagged(tag, name.text));
        }
        self.enter()?;
        if let Some(name) = &name {
            self.check_new(tag, name)?;
        }
        let reference = name.as_ref().map(|n| CType::Tagged(tag, n.text.clone()));
        let ty = if tag == Tag::Enum {
            let values = self.enumerators()?;
            self.attributes()?;
            let idx = EnumIdx(self.out.enums.len());
            let span = start.to(self.tokens[self.at - 1].span);
            self.out.enums.push(CEnum { name, values, span });
            reference.unwrap_or(CType::Enum(idx))
        } else {
            let members = self.members()?;
            let after = self.attributes()?;
            let idx = CompositeIdx(self.out.composites.len());
            let span = start.to(self.tokens[self.at - 1].span);
            let (packed, aligned) = (before.packed || after.packed, before.aligned.or(after.aligned));
            self.out.composites.push(CComposite { tag, name, members, packed, aligned, span });
            reference.unwrap_or(CType::Composite(idx))
        };
        self.depth -= 1;
        Ok(ty)
    }

    fn check_new(&self, tag: Tag, name: &Name) -> Read<()> {
        let named = |n: &Option<Name>| n.as_ref().filter(|n| n.text == name.text).map(|n| n.span);
        let composites = self.out.composites.iter().filter(|c| c.tag == tag).find_map(|c| named(&c.name));
        let enums = self.out.enums.iter().filter(|_| tag == Tag::Enum).find_map(|e| named(&e.name));
        match composites.or(enums) {
            None => Ok(()),
            Some(first) => Err(redefined(&format!("{} {}", tag.keyword(), name.text), name.span, first)),
        }
    }

    fn enumerators(&mut self) -> Read<Vec<CEnumerator>> {
        self.expect("{")?;
        let mut values = Vec::new();
        let mut next = 0;
        while !self.eat("}") {
            let name = self.name().ok_or_else(|| self.unexpected("an enumerator"))?;
            if self.eat("=") {
                next = self.constant()?;
            }
            if let Some(&(_, first)) = self.constants.get(&name.text) {
                return Err(redefined(&name.text, name.span, first));
            }
            self.constants.insert(name.text.clone(), (next, name.span));
            values.push(CEnumerator { name, value: next });
            next += 1;
            if !self.eat(",") && !self.is("}") {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
        Ok(values)
    }

    fn members(&mut self) -> Read<Vec<CMember>> {
        self.expect("{")?;
        let mut members: Vec<CMember> = Vec::new();
        while !self.eat("}") {
            if self.eat(";") {
                continue;
            }
            let start = self.span();
            let base = self.specifier()?;
            loop {
                let member = self.member(start, base.clone())?;
                let same = |m: &&CMember| match (&m.name, &member.name) {
                    (Some(a), Some(b)) => a.text == b.text,
                    _ => false,
                };
                if let (Some(first), Some(name)) = (members.iter().find(same), &member.name) {
                    return Err(redefined(&name.text, name.span, first.span));
                }
                members.push(member);
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(";")?;
        }
        Ok(members)
    }

    /// `start` is where the member is said to stand if it has no name.
    fn member(&mut self, start: Span, base: CType) -> Read<CMember> {
        let (name, ty) = self.declarator(base)?;
        let mut bits = None;
        if self.eat(":") {
            let span = self.span();
            let value = self.constant()?;
            let width = u32::try_from(value).ok().filter(|w| *w <= 64);
            bits = Some(width.ok_or_else(|| self.error(&codes::BAD_CONSTANT, "not a bit width", span))?);
        }
        let Attributes { packed, aligned } = self.attributes()?;
        if name.is_none() && bits.is_none() && !matches!(ty, CType::Composite(_)) {
            return Err(self.unexpected("the member's name"));
        }
        let span = name.as_ref().map_or(start, |n| n.span);
        Ok(CMember { name, ty, bits, packed, aligned, span })
    }

    /// `*name[N]` and the like around `base`.
    fn declarator(&mut self, base: CType) -> Read<(Option<Name>, CType)> {
        let mut steps = Vec::new();
        let name = self.declarator_steps(&mut steps)?;
        let derive = |ty: CType, step: Derive| match step {
            Derive::Pointer => CType::Pointer(Box::new(ty)),
            Derive::Array(len) => CType::Array(Box::new(ty), len),
            Derive::Function => CType::Function(Box::new(ty)),
        };
        Ok((name, steps.into_iter().rev().fold(base, derive)))
    }

    /// The steps from the name to the base type.
    fn declarator_steps(&mut self, steps: &mut Vec<Derive>) -> Read<Option<Name>> {
        self.enter()?;
        let mut pointers = 0;
        while self.eat("*") {
            pointers += 1;
            while matches!(
                self.peek_word(),
                "const" | "volatile" | "restrict" | "__restrict" | "__user" | "__rcu"
            ) {
                self.at += 1;
            }
        }
        let name = match self.eat("(") {
            true => {
                let name = self.declarator_steps(steps)?;
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
                let len = match self.is("]") {
                    true => None,
                    false => Some(self.array_length()?),
                };
                self.expect("]")?;
                steps.push(Derive::Array(len));
            } else {
                break;
            }
        }
        steps.extend((0..pointers).map(|_| Derive::Pointer));
        if steps.len() > MAX_NESTING as usize {
            return Err(self.error(&codes::TOO_DEEP, "C declaration nested too deeply", self.span()));
        }
        self.depth -= 1;
        Ok(name)
    }

    fn array_length(&mut self) -> Read<u64> {
        let span = self.span();
        let value = self.constant()?;
        let none = || self.error(&codes::BAD_CONSTANT, "not an array length", span);
        u32::try_from(value).map(u64::from).map_err(|_| none())
    }
}

fn redefined(what: &str, span: Span, first: Span) -> Box<Diag> {
    let diag =
        Diag::error(&codes::REDEFINED, format!("`{what}` is defined twice"), span, "second definition");
    Box::new(diag.also(first, "first definition"))
}

/// The words base types are made of.
const INT_WORDS: [&str; 11] =
    ["void", "_Bool", "char", "short", "int", "long", "signed", "unsigned", "float", "double", "__signed__"];

/// The type that a set of words in any order spells.
fn base_type(words: &[&str]) -> Option<CType> {
    let count = |word: &str| words.iter().filter(|w| **w == word).count();
    let unsigned = count("unsigned") == 1;
    let signed = count("signed") + count("__signed__") == 1;
    let int = |name, bytes, signed| Some(CType::Int(CIntKind { name, bytes, signed }));
    let others: Vec<&str> = words
        .iter()
        .copied()
        .filter(|w| !matches!(*w, "signed" | "__signed__" | "unsigned" | "int"))
        .collect();
    if (unsigned && signed) || count("int") > 1 {
        return None;
    }
    match (others.as_slice(), unsigned) {
        (["void"], false) if words.len() == 1 => Some(CType::Void),
        (["_Bool"], false) if words.len() == 1 => Some(CType::Bool),
        (["float"], false) if words.len() == 1 => Some(CType::Float(4)),
        (["double"], false) if words.len() == 1 => Some(CType::Float(8)),
        (["long", "double"], false) if words.len() == 2 => Some(CType::Float(16)),
        (["char"], true) => int("unsigned char", 1, false),
        (["char"], false) if signed => int("signed char", 1, true),
        (["char"], false) => int("char", 1, true),
        (["short"], true) => int("short unsigned int", 2, false),
        (["short"], false) => int("short int", 2, true),
        (["long"], true) => int("long unsigned int", 8, false),
        (["long"], false) => int("long int", 8, true),
        (["long", "long"], true) => int("long long unsigned int", 8, false),
        (["long", "long"], false) => int("long long int", 8, true),
        ([], true) => int("unsigned int", 4, false),
        ([], false) if !words.is_empty() => int("int", 4, true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::expand::c::read_preamble;

    fn show(ty: &CType) -> String {
        match ty {
            CType::Void => "void".to_owned(),
            CType::Bool => "_Bool".to_owned(),
            CType::Int(kind) => kind.name.to_owned(),
            CType::Float(bytes) => format!("float{}", bytes * 8),
            CType::Named(name) => name.clone(),
            CType::Tagged(tag, name) => format!("{} {name}", tag.keyword()),
            CType::Composite(idx) => format!("composite#{}", idx.0),
            CType::Enum(idx) => format!("enum#{}", idx.0),
            CType::Pointer(to) => format!("ptr({})", show(to)),
            CType::Array(of, Some(len)) => format!("array({}, {len})", show(of)),
            CType::Array(of, None) => format!("array({})", show(of)),
            CType::Function(ret) => format!("fn({})", show(ret)),
        }
    }

    fn check(text: &str, expected: &str) {
        let (script, mut diags) = crate::syntax::parse("a.bt", text);
        let (preamble, _) = read_preamble(&script.c_items, &mut diags);
        let name = |n: &Option<Name>| n.as_ref().map_or("_".to_owned(), |n| n.text.clone());
        let mut out = String::new();
        for c in &preamble.composites {
            let _ = write!(out, "{} {}", c.tag.keyword(), name(&c.name));
            for m in &c.members {
                let bits = m.bits.map_or(String::new(), |b| format!(":{b}"));
                let _ = write!(out, " | {}{bits} {}", name(&m.name), show(&m.ty));
            }
            out.push_str(if c.packed { " | packed\n" } else { "\n" });
        }
        for e in &preamble.enums {
            let values = e.values.iter().map(|v| format!(" {}={}", v.name.text, v.value));
            let _ = writeln!(out, "enum {}{}", name(&e.name), values.collect::<String>());
        }
        for t in &preamble.typedefs {
            let _ = writeln!(out, "typedef {} {}", t.name.text, show(&t.ty));
        }
        for d in &diags {
            let _ = writeln!(out, "{} {}", d.code.id, d.message);
        }
        assert_eq!(out.trim_end(), expected, "{text}");
    }

    #[test]
    fn definitions() {
        check(
            "struct s { char kind; int len; } __attribute__((packed))",
            "struct s | kind char | len int | packed",
        );
        check(
            "struct s { unsigned long long a, *b; long unsigned c[2][3]; };",
            "struct s | a long long unsigned int | b ptr(long long unsigned int) | c array(array(long unsigned int, 3), 2)",
        );
        check("union u { u8 a:3, :2; const struct x *p; };", "union u | a:3 u8 | _:2 u8 | p ptr(struct x)");
        check(
            "struct s { void (*f)(int, char *); int (*g[4])(void); };",
            "struct s | f ptr(fn(void)) | g array(ptr(fn(int)), 4)",
        );
        check(
            "struct s { struct { int a; }; union { int b; } u; struct t { int c; } t; enum { A } e; };",
            "struct _ | a int\nunion _ | b int\nstruct t | c int\n\
             struct s | _ composite#0 | u composite#1 | t struct t | e enum#0\nenum _ A=0",
        );
        check(
            "enum level { LOW = 1, HIGH = LOW << 3, NEXT, NEG = -1 };",
            "enum level LOW=1 HIGH=8 NEXT=9 NEG=-1",
        );
        check(
            "typedef struct { int a; } s_t, *s_p;",
            "struct _ | a int\ntypedef s_t composite#0\ntypedef s_p ptr(composite#0)",
        );
        check(
            "#define N (1 << M)\n#define M 3\nenum { K = 2 };\nstruct s { char c[N + K]; int f[]; };",
            "struct s | c array(char, 10) | f array(int)\nenum _ K=2",
        );
        check("struct fwd;", "");
    }

    #[test]
    fn branches() {
        let text = |condition: &str| format!("{condition}\nenum a {{ A }};\n#else\nenum b {{ B }};\n#endif");
        for condition in [
            "#ifdef BPFTRACE_HAVE_BTF",
            "#if defined(BPFTRACE_HAVE_BTF) && !defined X",
            "#if 1 + 2 * 3 == 7 // seven",
            "#ifndef X",
            "#if X\n#elif (4 >> 1) == 2",
            "#define X 2\n#if X > 1",
        ] {
            check(&text(condition), "enum a A=0");
        }
        for condition in ["#if 0", "#ifndef BPFTRACE_HAVE_BTF", "#ifdef X", "#define Y\n#undef Y\n#ifdef Y"] {
            check(&text(condition), "enum b B=0");
        }
        check("#if 0\n#include <nowhere.h>\n#error never\n#if 1\nstruct x { bad };\n#endif\n#endif", "");
        check("#include <linux/sched.h>\n#include <net/sock.h>\n#pragma once", "");
    }

    #[test]
    fn err_preamble() {
        check("#include \"a.h\"", "E0900 `#include \"a.h\"` not supported yet");
        check("#if 1", "E0030 `#if` without `#endif`");
        check("#endif", "E0030 `#endif` without `#if`");
        check("#else", "E0030 `#else` or `#elif` without `#if`");
        check("#defin X", "E0030 unknown directive `#defin`");
        check("#error no BTF", "E0036 the preamble stops with an error: no BTF");
        check("#define A B\n#define B A\nstruct s { int x[A]; };", "E0035 `A` is defined by itself");
        check("struct s { int };", "E0031 unexpected `}` in a C definition");
        check("struct s { int a[X]; };", "E0033 `X` is not a known constant");
        check("struct s { int a[-1]; };", "E0033 not an array length");
        check("struct s { int a; long a; };", "E0032 `a` is defined twice");
        check(
            "struct s { int a; };\nstruct s { int b; };",
            "struct s | a int\nE0032 `struct s` is defined twice",
        );
        check("enum a { X };\nenum b { X };", "enum a X=0\nE0032 `X` is defined twice");
        check("struct s { unsigned float f; };", "E0031 `unsigned float` is not a type");
        check("#if 1 / 0\n#endif", "E0033 constant expression has no value");
    }
}
