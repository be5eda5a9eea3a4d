//! CO-RE: finds what a field, type or enum value of the object is on another kernel.
//!
//! Input    a local [`Spec`] (root type and access path in the object's BTF), candidates by name
//! Output   [`Outcome`], the value to put into the instruction; `patch_insn` puts it there
//! Ensures  the same decisions as libbpf, so that our objects mean the same in every loader
//! Breaks   nothing: BTFs are only read
//!
//! ```text
//! Spec::parse ─► find_candidates (BTF by BTF) ─► resolve ─► patch_insn
//!                                                  ├ match_candidate   core/matching.rs
//!                                                  └ compute           core/value.rs
//! ```
//!
//! Mirrors libbpf `src/relo_core.c`; item comments name the function. Kinds and meaning: kernel
//! `Documentation/bpf/llvm_reloc.rst`, "CO-RE Relocations".

mod compat;
mod matching;
mod patch;
mod value;

use std::fmt;

pub use compat::{types_are_compat, types_match};
pub use matching::{Candidate, find_candidates, match_candidate};
pub use patch::{PatchError, Patched, patch_insn};
pub use value::{MemSize, Outcome, Resolution, compute, resolve};

use crate::{Btf, Error, Type, TypeId};

/// Longest access path, `BPF_CORE_SPEC_MAX_LEN`.
pub const STEPS_MAX: usize = 64;

/// What a relocation asks for, `enum bpf_core_relo_kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum RelocKind {
    /// Offset of the field in bytes.
    FieldByteOffset = 0,
    /// Size of the field in bytes.
    FieldByteSize = 1,
    /// 1 if the field exists, else 0.
    FieldExists = 2,
    /// 1 if the field is signed, else 0.
    FieldSigned = 3,
    /// Left shift that brings a bit-field to the top of 64 bits.
    FieldLshiftU64 = 4,
    /// Right shift that then brings it to the bottom.
    FieldRshiftU64 = 5,
    /// Id of the type in the object's own BTF.
    TypeIdLocal = 6,
    /// Id of the type in the target's BTF.
    TypeIdTarget = 7,
    /// 1 if a type of this name and kind exists, else 0.
    TypeExists = 8,
    /// Size of the type in bytes.
    TypeSize = 9,
    /// 1 if the enum has this name, else 0.
    EnumvalExists = 10,
    /// The value of this name.
    EnumvalValue = 11,
    /// 1 if a type with at least the same members exists, else 0.
    TypeMatches = 12,
}

impl RelocKind {
    /// The kind with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::FieldByteOffset,
            1 => Self::FieldByteSize,
            2 => Self::FieldExists,
            3 => Self::FieldSigned,
            4 => Self::FieldLshiftU64,
            5 => Self::FieldRshiftU64,
            6 => Self::TypeIdLocal,
            7 => Self::TypeIdTarget,
            8 => Self::TypeExists,
            9 => Self::TypeSize,
            10 => Self::EnumvalExists,
            11 => Self::EnumvalValue,
            12 => Self::TypeMatches,
            _ => return None,
        })
    }

    /// The name that `llvm-objdump` and libbpf's log print.
    pub fn name(self) -> &'static str {
        match self {
            Self::FieldByteOffset => "byte_off",
            Self::FieldByteSize => "byte_sz",
            Self::FieldExists => "field_exists",
            Self::FieldSigned => "signed",
            Self::FieldLshiftU64 => "lshift_u64",
            Self::FieldRshiftU64 => "rshift_u64",
            Self::TypeIdLocal => "local_type_id",
            Self::TypeIdTarget => "target_type_id",
            Self::TypeExists => "type_exists",
            Self::TypeSize => "type_size",
            Self::EnumvalExists => "enumval_exists",
            Self::EnumvalValue => "enumval_value",
            Self::TypeMatches => "type_matches",
        }
    }

    /// What the access path means for this kind.
    pub fn subject(self) -> Subject {
        match self {
            Self::FieldByteOffset
            | Self::FieldByteSize
            | Self::FieldExists
            | Self::FieldSigned
            | Self::FieldLshiftU64
            | Self::FieldRshiftU64 => Subject::Field,
            Self::TypeIdLocal
            | Self::TypeIdTarget
            | Self::TypeExists
            | Self::TypeSize
            | Self::TypeMatches => Subject::Type,
            Self::EnumvalExists | Self::EnumvalValue => Subject::Enumval,
        }
    }
}

