//! Removes moves and numbers that register allocation has left without a purpose.
//!
//! Input    `Mir`, and how many bytes of the frame belong to slots
//! Output   `Mir` with the same blocks
//! Ensures  nothing that touches memory changes, but stores to spill slots nobody reads

use std::collections::HashSet;

use crate::insn::{AluOp, AtomicOp, Cond, Insn, Reg, Size, Src, Width};
use crate::layout;
use crate::mir::{Block, End, Line, Mir, Regs, Test, What};

/// Cleans `mir` until nothing changes.
pub(crate) fn run(mir: &mut Mir, slot_bytes: u32) {
    loop {
        propagate(mir);
        let removed = remove_dead(mir) + remove_unread_spills(mir, slot_bytes);
        if removed == 0 {
            break;
        }
    }
}

/// What each register is known to hold.
#[derive(Clone, Copy, PartialEq)]
enum Holds {
    Unknown,
    /// The same as this register, itself not a copy.
    Copy(Reg),
    Number(Width, i32),
}

#[derive(Clone)]
struct Known([Holds; 11]);

impl Known {
    fn root(&self, reg: Reg) -> Reg {
        match self.0[usize::from(reg.0)] {
            Holds::Copy(root) => root,
            Holds::Unknown | Holds::Number(..) => reg,
        }
    }

    fn forget(&mut self, regs: Regs) {
        for (index, holds) in self.0.iter_mut().enumerate() {
            let stale = matches!(*holds, Holds::Copy(root) if regs.contains(root));
            if stale || regs.contains(Reg(index as u8)) {
                *holds = Holds::Unknown;
            }
        }
    }
}

/// Reads originals instead of copies, and drops moves that change nothing. What is known at the
/// end of a block's only predecessor is known at its start.
fn propagate(mir: &mut Mir) {
    let (order, position) = layout::reverse_postorder(mir);
    let mut preds = vec![Vec::new(); mir.blocks.len()];
    for &index in &order {
        mir.blocks[index].end.targets().for_each(|target| preds[target].push(index));
    }
    let live_in = live_in(mir);
    let mut at_end: Vec<Option<Known>> = vec![None; mir.blocks.len()];
    for index in order {
        let inherited = match preds[index][..] {
            [pred] if index != 0 && position[pred] < position[index] => at_end[pred].clone(),
            _ => None,
        };
        let mut known = inherited.unwrap_or(Known([Holds::Unknown; 11]));
        let targets = mir.blocks[index].end.targets();
        let live_after = targets.fold(Regs::default(), |live, target| live.union(live_in[target]));
        propagate_block(&mut mir.blocks[index], &mut known, live_after);
        at_end[index] = Some(known);
    }
}

fn propagate_block(block: &mut Block, known: &mut Known, live_after: Regs) {
    let body = std::mem::take(&mut block.body);
    for mut line in body {
        read_originals(&mut line.what, known);
        if !changes_nothing(&line, known) {
            note(&line, known);
            block.body.push(line);
        }
    }
    if let End::Branch { test, .. } = &mut block.end {
        test_originals(test, known, live_after);
    }
}

/// What a test teaches the verifier about a number, old kernels (before 5.11) note for the tested
/// register only, and the copy is what the program goes on with if it is `live_after`. For null
/// checks of pointers all copies count.
fn test_originals(test: &mut Test, known: &Known, live_after: Regs) {
    let is_null_check = matches!(test.cond, Cond::Eq | Cond::Ne) && test.right == Src::Imm(0);
    if is_null_check || !live_after.contains(test.left) {
        test.left = known.root(test.left);
    }
    match &mut test.right {
        Src::Reg(right) if !live_after.contains(*right) => *right = known.root(*right),
        Src::Reg(_) | Src::Imm(_) => {}
    }
}

fn note(line: &Line, known: &mut Known) {
    known.forget(line.what.defs());
    let What::Plain(Insn::Alu { op: AluOp::Mov, width, dst, src }) = line.what else { return };
    known.0[usize::from(dst.0)] = match src {
        Src::Reg(src) if width == Width::W64 && src != dst => Holds::Copy(known.root(src)),
        Src::Imm(imm) if line.reference.is_none() => Holds::Number(width, imm),
        Src::Reg(_) | Src::Imm(_) => Holds::Unknown,
    };
}

