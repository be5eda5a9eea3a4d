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
#[cfg(test)]
pub(crate) mod sample;
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

#[cfg(test)]
mod tests {
    use super::sample::sample;
    use super::{CoreError, RelocKind, Spec, essential_name, find_candidates, resolve};
    use crate::{Btf, KindSet, TypeId};

    const LOCAL: &str = "
        struct in 12: x int 0, y u32 32, arr u16[2] 64
        union .u 8: a u64 0, b u8 0
        struct task 64: pid int 0, .u 64, in in 128, low u32 224:3, high u32 227:7, tail u8[0] 512
        enum state 4: IDLE=1, BUSY=-1
    ";

    fn spec<'a>(btf: &'a Btf, root: &str, access: &str, kind: RelocKind) -> Result<Spec<'a>, CoreError> {
        let root = btf.find(root, KindSet::ALL).next().unwrap_or(TypeId(u32::MAX));
        Spec::parse(btf, root, access, kind)
    }

    #[test]
    fn access_paths_are_followed() -> Result<(), CoreError> {
        let btf = sample(LOCAL)?;
        let check = |root: &str, access: &str, expected: Result<&str, &str>| {
            let found = spec(&btf, root, access, RelocKind::FieldByteOffset);
            let found = found.map(|spec| format!("{spec} @ {}", spec.bit_offset())).map_err(|e| match e {
                CoreError::Access { what, .. } => what.to_owned(),
                other => other.to_string(),
            });
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{root} {access}");
        };
        check("task", "0", Ok("struct task @ 0"));
        check("task", "2", Ok("struct task[2] @ 1024"));
        check("task", "0:0", Ok("struct task.pid @ 0"));
        check("task", "0:1:1", Ok("struct task.b @ 64"));
        check("task", "0:2:2:1", Ok("struct task.in.arr[1] @ 208"));
        check("task", "0:4", Ok("struct task.high @ 227"));
        check("task", "0:5:9", Ok("struct task.tail[9] @ 584"));
        check("task", "0:2:2:2", Err("leaves its type"));
        check("task", "0:6", Err("leaves its type"));
        check("task", "0:0:0", Err("leaves its type"));
        check("task", "", Err("is not numbers and colons"));
        check("task", "0:", Err("is not numbers and colons"));
        check("task", "0:-1", Err("is not numbers and colons"));
        check("task", &["0"; 65].join(":"), Err("has more than 64 steps"));
        check("state", "0", Ok("enum state @ 0"));
        let name = spec(&btf, "state", "1", RelocKind::EnumvalValue)?;
        assert_eq!((name.to_string().as_str(), name.local_value()), ("enum state::BUSY", Ok(u64::MAX)));
        assert!(spec(&btf, "state", "2", RelocKind::EnumvalValue).is_err());
        assert!(spec(&btf, "task", "0", RelocKind::EnumvalValue).is_err());
        assert!(spec(&btf, "task", "0:0", RelocKind::TypeSize).is_err());
        Ok(())
    }

    #[test]
    fn flavours_are_cut_where_libbpf_cuts_them() {
        let table = [
            ("a___b", "a"),
            ("a___b___c", "a___b"),
            ("a___", "a___"),
            ("___b", "___b"),
            ("a____b", "a____b"),
            ("a___b____c", "a"),
            ("", ""),
        ];
        for (name, expected) in table {
            assert_eq!(essential_name(name), expected, "{name}");
        }
    }

    /// Resolves against the target and tells the decision in words.
    fn decide(
        local: &str,
        root: &str,
        access: &str,
        kind: RelocKind,
        target: &str,
    ) -> Result<String, CoreError> {
        let (local, target) = (sample(local)?, sample(target)?);
        let spec = spec(&local, root, access, kind)?;
        let found = resolve(&spec, &find_candidates(&spec, &[&target])?)?.outcome;
        let mut text = format!("{} -> {}", found.local, found.value);
        if found.poison {
            text = format!("{} poison", found.local);
        }
        match found.mem_size {
            super::MemSize::Keep => {}
            super::MemSize::Change { from, to } => text += &format!(" size {from} -> {to}"),
            super::MemSize::Incompatible => text += " size incompatible",
        }
        Ok(text + if found.validate { "" } else { " unchecked" })
    }

    fn check(root: &str, access: &str, kind: RelocKind, target: &str, expected: &str) {
        let found = decide(LOCAL, root, access, kind, target).unwrap_or_else(|error| error.to_string());
        assert_eq!(found, expected, "{root} {access} {}", kind.name());
    }

    #[test]
    fn fields_are_found_by_name() {
        use RelocKind::{FieldByteOffset as Offset, FieldByteSize as Size, FieldExists as Exists};
        check("task", "0:0", Offset, "struct task 16: x u64 0, pid int 64", "0 -> 8");
        check("task", "0:0", Offset, "struct task___v2 16: x u64 0, pid int 64", "0 -> 8");
        check("task", "0:0", Offset, "struct task 8: x u64 0", "0 poison");
        check("task", "0:0", Exists, "struct task 8: x u64 0", "1 -> 0");
        check("task", "0:0", Exists, LOCAL, "1 -> 1");
        check("task", "0:0", Exists, "fwd task", "1 -> 0");
        check("task", "0:0", Exists, "struct other 8: pid int 0", "1 -> 0");
        // Out of an anonymous union, and into two nested ones.
        check("task", "0:1:1", Offset, "struct task 8: b u8 24", "8 -> 3");
        let nested = "struct .i 4: b u8 16
                      union .o 4: .i 0
                      struct task 8: .o 32";
        check("task", "0:1:1", Offset, nested, "8 -> 6");
        // The first member of the name decides, even if it cannot be read as the local one.
        check("task", "0:0", Exists, "struct task 8: pid * 0", "1 -> 0");
        check("task", "0:0", Size, "struct task 8: pid u64 0", "4 -> 8");
        // Typedefs and array elements.
        let element = "struct in 16: arr u16[4] 32
                       typedef in_t in
                       struct task 64: in in_t 64";
        check("task", "0:2:2:1", Offset, element, "26 -> 14");
        let short = "struct in 16: arr u16[1] 32
                     struct task 64: in in 64";
        check("task", "0:2:2:1", Offset, short, "26 poison");
        check("task", "0:5:9", Offset, "struct task 64: tail u8[0] 8", "73 -> 10");
        check("task", "0:5:9", Offset, "struct task 64: tail u8[4] 8", "73 poison");
        check(
            "task",
            "0:2:2:1",
            RelocKind::FieldSigned,
            LOCAL,
            "relocation `signed` cannot be applied to an array element",
        );
    }

    #[test]
    fn sizes_of_loads_follow_only_unsigned_fields() {
        use RelocKind::FieldByteOffset as Offset;
        let narrow = "union .u 8: a u32 32
                      struct task 64: .u 0";
        check("task", "0:1:0", Offset, narrow, "8 -> 4 size 8 -> 4");
        check("task", "0:0", Offset, "struct task 8: pid u64 0", "0 -> 0 size incompatible");
        check(
            "task",
            "0:2",
            Offset,
            "struct in 4: x int 0\nstruct task 8: in in 32",
            "16 -> 4 size incompatible",
        );
    }

    #[test]
    fn bit_fields_have_a_word_and_two_shifts() {
        use RelocKind::{FieldByteOffset, FieldByteSize, FieldLshiftU64, FieldRshiftU64, FieldSigned};
        // Bits 227..234 are bits 3..10 of the word at 28; on the target, 30..37 need 8 bytes.
        let target = "struct task 16: high u32 30:7";
        check("task", "0:4", FieldByteOffset, target, "28 -> 0 unchecked");
        check("task", "0:4", FieldByteSize, target, "4 -> 8 unchecked");
        check("task", "0:4", FieldLshiftU64, target, "54 -> 27 unchecked");
        check("task", "0:4", FieldRshiftU64, target, "57 -> 57");
        check("task", "0:4", FieldSigned, target, "0 -> 0");
        // A bit-field that has become an ordinary member.
        let plain = "struct task 16: high u8 16";
        check("task", "0:4", FieldByteOffset, plain, "28 -> 2 size incompatible unchecked");
        check("task", "0:4", FieldLshiftU64, plain, "54 -> 56 unchecked");
        check("task", "0:4", FieldRshiftU64, plain, "57 -> 56");
        let crossing = "struct task 16: high u64 62:7";
        check(
            "task",
            "0:4",
            FieldByteSize,
            crossing,
            "bit-field at bit 62 cannot be read with a load of 64 bits",
        );
    }

    #[test]
    fn types_and_enums() {
        use RelocKind::{
            EnumvalExists, EnumvalValue, TypeExists, TypeIdLocal, TypeIdTarget, TypeMatches, TypeSize,
        };
        let other = "struct in 20: y u32 0, x int 32, z int 64, arr u16[2] 96";
        check("in", "0", TypeExists, other, "1 -> 1");
        check("in", "0", TypeExists, "enum in 4: A=1", "1 -> 0");
        check("in", "0", TypeMatches, other, "1 -> 1");
        check("in", "0", TypeMatches, "struct in 8: x int 0, y u32 32", "1 -> 0");
        check("in", "0", TypeSize, other, "12 -> 20");
        check("in", "0", TypeSize, "fwd in", "12 -> 0");
        check("in", "0", TypeIdTarget, "struct in 4: x int 0", "10 -> 9 unchecked");
        check("in", "0", TypeIdTarget, "fwd in", "10 -> 0 unchecked");
        check("in", "0", TypeIdLocal, "fwd in", "10 -> 10 unchecked");
        check("state", "0", EnumvalValue, "enum state 4: NEW=0, IDLE=7", "1 -> 7");
        check("state", "0", EnumvalValue, "enum64 state___x 8: IDLE___y=-7", "1 -> 18446744073709551609");
        check("state", "0", EnumvalValue, "enum state 4: NEW=0", "1 poison");
        check("state", "0", EnumvalExists, "enum state 4: NEW=0", "1 -> 0");
        check("state", "0", EnumvalExists, "enum state 4: IDLE=0", "1 -> 1");
    }

    #[test]
    fn candidates_must_agree() {
        use RelocKind::{FieldByteOffset, FieldByteSize, TypeSize};
        let same = "struct task 8: pid int 32\nstruct task___2 16: x int 0, pid int 32";
        check("task", "0:0", FieldByteOffset, same, "0 -> 4");
        let moved = "struct task 8: pid int 32\nstruct task___2 16: x int 0, pid int 64";
        let ambiguous = "`struct task.pid` is ambiguous on the target: bit offset 32 or 64";
        check("task", "0:0", FieldByteSize, moved, ambiguous);
        let sizes = "`struct task` is ambiguous on the target: value 8 or 16";
        check("task", "0", TypeSize, moved, sizes);
        // A twin that lacks the field does not count.
        let twin = "struct task 8: x int 32\nstruct task___2 16: x int 0, pid int 64";
        check("task", "0:0", FieldByteOffset, twin, "0 -> 8");
    }

    #[test]
    fn anonymous_roots_are_refused() -> Result<(), CoreError> {
        let btf = sample("struct .a 4: x int 0")?;
        let last = btf.ids().next_back().unwrap_or_default();
        let spec = Spec::parse(&btf, last, "0:0", RelocKind::FieldByteOffset)?;
        assert_eq!(find_candidates(&spec, &[&btf]).map(|_| ()), Err(CoreError::Anonymous(last)));
        Ok(())
    }
}
