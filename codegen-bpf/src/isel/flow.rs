//! Control flow of a CLIF function as selection sees it: order, predecessors, live parameters.

use cranelift_codegen::entity::{EntitySet, SecondaryMap};
use cranelift_codegen::ir::{self, Block, BlockArg, Inst, InstructionData, Opcode, Value, ValueDef};

/// One edge: the branch and the position in its destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) branch: Inst,
    pub(crate) index: usize,
}

/// Facts about control flow. The function does not change afterwards.
pub(crate) struct Flow {
    /// Reverse postorder: a block before all it dominates.
    pub(crate) order: Vec<Block>,
    /// Edges into each block.
    pub(crate) into: SecondaryMap<Block, Vec<Edge>>,
    /// Values something with an effect depends on.
    pub(crate) needed: EntitySet<Value>,
    /// How often each value is an operand.
    pub(crate) uses: SecondaryMap<Value, u32>,
}

impl Flow {
    /// Analyses `func`, which must have no aliases.
    pub(crate) fn new(func: &ir::Function) -> Self {
        let order = reverse_postorder(func);
        let mut into: SecondaryMap<Block, Vec<Edge>> = SecondaryMap::new();
        let mut uses: SecondaryMap<Value, u32> = SecondaryMap::new();
        for &block in &order {
            for inst in func.layout.block_insts(block) {
                func.dfg.inst_values(inst).for_each(|value| uses[value] += 1);
                for (index, target) in destinations(func, inst).enumerate() {
                    into[target].push(Edge { branch: inst, index });
                }
            }
        }
        let needed = needed_values(func, &order, &into);
        Self { order, into, needed, uses }
    }

    /// The only edge into `block`, if there is but one.
    pub(crate) fn only_edge(&self, block: Block) -> Option<Edge> {
        match self.into[block][..] {
            [edge] => Some(edge),
            _ => None,
        }
    }
}

/// Where `inst` may jump to.
pub(crate) fn destinations(func: &ir::Function, inst: Inst) -> impl Iterator<Item = Block> + '_ {
    let dfg = &func.dfg;
    let calls = dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
    calls.iter().map(|call| call.block(&dfg.value_lists))
}

/// The value passed along `edge` for parameter `param`.
pub(crate) fn edge_arg(func: &ir::Function, edge: Edge, param: usize) -> Value {
    let dfg = &func.dfg;
    let calls = dfg.insts[edge.branch].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
    match calls[edge.index].args(&dfg.value_lists).nth(param) {
        Some(BlockArg::Value(value)) => value,
        other => unreachable!("cranelift's verifier has counted the arguments: {other:?}"),
    }
}

/// Whether `inst` matters beyond its results. Loads do not: verified BPF cannot fault, and neither
/// do divisions.
pub(crate) fn has_effect(func: &ir::Function, inst: Inst) -> bool {
    let data = &func.dfg.insts[inst];
    let opcode = data.opcode();
    let harmless = matches!(
        opcode,
        Opcode::Nop | Opcode::Udiv | Opcode::Urem | Opcode::AtomicLoad | Opcode::SequencePoint
    );
    !harmless
        && (opcode.can_store()
            || opcode.is_call()
            || opcode.is_terminator()
            || opcode.other_side_effects()
            || matches!(data, InstructionData::Trap { .. }))
}

fn reverse_postorder(func: &ir::Function) -> Vec<Block> {
    enum Step {
        Enter(Block),
        Leave(Block),
    }
    let mut seen = EntitySet::new();
    let mut order = Vec::new();
    let mut todo: Vec<Step> = func.layout.entry_block().map(Step::Enter).into_iter().collect();
    while let Some(step) = todo.pop() {
        match step {
            Step::Leave(block) => order.push(block),
            Step::Enter(block) if seen.insert(block) => {
                todo.push(Step::Leave(block));
                // The last one pushed is entered first and so comes last in the result: the first
                // successor follows its predecessor wherever possible.
                todo.extend(func.block_successors(block).map(Step::Enter));
            }
            Step::Enter(_) => {}
        }
    }
    order.reverse();
    order
}

fn needed_values(
    func: &ir::Function,
    order: &[Block],
    into: &SecondaryMap<Block, Vec<Edge>>,
) -> EntitySet<Value> {
    let mut needed = EntitySet::new();
    let mut todo: Vec<Value> = Vec::new();
    for &block in order {
        for inst in func.layout.block_insts(block).filter(|inst| has_effect(func, *inst)) {
            // Arguments of branches are needed only if the parameter is.
            todo.extend(func.dfg.inst_args(inst));
        }
    }
    while let Some(value) = todo.pop() {
        if !needed.insert(value) {
            continue;
        }
        match func.dfg.value_def(value) {
            ValueDef::Result(inst, _) => todo.extend(func.dfg.inst_args(inst)),
            ValueDef::Param(block, param) => {
                todo.extend(into[block].iter().map(|edge| edge_arg(func, *edge, param)));
            }
            ValueDef::Union(..) => unreachable!("unions do not leave the mid-end"),
        }
    }
    needed
}
