//! Instructions over virtual registers: what `lower` produces and the allocator reads.
//!
//! Every instruction has an [`Op`] without registers and a list of operands. The emitter finds
//! each operand's allocation at the same position.

use cranelift_codegen::ir::{SourceLoc, StackSlot};
use regalloc2::{Block, Function as Allocatable, Inst, InstRange, Operand, PReg, PRegSet, RegClass, VReg};

use crate::insn::{AluOp, AtomicOp, Cond, Reference, Reg, Size, Width};

/// What an instruction does. The comments give the operands in order; `?` marks optional ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// Defs in r1 and up: the parameters.
    Args,
    /// Use, def.
    Mov,
    /// Use, def: the lower 32 bits.
    Zext32,
    /// Def.
    Imm(i64),
    /// Def: a number the loader settles.
    CoreImm(u32),
    /// Def: an address.
    Symbol { reference: Reference, offset: i64 },
    /// Def.
    StackAddr { slot: StackSlot, offset: i32 },
    /// Use, use, def in the first one's register.
    Alu { op: AluOp, width: Width },
    /// Use, def in its register.
    AluImm { op: AluOp, width: Width, imm: i32, core: Option<u32> },
    /// Use, def in its register.
    Neg(Width),
    /// Use, def in its register.
    Swap(u8),
    /// Base?, def.
    Load { size: Size, at: Address },
    /// Base?, data? (else `imm`).
    Store { size: Size, at: Address, imm: Option<i32> },
    /// Base?, source, and with `fetch` a def in the source's register. Compare-exchange: base?,
    /// new value, expected in r0, def in r0.
    Atomic { op: AtomicOp, fetch: bool, size: Size, at: Address },
    /// Left side, right side?, first?, other?, def: `first`, unless the test fails, then `other`.
    /// A `first` in a register shares it with the def.
    Choose { test: Test, first: Option<i32>, other: Other },
    /// Arguments in r1 and up, def in r0?
    Call(Callee),
    /// Ends a block.
    Jump,
    /// Left side, right side?. Ends a block; the first successor is taken when the test holds, or
    /// if `negated` when it does not.
    Branch { test: Test, negated: bool },
    /// Result in r0?. Ends a block.
    Exit,
}

/// A comparison. The right side is a register operand if there is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) cond: Cond,
    pub(crate) width: Width,
    pub(crate) imm: Option<i32>,
}

/// The alternative of [`Op::Choose`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Other {
    Reg,
    Imm(i32),
    /// The first one negated.
    Negated(Width),
}

/// Who is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Callee {
    Helper(u32),
    Function(u32),
    Kfunc(u32),
}

/// Where memory is accessed: a base register operand, or a stack slot in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) slot: Option<StackSlot>,
    pub(crate) offset: i16,
    pub(crate) core: Option<u32>,
}

/// One instruction.
#[derive(Debug, Clone)]
pub(crate) struct VInst {
    pub(crate) op: Op,
    pub(crate) operands: Vec<Operand>,
    pub(crate) clobbers: PRegSet,
    pub(crate) loc: SourceLoc,
}

/// One block.
#[derive(Debug, Clone, Default)]
pub(crate) struct VBlock {
    pub(crate) insts: std::ops::Range<usize>,
    pub(crate) params: Vec<VReg>,
    pub(crate) succs: Vec<Block>,
    pub(crate) preds: Vec<Block>,
    /// Arguments for the parameters of each successor.
    pub(crate) args: Vec<Vec<VReg>>,
    pub(crate) cold: bool,
}

/// One function.
#[derive(Debug, Clone, Default)]
pub(crate) struct VCode {
    pub(crate) insts: Vec<VInst>,
    pub(crate) blocks: Vec<VBlock>,
    pub(crate) vregs: usize,
}

/// The allocator's name of a machine register.
pub(crate) fn preg(reg: Reg) -> PReg {
    PReg::new(usize::from(reg.0), RegClass::Int)
}

/// The machine register of an allocator's name.
pub(crate) fn reg(preg: PReg) -> Reg {
    Reg(preg.hw_enc() as u8)
}

impl VCode {
    /// A virtual register not used so far.
    pub(crate) fn new_vreg(&mut self) -> VReg {
        self.vregs += 1;
        VReg::new(self.vregs - 1, RegClass::Int)
    }
}

impl Allocatable for VCode {
    fn num_insts(&self) -> usize {
        self.insts.len()
    }

    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    fn entry_block(&self) -> Block {
        Block::new(0)
    }

    fn block_insns(&self, block: Block) -> InstRange {
        let insts = &self.blocks[block.index()].insts;
        InstRange::new(Inst::new(insts.start), Inst::new(insts.end))
    }

    fn block_succs(&self, block: Block) -> &[Block] {
        &self.blocks[block.index()].succs
    }

    fn block_preds(&self, block: Block) -> &[Block] {
        &self.blocks[block.index()].preds
    }

    fn block_params(&self, block: Block) -> &[VReg] {
        &self.blocks[block.index()].params
    }

    fn is_ret(&self, inst: Inst) -> bool {
        self.insts[inst.index()].op == Op::Exit
    }

    fn is_branch(&self, inst: Inst) -> bool {
        matches!(self.insts[inst.index()].op, Op::Jump | Op::Branch { .. })
    }

    fn branch_blockparams(&self, block: Block, _: Inst, succ: usize) -> &[VReg] {
        &self.blocks[block.index()].args[succ]
    }

    fn inst_operands(&self, inst: Inst) -> &[Operand] {
        &self.insts[inst.index()].operands
    }

    fn inst_clobbers(&self, inst: Inst) -> PRegSet {
        self.insts[inst.index()].clobbers
    }

    fn num_vregs(&self) -> usize {
        self.vregs
    }

    fn spillslot_size(&self, _: RegClass) -> usize {
        1
    }
}
