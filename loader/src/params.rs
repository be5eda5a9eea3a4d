//! Parameters of the script: what follows the object on the command line.
//!
//! Input    words; the manifest's globals
//! Output   [`Params`], then the value of each parameter's global
//! Ensures  the messages are bpftrace's

use crate::error::Error;
use manifest::{Global, GlobalRole, Parameter, ParameterValue};

/// What the command line gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    /// `$1` and so on.
    pub positional: Vec<String>,
    /// `--name=value` or `--name`.
    pub named: Vec<(String, Option<String>)>,
}

impl Params {
    /// Sorts words; those from after `--` may be named.
    pub fn new(before: Vec<String>, after: Vec<String>) -> Self {
        let mut params = Self { positional: before, named: Vec::new() };
        for word in after {
            match word.strip_prefix("--") {
                None => params.positional.push(word),
                Some(named) => params.named.push(match named.split_once('=') {
                    Some((name, value)) => (name.into(), Some(value.into())),
                    None => (named.into(), None),
                }),
            }
        }
        params
    }

    /// Refuses named parameters the script does not have.
    pub fn check(&self, globals: &[Global]) -> Result<(), Error> {
        let known: Vec<&Parameter> = parameters(globals).collect();
        let is_known = |name: &str| known.iter().any(|parameter| parameter.name == name);
        let unknown: Vec<String> =
            self.named.iter().filter(|(n, _)| !is_known(n)).map(|(n, _)| format!("--{n}")).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let mut text = format!("unexpected program command line options: {}", unknown.join(", "));
        let wants_help = unknown.iter().any(|name| name == "--help");
        if !known.is_empty() && wants_help {
            text.push_str("\nHINT: expected program options:");
            for parameter in known {
                text.push_str(&format!("\n  --{}: {}", parameter.name, parameter.description));
            }
        } else if !known.is_empty() {
            let names: Vec<String> = known.iter().map(|parameter| format!("--{}", parameter.name)).collect();
            text.push_str(&format!("\nHINT: expected program options: {}", names.join(", ")));
        }
        Err(Error::Usage(text))
    }

    /// `$index` as an integer; missing is 0.
    pub fn int(&self, index: u32) -> Result<[u8; 8], Error> {
        let Some(text) = self.get(index) else { return Ok([0; 8]) };
        let value = parse_int(text).ok_or_else(|| {
            Error::Usage(format!("positional parameter ${index} invalid integer (value: {text})"))
        })?;
        Ok(value.to_le_bytes())
    }

    /// `$index` as text; missing is empty.
    pub fn text(&self, index: u32, size: u32) -> Result<Vec<u8>, Error> {
        string(self.get(index).unwrap_or_default(), size, &format!("positional parameter ${index}"))
    }

    /// The value of a named parameter, or its default.
    pub fn named(&self, parameter: &Parameter) -> Result<Vec<u8>, Error> {
        let name = &parameter.name;
        let given = self.named.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_deref());
        let invalid = |kind: &str, value: &str| {
            Error::Usage(format!("program command line option --{name} invalid {kind} (value: {value})"))
        };
        let integer = |text: &str, signed: bool| match parse_int(text) {
            Some(value) if signed || !text.starts_with('-') => Ok(value.to_le_bytes().to_vec()),
            _ => Err(invalid("integer", text)),
        };
        match (&parameter.default, given) {
            (ParameterValue::Bool(value), None) => Ok(u64::from(*value).to_le_bytes().to_vec()),
            (ParameterValue::Bool(_), Some(None)) => Ok(1u64.to_le_bytes().to_vec()),
            (ParameterValue::Bool(_), Some(Some(text))) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(1u64.to_le_bytes().to_vec()),
                "false" | "0" => Ok(0u64.to_le_bytes().to_vec()),
                _ => Err(invalid("bool", text)),
            },
            (ParameterValue::Int(value), None) => Ok(value.to_le_bytes().to_vec()),
            (ParameterValue::Uint(value), None) => Ok(value.to_le_bytes().to_vec()),
            (ParameterValue::Int(_), Some(text)) => integer(text.unwrap_or_default(), true),
            (ParameterValue::Uint(_), Some(text)) => integer(text.unwrap_or_default(), false),
            (ParameterValue::Str { value, size }, given) => {
                let text = given.map_or(value.as_str(), Option::unwrap_or_default);
                string(text, *size, &format!("program command line option --{name}"))
            }
        }
    }

    fn get(&self, index: u32) -> Option<&str> {
        let index = usize::try_from(index).ok()?.checked_sub(1)?;
        self.positional.get(index).map(String::as_str)
    }
}

