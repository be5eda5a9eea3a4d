//! Expands what BPF has no instruction for into CLIF it has one for.
//!
//! Input    CLIF after the mid-end (the mid-end would undo some of this)
//! Output   CLIF of the operations `isel` selects directly
//! Ensures  no traps but unconditional ones, no `br_table`, no signed division, no rotates, no
//!          bit counting, no overflow pairs, no sign-extending loads; signed comparisons only in 32 and 64 bits
//! Breaks   the control-flow graph

mod branches;

use cranelift_codegen::cursor::{Cursor as _, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I32, I64, I128};
use cranelift_codegen::ir::{self, Inst, InstBuilder as _, InstructionData, Opcode, Type, Value};

use crate::opt::iconst;

/// Expands all of `func`.
pub(crate) fn run(func: &mut ir::Function, constants: &[i64]) {
    branches::expand(func);
    let mut pos = FuncCursor::new(func);
    while pos.next_block().is_some() {
        while let Some(inst) = pos.next_inst() {
            let loc = pos.func.srcloc(inst);
            pos.set_srcloc(loc);
            let results = Expander { pos: &mut pos, constants }.expand(inst);
            let Some(results) = results else { continue };
            let old: Vec<Value> = pos.func.dfg.inst_results(inst).to_vec();
            pos.func.dfg.clear_results(inst);
            for (old, new) in old.into_iter().zip(results) {
                pos.func.dfg.change_to_alias(old, new);
            }
            pos.remove_inst_and_step_back();
        }
    }
    func.dfg.resolve_all_aliases();
}

/// Builds replacements in front of one instruction.
struct Expander<'c, 'f> {
    pos: &'c mut FuncCursor<'f>,
    constants: &'c [i64],
}

impl Expander<'_, '_> {
    /// The values that replace the results of `inst`, or `None` to leave it alone.
    fn expand(&mut self, inst: Inst) -> Option<Vec<Value>> {
        let ty = self.pos.func.dfg.ctrl_typevar(inst);
        let one = match self.pos.func.dfg.insts[inst] {
            InstructionData::Unary { opcode, arg } => self.unary(opcode, ty, arg)?,
            InstructionData::Binary { opcode, args: [a, b] } => {
                if let Some(pair) = self.overflow_pair(opcode, ty, a, b) {
                    return Some(pair);
                }
                self.binary(opcode, ty, a, b)?
            }
            InstructionData::Ternary { opcode: Opcode::Bitselect, args: [c, x, y] } => {
                let (x, not_c) = (self.and(x, c), self.pos.ins().bnot(c));
                let y = self.and(y, not_c);
                self.pos.ins().bor(x, y)
            }
            InstructionData::IntCompare { cond, args: [a, b], .. } => self.compare(cond, a, b)?,
            // Apart, the extension can be left out where only the lower bits matter.
            InstructionData::Load { opcode, arg, flags, offset } => {
                let narrow = match opcode {
                    Opcode::Sload8 => I8,
                    Opcode::Sload16 => I16,
                    Opcode::Sload32 => I32,
                    _ => return None,
                };
                let flags = self.pos.func.dfg.mem_flags[flags];
                let to = self.pos.func.dfg.value_type(self.pos.func.dfg.first_result(inst));
                let raw = self.pos.ins().load(narrow, flags, arg, offset);
                self.pos.ins().sextend(to, raw)
            }
            InstructionData::AtomicRmw { op: ir::AtomicRmwOp::Sub, args: [p, x], flags, .. } => {
                let minus_x = self.pos.ins().ineg(x);
                let flags = self.pos.func.dfg.mem_flags[flags];
                self.pos.ins().atomic_rmw(ty, flags, ir::AtomicRmwOp::Add, p, minus_x)
            }
            _ => return None,
        };
        Some(vec![one])
    }

