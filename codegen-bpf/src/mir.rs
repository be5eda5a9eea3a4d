//! Machine code before jumps have distances: blocks of instructions with machine registers.

use cranelift_codegen::ir::SourceLoc;

use crate::insn::{Cond, Insn, Reference, Reg, Src, Width};

/// One function. Block 0 is the entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mir {
    pub(crate) blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    pub(crate) body: Vec<Line>,
    pub(crate) end: End,
    pub(crate) end_loc: SourceLoc,
    pub(crate) cold: bool,
}

/// An instruction that is no jump between blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    pub(crate) what: What,
    pub(crate) reference: Option<Reference>,
    pub(crate) loc: SourceLoc,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum What {
    Plain(Insn),
    /// With the number of arguments it reads.
    Call(Insn, u8),
    /// `then` is skipped when the test holds. One slot long, and no jump.
    Unless {
        test: Test,
        then: Insn,
    },
}

/// A comparison of registers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Test {
    pub(crate) cond: Cond,
    pub(crate) width: Width,
    pub(crate) left: Reg,
    pub(crate) right: Src,
}

/// How a block ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    Jump(usize),
    Branch {
        test: Test,
        yes: usize,
        no: usize,
    },
    /// `returns`: r0 is read.
    Exit {
        returns: bool,
    },
}

impl End {
    /// Blocks that may follow.
    pub(crate) fn targets(&self) -> impl Iterator<Item = usize> + use<> {
        let (a, b) = match *self {
            Self::Jump(to) => (Some(to), None),
            Self::Branch { yes, no, .. } => (Some(yes), Some(no)),
            Self::Exit { .. } => (None, None),
        };
        a.into_iter().chain(b)
    }

    /// The same with targets renamed.
    pub(crate) fn retarget(&mut self, mut f: impl FnMut(usize) -> usize) {
        match self {
            Self::Jump(to) => *to = f(*to),
            Self::Branch { yes, no, .. } => (*yes, *no) = (f(*yes), f(*no)),
            Self::Exit { .. } => {}
        }
    }
}

/// A set of machine registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Regs(pub(crate) u16);

impl Regs {
    pub(crate) const CALL_CLOBBERED: Self = Self(0b11_1111);

    pub(crate) fn of(regs: impl IntoIterator<Item = Reg>) -> Self {
        Self(regs.into_iter().fold(0, |set, r| set | 1 << r.0))
    }

    pub(crate) fn contains(self, reg: Reg) -> bool {
        self.0 >> reg.0 & 1 == 1
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

fn src_reg(src: Src) -> Option<Reg> {
    match src {
        Src::Reg(r) => Some(r),
        Src::Imm(_) => None,
    }
}

impl Test {
    pub(crate) fn uses(&self) -> Regs {
        Regs::of([self.left]).union(Regs::of(src_reg(self.right)))
    }
}

impl What {
    /// Registers it reads.
    pub(crate) fn uses(&self) -> Regs {
        match self {
            Self::Plain(insn) => insn_uses(insn),
            Self::Call(_, args) => Regs::of((0..usize::from(*args)).map(Reg::arg)),
            // What is not overwritten is kept: the destination counts as read.
            Self::Unless { test, then } => test.uses().union(insn_uses(then)).union(insn_defs(then)),
        }
    }

    /// Registers that hold something else afterwards, or may.
    pub(crate) fn defs(&self) -> Regs {
        match self {
            Self::Plain(insn) => insn_defs(insn),
            Self::Call(..) => Regs::CALL_CLOBBERED,
            Self::Unless { then, .. } => insn_defs(then),
        }
    }

    /// Whether it does nothing but to set registers.
    pub(crate) fn is_pure(&self) -> bool {
        match self {
            Self::Plain(insn) => {
                !matches!(insn, Insn::Store { .. } | Insn::Atomic { .. } | Insn::Call { .. } | Insn::Exit)
            }
            Self::Call(..) => false,
            Self::Unless { .. } => true,
        }
    }
}

fn insn_uses(insn: &Insn) -> Regs {
    use crate::insn::{AluOp, AtomicOp};
    match *insn {
        Insn::Alu { op: AluOp::Mov, src, .. } => Regs::of(src_reg(src)),
        Insn::Alu { dst, src, .. } => Regs::of([dst]).union(Regs::of(src_reg(src))),
        Insn::Neg { dst, .. } | Insn::Swap { dst, .. } => Regs::of([dst]),
        Insn::LdImm64 { .. } | Insn::Jump { .. } => Regs::default(),
        Insn::Load { base, .. } => Regs::of([base]),
        Insn::Store { base, src, .. } => Regs::of([base]).union(Regs::of(src_reg(src))),
        Insn::Atomic { op: AtomicOp::Cmpxchg, base, src, .. } => Regs::of([base, src, Reg::R0]),
        Insn::Atomic { base, src, .. } => Regs::of([base, src]),
        Insn::Branch { dst, src, .. } => Regs::of([dst]).union(Regs::of(src_reg(src))),
        Insn::Call { .. } => unreachable!("calls are `What::Call`"),
        Insn::Exit => Regs::of([Reg::R0]),
    }
}

fn insn_defs(insn: &Insn) -> Regs {
    use crate::insn::AtomicOp;
    match *insn {
        Insn::Alu { dst, .. }
        | Insn::Neg { dst, .. }
        | Insn::Swap { dst, .. }
        | Insn::LdImm64 { dst, .. }
        | Insn::Load { dst, .. } => Regs::of([dst]),
        Insn::Atomic { op: AtomicOp::Cmpxchg, .. } => Regs::of([Reg::R0]),
        Insn::Atomic { fetch: true, src, .. } => Regs::of([src]),
        Insn::Atomic { .. } | Insn::Store { .. } | Insn::Jump { .. } | Insn::Branch { .. } | Insn::Exit => {
            Regs::default()
        }
        Insn::Call { .. } => unreachable!("calls are `What::Call`"),
    }
}
