//! The types of the script language.
//!
//! Sizes are bytes. `Ty` is plain data: composites of the kernel or the script are named by a
//! [`Composite`] handle that `fields/` resolves, enums by one that the kernel description resolves.

use crate::fields::{Composite, EnumRef};
use manifest::StackMode;

/// Type of an expression, variable, map key or map value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ty {
    /// No value: void calls, an `if` without `else`.
    None,
    /// Only as pointee.
    Void,
    /// One byte.
    Bool,
    /// Two's complement, 1, 2, 4 or 8 bytes.
    Int(Int),
    /// An integer that remembers its enum.
    Enum(Int, EnumRef),
    /// 8 bytes.
    Ptr(Box<Ty>, Space),
    /// Elements one after the other.
    Array(Box<Ty>, u32),
    /// Bytes up to a NUL; the capacity counts the NUL.
    String(u32),
    /// A 32-bit length, then up to this many bytes.
    Buffer(u32),
    /// A struct or union, only ever in memory.
    Struct(Composite),
    /// The record of a probe's arguments; its fields are read from the context one by one.
    Args,
    /// Positional fields, natural layout.
    Tuple(Vec<Ty>),
    /// Named fields, natural layout.
    Record(Vec<(String, Ty)>),
    /// IP address, 24 bytes.
    Inet,
    /// Ethernet address, 6 bytes.
    Mac,
    /// Kernel address printed as a symbol, 8 bytes.
    Ksym,
    /// User address and pid, 16 bytes.
    Usym,
    /// uid printed as a name, 8 bytes.
    Username,
    /// `strftime` value: index of the format, then ns; 16 bytes.
    Timestamp,
    /// cgroup id printed as a path, 8 bytes.
    CgroupPath,
    /// Kernel stack: count, then `limit` addresses.
    Kstack(StackMode, u32),
    /// User stack: pid, count, then `limit` addresses.
    Ustack(StackMode, u32),
    /// What only a map can hold.
    Agg(Agg),
}

/// Width and sign of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Int {
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Sign.
    pub signed: bool,
}

/// Which memory a pointer points into (LANGUAGE §2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// Not known; the generic read helpers are used.
    None,
    /// Kernel memory, by an address the verifier knows nothing of: read with `probe_read_kernel`.
    Kernel,
    /// Kernel memory, by a pointer the verifier knows the BTF type of: read with plain loads.
    Typed,
    /// User memory.
    User,
}

/// Aggregations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as the functions that make them")]
pub enum Agg {
    Count,
    Sum { signed: bool },
    Min { signed: bool },
    Max { signed: bool },
    Avg { signed: bool },
    Stats { signed: bool },
    Hist { bits: u8 },
    Lhist { min: i64, max: i64, step: u64 },
}

impl Ty {
    /// `int64`.
    pub const I64: Ty = Ty::Int(Int { size: 8, signed: true });
    /// `uint64`.
    pub const U64: Ty = Ty::Int(Int { size: 8, signed: false });
    /// `uint32`.
    pub const U32: Ty = Ty::Int(Int { size: 4, signed: false });

    /// Bytes of a value in memory, with the padding of tuples and records; 0 for `None`, `Void` and
    /// `Args`. Aggregations give the size of a cell.
    pub fn size(&self) -> u32 {
        match self {
            Ty::None | Ty::Void | Ty::Args => 0,
            Ty::Bool => 1,
            Ty::Int(int) | Ty::Enum(int, _) => u32::from(int.size),
            Ty::Ptr(..) | Ty::Ksym | Ty::Username | Ty::CgroupPath => 8,
            Ty::Array(of, len) => of.size().saturating_mul(*len),
            Ty::String(size) => *size,
            Ty::Buffer(size) => size.saturating_add(4),
            Ty::Struct(composite) => composite.size,
            Ty::Tuple(fields) => layout(fields.iter()).1,
            Ty::Record(fields) => layout(fields.iter().map(|(_, ty)| ty)).1,
            Ty::Inet => 24,
            Ty::Mac => 6,
            Ty::Usym | Ty::Timestamp => 16,
            Ty::Kstack(_, limit) => 8 + 8 * limit,
            Ty::Ustack(_, limit) => 16 + 8 * limit,
            Ty::Agg(agg) => agg.cell_size(),
        }
    }

    /// Alignment in tuples and records (LANGUAGE §2.1): byte blobs 1, others by their size.
    pub fn align(&self) -> u32 {
        match self {
            Ty::None | Ty::Void | Ty::Args | Ty::Bool => 1,
            Ty::String(_) | Ty::Mac => 1,
            Ty::Buffer(_) => 4,
            Ty::Int(int) | Ty::Enum(int, _) => u32::from(int.size),
            Ty::Array(of, _) => of.align(),
            Ty::Struct(_) => 8,
            Ty::Tuple(fields) => fields.iter().map(Ty::align).max().unwrap_or(1),
            Ty::Record(fields) => fields.iter().map(|(_, ty)| ty.align()).max().unwrap_or(1),
            Ty::Ptr(..)
            | Ty::Inet
            | Ty::Ksym
            | Ty::Usym
            | Ty::Username
            | Ty::Timestamp
            | Ty::CgroupPath
            | Ty::Kstack(..)
            | Ty::Ustack(..)
            | Ty::Agg(_) => 8,
        }
    }

    /// True if values live in a register: integers, bools, enums, pointers and 8-byte addresses.
    pub fn is_scalar(&self) -> bool {
        matches!(
            self,
            Ty::Bool | Ty::Int(_) | Ty::Enum(..) | Ty::Ptr(..) | Ty::Ksym | Ty::Username | Ty::CgroupPath
        )
    }
}

impl Agg {
    /// Bytes of a per-CPU cell; the layouts are `manifest::MapValue`'s.
    pub fn cell_size(self) -> u32 {
        match self {
            Agg::Count | Agg::Sum { .. } | Agg::Hist { .. } | Agg::Lhist { .. } => 8,
            Agg::Min { .. } | Agg::Max { .. } | Agg::Avg { .. } | Agg::Stats { .. } => 16,
        }
    }
}

/// Natural layout of a tuple's fields: their offsets and the padded size. What is too large to count
/// saturates; limits of the object refuse it.
pub fn layout<'a>(fields: impl Iterator<Item = &'a Ty>) -> (Vec<u32>, u32) {
    let (mut offsets, mut end, mut align) = (Vec::new(), 0u64, 1);
    let narrow = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
    for ty in fields {
        end = end.next_multiple_of(ty.align().into());
        offsets.push(narrow(end));
        end += u64::from(ty.size());
        align = align.max(ty.align());
    }
    (offsets, narrow(end.next_multiple_of(align.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(size: u8) -> Ty {
        Ty::Int(Int { size, signed: true })
    }

    #[test]
    fn natural_layout() {
        let sizes = |fields: &[Ty]| layout(fields.iter());
        assert_eq!(sizes(&[int(1), int(8), int(1), int(8)]), (vec![0, 8, 16, 24], 32));
        assert_eq!(sizes(&[int(1), int(2), int(4)]), (vec![0, 2, 4], 8));
        assert_eq!(sizes(&[Ty::String(3), int(4), Ty::Mac]), (vec![0, 4, 8], 16));
        assert_eq!(sizes(&[]), (vec![], 0));
        let huge = Ty::Array(Box::new(Ty::I64), u32::MAX);
        assert_eq!(Ty::Tuple(vec![huge.clone(), huge]).size(), u32::MAX);
    }
}
