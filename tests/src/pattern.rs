//! Expected text with holes, for output that is exact but for a number or a name.
//!
//! `<N>` a decimal number, `<X>` hexadecimal digits, `<*>` anything within the line;
//! a line that is only `<...>` stands for any number of lines.

/// Whether `text` is what `pattern` describes; the reason when it is not.
pub fn check(pattern: &str, text: &str) -> Result<(), String> {
    let want: Vec<&str> = pattern.trim_end_matches('\n').split('\n').collect();
    let got: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
    if lines(&want, &got) { Ok(()) } else { Err(explain(pattern, text)) }
}

/// Both texts, side by side enough to see the difference.
pub fn explain(want: &str, got: &str) -> String {
    let first = want.lines().zip(got.lines()).position(|(w, g)| !line(w, g));
    let at = first.unwrap_or_else(|| want.lines().count().min(got.lines().count()));
    format!("first difference at line {}\n--- expected\n{want}\n--- got\n{got}\n---", at + 1)
}

fn lines(want: &[&str], got: &[&str]) -> bool {
    match want.split_first() {
        None => got.is_empty(),
        Some((&"<...>", rest)) => (0..=got.len()).any(|n| lines(rest, &got[n..])),
        Some((first, rest)) => {
            got.split_first().is_some_and(|(g, got_rest)| line(first, g) && lines(rest, got_rest))
        }
    }
}

fn line(want: &str, got: &str) -> bool {
    let Some(hole) = ["<N>", "<X>", "<*>"].iter().filter_map(|h| Some((want.find(h)?, *h))).min() else {
        return want == got;
    };
    let (at, kind) = hole;
    let (Some(rest), true) = (
        got.get(at..),
        got.is_char_boundary(at) && got.as_bytes()[..at.min(got.len())] == want.as_bytes()[..at],
    ) else {
        return false;
    };
    let after = &want[at + kind.len()..];
    let fits = |text: &str| match kind {
        "<N>" => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        }
        "<X>" => !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit()),
        _ => true,
    };
    let ends = rest.char_indices().map(|(i, _)| i).chain([rest.len()]);
    ends.into_iter().any(|end| fits(&rest[..end]) && line(after, &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn holes() {
        for (pattern, text, expected) in [
            ("a\nb", "a\nb\n", true),
            ("a\nb", "a", false),
            ("pid <N> done", "pid -12 done", true),
            ("pid <N>", "pid x", false),
            ("<N>-<X>", "7-ff", true),
            ("at 0x<X>:<*>", "at 0xffff:anything at all", true),
            ("a\n<...>\nz", "a\nb\nc\nz", true),
            ("a\n<...>\nz", "a\nz", true),
            ("a\n<...>\nz", "a\ny", false),
            ("longer than", "long", false),
        ] {
            assert_eq!(check(pattern, text).is_ok(), expected, "{pattern:?} on {text:?}");
        }
    }
}
