//! Quoted strings and their escapes.

use super::ast::Span;
use super::cursor::Cursor;
use crate::diag::{Diag, codes};

/// Reads a string whose opening quote comes next.
pub(super) fn lex_string(cursor: &mut Cursor<'_>, diags: &mut Vec<Diag>) -> Vec<u8> {
    let start = cursor.offset();
    cursor.bump();
    let mut bytes = Vec::new();
    loop {
        match cursor.peek() {
            b'"' => {
                cursor.bump();
                return bytes;
            }
            b'\\' => lex_escape(cursor, &mut bytes, diags),
            b'\n' => break,
            _ => match cursor.bump() {
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => break,
            },
        }
    }
    let quote = Span::new(start, start + 1);
    let diag = Diag::error(&codes::UNTERMINATED_STRING, "unterminated string", quote, "starts here");
    diags.push(diag.help("close the string on its line; `\\n` stands for a line break"));
    bytes
}

fn lex_escape(cursor: &mut Cursor<'_>, bytes: &mut Vec<u8>, diags: &mut Vec<Diag>) {
    let start = cursor.offset();
    cursor.bump();
    let simple = match cursor.peek() {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'"' => b'"',
        b'\\' => b'\\',
        b'0'..=b'7' => return lex_octal(cursor, bytes, start, diags),
        b'x' | b'X' => return lex_hex(cursor, bytes, start, diags),
        b'\n' | 0 => return, // The missing quote is the better complaint.
        _ => {
            cursor.bump();
            let message = format!("unknown escape `{}`", cursor.text_from(start));
            let diag = Diag::error(&codes::BAD_ESCAPE, message, cursor.span_from(start), "");
            diags.push(diag.note("escapes are \\n \\t \\r \\\" \\\\, octal \\ooo and hexadecimal \\xHH"));
            return;
        }
    };
    cursor.bump();
    bytes.push(simple);
}

fn lex_octal(cursor: &mut Cursor<'_>, bytes: &mut Vec<u8>, start: u32, diags: &mut Vec<Diag>) {
    let mut value = 0u32;
    for _ in 0..3 {
        if !matches!(cursor.peek(), b'0'..=b'7') {
            break;
        }
        value = value * 8 + u32::from(cursor.peek() - b'0');
        cursor.bump();
    }
    match u8::try_from(value) {
        Ok(byte) => bytes.push(byte),
        Err(_) => {
            let message = "octal escape sequence out of range";
            let diag = Diag::error(&codes::BAD_ESCAPE, message, cursor.span_from(start), "");
            diags.push(diag.note("the largest byte is `\\377`"));
        }
    }
}

fn lex_hex(cursor: &mut Cursor<'_>, bytes: &mut Vec<u8>, start: u32, diags: &mut Vec<Diag>) {
    cursor.bump();
    let mut value = None;
    for _ in 0..2 {
        let Some(digit) = char::from(cursor.peek()).to_digit(16) else { break };
        value = Some(value.unwrap_or(0) * 16 + digit as u8);
        cursor.bump();
    }
    match value {
        Some(byte) => bytes.push(byte),
        None => {
            let message = "hexadecimal escape without digits";
            diags.push(Diag::error(&codes::BAD_ESCAPE, message, cursor.span_from(start), ""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &str) -> (Vec<u8>, usize) {
        let mut diags = Vec::new();
        (lex_string(&mut Cursor::new(text, 0), &mut diags), diags.len())
    }

    #[test]
    fn escapes() {
        let cases: [(&str, &[u8], usize); 10] = [
            (r#""a\n\t\r\"\\""#, b"a\n\t\r\"\\", 0),
            (r#""\0\12\1234""#, b"\0\n\x534", 0),
            (r#""\xA\X41f""#, b"\nAf", 0),
            (r#""\377""#, b"\xff", 0),
            (r#""é""#, "é".as_bytes(), 0),
            (r#""\400""#, b"", 1),
            (r#""\q\xg""#, b"g", 2),
            ("\"ab\n", b"ab", 1),
            ("\"ab\\", b"ab", 1),
            ("\"", b"", 1),
        ];
        for (text, bytes, errors) in cases {
            assert_eq!(lex(text), (bytes.to_vec(), errors), "{text}");
        }
    }
}
