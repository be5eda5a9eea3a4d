//! The C preamble: its preprocessor lines, the headers they include, and the definitions in both.
//!
//! Input    the script's C items; who reads headers; the sizes of the kernel's types
//! Output   the [`Preamble`] and, while [`Definitions`] lives, the values of macros
//! Ensures  no I/O but `Headers::read`; time and memory are bounded by the limits in `preprocess.rs`
//!
//! | file | holds |
//! | --- | --- |
//! | `token.rs` | text as tokens |
//! | `search.rs`, `headers.rs` | where headers are; those that are no files |
//! | `preprocess.rs`, `condition.rs`, `macros.rs` | the preprocessor: files, lines, replacement |
//! | `constant.rs`, `operand.rs` | integer expressions; the names and types in them |
//! | `declare.rs`, `specifier.rs`, `composite.rs` | declarations, types, bodies |
//! | `layout.rs` | offsets |
//! | `types.rs` | the result |

mod composite;
mod condition;
mod constant;
mod declare;
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod layout;
mod macros;
mod operand;
mod preprocess;
mod search;
mod specifier;
#[cfg(test)]
mod tests;
mod token;
mod types;

use std::cell::RefCell;
use std::rc::Rc;

pub use constant::Value;
pub use declare::KernelTypes;
pub use search::Headers;
pub use types::{
    CComposite, CEnum, CEnumerator, CIntKind, CMember, CType, CTypedef, CompositeIdx, EnumIdx, Extent,
    Preamble, TagIdx, TypedefIdx,
};

use self::constant::{Eval, escape};
use self::declare::Reader;
use self::preprocess::Preprocessor;
use self::token::{Kind, Token};
use crate::diag::{Diag, Sources};
use crate::syntax::ast::{CItem, Span};

/// What the preamble needs from outside.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The headers.
    pub headers: Headers<'a>,
    /// The kernel's types.
    pub kernel: &'a KernelTypes<'a>,
}

impl World<'_> {
    /// Neither headers nor a kernel.
    pub const NONE: World<'static> = World { headers: Headers::NONE, kernel: &|_, _| None };
}

/// The macros of a preamble.
pub struct Definitions<'a> {
    reader: RefCell<Reader<'a>>,
}

/// An object-like or function-like macro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Define {
    /// Where its name stands.
    pub(super) name_span: Span,
    /// The text behind the name, comments blanked out.
    pub(super) body: String,
    /// Where the body stands.
    pub(super) body_span: Span,
    /// `#define name(…)`: of no use to the script.
    pub(super) takes_args: bool,
    /// It stands in a header.
    pub(super) in_header: bool,
    /// Its body is a name of the same spelling, or calls a macro: of that the script language knows nothing.
    pub(super) only_c: bool,
}

/// The value of a macro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// An integer constant expression.
    Int(Value),
    /// String literals.
    Text(Vec<u8>),
}

/// Reads the C items of a script. The texts of headers are added to `sources`.
pub fn read_preamble<'a>(
    items: &[CItem],
    world: &World<'a>,
    sources: &'a mut Sources,
    diags: &mut Vec<Diag>,
) -> (Preamble, Definitions<'a>) {
    let mut reader = Reader::new(Preprocessor::new(items, world.headers, sources), world.kernel);
    reader.read_all();
    reader.pp.restart_count();
    diags.append(&mut reader.pp.diags);
    // Expressions of macros still ask for members.
    let preamble = reader.out.clone();
    (preamble, Definitions { reader: RefCell::new(reader) })
}

impl Definitions<'_> {
    /// The macro of this name.
    pub(super) fn define(&self, name: &str) -> Option<Define> {
        let reader = self.reader.borrow();
        let known = reader.pp.macros.get(&reader.pp.names.find(name)?)?;
        let (body, body_span) = reader.pp.body_text(known);
        let in_header = reader.pp.in_header(known.name_span);
        let takes_args = known.takes_args();
        let sym = reader.pp.names.find(name);
        let calls = |t: &Token| {
            t.ident().and_then(|name| reader.pp.macros.get(&name)).is_some_and(|m| m.takes_args())
        };
        let only_c = known.body.iter().any(|t| calls(t) || t.ident() == sym);
        Some(Define { name_span: known.name_span, body, body_span, takes_args, in_header, only_c })
    }

    /// The names of all macros without parameters.
    pub fn names(&self) -> Vec<String> {
        let reader = self.reader.borrow();
        let object_like = reader.pp.macros.iter().filter(|(_, known)| !known.takes_args());
        let mut names: Vec<String> =
            object_like.map(|(name, _)| reader.pp.names.text(*name).to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// What a macro without parameters amounts to in C, if it is a constant.
    pub fn constant(&self, name: &str) -> Option<Constant> {
        let mut reader = self.reader.borrow_mut();
        let known = Rc::clone(reader.pp.macros.get(&reader.pp.names.find(name)?)?);
        if known.takes_args() || known.body.is_empty() {
            return None;
        }
        let sym = reader.pp.names.find(name)?;
        let word = Token::new(Kind::Ident(sym), known.name_span);
        let tokens: Rc<[Token]> = reader.pp.expand_all(&[word]).into();
        // Whoever asks has a better place to complain about.
        reader.pp.diags.clear();
        let texts: Option<Vec<Vec<u8>>> = tokens
            .iter()
            .map(|t| match t.kind {
                Kind::Str(sym) => text_of(reader.pp.names.text(sym)),
                _ => None,
            })
            .collect();
        if let Some(texts) = texts {
            return (!texts.is_empty()).then(|| Constant::Text(texts.concat()));
        }
        reader.restart(Rc::clone(&tokens), known.name_span);
        let mut eval = Eval::new(&tokens, 0, known.name_span, &mut *reader);
        let value = eval.ternary().ok()?;
        (eval.at == tokens.len()).then_some(Constant::Int(value))
    }
}

/// The text that a string literal stands for; none if it has wide characters.
fn text_of(literal: &str) -> Option<Vec<u8>> {
    let inner = literal.strip_prefix("u8").unwrap_or(literal).strip_prefix('"')?.strip_suffix('"')?;
    let (mut out, mut rest) = (Vec::with_capacity(inner.len()), inner.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let (byte, used) = match (first, after) {
            (b'\\', [b'\n', ..]) => {
                rest = &after[1..];
                continue;
            }
            (b'\\', _) => escape(after)?,
            _ => (first, 0),
        };
        out.push(byte);
        rest = &after[used..];
    }
    Some(out)
}
