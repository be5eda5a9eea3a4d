//! Text of a value, as `print` shows it.

use super::value::Value;

/// Appends the text of a value.
pub(super) fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::None => out.extend_from_slice(b"null"),
        Value::Int(number) => out.extend(number.to_string().bytes()),
        Value::Uint(number) => out.extend(number.to_string().bytes()),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Pointer(addr) => out.extend(format!("0x{addr:x}").bytes()),
        Value::Enumerator { name, .. } => out.extend_from_slice(name.as_bytes()),
        Value::Text(text) => out.extend_from_slice(text),
        Value::Buffer(bytes) => write_buffer(out, bytes),
        Value::Array(values) => write_list(out, "[", ",", "]", values),
        Value::Tuple(values) => write_list(out, "(", ", ", ")", values),
        Value::Record(fields) if fields.is_empty() => out.extend_from_slice(b"{}"),
        Value::Record(fields) => {
            out.extend_from_slice(b"{ ");
            for (i, (name, value)) in fields.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"." } else { b", ." });
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b" = ");
                write(out, value);
            }
            out.extend_from_slice(b" }");
        }
    }
}

fn write_list(out: &mut Vec<u8>, open: &str, separator: &str, close: &str, values: &[Value]) {
    out.extend_from_slice(open.as_bytes());
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(separator.as_bytes());
        }
        write(out, value);
    }
    out.extend_from_slice(close.as_bytes());
}

/// Printable ASCII kept, other bytes as `\xhh`. A backslash is kept too, as bpftrace does.
pub(super) fn write_buffer(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b' '..=b'~' => out.push(*byte),
            _ => out.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
}

/// The text of a value.
pub(super) fn of(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    write(&mut text, value);
    text
}

/// Text of a map key between the brackets: what looks like a tuple loses its parentheses.
pub(super) fn of_key(key: &Value) -> Vec<u8> {
    let text = of(key);
    match text.as_slice() {
        [b'(', inner @ .., b')'] => inner.to_vec(),
        _ => text,
    }
}

/// Bytes of a value's text that a printf width counts: all, or a composite's opening.
pub(super) fn padded_bytes(value: &Value, text: &[u8]) -> usize {
    match value {
        Value::Array(_) | Value::Tuple(_) => 1,
        Value::Record(_) => 2,
        Value::None
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Bool(_)
        | Value::Pointer(_)
        | Value::Enumerator { .. }
        | Value::Text(_)
        | Value::Buffer(_) => text.len(),
    }
}
