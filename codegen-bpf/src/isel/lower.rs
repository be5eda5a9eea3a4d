//! One CLIF instruction at a time: effects, memory, calls, comparisons. Arithmetic is in `operate`.

use cranelift_codegen::entity::{EntitySet, SecondaryMap};
use cranelift_codegen::ir::condcodes::{CondCode as _, IntCC};
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{
    self, AtomicRmwOp, Block, Inst, InstructionData, Opcode, SourceLoc, Type, Value,
};
use regalloc2::{Operand, PRegSet, VReg};

use super::Unsupported;
use super::flow::has_effect;
use super::values::{Values, truncate};
use super::vcode::{Address, Callee, Op, Other, Test, VCode, VInst, preg};
use crate::abi;
use crate::insn::{AluOp, AtomicOp, Cond, Reference, Reg, Size, Width};
use crate::module::{CoreRelo, namespace};
use crate::opt;

/// State of the selection of one function.
pub(crate) struct Lower<'a> {
    pub(crate) values: Values<'a>,
    pub(crate) core_relos: &'a [CoreRelo],
    is_program: bool,
    vcode: VCode,
    /// Registers of the values that somebody wants.
    vregs: SecondaryMap<Value, Option<VReg>>,
    /// Which of them have a user already; block parameters have registers before.
    used: EntitySet<Value>,
    /// What the current CLIF instruction has become so far.
    current: Vec<VInst>,
    loc: SourceLoc,
}

/// A comparison ready to be emitted.
pub(crate) struct Compare {
    pub(crate) test: Test,
    /// The opposite is meant: bit tests have no inverse.
    pub(crate) negated: bool,
    pub(crate) operands: Vec<Operand>,
}

impl<'a> Lower<'a> {
    pub(crate) fn new(values: Values<'a>, core_relos: &'a [CoreRelo], is_program: bool) -> Self {
        Self {
            values,
            core_relos,
            is_program,
            vcode: VCode::default(),
            vregs: SecondaryMap::new(),
            used: EntitySet::new(),
            current: Vec::new(),
            loc: SourceLoc::default(),
        }
    }

    pub(crate) fn finish(self) -> VCode {
        self.vcode
    }

    pub(crate) fn set_loc(&mut self, loc: SourceLoc) {
        self.loc = loc;
    }

    /// The instructions emitted since the last call, in order.
    pub(crate) fn take(&mut self) -> std::vec::IntoIter<VInst> {
        std::mem::take(&mut self.current).into_iter()
    }

    pub(crate) fn emit(&mut self, op: Op, operands: Vec<Operand>) {
        self.current.push(VInst { op, operands, clobbers: PRegSet::default(), loc: self.loc });
    }

    pub(crate) fn new_vreg(&mut self) -> VReg {
        self.vcode.new_vreg()
    }

    /// Gives `value` a register although nobody asked yet.
    pub(crate) fn define(&mut self, value: Value) -> VReg {
        if let Some(vreg) = self.vregs[value] {
            return vreg;
        }
        let vreg = self.new_vreg();
        self.vregs[value] = Some(vreg);
        vreg
    }

    /// Whether the register of `value` has a later user.
    pub(crate) fn is_wanted(&self, value: Value) -> bool {
        self.used.contains(self.values.resolve(value))
    }

    /// A register that holds `value`, zero-extended.
    pub(crate) fn reg(&mut self, value: Value) -> VReg {
        if let Some(imm) = self.values.imm_unsigned(value) {
            return self.number(imm as i64);
        }
        let value = self.values.resolve(value);
        if let Some(imm) = self.values.imm_unsigned(value) {
            return self.number(imm as i64);
        }
        match self.constant_op(value) {
            Some(op) => self.emit_def(op),
            None => {
                self.used.insert(value);
                self.define(value)
            }
        }
    }

    /// A register whose lowest `bits` are those of `value`; the others are of no account.
    pub(crate) fn low(&mut self, value: Value, bits: u32) -> VReg {
        let mut value = self.values.resolve(value);
        while let Some(wider) = self.same_low_bits(value, bits) {
            value = self.values.resolve(wider);
        }
        self.reg(value)
    }

