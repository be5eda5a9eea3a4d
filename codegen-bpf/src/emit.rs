//! Jumps get distances: machine code as one run of instructions.
//!
//! Input    `Mir`
//! Output   `Code`
//! Ensures  every jump lands on an instruction of this function

use cranelift_codegen::ir::SourceLoc;

use crate::insn::{Insn, Reference};
use crate::layout;
use crate::mir::{Block, End, Line, Mir, Test, What};

/// A finished function.
#[derive(Debug, Clone, Default)]
pub(crate) struct Code {
    pub(crate) insns: Vec<Placed>,
}

/// One instruction and what is known about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) insn: Insn,
    pub(crate) reference: Option<Reference>,
    pub(crate) loc: SourceLoc,
}

/// A jump over so many slots that 16 bits do not hold the distance.
#[derive(Debug)]
pub(crate) struct TooFar(pub(crate) i64);

impl Code {
    /// Length in 8-byte slots.
    pub(crate) fn slots(&self) -> usize {
        self.insns.iter().map(|placed| placed.insn.slots()).sum()
    }
}

/// A jump whose distance is still open: position in `insns`, target block.
struct Open {
    at: usize,
    target: usize,
}

/// Writes `mir` in a good order.
pub(crate) fn emit(mir: &Mir) -> Result<Code, TooFar> {
    let order = layout::order(mir);
    let mut code = Code::default();
    let mut open = Vec::new();
    let mut starts = vec![0; mir.blocks.len()];
    for (position, &index) in order.iter().enumerate() {
        starts[index] = code.insns.len();
        let block = &mir.blocks[index];
        block.body.iter().for_each(|line| write_line(&mut code, line));
        let next = order.get(position + 1).copied();
        for (insn, target) in end_insns(mir, &block.end, next) {
            open.extend(target.map(|target| Open { at: code.insns.len(), target }));
            code.insns.push(Placed { insn, reference: None, loc: block.end_loc });
        }
    }
    close(&mut code, &starts, &open)?;
    Ok(code)
}

fn write_line(code: &mut Code, line: &Line) {
    let Line { what, reference, loc } = *line;
    match what {
        What::Plain(insn) | What::Call(insn, _) => code.insns.push(Placed { insn, reference, loc }),
        What::Unless { test, then } => {
            let skip = branch(&test, 1);
            code.insns.push(Placed { insn: skip, reference: None, loc });
            code.insns.push(Placed { insn: then, reference, loc });
        }
    }
}

fn branch(test: &Test, off: i16) -> Insn {
    Insn::Branch { cond: test.cond, width: test.width, dst: test.left, src: test.right, off }
}

/// The instructions that end a block when `next` follows it, each with its target.
fn end_insns(mir: &Mir, end: &End, next: Option<usize>) -> Vec<(Insn, Option<usize>)> {
    let jump = |to| (Insn::Jump { off: 0 }, Some(to));
    match *end {
        End::Exit { .. } => vec![(Insn::Exit, None)],
        End::Jump(to) if next == Some(to) => vec![],
        End::Jump(to) => match &mir.blocks[to] {
            Block { body, end: End::Exit { .. }, .. } if body.is_empty() => vec![(Insn::Exit, None)],
            _ => vec![jump(to)],
        },
        End::Branch { test, yes, no } => match test.cond.inverse() {
            Some(cond) if next == Some(yes) => vec![(branch(&Test { cond, ..test }, 0), Some(no))],
            _ if next == Some(no) => vec![(branch(&test, 0), Some(yes))],
            _ => vec![(branch(&test, 0), Some(yes)), jump(no)],
        },
    }
}

fn close(code: &mut Code, starts: &[usize], open: &[Open]) -> Result<(), TooFar> {
    let mut slot_of = Vec::with_capacity(code.insns.len() + 1);
    let mut slot = 0;
    for placed in &code.insns {
        slot_of.push(slot);
        slot += placed.insn.slots() as i64;
    }
    for Open { at, target } in open {
        let distance = slot_of[starts[*target]] - (slot_of[*at] + 1);
        let distance = i16::try_from(distance).map_err(|_| TooFar(distance))?;
        match &mut code.insns[*at].insn {
            Insn::Jump { off } | Insn::Branch { off, .. } => *off = distance,
            other => unreachable!("{other:?} is no jump"),
        }
    }
    Ok(())
}
