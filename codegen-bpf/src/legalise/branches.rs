//! Conditional traps and jump tables become branches.

use cranelift_codegen::cursor::{Cursor as _, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, Block, BlockCall, Inst, InstBuilder as _, InstructionData, Opcode, TrapCode, Value,
};

/// Expands all of `func`.
pub(crate) fn expand(func: &mut ir::Function) {
    let mut pos = FuncCursor::new(func);
    while let Some(block) = pos.next_block() {
        while let Some(inst) = pos.next_inst() {
            let loc = pos.func.srcloc(inst);
            pos.set_srcloc(loc);
            match pos.func.dfg.insts[inst] {
                InstructionData::CondTrap { opcode, arg, .. } => {
                    split_at_trap(&mut pos, block, inst, arg, opcode == Opcode::Trapnz);
                    break;
                }
                InstructionData::IntAddTrap { args: [a, b], .. } => {
                    let sum = pos.ins().iadd(a, b);
                    let carry = pos.ins().icmp(IntCC::UnsignedLessThan, sum, a);
                    let old = pos.func.dfg.first_result(inst);
                    pos.func.dfg.clear_results(inst);
                    pos.func.dfg.change_to_alias(old, sum);
                    split_at_trap(&mut pos, block, inst, carry, true);
                    break;
                }
                InstructionData::BranchTable { arg, table, .. } => {
                    expand_table(&mut pos, block, inst, arg, table);
                    break;
                }
                _ => {}
            }
        }
    }
    func.dfg.resolve_all_aliases();
}

/// Replaces `inst` by a branch to a trap; what follows becomes a block of its own.
fn split_at_trap(pos: &mut FuncCursor<'_>, block: Block, inst: Inst, cond: Value, if_nonzero: bool) {
    let [rest, trap] = [(); 2].map(|()| pos.func.dfg.make_block());
    let next = pos.func.layout.next_inst(inst).expect("a terminator follows a conditional trap");
    pos.func.layout.split_block(rest, next);
    pos.func.layout.remove_inst(inst);
    pos.func.layout.append_block(trap);
    pos.func.layout.set_cold(trap);
    pos.goto_bottom(trap);
    pos.ins().trap(TrapCode::unwrap_user(1));
    pos.goto_bottom(block);
    let (yes, no) = if if_nonzero { (trap, rest) } else { (rest, trap) };
    pos.ins().brif(cond, yes, &[], no, &[]);
}

/// A chain of comparisons: BPF has no indirect jumps.
fn expand_table(pos: &mut FuncCursor<'_>, block: Block, inst: Inst, index: Value, table: ir::JumpTable) {
    let ty = pos.func.dfg.value_type(index);
    let default = pos.func.dfg.jump_tables[table].default_block();
    let cases = pos.func.dfg.jump_tables[table].as_slice().to_vec();
    pos.func.layout.remove_inst(inst);
    pos.goto_bottom(block);
    let mut here = block;
    let Some(last) = cases.len().checked_sub(1) else {
        let jump = InstructionData::Jump { opcode: Opcode::Jump, destination: default };
        append(pos, jump);
        return;
    };
    for (number, case) in cases.into_iter().enumerate() {
        let label = pos.ins().iconst(ty, number as i64);
        let hit = pos.ins().icmp(IntCC::Equal, index, label);
        let next = pos.func.dfg.make_block();
        let otherwise = if number == last {
            default
        } else {
            pos.func.layout.insert_block_after(next, here);
            BlockCall::new(next, [], &mut pos.func.dfg.value_lists)
        };
        append(pos, InstructionData::Brif { opcode: Opcode::Brif, arg: hit, blocks: [case, otherwise] });
        if number != last {
            pos.goto_bottom(next);
            here = next;
        }
    }
}

fn append(pos: &mut FuncCursor<'_>, data: InstructionData) {
    let inst = pos.func.dfg.make_inst(data);
    pos.insert_inst(inst);
}
