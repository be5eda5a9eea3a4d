//! What goes wrong while a program runs, told to the loader.

use cranelift_codegen::ir;
use manifest::{Event, RuntimeError};

use super::{Lower, Shared};
use crate::syntax::ast::Span;

/// Record: number of the event, return code.
const RECORD_BYTES: u32 = 16;
const RETCODE_OFFSET: u32 = 8;

impl Lower<'_> {
    /// Sends a runtime error about the expression at `span`.
    pub fn runtime_error(&mut self, error: RuntimeError, span: Span, retcode: Option<ir::Value>) {
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
        self.send(RECORD_BYTES, number, |l, record| l.store(record.plus(RETCODE_OFFSET), 8, retcode));
        self.iconst(0)
    }
}