    fn same_low_bits(&self, value: Value, bits: u32) -> Option<Value> {
        if self.vregs[value].is_some() {
            return None;
        }
        match *self.values.data(value)? {
            InstructionData::Unary { opcode: Opcode::Ireduce, arg } => {
                (self.values.ty(value).bits() >= bits).then_some(arg)
            }
            InstructionData::Unary { opcode: Opcode::Sextend, arg } => {
                (self.values.ty(arg).bits() >= bits).then_some(arg)
            }
            InstructionData::Binary { opcode: Opcode::Band, args: [arg, mask] } => {
                let mask = self.values.imm_unsigned(mask)?;
                (mask.trailing_ones() >= bits).then_some(arg)
            }
            _ => None,
        }
    }

    /// A number in a fresh register.
    pub(crate) fn number(&mut self, imm: i64) -> VReg {
        self.emit_def(Op::Imm(imm))
    }

    fn emit_def(&mut self, op: Op) -> VReg {
        let dst = self.new_vreg();
        self.emit(op, vec![Operand::reg_def(dst)]);
        dst
    }

    /// Values that are cheaper to make at each use than to keep.
    fn constant_op(&self, value: Value) -> Option<Op> {
        match *self.values.data(value)? {
            InstructionData::StackAddr { stack_slot, offset, .. } => {
                Some(Op::StackAddr { slot: stack_slot, offset: offset.into() })
            }
            InstructionData::UnaryGlobalValue { global_value, .. } => self.symbol_op(global_value),
            InstructionData::FuncAddr { func_ref, .. } => {
                let (namespace::FUNCTION, index) = self.external(func_ref)? else { return None };
                Some(Op::Symbol { reference: Reference::FuncAddr(index), offset: 0 })
            }
            InstructionData::Binary { opcode: Opcode::Iadd, args: [a, b] } => self.constant_sum(a, b),
            _ => None,
        }
    }

    /// An address and a number are still an address.
    fn constant_sum(&self, a: Value, b: Value) -> Option<Op> {
        let (base, imm) = match (self.values.imm(b), self.values.imm(a)) {
            (Some(imm), _) => (a, imm),
            (None, Some(imm)) => (b, imm),
            (None, None) => return None,
        };
        match self.constant_op(self.values.resolve(base))? {
            Op::StackAddr { slot, offset } => {
                let offset = offset.checked_add(i32::try_from(imm).ok()?)?;
                Some(Op::StackAddr { slot, offset })
            }
            Op::Symbol { reference: reference @ Reference::Data(_), offset } => {
                // The offset travels in the 32-bit immediate.
                let offset = offset.checked_add(imm).filter(|sum| i32::try_from(*sum).is_ok())?;
                Some(Op::Symbol { reference, offset })
            }
            _ => None,
        }
    }

    fn symbol_op(&self, global_value: ir::GlobalValue) -> Option<Op> {
        let (name, offset) = opt::symbol(self.values.func, global_value)?;
        let reference = match name.namespace {
            namespace::MAP if offset == 0 => Reference::Map(name.index),
            namespace::DATA => Reference::Data(name.index),
            namespace::EXTERN if offset == 0 => Reference::Extern(name.index),
            namespace::CORE if offset == 0 => return Some(Op::CoreImm(name.index)),
            _ => return None,
        };
        Some(Op::Symbol { reference, offset })
    }

    fn external(&self, func_ref: ir::FuncRef) -> Option<(u32, u32)> {
        let func = self.values.func;
        match func.dfg.ext_funcs[func_ref].name {
            ir::ExternalName::User(name) => {
                let name = &func.params.user_named_funcs()[name];
                Some((name.namespace, name.index))
            }
            _ => None,
        }
    }

