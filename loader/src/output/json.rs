//! JSON of values, spaced as bpftrace spaces it: objects with spaces, arrays without.
//!
//! Ensures each object is valid JSON on one line: bytes that are no UTF-8 become U+FFFD.

use super::text;
use super::value::Value;

/// One line: an object with a type and its data.
pub(super) fn line(kind: &str, data: &str) -> Vec<u8> {
    format!("{{\"type\": \"{kind}\", \"data\": {data}}}\n").into_bytes()
}

/// A JSON string of bytes that should be UTF-8.
pub(super) fn string(bytes: &[u8]) -> String {
    let mut json = String::with_capacity(bytes.len() + 2);
    json.push('"');
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\0'..='\x1f' => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => json.push(c),
        }
    }
    json.push('"');
    json
}

/// A number; as a string if a double cannot hold it exactly, because many readers use doubles.
pub(super) fn number(number: i128) -> String {
    if (number as f64) as i128 == number { number.to_string() } else { format!("\"{number}\"") }
}

/// JSON of a value.
pub(super) fn value(json: &mut String, value: &Value) {
    match value {
        Value::None => json.push_str("null"),
        Value::Int(int) => json.push_str(&number(i128::from(*int))),
        Value::Uint(int) | Value::Pointer(int) | Value::Enumerator { number: int, .. } => {
            json.push_str(&number(i128::from(*int)));
        }
        Value::Bool(truth) => json.push_str(if *truth { "true" } else { "false" }),
        Value::Text(bytes) => json.push_str(&string(bytes)),
        Value::Buffer(bytes) => {
            let numbers: Vec<String> = bytes.iter().map(|byte| (*byte as i8).to_string()).collect();
            json.push_str(&format!("[{}]", numbers.join(",")));
        }
        Value::Array(values) | Value::Tuple(values) => {
            json.push('[');
            for (i, element) in values.iter().enumerate() {
                if i > 0 {
                    json.push(',');
                }
                self::value(json, element);
            }
            json.push(']');
        }
        Value::Record(fields) => {
            json.push('{');
            for (i, (name, field)) in fields.iter().enumerate() {
                if i > 0 {
                    json.push_str(", ");
                }
                json.push_str(&string(name.as_bytes()));
                json.push_str(": ");
                self::value(json, field);
            }
            json.push('}');
        }
    }
}

/// JSON of a value, by itself.
pub(super) fn of(value: &Value) -> String {
    let mut json = String::new();
    self::value(&mut json, value);
    json
}

/// A map key as an object's key: its text without any spaces.
pub(super) fn key(key: &Value) -> String {
    let mut text = text::of_key(key);
    text.retain(|byte| *byte != b' ');
    string(&text)
}
