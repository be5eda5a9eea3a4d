//! Orders blocks so that few jumps are left, and removes blocks that do nothing.
//!
//! Input    `Mir`
//! Output   `Mir` and the order of its blocks
//! Ensures  the entry comes first; blocks left out of the order are unreachable
//! Breaks   source locations of merged blocks

use crate::insn::Cond;
use crate::mir::{Block, End, Line, Mir};

/// Simplifies the control flow of `mir` until nothing changes.
pub(crate) fn simplify(mir: &mut Mir) {
    loop {
        let before = shape(mir);
        thread_jumps(mir);
        merge_equal_blocks(mir);
        merge_chains(mir);
        if shape(mir) == before {
            break;
        }
    }
}

/// What shrinks with every simplification.
fn shape(mir: &Mir) -> Vec<(usize, Vec<usize>)> {
    reachable(mir).into_iter().map(|b| (mir.blocks[b].body.len(), mir.blocks[b].end.targets().collect())).collect()
}

fn reachable(mir: &Mir) -> Vec<usize> {
    let mut seen = vec![false; mir.blocks.len()];
    let mut todo = vec![0];
    while let Some(index) = todo.pop() {
        if !std::mem::replace(&mut seen[index], true) {
            todo.extend(mir.blocks[index].end.targets());
        }
    }
    (0..seen.len()).filter(|index| seen[*index]).collect()
}

/// Jumps to a block that only jumps go to its target; jumps to a block that only exits, exit.
fn thread_jumps(mir: &mut Mir) {
    let target_of = |mir: &Mir, mut target: usize| {
        // Endless empty loops have no final target: give up after one round through all blocks.
        for _ in 0..mir.blocks.len() {
            match mir.blocks[target] {
                Block { ref body, end: End::Jump(next), .. } if body.is_empty() => target = next,
                _ => break,
            }
        }
        target
    };
    for index in 0..mir.blocks.len() {
        let mut end = mir.blocks[index].end;
        end.retarget(|target| target_of(mir, target));
        end = match end {
            End::Branch { yes, no, .. } if yes == no => End::Jump(yes),
            other => other,
        };
        if let End::Jump(target) = end {
            let Block { body, end: exit, end_loc, .. } = &mir.blocks[target];
            if body.is_empty() && matches!(exit, End::Exit { .. }) {
                end = *exit;
                mir.blocks[index].end_loc = *end_loc;
            }
        }
        mir.blocks[index].end = end;
    }
}

/// Of blocks that do the same, one is enough.
fn merge_equal_blocks(mir: &mut Mir) {
    let blocks = reachable(mir);
    let mut rename: Vec<usize> = (0..mir.blocks.len()).collect();
    for (position, &index) in blocks.iter().enumerate().skip(1) {
        let same = |other: &&usize| **other != 0 && do_the_same(&mir.blocks[**other], &mir.blocks[index]);
        if let Some(&twin) = blocks[..position].iter().find(same) {
            rename[index] = rename[twin];
        }
    }
    mir.blocks.iter_mut().for_each(|block| block.end.retarget(|target| rename[target]));
}

fn do_the_same(a: &Block, b: &Block) -> bool {
    let same_line = |(a, b): (&Line, &Line)| a.what == b.what && a.reference == b.reference;
    a.end == b.end && a.body.len() == b.body.len() && a.body.iter().zip(&b.body).all(same_line)
}

/// A block with one predecessor that always continues with it becomes part of it.
fn merge_chains(mir: &mut Mir) {
    let blocks = reachable(mir);
    let mut preds = vec![0; mir.blocks.len()];
    blocks.iter().flat_map(|index| mir.blocks[*index].end.targets()).for_each(|target| preds[target] += 1);
    for index in blocks {
        while let End::Jump(next) = mir.blocks[index].end {
            if preds[next] != 1 || next == index || next == 0 {
                break;
            }
            let tail = std::mem::take(&mut mir.blocks[next].body);
            let Block { end, end_loc, cold, .. } = mir.blocks[next];
            preds[next] = 0;
            let block = &mut mir.blocks[index];
            block.body.extend(tail);
            (block.end, block.end_loc) = (end, end_loc);
            block.cold &= cold;
        }
    }
}

/// The blocks in the order they shall be written.
pub(crate) fn order(mir: &Mir) -> Vec<usize> {
    let blocks = reachable(mir);
    // A block should come after all its forward predecessors, so that the last of them falls
    // through into it and no jump but a loop's goes backwards.
    let mut waits_for = vec![0; mir.blocks.len()];
    for &index in &blocks {
        for target in mir.blocks[index].end.targets().filter(|target| *target > index) {
            waits_for[target] += 1;
        }
    }
    let mut placed = vec![false; mir.blocks.len()];
    let mut order = Vec::with_capacity(blocks.len());
    let mut current = 0;
    loop {
        placed[current] = true;
        order.push(current);
        for target in mir.blocks[current].end.targets().filter(|target| *target > current) {
            waits_for[target] -= 1;
        }
        let free = |index: usize| !placed[index] && waits_for[index] == 0;
        let warm = |index: usize| !mir.blocks[index].cold;
        let next = preferred_successor(&mir.blocks[current].end, |index| free(index) && warm(index))
            .or_else(|| blocks.iter().copied().find(|index| free(*index) && warm(*index)))
            .or_else(|| blocks.iter().copied().find(|index| !placed[*index] && warm(*index)))
            .or_else(|| blocks.iter().copied().find(|index| !placed[*index]));
        match next {
            Some(next) => current = next,
            None => return order,
        }
    }
}

fn preferred_successor(end: &End, may_follow: impl Fn(usize) -> bool) -> Option<usize> {
    match *end {
        End::Jump(to) => may_follow(to).then_some(to),
        End::Branch { test, yes, no } => {
            // A bit test cannot be inverted: only its `no` side can follow.
            let (first, second) = if test.cond == Cond::Set || no < yes { (no, yes) } else { (yes, no) };
            [first, second].into_iter().find(|target| may_follow(*target))
        }
        End::Exit { .. } => None,
    }
}