    fn unary(&mut self, opcode: Opcode, ty: Type, x: Value) -> Option<Value> {
        let narrow = is_narrow(ty);
        Some(match opcode {
            Opcode::Iabs if narrow => self.in_signed_word(ty, x, |e, x| e.pos.ins().iabs(x)),
            Opcode::Popcnt if narrow => self.in_word(ty, x, Self::popcnt),
            Opcode::Popcnt => self.popcnt(x),
            // Bits below the lowest one set.
            Opcode::Ctz if narrow => self.in_word(ty, x, |e, x| {
                let stop = e.constant(I32, 1 << ty.bits());
                let x = e.pos.ins().bor(x, stop);
                e.ctz(x)
            }),
            Opcode::Ctz => self.ctz(x),
            Opcode::Clz if narrow => self.in_word(ty, x, |e, x| {
                let zeros = e.clz(x);
                let extra = e.constant(I32, i64::from(ty.bits()) - 32);
                e.pos.ins().iadd(zeros, extra)
            }),
            Opcode::Clz => self.clz(x),
            Opcode::Bitrev => self.bitrev(ty, x),
            Opcode::Bmask => {
                let from = self.pos.func.dfg.value_type(x);
                let (zero, minus_one) = (self.constant(from, 0), self.constant(ty, -1));
                let nonzero = self.pos.ins().icmp(IntCC::NotEqual, x, zero);
                let zero = self.constant(ty, 0);
                self.pos.ins().select(nonzero, minus_one, zero)
            }
            _ => return None,
        })
    }

    fn binary(&mut self, opcode: Opcode, ty: Type, a: Value, b: Value) -> Option<Value> {
        let narrow = is_narrow(ty);
        Some(match opcode {
            Opcode::Rotl => self.rotate(ty, a, b, true),
            Opcode::Rotr => self.rotate(ty, a, b, false),
            Opcode::Umulhi => self.umulhi(ty, a, b),
            Opcode::Smulhi => self.smulhi(ty, a, b),
            Opcode::Sdiv | Opcode::Srem | Opcode::Smin | Opcode::Smax if narrow => {
                let (a, b) = (self.pos.ins().sextend(I32, a), self.pos.ins().sextend(I32, b));
                let r = match opcode {
                    Opcode::Sdiv => self.sdiv(I32, a, b),
                    Opcode::Srem => self.srem(I32, a, b),
                    Opcode::Smin => self.pos.ins().smin(a, b),
                    _ => self.pos.ins().smax(a, b),
                };
                self.pos.ins().ireduce(ty, r)
            }
            Opcode::Sdiv => self.sdiv(ty, a, b),
            Opcode::Srem => self.srem(ty, a, b),
            Opcode::Sshr if narrow => {
                let (wide, amount) = (self.pos.ins().sextend(I32, a), self.amount(ty, b));
                let r = self.pos.ins().sshr(wide, amount);
                self.pos.ins().ireduce(ty, r)
            }
            // Registers hold more bits than the type has: reduce the amount here.
            Opcode::Ishl | Opcode::Ushr if narrow && iconst(self.pos.func, b).is_none() => {
                let amount = self.amount(ty, b);
                let wide = self.pos.ins().uextend(I32, a);
                let r = match opcode {
                    Opcode::Ishl => self.pos.ins().ishl(wide, amount),
                    _ => self.pos.ins().ushr(wide, amount),
                };
                self.pos.ins().ireduce(ty, r)
            }
            _ => return None,
        })
    }

    /// Operations with two results: the wrapped one, and whether it wrapped.
    fn overflow_pair(&mut self, opcode: Opcode, ty: Type, a: Value, b: Value) -> Option<Vec<Value>> {
        let (value, overflow) = match opcode {
            Opcode::UaddOverflow => {
                let sum = self.pos.ins().iadd(a, b);
                (sum, self.pos.ins().icmp(IntCC::UnsignedLessThan, sum, a))
            }
            Opcode::UsubOverflow => {
                (self.pos.ins().isub(a, b), self.pos.ins().icmp(IntCC::UnsignedLessThan, a, b))
            }
            // The result's sign differs from both operands'.
            Opcode::SaddOverflow => {
                let sum = self.pos.ins().iadd(a, b);
                let (x, y) = (self.pos.ins().bxor(sum, a), self.pos.ins().bxor(sum, b));
                let wrong = self.and(x, y);
                (sum, self.is_negative(ty, wrong))
            }
            // The operands' signs differ and the result has the second one's.
            Opcode::SsubOverflow => {
                let difference = self.pos.ins().isub(a, b);
                let (x, y) = (self.pos.ins().bxor(a, b), self.pos.ins().bxor(difference, a));
                let wrong = self.and(x, y);
                (difference, self.is_negative(ty, wrong))
            }
            Opcode::UmulOverflow => {
                let (low, high) = (self.pos.ins().imul(a, b), self.umulhi(ty, a, b));
                let zero = self.constant(ty, 0);
                (low, self.pos.ins().icmp(IntCC::NotEqual, high, zero))
            }
            Opcode::SmulOverflow => {
                let (low, high) = (self.pos.ins().imul(a, b), self.smulhi(ty, a, b));
                let sign = self.sign(ty, low);
                (low, self.pos.ins().icmp(IntCC::NotEqual, high, sign))
            }
            _ => return None,
        };
        // The new `icmp` stands before the cursor and may need expansion itself.
        let overflow = self.expand_value(overflow);
        Some(vec![value, overflow])
    }

