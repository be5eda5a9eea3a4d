//! Events: records in the ring buffer, filled in place.
//!
//! Ensures  a record is reserved, filled and submitted without being copied; what the ring buffer
//!          has no room for is counted
//!
//! Records are submitted without a wake-up of their own; the loader sets the watermark.

use cranelift_codegen::ir::{self, AtomicRmwOp, InstBuilder as _, types};
use manifest::{Event, Field};

use super::expr::Dest;
use super::{Lower, Mem, Region, helper};
use crate::types::tree::Expr;

/// Bytes of a record's event number.
pub(crate) const HEADER_BYTES: u32 = 8;

/// Kinds of formatted output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the functions")]
pub(crate) enum Format {
    Printf,
    Errorf,
    Warnf,
    Cat,
    System,
}

impl Lower<'_> {
    /// Sends an event whose record is only its number.
    pub(crate) fn send_bare(&mut self, event: Event) {
        let number = self.object.event(event);
        let number = self.iconst(number.into());
        self.send(HEADER_BYTES, number, |_, _| {});
    }

    /// Sends `values` behind each other, described by what `event` makes of their fields.
    pub(crate) fn send_values(&mut self, values: &[Expr], event: impl FnOnce(Vec<Field>) -> Event) {
        let mut end = HEADER_BYTES;
        let mut fields = Vec::new();
        for value in values {
            let offset = end.next_multiple_of(value.ty.align());
            end = offset + value.ty.size();
            fields.push(Field { offset, layout: self.layout(&value.ty), bits: None });
        }
        let offsets: Vec<u32> = fields.iter().map(|field| field.offset).collect();
        let number = self.object.event(event(fields));
        let number = self.iconst(number.into());
        self.send(end, number, |l, record| {
            for (value, offset) in values.iter().zip(offsets) {
                l.lower_into(value, Dest { mem: record.plus(offset), exact: false });
            }
        });
    }

    /// Sends formatted output; `args` starts with the format.
    pub(crate) fn send_format(&mut self, kind: Format, e: &Expr, args: &[Expr]) {
        let Some((format, values)) = args.split_first() else { return };
        let format = String::from_utf8_lossy(format.text().unwrap_or_default()).into_owned();
        let place = self.place_of(e.span);
        self.send_values(values, |args| match kind {
            Format::Printf => Event::Printf { format, args },
            Format::Errorf => Event::Errorf { format, args, place },
            Format::Warnf => Event::Warnf { format, args, place },
            Format::Cat => Event::Cat { format, args },
            Format::System => Event::System { format, args },
        });
    }

    /// Reserves a record of `bytes`, lets `fill` write what follows the event's number, and submits
    /// it.
    pub(crate) fn send(&mut self, bytes: u32, number: ir::Value, fill: impl FnOnce(&mut Self, Mem)) {
        let pages = self.input.settings.run.perf_rb_pages;
        let ring_buffer = self.object.ring_buffer(pages);
        let ring_buffer = self.map_address(ring_buffer);
        let (size, no_flags) = (self.iconst(bytes.next_multiple_of(8).into()), self.iconst(0));
        let record = self.call_helper(helper::RINGBUF_RESERVE, &[ring_buffer, size, no_flags]);
        self.if_nonzero(
            record,
            |l| {
                let mem = Mem::at(record, Region::Record);
                l.store(mem, HEADER_BYTES, number);
                let outer = l.record.replace(record);
                fill(l, mem);
                l.record = outer;
                let no_flags = l.iconst(0);
                l.call_void_helper(helper::RINGBUF_SUBMIT, &[record, no_flags]);
            },
            Self::count_lost,
        );
    }

    /// Goes on only if a value is not zero; else the program ends, and gives back the event that it has
    /// not submitted.
    pub(crate) fn expect_nonzero(&mut self, value: ir::Value) {
        let (found, exit) = (self.b.create_block(), self.exit);
        let missing = if self.record.is_some() { self.b.create_block() } else { exit };
        self.b.ins().brif(value, found, &[], missing, &[]);
        if let Some(record) = self.record {
            self.b.set_cold_block(missing);
            self.b.switch_to_block(missing);
            self.b.seal_block(missing);
            let no_flags = self.iconst(0);
            self.call_void_helper(helper::RINGBUF_DISCARD, &[record, no_flags]);
            self.b.ins().jump(exit, &[]);
        }
        self.b.switch_to_block(found);
        self.b.seal_block(found);
    }

    /// Counts an event that the ring buffer had no room for.
    pub(crate) fn count_lost(&mut self) {
        let lost = self.object.lost_events();
        let lost = self.data_address(lost);
        let one = self.iconst(1);
        let flags = self.flags(Region::Lost);
        self.b.ins().atomic_rmw(types::I64, flags, AtomicRmwOp::Add, lost, one);
    }
}
