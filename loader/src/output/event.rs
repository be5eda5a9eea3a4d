//! What each kind of event does.

use super::diagnostic::{self, Severity};
use super::host::{Host, error_text};
use super::map::{self, Contents, Selection};
use super::streams::{Format, Warnings};
use super::value::{BadBytes, Decoder, Value, neutralised, word};
use super::{Flow, Output, json, printf, show, text, time};
use manifest::{Event, Field, Manifest, Place, RuntimeError};
use std::io;
use std::sync::Arc;

/// Strings that `join` takes at the most.
const JOIN_MAX: u64 = 16;

impl Output {
    pub(super) fn handle(&mut self, record: &[u8], host: &mut dyn Host) -> io::Result<Flow> {
        let manifest = Arc::clone(&self.manifest);
        let Some(number) = word(record, 0) else {
            self.bad_record(u64::MAX, "is shorter than its number")?;
            return Ok(Flow::Continue);
        };
        let Some(event) = usize::try_from(number).ok().and_then(|at| manifest.events.get(at)) else {
            self.bad_record(number, "has an unknown number")?;
            return Ok(Flow::Continue);
        };
        match self.dispatch(number as usize, event, record, host)? {
            Ok(flow) => Ok(flow),
            Err(bad) => {
                self.bad_record(number, &format!("cannot be read: {bad}"))?;
                Ok(Flow::Continue)
            }
        }
    }

    fn dispatch(
        &mut self,
        number: usize,
        event: &Event,
        record: &[u8],
        host: &mut dyn Host,
    ) -> io::Result<Result<Flow, BadBytes>> {
        let short = BadBytes::Short { need: 0, have: record.len() };
        let done = match event {
            Event::Printf { args, .. }
            | Event::Errorf { args, .. }
            | Event::Warnf { args, .. }
            | Event::Cat { args, .. }
            | Event::System { args, .. } => match self.formatted(number, record, args, host)? {
                Ok(text) => self.text_event(event, &text, host),
                Err(bad) => return Ok(Err(bad)),
            },
            Event::Value(field) => match self.decode(host, |decoder| decoder.field(record, field))? {
                Ok(value) => self.value(&value),
                Err(bad) => return Ok(Err(bad)),
            },
            Event::PrintMap { map, top, div } => {
                self.print_map(*map as usize, Selection { top: *top, div: *div }, true, host)
            }
            Event::Clear { map } => self.change_map("clear", *map, host.clear_map(*map as usize)),
            Event::Zero { map } => self.change_map("zero", *map, host.zero_map(*map as usize)),
            Event::Time { format } => self.time(format, host.wall_ns()),
            Event::Join { separator, offset, stride } => {
                match join(record, separator, *offset as usize, *stride as usize) {
                    Some(joined) => self.joined(joined),
                    None => return Ok(Err(short)),
                }
            }
            Event::Exit { offset } => {
                return Ok(word(record, *offset as usize).map(|code| Flow::Exit(code as u8)).ok_or(short));
            }
            Event::RuntimeError { error, place, retcode } => {
                let retcode = match retcode {
                    Some(offset) => match word(record, *offset as usize) {
                        Some(retcode) => Some(retcode as i64),
                        None => return Ok(Err(short)),
                    },
                    None => None,
                };
                self.runtime_error(error, *place, retcode)
            }
        };
        done.map(|()| Ok(Flow::Continue))
    }

