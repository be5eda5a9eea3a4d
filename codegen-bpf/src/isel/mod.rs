//! Instruction selection: CLIF to BPF operations over virtual registers.
//!
//! Input    CLIF after `legalise`
//! Output   `VCode`, critical edges split, every virtual register defined once
//! Requires the operations of `legalise`'s contract
//! Ensures  only what has an effect, or is used by what has, is emitted
//! Breaks   nothing: the CLIF is only read
//!
//! Blocks are visited in postorder and instructions backwards, so an instruction is reached after
//! all its users and knows whether anyone still wants its result. Users take over (fold) what
//! they can: constants, addresses, comparisons.

mod compare;
pub(crate) mod flow;
mod lower;
mod memory;
mod operate;
mod values;
pub(crate) mod vcode;

use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{self, Block, Inst};
use regalloc2::VReg;

use crate::module::CoreRelo;
use flow::{Edge, Flow, destinations, edge_arg};
use lower::Lower;
use values::Values;
use vcode::{Op, VBlock, VCode, VInst};

/// What BPF cannot express.
#[derive(Debug)]
pub(crate) struct Unsupported(pub(crate) String);

/// Selects instructions for `func`. `is_program`: the kernel reads r0 even if nothing is returned.
pub(crate) fn select(
    func: &ir::Function,
    flow: &Flow,
    constants: &[i64],
    core_relos: &[CoreRelo],
    is_program: bool,
) -> Result<VCode, Unsupported> {
    let values = Values { func, flow, constants };
    let mut lower = Lower::new(values, core_relos, is_program);
    let plan = Plan::new(func, flow);

    // Parameters get their registers first: branches to them are met before they are.
    let params: Vec<Vec<(usize, VReg)>> =
        plan.blocks.iter().map(|planned| planned.params(flow, func, &mut lower)).collect();
    let mut bodies: Vec<Vec<VInst>> = vec![Vec::new(); plan.blocks.len()];
    let mut args: Vec<Vec<Vec<VReg>>> = vec![Vec::new(); plan.blocks.len()];
    for index in (0..plan.blocks.len()).rev() {
        let planned = &plan.blocks[index];
        for &(edge, target) in &planned.edges {
            let values = params[target].iter().map(|(param, _)| edge_arg(func, edge, *param));
            args[index].push(values.map(|value| lower.reg(value)).collect());
        }
        match planned.kind {
            Kind::Edge(branch) => {
                lower.set_loc(func.srcloc(branch));
                lower.emit(Op::Jump, vec![]);
                bodies[index].extend(lower.take().rev());
            }
            Kind::Clif(block) => {
                for inst in func.layout.block_insts(block).rev() {
                    lower.set_loc(func.srcloc(inst));
                    lower.inst(inst)?;
                    bodies[index].extend(lower.take().rev());
                }
                if index == 0 {
                    lower.entry(block)?;
                    bodies[index].extend(lower.take().rev());
                }
            }
        }
    }
    Ok(assemble(lower, func, &plan, bodies, params, args))
}

fn assemble(
    lower: Lower<'_>,
    func: &ir::Function,
    plan: &Plan,
    bodies: Vec<Vec<VInst>>,
    params: Vec<Vec<(usize, VReg)>>,
    args: Vec<Vec<Vec<VReg>>>,
) -> VCode {
    let mut vcode = lower.finish();
    for (index, ((body, params), args)) in bodies.into_iter().zip(params).zip(args).enumerate() {
        let start = vcode.insts.len();
        vcode.insts.extend(body.into_iter().rev());
        let planned = &plan.blocks[index];
        vcode.blocks.push(VBlock {
            insts: start..vcode.insts.len(),
            params: params.into_iter().map(|(_, vreg)| vreg).collect(),
            succs: planned.edges.iter().map(|(_, target)| regalloc2::Block::new(*target)).collect(),
            preds: Vec::new(),
            args,
            cold: matches!(planned.kind, Kind::Clif(block) if func.layout.is_cold(block)),
        });
    }
    for index in 0..vcode.blocks.len() {
        for succ in vcode.blocks[index].succs.clone() {
            vcode.blocks[succ.index()].preds.push(regalloc2::Block::new(index));
        }
    }
    vcode
}

/// The blocks to be: those of CLIF, and one on each critical edge.
struct Plan {
    blocks: Vec<Planned>,
}

struct Planned {
    kind: Kind,
    /// Outgoing edges, and the block each leads to. The edge says which arguments are passed;
    /// an edge into an edge block passes none.
    edges: Vec<(Edge, usize)>,
}

enum Kind {
    Clif(Block),
    /// Splits an edge of this branch.
    Edge(Inst),
}

impl Plan {
    fn new(func: &ir::Function, flow: &Flow) -> Self {
        let terminator = |block| func.layout.last_inst(block).expect("blocks end in a terminator");
        let is_critical = |branch: Inst, target: Block| {
            destinations(func, branch).count() > 1 && flow.into[target].len() > 1
        };

        let mut number: SecondaryMap<Block, usize> = SecondaryMap::new();
        let mut next = 0;
        for &block in &flow.order {
            number[block] = next;
            let branch = terminator(block);
            next += 1 + destinations(func, branch).filter(|target| is_critical(branch, *target)).count();
        }
        let mut blocks = Vec::with_capacity(next);
        for &block in &flow.order {
            let branch = terminator(block);
            let mut edges = Vec::new();
            let mut splits = Vec::new();
            for (index, target) in destinations(func, branch).enumerate() {
                let edge = Edge { branch, index };
                if is_critical(branch, target) {
                    edges.push((edge, number[block] + 1 + splits.len()));
                    splits.push(Planned { kind: Kind::Edge(branch), edges: vec![(edge, number[target])] });
                } else {
                    edges.push((edge, number[target]));
                }
            }
            blocks.push(Planned { kind: Kind::Clif(block), edges });
            blocks.extend(splits);
        }
        Self { blocks }
    }
}

impl Planned {
    /// The parameters that exist at run time, with their registers. With one predecessor a
    /// parameter is its argument.
    fn params(&self, flow: &Flow, func: &ir::Function, lower: &mut Lower<'_>) -> Vec<(usize, VReg)> {
        let Kind::Clif(block) = self.kind else { return Vec::new() };
        if flow.into[block].len() < 2 {
            return Vec::new();
        }
        let params = func.dfg.block_params(block).iter().enumerate();
        let needed = params.filter(|(_, value)| flow.needed.contains(**value));
        needed.map(|(index, value)| (index, lower.define(*value))).collect()
    }
}
