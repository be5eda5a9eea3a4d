//! What selection may know about a value without emitting anything for it.

use cranelift_codegen::ir::{self, InstructionData, Opcode, Type, Value, ValueDef};

use super::flow::{Flow, edge_arg};
use crate::module::namespace;
use crate::opt;

/// Read-only questions about the values of one function.
pub(crate) struct Values<'a> {
    pub(crate) func: &'a ir::Function,
    pub(crate) flow: &'a Flow,
    /// The module's opaque constants and those of the mid-end.
    pub(crate) constants: &'a [i64],
}

impl<'a> Values<'a> {
    /// The type of `value`.
    pub(crate) fn ty(&self, value: Value) -> Type {
        self.func.dfg.value_type(value)
    }

    /// The instruction that computes `value`.
    pub(crate) fn data(&self, value: Value) -> Option<&'a InstructionData> {
        let inst = self.func.dfg.value_def(value).inst()?;
        Some(&self.func.dfg.insts[inst])
    }

    /// The value that shares a register with `value`: registers hold narrow values zero-extended,
    /// so an extension is nothing, nor is a mask that removes no bit. The check and the use of a
    /// value thus speak of one register, which is what the verifier needs.
    pub(crate) fn resolve(&self, mut value: Value) -> Value {
        while let Some(same) = self.same_register(value) {
            value = same;
        }
        value
    }

    /// As `resolve`, but not through the barrier: what lies before it is not to be folded.
    pub(crate) fn resolve_to_barrier(&self, mut value: Value) -> Value {
        let is_barrier = |value| matches!(self.data(value), Some(data) if data.opcode() == Opcode::Cls);
        while let Some(same) = self.same_register(value).filter(|_| !is_barrier(value)) {
            value = same;
        }
        value
    }

    fn same_register(&self, value: Value) -> Option<Value> {
        let data = match self.func.dfg.value_def(value) {
            ValueDef::Result(inst, _) => &self.func.dfg.insts[inst],
            ValueDef::Param(block, param) => {
                return self.flow.only_edge(block).map(|edge| edge_arg(self.func, edge, param));
            }
            ValueDef::Union(..) => unreachable!("unions do not leave the mid-end"),
        };
        match *data {
            InstructionData::Unary { opcode, arg } => match opcode {
                // The barrier, see `crate::abi`: the mid-end has no rules for it.
                Opcode::Cls => Some(arg),
                Opcode::Uextend if self.ty(value).bits() <= 64 => Some(arg),
                Opcode::Ireduce if self.bits(arg, 4) <= self.ty(value).bits() => Some(arg),
                _ => None,
            },
            InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. }
                if self.ty(value) == self.ty(arg) =>
            {
                Some(arg)
            }
            InstructionData::Binary { opcode: Opcode::Band, args: [a, b] } => {
                let mask = self.imm(b)? as u64;
                let bits = self.bits(a, 4);
                (mask.trailing_ones() >= bits).then_some(a)
            }
            _ => None,
        }
    }

    /// The number `value` is known to be, sign-extended from its type.
    pub(crate) fn imm(&self, value: Value) -> Option<i64> {
        let value = self.resolve_params(value);
        opt::iconst(self.func, value).or_else(|| opt::opaque(self.func, self.constants, value))
    }

    /// The same, zero-extended.
    pub(crate) fn imm_unsigned(&self, value: Value) -> Option<u64> {
        Some(truncate(self.imm(value)?, self.ty(value)))
    }

    /// The CO-RE relocation `value` stands for.
    pub(crate) fn core(&self, value: Value) -> Option<u32> {
        let value = self.resolve_params(value);
        let InstructionData::UnaryGlobalValue { global_value, .. } = *self.data(value)? else { return None };
        match opt::symbol(self.func, global_value)? {
            (name, 0) if name.namespace == namespace::CORE => Some(name.index),
            _ => None,
        }
    }

    /// Follows parameters of blocks with one predecessor only: unlike `resolve` it keeps the type.
    fn resolve_params(&self, mut value: Value) -> Value {
        while let ValueDef::Param(block, param) = self.func.dfg.value_def(value) {
            match self.flow.only_edge(block) {
                Some(edge) => value = edge_arg(self.func, edge, param),
                None => break,
            }
        }
        value
    }

    /// Whether `value` is what block parameter `param` will be the next time round.
    pub(crate) fn feeds(&self, value: Value, param: Value) -> bool {
        match self.func.dfg.value_def(self.resolve(param)) {
            ValueDef::Param(block, index) => {
                self.flow.into[block].iter().any(|edge| edge_arg(self.func, *edge, index) == value)
            }
            _ => false,
        }
    }

    /// An upper bound on the bits of `value` that can be set. Only what the verifier also sees is
    /// used: a mask that bounds a remainder, say, must stay.
    fn bits(&self, value: Value, depth: u32) -> u32 {
        let all = self.ty(value).bits();
        if let Some(imm) = self.imm_unsigned(value) {
            return 64 - imm.leading_zeros();
        }
        let (Some(data), Some(depth)) = (self.data(value), depth.checked_sub(1)) else { return all };
        let bits = match *data {
            InstructionData::IntCompare { .. } => 1,
            InstructionData::Load { opcode, .. } => match opcode {
                Opcode::Uload8 => 8,
                Opcode::Uload16 => 16,
                Opcode::Uload32 => 32,
                _ => all,
            },
            InstructionData::Unary { opcode: Opcode::Uextend | Opcode::Ireduce, arg } => {
                self.bits(arg, depth)
            }
            InstructionData::Binary { opcode, args: [a, b] } => match opcode {
                Opcode::Band => self.bits(a, depth).min(self.bits(b, depth)),
                Opcode::Bor | Opcode::Bxor => self.bits(a, depth).max(self.bits(b, depth)),
                Opcode::Ushr => match self.imm_unsigned(b) {
                    Some(by) => self.bits(a, depth).saturating_sub(by as u32 & (all - 1)),
                    None => all,
                },
                _ => all,
            },
            _ => all,
        };
        bits.min(all)
    }
}

/// The bits of `imm` that belong to type `ty`.
pub(crate) fn truncate(imm: i64, ty: Type) -> u64 {
    let unused_bits = 64 - ty.bits().min(64);
    (imm as u64) << unused_bits >> unused_bits
}
