//! The object's BTF as the kernel accepts it.
//!
//! Input    a `.BTF` that [`btf::Btf`] has parsed, whether the kernel knows newer kinds
//! Output   bytes for `BPF_BTF_LOAD`, with the same number of types, so all ids stay valid
//! Ensures  string offsets stay as they are: line records refer to them
//!
//! What the kernel refuses in objects (`kernel/bpf/btf.c`): `extern` variables and functions, data sections with
//! them or without a size. Which kinds came when: `Documentation/bpf/btf.rst` and libbpf's
//! `bpf_object__sanitize_btf`, whose replacements are mirrored.

use btf::Kind;

const HEADER_BYTES: usize = 24;

/// How much of BTF the kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// All kinds.
    Full,
    /// Without `FLOAT`, `DECL_TAG`, `TYPE_TAG`, `ENUM64` (before 5.13 to 6.0).
    Old,
}

/// Rewrites the types. `None` if the bytes are not as the parser has seen them.
pub fn kernel_btf(bytes: &[u8], level: Level) -> Option<Vec<u8>> {
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let size = |word: u32| usize::try_from(word).ok();
    let header = size(word(4)?)?;
    let section = |off: u32, len: u32| {
        let start = header.checked_add(size(off)?)?;
        bytes.get(start..start.checked_add(size(len)?)?)
    };
    let mut types = section(word(8)?, word(12)?)?;
    let strings = section(word(16)?, word(20)?)?;

    let mut out = Vec::with_capacity(bytes.len());
    out.resize(HEADER_BYTES, 0);
    while !types.is_empty() {
        let record = Record::take(&mut types)?;
        record.write(&mut out, level, strings)?;
    }
    let types_len = u32::try_from(out.len() - HEADER_BYTES).ok()?;
    out.extend_from_slice(strings);
    let strings_len = u32::try_from(strings.len()).ok()?;
    let fields = [0x0001_eb9f, 24, 0, types_len, types_len, strings_len];
    for (to, field) in out.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
        *to = u32::to_le_bytes(field);
    }
    Some(out)
}

/// `struct btf_type` and what follows it.
struct Record<'a> {
    name: u32,
    info: u32,
    size_or_type: u32,
    tail: &'a [u8],
}

impl<'a> Record<'a> {
    fn take(types: &mut &'a [u8]) -> Option<Self> {
        let (head, rest) = types.split_first_chunk::<12>()?;
        let word = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let info = word(4)?;
        let (tail, rest) = rest.split_at_checked(tail_bytes(info)?)?;
        *types = rest;
        Some(Self { name: word(0)?, info, size_or_type: word(8)?, tail })
    }

    fn write(&self, out: &mut Vec<u8>, level: Level, strings: &[u8]) -> Option<()> {
        let kind = kind_of(self.info)?;
        let vlen = self.info & 0xffff;
        let with_kind = |kind: Kind, vlen: u32| (kind as u32) << 24 | vlen;
        let tail_word = |at: usize| self.tail.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let mut put = |name: u32, info: u32, size_or_type: u32, tail: &[u8]| {
            for word in [name, info, size_or_type] {
                out.extend_from_slice(&word.to_le_bytes());
            }
            out.extend_from_slice(tail);
        };
        match kind {
            // An extern variable becomes an int: nothing but its section refers to it.
            Kind::Var if tail_word(0)? == 2 => put(0, with_kind(Kind::Int, 0), 4, &32u32.to_le_bytes()),
            // An extern function becomes a pointer to its prototype.
            Kind::Func if vlen == 2 => put(0, with_kind(Kind::Ptr, 0), self.size_or_type, &[]),
            Kind::DataSec if self.size_or_type == 0 || is_extern_section(strings, self.name) => {
                put(0, with_kind(Kind::Struct, 0), 0, &[]);
            }
            Kind::Float if level == Level::Old => {
                put(self.name, with_kind(Kind::Struct, 0), self.size_or_type, &[]);
            }
            Kind::TypeTag if level == Level::Old => put(0, with_kind(Kind::Const, 0), self.size_or_type, &[]),
            Kind::DeclTag if level == Level::Old => put(0, with_kind(Kind::Int, 0), 4, &32u32.to_le_bytes()),
            Kind::Enum64 if level == Level::Old => {
                // Values of 64 bits do not fit an old enum; as an empty union it has the right size.
                put(self.name, with_kind(Kind::Union, 0), self.size_or_type, &[]);
            }
            // Signed enums are newer than enums.
            Kind::Enum if level == Level::Old => {
                put(self.name, with_kind(Kind::Enum, vlen), self.size_or_type, self.tail);
            }
            _ => put(self.name, self.info, self.size_or_type, self.tail),
        }
        Some(())
    }
}

fn kind_of(info: u32) -> Option<Kind> {
    Kind::from_number(u8::try_from(info >> 24 & 0x1f).ok()?)
}

fn tail_bytes(info: u32) -> Option<usize> {
    let vlen = usize::try_from(info & 0xffff).ok()?;
    Some(match kind_of(info)? {
        Kind::Int | Kind::Var | Kind::DeclTag => 4,
        Kind::Array => 12,
        Kind::Struct | Kind::Union | Kind::DataSec | Kind::Enum64 => 12 * vlen,
        Kind::Enum | Kind::FuncProto => 8 * vlen,
        Kind::Ptr
        | Kind::Fwd
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::Float
        | Kind::TypeTag => 0,
    })
}

fn is_extern_section(strings: &[u8], name: u32) -> bool {
    let tail = usize::try_from(name).ok().and_then(|at| strings.get(at..)).unwrap_or_default();
    tail.starts_with(b".ksyms\0") || tail.starts_with(b".kconfig\0")
}