/// What a relocation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A field: the path has an element index and then members and elements.
    Field,
    /// A whole type: the path is `0`.
    Type,
    /// A name of an enum: the path is its index.
    Enumval,
}

/// Why a relocation has no answer. A missing field or type is none of these: see [`Outcome::poison`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// One of the BTFs is corrupt.
    #[error(transparent)]
    Btf(#[from] Error),
    /// The path does not fit its root type.
    #[error("access path `{access}` from type {root}: {what}")]
    Access {
        /// Root type in the object's BTF.
        root: TypeId,
        /// The path.
        access: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Types without a name cannot be looked up on the target.
    #[error("CO-RE relocation against type {0}, which has no name")]
    Anonymous(TypeId),
    /// Paths on the target may be no longer than local ones.
    #[error("target access path has more than 64 steps")]
    TooLong,
    /// Only offset and size exist of an array element.
    #[error("relocation `{}` cannot be applied to an array element", .0.name())]
    ArrayElement(RelocKind),
    /// The bit-field crosses more than 8 bytes.
    #[error("bit-field at bit {bit_offset} cannot be read with a load of 64 bits")]
    Bitfield {
        /// Where it starts.
        bit_offset: u64,
    },
    /// The target has several types of the name, which disagree.
    #[error("`{spec}` is ambiguous on the target: {what} {first} or {second}")]
    Ambiguous {
        /// The local spec.
        spec: String,
        /// In what they disagree.
        what: &'static str,
        /// By the first candidate.
        first: u64,
        /// By another.
        second: u64,
    },
}

/// A step of an access path that matters to a reader: a named member or an array element. Steps
/// through anonymous structs are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// Of a member, the struct it is in; of an element, the element's type.
    pub ty: TypeId,
    /// Index of the member, element or enum name.
    pub index: u32,
    /// Name of the member or enum name; `None` for an element.
    pub name: Option<&'a str>,
}

/// A root type and a path from it, checked against one BTF.
#[derive(Debug, Clone)]
pub struct Spec<'a> {
    pub(crate) btf: &'a Btf,
    pub(crate) root: TypeId,
    pub(crate) kind: RelocKind,
    pub(crate) steps: Vec<Step<'a>>,
    pub(crate) raw: Vec<u32>,
    pub(crate) bit_offset: u64,
}

impl<'a> Spec<'a> {
    /// Reads an access path such as `0:1:2` and follows it from `root`; libbpf's `bpf_core_parse_spec`.
    ///
    /// # Errors
    /// [`CoreError::Access`] for a path that is not one, or leaves its types.
    pub fn parse(btf: &'a Btf, root: TypeId, access: &str, kind: RelocKind) -> Result<Self, CoreError> {
        let err = |what| CoreError::Access { root, access: access.to_owned(), what };
        let mut spec = Self { btf, root, kind, steps: Vec::new(), raw: Vec::new(), bit_offset: 0 };
        btf.ty(root)?;
        if kind.subject() == Subject::Type {
            return if access == "0" { Ok(spec) } else { Err(err("a type relocation has the path 0")) };
        }
        for part in access.split(':') {
            if spec.raw.len() == STEPS_MAX {
                return Err(err("has more than 64 steps"));
            }
            spec.raw.push(part.parse().map_err(|_| err("is not numbers and colons"))?);
        }
        let (&first, path) = spec.raw.split_first().ok_or(err("is empty"))?;
        let path = path.to_vec();
        let resolved = btf.resolve(root)?;
        if kind.subject() == Subject::Enumval {
            let Type::Enum(e) = btf.ty(resolved)? else { return Err(err("the root is not an enum")) };
            let value = usize::try_from(first).ok().filter(|_| path.is_empty()).and_then(|i| e.value(i));
            let value = value.ok_or(err("the enum has no such name"))?;
            spec.steps.push(Step { ty: resolved, index: first, name: Some(value.name) });
            return Ok(spec);
        }
        spec.steps.push(Step { ty: resolved, index: first, name: None });
        spec.advance(first, resolved)?;
        let mut at = resolved;
        for index in path {
            at = spec.step(at, index)?.ok_or_else(|| err("leaves its type"))?;
        }
        Ok(spec)
    }

