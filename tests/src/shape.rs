//! What stays of a tool's output when the values that vary from run to run are taken out.
//!
//! Numbers become `N` (hexadecimal ones `0xN`), a histogram's rows one `HIST` line, a stack's frames
//! one `STACK` line, runs of blanks one blank; map entries are sorted, equal lines appear once.
//! Two runs of one tool under one load have the same shape, and so have two tracers.

/// The shape of `text`; with `keep` not empty, of the lines that contain one of its strings.
pub fn shape(text: &str, keep: &[String]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|l| keep.is_empty() || keep.iter().any(|k| l.contains(k.as_str()))) {
        let line = if is_bucket(line) {
            "HIST".into()
        } else if is_frame(line) {
            "STACK".into()
        } else {
            numbers(line)
        };
        if line.is_empty() || lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    sort_maps(&mut lines);
    let mut seen = Vec::new();
    lines.retain(|line| {
        let new = line.is_empty() || !seen.contains(line);
        seen.push(line.clone());
        new
    });
    lines.dedup();
    let text = lines.join("\n");
    text.trim_matches('\n').to_owned()
}

/// `[4, 8)   3 |@@@@   |`
fn is_bucket(line: &str) -> bool {
    let Some((label, bar)) = line.split_once('|') else { return false };
    let bar = bar.strip_suffix('|');
    (label.starts_with('[') || label.starts_with("(..."))
        && bar.is_some_and(|b| b.len() == 52 && b.trim_end().bytes().all(|c| c == b'@'))
}

/// `        do_nanosleep+1`, or an address where no symbol is known
fn is_frame(line: &str) -> bool {
    let Some(frame) = line.strip_prefix("        ") else { return false };
    let symbol = frame.rsplit_once('+').is_some_and(|(name, offset)| {
        !name.contains(' ') && !offset.is_empty() && offset.bytes().all(|b| b.is_ascii_digit())
    });
    symbol || frame.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn numbers(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    let mut in_word = false;
    while let Some(c) = rest.chars().next() {
        let hex = rest
            .strip_prefix("0x")
            .map(|h| h.len() - h.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len());
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let used = match hex {
            Some(n @ 1..) if !in_word => {
                out.push_str("0xN");
                n + 2
            }
            _ if digits > 0 && !in_word => {
                out.push('N');
                digits
            }
            _ if c.is_whitespace() => {
                out.push(' ');
                rest.len() - rest.trim_start().len()
            }
            _ => {
                out.push(c);
                c.len_utf8()
            }
        };
        // `tcp_v4_connect` and `eth0` are names, not numbers.
        in_word = (c.is_alphabetic() || c == '_' || in_word) && (c.is_alphanumeric() || c == '_');
        rest = &rest[used..];
    }
    out.trim_end().to_owned()
}

/// Sorts each run of entries of one kind; an entry owns the lines up to the next one or a blank.
fn sort_maps(lines: &mut Vec<String>) {
    let mut out: Vec<String> = Vec::new();
    let mut entries: Vec<Vec<String>> = Vec::new();
    for line in std::mem::take(lines) {
        let continues = entries.last().is_some_and(|e| is_open(e));
        if line.starts_with('@') {
            entries.push(vec![line]);
        } else if continues && !line.is_empty() {
            entries.last_mut().expect("an open entry").push(line);
        } else if line.is_empty() && !entries.is_empty() {
            // A blank line ends a histogram; the next entry may follow.
        } else {
            flush(&mut entries, &mut out);
            out.push(line);
        }
    }
    flush(&mut entries, &mut out);
    *lines = out;
}

/// Whether the entry's header line ends so that more lines must follow.
fn is_open(entry: &[String]) -> bool {
    let header_open = entry[0].ends_with(':') || entry[0].ends_with('[');
    header_open && !entry.last().is_some_and(|l| l.starts_with(']'))
}

fn flush(entries: &mut Vec<Vec<String>>, out: &mut Vec<String>) {
    entries.sort();
    entries.dedup();
    out.extend(entries.drain(..).flatten());
}

#[cfg(test)]
mod tests {
    use super::shape;

    #[test]
    fn values_go_and_structure_stays() {
        let text = "Tracing... Hit Ctrl-C to end.\n\
                    1234   cat              3 /etc/passwd\n12     cat              3 /etc/passwd\n\n\n\
                    @[tcp_v4_connect]: 7\n@[do_sys_open]: 1\n\
                    @us:\n[4, 8)                 3 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n\
                    [8, 16)                1 |@@@@@@@@@@@@@@@@@                                   |\n\n\
                    @at[\n        do_nanosleep+1\n        0xffff0000\n]: 4\n";
        let expected = "Tracing... Hit Ctrl-C to end.\nN cat N /etc/passwd\n\n\
                        @[do_sys_open]: N\n@[tcp_v4_connect]: N\n@at[\nSTACK\n]: N\n@us:\nHIST";
        assert_eq!(shape(text, &[]), expected);
        assert_eq!(shape(text, &["cat".into()]), "N cat N /etc/passwd");
    }
}
