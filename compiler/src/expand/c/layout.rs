//! Where members go: the System V ABI of 64-bit machines with GCC's attributes.
//!
//! Facts: x86-64 psABI 3.1.2; GCC manual "Type Attributes", "Variable Attributes", "Structure-Layout Pragmas".

use super::types::Extent;

/// What a declaration asks for beyond the type's own layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) packed: bool,
    /// `aligned(N)`: at least so many bytes.
    pub(super) aligned: Option<u32>,
}

/// A composite being laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    union: bool,
    packed: bool,
    /// `#pragma pack`: at most so many bytes of alignment.
    align_max: u32,
    bits: u64,
    size_bits: u64,
    align: u32,
}

/// A member to be placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) extent: Extent,
    /// Width of a bit-field.
    pub(super) bits: Option<u8>,
    pub(super) named: bool,
    pub(super) wish: Wish,
}

impl Layout {
    pub(super) fn new(union: bool, packed: bool, align_max: Option<u8>) -> Layout {
        let align_max = align_max.map_or(u32::MAX, u32::from);
        Layout { union, packed, align_max, bits: 0, size_bits: 0, align: 1 }
    }

    /// The member's offset in bits.
    pub(super) fn place(&mut self, member: Placed) -> u64 {
        let Placed { extent, bits, named, wish } = member;
        let packed = self.packed || wish.packed;
        let natural = if packed { 1 } else { extent.align.min(self.align_max) };
        let align = natural.max(wish.aligned.unwrap_or(1));
        let at = if self.union { 0 } else { self.bits };
        let (start, width) = match bits {
            None => (at.next_multiple_of(u64::from(align) * 8), u64::from(extent.bytes) * 8),
            // A bit-field of no width ends the storage unit.
            Some(0) => (at.next_multiple_of(u64::from(extent.align) * 8), 0),
            Some(width) => {
                let at = match wish.aligned {
                    Some(aligned) => at.next_multiple_of(u64::from(aligned) * 8),
                    None => at,
                };
                let (unit, width) = (u64::from(extent.bytes.max(1)) * 8, u64::from(width));
                let align = u64::from(natural) * 8;
                let crosses = at % align + width > unit;
                (if crosses && !packed { at.next_multiple_of(align) } else { at }, width)
            }
        };
        self.bits = start.saturating_add(width);
        self.size_bits = self.size_bits.max(self.bits);
        // Padding asks for no alignment.
        if named || bits.is_none() {
            self.align = self.align.max(align);
        }
        start
    }

    /// Size in bytes and alignment of the whole.
    pub(super) fn finish(self, aligned: Option<u32>) -> (u64, u32) {
        let align = self.align.max(aligned.unwrap_or(1));
        (self.size_bits.div_ceil(8).next_multiple_of(u64::from(align)), align)
    }
}