    /// Takes the parameters from their registers.
    pub(crate) fn entry(&mut self, block: Block) -> Result<(), Unsupported> {
        let params = self.values.func.dfg.block_params(block);
        if params.len() > abi::ARGS_MAX {
            return Err(Unsupported(format!("a function of {} parameters", params.len())));
        }
        let wanted = params.iter().enumerate().filter_map(|(index, param)| {
            let vreg = self.vregs[*param]?;
            Some(Operand::reg_fixed_def(vreg, preg(Reg::arg(index))))
        });
        let operands: Vec<Operand> = wanted.collect();
        self.emit(Op::Args, operands);
        Ok(())
    }

    /// Emits `inst` unless nobody wants it.
    pub(crate) fn inst(&mut self, inst: Inst) -> Result<(), Unsupported> {
        let func = self.values.func;
        let result = func.dfg.inst_results(inst).first().copied();
        let wanted = result.and_then(|value| self.vregs[value]);
        if wanted.is_none() && !has_effect(func, inst) {
            return Ok(());
        }
        if let Some(ty) = result.map(|value| self.values.ty(value)) {
            if !matches!(ty, I8 | I16 | I32 | I64) {
                return Err(self.unsupported(inst));
            }
        }
        self.dispatch(inst, wanted).ok_or_else(|| self.unsupported(inst))
    }

    fn unsupported(&self, inst: Inst) -> Unsupported {
        Unsupported(format!("`{}`", self.values.func.dfg.display_inst(inst)))
    }

    /// `None` if there is no way to express `inst`. `wanted` is where the result shall go.
    fn dispatch(&mut self, inst: Inst, wanted: Option<VReg>) -> Option<()> {
        let data = &self.values.func.dfg.insts[inst];
        match *data {
            InstructionData::Load { opcode, arg, offset, .. } => {
                let ty = self.values.func.dfg.ctrl_typevar(inst);
                self.load(opcode, ty, arg, offset.into(), wanted?)
            }
            InstructionData::Store { opcode, args: [data, base], offset, .. } => {
                self.store(opcode, data, base, offset.into())
            }
            InstructionData::LoadNoOffset { opcode: Opcode::AtomicLoad, arg, .. } => {
                let ty = self.values.func.dfg.ctrl_typevar(inst);
                self.load(Opcode::Load, ty, arg, 0, wanted?)
            }
            InstructionData::StoreNoOffset { opcode: Opcode::AtomicStore, args: [data, base], .. } => {
                self.atomic_store(data, base)
            }
            InstructionData::AtomicRmw { op, args: [base, data], .. } => {
                self.atomic_rmw(op, base, data, wanted)
            }
            InstructionData::AtomicCas { args: [base, expected, new], .. } => {
                self.atomic_cas(base, expected, new, wanted)
            }
            InstructionData::Call { opcode: Opcode::Call, func_ref, .. } => self.call(inst, func_ref, wanted),
            InstructionData::Jump { .. } => {
                self.emit(Op::Jump, vec![]);
                Some(())
            }
            InstructionData::Brif { arg, .. } => {
                let compare = self.compare(arg);
                let op = Op::Branch { test: compare.test, negated: compare.negated };
                self.emit(op, compare.operands);
                Some(())
            }
            InstructionData::MultiAry { opcode: Opcode::Return, .. } => self.exit(inst),
            InstructionData::Trap { opcode: Opcode::Trap, .. } => {
                let zero = self.number(0);
                self.emit(Op::Exit, vec![Operand::reg_fixed_use(zero, preg(Reg::R0))]);
                Some(())
            }
            InstructionData::IntCompare { .. } => {
                let result = self.values.func.dfg.first_result(inst);
                let compare = self.compare(result);
                let (yes, no) = if compare.negated { (0, 1) } else { (1, 0) };
                self.choose(compare, Ok(yes), (Other::Imm(no), None), wanted?);
                Some(())
            }
            InstructionData::Ternary {
                opcode: Opcode::Select | Opcode::SelectSpectreGuard,
                args: [c, x, y],
            } => {
                let compare = self.compare(c);
                self.select(compare, x, y, wanted?);
                Some(())
            }
            _ => self.operate(inst, wanted?),
        }
    }

    // Memory.

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

