//! Types as declarations spell them, their attributes, and what expressions ask of them.

use super::constant::Read;
use super::declare::{Meaning, Reader};
use super::layout::Wish;
use super::types::*;
use crate::diag::{Diag, codes};
use crate::syntax::ast::{Span, Tag};

/// The part of a declaration in front of its declarators.
pub(super) struct Spec {
    pub(super) ty: CType,
    pub(super) typedef: bool,
    pub(super) attributes: Attributes,
}

/// GCC's attributes that change a layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) packed: bool,
    /// In bytes.
    pub(super) aligned: Option<u32>,
    /// `mode(DI)`: the size of a number.
    mode: Option<u32>,
    /// `vector_size(N)`.
    vector: Option<u32>,
}

impl Attributes {
    /// Both together.
    pub(super) fn and(self, other: Attributes) -> Attributes {
        Attributes {
            packed: self.packed || other.packed,
            aligned: self.aligned.max(other.aligned),
            mode: other.mode.or(self.mode),
            vector: other.vector.or(self.vector),
        }
    }

    pub(super) fn wish(self) -> Wish {
        Wish { packed: self.packed, aligned: self.aligned }
    }
}

/// `aligned` without a number, on x86-64.
const BIGGEST_ALIGNMENT: u32 = 16;
const ALIGN_MAX: i128 = 1 << 28;
const POINTER: Extent = Extent { bytes: 8, align: 8 };

/// The words a base type is made of, counted.
#[derive(Default)]
struct Words {
    list: Vec<&'static str>,
}

