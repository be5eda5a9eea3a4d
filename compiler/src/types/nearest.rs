//! The name that was probably meant.

/// The candidate closest to `name`, if it is close: no more edits than a third of the letters.
///
/// Candidates may be all functions of a kernel: most are left out by their length and letters, and
/// what has been found lowers the number of edits that is worth counting.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut allowed = (name.chars().count() / 3).max(1);
    let own = letters(name);
    let (mut rows, mut found) = (Rows::default(), None);
    for candidate in candidates {
        // An edit takes at most one letter away and brings another.
        let far = |limit: usize| {
            candidate.len().abs_diff(name.len()) > limit
                || (letters(candidate) ^ own).count_ones() as usize > 2 * limit
        };
        if allowed == 0 || far(allowed) || candidate == name {
            continue;
        }
        if let Some(edits) = rows.distance(name.as_bytes(), candidate.as_bytes(), allowed) {
            (allowed, found) = (edits - 1, Some(candidate));
        }
    }
    found
}

/// One bit for each letter that occurs; several letters may share one.
fn letters(text: &str) -> u64 {
    text.bytes().fold(0, |letters, byte| letters | 1 << (byte % 64))
}

/// Three rows of the table of distances, kept from one candidate to the next.
#[derive(Default)]
struct Rows {
    before: Vec<usize>,
    row: Vec<usize>,
    next: Vec<usize>,
}

impl Rows {
    /// Insertions, deletions, changes and swaps of neighbours from `a` to `b`, if at most `limit`.
    fn distance(&mut self, a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
        let Rows { before, row, next } = self;
        row.clear();
        row.extend(0..=b.len());
        for i in 0..a.len() {
            next.clear();
            next.push(i + 1);
            for j in 0..b.len() {
                let change = row[j] + usize::from(a[i] != b[j]);
                let mut best = change.min(row[j + 1] + 1).min(next[j] + 1);
                if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                    best = best.min(before[j - 1] + 1);
                }
                next.push(best);
            }
            // A swap may still come back from the row before this one.
            if next.iter().chain(row.iter()).min().is_some_and(|best| *best > limit) {
                return None;
            }
            std::mem::swap(before, row);
            std::mem::swap(row, next);
        }
        row.last().copied().filter(|edits| (1..=limit).contains(edits))
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn close_names() {
        let names = ["printf", "print", "pid", "tid"];
        assert_eq!(nearest("prinft", names), Some("printf"));
        assert_eq!(nearest("pird", names), Some("pid"));
        assert_eq!(nearest("something", names), None);
        assert_eq!(nearest("pid", ["pid"]), None, "the same name is no suggestion");
        assert_eq!(nearest("abcd", ["abxd", "abdc", "abcde"]), Some("abxd"), "the first of equals");
        assert_eq!(nearest("vfs_raed", ["vfs_road", "vfs_red", "vfs_read"]), Some("vfs_red"));
        assert_eq!(nearest("nft_do_chian", ["nft_do_main", "nft_do_chain"]), Some("nft_do_chain"));
    }
}
