//! Turns ring-buffer records and map contents into what the user sees.
//!
//! Input    records and map cells (untrusted bytes), the manifest that gives them meaning
//! Output   bytes on two streams, in bpftrace's text format or its JSON
//! Requires a manifest that passed [`Manifest::from_bytes`]
//! Absences no system calls but through [`Host`] and [`Symbols`], and the C library's `strftime`;
//!          no panic on any bytes

mod diagnostic;
mod effect;
mod event;
mod format;
mod gfp;
mod hist;
mod host;
mod json;
mod map;
mod printf;
mod reduce;
mod show;
mod stack;
mod streams;
mod text;
#[allow(unsafe_code, reason = "the C library's `strftime` knows the time zone and the locale")]
mod time;
mod value;

#[cfg(test)]
mod tests;

pub use host::{Host, Symbols, UserSymbol};
pub use streams::{Buffering, Format, Options, Warnings};

use diagnostic::Severity;
use manifest::{Event, Manifest};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;
use streams::Streams;

/// Whether to go on after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Handle the next event.
    Continue,
    /// `exit(code)`: drop later events, detach, run `end`, end with this status.
    Exit(u8),
}

/// Writes events and maps as text or JSON.
pub struct Output {
    manifest: Arc<Manifest>,
    /// By event number; `None` for events without a format.
    formats: Vec<Option<format::Format>>,
    streams: Streams,
    boot_offset_ns: Option<i64>,
    lost: u64,
    bad_records: u64,
    /// Event numbers a bad record was already reported of.
    reported: BTreeSet<u64>,
}

impl Output {
    /// `out` gets the output (wrap it in a `BufWriter`: flushes are explicit), `err` diagnostics in text format.
    pub fn new(
        manifest: Arc<Manifest>,
        options: Options,
        out: Box<dyn Write>,
        err: Box<dyn Write>,
    ) -> Output {
        let format = |event: &Event| match event {
            Event::Printf { format, .. }
            | Event::Errorf { format, .. }
            | Event::Warnf { format, .. }
            | Event::Cat { format, .. }
            | Event::System { format, .. } => Some(format::Format::parse(format)),
            Event::Value(_)
            | Event::PrintMap { .. }
            | Event::Clear { .. }
            | Event::Zero { .. }
            | Event::Time { .. }
            | Event::Join { .. }
            | Event::Exit { .. }
            | Event::RuntimeError { .. } => None,
        };
        Output {
            formats: manifest.events.iter().map(format).collect(),
            manifest,
            streams: Streams::new(options, out, err),
            boot_offset_ns: None,
            lost: 0,
            bad_records: 0,
            reported: BTreeSet::new(),
        }
    }

    /// Handles one ring-buffer record. An error means `out` or `err` cannot be written to; what is wrong
    /// with a record or a map is shown as a diagnostic and counted.
    pub fn event(&mut self, record: &[u8], host: &mut dyn Host) -> io::Result<Flow> {
        let flow = self.handle(record, host)?;
        self.streams.end_event()?;
        Ok(flow)
    }

    /// Says how many probes are attached, unless quiet.
    pub fn attached(&mut self, probes: usize) -> io::Result<()> {
        if self.streams.options.quiet {
            return Ok(());
        }
        let plural = if probes == 1 { "" } else { "s" };
        let object = format!(
            "{{\"type\": \"attached_probes\", \"count\": {probes}, \"data\": {{\"probes\": {probes}}}}}\n"
        );
        self.streams.note(&format!("Attached {probes} probe{plural}\n"), &object)
    }

    /// Says that this many events were lost since the last call; 0 says nothing.
    pub fn lost(&mut self, events: u64) -> io::Result<()> {
        if events == 0 {
            return Ok(());
        }
        self.lost = self.lost.saturating_add(events);
        let object = format!(
            "{{\"type\": \"lost_events\", \"count\": {events}, \"data\": {{\"events\": {events}}}}}\n"
        );
        self.streams.note(&format!("Lost {events} events\n"), &object)
    }

    /// Says how many events were lost in all, if any.
    pub fn total_lost(&mut self) -> io::Result<()> {
        match self.lost {
            0 => Ok(()),
            lost => self.streams.complain(Severity::Warning, &format!("Total lost event count: {lost}")),
        }
    }

    /// The two newlines and, if the script's config says so, all maps that are not empty.
    pub fn maps_at_exit(&mut self, host: &mut dyn Host) -> io::Result<()> {
        if self.streams.options.format == Format::Text {
            self.streams.out(b"\n\n")?;
        }
        if self.manifest.config.print_maps_on_exit {
            for map in 0..self.manifest.maps.len() {
                self.print_map(map, map::ALL, false, host)?;
            }
        }
        self.streams.flush()
    }

    /// Records and maps that could not be decoded so far.
    pub fn bad_records(&self) -> u64 {
        self.bad_records
    }

    /// Flushes both streams, whatever the buffering.
    pub fn flush(&mut self) -> io::Result<()> {
        self.streams.flush()
    }
}
