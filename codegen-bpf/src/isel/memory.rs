//! Loads, stores and atomic operations, and how they find their address.

use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{AtomicRmwOp, InstructionData, Opcode, Type, Value};
use regalloc2::{Operand, VReg};

use super::lower::Lower;
use super::vcode::{Address, Op, preg};
use crate::insn::{AluOp, AtomicOp, Reg, Size, Width};

impl Lower<'_> {
    /// Finds the form of `base + offset` an access can use. Without an offset to be, a CO-RE field
    /// offset may take its place in the instruction, but not both.
    fn address(&mut self, base: Value, offset: i32) -> (Address, Option<VReg>) {
        let mut offset = i64::from(offset);
        let mut base = self.values.resolve_to_barrier(base);
        let mut core = None;
        loop {
            match self.values.data(base) {
                Some(&InstructionData::StackAddr { stack_slot, offset: start, .. }) if core.is_none() => {
                    let total = offset + i64::from(i32::from(start));
                    if let Ok(offset) = i16::try_from(total) {
                        return (Address { slot: Some(stack_slot), offset, core }, None);
                    }
                }
                Some(&InstructionData::Binary { opcode: Opcode::Iadd, args: [a, b] }) if core.is_none() => {
                    if let Some((rest, total)) = self.split_offset(a, b, offset) {
                        (base, offset) = (self.values.resolve_to_barrier(rest), total);
                        continue;
                    }
                    if let Some((rest, relo)) = self.split_core(a, b, offset) {
                        (base, core) = (self.values.resolve_to_barrier(rest), Some(relo));
                        continue;
                    }
                }
                _ => {}
            }
            break;
        }
        let offset16 = match core {
            Some(relo) => self.core_relos[relo as usize].local_value as i16,
            None => offset as i16,
        };
        if core.is_none() && i64::from(offset16) != offset {
            let far = self.reg(base);
            let sum = self.add_number(far, offset);
            return (Address { slot: None, offset: 0, core: None }, Some(sum));
        }
        let base = self.reg(base);
        (Address { slot: None, offset: offset16, core }, Some(base))
    }

    fn split_offset(&self, a: Value, b: Value, offset: i64) -> Option<(Value, i64)> {
        let (rest, imm) = match (self.values.imm(b), self.values.imm(a)) {
            (Some(imm), _) => (a, imm),
            (None, Some(imm)) => (b, imm),
            (None, None) => return None,
        };
        let total = offset.checked_add(imm)?;
        i16::try_from(total).ok().map(|_| (rest, total))
    }

    fn split_core(&self, a: Value, b: Value, offset: i64) -> Option<(Value, u32)> {
        let (rest, relo) = match (self.values.core(b), self.values.core(a)) {
            (Some(relo), _) => (a, relo),
            (None, Some(relo)) => (b, relo),
            (None, None) => return None,
        };
        let fits = i16::try_from(self.core_relos.get(relo as usize)?.local_value).is_ok();
        (offset == 0 && fits).then_some((rest, relo))
    }

    pub(crate) fn load(
        &mut self,
        opcode: Opcode,
        ty: Type,
        base: Value,
        offset: i32,
        dst: VReg,
    ) -> Option<()> {
        let bits = match opcode {
            Opcode::Load => ty.bits(),
            Opcode::Uload8 => 8,
            Opcode::Uload16 => 16,
            Opcode::Uload32 => 32,
            _ => return None,
        };
        let size = Size::from_bytes(bits / 8)?;
        let (at, base) = self.address(base, offset);
        let operands = base.into_iter().map(Operand::reg_use).chain([Operand::reg_def(dst)]).collect();
        self.emit(Op::Load { size, at }, operands);
        Some(())
    }

    pub(crate) fn store(&mut self, opcode: Opcode, data: Value, base: Value, offset: i32) -> Option<()> {
        let bits = match opcode {
            Opcode::Store => self.values.ty(data).bits(),
            Opcode::Istore8 => 8,
            Opcode::Istore16 => 16,
            Opcode::Istore32 => 32,
            _ => return None,
        };
        let size = Size::from_bytes(bits / 8)?;
        let imm = self.values.imm(data).map(|imm| imm << (64 - bits) >> (64 - bits));
        let (at, base) = self.address(base, offset);
        let base: Vec<Operand> = base.into_iter().map(Operand::reg_use).collect();
        match imm.map(i32::try_from) {
            Some(Ok(imm)) => self.emit(Op::Store { size, at, imm: Some(imm) }, base),
            Some(Err(_)) if at.slot.is_some() && at.offset <= i16::MAX - 4 => {
                // Two stores of halves are shorter than a 64-bit constant and one store.
                let imm = imm.expect("just matched");
                let upper = Address { offset: at.offset + 4, ..at };
                self.emit(Op::Store { size: Size::W, at, imm: Some(imm as i32) }, base.clone());
                self.emit(Op::Store { size: Size::W, at: upper, imm: Some((imm >> 32) as i32) }, base);
            }
            _ => {
                let data = self.low(data, bits);
                let operands = base.into_iter().chain([Operand::reg_use(data)]).collect();
                self.emit(Op::Store { size, at, imm: None }, operands);
            }
        }
        Some(())
    }

    fn atomic_size(&self, data: Value) -> Option<Size> {
        match self.values.ty(data) {
            I32 => Some(Size::W),
            I64 => Some(Size::DW),
            _ => None,
        }
    }

    /// Plain stores order nothing; an exchange orders everything.
    pub(crate) fn atomic_store(&mut self, data: Value, base: Value) -> Option<()> {
        let old = self.new_vreg();
        self.atomic(AtomicOp::Xchg, base, data, Some(old))
    }

    pub(crate) fn atomic_rmw(
        &mut self,
        op: AtomicRmwOp,
        base: Value,
        data: Value,
        wanted: Option<VReg>,
    ) -> Option<()> {
        let op = match op {
            AtomicRmwOp::Add => AtomicOp::Add,
            AtomicRmwOp::And => AtomicOp::And,
            AtomicRmwOp::Or => AtomicOp::Or,
            AtomicRmwOp::Xor => AtomicOp::Xor,
            AtomicRmwOp::Xchg => {
                let old = wanted.unwrap_or_else(|| self.new_vreg());
                return self.atomic(AtomicOp::Xchg, base, data, Some(old));
            }
            // `legalise` has made an addition of Sub.
            AtomicRmwOp::Sub
            | AtomicRmwOp::Nand
            | AtomicRmwOp::Umin
            | AtomicRmwOp::Umax
            | AtomicRmwOp::Smin
            | AtomicRmwOp::Smax => return None,
        };
        self.atomic(op, base, data, wanted)
    }

    fn atomic(&mut self, op: AtomicOp, base: Value, data: Value, old: Option<VReg>) -> Option<()> {
        let size = self.atomic_size(data)?;
        let (at, base) = self.address(base, 0);
        let data = self.low(data, size.bits());
        let mut operands: Vec<Operand> = base.into_iter().map(Operand::reg_use).collect();
        let source = operands.len();
        operands.push(Operand::reg_use(data));
        operands.extend(old.map(|old| Operand::reg_reuse_def(old, source)));
        self.emit(Op::Atomic { op, fetch: old.is_some(), size, at }, operands);
        Some(())
    }

    pub(crate) fn atomic_cas(
        &mut self,
        base: Value,
        expected: Value,
        new: Value,
        wanted: Option<VReg>,
    ) -> Option<()> {
        let size = self.atomic_size(new)?;
        let old = wanted.unwrap_or_else(|| self.new_vreg());
        let (at, base) = self.address(base, 0);
        let (expected, new) = (self.reg(expected), self.low(new, size.bits()));
        let mut operands: Vec<Operand> = base.into_iter().map(Operand::reg_use).collect();
        let r0 = preg(Reg::R0);
        operands.push(Operand::reg_use(new));
        operands.extend([Operand::reg_fixed_use(expected, r0), Operand::reg_fixed_def(old, r0)]);
        self.emit(Op::Atomic { op: AtomicOp::Cmpxchg, fetch: true, size, at }, operands);
        Some(())
    }

    fn add_number(&mut self, a: VReg, imm: i64) -> VReg {
        let dst = self.new_vreg();
        match i32::try_from(imm) {
            Ok(imm) => {
                let op = Op::AluImm { op: AluOp::Add, width: Width::W64, imm, core: None };
                self.emit(op, vec![Operand::reg_use(a), Operand::reg_reuse_def(dst, 0)]);
            }
            Err(_) => {
                let b = self.number(imm);
                let op = Op::Alu { op: AluOp::Add, width: Width::W64 };
                let operands = vec![Operand::reg_use(a), Operand::reg_use(b), Operand::reg_reuse_def(dst, 0)];
                self.emit(op, operands);
            }
        }
        dst
    }
}
