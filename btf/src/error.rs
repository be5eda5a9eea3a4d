//! What can be wrong with BTF from the world: truncated, foreign, or lying about itself.

use crate::{StrOff, TypeId};

/// Why bytes are not usable BTF, or why a question about a type has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fewer bytes than a header, or a header that says it is longer than the data.
    #[error("BTF header needs {need} bytes, the data has {have}")]
    ShortHeader {
        /// Bytes the header needs.
        need: u64,
        /// Bytes there are.
        have: u64,
    },
    /// The first two bytes are not the magic number.
    #[error("not BTF: magic number is {0:#06x}, expected 0xeb9f")]
    Magic(u16),
    /// The magic number is byte-swapped: data for a big-endian machine.
    #[error("BTF is big-endian, only little-endian is supported")]
    BigEndian,
    /// A format version other than 1.
    #[error("BTF version {0} is not supported, only 1 is")]
    Version(u8),
    /// A section that does not lie inside the data.
    #[error("BTF {section} section ({len} bytes at {off}) is outside the data ({have} bytes)")]
    Section {
        /// Which section of the file.
        section: &'static str,
        /// Where it starts, from the beginning of the data.
        off: u64,
        /// Its length in bytes.
        len: u64,
        /// Bytes there are.
        have: u64,
    },
    /// The string section breaks a rule every reader relies on.
    #[error("BTF string section {0}")]
    Strings(&'static str),
    /// The type section ends inside a type.
    #[error("BTF type {0} is cut off by the end of the type section")]
    CutType(TypeId),
    /// A kind number this crate does not know.
    #[error("BTF type {id} has unknown kind {kind}")]
    Kind {
        /// The type.
        id: TypeId,
        /// The number found.
        kind: u8,
    },
    /// A field of a type has a value that the format does not define.
    #[error("BTF type {id} has an invalid {field}: {value}")]
    Field {
        /// The type.
        id: TypeId,
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u32,
    },
    /// A string offset beyond the strings.
    #[error("BTF string offset {0} is outside the string section")]
    Name(StrOff),
    /// A type id beyond the types.
    #[error("BTF type id {0} does not exist")]
    NoType(TypeId),
    /// A chain or nesting of types that is longer than any real one, so most likely a loop.
    #[error("BTF type {0} refers to itself, or is nested too deeply")]
    TooDeep(TypeId),
    /// A type without a size: void, a function, a forward declaration.
    #[error("BTF type {id} ({kind}) has no size")]
    NoSize {
        /// The type.
        id: TypeId,
        /// What it is.
        kind: &'static str,
    },
    /// More types, strings or records than the format's fields can count.
    #[error("BTF has too many {0}")]
    TooMany(&'static str),
    /// `.BTF.ext` breaks one of its rules.
    #[error("BTF.ext {part}: {what}")]
    Ext {
        /// Which sub-section.
        part: &'static str,
        /// The rule.
        what: &'static str,
    },
    /// A whole BTF where one with a base was asked for.
    #[error("BTF is not split: it has no base to be moved from")]
    NotSplit,
    /// A distilled base type that the running kernel's BTF does not have, or has several of.
    #[error("base type `{name}` (id {id}) {what}")]
    Base {
        /// Its id in the distilled base.
        id: TypeId,
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
}
