//! Moves records from the ring buffer to the output, and serves the output's questions about maps.
//!
//! Programs submit records so that the kernel wakes us only when we had caught up. So after a pause the first record
//! is shown at once; while records keep coming they are left to gather for a moment, for a wake-up costs the
//! traced program more than the record itself.

use crate::maps::{KernelMap, Maps};
use crate::object::{DataPlace, Object};
use crate::output::{Flow, Host, Output, Symbols};
use crate::ringbuf::{Pages, Ring};
use crate::symbols::SystemSymbols;
use std::io;
use std::time::{Duration, Instant};

/// How long records may gather.
const GATHER: Duration = Duration::from_millis(10);
/// Part of the ring that may fill meanwhile.
const GATHER_PART: u64 = 8;
/// Part of the ring after which space is given back while reading.
const RELEASE_PART: u64 = 4;
/// Shortest time between two looks at the counter of lost events.
const LOST_EVERY: Duration = Duration::from_millis(100);

/// When records were last moved, and so whether to wait.
#[derive(Debug, Default)]
pub struct Pace {
    last: Option<Instant>,
}

impl Pace {
    /// How long to let records gather before reading them.
    pub fn delay<P: Pages>(&self, ring: &Ring<P>) -> Duration {
        match self.last {
            Some(last) if ring.pending() < ring.capacity() / GATHER_PART => {
                GATHER.saturating_sub(last.elapsed())
            }
            _ => Duration::ZERO,
        }
    }
}

/// Answers the output's questions from the kernel's maps.
pub struct MapHost<'a> {
    object: &'a Object,
    maps: &'a Maps,
    symbols: SystemSymbols,
}

impl<'a> MapHost<'a> {
    /// Over an object's maps.
    pub fn new(object: &'a Object, maps: &'a Maps) -> Self {
        Self { object, maps, symbols: SystemSymbols::new() }
    }

    /// Takes note that modules came.
    pub fn modules_changed(&mut self) {
        self.symbols.refresh_kernel();
    }

    fn map(&self, map: usize) -> io::Result<&'a KernelMap> {
        let index = self.object.script_maps.get(map).copied();
        let found = index.and_then(|index| self.maps.maps.get(index));
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Host for MapHost<'_> {
    fn map_entries(&mut self, map: usize) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        Ok(self.map(map)?.entries()?)
    }

    fn clear_map(&mut self, map: usize) -> io::Result<()> {
        Ok(self.map(map)?.clear()?)
    }

    fn zero_map(&mut self, map: usize) -> io::Result<()> {
        Ok(self.map(map)?.zero()?)
    }

    fn symbols(&mut self) -> &mut dyn Symbols {
        &mut self.symbols
    }
}

/// Moves what is in the ring, at the most one ring's worth, so that signals are seen under any load.
pub fn drain<P: Pages>(
    ring: &mut Ring<P>,
    pace: &mut Pace,
    output: &mut Output,
    host: &mut dyn Host,
) -> io::Result<Flow> {
    let mut flow = Flow::Continue;
    let (mut moved, mut held) = (0, 0);
    while moved < ring.capacity() {
        let Some(record) = ring.next_record() else { break };
        let bytes = record.len() as u64 + 8;
        flow = output.event(record, host)?;
        moved += bytes;
        held += bytes;
        if flow != Flow::Continue {
            break;
        }
        if held >= ring.capacity() / RELEASE_PART {
            ring.release();
            held = 0;
        }
    }
    ring.release();
    if moved > 0 {
        pace.last = Some(Instant::now());
    }
    Ok(flow)
}

/// The counter of events that found no room.
#[derive(Debug)]
pub struct Lost<'a> {
    counter: Option<(&'a KernelMap, DataPlace)>,
    seen: u64,
    looked: Option<Instant>,
}

impl<'a> Lost<'a> {
    /// Of an object, if it counts them.
    pub fn new(object: &Object, maps: &'a Maps) -> Self {
        let counter = object.lost_events.and_then(|place| Some((maps.data.get(place.section)?, place)));
        Self { counter, seen: 0, looked: None }
    }

    /// Reports what was lost since the last look. With `now` looks in any case.
    pub fn report(&mut self, output: &mut Output, now: bool) -> io::Result<()> {
        if !now && self.looked.is_some_and(|looked| looked.elapsed() < LOST_EVERY) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let total = self.count()?.unwrap_or(self.seen);
        output.lost(total.saturating_sub(self.seen))?;
        self.seen = total;
        Ok(())
    }

    fn count(&self) -> io::Result<Option<u64>> {
        let Some((map, place)) = self.counter else { return Ok(None) };
        let Some(bytes) = map.lookup(&[0; 4])? else { return Ok(None) };
        let bytes = bytes.get(place.offset..place.offset + 8);
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes))
    }
}
