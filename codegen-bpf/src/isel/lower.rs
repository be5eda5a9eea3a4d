//! One CLIF instruction at a time: who wants it, what serves it, calls and exits. Arithmetic is in
//! `operate`, comparisons are in `compare`, everything with an address is in `memory`.

use cranelift_codegen::entity::{EntitySet, SecondaryMap};
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{self, Block, Inst, InstructionData, Opcode, SourceLoc, Value};
use regalloc2::{Operand, PRegSet, VReg};

use super::Unsupported;
use super::flow::has_effect;
use super::values::Values;
use super::vcode::{Callee, Op, Other, VCode, VInst, preg};
use crate::abi;
use crate::insn::{Reference, Reg};
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
        let ty = result.map(|value| self.values.ty(value));
        if ty.is_some_and(|ty| !matches!(ty, I8 | I16 | I32 | I64)) {
            return Err(self.unsupported(inst));
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
        if let (Some(raw), Some(dst), Some(ty @ (I8 | I16 | I32))) = (raw, wanted, ty) {
            self.zero_extend(raw, ty.bits(), dst);
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
}
