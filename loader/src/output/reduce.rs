//! Reduces the per-CPU cells of an aggregation to one value.

use super::value::{BadBytes, integer};
use std::cmp::Ordering;

/// Cells of `size` bytes, one a CPU.
fn cells(bytes: &[u8], size: usize) -> Result<impl Iterator<Item = &[u8]>, BadBytes> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
        return Err(BadBytes::Short { need: size as u64, have: bytes.len() });
    }
    Ok(bytes.chunks_exact(size))
}

/// The sum of the cells.
pub(super) fn total(bytes: &[u8]) -> Result<u64, BadBytes> {
    Ok(cells(bytes, 8)?.map(integer).fold(0, u64::wrapping_add))
}

/// The sums of the cells' totals and counts.
pub(super) fn totals(bytes: &[u8]) -> Result<(u64, u64), BadBytes> {
    let sums = cells(bytes, 16)?.map(|cell| (integer(&cell[..8]), integer(&cell[8..])));
    Ok(sums.fold((0, 0), |a: (u64, u64), b| (a.0.wrapping_add(b.0), a.1.wrapping_add(b.1))))
}

/// The smallest or largest of the cells that are set, 0 if none is.
pub(super) fn extreme(bytes: &[u8], signed: bool, wanted: Ordering) -> Result<u64, BadBytes> {
    let set = cells(bytes, 16)?.filter(|cell| integer(&cell[8..]) != 0).map(|cell| integer(&cell[..8]));
    let better = |a: u64, b: u64| {
        let order = if signed { (a as i64).cmp(&(b as i64)) } else { a.cmp(&b) };
        if order == wanted { a } else { b }
    };
    Ok(set.reduce(better).unwrap_or(0))
}

/// Truncates towards zero; 0 of nothing.
pub(super) fn average(total: u64, count: u64, signed: bool) -> u64 {
    match (count, signed) {
        (0, _) => 0,
        (_, true) => (i128::from(total as i64) / i128::from(count)) as u64,
        (_, false) => total / count,
    }
}