    /// Runs a decoder with the host's symbols; `strftime` failures within become complaints.
    fn decode<T>(
        &mut self,
        host: &mut dyn Host,
        decode: impl FnOnce(&mut Decoder<'_>) -> Result<T, BadBytes>,
    ) -> io::Result<Result<T, BadBytes>> {
        let boot_offset = *self.boot_offset_ns.get_or_insert_with(|| host.boot_offset_ns());
        let manifest: Arc<Manifest> = Arc::clone(&self.manifest);
        let mut decoder = Decoder::new(&manifest, host.symbols(), boot_offset, self.neutralise());
        let decoded = decode(&mut decoder);
        for _ in 0..decoder.failed_times {
            self.strftime_failed()?;
        }
        Ok(decoded)
    }

    fn neutralise(&self) -> bool {
        self.streams.options.terminal && self.streams.options.format == Format::Text
    }

    fn formatted(
        &mut self,
        number: usize,
        record: &[u8],
        args: &[Field],
        host: &mut dyn Host,
    ) -> io::Result<Result<Vec<u8>, BadBytes>> {
        let values = self.decode(host, |decoder| decoder.fields(record, args))?;
        let neutralise = self.neutralise();
        let format = self.formats.get(number).and_then(Option::as_ref);
        Ok(values
            .map(|values| format.map_or(Vec::new(), |format| printf::print(format, &values, neutralise))))
    }

    fn text_event(&mut self, event: &Event, text: &[u8], host: &mut dyn Host) -> io::Result<()> {
        match event {
            Event::Errorf { place, .. } => self.placed(Severity::Error, *place, text),
            Event::Warnf { .. } if self.streams.options.warnings == Warnings::None => Ok(()),
            Event::Warnf { place, .. } => self.placed(Severity::Warning, *place, text),
            Event::Cat { .. } => self.cat(&String::from_utf8_lossy(text), host),
            Event::System { .. } => self.system(&String::from_utf8_lossy(text), host),
            _ => self.show("printf", text, b""),
        }
    }

    /// Text as it is, with an ending, or a JSON object of it without.
    fn show(&mut self, kind: &str, text: &[u8], ending: &[u8]) -> io::Result<()> {
        match self.streams.options.format {
            Format::Text => {
                self.streams.out(text)?;
                self.streams.out(ending)
            }
            Format::Json => self.streams.out(&json::line(kind, &json::string(text))),
        }
    }

    fn value(&mut self, value: &Value) -> io::Result<()> {
        let line = match self.streams.options.format {
            Format::Text => [text::of(value).as_slice(), b"\n"].concat(),
            Format::Json => json::line("value", &json::of(value)),
        };
        self.streams.out(&line)
    }

    fn placed(&mut self, severity: Severity, place: Place, message: &[u8]) -> io::Result<()> {
        let (source, options) = (&self.manifest.source, &self.streams.options);
        match options.format {
            Format::Text => {
                let text = diagnostic::placed(severity, source, place, message, options.colour);
                self.streams.err(&text)
            }
            Format::Json => {
                let kind = if severity == Severity::Error { "errorf" } else { "warnf" };
                let object = diagnostic::placed_json(kind, source, place, message);
                self.streams.out(&object)
            }
        }
    }

    fn runtime_error(&mut self, error: &RuntimeError, place: Place, retcode: Option<i64>) -> io::Result<()> {
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

    fn cat(&mut self, path: &str, host: &mut dyn Host) -> io::Result<()> {
        match host.read_file(path, self.manifest.config.max_cat_bytes) {
            Ok(bytes) => {
                let bytes = if self.neutralise() { neutralised(&bytes) } else { bytes };
                self.show("cat", &bytes, b"")
            }
            Err(error) => {
                let message = format!("failed to open file '{path}' ({})", error_text(&error));
                self.streams.complain(Severity::Error, &message)
            }
        }
    }

    fn system(&mut self, command: &str, host: &mut dyn Host) -> io::Result<()> {
        // The command may write to the same terminal.
        self.streams.flush()?;
        match host.run_shell(command) {
            Ok(output) => self.show("syscall", &output, b"\n"),
            Err(error) => self.streams.complain(Severity::Error, &error_text(&error)),
        }
    }

    fn time(&mut self, format: &str, wall_ns: i64) -> io::Result<()> {
        match time::format(format, wall_ns) {
            Some(text) => self.show("time", &text, b""),
            None => self.streams.complain(Severity::Error, "strftime returned zero"),
        }
    }

    fn strftime_failed(&mut self) -> io::Result<()> {
        self.streams.complain(Severity::Error, "strftime returned 0")
    }

    fn joined(&mut self, joined: Vec<u8>) -> io::Result<()> {
        let joined = if self.neutralise() { neutralised(&joined) } else { joined };
        self.show("join", &joined, b"\n")
    }

    fn change_map(&mut self, verb: &str, map: u32, changed: io::Result<()>) -> io::Result<()> {
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
        })?;
        match contents {
            Ok(contents) => self.streams.out(&match self.streams.options.format {
                Format::Text => show::map_text(&map.name, &contents),
                Format::Json => show::map_json(&map.name, &map.value, &contents),
            }),
            Err(bad) => {
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

    /// Counts a record that makes no sense; the first of each event number is reported.
    fn bad_record(&mut self, number: u64, why: &str) -> io::Result<()> {
        const REPORTS_MAX: usize = 16;
        self.bad_records += 1;
        if self.reported.len() >= REPORTS_MAX || !self.reported.insert(number) {
            return Ok(());
        }
        let record = if number == u64::MAX { String::new() } else { format!(" {number}") };
        self.streams.complain(Severity::Error, &format!("event{record} {why}"))
    }
}

/// The strings of a `join` record, up to the first empty one.
fn join(record: &[u8], separator: &str, offset: usize, stride: usize) -> Option<Vec<u8>> {
    let count = word(record, offset)?.min(JOIN_MAX) as usize;
    let strings = record.get(offset.checked_add(8)?..)?.get(..count.checked_mul(stride)?)?;
    let mut joined = Vec::new();
    for (i, string) in strings.chunks_exact(stride).enumerate() {
        let len = string.iter().position(|byte| *byte == 0).unwrap_or(stride);
        if len == 0 {
            break;
        }
        if i > 0 {
            joined.extend_from_slice(separator.as_bytes());
        }
        joined.extend_from_slice(&string[..len]);
    }
    Some(joined)
}
