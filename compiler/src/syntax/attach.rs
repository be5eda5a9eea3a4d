//! Attach points: raw text that is cut into parts, with quotes and script parameters.

use super::ast::{ApPart, ApPiece, AttachPoint, Name};
use super::cursor::{Cursor, is_word_start};
use crate::diag::{Diag, codes};

/// Reads the attach point at this place; it may turn out empty.
pub(super) fn lex_attach_point(cursor: &mut Cursor<'_>, diags: &mut Vec<Diag>) -> AttachPoint {
    let start = cursor.offset();
    let name = lex_user_name(cursor);
    let text_start = cursor.offset();
    let mut lexer = Lexer { cursor, diags, parts: Vec::new(), pieces: Vec::new(), part_start: text_start };
    lexer.run();
    let parts = lexer.parts;
    let text = cursor.text_from(text_start).to_owned();
    AttachPoint { name, parts, text, span: cursor.span_from(start) }
}

/// `name =` in front of the provider.
fn lex_user_name(cursor: &mut Cursor<'_>) -> Option<Name> {
    let mut ahead = cursor.clone();
    let start = ahead.offset();
    let word = ahead.peek_word();
    ahead.eat(word);
    let span = ahead.span_from(start);
    ahead.skip_blank();
    if word.is_empty() || !ahead.eat("=") {
        return None;
    }
    ahead.skip_blank();
    *cursor = ahead;
    Some(Name { text: word.to_owned(), span })
}

struct Lexer<'a, 'b> {
    cursor: &'b mut Cursor<'a>,
    diags: &'b mut Vec<Diag>,
    parts: Vec<ApPart>,
    pieces: Vec<ApPiece>,
    part_start: u32,
}

impl Lexer<'_, '_> {
    fn run(&mut self) {
        let mut seen_colon = false;
        while !self.cursor.at_end() {
            match self.cursor.peek() {
                b'{' | b',' => break,
                b if b.is_ascii_whitespace() => break,
                // Behind the first `:` it is a path, in front of it a predicate or comment.
                b'/' if !seen_colon => break,
                b':' => {
                    seen_colon = true;
                    self.end_part();
                    self.cursor.bump();
                    self.part_start = self.cursor.offset();
                }
                b'@' => {
                    self.end_part();
                    self.part_start = self.cursor.offset();
                    self.cursor.bump();
                    self.pieces.push(ApPiece::Plain("@".to_owned()));
                    self.end_part();
                    self.part_start = self.cursor.offset();
                }
                b'"' => self.lex_quoted(),
                b'$' => self.lex_param(),
                _ => self.lex_plain(),
            }
        }
        if self.cursor.offset() > self.part_start || !self.parts.is_empty() {
            self.end_part();
        }
    }

    fn end_part(&mut self) {
        let span = self.cursor.span_from(self.part_start);
        self.parts.push(ApPart { pieces: std::mem::take(&mut self.pieces), span });
    }

    fn lex_plain(&mut self) {
        let Some(c) = self.cursor.bump() else { return };
        match self.pieces.last_mut() {
            Some(ApPiece::Plain(text)) => text.push(c),
            _ => self.pieces.push(ApPiece::Plain(c.to_string())),
        }
    }

    fn lex_quoted(&mut self) {
        let start = self.cursor.offset();
        self.cursor.bump();
        let mut text = String::new();
        loop {
            if self.cursor.peek() == b'\n' {
                break;
            }
            match self.cursor.bump() {
                Some('"') => {
                    self.pieces.push(ApPiece::Quoted(text));
                    return;
                }
                Some('\\') => text.extend(self.cursor.bump()),
                Some(c) => text.push(c),
                None => break,
            }
        }
        self.pieces.push(ApPiece::Quoted(text));
        let message = "unterminated quote in an attach point";
        self.diags.push(Diag::error(&codes::BAD_ATTACH_POINT, message, self.cursor.span_from(start), ""));
    }

    fn lex_param(&mut self) {
        let start = self.cursor.offset();
        self.cursor.bump();
        let digits = self.cursor.take_while(|b| b.is_ascii_digit());
        match digits.parse::<u64>() {
            Ok(n) if n > 0 && i64::try_from(n).is_ok() => self.pieces.push(ApPiece::Param(n)),
            _ => {
                if is_word_start(self.cursor.peek()) {
                    let word = self.cursor.peek_word();
                    self.cursor.eat(word);
                }
                let what = self.cursor.text_from(start);
                let message = format!("`{what}` is not a script parameter");
                let diag = Diag::error(&codes::BAD_ATTACH_POINT, message, self.cursor.span_from(start), "");
                self.diags.push(diag.help("quote the part if the `$` belongs to its name: `\"a$b\"`"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts joined with `|`, quoted pieces in quotes, parameters as `$N`.
    fn check(text: &str, expected: &str, rest: &str) {
        let mut cursor = Cursor::new(text, 0);
        let mut diags = Vec::new();
        let point = lex_attach_point(&mut cursor, &mut diags);
        let piece = |p: &ApPiece| match p {
            ApPiece::Plain(s) => s.clone(),
            ApPiece::Quoted(s) => format!("{s:?}"),
            ApPiece::Param(n) => format!("${n}"),
        };
        let parts: Vec<String> =
            point.parts.iter().map(|part| part.pieces.iter().map(piece).collect()).collect();
        let name = point.name.map_or(String::new(), |n| format!("{}=", n.text));
        assert_eq!(format!("{name}{}", parts.join("|")), expected, "{text}");
        assert_eq!(cursor.rest(), rest, "{text}");
        assert!(diags.is_empty(), "{text}: {diags:?}");
    }

    #[test]
    fn parts() {
        check("BEGIN{", "BEGIN", "{");
        check("begin/pid/{", "begin", "/pid/{");
        check("kprobe:vfs_*,kretprobe:x {", "kprobe|vfs_*", ",kretprobe:x {");
        check("uprobe:/bin/bash:readline /1/", "uprobe|/bin/bash|readline", " /1/");
        check(r#"uprobe:/bin/x:"A::b"+4{"#, r#"uprobe|/bin/x|"A::b"+4"#, "{");
        check(r#"u:"/a b{\"c":f {"#, r#"u|"/a b{\"c"|f"#, " {");
        check("uprobe:/bin/x@a.c:12 {", "uprobe|/bin/x|@|a.c|12", " {");
        check("i:ms:$1{", "i|ms|$1", "{");
        check("BEG$1 {", "BEG$1", " {");
        check("$12:a", "$12|a", "");
        check("mine=kprobe:f{", "mine=kprobe|f", "{");
        check("mine = begin {", "mine=begin", " {");
        check("usdt::name{", "usdt||name", "{");
        check("kprobe:", "kprobe|", "");
        check(", x", "", ", x");
    }

    #[test]
    fn err_dollar_and_quote() {
        for text in ["u:a:f$x {", "u:a:$0 {", "u:a:\"b {", "u:\"a\\"] {
            let mut diags = Vec::new();
            lex_attach_point(&mut Cursor::new(text, 0), &mut diags);
            assert_eq!(diags.len(), 1, "{text}");
        }
    }
}