/// The script's named parameters.
pub fn parameters(globals: &[Global]) -> impl Iterator<Item = &Parameter> {
    globals.iter().filter_map(|global| match &global.role {
        GlobalRole::Named(parameter) => Some(parameter),
        _ => None,
    })
}

/// Text as it goes into a global: NUL-terminated and filled up.
fn string(text: &str, size: u32, what: &str) -> Result<Vec<u8>, Error> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if text.len() >= size {
        return Err(Error::Usage(format!("{what} is too long: at most {} bytes", size.saturating_sub(1))));
    }
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(size, 0);
    Ok(bytes)
}

/// An integer as bpftrace's number parser takes it: decimal, hex, octal, binary or `NeM`, perhaps negative.
fn parse_int(text: &str) -> Option<u64> {
    if let Some(positive) = text.strip_prefix('-') {
        let value = i64::try_from(parse_unsigned(positive)?).ok()?;
        return Some((-value).cast_unsigned());
    }
    parse_unsigned(text)
}

fn parse_unsigned(text: &str) -> Option<u64> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) || text.ends_with('_') {
        return None;
    }
    let digits = text.replace('_', "").to_ascii_lowercase();
    if let Some(hex) = digits.strip_prefix("0x") {
        return parse_radix(hex, 16);
    }
    if let Some(binary) = digits.strip_prefix("0b") {
        return parse_radix(binary, 2);
    }
    if let Some((coefficient, exponent)) = digits.split_once('e') {
        let valid = matches!(coefficient.as_bytes(), [b'1'..=b'9']) && !exponent.starts_with('0');
        let power = 10u64.checked_pow(parse_radix(exponent, 10)?.try_into().ok()?)?;
        return coefficient.parse::<u64>().ok()?.checked_mul(power).filter(|_| valid);
    }
    match digits.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => parse_radix(octal, 8),
        _ => parse_radix(&digits, 10),
    }
}

/// As the standard library's, without a sign.
fn parse_radix(digits: &str, radix: u32) -> Option<u64> {
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, value) in [
            ("0", Some(0)),
            ("42", Some(42)),
            ("1_000", Some(1000)),
            ("1_000_", None),
            ("0x1F", Some(31)),
            ("017", Some(15)),
            ("0b101", Some(5)),
            ("1e6", Some(1_000_000)),
            ("12e6", None),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("9e99", None),
            ("0x", None),
            ("--1", None),
            ("", None),
            ("abc", None),
        ] {
            assert_eq!(parse_int(text), value, "{text}");
        }
    }

    #[test]
    fn named_parameters() {
        let parameter =
            |name: &str, default| Parameter { name: name.into(), description: "d".into(), default };
        let global = |p| Global { symbol: "s".into(), role: GlobalRole::Named(p) };
        let limit = parameter("limit", ParameterValue::Uint(7));
        let globals = [global(limit.clone()), global(parameter("all", ParameterValue::Bool(false)))];
        let params = Params::new(vec!["1".into()], vec!["--limit=0x10".into(), "b".into(), "--all".into()]);
        assert_eq!(params.positional, ["1", "b"]);
        params.check(&globals).expect("known");
        assert_eq!(params.named(&limit).expect("integer"), 16u64.to_le_bytes());
        let bad = Params::new(vec![], vec!["--limit=zz".into()]).named(&limit).expect_err("text");
        assert_eq!(bad.to_string(), "program command line option --limit invalid integer (value: zz)");
        let bad = Params::new(vec![], vec!["--x".into()]).check(&globals).expect_err("unknown");
        assert_eq!(
            bad.to_string(),
            "unexpected program command line options: --x\nHINT: expected program options: --limit, --all"
        );
    }
}
