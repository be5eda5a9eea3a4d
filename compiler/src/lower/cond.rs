//! Conditions and branches.
//!
//! Ensures  `&&`, `||`, `!` and comparisons become control flow at once: the mid-end has no jump
//!          threading; null checks compare 64 bits (CODEGEN section 5.5)

use cranelift_codegen::ir::{self, InstBuilder as _, condcodes::IntCC, types};
use cranelift_frontend::Variable;

use super::Lower;
use super::facts::Facts;
use crate::types::Ty;
use crate::types::tree::{Expr, ExprKind, Unary};

impl Lower<'_> {
    /// Goes to `then` if the condition holds, else to `otherwise`; gives the facts of both ways.
    pub(crate) fn lower_cond(&mut self, e: &Expr, then: ir::Block, otherwise: ir::Block) -> (Facts, Facts) {
        match &e.kind {
            ExprKind::And(left, right) => {
                let middle = self.b.create_block();
                let (holds, fails_left) = self.lower_cond(left, middle, otherwise);
                self.start(middle, holds);
                let (holds, fails_right) = self.lower_cond(right, then, otherwise);
                (holds, fails_left.meet(&fails_right))
            }
            ExprKind::Or(left, right) => {
                let middle = self.b.create_block();
                let (holds_left, fails) = self.lower_cond(left, then, middle);
                self.start(middle, fails);
                let (holds_right, fails) = self.lower_cond(right, then, otherwise);
                (holds_left.meet(&holds_right), fails)
            }
            ExprKind::Unary { op: Unary::Not, operand } => {
                let (holds, fails) = self.lower_cond(operand, otherwise, then);
                (fails, holds)
            }
            ExprKind::Cast(operand) if e.ty == Ty::Bool && operand.ty.is_scalar() => {
                self.lower_cond(operand, then, otherwise)
            }
            ExprKind::Binary { op, left, right } if op.is_comparison() => {
                let cond = self.lower_comparison(*op, left, right);
                self.leave(cond, then, otherwise)
            }
            ExprKind::Equal { left, right, negated } => {
                let (then, otherwise) = if *negated { (otherwise, then) } else { (then, otherwise) };
                let cond = self.lower_equal(left, right);
                let (holds, fails) = self.leave(cond, then, otherwise);
                if *negated { (fails, holds) } else { (holds, fails) }
            }
            ExprKind::Map { map, key } if e.ty.is_scalar() && !self.is_aggregate(*map) => {
                self.lower_map_cond(*map, key.as_deref(), &e.ty, then, otherwise)
            }
            _ => {
                let cond = self.lower_scalar(e);
                self.leave(cond, then, otherwise)
            }
        }
    }

    fn leave(&mut self, cond: ir::Value, then: ir::Block, otherwise: ir::Block) -> (Facts, Facts) {
        self.b.ins().brif(cond, then, &[], otherwise, &[]);
        (self.facts.clone(), self.facts.clone())
    }

    /// Goes on in a block whose every predecessor is known.
    pub(crate) fn start(&mut self, block: ir::Block, facts: Facts) {
        self.b.switch_to_block(block);
        self.b.seal_block(block);
        self.facts = facts;
    }

    /// One of two things, by a condition of the script.
    pub(crate) fn if_expr(
        &mut self,
        cond: &Expr,
        then: impl FnOnce(&mut Self),
        otherwise: impl FnOnce(&mut Self),
    ) {
        self.branches(|l, yes, no| l.lower_cond(cond, yes, no), then, otherwise);
    }

    /// One of two things, by whether a value (64 bits or a comparison's) is not zero.
    pub(crate) fn if_nonzero(
        &mut self,
        value: ir::Value,
        then: impl FnOnce(&mut Self),
        otherwise: impl FnOnce(&mut Self),
    ) {
        self.branches(|l, yes, no| l.leave(value, yes, no), then, otherwise);
    }

    /// Something that rarely happens, if a value is not zero.
    pub(crate) fn if_rare(&mut self, value: ir::Value, then: impl FnOnce(&mut Self)) {
        let (rare, merge) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(rare);
        let (facts, before) = self.leave(value, rare, merge);
        self.start(rare, facts);
        then(self);
        if self.reachable {
            self.b.ins().jump(merge, &[]);
        }
        self.reachable = true;
        self.start(merge, before);
    }

    fn branches(
        &mut self,
        cond: impl FnOnce(&mut Self, ir::Block, ir::Block) -> (Facts, Facts),
        then: impl FnOnce(&mut Self),
        otherwise: impl FnOnce(&mut Self),
    ) {
        let (yes, no, merge) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let (holds, fails) = cond(self, yes, no);
        self.start(yes, holds);
        then(self);
        let after_then = self.end_branch(merge);
        self.start(no, fails);
        otherwise(self);
        let after_otherwise = self.end_branch(merge);
        let facts = match (after_then, after_otherwise) {
            (Some(a), Some(b)) => Some(a.meet(&b)),
            (a, b) => a.or(b),
        };
        self.reachable = facts.is_some();
        self.start(merge, facts.unwrap_or_default());
    }

    fn end_branch(&mut self, merge: ir::Block) -> Option<Facts> {
        let falls_through = std::mem::replace(&mut self.reachable, true);
        falls_through.then(|| {
            self.b.ins().jump(merge, &[]);
            std::mem::take(&mut self.facts)
        })
    }

    /// A value that branches assign.
    pub(crate) fn result(&mut self) -> Variable {
        self.b.declare_var(types::I64)
    }

    /// The condition as 0 or 1.
    pub(crate) fn cond_value(&mut self, e: &Expr) -> ir::Value {
        let result = self.result();
        let set = |l: &mut Self, value| {
            let value = l.iconst(value);
            l.b.def_var(result, value);
        };
        self.if_expr(e, |l| set(l, 1), |l| set(l, 0));
        self.b.use_var(result)
    }

    /// A comparison's result as 0 or 1 of 64 bits.
    pub(crate) fn widen_bool(&mut self, value: ir::Value) -> ir::Value {
        self.b.ins().uextend(types::I64, value)
    }

    /// Whether the value is not zero, as 0 or 1.
    pub(crate) fn is_nonzero(&mut self, value: ir::Value) -> ir::Value {
        let cond = self.b.ins().icmp_imm_s(IntCC::NotEqual, value, 0);
        self.widen_bool(cond)
    }
}
