//! Prints a parsed format with its values.

use super::format::{Conversion, Format, Piece, Verb};
use super::value::{Value, neutralised, sign_extend, truncate};
use super::{gfp, text};

/// The text. `neutralise` is for characters that `%c` makes of numbers; strings were treated when decoded.
/// A conversion without a value prints nothing.
pub(super) fn print(format: &Format, values: &[Value], neutralise: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut values = values.iter();
    for piece in &format.pieces {
        match piece {
            Piece::Literal(literal) => out.extend_from_slice(literal),
            Piece::Conversion(conversion) => {
                if let Some(value) = values.next() {
                    convert(&mut out, conversion, value, neutralise);
                }
            }
        }
    }
    out
}

fn convert(out: &mut Vec<u8>, conversion: &Conversion, value: &Value, neutralise: bool) {
    let number = number(value);
    let text = match (conversion.verb, number, value) {
        (Verb::Signed, Some(number), _) => signed(conversion, sign_extend(number, conversion.bits)),
        (Verb::Unsigned, Some(number), _) => truncate(number, conversion.bits).to_string().into_bytes(),
        (Verb::Octal | Verb::Hex | Verb::UpperHex, Some(number), _) => {
            based(conversion, truncate(number, conversion.bits))
        }
        (Verb::Char, Some(number), _) if neutralise => neutralised(&[number as u8]),
        (Verb::Char, Some(number), _) => vec![number as u8],
        (Verb::Pointer, Some(0), _) => b"0".to_vec(),
        (Verb::Pointer, Some(number), _) => format!("0x{number:x}").into_bytes(),
        (Verb::GfpFlags, Some(number), _) => gfp::names(number).into_bytes(),
        (Verb::Buffer, _, Value::Buffer(bytes)) => {
            let mut text = Vec::new();
            text::write_buffer(&mut text, bytes);
            text
        }
        (Verb::BufferEscaped, _, Value::Buffer(bytes)) => {
            bytes.iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()).collect()
        }
        (Verb::BufferHex, _, Value::Buffer(bytes)) => {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            bytes.join(" ").into_bytes()
        }
        // `%s`, and what the compiler refuses: a value that the verb is not for.
        _ => return pad_opening(out, conversion, value),
    };
    pad(out, conversion, &text);
}

/// The integer that numeric conversions print.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => Some(*number as u64),
        Value::Uint(number) | Value::Pointer(number) | Value::Enumerator { number, .. } => Some(*number),
        Value::Bool(truth) => Some(u64::from(*truth)),
        Value::None
        | Value::Text(_)
        | Value::Buffer(_)
        | Value::Array(_)
        | Value::Tuple(_)
        | Value::Record(_) => None,
    }
}

fn signed(conversion: &Conversion, number: i64) -> Vec<u8> {
    if conversion.plus { format!("{number:+}") } else { number.to_string() }.into_bytes()
}

fn based(conversion: &Conversion, number: u64) -> Vec<u8> {
    let prefix = match (conversion.verb, conversion.alternate && number != 0) {
        (Verb::Octal, true) => "0",
        (Verb::Hex, true) => "0x",
        (Verb::UpperHex, true) => "0X",
        _ => "",
    };
    match conversion.verb {
        Verb::Octal => format!("{prefix}{number:o}"),
        Verb::UpperHex => format!("{prefix}{number:X}"),
        _ => format!("{prefix}{number:x}"),
    }
    .into_bytes()
}

/// A width pads only the opening of a composite; a plus sign reaches all integers in it.
fn pad_opening(out: &mut Vec<u8>, conversion: &Conversion, value: &Value) {
    let text = if conversion.plus { text::of(&plus_signed(value)) } else { text::of(value) };
    let (opening, rest) = text.split_at(text::padded_bytes(value, &text).min(text.len()));
    pad(out, conversion, opening);
    out.extend_from_slice(rest);
}

/// The value with its non-negative signed integers as texts that have a sign.
fn plus_signed(value: &Value) -> Value {
    let all = |values: &[Value]| values.iter().map(plus_signed).collect();
    match value {
        Value::Int(number) => Value::Text(format!("{number:+}").into_bytes()),
        Value::Array(values) => Value::Array(all(values)),
        Value::Tuple(values) => Value::Tuple(all(values)),
        Value::Record(fields) => {
            Value::Record(fields.iter().map(|(name, value)| (name.clone(), plus_signed(value))).collect())
        }
        _ => value.clone(),
    }
}

/// Padding goes before the text, so also zeros come before a sign or `0x`; left-aligned, after it.
fn pad(out: &mut Vec<u8>, conversion: &Conversion, text: &[u8]) {
    let fill = if conversion.zero { b'0' } else { b' ' };
    let padding = std::iter::repeat_n(fill, conversion.width.saturating_sub(text.len()));
    if conversion.left {
        out.extend_from_slice(text);
        out.extend(padding);
    } else {
        out.extend(padding);
        out.extend_from_slice(text);
    }
}
