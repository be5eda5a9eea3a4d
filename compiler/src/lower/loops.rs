//! Loops.
//!
//! `for` runs its body as a callback of `bpf_loop` or `bpf_for_each_map_elem`, which the verifier
//! checks once whatever the number of rounds. Variables that body and surroundings share lie in the
//! program's frame, whose address every callback is given. `while` is a plain loop that the verifier
//! must see the end of.

use cranelift_codegen::ir::{self, InstBuilder as _, condcodes::IntCC};

use super::expr::Dest;
use super::{Lower, Mem, Region, codes, helper};
use crate::diag::Diag;
use crate::syntax::ast::Span;
use crate::types::tree::{Block, Expr, MapId, VarId};
use crate::types::{Ty, layout};

/// Where `break` and `continue` lead to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) on_break: ir::Block,
    pub(crate) on_continue: ir::Block,
}

/// A callback's answer: go on.
const GO_ON: u64 = 0;
/// A callback's answer: no more rounds.
const STOP: u64 = 1;
/// No program is larger (kernel `BPF_COMPLEXITY_LIMIT_INSNS`).
const INSNS_MAX: usize = 1_000_000;

impl Lower<'_> {
    pub(crate) fn lower_while(&mut self, cond: &Expr, body: &Block) {
        let [head, inside, done] = [(); 3].map(|()| self.b.create_block());
        self.facts.forget_elements();
        let facts = self.facts.clone();
        self.b.ins().jump(head, &[]);
        self.b.switch_to_block(head);
        let (holds, fails) = self.lower_cond(cond, inside, done);
        self.start(inside, holds);
        self.loops.push(Target { on_break: done, on_continue: head });
        self.lower_block(body);
        self.loops.pop();
        if self.reachable {
            self.b.ins().jump(head, &[]);
        }
        self.reachable = true;
        self.b.seal_block(head);
        self.start(done, facts.meet(&fails));
    }

    pub(crate) fn lower_unroll(&mut self, times: u32, body: &Block) {
        let done = self.b.create_block();
        for _ in 0..times {
            if !self.reachable || self.is_too_large(body) {
                break;
            }
            self.facts.forget_elements();
            let before = self.facts.clone();
            let next = self.b.create_block();
            self.loops.push(Target { on_break: done, on_continue: next });
            self.lower_block(body);
            self.loops.pop();
            if self.reachable {
                self.b.ins().jump(next, &[]);
            }
            self.reachable = true;
            self.start(next, before);
        }
        self.b.ins().jump(done, &[]);
        let facts = self.facts.clone();
        self.start(done, facts);
    }

    /// Whether the function is larger than the kernel accepts, which is reported once.
    fn is_too_large(&mut self, body: &Block) -> bool {
        let is_too_large = self.b.func.dfg.num_insts() > INSNS_MAX;
        let is_reported = self.object.diags.iter().any(|diag| diag.code.id == codes::LIMIT.id);
        if is_too_large && !is_reported {
            let message = format!("`unroll` makes more than {INSNS_MAX} instructions");
            let span = body.stmts.first().map_or(Span::default(), |stmt| stmt.span);
            let diag = Diag::error(&codes::LIMIT, message, span, "");
            self.object.diags.push(diag.help("use `for ($i : 0..n)`, whose body is there once"));
        }
        is_too_large
    }

    pub(crate) fn lower_break(&mut self) {
        let target = self.loops.last().expect("`break` stands in a loop").on_break;
        self.b.ins().jump(target, &[]);
        self.reachable = false;
    }

    pub(crate) fn lower_continue(&mut self) {
        let target = self.loops.last().expect("`continue` stands in a loop").on_continue;
        self.b.ins().jump(target, &[]);
        self.reachable = false;
    }

    /// `for ($i : from..to)`.
    pub(crate) fn lower_for_range(&mut self, var: VarId, from: &Expr, to: &Expr, body: &Block, span: Span) {
        let signed = super::memory::repr(&from.ty).signed;
        let literal = self.literal(from);
        let (first, end) = (self.lower_scalar(from), self.lower_scalar(to));
        let cc = if signed { IntCC::SignedGreaterThan } else { IntCC::UnsignedGreaterThan };
        let some = self.b.ins().icmp(cc, end, first);
        let distance = self.b.ins().isub(end, first);
        let zero = self.iconst(0);
        let rounds = self.b.ins().select(some, distance, zero);
        // The first value is in the frame unless it is known.
        let first_place = literal.is_none().then(|| self.shared.frame_word());
        if let Some(offset) = first_place {
            let mem = self.frame_mem().plus(offset);
            self.store(mem, 8, first);
        }
        let int = super::memory::repr(&self.probe.vars[var.0 as usize].ty);
        let callback = self.lower_callback(2, 1, body, |l, params| {
            let first = match first_place {
                Some(offset) => {
                    let mem = l.frame_mem().plus(offset);
                    l.load_u64(mem)
                }
                None => l.iconst(literal.unwrap_or_default()),
            };
            let value = l.b.ins().iadd(first, params[0]);
            let value = l.extend(value, int);
            l.set_var_anywhere(var, value);
        });
        self.run_callback(callback, span, |l, callback, frame| {
            let no_flags = l.iconst(0);
            l.call_helper(helper::LOOP, &[rounds, callback, frame, no_flags]);
        });
    }

    /// `for ($kv : @m)`.
    pub(crate) fn lower_for_map(&mut self, var: VarId, map: MapId, body: &Block, span: Span) {
        let ty = &self.probe.vars[var.0 as usize].ty;
        let Ty::Tuple(fields) = ty else { unreachable!("the loop variable is a pair of key and value") };
        let (key, value) = (&fields[0], &fields[1]);
        let offsets = layout(fields.iter()).0;
        let agg = match self.map(map).value {
            Ty::Agg(agg) => Some(agg),
            _ => None,
        };
        let callback = self.lower_callback(4, 3, body, |l, params| {
            let pair = l.var_place(var);
            let key_dst = Dest { mem: pair.plus(offsets[0]), exact: false };
            l.copy_object(key_dst, Mem::at(params[1], Region::Map), key);
            let value_dst = Dest { mem: pair.plus(offsets[1]), exact: false };
            match agg {
                Some(agg) => {
                    let reduced = l.lower_reduced(map, params[1], agg, span);
                    l.store(value_dst.mem, value.size(), reduced);
                }
                None => l.copy_object(value_dst, Mem::at(params[2], Region::Map), value),
            }
        });
        self.run_callback(callback, span, |l, callback, frame| {
            let (map, no_flags) = (l.map_address(map.0), l.iconst(0));
            l.call_helper(helper::FOR_EACH_MAP_ELEM, &[map, callback, frame, no_flags]);
        });
    }

    /// A plain loop of at most `max` rounds, whose end the verifier sees. `body` gets the number of the
    /// round and the block to leave by; the result is the number of rounds.
    pub(crate) fn count_up(
        &mut self,
        max: i64,
        body: impl FnOnce(&mut Self, ir::Value, ir::Block),
    ) -> ir::Value {
        let counter = self.result();
        let zero = self.iconst(0);
        self.b.def_var(counter, zero);
        let [head, inside, done] = [(); 3].map(|()| self.b.create_block());
        self.b.ins().jump(head, &[]);
        self.b.switch_to_block(head);
        let round = self.b.use_var(counter);
        let more = self.b.ins().icmp_imm_s(IntCC::UnsignedLessThan, round, max);
        self.b.ins().brif(more, inside, &[], done, &[]);
        let facts = self.facts.clone();
        self.start(inside, facts.clone());
        body(self, round, done);
        let next = self.add_const(round, 1);
        self.b.def_var(counter, next);
        self.b.ins().jump(head, &[]);
        self.b.seal_block(head);
        self.start(done, facts);
        self.b.use_var(counter)
    }

    /// Leaves by `stop` if the value is 0.
    pub(crate) fn stop_unless(&mut self, value: ir::Value, stop: ir::Block) {
        let on = self.b.create_block();
        self.b.ins().brif(value, on, &[], stop, &[]);
        let facts = self.facts.clone();
        self.start(on, facts);
    }

    /// Number of elements of a map, by walking over them.
    pub(crate) fn count_elements(&mut self, map: MapId, span: Span) -> ir::Value {
        let index = self.object.reserve_function();
        self.nested(index, 4, None, |_, _| GO_ON);
        self.at(span);
        let (callback, map) = (self.function_address(index), self.map_address(map.0));
        let zero = self.iconst(0);
        self.call_helper(helper::FOR_EACH_MAP_ELEM, &[map, callback, zero, zero])
    }

    /// Writes the body as a function of its own. `frame` is the number of the parameter that holds
    /// the frame's address; `before` sets the loop variable.
    fn lower_callback(
        &mut self,
        params: usize,
        frame: usize,
        body: &Block,
        before: impl FnOnce(&mut Lower<'_>, &[ir::Value]),
    ) -> u32 {
        let index = self.object.reserve_function();
        // Other functions than the program make sure that its frame exists.
        self.frame_mem();
        self.nested(index, params, Some(frame), |l, params| {
            let (go_on, stop) = (l.b.create_block(), l.exit);
            before(l, params);
            l.loops.push(Target { on_break: stop, on_continue: go_on });
            l.lower_block(body);
            l.loops.pop();
            if l.reachable {
                l.b.ins().jump(go_on, &[]);
            }
            l.reachable = false;
            let facts = l.facts.clone();
            l.start(go_on, facts);
            let answer = l.iconst(GO_ON);
            l.b.ins().return_(&[answer]);
            STOP
        });
        index
    }

    fn run_callback(
        &mut self,
        callback: u32,
        span: Span,
        call: impl FnOnce(&mut Self, ir::Value, ir::Value),
    ) {
        self.at(span);
        // The body may have changed any map, and shared variables.
        self.facts.forget_elements();
        let stops = self.shared.usage.returns_from_callback;
        if stops && self.has_context() {
            let flag = self.stop_flag();
            self.store_const(flag, 8, 0);
        }
        let address = self.function_address(callback);
        let frame = self.frame_mem();
        let frame = self.addr(frame);
        call(self, address, frame);
        if stops {
            let flag = self.stop_flag();
            let flag = self.load_u64(flag);
            let on = self.b.create_block();
            let exit = self.exit;
            self.b.ins().brif(flag, exit, &[], on, &[]);
            let facts = self.facts.clone();
            self.start(on, facts);
        }
    }

    fn stop_flag(&mut self) -> Mem {
        let offset = self.shared.stop_word();
        self.frame_mem().plus(offset)
    }

    /// In a callback: tells all functions around it to end the program.
    pub(crate) fn request_stop(&mut self) {
        if !self.has_context() {
            let flag = self.stop_flag();
            self.store_const(flag, 8, 1);
        }
    }
}
