//! Arithmetic, and conversions between widths.
//!
//! Registers hold narrow values zero-extended. 32-bit operations clear the upper half by
//! themselves and read only the lower; 8- and 16-bit ones are 32-bit ones and a mask.

use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{Inst, InstructionData, Opcode, Type, Value};
use regalloc2::{Operand, VReg};

use super::compare::Compare;
use super::lower::Lower;
use super::vcode::{Op, Other, Test};
use crate::insn::{AluOp, Cond, Width};

impl Lower<'_> {
    /// Emits a pure operation into `dst`.
    pub(crate) fn operate(&mut self, inst: Inst, dst: VReg) -> Option<()> {
        let ty = self.values.func.dfg.ctrl_typevar(inst);
        match self.values.func.dfg.insts[inst] {
            InstructionData::Unary { opcode, arg } => self.unary(opcode, ty, arg, dst),
            InstructionData::Binary { opcode, args: [a, b] } => {
                // A loop's variable should stay in its register.
                let result = self.values.func.dfg.first_result(inst);
                let swap = commutes(opcode) && self.values.feeds(result, b) && !self.values.feeds(result, a);
                let (a, b) = if swap { (b, a) } else { (a, b) };
                self.binary(opcode, ty, a, b, dst)
            }
            _ => None,
        }
    }

    fn unary(&mut self, opcode: Opcode, ty: Type, arg: Value, dst: VReg) -> Option<()> {
        let bits = ty.bits();
        match opcode {
            Opcode::Ireduce => {
                let raw = self.low(arg, bits);
                self.zero_extend(raw, bits, dst);
            }
            Opcode::Sextend => {
                let from = self.values.ty(arg).bits();
                let raw = self.low(arg, from);
                self.sign_extend(raw, from, ty, dst);
            }
            Opcode::Ineg => {
                let raw = self.low(arg, bits);
                let out = self.before_mask(ty, dst);
                self.two_address(Op::Neg(width(ty)), &[raw], out);
                self.mask_result(ty, out, dst);
            }
            Opcode::Bnot => {
                let all_ones = if bits < 32 { (1 << bits) - 1 } else { -1 };
                let raw = if bits < 32 { self.reg(arg) } else { self.low(arg, bits) };
                self.alu_imm(AluOp::Xor, width(ty), raw, all_ones, dst);
            }
            Opcode::Bswap => {
                let raw = self.low(arg, bits);
                self.two_address(Op::Swap(bits as u8), &[raw], dst);
            }
            Opcode::Iabs => {
                // The kept alternative's upper half must be clear.
                let kept = self.reg(arg);
                let test = Test { cond: Cond::Sgt, width: width(ty), imm: Some(-1) };
                let compare = Compare { test, negated: false, operands: vec![Operand::reg_use(kept)] };
                self.choose(compare, Err(kept), (Other::Negated(width(ty)), None), dst);
            }
            _ => return None,
        }
        Some(())
    }

    fn binary(&mut self, opcode: Opcode, ty: Type, a: Value, b: Value, dst: VReg) -> Option<()> {
        match opcode {
            Opcode::Iadd => self.alu(AluOp::Add, ty, a, b, dst),
            Opcode::Isub => self.subtract(ty, a, b, dst),
            Opcode::Imul => self.alu(AluOp::Mul, ty, a, b, dst),
            Opcode::Band => self.alu(AluOp::And, ty, a, b, dst),
            Opcode::Bor => self.alu(AluOp::Or, ty, a, b, dst),
            Opcode::Bxor => self.alu(AluOp::Xor, ty, a, b, dst),
            Opcode::Udiv => self.alu(AluOp::Div, ty, a, b, dst),
            Opcode::Urem => self.alu(AluOp::Mod, ty, a, b, dst),
            Opcode::Ishl => self.shift(AluOp::Lsh, ty, a, b, dst),
            Opcode::Ushr => self.shift(AluOp::Rsh, ty, a, b, dst),
            Opcode::Sshr => self.shift(AluOp::Arsh, ty, a, b, dst),
            Opcode::Umin => self.extremum(Cond::Ule, ty, a, b, dst),
            Opcode::Umax => self.extremum(Cond::Uge, ty, a, b, dst),
            Opcode::Smin => self.extremum(Cond::Sle, ty, a, b, dst),
            Opcode::Smax => self.extremum(Cond::Sge, ty, a, b, dst),
            _ => return None,
        }
        Some(())
    }

    fn alu(&mut self, op: AluOp, ty: Type, a: Value, b: Value, dst: VReg) {
        let commutes = matches!(op, AluOp::Add | AluOp::Mul | AluOp::And | AluOp::Or | AluOp::Xor);
        let number = |lower: &Self, v| lower.values.imm(v).is_some() || lower.values.core(v).is_some();
        // The destination takes the first operand's register: one that dies here saves a move.
        let swap =
            commutes && !number(self, b) && (number(self, a) || self.is_wanted(a) && !self.is_wanted(b));
        let (a, b) = if swap { (b, a) } else { (a, b) };
        let out = if overflows(op) { self.before_mask(ty, dst) } else { dst };

        if let (I64, Some((relo, imm))) = (ty, self.core_imm(b)) {
            let a = self.reg(a);
            let op = Op::AluImm { op, width: Width::W64, imm, core: Some(relo) };
            return self.two_address(op, &[a], dst);
        }
        if let (AluOp::And, Some(mask)) = (op, self.values.imm_unsigned(b)) {
            return self.mask(ty, a, mask, b, dst);
        }
        match self.immediate(ty, b) {
            Some(imm) => {
                let a = self.operand(op, ty, a);
                self.alu_imm(op, width(ty), a, imm, out);
            }
            None => {
                let (a, b) = (self.operand(op, ty, a), self.operand(op, ty, b));
                self.two_address(Op::Alu { op, width: width(ty) }, &[a, b], out);
            }
        }
        if overflows(op) {
            self.mask_result(ty, out, dst);
        }
    }

    /// A number as an operation of type `ty` takes it. Narrow ones are zero-extended like registers.
    fn immediate(&self, ty: Type, value: Value) -> Option<i32> {
        match ty {
            I64 => i32::try_from(self.values.imm(value)?).ok(),
            _ => Some(self.values.imm_unsigned(value)? as i32),
        }
    }

    /// An operand of a type's own width, or of a register's if narrow bits above would matter.
    fn operand(&mut self, op: AluOp, ty: Type, value: Value) -> VReg {
        let only_low_bits = overflows(op) || ty == I32;
        if only_low_bits && ty != I64 { self.low(value, ty.bits()) } else { self.reg(value) }
    }

    fn mask(&mut self, ty: Type, a: Value, mask: u64, mask_value: Value, dst: VReg) {
        if ty == I64 && mask == 0xffff_ffff {
            let a = self.low(a, 32);
            return self.zero_extend(a, 32, dst);
        }
        if let Ok(imm) = i32::try_from(mask as i64) {
            let a = if imm >= 0 { self.low(a, 32 - imm.leading_zeros()) } else { self.reg(a) };
            return self.alu_imm(AluOp::And, Width::W64, a, imm, dst);
        }
        if let Ok(imm) = u32::try_from(mask) {
            let a = self.low(a, 32);
            return self.alu_imm(AluOp::And, Width::W32, a, imm as i32, dst);
        }
        let (a, b) = (self.reg(a), self.reg(mask_value));
        self.two_address(Op::Alu { op: AluOp::And, width: Width::W64 }, &[a, b], dst);
    }

    fn subtract(&mut self, ty: Type, a: Value, b: Value, dst: VReg) {
        let negated = self.values.imm(b).and_then(i64::checked_neg).and_then(|imm| i32::try_from(imm).ok());
        match negated {
            Some(imm) => {
                let out = self.before_mask(ty, dst);
                let a = self.operand(AluOp::Add, ty, a);
                self.alu_imm(AluOp::Add, width(ty), a, imm, out);
                self.mask_result(ty, out, dst);
            }
            None => self.alu(AluOp::Sub, ty, a, b, dst),
        }
    }

    /// CLIF takes the amount modulo the width. So does BPF in 32 and 64 bits for registers, but
    /// refuses larger numbers; `legalise` has left narrow types no amount but a number.
    fn shift(&mut self, op: AluOp, ty: Type, a: Value, by: Value, dst: VReg) {
        let out = if op == AluOp::Lsh { self.before_mask(ty, dst) } else { dst };
        let a = if op == AluOp::Lsh || ty == I32 { self.low(a, ty.bits()) } else { self.reg(a) };
        if let Some((relo, imm)) = self.core_imm(by) {
            let op = Op::AluImm { op, width: width(ty), imm, core: Some(relo) };
            return self.two_address(op, &[a], dst);
        }
        match self.values.imm(by) {
            Some(by) => {
                let by = by & i64::from(ty.bits() - 1);
                self.alu_imm(op, width(ty), a, by as i32, out);
            }
            None => {
                let by = self.low(by, 8);
                self.two_address(Op::Alu { op, width: width(ty) }, &[a, by], out);
            }
        }
        if op == AluOp::Lsh {
            self.mask_result(ty, out, dst);
        }
    }

    /// Keeps `a` while `a cond b`. Narrow signed ones have been widened by `legalise`.
    fn extremum(&mut self, cond: Cond, ty: Type, a: Value, b: Value, dst: VReg) {
        let (a, b) = if self.values.imm(a).is_some() { (b, a) } else { (a, b) };
        let signed = matches!(cond, Cond::Sle | Cond::Sge);
        let width = if signed { width(ty) } else { Width::W64 };
        let as_i32 = |imm: i64| i32::try_from(imm).ok();
        let unsigned = self.values.imm_unsigned(b).and_then(|imm| as_i32(imm as i64));
        let imm = if signed { self.values.imm(b).and_then(as_i32) } else { unsigned };

        let kept = self.reg(a);
        let mut operands = vec![Operand::reg_use(kept)];
        let other = match unsigned {
            Some(number) => (Other::Imm(number), None),
            None => (Other::Reg, Some(self.reg(b))),
        };
        if imm.is_none() {
            let b = other.1.unwrap_or_else(|| self.reg(b));
            operands.push(Operand::reg_use(b));
        }
        let compare = Compare { test: Test { cond, width, imm }, negated: false, operands };
        self.choose(compare, Err(kept), other, dst);
    }

    /// The relocation `value` stands for and its local number, if an `imm` field can hold that.
    fn core_imm(&self, value: Value) -> Option<(u32, i32)> {
        let relo = self.values.core(value)?;
        let imm = i32::try_from(self.core_relos.get(relo as usize)?.local_value).ok()?;
        Some((relo, imm))
    }

    pub(crate) fn zero_extend(&mut self, src: VReg, bits: u32, dst: VReg) {
        match bits {
            32 => self.emit(Op::Zext32, vec![Operand::reg_use(src), Operand::reg_def(dst)]),
            _ => self.alu_imm(AluOp::And, Width::W64, src, (1 << bits) - 1, dst),
        }
    }

    /// Sign-extends the lowest `bits` of `src` to `ty`: there and back by shifts.
    pub(crate) fn sign_extend(&mut self, src: VReg, bits: u32, ty: Type, dst: VReg) {
        let (width, register) = if ty == I64 { (Width::W64, 64) } else { (Width::W32, 32) };
        let by = (register - bits) as i32;
        let top = self.new_vreg();
        self.alu_imm(AluOp::Lsh, width, src, by, top);
        let out = self.before_mask(ty, dst);
        self.alu_imm(AluOp::Arsh, width, top, by, out);
        self.mask_result(ty, out, dst);
    }

    pub(crate) fn alu_imm(&mut self, op: AluOp, width: Width, a: VReg, imm: i32, dst: VReg) {
        self.two_address(Op::AluImm { op, width, imm, core: None }, &[a], dst);
    }

    fn two_address(&mut self, op: Op, uses: &[VReg], dst: VReg) {
        let mut operands: Vec<Operand> = uses.iter().copied().map(Operand::reg_use).collect();
        operands.push(Operand::reg_reuse_def(dst, 0));
        self.emit(op, operands);
    }

    /// Where an operation puts a result that may have bits above a narrow type.
    fn before_mask(&mut self, ty: Type, dst: VReg) -> VReg {
        if ty.bits() < 32 { self.new_vreg() } else { dst }
    }

    fn mask_result(&mut self, ty: Type, raw: VReg, dst: VReg) {
        if raw != dst {
            self.zero_extend(raw, ty.bits(), dst);
        }
    }
}

fn commutes(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::Iadd | Opcode::Imul | Opcode::Band | Opcode::Bor | Opcode::Bxor)
}

fn width(ty: Type) -> Width {
    if ty == I64 { Width::W64 } else { Width::W32 }
}

/// Whether the result may have bits above those of its operands' type; then bits above do not
/// matter in the operands either.
fn overflows(op: AluOp) -> bool {
    matches!(op, AluOp::Add | AluOp::Sub | AluOp::Mul | AluOp::Lsh)
}
