//! Shows diagnostics with excerpts of the source, plain or coloured.

use codespan_reporting::diagnostic::{Diagnostic, Label as CsLabel, LabelStyle};
use codespan_reporting::term::termcolor::{Ansi, NoColor};
use codespan_reporting::term::{Config, emit_to_write_style};

use super::{Diag, Label, Note, Severity, Sources};

/// Whether to emit ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// Escape sequences.
    Always,
}

/// The diagnostics as text, errors before warnings and otherwise in the given order.
pub fn render(diags: &[Diag], sources: &Sources, colour: Colour) -> String {
    let config = Config { tab_width: 4, ..Config::default() };
    let mut out = Vec::new();
    let errors = diags.iter().filter(|d| d.is_error());
    for diag in errors.chain(diags.iter().filter(|d| !d.is_error())) {
        let shown = to_codespan(diag, sources);
        let done = match colour {
            Colour::Never => emit_to_write_style(&mut NoColor::new(&mut out), &config, sources, &shown),
            Colour::Always => emit_to_write_style(&mut Ansi::new(&mut out), &config, sources, &shown),
        };
        done.expect("writing to memory cannot fail and every label lies in a known file");
    }
    String::from_utf8(out).expect("the renderer writes text")
}

fn to_codespan(diag: &Diag, sources: &Sources) -> Diagnostic<usize> {
    let label = |style: LabelStyle, label: &Label| {
        let (file, range) = sources.range(label.span)?;
        Some(CsLabel::new(style, file, range).with_message(&label.text))
    };
    let secondary = diag.secondary.iter().filter_map(|l| label(LabelStyle::Secondary, l));
    let notes = diag.notes.iter().map(|note| match note {
        Note::Note(text) => format!("note: {text}"),
        Note::Help(text) => format!("help: {text}"),
    });
    let shown = match diag.severity {
        Severity::Error => Diagnostic::error(),
        Severity::Warning => Diagnostic::warning(),
    };
    shown
        .with_code(diag.code.id)
        .with_message(&diag.message)
        .with_labels(label(LabelStyle::Primary, &diag.primary).into_iter().chain(secondary).collect())
        .with_notes(notes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::codes;
    use crate::syntax::ast::Span;

    fn sample() -> (Diag, Sources) {
        let sources = Sources::of("a.bt", "begin { foo bar }\n");
        let diag = Diag::error(&codes::UNEXPECTED, "unexpected `bar`", Span::new(12, 15), "here")
            .also(Span::new(8, 11), "after this")
            .help("add `;`");
        (diag, sources)
    }

    #[test]
    fn plain() {
        let (diag, sources) = sample();
        let expected = "\
error[E0001]: unexpected `bar`
  ┌─ a.bt:1:13
  │
1 │ begin { foo bar }
  │         --- ^^^ here
  │         │    \n  │         after this
  │
  = help: add `;`

";
        assert_eq!(render(&[diag], &sources, Colour::Never), expected);
    }

    #[test]
    fn coloured_text_is_the_plain_text_with_escapes() {
        let (diag, sources) = sample();
        let coloured = render(std::slice::from_ref(&diag), &sources, Colour::Always);
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\x1b') {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, rest)| rest);
        }
        plain.push_str(rest);
        assert_ne!(coloured, plain);
        assert_eq!(plain, render(&[diag], &sources, Colour::Never));
    }

    #[test]
    fn a_span_inside_a_character_or_past_the_end_is_clipped() {
        let sources = Sources::of("a.bt", "é");
        let diag = Diag::error(&codes::UNEXPECTED, "x", Span::new(1, 99), "");
        assert!(render(&[diag], &sources, Colour::Never).contains("a.bt:1:1"));
    }
}
