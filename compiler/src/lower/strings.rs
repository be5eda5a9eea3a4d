//! Strings: bytes up to a NUL in a buffer of known capacity.
//!
//! What follows the NUL is arbitrary, except in keys ([`Dest::exact`]): there it is zero, because the
//! kernel compares all bytes.

use cranelift_codegen::ir::{self, InstBuilder as _, condcodes::IntCC};

use super::expr::Dest;
use super::{Lower, Mem, Region, helper};
use crate::syntax::ast::Span;
use crate::types::tree::Expr;
use manifest::RuntimeError;

impl Lower<'_> {
    /// Writes a literal of type `String(capacity)`.
    pub(crate) fn store_string(&mut self, dst: Dest, bytes: &[u8], capacity: u32) {
        let mut text = bytes.to_vec();
        text.truncate(capacity as usize);
        let mut padded = text.clone();
        // With the NUL; the rest only where it counts.
        let len = if dst.is_full() { capacity as usize } else { (text.len() + 1).min(capacity as usize) };
        padded.resize(len, 0);
        if len as u32 <= 128 {
            self.store_bytes(dst.mem, &padded);
        } else {
            let string = self.object.string(padded);
            let src = self.data_address(string);
            self.copy(dst.mem, Mem::at(src, Region::Rodata), len as u32);
        }
    }

    /// Copies a string so that everything behind its NUL is zero.
    pub(crate) fn copy_string_exactly(&mut self, dst: Mem, src: Mem, capacity: u32) {
        self.zero(dst, capacity);
        let (to, size, from) = (self.addr(dst), self.iconst(capacity.into()), self.addr(src));
        self.call_helper(helper::PROBE_READ_KERNEL_STR, &[to, size, from]);
    }

    /// An index that lies within `len` elements: one beyond reports an error and reads the last.
    pub(crate) fn bounded_index(&mut self, index: &Expr, len: u32, span: Span) -> ir::Value {
        let index = self.checked_index(index, len, span);
        let last = self.iconst(len.saturating_sub(1).into());
        self.b.ins().umin(index, last)
    }

    /// An index as it is; one beyond `len` elements reports an error.
    pub(crate) fn checked_index(&mut self, index: &Expr, len: u32, span: Span) -> ir::Value {
        let value = self.lower_scalar(index);
        let outside = self.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThanOrEqual, value, i64::from(len));
        self.if_rare(outside, |l| l.runtime_error(RuntimeError::ArrayBounds, span, None));
        value
    }
}
