//! The name that was probably meant.

/// The candidate closest to `name`, if it is close: fewer edits than a third of the letters.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(1);
    let close = candidates.into_iter().filter(|candidate| candidate.len().abs_diff(name.len()) <= allowed);
    let ranked = close.map(|candidate| (distance(name, candidate, allowed), candidate));
    ranked.filter(|(edits, _)| (1..=allowed).contains(edits)).min_by_key(|(edits, _)| *edits).map(|(_, c)| c)
}

/// Insertions, deletions, changes and swaps of neighbours from `a` to `b`; past `limit` only that it
/// is more.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut next = vec![i + 1];
        for j in 0..b.len() {
            let change = row[j] + usize::from(a[i] != b[j]);
            let mut best = change.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        if next.iter().min().is_some_and(|best| *best > limit + 1) {
            return limit + 1;
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
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
    }
}
