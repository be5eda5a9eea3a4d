//! What CLIF means: an evaluator for the integer part, the other side of the random tests.

use std::collections::HashMap;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AtomicRmwOp, Block, BlockArg, BlockCall, ExternalName, Function, GlobalValueData, Inst, InstructionData,
    Opcode, Type, Value,
};

use super::bpf::{MEMORY, helper};

const STACK: u64 = 0x7100_0000;

/// Runs `func`. Values are kept zero-extended. `None`: too many steps.
pub(crate) fn run(func: &Function, constants: &[i64], args: &[u64], memory: &mut [u8]) -> Option<u64> {
    let mut slots = HashMap::new();
    let mut stack_bytes = 0;
    for (slot, data) in func.sized_stack_slots.iter() {
        slots.insert(slot, STACK + stack_bytes);
        stack_bytes += u64::from(data.size).next_multiple_of(8);
    }
    let stack = vec![0; stack_bytes as usize];
    let mut eval = Eval { func, constants, values: HashMap::new(), slots, stack, memory };
    let mut block = func.layout.entry_block().expect("a body");
    for (param, arg) in func.dfg.block_params(block).iter().zip(args) {
        eval.values.insert(*param, *arg & eval.mask(*param));
    }
    for _ in 0..10_000 {
        let mut next = None;
        for inst in func.layout.block_insts(block) {
            match func.dfg.insts[inst] {
                InstructionData::Jump { destination, .. } => next = Some(destination),
                InstructionData::Brif { arg, blocks, .. } => {
                    next = Some(blocks[usize::from(eval.get(arg) == 0)])
                }
                InstructionData::BranchTable { arg, table, .. } => {
                    let table = &func.dfg.jump_tables[table];
                    let index = eval.get(arg) as usize;
                    next = Some(table.as_slice().get(index).copied().unwrap_or(table.default_block()));
                }
                InstructionData::MultiAry { opcode: Opcode::Return, .. } => {
                    return Some(func.dfg.inst_args(inst).first().map_or(0, |value| eval.get(*value)));
                }
                InstructionData::Trap { .. } => return Some(0),
                InstructionData::CondTrap { opcode, arg, .. } => {
                    if (eval.get(arg) != 0) == (opcode == Opcode::Trapnz) {
                        return Some(0);
                    }
                }
                _ => eval.inst(inst),
            }
        }
        block = eval.jump(next.expect("a terminator"));
    }
    None
}

struct Eval<'a> {
    func: &'a Function,
    constants: &'a [i64],
    values: HashMap<Value, u64>,
    slots: HashMap<cranelift_codegen::ir::StackSlot, u64>,
    stack: Vec<u8>,
    memory: &'a mut [u8],
}

fn mask(ty: Type) -> u64 {
    u64::MAX >> (64 - ty.bits())
}

fn signed(value: u64, ty: Type) -> i64 {
    let unused = 64 - ty.bits();
    (value << unused) as i64 >> unused
}

