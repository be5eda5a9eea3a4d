//! Histograms: what their buckets mean, how they print.

use std::collections::BTreeMap;

/// Columns of the longest bar.
const BAR_COLUMNS: u64 = 52;

/// Buckets beyond this are no histogram's: at most 2^5 for each of 64 powers of two, or 1000 linear steps.
pub(super) const BUCKETS_MAX: u64 = 64 << 5;

/// How values were sorted into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Powers of two, each split in `2^bits`.
    Log2 { bits: u8 },
    /// Steps.
    Linear { min: i64, max: i64, step: u64 },
}

/// Counts by bucket.
pub(super) type Buckets = BTreeMap<u64, u64>;

/// A row: from `low` to below `high`, open where `None`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) low: Option<i128>,
    pub(super) high: Option<i128>,
    pub(super) count: u64,
    label: String,
}

impl Scale {
    /// Lower bound of a bucket after the first, and how it prints.
    fn bound(self, bucket: u64) -> (i128, String) {
        match self {
            Scale::Log2 { bits } => log2_bound(bucket - 1, u32::from(bits)),
            Scale::Linear { min, step, .. } => {
                linear_bound(i128::from(min) + i128::from(bucket - 1) * i128::from(step), step)
            }
        }
    }

    /// The last bucket. Of steps it has no upper bound, and a step that reaches beyond `max` shares it.
    fn last(self) -> u64 {
        match self {
            Scale::Log2 { bits } => 65u64.saturating_sub(u64::from(bits)) << bits,
            Scale::Linear { min, max, step } => 1 + max.abs_diff(min) / step.max(1),
        }
    }

    fn row(self, bucket: u64, count: u64) -> Row {
        let low = (bucket > 0).then(|| self.bound(bucket));
        let open = matches!(self, Scale::Linear { .. }) && bucket == self.last();
        let high = (!open).then(|| self.bound(bucket + 1));
        let label = match (&low, &high) {
            (None, None) => "(..., ...)".to_owned(),
            (None, Some((_, high))) => format!("(..., {high})"),
            (Some((_, low)), None) => format!("[{low}, ...)"),
            (Some((low, text)), Some((high, _))) if low + 1 == *high => format!("[{text}]"),
            (Some((_, low)), Some((_, high))) => format!("[{low}, {high})"),
        };
        Row { low: low.map(|(bound, _)| bound), high: high.map(|(bound, _)| bound), count, label }
    }

    /// Rows from the first to the last non-empty bucket, each count divided by `div` afterwards.
    pub(super) fn rows(self, buckets: &Buckets, div: u64) -> Vec<Row> {
        let filled = || buckets.range(..=self.last().min(BUCKETS_MAX)).filter(|(_, count)| **count > 0);
        let (Some((first, _)), Some((last, _))) = (filled().next(), filled().next_back()) else {
            return Vec::new();
        };
        let count = |bucket| buckets.get(&bucket).copied().unwrap_or(0) / div.max(1);
        (*first..=*last).map(|bucket| self.row(bucket, count(bucket))).collect()
    }
}

/// With `bits` bits, `n < 2^bits` is a bucket of its own; above, each step of `2^bits` buckets doubles.
/// The suffix follows from the shift, so with bits 1024 can be `1024`, while 4096 is `4K`.
fn log2_bound(n: u64, bits: u32) -> (i128, String) {
    let (mantissa, shift) = match n >> bits {
        0 => (n, 0),
        power => ((n & ((1 << bits) - 1)) | (1 << bits), power as u32 - 1),
    };
    let suffix = ["", "K", "M", "G", "T", "P", "E"].get(shift as usize / 10).copied().unwrap_or("");
    (i128::from(mantissa) << shift.min(64), format!("{}{suffix}", mantissa << (shift % 10)))
}

fn linear_bound(bound: i128, step: u64) -> (i128, String) {
    const K: i128 = 1 << 10;
    const M: i128 = 1 << 20;
    let text = match step.is_multiple_of(1024) && bound != 0 {
        true if bound % M == 0 => format!("{}M", bound / M),
        true if bound % K == 0 => format!("{}K", bound / K),
        _ => bound.to_string(),
    };
    (bound, text)
}

/// The rows with their bars.
pub(super) fn text(out: &mut Vec<u8>, rows: &[Row]) {
    let max = rows.iter().map(|row| row.count).max().unwrap_or(0);
    for Row { label, count, .. } in rows {
        let bar = "@".repeat(bar_columns(*count, max));
        out.extend(format!("{label:<16}{count:>8} |{bar:<52}|\n").bytes());
    }
}

/// Single precision as in bpftrace, so that equal counts give equal bars.
fn bar_columns(count: u64, max: u64) -> usize {
    if max == 0 {
        return 0;
    }
    ((count as f32 / max as f32) * BAR_COLUMNS as f32).min(BAR_COLUMNS as f32) as usize
}