impl Reader<'_> {
    pub(super) fn attributes(&mut self) -> Read<Attributes> {
        let mut found = Attributes::default();
        while matches!(self.peek_word(), "__attribute__" | "__attribute") {
            self.at += 1;
            self.expect("(")?;
            self.expect("(")?;
            while !self.eat(")") {
                let word = self.peek_word().trim_matches('_').to_owned();
                if self.at >= self.tokens.len() {
                    return Err(self.unexpected("`)`"));
                }
                self.at += 1;
                match word.as_str() {
                    "packed" => found.packed = true,
                    "aligned" if self.is("(") => {
                        self.at += 1;
                        let aligned = self.alignment()?;
                        found.aligned = found.aligned.max(Some(aligned));
                        self.expect(")")?;
                    }
                    "aligned" => found.aligned = found.aligned.max(Some(BIGGEST_ALIGNMENT)),
                    "mode" if self.is("(") => {
                        self.at += 1;
                        found.mode = mode_bytes(self.peek_word());
                        self.at += 1;
                        self.expect(")")?;
                    }
                    "vector_size" if self.is("(") => {
                        self.at += 1;
                        let value = self.constant()?.value;
                        found.vector = u32::try_from(value).ok().filter(|b| b.is_power_of_two());
                        self.expect(")")?;
                    }
                    // Others do not change the layout.
                    _ if self.is("(") => self.skip_balanced(),
                    _ => {}
                }
            }
            self.expect(")")?;
        }
        Ok(found)
    }

    fn alignment(&mut self) -> Read<u32> {
        let span = self.span();
        let value = self.constant()?.value;
        let bytes = u32::try_from(value).ok().filter(|b| b.is_power_of_two() && i128::from(*b) <= ALIGN_MAX);
        bytes.ok_or_else(|| self.error(&codes::BAD_CONSTANT, "not an alignment", span))
    }

    /// `_Alignas(N)` and `_Alignas(T)` behind the word.
    fn alignas(&mut self) -> Read<u32> {
        self.expect("(")?;
        let align = match self.is_type_start(self.at) {
            true => {
                let (ty, span) = (self.type_name()?, self.span());
                self.extent(&ty, span)?.align
            }
            false => self.alignment()?,
        };
        self.expect(")")?;
        Ok(align)
    }

    /// The type in front of the declarators, and what else stands there.
    pub(super) fn specifier(&mut self) -> Read<Spec> {
        let mut words = Words::default();
        let mut spec = Spec { ty: CType::Void, typedef: false, attributes: Attributes::default() };
        let mut ty: Option<CType> = None;
        loop {
            let word = self.peek_word().to_owned();
            match word.as_str() {
                "__attribute__" | "__attribute" => spec.attributes = spec.attributes.and(self.attributes()?),
                "_Alignas" => {
                    self.at += 1;
                    let aligned = Some(self.alignas()?);
                    spec.attributes.aligned = spec.attributes.aligned.max(aligned);
                }
                "typedef" => {
                    self.at += 1;
                    spec.typedef = true;
                }
                "struct" | "union" | "enum" if ty.is_none() && words.list.is_empty() => {
                    self.at += 1;
                    let tag = match word.as_str() {
                        "struct" => Tag::Struct,
                        "union" => Tag::Union,
                        _ => Tag::Enum,
                    };
                    ty = Some(self.tagged(tag)?);
                }
                "__typeof__" | "typeof" | "__typeof" if ty.is_none() && words.list.is_empty() => {
                    self.at += 1;
                    self.expect("(")?;
                    ty = Some(self.operand_type()?);
                    self.expect(")")?;
                }
                _ if is_qualifier(&word) => self.at += 1,
                _ => {
                    let base = BASE_WORDS.into_iter().find(|base| *base == word);
                    if let (Some(base), None) = (base, &ty) {
                        self.at += 1;
                        words.list.push(base);
                    } else if ty.is_none() && words.list.is_empty() && !word.is_empty() {
                        ty = Some(self.named_type()?);
                    } else {
                        break;
                    }
                }
            }
            if words.list.len() > 8 {
                break;
            }
        }
        spec.ty = match ty {
            Some(ty) => ty,
            None => self.base_type(&words)?,
        };
        Ok(spec)
    }

    /// A type by one name.
    fn named_type(&mut self) -> Read<CType> {
        let span = self.span();
        let Some(name) = self.name() else { return Err(self.unexpected("a type")) };
        let sym = self.pp.names.add(&name.text);
        if let Some(Meaning::Typedef(idx)) = self.meanings.get(&sym) {
            return Ok(CType::Typedef(*idx));
        }
        if let Some(ty) = extended(&name.text) {
            return Ok(ty);
        }
        // Behind a name that is no type nothing can make sense of the rest.
        if (self.kernel)(None, &name.text).is_none() && !self.may_be_pointer_only() {
            return Err(self.unknown(&name.text, span));
        }
        Ok(CType::Kernel(name.text))
    }

    /// What an unknown type is needed for is found out later only where its size may not matter.
    fn may_be_pointer_only(&self) -> bool {
        self.is("*")
    }

    fn unknown(&self, what: &str, span: Span) -> Box<Diag> {
        let message = format!("unknown type `{what}`");
        let diag = Diag::error(&codes::UNKNOWN_C_TYPE, message, span, "its size is not known");
        Box::new(diag.note("it is neither in the kernel's BTF nor defined above"))
    }

    fn base_type(&self, words: &Words) -> Read<CType> {
        base_type(&words.list).ok_or_else(|| match words.list.is_empty() {
            true => self.unexpected("a type"),
            false => {
                let message = format!("`{}` is not a type", words.list.join(" "));
                self.error(&codes::BAD_DEFINITION, message, self.span())
            }
        })
    }

    /// A type without a name, as in a cast.
    pub(super) fn type_name(&mut self) -> Read<CType> {
        self.nested(|reader| {
            let spec = reader.specifier()?;
            let (name, ty, attributes) = reader.declarator(spec.ty.clone())?;
            match name {
                None => reader.with_mode(ty, &spec.attributes.and(attributes), reader.span()),
                Some(_) => Err(reader.unexpected("a type")),
            }
        })
    }

    /// Size and alignment of a type that a member or array may have.
    pub(super) fn extent(&self, ty: &CType, span: Span) -> Read<Extent> {
        let kernel = |tag: Option<Tag>, name: &str| {
            let shown = tag.map_or(name.to_owned(), |tag| format!("{} {name}", tag.keyword()));
            (self.kernel)(tag, name).ok_or_else(|| self.unknown(&shown, span))
        };
        match ty {
            CType::Void | CType::Function(_) => {
                Err(self.error(&codes::BAD_DEFINITION, "this type has no size", span))
            }
            CType::Bool => Ok(Extent { bytes: 1, align: 1 }),
            CType::Int(int) => Ok(Extent { bytes: int.bytes, align: int.bytes }),
            CType::Opaque(extent) => Ok(*extent),
            CType::Typedef(idx) => {
                let known = &self.out.typedefs[idx.0];
                match (known.extent, &known.declared) {
                    (Some(extent), _) => Ok(extent),
                    (None, Some((tag, name))) => match self.out.tagged(*tag, name) {
                        Some(TagIdx::Composite(idx)) => Ok(self.out.composites[idx.0].extent),
                        _ => kernel(Some(*tag), name),
                    },
                    (None, None) => Err(self.error(&codes::BAD_DEFINITION, "this type has no size", span)),
                }
            }
            CType::Kernel(name) => kernel(None, name),
            CType::Tagged(tag, name) => kernel(Some(*tag), name),
            CType::Composite(idx) => Ok(self.out.composites[idx.0].extent),
            CType::Enum(idx) => {
                let bytes = self.out.enums[idx.0].bytes;
                Ok(Extent { bytes, align: bytes })
            }
            CType::Pointer(_) => Ok(POINTER),
            CType::Array(of, len) => {
                let of = self.extent(of, span)?;
                let bytes = u64::from(of.bytes) * u64::from(len.unwrap_or(0));
                let bytes = u32::try_from(bytes).ok().filter(|bytes| i128::from(*bytes) <= ALIGN_MAX);
                let bytes = bytes
                    .ok_or_else(|| self.error(&codes::BAD_DEFINITION, "this type is too large", span))?;
                Ok(Extent { bytes, align: of.align })
            }
        }
    }

    /// A number with another size, or many of them.
    pub(super) fn with_mode(&self, ty: CType, attributes: &Attributes, span: Span) -> Read<CType> {
        if let Some(bytes) = attributes.vector {
            return Ok(CType::Opaque(Extent { bytes, align: bytes }));
        }
        let Some(bytes) = attributes.mode else { return Ok(ty) };
        match self.real(ty.clone()) {
            CType::Int(int) => {
                let none = || self.error(&codes::BAD_DEFINITION, "not a mode of this type", span);
                CIntKind::sized(bytes, int.signed).map(CType::Int).ok_or_else(none)
            }
            CType::Opaque(_) => Ok(CType::Opaque(Extent { bytes, align: bytes })),
            _ => Ok(ty),
        }
    }

    /// Whether a type can start at this token.
    pub(super) fn is_type_start(&self, at: usize) -> bool {
        let word = self.word_at(at);
        if word.is_empty() {
            return false;
        }
        let known = || {
            let sym = self.pp.names.find(word);
            sym.is_some_and(|sym| matches!(self.meanings.get(&sym), Some(Meaning::Typedef(_))))
        };
        matches!(word, "struct" | "union" | "enum" | "__attribute__" | "typeof" | "__typeof__" | "__typeof")
            || (is_qualifier(word) && word != "__extension__")
            || BASE_WORDS.contains(&word)
            || known()
            || extended(word).is_some()
    }
}

