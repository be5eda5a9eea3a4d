//! How bytes of a map or an event become a value.
//!
//! Sizes and offsets are bytes, integers little-endian. The layouts of the per-CPU cells of
//! aggregations are part of [`MapValue`]'s description.

use serde::{Deserialize, Serialize};

/// Layout and meaning of a value's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Layout {
    /// No bytes; prints `null`. Also a field whose C type has no meaning here.
    None,
    /// Two's complement integer of 1, 2, 4 or 8 bytes.
    Int {
        /// Bytes.
        size: u8,
        /// Sign.
        signed: bool,
    },
    /// One byte, 0 or not.
    Bool,
    /// An integer that prints its enumerator's name.
    Enum {
        /// Bytes.
        size: u8,
        /// Index into the manifest's enums.
        id: u32,
    },
    /// 8 bytes, printed in hex.
    Pointer,
    /// Bytes up to the first NUL; without one the truncation trailer follows.
    String {
        /// Capacity in bytes.
        size: u32,
    },
    /// A `u32` length, then that many of `size` bytes.
    Buffer {
        /// Capacity in bytes, without the length.
        size: u32,
    },
    /// `len` elements one after the other.
    Array {
        /// Element.
        of: Box<Layout>,
        /// Bytes of an element.
        stride: u32,
        /// Elements.
        len: u32,
    },
    /// Positional fields.
    Tuple {
        /// Bytes with padding.
        size: u32,
        /// Fields in order.
        fields: Vec<Field>,
    },
    /// Named fields: a record, struct or union.
    Record {
        /// Bytes with padding.
        size: u32,
        /// Names, as many as fields.
        names: Vec<String>,
        /// Fields in order.
        fields: Vec<Field>,
    },
    /// `u64` address family (2 or 10), then 16 bytes of address.
    Inet,
    /// 6 bytes.
    Mac,
    /// `u64` kernel address, printed as its symbol.
    Ksym,
    /// `u64` user address, then `u64` pid.
    Usym,
    /// `u64` uid, printed as the user's name.
    Username,
    /// `strftime`: `u64` index of a format in the table here, then `u64` ns of the boot clock.
    Timestamp {
        /// strftime formats by index.
        formats: Vec<String>,
    },
    /// `u64` cgroup id, printed as its path.
    CgroupPath,
    /// `u64` number of frames, then `limit` `u64` kernel addresses.
    Kstack {
        /// How frames print.
        mode: StackMode,
        /// Frames there is room for.
        limit: u32,
    },
    /// `u64` pid, `u64` number of frames, then `limit` `u64` user addresses.
    Ustack {
        /// How frames print.
        mode: StackMode,
        /// Frames there is room for.
        limit: u32,
    },
}

/// bpftrace's `stack_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StackMode {
    /// `symbol+offset`.
    Bpftrace,
    /// Address, `symbol+offset`, module.
    Perf,
    /// Addresses.
    Raw,
}

/// A value within a larger one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Bytes from the start of the enclosing value.
    pub offset: u32,
    /// What is there.
    pub layout: Layout,
    /// Set for bit-fields: the layout is an integer and `offset` the first byte that holds a bit of it.
    pub bits: Option<Bits>,
}

/// A bit-field within little-endian bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bits {
    /// Bits from the first byte's lowest.
    pub offset: u8,
    /// Width in bits.
    pub width: u8,
}

/// An enum that values are printed by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enum {
    /// Name, empty if it has none.
    pub name: String,
    /// Enumerators: value and name.
    pub values: Vec<(i64, String)>,
}

/// One of the script's maps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// Name in the script, with the `@`.
    pub name: String,
    /// ELF symbol, and the kernel's name of the map.
    pub symbol: String,
    /// Key as the script sees it; `None` for a scalar map, whose one key is a `u64` 0.
    /// For histograms the BPF map's key goes on, 8-aligned, with a `u64` bucket number.
    pub key: Option<Layout>,
    /// Value.
    pub value: MapValue,
}

/// What a map's values are. Aggregations live in per-CPU cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MapValue {
    /// One value a key.
    Plain(Layout),
    /// Cell: `u64`. Reduced by adding.
    Count,
    /// Cell: `u64`. Reduced by adding.
    Sum {
        /// Sign.
        signed: bool,
    },
    /// Cell: `u64` value, `u64` 1 once set.
    Min {
        /// Sign.
        signed: bool,
    },
    /// Cell: `u64` value, `u64` 1 once set.
    Max {
        /// Sign.
        signed: bool,
    },
    /// Cell: `u64` total, `u64` count.
    Avg {
        /// Sign.
        signed: bool,
    },
    /// Cell: `u64` total, `u64` count.
    Stats {
        /// Sign.
        signed: bool,
    },
    /// Cell: `u64`, one element a bucket. `bits` splits each power of two in `2^bits` buckets:
    /// bucket 0 holds negatives, `1 + v` for `v < 2^bits`, else
    /// `1 + ((log2(v) - bits + 1) << bits) + the bits of v behind its leading one`.
    Hist {
        /// 0 to 5.
        bits: u8,
    },
    /// Cell: `u64`, one element a bucket: 0 below `min`, then steps, the last at and above `max`.
    Lhist {
        /// Lower bound.
        min: i64,
        /// Upper bound.
        max: i64,
        /// Width of a bucket.
        step: u64,
    },
}