    /// Expands the instruction that defines `value`, which has been passed already.
    fn expand_value(&mut self, value: Value) -> Value {
        let inst = self.pos.func.dfg.value_def(value).inst();
        match inst.and_then(|inst| self.expand(inst)) {
            Some(results) => results[0],
            None => value,
        }
    }

    fn compare(&mut self, cond: IntCC, a: Value, b: Value) -> Option<Value> {
        let ty = self.pos.func.dfg.value_type(a);
        if ty == I128 {
            return self.compare_pairs(cond, a, b);
        }
        let signed = cond.unsigned() != cond;
        if !is_narrow(ty) || !signed {
            return None;
        }
        // The upper bits of a 32-bit register compare like the narrow value.
        let (a, b) = (self.at_top(ty, a), self.at_top(ty, b));
        Some(self.pos.ins().icmp(cond, a, b))
    }

    /// Lexicographic comparison of `iconcat` pairs.
    fn compare_pairs(&mut self, cond: IntCC, a: Value, b: Value) -> Option<Value> {
        let ((a_low, a_high), (b_low, b_high)) = (self.halves(a)?, self.halves(b)?);
        if matches!(cond, IntCC::Equal | IntCC::NotEqual) {
            let (x, y) = (self.pos.ins().bxor(a_low, b_low), self.pos.ins().bxor(a_high, b_high));
            let differs = self.pos.ins().bor(x, y);
            let zero = self.constant(I64, 0);
            return Some(self.pos.ins().icmp(cond, differs, zero));
        }
        let tie = self.pos.ins().icmp(IntCC::Equal, a_high, b_high);
        let low = self.pos.ins().icmp(cond.unsigned(), a_low, b_low);
        let high = self.pos.ins().icmp(cond, a_high, b_high);
        Some(self.pos.ins().select(tie, low, high))
    }

