//! What goes wrong while a program runs, told to the loader.

use cranelift_codegen::ir;
use manifest::{Event, RuntimeError};

use super::{Base, Lower, Mem, Region, Shared, helper};
use crate::syntax::ast::Span;

/// Record: number of the event, return code.
const RECORD_BYTES: u32 = 16;
const RETCODE_OFFSET: u32 = 8;

impl Lower<'_> {
    /// Sends a runtime error about the expression at `span`.
    pub(crate) fn runtime_error(&mut self, error: RuntimeError, span: Span, retcode: Option<ir::Value>) {
        let place = self.place_of(span);
        let event = Event::RuntimeError { error, place, retcode: retcode.map(|_| RETCODE_OFFSET) };
        let number = self.object.event(event);
        let number = self.iconst(number.into());
        let retcode = match retcode {
            Some(retcode) => retcode,
            None => self.iconst(0),
        };
        self.call_shared(Shared::RuntimeError, &[number, retcode]);
    }

    /// Body of [`Shared::RuntimeError`]: `(event, return code)`.
    pub(crate) fn write_runtime_error(&mut self, number: ir::Value, retcode: ir::Value) -> ir::Value {
        // Rare and small: copying the record takes less code than reserving it.
        let slot = self.stack_slot(RECORD_BYTES);
        let record = Mem { base: Base::Slot(slot), offset: 0, region: Region::Stack };
        self.store(record, 8, number);
        self.store(record.plus(RETCODE_OFFSET), 8, retcode);
        let pages = self.input.settings.run.perf_rb_pages;
        let ring_buffer = self.object.ring_buffer(pages);
        let (ring_buffer, record) = (self.map_address(ring_buffer), self.addr(record));
        let (size, no_flags) = (self.iconst(RECORD_BYTES.into()), self.iconst(0));
        let failed = self.call_helper(helper::RINGBUF_OUTPUT, &[ring_buffer, record, size, no_flags]);
        self.if_nonzero(failed, Self::count_lost, |_| {});
        self.iconst(0)
    }
}