    fn load(&mut self, opcode: Opcode, ty: Type, base: Value, offset: i32, dst: VReg) -> Option<()> {
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

    fn store(&mut self, opcode: Opcode, data: Value, base: Value, offset: i32) -> Option<()> {
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
    fn atomic_store(&mut self, data: Value, base: Value) -> Option<()> {
        let old = self.new_vreg();
        self.atomic(AtomicOp::Xchg, base, data, Some(old))
    }

    fn atomic_rmw(&mut self, op: AtomicRmwOp, base: Value, data: Value, wanted: Option<VReg>) -> Option<()> {
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

    fn atomic_cas(&mut self, base: Value, expected: Value, new: Value, wanted: Option<VReg>) -> Option<()> {
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

    // Control.

    fn call(&mut self, inst: Inst, func_ref: ir::FuncRef, wanted: Option<VReg>) -> Option<()> {
        let callee = match self.external(func_ref)? {
            (namespace::HELPER, id) => Callee::Helper(id),
            (namespace::FUNCTION, index) => Callee::Function(index),
            (namespace::EXTERN, index) => Callee::Kfunc(index),
            _ => return None,
        };
        let args = self.values.func.dfg.inst_args(inst);
        if args.len() > abi::ARGS_MAX || self.values.func.dfg.inst_results(inst).len() > 1 {
            return None;
        }
        let mut operands = Vec::with_capacity(args.len() + 1);
        for (index, arg) in args.iter().enumerate() {
            operands.push(Operand::reg_fixed_use(self.reg(*arg), preg(Reg::arg(index))));
        }
        // Helpers may leave anything in the upper bits of a narrow result.
        let ty = wanted.map(|_| self.values.ty(self.values.func.dfg.first_result(inst)));
        let raw = wanted.map(|dst| if ty == Some(I64) { dst } else { self.new_vreg() });
        operands.extend(raw.map(|raw| Operand::reg_fixed_def(raw, preg(Reg::R0))));
        let first_clobbered = if raw.is_some() { 1 } else { 0 };
        let clobbers = (first_clobbered..=5).map(|r| preg(Reg(r)));
        let clobbers = clobbers.fold(PRegSet::empty(), |set, r| set.with(r));
        self.current.push(VInst { op: Op::Call(callee), operands, clobbers, loc: self.loc });
        if let (Some(raw), Some(dst), Some(ty)) = (raw, wanted, ty) {
            if ty != I64 {
                self.zero_extend(raw, ty.bits(), dst);
            }
        }
        Some(())
    }

    fn exit(&mut self, inst: Inst) -> Option<()> {
        let result = match *self.values.func.dfg.inst_args(inst) {
            [] if self.is_program => Some(self.number(0)),
            [] => None,
            [value] => Some(self.reg(value)),
            _ => return None,
        };
        let operands = result.into_iter().map(|r| Operand::reg_fixed_use(r, preg(Reg::R0)));
        let operands = operands.collect();
        self.emit(Op::Exit, operands);
        Some(())
    }

    // Comparisons.

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
        loop {
            let Some(&InstructionData::IntCompare { cond, args: [a, b], .. }) = self.values.data(value)
            else {
                break;
            };
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

    /// A comparison of 64-bit values that are 32-bit ones sign-extended.
    fn without_sign_extension(&self, cond: IntCC, a: Value, b: Value) -> Option<(Value, Value)> {
        let keeps_order = cond.unsigned() != cond || matches!(cond, IntCC::Equal | IntCC::NotEqual);
        let narrow = |value| match *self.values.data(value)? {
            InstructionData::Unary { opcode: Opcode::Sextend, arg } if self.values.ty(arg) == I32 => {
                Some(arg)
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

    // Choices.

    /// `compare ? x : y`.
    fn select(&mut self, compare: Compare, x: Value, y: Value, dst: VReg) {
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
        let first = number(self, x).ok_or(()).or_else(|()| Err(self.reg(x)));
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

/// BPF's word for a CLIF condition.
pub(crate) fn condition(cond: IntCC) -> Cond {
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