    fn halves(&mut self, value: Value) -> Option<(Value, Value)> {
        let inst = self.pos.func.dfg.value_def(value).inst()?;
        match self.pos.func.dfg.insts[inst] {
            InstructionData::Binary { opcode: Opcode::Iconcat, args: [low, high] } => Some((low, high)),
            InstructionData::Unary { opcode, arg } if self.pos.func.dfg.value_type(arg) == I64 => {
                match opcode {
                    Opcode::Uextend => Some((arg, self.constant(I64, 0))),
                    Opcode::Sextend => Some((arg, self.sign(I64, arg))),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    // Small words.

    fn constant(&mut self, ty: Type, value: i64) -> Value {
        let unused_bits = 64 - ty.bits();
        self.pos.ins().iconst(ty, ((value as u64) << unused_bits >> unused_bits) as i64)
    }

    fn and(&mut self, a: Value, b: Value) -> Value {
        self.pos.ins().band(a, b)
    }

    fn and_imm(&mut self, ty: Type, a: Value, mask: u64) -> Value {
        let mask = self.constant(ty, mask as i64);
        self.and(a, mask)
    }

    fn shr(&mut self, ty: Type, a: Value, by: u32) -> Value {
        let by = self.constant(ty, by.into());
        self.pos.ins().ushr(a, by)
    }

    fn shl(&mut self, ty: Type, a: Value, by: u32) -> Value {
        let by = self.constant(ty, by.into());
        self.pos.ins().ishl(a, by)
    }

    /// All bits are the sign bit. Wide types only.
    fn sign(&mut self, ty: Type, a: Value) -> Value {
        if is_narrow(ty) {
            return self.in_signed_word(ty, a, |e, x| e.sign(I32, x));
        }
        let by = self.constant(ty, i64::from(ty.bits()) - 1);
        self.pos.ins().sshr(a, by)
    }

    fn is_negative(&mut self, ty: Type, a: Value) -> Value {
        let zero = self.constant(ty, 0);
        self.pos.ins().icmp(IntCC::SignedLessThan, a, zero)
    }

    fn in_word(&mut self, ty: Type, x: Value, f: impl FnOnce(&mut Self, Value) -> Value) -> Value {
        let x = self.pos.ins().uextend(I32, x);
        let r = f(self, x);
        self.pos.ins().ireduce(ty, r)
    }

    fn in_signed_word(&mut self, ty: Type, x: Value, f: impl FnOnce(&mut Self, Value) -> Value) -> Value {
        let x = self.pos.ins().sextend(I32, x);
        let r = f(self, x);
        self.pos.ins().ireduce(ty, r)
    }

    /// A narrow value in the upper bits of an `i32`.
    fn at_top(&mut self, ty: Type, x: Value) -> Value {
        let by = 32 - ty.bits();
        if let Some(x) = iconst(self.pos.func, x) {
            return self.constant(I32, x << by);
        }
        let x = self.pos.ins().uextend(I32, x);
        self.shl(I32, x, by)
    }

    /// A shift amount for type `ty`, reduced to its bits, as `i32`.
    fn amount(&mut self, ty: Type, by: Value) -> Value {
        let mask = u64::from(ty.bits()) - 1;
        if let Some(by) = iconst(self.pos.func, by) {
            return self.constant(I32, by & mask as i64);
        }
        let by = match self.pos.func.dfg.value_type(by) {
            I8 | I16 => self.pos.ins().uextend(I32, by),
            I64 => self.pos.ins().ireduce(I32, by),
            _ => by,
        };
        self.and_imm(I32, by, mask)
    }

    // Expansions proper.

    fn rotate(&mut self, ty: Type, x: Value, by: Value, left: bool) -> Value {
        let bits = ty.bits();
        let (wide, work) = if is_narrow(ty) { (self.pos.ins().uextend(I32, x), I32) } else { (x, ty) };
        let there = self.amount(ty, by);
        let back = match iconst(self.pos.func, there) {
            Some(0) => return x,
            Some(n) => self.constant(I32, i64::from(bits) - n),
            None => {
                let minus = self.pos.ins().ineg(there);
                self.and_imm(I32, minus, u64::from(bits) - 1)
            }
        };
        let (left_by, right_by) = if left { (there, back) } else { (back, there) };
        let (high, low) = (self.pos.ins().ishl(wide, left_by), self.pos.ins().ushr(wide, right_by));
        let r = self.pos.ins().bor(high, low);
        if work == ty { r } else { self.pos.ins().ireduce(ty, r) }
    }

    /// Upper half of the product: four products of halves, as on paper.
    fn umulhi(&mut self, ty: Type, a: Value, b: Value) -> Value {
        if ty != I64 {
            let (a, b) = (self.pos.ins().uextend(I64, a), self.pos.ins().uextend(I64, b));
            let product = self.pos.ins().imul(a, b);
            let high = self.shr(I64, product, ty.bits());
            return self.pos.ins().ireduce(ty, high);
        }
        const LOW: u64 = 0xffff_ffff;
        let (a_low, a_high) = (self.and_imm(I64, a, LOW), self.shr(I64, a, 32));
        let (b_low, b_high) = (self.and_imm(I64, b, LOW), self.shr(I64, b, 32));
        let low = self.pos.ins().imul(a_low, b_low);
        let middle = self.pos.ins().imul(a_high, b_low);
        let carry = self.shr(I64, low, 32);
        let middle = self.pos.ins().iadd(middle, carry);
        let other = self.pos.ins().imul(a_low, b_high);
        let middle_low = self.and_imm(I64, middle, LOW);
        let other = self.pos.ins().iadd(other, middle_low);
        let high = self.pos.ins().imul(a_high, b_high);
        let (x, y) = (self.shr(I64, middle, 32), self.shr(I64, other, 32));
        let high = self.pos.ins().iadd(high, x);
        self.pos.ins().iadd(high, y)
    }

    fn smulhi(&mut self, ty: Type, a: Value, b: Value) -> Value {
        if ty != I64 {
            let (a, b) = (self.pos.ins().sextend(I64, a), self.pos.ins().sextend(I64, b));
            let product = self.pos.ins().imul(a, b);
            let high = self.shr(I64, product, ty.bits());
            return self.pos.ins().ireduce(ty, high);
        }
        // A negative factor x counts as x + 2^64 in the unsigned product.
        let high = self.umulhi(ty, a, b);
        let (a_sign, b_sign) = (self.sign(ty, a), self.sign(ty, b));
        let (x, y) = (self.and(a_sign, b), self.and(b_sign, a));
        let high = self.pos.ins().isub(high, x);
        self.pos.ins().isub(high, y)
    }

    /// Division of magnitudes; x / 0 is 0 and the least number / -1 is itself, as in BPF's own.
    fn sdiv(&mut self, ty: Type, a: Value, b: Value) -> Value {
        let (magnitude_a, magnitude_b) = (self.magnitude(ty, a), self.magnitude(ty, b));
        let quotient = self.pos.ins().udiv(magnitude_a, magnitude_b);
        let signs_differ = match self.known(b) {
            Some(b) if b < 0 => {
                let zero = self.constant(ty, 0);
                self.pos.ins().icmp(IntCC::SignedGreaterThanOrEqual, a, zero)
            }
            Some(_) => self.is_negative(ty, a),
            None => {
                let signs = self.pos.ins().bxor(a, b);
                self.is_negative(ty, signs)
            }
        };
        let negated = self.pos.ins().ineg(quotient);
        self.pos.ins().select(signs_differ, negated, quotient)
    }

    /// The remainder has the dividend's sign; x % 0 is x.
    fn srem(&mut self, ty: Type, a: Value, b: Value) -> Value {
        let (magnitude_a, magnitude_b) = (self.magnitude(ty, a), self.magnitude(ty, b));
        let remainder = self.pos.ins().urem(magnitude_a, magnitude_b);
        let negative = self.is_negative(ty, a);
        let negated = self.pos.ins().ineg(remainder);
        self.pos.ins().select(negative, negated, remainder)
    }

    fn magnitude(&mut self, ty: Type, x: Value) -> Value {
        match self.known(x) {
            Some(x) => self.constant(ty, x.unsigned_abs() as i64),
            None => self.pos.ins().iabs(x),
        }
    }

    fn known(&self, x: Value) -> Option<i64> {
        iconst(self.pos.func, x).or_else(|| crate::opt::opaque(self.pos.func, self.constants, x))
    }

    /// Sums of neighbouring bit groups.
    fn popcnt(&mut self, x: Value) -> Value {
        let ty = self.pos.func.dfg.value_type(x);
        let pairs = self.shr(ty, x, 1);
        let pairs = self.and_imm(ty, pairs, 0x5555_5555_5555_5555);
        let x = self.pos.ins().isub(x, pairs);
        let low = self.and_imm(ty, x, 0x3333_3333_3333_3333);
        let high = self.shr(ty, x, 2);
        let high = self.and_imm(ty, high, 0x3333_3333_3333_3333);
        let x = self.pos.ins().iadd(low, high);
        let high = self.shr(ty, x, 4);
        let x = self.pos.ins().iadd(x, high);
        let x = self.and_imm(ty, x, 0x0f0f_0f0f_0f0f_0f0f);
        let ones = self.constant(ty, 0x0101_0101_0101_0101);
        let x = self.pos.ins().imul(x, ones);
        self.shr(ty, x, ty.bits() - 8)
    }

    /// Zeros below the lowest bit set; all of them for 0.
    fn ctz(&mut self, x: Value) -> Value {
        let ty = self.pos.func.dfg.value_type(x);
        let minus_one = self.constant(ty, -1);
        let below = self.pos.ins().iadd(x, minus_one);
        let not_x = self.pos.ins().bnot(x);
        let zeros = self.and(below, not_x);
        self.popcnt(zeros)
    }

    /// Zeros above the highest bit set, after that bit was copied to all below it.
    fn clz(&mut self, mut x: Value) -> Value {
        let ty = self.pos.func.dfg.value_type(x);
        let mut by = 1;
        while by < ty.bits() {
            let copy = self.shr(ty, x, by);
            x = self.pos.ins().bor(x, copy);
            by *= 2;
        }
        let zeros = self.pos.ins().bnot(x);
        self.popcnt(zeros)
    }

    /// Bits within bytes by exchanging neighbours, then the bytes.
    fn bitrev(&mut self, ty: Type, mut x: Value) -> Value {
        for (by, mask) in [(1, 0x5555_5555_5555_5555), (2, 0x3333_3333_3333_3333), (4, 0x0f0f_0f0f_0f0f_0f0f)]
        {
            let high = self.shr(ty, x, by);
            let high = self.and_imm(ty, high, mask);
            let low = self.and_imm(ty, x, mask);
            let low = self.shl(ty, low, by);
            x = self.pos.ins().bor(high, low);
        }
        if ty == I8 { x } else { self.pos.ins().bswap(x) }
    }
}

fn is_narrow(ty: Type) -> bool {
    matches!(ty, I8 | I16)
}
