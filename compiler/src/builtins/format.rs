//! The verbs of `printf` (LANGUAGE §5.2) and the types they take.
//!
//! Input    a format string
//! Output   its verbs in order
//! Ensures  text that is no verb is skipped, as the loader prints it unchanged

use super::Call;
use crate::diag::Diag;
use crate::types::{Check, Ty, codes};

/// One conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verb<'a> {
    /// The whole conversion, `%-8lx`.
    pub text: &'a str,
    /// The last letters: `d`, `s`, `rx`, …
    pub letters: &'a str,
}

/// Verbs longest first, so that `rx` is not taken for `r`.
const LETTERS: &[&str] = &[
    "gr", "rx", "rh", "r", "d", "i", "u", "o", "x", "X", "c", "p", "s", "e", "f", "g", "a", "E", "F", "G",
    "A",
];
const LENGTHS: &[&str] = &["hh", "h", "ll", "l", "j", "z", "t"];

/// The verbs of a format.
pub fn verbs(format: &str) -> Vec<Verb<'_>> {
    let mut found = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        rest = &rest[at..];
        if let Some(tail) = rest.strip_prefix("%%") {
            rest = tail;
        } else if let Some(verb) = verb(rest) {
            found.push(verb);
            rest = &rest[verb.text.len()..];
        } else {
            rest = &rest[1..];
        }
    }
    found
}

/// The conversion that `text`, which starts with `%`, begins with.
fn verb(text: &str) -> Option<Verb<'_>> {
    let mut rest = &text[1..];
    for flag in ['-', '+', ' ', '#', '0'] {
        rest = rest.strip_prefix(flag).unwrap_or(rest);
    }
    rest = width(rest);
    if let Some(precision) = rest.strip_prefix('.') {
        rest = width(precision);
    }
    let longer = LENGTHS.iter().find_map(|length| {
        let tail = rest.strip_prefix(length)?;
        LETTERS.iter().find(|letters| tail.starts_with(**letters)).map(|letters| (tail, *letters))
    });
    let (tail, letters) =
        longer.or_else(|| LETTERS.iter().find(|letters| rest.starts_with(**letters)).map(|l| (rest, *l)))?;
    let end = text.len() - tail.len() + letters.len();
    Some(Verb { text: &text[..end], letters: &text[end - letters.len()..end] })
}

fn width(text: &str) -> &str {
    text.strip_prefix('*').unwrap_or_else(|| text.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Checks a call whose first argument is a format for the others.
pub fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<(), Diag> {
    let bytes = call.literal_text(0)?.to_vec();
    let format = String::from_utf8_lossy(&bytes);
    let verbs = verbs(&format);
    let given = call.args.len() - 1;
    if verbs.len() != given {
        return Err(wrong_count(call, &verbs));
    }
    for (index, verb) in verbs.iter().enumerate() {
        check_argument(cx, call, index + 1, verb)?;
    }
    Ok(())
}

fn wrong_count(call: &Call, verbs: &[Verb<'_>]) -> Diag {
    let (wanted, given) = (verbs.len(), call.args.len() - 1);
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let message = format!(
        "the format of `{}` wants {wanted} argument{}, but {given} {} given",
        call.name,
        plural(wanted),
        if given == 1 { "is" } else { "are" }
    );
    if given > wanted {
        let span = call.args[wanted + 1].span.to(call.args[given].span);
        return Diag::error(&codes::BAD_FORMAT, message, span, "no verb for this");
    }
    let missing: Vec<_> = verbs[given..].iter().map(|verb| format!("`{}`", verb.text)).collect();
    let label = format!("no argument for {}", missing.join(", "));
    Diag::error(&codes::BAD_FORMAT, message, call.args[0].span, label)
}

fn check_argument(cx: &mut Check<'_>, call: &mut Call, index: usize, verb: &Verb<'_>) -> Result<(), Diag> {
    if verb.letters == "s" {
        cx.text_parameter(&mut call.args[index]);
    }
    let arg = &call.args[index];
    let number = matches!(arg.ty, Ty::Int(_) | Ty::Bool | Ty::Ptr(..) | Ty::Enum(..));
    let fits = match verb.letters {
        "d" | "i" | "u" | "o" | "x" | "X" | "c" | "p" => number,
        "gr" => matches!(arg.ty, Ty::Int(_) | Ty::Enum(..)),
        "r" | "rx" | "rh" => matches!(arg.ty, Ty::Buffer(_)),
        "s" => !matches!(arg.ty, Ty::None | Ty::Void),
        _ => {
            let message = format!("`{}` is not supported: there are no floating-point numbers", verb.text);
            return Err(Diag::error(&codes::BAD_FORMAT, message, call.args[0].span, ""));
        }
    };
    if fits {
        return Ok(());
    }
    let message = format!("`{}` cannot print {}", verb.text, cx.describe(&arg.ty));
    let diag = Diag::error(&codes::BAD_FORMAT, message, arg.span, cx.describe(&arg.ty));
    let diag = diag.also(call.args[0].span, format!("`{}` here", verb.text));
    Err(match (verb.letters, &arg.ty) {
        ("r" | "rx" | "rh", _) => diag.help("make a buffer of it: `buf(address, length)`"),
        (_, Ty::None | Ty::Void) => diag,
        _ => diag.help("use `%s`"),
    })
}

#[cfg(test)]
mod tests {
    use super::verbs;

    #[track_caller]
    fn check(format: &str, expected: &[&str]) {
        assert_eq!(verbs(format).iter().map(|verb| verb.letters).collect::<Vec<_>>(), expected, "{format}");
    }

    #[test]
    fn verbs_of_formats() {
        check("plain 100%% and 5 %", &[]);
        check("%-6d %-16s %4s\n", &["d", "s", "s"]);
        check("%lx %llu %hhd %zu %ld", &["x", "u", "d", "u", "d"]);
        check("%-10.10s|%*d|%03d", &["s", "d", "d"]);
        check("%r %rx %rh %gr", &["r", "rx", "rh", "gr"]);
        check("%#x%p%c", &["x", "p", "c"]);
        check("%y %d", &["d"]);
        check("%f", &["f"]);
    }
}