fn mode_bytes(word: &str) -> Option<u32> {
    Some(match word.trim_matches('_') {
        "QI" | "byte" => 1,
        "HI" => 2,
        "SI" | "SF" => 4,
        "DI" | "DF" | "word" | "pointer" => 8,
        "TI" | "XF" | "TF" => 16,
        _ => return None,
    })
}

fn is_qualifier(word: &str) -> bool {
    matches!(
        word,
        "const"
            | "__const"
            | "__const__"
            | "volatile"
            | "__volatile__"
            | "__volatile"
            | "restrict"
            | "__restrict"
            | "__restrict__"
            | "_Atomic"
            | "extern"
            | "static"
            | "inline"
            | "__inline"
            | "__inline__"
            | "_Noreturn"
            | "register"
            | "auto"
            | "_Thread_local"
            | "__thread"
            | "__extension__"
            | "__user"
            | "__rcu"
    )
}

/// The words base types are made of.
const BASE_WORDS: [&str; 15] = [
    "void",
    "_Bool",
    "char",
    "short",
    "int",
    "long",
    "signed",
    "unsigned",
    "float",
    "double",
    "__signed__",
    "__signed",
    "_Complex",
    "__complex__",
    "__int128",
];

pub(super) fn char_type() -> CType {
    CType::Int(CIntKind { name: "char", bytes: 1, signed: true })
}