    /// Adds `index` times the size of `ty` to the offset.
    pub(crate) fn advance(&mut self, index: u32, ty: TypeId) -> Result<(), CoreError> {
        let bits = self.btf.size_of(ty)?.saturating_mul(8).saturating_mul(index.into());
        self.bit_offset = self.bit_offset.saturating_add(bits);
        Ok(())
    }

    /// Follows one index of a path; `None` if the type has nothing there.
    fn step(&mut self, at: TypeId, index: u32) -> Result<Option<TypeId>, CoreError> {
        let resolved = self.btf.resolve(at)?;
        let position = usize::try_from(index).unwrap_or(usize::MAX);
        match self.btf.ty(resolved)? {
            Type::Struct(c) | Type::Union(c) => {
                let Some(member) = c.member(position) else { return Ok(None) };
                self.bit_offset = self.bit_offset.saturating_add(member.bit_offset.into());
                if !member.name.is_empty() {
                    self.steps.push(Step { ty: resolved, index, name: Some(member.name) });
                }
                Ok(Some(member.ty))
            }
            Type::Array { elem, len, .. } => {
                if index >= len && !self.is_flexible(len)? {
                    return Ok(None);
                }
                let elem = self.btf.resolve(elem)?;
                self.steps.push(Step { ty: elem, index, name: None });
                self.advance(index, elem)?;
                Ok(Some(elem))
            }
            _ => Ok(None),
        }
    }

    /// Whether an array of length `len` reached by the last step may be indexed freely: it is the
    /// last member of its struct and has no length (libbpf's `is_flex_arr`).
    pub(crate) fn is_flexible(&self, len: u32) -> Result<bool, CoreError> {
        let Some(Step { ty, index, name: Some(_) }) = self.steps.last() else { return Ok(false) };
        let members = self.btf.ty(*ty)?.composite().map_or(0, |c| c.len() as u64);
        Ok(len == 0 && u64::from(*index) + 1 == members)
    }

    /// The BTF it was checked against.
    pub fn btf(&self) -> &'a Btf {
        self.btf
    }

    /// The type at which the path starts.
    pub fn root(&self) -> TypeId {
        self.root
    }

    /// What the relocation asks for.
    pub fn kind(&self) -> RelocKind {
        self.kind
    }

    /// Members and elements passed; the first is the element index of the root pointer.
    pub fn steps(&self) -> &[Step<'a>] {
        &self.steps
    }

    /// Where the path ends, in bits from the root.
    pub fn bit_offset(&self) -> u64 {
        self.bit_offset
    }

    /// The value the instruction must hold before it is patched; codegen writes it there.
    ///
    /// # Errors
    /// As [`compute`].
    pub fn local_value(&self) -> Result<u64, CoreError> {
        value::local_value(self)
    }
}

/// `struct task_struct.se.load[2]` or `enum pid_type::PIDTYPE_TGID`.
impl fmt::Display for Spec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.btf.decl(self.root, ""))?;
        let separator = if self.kind.subject() == Subject::Enumval { "::" } else { "." };
        for (i, step) in self.steps.iter().enumerate() {
            match step.name {
                Some(name) => write!(f, "{separator}{name}")?,
                None if i == 0 && step.index == 0 => {}
                None => write!(f, "[{}]", step.index)?,
            }
        }
        Ok(())
    }
}

/// A name without its flavour: `sk_buff___old` is `sk_buff`. As libbpf's
/// `bpf_core_essential_name_len`, the last `___` counts, with something on both sides of it.
pub fn essential_name(name: &str) -> &str {
    let bytes = name.as_bytes();
    let cut = (1..bytes.len().saturating_sub(3)).rev().find(|&at| {
        bytes.get(at..at + 3) == Some(b"___")
            && bytes.get(at - 1) != Some(&b'_')
            && bytes.get(at + 3) != Some(&b'_')
    });
    cut.and_then(|at| name.get(..at)).unwrap_or(name)
}
