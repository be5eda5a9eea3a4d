//! Reads a record and does what its event says.

use super::host::Host;
use super::map::Selection;
use super::value::{BadBytes, Decoder, expect_word, word};
use super::{Flow, Output, Severity, printf};
use manifest::{Event, Field, Manifest};
use std::io;
use std::sync::Arc;

/// Strings that `join` takes at the most.
const JOIN_MAX: u64 = 16;

/// Why an event was not handled.
pub(super) enum Failure {
    /// A stream cannot be written to: the run ends.
    Stream(io::Error),
    /// The record makes no sense: it is counted.
    Record(BadBytes),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Stream(error)
    }
}

impl From<BadBytes> for Failure {
    fn from(bad: BadBytes) -> Failure {
        Failure::Record(bad)
    }
}

impl Output {
    pub(super) fn handle(&mut self, record: &[u8], host: &mut dyn Host) -> io::Result<Flow> {
        let manifest = Arc::clone(&self.manifest);
        let Some(number) = word(record, 0) else {
            return self.bad_record(u64::MAX, "is shorter than its number");
        };
        let Some(event) = usize::try_from(number).ok().and_then(|at| manifest.events.get(at)) else {
            return self.bad_record(number, "has an unknown number");
        };
        match self.dispatch(number as usize, event, record, host) {
            Ok(flow) => Ok(flow),
            Err(Failure::Stream(error)) => Err(error),
            Err(Failure::Record(bad)) => self.bad_record(number, &format!("cannot be read: {bad}")),
        }
    }

    fn dispatch(
        &mut self,
        number: usize,
        event: &Event,
        record: &[u8],
        host: &mut dyn Host,
    ) -> Result<Flow, Failure> {
        let mut formatted = |args| self.formatted(number, record, args, host);
        match event {
            Event::Printf { args, .. } => {
                let text = formatted(args)?;
                self.show("printf", &text, b"")
            }
            Event::Errorf { args, place, .. } => {
                let text = formatted(args)?;
                self.placed(Severity::Error, *place, &text)
            }
            Event::Warnf { args, place, .. } => {
                let text = formatted(args)?;
                self.placed(Severity::Warning, *place, &text)
            }
            Event::Cat { args, .. } => {
                let path = formatted(args)?;
                self.cat(&String::from_utf8_lossy(&path), host)
            }
            Event::System { args, .. } => {
                let command = formatted(args)?;
                self.system(&String::from_utf8_lossy(&command), host)
            }
            Event::Value(field) => {
                let value = self.decode(host, |decoder| decoder.field(record, field))?;
                self.value(&value)
            }
            Event::PrintMap { map, top, div } => {
                self.print_map(*map as usize, Selection { top: *top, div: *div }, true, host)
            }
            Event::Clear { map } => self.changed("clear", *map, host.clear_map(*map as usize)),
            Event::Zero { map } => self.changed("zero", *map, host.zero_map(*map as usize)),
            Event::Time { format } => self.time(format, host.wall_ns()),
            Event::Join { separator, offset, stride } => {
                let joined = join(record, separator, *offset, *stride)?;
                self.joined(joined)
            }
            Event::Exit { offset } => return Ok(Flow::Exit(expect_word(record, *offset)? as u8)),
            Event::RuntimeError { error, place, retcode } => {
                let retcode = retcode.map(|offset| expect_word(record, offset)).transpose()?;
                self.runtime_error(error, *place, retcode.map(|word| word as i64))
            }
        }?;
        Ok(Flow::Continue)
    }

    fn formatted(
        &mut self,
        number: usize,
        record: &[u8],
        args: &[Field],
        host: &mut dyn Host,
    ) -> Result<Vec<u8>, Failure> {
        let values = self.decode(host, |decoder| decoder.fields(record, args))?;
        let neutralise = self.streams.neutralises();
        let format = self.formats.get(number).and_then(Option::as_ref);
        Ok(format.map_or(Vec::new(), |format| printf::print(format, &values, neutralise)))
    }

    /// Runs a decoder with the host's symbols; `strftime` failures within become complaints.
    pub(super) fn decode<T>(
        &mut self,
        host: &mut dyn Host,
        decode: impl FnOnce(&mut Decoder<'_>) -> Result<T, BadBytes>,
    ) -> Result<T, Failure> {
        let boot_offset = *self.boot_offset_ns.get_or_insert_with(|| host.boot_offset_ns());
        let manifest: Arc<Manifest> = Arc::clone(&self.manifest);
        let mut decoder = Decoder::new(&manifest, host.symbols(), boot_offset, self.streams.neutralises());
        let decoded = decode(&mut decoder);
        if decoder.failed_times > 0 {
            self.streams.complain(Severity::Error, "strftime returned 0")?;
        }
        Ok(decoded?)
    }

    /// Counts a record that makes no sense; the first of each event number is reported.
    fn bad_record(&mut self, number: u64, why: &str) -> io::Result<Flow> {
        const REPORTS_MAX: usize = 16;
        self.bad_records += 1;
        if self.reported.len() < REPORTS_MAX && self.reported.insert(number) {
            let record = if number == u64::MAX { String::new() } else { format!(" {number}") };
            self.streams.complain(Severity::Error, &format!("event{record} {why}"))?;
        }
        Ok(Flow::Continue)
    }
}

/// The strings of a `join` record, up to the first empty one.
fn join(record: &[u8], separator: &str, offset: u32, stride: u32) -> Result<Vec<u8>, BadBytes> {
    let count = expect_word(record, offset)?.min(JOIN_MAX);
    let (start, len) = (u64::from(offset) + 8, count * u64::from(stride));
    let short = BadBytes::Short { need: start + len, have: record.len() };
    let strings = record.get(start as usize..(start + len) as usize).ok_or(short)?;
    let mut joined = Vec::new();
    for (i, string) in strings.chunks_exact(stride.max(1) as usize).enumerate() {
        let len = string.iter().position(|byte| *byte == 0).unwrap_or(string.len());
        if len == 0 {
            break;
        }
        if i > 0 {
            joined.extend_from_slice(separator.as_bytes());
        }
        joined.extend_from_slice(&string[..len]);
    }
    Ok(joined)
}