/// Types that need no declaration: the compiler's own, and integers that bpftrace knows by width.
fn extended(name: &str) -> Option<CType> {
    let float = |bytes| Some(CType::Opaque(Extent { bytes, align: bytes }));
    match name {
        "_Float16" => float(2),
        "_Float32" => float(4),
        "_Float64" | "_Float32x" => float(8),
        "_Float128" | "_Float64x" | "__float128" | "__float80" => float(16),
        "__int128_t" => CIntKind::sized(16, true).map(CType::Int),
        "__uint128_t" => CIntKind::sized(16, false).map(CType::Int),
        "__builtin_va_list" => Some(CType::Opaque(Extent { bytes: 24, align: 8 })),
        _ => {
            let (bytes, signed) = fixed_width(name)?;
            CIntKind::sized(bytes, signed).map(CType::Int)
        }
    }
}

/// `uint32_t`, `int8`, `u64`, `__s16`: bytes and sign.
fn fixed_width(name: &str) -> Option<(u32, bool)> {
    let name = name.trim_start_matches('_');
    let (signed, rest) = match name.strip_prefix("uint").or_else(|| name.strip_prefix('u')) {
        Some(rest) => (false, rest),
        None => (true, name.strip_prefix("int").or_else(|| name.strip_prefix('s'))?),
    };
    match rest.strip_suffix("_t").unwrap_or(rest) {
        "8" => Some((1, signed)),
        "16" => Some((2, signed)),
        "32" => Some((4, signed)),
        "64" => Some((8, signed)),
        _ => None,
    }
}

/// The type that a set of words in any order spells.
fn base_type(words: &[&str]) -> Option<CType> {
    let count = |word: &str| words.iter().filter(|w| **w == word).count();
    let unsigned = count("unsigned") == 1;
    let signed = count("signed") + count("__signed__") + count("__signed") == 1;
    let complex = count("_Complex") + count("__complex__") == 1;
    let int = |name, bytes, signed| Some(CType::Int(CIntKind { name, bytes, signed }));
    let float = |bytes: u32| {
        Some(CType::Opaque(Extent { bytes: if complex { 2 * bytes } else { bytes }, align: bytes }))
    };
    let is_sign = |w: &str| {
        matches!(w, "signed" | "__signed__" | "__signed" | "unsigned" | "int" | "_Complex" | "__complex__")
    };
    let mut others: Vec<&str> = words.iter().copied().filter(|w| !is_sign(w)).collect();
    others.sort_unstable();
    if (unsigned && signed) || count("int") > 1 {
        return None;
    }
    let plain = !unsigned && !signed && count("int") == 0;
    match (others.as_slice(), unsigned) {
        (["void"], false) if words.len() == 1 => Some(CType::Void),
        (["_Bool"], false) if words.len() == 1 => Some(CType::Bool),
        (["float"], false) if plain => float(4),
        (["double"], false) if plain => float(8),
        (["double", "long"], false) if plain => float(16),
        _ if complex => None,
        (["char"], true) => int("unsigned char", 1, false),
        (["char"], false) if signed => int("signed char", 1, true),
        (["char"], false) => int("char", 1, true),
        (["short"], true) => int("short unsigned int", 2, false),
        (["short"], false) => int("short int", 2, true),
        (["long"], true) => int("long unsigned int", 8, false),
        (["long"], false) => int("long int", 8, true),
        (["long", "long"], true) => int("long long unsigned int", 8, false),
        (["long", "long"], false) => int("long long int", 8, true),
        (["__int128"], _) => CIntKind::sized(16, !unsigned).map(CType::Int),
        ([], true) => int("unsigned int", 4, false),
        ([], false) if !words.is_empty() => int("int", 4, true),
        _ => None,
    }
}
