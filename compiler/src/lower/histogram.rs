//! Buckets of histograms (LANGUAGE section 4.3).

use cranelift_codegen::ir::{self, InstBuilder as _, condcodes::IntCC};

use super::{Lower, Shared};
use crate::types::Agg;

impl Lower<'_> {
    /// The bucket `value` belongs to.
    pub(crate) fn lower_bucket(&mut self, agg: Agg, value: ir::Value) -> ir::Value {
        match agg {
            Agg::Lhist { min, max, step } => self.linear_bucket(value, min, max, step),
            Agg::Hist { bits } => self.call_shared(Shared::HistBucket(bits), &[value]),
            _ => unreachable!("only histograms have buckets"),
        }
    }

    /// 0 below `min`, then steps, the last at and above `max`; signed.
    fn linear_bucket(&mut self, value: ir::Value, min: i64, max: i64, step: u64) -> ir::Value {
        let result = self.result();
        let set = |l: &mut Self, value| l.b.def_var(result, value);
        let below = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, value, min);
        self.if_nonzero(
            below,
            |l| {
                let zero = l.iconst(0);
                set(l, zero);
            },
            |l| {
                let above = l.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, value, max);
                l.if_nonzero(
                    above,
                    |l| {
                        let last = l.iconst(1 + max.abs_diff(min) / step);
                        set(l, last);
                    },
                    |l| {
                        let distance = l.add_const(value, min.wrapping_neg());
                        let span = crate::syntax::ast::Span::default();
                        let steps = l.iconst(step);
                        let number = l.divide(distance, steps, Some(step), false, span);
                        let bucket = l.add_const(number, 1);
                        set(l, bucket);
                    },
                );
            },
        );
        self.b.use_var(result)
    }

    /// Body of [`Shared::HistBucket`].
    ///
    /// Bucket 0 for negative values, `1 + v` below `2^bits`, then `2^bits` buckets for each power
    /// of two: `1 + ((log2 - bits + 1) << bits) + the bits behind the leading one`.
    pub(crate) fn write_hist_bucket(&mut self, value: ir::Value, bits: u8) -> ir::Value {
        let result = self.result();
        let negative = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, value, 0);
        let small = 1i64 << bits;
        self.if_nonzero(
            negative,
            |l| {
                let zero = l.iconst(0);
                l.b.def_var(result, zero);
            },
            |l| {
                let is_large = l.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThanOrEqual, value, small);
                l.if_nonzero(
                    is_large,
                    |l| {
                        let high = l.shift_right(value, bits);
                        // The highest set bit of `value >> bits` is `log2(value) - bits`.
                        let (shift, one) = l.log2(high);
                        // What is left of the value: the leading one, worth `1 << bits`, and the bits behind it.
                        let tail = if bits == 0 { one } else { l.b.ins().ushr(value, shift) };
                        let base =
                            if bits == 0 { shift } else { l.b.ins().ishl_imm_s(shift, i64::from(bits)) };
                        let bucket = l.b.ins().iadd(base, tail);
                        let bucket = l.add_const(bucket, 1);
                        l.b.def_var(result, bucket);
                    },
                    |l| {
                        let bucket = l.add_const(value, 1);
                        l.b.def_var(result, bucket);
                    },
                );
            },
        );
        self.b.use_var(result)
    }

    fn shift_right(&mut self, value: ir::Value, bits: u8) -> ir::Value {
        if bits == 0 { value } else { self.b.ins().ushr_imm_s(value, i64::from(bits)) }
    }

    /// Position of the highest set bit, by halving, and a constant 1. BPF has no instruction that
    /// makes a number of a comparison, so a branch is the short way; the subprogram is global, which
    /// keeps its paths from multiplying those of its callers.
    fn log2(&mut self, value: ir::Value) -> (ir::Value, ir::Value) {
        let (rest, log) = (self.result(), self.result());
        let (zero, one) = (self.iconst(0), self.iconst(1));
        self.b.def_var(rest, value);
        self.b.def_var(log, zero);
        for step in [32u32, 16, 8, 4, 2, 1] {
            let number = self.b.use_var(rest);
            // The largest immediate has 31 bits.
            let high = match step {
                32 => self.b.ins().ushr_imm_s(number, 32),
                _ => self.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThanOrEqual, number, 1 << step),
            };
            self.if_nonzero(
                high,
                |l| {
                    let upper = l.b.ins().ushr_imm_s(number, i64::from(step));
                    l.b.def_var(rest, upper);
                    let so_far = l.b.use_var(log);
                    let more = l.add_const(so_far, step.into());
                    l.b.def_var(log, more);
                },
                |_| {},
            );
        }
        (self.b.use_var(log), one)
    }
}