impl Eval<'_> {
    fn ty(&self, value: Value) -> Type {
        self.func.dfg.value_type(value)
    }

    fn mask(&self, value: Value) -> u64 {
        mask(self.ty(value))
    }

    fn get(&self, value: Value) -> u64 {
        self.values[&self.func.dfg.resolve_aliases(value)]
    }

    fn jump(&mut self, call: BlockCall) -> Block {
        let pool = &self.func.dfg.value_lists;
        let block = call.block(pool);
        let args = call.args(pool).map(|arg| match arg {
            BlockArg::Value(value) => self.get(value),
            other => panic!("{other:?}"),
        });
        let args: Vec<u64> = args.collect();
        self.values.extend(self.func.dfg.block_params(block).iter().copied().zip(args));
        block
    }

    fn inst(&mut self, inst: Inst) {
        let dfg = &self.func.dfg;
        let results = dfg.inst_results(inst).to_vec();
        let ty = dfg.ctrl_typevar(inst);
        let value = match dfg.insts[inst] {
            InstructionData::UnaryImm { imm, .. } => imm.bits() as u64,
            InstructionData::UnaryGlobalValue { global_value, .. } => self.symbol(global_value),
            InstructionData::StackAddr { stack_slot, offset, .. } => {
                self.slots[&stack_slot].wrapping_add(i64::from(i32::from(offset)) as u64)
            }
            InstructionData::Unary { opcode, arg } => self.unary(opcode, ty, arg),
            InstructionData::Binary { opcode, args: [a, b] } => {
                let (value, overflow) = self.binary(opcode, ty, a, b);
                if let [_, second] = results[..] {
                    self.values.insert(second, u64::from(overflow));
                }
                value
            }
            InstructionData::Ternary { opcode: Opcode::Select, args: [c, x, y] } => {
                if self.get(c) != 0 {
                    self.get(x)
                } else {
                    self.get(y)
                }
            }
            InstructionData::Ternary { opcode: Opcode::Bitselect, args: [c, x, y] } => {
                self.get(c) & self.get(x) | !self.get(c) & self.get(y)
            }
            InstructionData::IntCompare { cond, args: [a, b], .. } => {
                u64::from(compare(cond, self.get(a), self.get(b), self.ty(a)))
            }
            InstructionData::Load { opcode, arg, offset, .. } => {
                let at = self.get(arg).wrapping_add(i64::from(i32::from(offset)) as u64);
                self.load(opcode, ty, at)
            }
            InstructionData::Store { opcode, args: [data, base], offset, .. } => {
                let at = self.get(base).wrapping_add(i64::from(i32::from(offset)) as u64);
                let bytes = match opcode {
                    Opcode::Istore8 => 1,
                    Opcode::Istore16 => 2,
                    Opcode::Istore32 => 4,
                    _ => self.ty(data).bytes() as usize,
                };
                let data = self.get(data);
                self.place(at, bytes).copy_from_slice(&data.to_le_bytes()[..bytes]);
                return;
            }
            InstructionData::AtomicRmw { op, args: [base, data], .. } => self.atomic(op, ty, base, data),
            InstructionData::Call { func_ref, .. } => {
                let ExternalName::User(name) = dfg.ext_funcs[func_ref].name else { panic!("not ours") };
                let id = self.func.params.user_named_funcs()[name].index;
                let args: Vec<u64> = dfg.inst_args(inst).iter().map(|arg| self.get(*arg)).collect();
                helper(id, &args)
            }
            other => panic!("{other:?}"),
        };
        if let Some(result) = results.first() {
            self.values.insert(*result, value & self.mask(*result));
        }
    }

    fn symbol(&self, global_value: cranelift_codegen::ir::GlobalValue) -> u64 {
        let GlobalValueData::Symbol { name: ExternalName::User(name), .. } =
            self.func.global_values[global_value]
        else {
            panic!("not ours")
        };
        let name = &self.func.params.user_named_funcs()[name];
        assert_eq!(name.namespace, codegen_bpf::namespace::CONST);
        self.constants[name.index as usize] as u64
    }

    fn unary(&self, opcode: Opcode, ty: Type, arg: Value) -> u64 {
        let x = self.get(arg);
        let bits = ty.bits();
        match opcode {
            Opcode::Uextend | Opcode::Ireduce | Opcode::Cls => x,
            Opcode::Sextend => signed(x, self.ty(arg)) as u64,
            Opcode::Ineg => x.wrapping_neg(),
            Opcode::Bnot => !x,
            Opcode::Iabs => signed(x, ty).unsigned_abs(),
            Opcode::Popcnt => x.count_ones().into(),
            Opcode::Clz => u64::from(x.leading_zeros() - (64 - bits)),
            Opcode::Ctz => u64::from(x.trailing_zeros().min(bits)),
            Opcode::Bitrev => x.reverse_bits() >> (64 - bits),
            Opcode::Bswap => x.swap_bytes() >> (64 - bits),
            Opcode::Bmask => u64::from(x != 0).wrapping_neg(),
            other => panic!("{other}"),
        }
    }

    fn binary(&self, opcode: Opcode, ty: Type, a: Value, b: Value) -> (u64, bool) {
        let (x, y) = (self.get(a), self.get(b));
        let (sx, sy) = (signed(x, ty), signed(y, ty));
        let bits = ty.bits();
        let wide = |value: i128| ((value as u64) & mask(ty), value);
        let overflow = |value: i128, signed_op: bool| {
            let (low, value) = wide(value);
            (low, if signed_op { i128::from(signed(low, ty)) != value } else { i128::from(low) != value })
        };
        let (ux, uy) = (i128::from(x), i128::from(y));
        let (wx, wy) = (i128::from(sx), i128::from(sy));
        let value = match opcode {
            Opcode::Iadd => x.wrapping_add(y),
            Opcode::Isub => x.wrapping_sub(y),
            Opcode::Imul => x.wrapping_mul(y),
            Opcode::Umulhi => ((u128::from(x) * u128::from(y)) >> bits) as u64,
            Opcode::Smulhi => ((wx * wy) >> bits) as u64,
            Opcode::Udiv => x.checked_div(y).unwrap_or(0),
            Opcode::Urem => x.checked_rem(y).unwrap_or(x),
            Opcode::Sdiv if sy == 0 => 0,
            Opcode::Sdiv => sx.wrapping_div(sy) as u64,
            Opcode::Srem if sy == 0 => x,
            Opcode::Srem => sx.wrapping_rem(sy) as u64,
            Opcode::Band => x & y,
            Opcode::Bor => x | y,
            Opcode::Bxor => x ^ y,
            Opcode::Ishl | Opcode::Ushr | Opcode::Sshr | Opcode::Rotl | Opcode::Rotr => {
                let by = (y % u64::from(bits)) as u32;
                let back = (bits - by) % bits;
                match opcode {
                    Opcode::Ishl => x << by,
                    Opcode::Ushr => x >> by,
                    Opcode::Sshr => (sx >> by) as u64,
                    Opcode::Rotl => x << by | if by == 0 { 0 } else { x >> back },
                    _ => x >> by | if by == 0 { 0 } else { x << back },
                }
            }
            Opcode::Umin => x.min(y),
            Opcode::Umax => x.max(y),
            Opcode::Smin => sx.min(sy) as u64,
            Opcode::Smax => sx.max(sy) as u64,
            Opcode::UaddOverflow => return overflow(ux + uy, false),
            Opcode::SaddOverflow => return overflow(wx + wy, true),
            Opcode::UsubOverflow => return overflow(ux - uy, false),
            Opcode::SsubOverflow => return overflow(wx - wy, true),
            Opcode::UmulOverflow => {
                let product = u128::from(x) * u128::from(y);
                return (product as u64 & mask(ty), product >> bits != 0);
            }
            Opcode::SmulOverflow => return overflow(wx * wy, true),
            other => panic!("{other}"),
        };
        (value, false)
    }

    fn atomic(&mut self, op: AtomicRmwOp, ty: Type, base: Value, data: Value) -> u64 {
        let (at, x) = (self.get(base), self.get(data));
        let old = self.load(Opcode::Load, ty, at);
        let new = match op {
            AtomicRmwOp::Add => old.wrapping_add(x),
            AtomicRmwOp::Sub => old.wrapping_sub(x),
            AtomicRmwOp::And => old & x,
            AtomicRmwOp::Or => old | x,
            AtomicRmwOp::Xor => old ^ x,
            AtomicRmwOp::Xchg => x,
            other => panic!("{other}"),
        };
        let bytes = ty.bytes() as usize;
        self.place(at, bytes).copy_from_slice(&new.to_le_bytes()[..bytes]);
        old
    }

    fn load(&mut self, opcode: Opcode, ty: Type, at: u64) -> u64 {
        let (bytes, extend) = match opcode {
            Opcode::Load => (ty.bytes() as usize, false),
            Opcode::Uload8 => (1, false),
            Opcode::Uload16 => (2, false),
            Opcode::Uload32 => (4, false),
            Opcode::Sload8 => (1, true),
            Opcode::Sload16 => (2, true),
            Opcode::Sload32 => (4, true),
            other => panic!("{other}"),
        };
        let mut raw = [0; 8];
        raw[..bytes].copy_from_slice(self.place(at, bytes));
        let value = u64::from_le_bytes(raw);
        let unused = 64 - 8 * bytes as u32;
        if extend { ((value << unused) as i64 >> unused) as u64 } else { value }
    }

    fn place(&mut self, at: u64, bytes: usize) -> &mut [u8] {
        if at >= STACK {
            let at = (at - STACK) as usize;
            &mut self.stack[at..at + bytes]
        } else {
            let at = (at - MEMORY) as usize;
            &mut self.memory[at..at + bytes]
        }
    }
}

fn compare(cond: IntCC, a: u64, b: u64, ty: Type) -> bool {
    let (sa, sb) = (signed(a, ty), signed(b, ty));
    match cond {
        IntCC::Equal => a == b,
        IntCC::NotEqual => a != b,
        IntCC::UnsignedLessThan => a < b,
        IntCC::UnsignedLessThanOrEqual => a <= b,
        IntCC::UnsignedGreaterThan => a > b,
        IntCC::UnsignedGreaterThanOrEqual => a >= b,
        IntCC::SignedLessThan => sa < sb,
        IntCC::SignedLessThanOrEqual => sa <= sb,
        IntCC::SignedGreaterThan => sa > sb,
        IntCC::SignedGreaterThanOrEqual => sa >= sb,
    }
}
