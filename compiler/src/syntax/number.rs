//! Integer literals, shared by the lexer, attach points and script parameters.

use super::ast::IntLit;

/// Where a number stands decides about `0b`: the lexer does not know it, other places do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A literal of the script.
    Source,
    /// An attach point part or the text of a script parameter.
    Text,
}

/// Reads a whole word as a number; the error is a sentence without its subject.
pub fn parse_integer(word: &str, place: Place) -> Result<IntLit, String> {
    let (value, rest) = match word.as_bytes() {
        [b'0', b'x' | b'X', ..] => parse_radix(&word[2..], 16, |b| b.is_ascii_hexdigit())?,
        [b'0', b'b' | b'B', ..] if place == Place::Text => {
            parse_radix(&word[2..], 2, |b| matches!(b, b'0' | b'1'))?
        }
        [b'0', b'0'..=b'9', ..] => parse_radix(word, 8, |b| matches!(b, b'0'..=b'7'))?,
        _ => return parse_decimal(word),
    };
    if rest.is_empty() { Ok(IntLit { value, duration: false }) } else { Err(invalid_suffix(rest)) }
}

fn invalid_suffix(rest: &str) -> String {
    format!("has the invalid suffix `{rest}`")
}

fn too_large() -> String {
    "does not fit in 64 bits".to_owned()
}

/// The value of the leading digits and what follows them.
fn parse_radix(text: &str, radix: u64, digit: fn(u8) -> bool) -> Result<(u64, &str), String> {
    let end = text.bytes().position(|b| b != b'_' && !digit(b)).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if !digits.bytes().any(digit) {
        return Err("has no digits".to_owned());
    }
    if digits.ends_with('_') {
        return Err("ends its digits with `_`".to_owned());
    }
    let add = |value: u64, b: u8| {
        let digit = char::from(b).to_digit(16).map(u64::from)?;
        value.checked_mul(radix)?.checked_add(digit)
    };
    let value = digits.bytes().filter(|&b| b != b'_').try_fold(0, add).ok_or_else(too_large)?;
    Ok((value, rest))
}

fn parse_decimal(word: &str) -> Result<IntLit, String> {
    let (mut value, mut rest) = parse_radix(word, 10, |b| b.is_ascii_digit())?;
    if let Some(exponent) = rest.strip_prefix(['e', 'E'])
        && exponent.starts_with(|c: char| c.is_ascii_digit())
    {
        let end = exponent.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(exponent.len());
        if !(1..=9).contains(&value) || word.len() - rest.len() != 1 {
            return Err("needs a single digit from 1 to 9 in front of its exponent".to_owned());
        }
        if exponent.starts_with('0') {
            return Err("has an exponent that starts with 0".to_owned());
        }
        let power = exponent[..end].parse().ok().and_then(|e| 10u64.checked_pow(e));
        value = power.and_then(|p| value.checked_mul(p)).ok_or_else(too_large)?;
        rest = &exponent[end..];
    }
    with_suffix(value, rest)
}

fn with_suffix(value: u64, suffix: &str) -> Result<IntLit, String> {
    let nanoseconds = match suffix {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        "d" => 86_400 * 1_000_000_000,
        _ => return with_c_suffix(value, suffix),
    };
    let value = value.checked_mul(nanoseconds).ok_or_else(too_large)?;
    Ok(IntLit { value, duration: true })
}

fn with_c_suffix(value: u64, suffix: &str) -> Result<IntLit, String> {
    let max = match suffix.to_ascii_lowercase().as_str() {
        "" | "ul" | "ull" => u64::MAX,
        "u" => u64::from(u32::MAX),
        "l" | "ll" => i64::MAX as u64,
        _ => return Err(invalid_suffix(suffix)),
    };
    if value > max {
        return Err(format!("is too large for the suffix `{suffix}`"));
    }
    Ok(IntLit { value, duration: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let cases = [
            ("0", 0),
            ("1_000", 1000),
            ("0x1F", 31),
            ("0xff_ff", 65535),
            ("017", 15),
            ("1e6", 1_000_000),
            ("9E2", 900),
            ("12u", 12),
            ("12ULL", 12),
            ("5ms", 5_000_000),
            ("1m", 60_000_000_000),
            ("2d", 172_800_000_000_000),
            ("1e3s", 1_000_000_000_000),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, value) in cases {
            assert_eq!(parse_integer(text, Place::Source).map(|i| i.value), Ok(value), "{text}");
        }
        assert_eq!(parse_integer("0b101", Place::Text).map(|i| i.value), Ok(5));
    }

    #[test]
    fn err_malformed() {
        for text in [
            "0b101",
            "1_",
            "0x",
            "0x_",
            "08",
            "0x10u",
            "12abc",
            "10e3",
            "1e0",
            "1e20",
            "18446744073709551616",
            "4294967296u",
            "9223372036854775808l",
            "300000000000d",
            "1e99999999999",
        ] {
            assert!(parse_integer(text, Place::Source).is_err(), "{text}");
        }
    }
}
