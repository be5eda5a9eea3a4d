//! Comparisons, fused into what depends on them, and choices between two values.

use cranelift_codegen::ir::condcodes::{CondCode as _, IntCC};
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstructionData, Opcode, Value};
use regalloc2::{Operand, VReg};

use super::lower::Lower;
use super::values::truncate;
use super::vcode::{Op, Other, Test};
use crate::insn::{Cond, Width};

/// A comparison ready to be emitted.
pub(crate) struct Compare {
    pub(crate) test: Test,
    /// The opposite is meant: bit tests have no inverse.
    pub(crate) negated: bool,
    pub(crate) operands: Vec<Operand>,
}

impl Lower<'_> {
    /// The comparison that decides whether `value` is not zero. It is repeated for each user, so
    /// that the verifier sees it right where it matters.
    pub(crate) fn compare(&mut self, value: Value) -> Compare {
        let (value, inverted) = self.strip_truth(value);
        let compare = match self.values.data(value) {
            Some(&InstructionData::IntCompare { cond, args: [a, b], .. }) => {
                let cond = if inverted { cond.complement() } else { cond };
                return self.icmp(cond, a, b);
            }
            Some(&InstructionData::Binary { opcode: Opcode::Band, args: [a, b] }) => {
                self.bit_test(a, b, inverted)
            }
            _ => None,
        };
        compare.unwrap_or_else(|| {
            let cond = if inverted { Cond::Eq } else { Cond::Ne };
            let operand = self.reg(value);
            let test = Test { cond, width: Width::W64, imm: Some(0) };
            Compare { test, negated: false, operands: vec![Operand::reg_use(operand)] }
        })
    }

    /// Follows `x != 0` and `x == 0` down to the value they ask about, if that is a truth itself.
    fn strip_truth(&self, value: Value) -> (Value, bool) {
        let mut value = self.values.resolve(value);
        let mut inverted = false;
        while let Some(&InstructionData::IntCompare { cond, args: [a, b], .. }) = self.values.data(value) {
            let inner = self.values.resolve(a);
            let is_truth = match self.values.data(inner) {
                Some(InstructionData::IntCompare { .. }) => true,
                Some(InstructionData::Binary { opcode: Opcode::Band, .. }) => !self.is_wanted(inner),
                _ => false,
            };
            if self.values.imm(b) != Some(0) || !is_truth {
                break;
            }
            match cond {
                IntCC::NotEqual => {}
                IntCC::Equal => inverted = !inverted,
                _ => break,
            }
            value = inner;
        }
        (value, inverted)
    }

    fn bit_test(&mut self, a: Value, b: Value, negated: bool) -> Option<Compare> {
        let mask = self.values.imm(b)?;
        let (width, imm) = match i32::try_from(mask) {
            // A 32-bit value has no upper half for the sign extension to meet.
            Ok(imm) if imm >= 0 || self.values.ty(a) == I64 => (Width::W64, imm),
            Ok(imm) => (Width::W32, imm & truncate(mask, self.values.ty(a)) as i32),
            Err(_) => (Width::W32, u32::try_from(mask).ok()? as i32),
        };
        let operand = match width {
            Width::W32 => self.low(a, 32),
            Width::W64 => self.reg(a),
        };
        let test = Test { cond: Cond::Set, width, imm: Some(imm) };
        Some(Compare { test, negated, operands: vec![Operand::reg_use(operand)] })
    }

    fn icmp(&mut self, cond: IntCC, a: Value, b: Value) -> Compare {
        let (cond, a, b) = match (self.values.imm(a), self.values.imm(b)) {
            (Some(_), None) => (cond.swap_args(), b, a),
            _ => (cond, a, b),
        };
        let signed = cond.unsigned() != cond;
        if let Some((a, b)) = self.without_sign_extension(cond, a, b) {
            return self.compare_word(cond, a, b);
        }
        match self.values.ty(a) {
            I64 => {
                let imm = self.values.imm(b).and_then(|imm| i32::try_from(imm).ok());
                self.compare_with(cond, Width::W64, a, b, imm)
            }
            _ if signed => self.compare_word(cond, a, b),
            // Zero-extended values compare alike in 64 bits, and then the verifier learns about the
            // whole register.
            ty => match self.values.imm_unsigned(b).map(i32::try_from) {
                Some(Err(_)) => self.compare_word(cond, a, b),
                Some(Ok(_)) | None if ty == I32 && self.is_lone_reduction(a) => self.compare_word(cond, a, b),
                imm => self.compare_with(cond, Width::W64, a, b, imm.and_then(Result::ok)),
            },
        }
    }

    /// `ireduce` for this comparison only: a 32-bit jump needs none.
    fn is_lone_reduction(&self, value: Value) -> bool {
        let is_reduction =
            matches!(self.values.data(value), Some(InstructionData::Unary { opcode: Opcode::Ireduce, .. }));
        is_reduction && self.values.flow.uses[value] == 1
    }

    /// A comparison of 64-bit values that are 32-bit ones sign-extended. Not if the extended value
    /// is in use behind the comparison: then the verifier shall learn about that.
    fn without_sign_extension(&self, cond: IntCC, a: Value, b: Value) -> Option<(Value, Value)> {
        let keeps_order = cond.unsigned() != cond || matches!(cond, IntCC::Equal | IntCC::NotEqual);
        let narrow = |value| match *self.values.data(value)? {
            InstructionData::Unary { opcode: Opcode::Sextend, arg } => {
                (self.values.ty(arg) == I32 && !self.is_wanted(value)).then_some(arg)
            }
            _ => None,
        };
        let a_narrow = narrow(a)?;
        let fits = self.values.imm(b).is_some_and(|imm| i32::try_from(imm).is_ok());
        let b_narrow = if fits { b } else { narrow(b)? };
        keeps_order.then_some((a_narrow, b_narrow))
    }

    fn compare_word(&mut self, cond: IntCC, a: Value, b: Value) -> Compare {
        let imm = self.values.imm(b).map(|imm| imm as i32);
        self.compare_with(cond, Width::W32, a, b, imm)
    }

    fn compare_with(&mut self, cond: IntCC, width: Width, a: Value, b: Value, imm: Option<i32>) -> Compare {
        let mut side = |value| match width {
            Width::W32 => self.low(value, 32),
            Width::W64 => self.reg(value),
        };
        let mut operands = vec![Operand::reg_use(side(a))];
        if imm.is_none() {
            operands.push(Operand::reg_use(side(b)));
        }
        Compare { test: Test { cond: condition(cond), width, imm }, negated: false, operands }
    }

    /// `compare ? x : y`.
    pub(crate) fn select(&mut self, compare: Compare, x: Value, y: Value, dst: VReg) {
        let mut compare = compare;
        let (mut x, mut y) = if compare.negated { (y, x) } else { (x, y) };
        // The first alternative is in place when the other one overwrites it: a register should
        // be first, a number or a negation last.
        let negation_of = |lower: &Self, x: Value, y: Value| {
            let x = lower.values.resolve(x);
            let negates = match lower.values.data(x) {
                Some(&InstructionData::Unary { opcode: Opcode::Ineg, arg }) => Some(arg),
                _ => None,
            };
            let wide = matches!(lower.values.ty(x), I32 | I64);
            wide && !lower.is_wanted(x)
                && negates.map(|n| lower.values.resolve(n)) == Some(lower.values.resolve(y))
        };
        let number =
            |lower: &Self, v| lower.values.imm_unsigned(v).and_then(|imm| i32::try_from(imm as i64).ok());
        let swap = negation_of(self, x, y) || number(self, x).is_some() && number(self, y).is_none();
        if let (true, Some(inverse)) = (swap, compare.test.cond.inverse()) {
            compare.test.cond = inverse;
            (x, y) = (y, x);
        }
        if negation_of(self, y, x) {
            let width = if self.values.ty(x) == I64 { Width::W64 } else { Width::W32 };
            let first = self.reg(x);
            return self.choose(compare, Err(first), (Other::Negated(width), None), dst);
        }
        let first = number(self, x).ok_or(()).map_err(|()| self.reg(x));
        let other = match number(self, y) {
            Some(imm) => (Other::Imm(imm), None),
            None => (Other::Reg, Some(self.reg(y))),
        };
        self.choose(compare, first, other, dst);
    }

    /// `compare ? first : other`, each a number or a register.
    pub(crate) fn choose(
        &mut self,
        compare: Compare,
        first: Result<i32, VReg>,
        (other, other_reg): (Other, Option<VReg>),
        dst: VReg,
    ) {
        let mut operands = compare.operands;
        let position = operands.len();
        operands.extend(first.err().map(Operand::reg_use));
        operands.extend(other_reg.map(Operand::reg_use));
        operands.push(match first {
            Ok(_) => Operand::reg_def_at_start(dst),
            Err(_) => Operand::reg_reuse_def(dst, position),
        });
        self.emit(Op::Choose { test: compare.test, first: first.ok(), other }, operands);
    }
}

/// BPF's word for a CLIF condition.
fn condition(cond: IntCC) -> Cond {
    match cond {
        IntCC::Equal => Cond::Eq,
        IntCC::NotEqual => Cond::Ne,
        IntCC::SignedLessThan => Cond::Slt,
        IntCC::SignedGreaterThanOrEqual => Cond::Sge,
        IntCC::SignedGreaterThan => Cond::Sgt,
        IntCC::SignedLessThanOrEqual => Cond::Sle,
        IntCC::UnsignedLessThan => Cond::Ult,
        IntCC::UnsignedGreaterThanOrEqual => Cond::Uge,
        IntCC::UnsignedGreaterThan => Cond::Ugt,
        IntCC::UnsignedLessThanOrEqual => Cond::Ule,
    }
}
