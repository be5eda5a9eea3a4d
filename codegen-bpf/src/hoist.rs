//! Moves operations that join two values into one up to where both exist, past calls: there are
//! only four registers that survive a call.
//!
//! Input    CLIF after `legalise`
//! Output   CLIF of the same instructions
//! Ensures  only pure instructions move, within their block, behind their operands
//! Breaks   nothing
//!
//! The mid-end places a pure operation at its first use, which may be many calls after its operands.

use std::collections::HashMap;

use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{self, Block, Inst, InstructionData, Opcode, Value, ValueDef};

/// Moves what can be moved in all of `func`, which must have no aliases.
pub(crate) fn run(func: &mut ir::Function) {
    let mut uses: SecondaryMap<Value, u32> = SecondaryMap::new();
    for block in func.layout.blocks() {
        for inst in func.layout.block_insts(block) {
            func.dfg.inst_values(inst).for_each(|value| uses[value] += 1);
        }
    }
    let blocks: Vec<Block> = func.layout.blocks().collect();
    for block in blocks {
        hoist_in(func, block, &uses);
    }
}

fn hoist_in(func: &mut ir::Function, block: Block, uses: &SecondaryMap<Value, u32>) {
    let insts: Vec<Inst> = func.layout.block_insts(block).collect();
    // Calls before each instruction of the block, as it will stand.
    let mut calls_before: HashMap<Inst, usize> = HashMap::new();
    let mut calls = 0;
    for inst in insts {
        let operands = func.dfg.inst_args(inst).to_vec();
        let here = |value: Value| match func.dfg.value_def(value) {
            ValueDef::Result(def, _) if func.layout.inst_block(def) == Some(block) => Some(def),
            _ => None,
        };
        let defs = operands.iter().filter_map(|value| here(*value));
        let latest = defs.max_by(|a, b| func.layout.pp_cmp(*a, *b));
        let target = latest.filter(|def| {
            joins(func, inst) && operands.iter().all(|value| uses[*value] == 1) && calls_before[def] < calls
        });
        match target {
            Some(def) => {
                let next = func.layout.next_inst(def).expect("at least `inst` follows");
                func.layout.remove_inst(inst);
                func.layout.insert_inst(inst, next);
                calls_before.insert(inst, calls_before[&def]);
            }
            None => {
                calls += usize::from(func.dfg.insts[inst].opcode().is_call());
                calls_before.insert(inst, calls);
            }
        }
    }
}

/// Whether `inst` makes one value of its operands, neither of which is a constant, or needs no
/// more registers than its operand does.
fn joins(func: &ir::Function, inst: Inst) -> bool {
    let is_free = |value: Value| {
        let def = func.dfg.value_def(value).inst();
        def.is_some_and(|def| {
            let opcode = func.dfg.insts[def].opcode();
            matches!(opcode, Opcode::Iconst | Opcode::SymbolValue | Opcode::StackAddr | Opcode::FuncAddr)
        })
    };
    match func.dfg.insts[inst] {
        InstructionData::Binary { opcode, args: [a, b] } => {
            let known = matches!(
                opcode,
                Opcode::Iadd | Opcode::Isub | Opcode::Imul | Opcode::Band | Opcode::Bor | Opcode::Bxor
            );
            known && !is_free(a) && !is_free(b)
        }
        _ => false,
    }
}
