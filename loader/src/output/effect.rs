//! What events do once their values are known.

use super::event::Failure;
use super::host::{Host, error_text};
use super::map::{self, Contents, Selection};
use super::streams::{Format, Warnings};
use super::value::{Value, neutralised};
use super::{Output, Severity, diagnostic, json, show, text, time};
use manifest::{Place, RuntimeError};
use std::io;
use std::sync::Arc;

impl Output {
    /// Text as it is, with an ending, or a JSON object of it without.
    pub(super) fn show(&mut self, kind: &str, text: &[u8], ending: &[u8]) -> io::Result<()> {
        match self.streams.options.format {
            Format::Text => {
                self.streams.out(text)?;
                self.streams.out(ending)
            }
            Format::Json => self.streams.out(&json::line(kind, &json::string(text))),
        }
    }

    /// As [`Output::show`], of text that is neither the script's nor a decoded string.
    fn show_untrusted(&mut self, kind: &str, text: &[u8], ending: &[u8]) -> io::Result<()> {
        match self.streams.neutralises() {
            true => self.show(kind, &neutralised(text), ending),
            false => self.show(kind, text, ending),
        }
    }

    pub(super) fn value(&mut self, value: &Value) -> io::Result<()> {
        let line = match self.streams.options.format {
            Format::Text => [text::of(value).as_slice(), b"\n"].concat(),
            Format::Json => json::line("value", &json::of(value)),
        };
        self.streams.out(&line)
    }

    /// `errorf` and `warnf`.
    pub(super) fn placed(&mut self, severity: Severity, place: Place, message: &[u8]) -> io::Result<()> {
        let (source, options) = (&self.manifest.source, &self.streams.options);
        let kind = match severity {
            Severity::Error => "errorf",
            Severity::Warning if options.warnings == Warnings::None => return Ok(()),
            Severity::Warning => "warnf",
        };
        match options.format {
            Format::Text => {
                let text = diagnostic::placed(severity, source, place, message, options.colour);
                self.streams.err(&text)
            }
            Format::Json => {
                let object = diagnostic::placed_json(kind, source, place, message);
                self.streams.out(&object)
            }
        }
    }

    pub(super) fn runtime_error(
        &mut self,
        error: &RuntimeError,
        place: Place,
        retcode: Option<i64>,
    ) -> io::Result<()> {
        let (source, options) = (&self.manifest.source, &self.streams.options);
        match options.warnings {
            Warnings::None => return Ok(()),
            Warnings::Default if diagnostic::is_minor(error) => return Ok(()),
            Warnings::Default | Warnings::All => {}
        }
        match options.format {
            Format::Text => {
                let text = diagnostic::runtime(error, retcode, source, place, options.colour);
                self.streams.err(&text)
            }
            Format::Json => {
                let object = diagnostic::runtime_json(error, retcode, source, place);
                self.streams.out(&object)
            }
        }
    }

    pub(super) fn cat(&mut self, path: &str, host: &mut dyn Host) -> io::Result<()> {
        match host.read_file(path, self.manifest.config.max_cat_bytes) {
            Ok(bytes) => self.show_untrusted("cat", &bytes, b""),
            Err(error) => {
                let message = format!("failed to open file '{path}' ({})", error_text(&error));
                self.streams.complain(Severity::Error, &message)
            }
        }
    }

    pub(super) fn system(&mut self, command: &str, host: &mut dyn Host) -> io::Result<()> {
        // The command may write to the same terminal.
        self.streams.flush()?;
        match host.run_shell(command) {
            Ok(output) => self.show("syscall", &output, b"\n"),
            Err(error) => self.streams.complain(Severity::Error, &error_text(&error)),
        }
    }

    pub(super) fn time(&mut self, format: &str, wall_ns: i64) -> io::Result<()> {
        match time::format(format, wall_ns) {
            Some(text) => self.show("time", &text, b""),
            None => self.streams.complain(Severity::Error, "strftime returned zero"),
        }
    }

    pub(super) fn joined(&mut self, joined: Vec<u8>) -> io::Result<()> {
        self.show_untrusted("join", &joined, b"\n")
    }

    /// Says so if a map could not be cleared or zeroed.
    pub(super) fn changed(&mut self, verb: &str, map: u32, changed: io::Result<()>) -> io::Result<()> {
        match changed {
            Ok(()) => Ok(()),
            Err(error) => self.map_failed(verb, map as usize, &error_text(&error)),
        }
    }

    /// Prints a map; a scalar one also before anything was stored if it was `asked` for.
    pub(super) fn print_map(
        &mut self,
        index: usize,
        selection: Selection,
        asked: bool,
        host: &mut dyn Host,
    ) -> io::Result<()> {
        let manifest = Arc::clone(&self.manifest);
        let Some(map) = manifest.maps.get(index) else { return Ok(()) };
        let entries = match host.map_entries(index) {
            Ok(entries) => entries,
            Err(error) => return self.map_failed("read", index, &error_text(&error)),
        };
        let contents = self.decode(host, |decoder| {
            Ok(match map::contents(map, entries, selection, decoder)? {
                Contents::Scalar(None) if asked => Contents::Scalar(map::zero(map, decoder)?),
                contents => contents,
            })
        });
        match contents {
            Ok(contents) => self.streams.out(&match self.streams.options.format {
                Format::Text => show::map_text(&map.name, &contents),
                Format::Json => show::map_json(&map.name, &map.value, &contents),
            }),
            Err(Failure::Stream(error)) => Err(error),
            Err(Failure::Record(bad)) => {
                self.bad_records += 1;
                self.map_failed("read", index, &bad.to_string())
            }
        }
    }

    fn map_failed(&mut self, verb: &str, index: usize, why: &str) -> io::Result<()> {
        let name = self.manifest.maps.get(index).map_or("?", |map| &map.name);
        let message = format!("cannot {verb} map `{name}`: {why}");
        self.streams.complain(Severity::Error, &message)
    }
}
