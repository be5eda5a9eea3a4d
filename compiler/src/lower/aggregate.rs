//! Aggregations: cells in per-CPU maps, updated in place, and their reduction to one number.
//!
//! Cells are laid out as `manifest::MapValue` says. A CPU only ever writes its own cell, so a plain
//! add is enough, and a missing element may simply be set: another CPU that adds the same key at the
//! same time sets its own cell.

use cranelift_codegen::ir::{self, InstBuilder as _, condcodes::IntCC, types};
use manifest::GlobalRole;

use super::expr::Dest;
use super::map_types::bucket_offset;
use super::{Lower, Mem, Region, helper};
use crate::syntax::ast::Span;
use crate::types::Agg;
use crate::types::tree::{Expr, MapId};

impl Lower<'_> {
    /// `@m[k] = count()` and its like.
    pub(crate) fn lower_aggregate(
        &mut self,
        map: MapId,
        key: Option<&Expr>,
        agg: Agg,
        args: &[Expr],
        span: Span,
    ) {
        let value = match args.first() {
            Some(arg) => self.lower_scalar(arg),
            None => self.iconst(1),
        };
        let key = match agg {
            Agg::Hist { .. } | Agg::Lhist { .. } => self.lower_bucket_key(map, key, agg, value),
            _ => self.lower_key(key),
        };
        let cell = self.look_up(map, key);
        self.if_nonzero(
            cell,
            |l| l.update_cell(Mem::at(cell, Region::Map), agg, value),
            |l| {
                let cell = l.temp(agg.cell_size());
                l.first_cell(cell, agg, value);
                l.update(map, key, cell, span);
            },
        );
    }

    /// The user's key, padded, then the bucket.
    fn lower_bucket_key(&mut self, map: MapId, key: Option<&Expr>, agg: Agg, value: ir::Value) -> ir::Value {
        let offset = bucket_offset(self.map(map));
        let bucket = self.lower_bucket(agg, value);
        let mem = self.temp(offset + 8);
        if let Some(key) = key {
            self.lower_into(key, Dest { mem, exact: true });
            self.zero(mem.plus(key.ty.size()), offset - key.ty.size());
        }
        self.store(mem.plus(offset), 8, bucket);
        self.addr(mem)
    }

    fn first_cell(&mut self, cell: Mem, agg: Agg, value: ir::Value) {
        match agg {
            Agg::Count | Agg::Hist { .. } | Agg::Lhist { .. } => self.store_const(cell, 8, 1),
            Agg::Sum { .. } => self.store(cell, 8, value),
            Agg::Min { .. } | Agg::Max { .. } | Agg::Avg { .. } | Agg::Stats { .. } => {
                self.store(cell, 8, value);
                self.store_const(cell.plus(8), 8, 1);
            }
        }
    }

    fn update_cell(&mut self, cell: Mem, agg: Agg, value: ir::Value) {
        match agg {
            Agg::Count | Agg::Hist { .. } | Agg::Lhist { .. } => {
                let one = self.iconst(1);
                self.add_to(cell, one);
            }
            Agg::Sum { .. } => self.add_to(cell, value),
            Agg::Avg { .. } | Agg::Stats { .. } => {
                self.add_to(cell, value);
                let one = self.iconst(1);
                self.add_to(cell.plus(8), one);
            }
            Agg::Min { signed } => self.replace_if(cell, value, less(signed)),
            Agg::Max { signed } => self.replace_if(cell, value, greater(signed)),
        }
    }

    fn add_to(&mut self, cell: Mem, value: ir::Value) {
        let old = self.load_u64(cell);
        let new = self.b.ins().iadd(old, value);
        self.store(cell, 8, new);
    }

    /// Sets the cell if it is not set yet, or `value cc cell`.
    fn replace_if(&mut self, cell: Mem, value: ir::Value, cc: IntCC) {
        let set = |l: &mut Self| l.first_cell(cell, Agg::Min { signed: false }, value);
        let is_set = self.load_u64(cell.plus(8));
        self.if_nonzero(
            is_set,
            |l| {
                let old = l.load_u64(cell);
                let better = l.b.ins().icmp(cc, value, old);
                l.if_nonzero(better, |l| l.store(cell, 8, value), |_| {});
            },
            set,
        );
    }

    /// The element reduced over all CPUs.
    ///
    /// The number of CPUs is a read-only global, so the loop's length is known to the verifier.
    pub(crate) fn lower_reduced(&mut self, map: MapId, key: ir::Value, agg: Agg, _span: Span) -> ir::Value {
        let max_cpu = self.read_global(GlobalRole::MaxCpuId);
        let (cpu, total, count) = (self.result(), self.result(), self.result());
        for var in [cpu, total, count] {
            let zero = self.iconst(0);
            self.b.def_var(var, zero);
        }
        let [head, body, found, next, done] = [(); 5].map(|()| self.b.create_block());
        self.b.ins().jump(head, &[]);
        self.b.switch_to_block(head);
        let number = self.b.use_var(cpu);
        let more = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, number, max_cpu);
        self.b.ins().brif(more, body, &[], done, &[]);

        let facts = self.facts.clone();
        self.start(body, facts.clone());
        let map = self.map_address(map.0);
        let cell = self.call_helper(helper::MAP_LOOKUP_PERCPU_ELEM, &[map, key, number]);
        self.b.ins().brif(cell, found, &[], done, &[]);
        self.start(found, facts.clone());
        self.fold_cell(Mem::at(cell, Region::Map), agg, total, count);
        self.b.ins().jump(next, &[]);
        self.start(next, facts.clone());
        let number = self.b.use_var(cpu);
        let number = self.b.ins().iadd_imm_s(number, 1);
        self.b.def_var(cpu, number);
        self.b.ins().jump(head, &[]);
        self.b.seal_block(head);
        self.start(done, facts);

        let (total, count) = (self.b.use_var(total), self.b.use_var(count));
        match agg {
            Agg::Avg { signed } | Agg::Stats { signed } => self.average(total, count, signed),
            _ => total,
        }
    }

    fn fold_cell(
        &mut self,
        cell: Mem,
        agg: Agg,
        total: cranelift_frontend::Variable,
        count: cranelift_frontend::Variable,
    ) {
        let value = self.load_u64(cell);
        let so_far = self.b.use_var(total);
        let (Agg::Min { signed } | Agg::Max { signed }) = agg else {
            let sum = self.b.ins().iadd(so_far, value);
            self.b.def_var(total, sum);
            if matches!(agg, Agg::Avg { .. } | Agg::Stats { .. }) {
                let (of_cell, all) = (self.load_u64(cell.plus(8)), self.b.use_var(count));
                let all = self.b.ins().iadd(all, of_cell);
                self.b.def_var(count, all);
            }
            return;
        };
        let cc = if matches!(agg, Agg::Min { .. }) { less(signed) } else { greater(signed) };
        let is_set = self.load_u64(cell.plus(8));
        self.if_nonzero(
            is_set,
            |l| {
                let seen = l.b.use_var(count);
                let first = l.b.ins().icmp_imm_s(IntCC::Equal, seen, 0);
                let better = l.b.ins().icmp(cc, value, so_far);
                let take = l.b.ins().bor(first, better);
                let best = l.b.ins().select(take, value, so_far);
                l.b.def_var(total, best);
                let one = l.iconst(1);
                l.b.def_var(count, one);
            },
            |_| {},
        );
    }

    /// `total / count`, truncated; 0 of nothing.
    fn average(&mut self, total: ir::Value, count: ir::Value, signed: bool) -> ir::Value {
        // BPF's division by zero is 0, which is what is wanted; CLIF's traps, so it is guarded.
        let result = self.result();
        self.if_nonzero(
            count,
            |l| {
                let (magnitude, sign) = if signed {
                    let sign = l.b.ins().sshr_imm_s(total, 63);
                    let flipped = l.b.ins().bxor(total, sign);
                    (l.b.ins().isub(flipped, sign), Some(sign))
                } else {
                    (total, None)
                };
                let mut quotient = l.b.ins().udiv(magnitude, count);
                if let Some(sign) = sign {
                    let flipped = l.b.ins().bxor(quotient, sign);
                    quotient = l.b.ins().isub(flipped, sign);
                }
                l.b.def_var(result, quotient);
            },
            |l| {
                let zero = l.b.ins().iconst(types::I64, 0);
                l.b.def_var(result, zero);
            },
        );
        self.b.use_var(result)
    }
}

fn less(signed: bool) -> IntCC {
    if signed { IntCC::SignedLessThan } else { IntCC::UnsignedLessThan }
}

fn greater(signed: bool) -> IntCC {
    if signed { IntCC::SignedGreaterThan } else { IntCC::UnsignedGreaterThan }
}