fn changes_nothing(line: &Line, known: &Known) -> bool {
    let What::Plain(Insn::Alu { op: AluOp::Mov, width, dst, src }) = line.what else { return false };
    match src {
        Src::Reg(src) => width == Width::W64 && known.root(src) == known.root(dst),
        Src::Imm(imm) => line.reference.is_none() && known.0[usize::from(dst.0)] == Holds::Number(width, imm),
    }
}

fn read_originals(what: &mut What, known: &Known) {
    match what {
        What::Plain(insn) => insn_originals(insn, known),
        What::Call(..) => {}
        // The test stays as it is, see `test_originals`.
        What::Unless { then, .. } => insn_originals(then, known),
    }
}

fn src_original(src: &mut Src, known: &Known) {
    if let Src::Reg(reg) = src {
        *reg = known.root(*reg);
    }
}

fn insn_originals(insn: &mut Insn, known: &Known) {
    match insn {
        Insn::Alu { src, .. } => src_original(src, known),
        Insn::Load { base, .. } => *base = known.root(*base),
        Insn::Store { base, src, .. } => {
            *base = known.root(*base);
            src_original(src, known);
        }
        Insn::Atomic { op, fetch, base, src, .. } => {
            *base = known.root(*base);
            if !*fetch || *op == AtomicOp::Cmpxchg {
                *src = known.root(*src);
            }
        }
        Insn::Neg { .. } | Insn::Swap { .. } | Insn::LdImm64 { .. } => {}
        Insn::Call { .. } | Insn::Jump { .. } | Insn::Branch { .. } | Insn::Exit => {
            unreachable!("not in the body of a block")
        }
    }
}

/// Removes what only sets registers nobody reads; tells how many lines that were.
fn remove_dead(mir: &mut Mir) -> usize {
    let live_in = live_in(mir);
    let mut removed = 0;
    for block in &mut mir.blocks {
        let mut live = live_at_end(&block.end, &live_in);
        let before = block.body.len();
        let mut kept: Vec<Line> = Vec::with_capacity(before);
        for line in std::mem::take(&mut block.body).into_iter().rev() {
            let defs = line.what.defs();
            if line.what.is_pure() && !defs.meets(live) {
                continue;
            }
            live = live.minus(defs).union(line.what.uses());
            kept.push(line);
        }
        kept.reverse();
        removed += before - kept.len();
        block.body = kept;
    }
    removed
}

fn live_at_end(end: &End, live_in: &[Regs]) -> Regs {
    let own = match end {
        End::Jump(_) => Regs::default(),
        End::Branch { test, .. } => test.uses(),
        End::Exit { returns } => Regs(u16::from(*returns)),
    };
    end.targets().fold(own, |live, target| live.union(live_in[target]))
}

fn live_in(mir: &Mir) -> Vec<Regs> {
    let mut live_in = vec![Regs::default(); mir.blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for (index, block) in mir.blocks.iter().enumerate().rev() {
            let end = live_at_end(&block.end, &live_in);
            let live = block
                .body
                .iter()
                .rev()
                .fold(end, |live, line| live.minus(line.what.defs()).union(line.what.uses()));
            changed |= std::mem::replace(&mut live_in[index], live) != live;
        }
    }
    live_in
}

/// Spill slots lie below those of the program, and only the allocator's own moves name them.
fn remove_unread_spills(mir: &mut Mir, slot_bytes: u32) -> usize {
    let is_spill = |off: i16| i32::from(off) < -(slot_bytes as i32);
    let lines = mir.blocks.iter().flat_map(|block| &block.body);
    let read: HashSet<i16> = lines
        .filter_map(|line| match line.what {
            What::Plain(Insn::Load { base: Reg::FP, off, .. }) => Some(off),
            _ => None,
        })
        .collect();
    let mut removed = 0;
    for block in &mut mir.blocks {
        let before = block.body.len();
        block.body.retain(|line| match line.what {
            What::Plain(Insn::Store { size: Size::DW, base: Reg::FP, off, src: Src::Reg(_) }) => {
                !is_spill(off) || read.contains(&off)
            }
            _ => true,
        });
        removed += before - block.body.len();
    }
    removed
}
