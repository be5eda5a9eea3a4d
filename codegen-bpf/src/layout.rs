//! Orders blocks so that few jumps are left, and removes blocks that do nothing.
//!
//! Input    `Mir`
//! Output   `Mir` and the order of its blocks
//! Ensures  the entry comes first; blocks left out of the order are unreachable
//! Breaks   source locations of merged blocks

use crate::insn::{Cond, Insn, Reg};
use crate::mir::{Block, End, Line, Mir, What};

/// Simplifies the control flow of `mir` until nothing changes.
pub(crate) fn simplify(mir: &mut Mir) {
    loop {
        let before = shape(mir);
        thread_jumps(mir);
        share_exits(mir);
        merge_equal_blocks(mir);
        merge_chains(mir);
        merge_tails(mir);
        if shape(mir) == before {
            break;
        }
    }
}

/// What shrinks with every simplification.
fn shape(mir: &Mir) -> Vec<(usize, Vec<usize>)> {
    reachable(mir)
        .into_iter()
        .map(|b| (mir.blocks[b].body.len(), mir.blocks[b].end.targets().collect()))
        .collect()
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

/// Jumps to a block that only jumps go to its target.
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
        mir.blocks[index].end = end;
    }
}

/// If some branch goes to a block that only exits, one of the other blocks that exit can fall into
/// it; for the rest an exit is as good as a jump, which the emitter knows. Otherwise nobody jumps
/// to such a block.
fn share_exits(mir: &mut Mir) {
    let blocks = reachable(mir);
    for returns in [false, true] {
        let exit = End::Exit { returns };
        let only_exits =
            |mir: &Mir, index: usize| mir.blocks[index].body.is_empty() && mir.blocks[index].end == exit;
        let branches = blocks.iter().filter(|index| matches!(mir.blocks[**index].end, End::Branch { .. }));
        let shared =
            branches.flat_map(|index| mir.blocks[*index].end.targets()).find(|to| only_exits(mir, *to));
        for &index in &blocks {
            match (shared, mir.blocks[index].end) {
                (Some(shared), end) if end == exit && shared != index => {
                    mir.blocks[index].end = End::Jump(shared)
                }
                (None, End::Jump(to)) if only_exits(mir, to) => {
                    mir.blocks[index].end_loc = mir.blocks[to].end_loc;
                    mir.blocks[index].end = exit;
                }
                _ => {}
            }
        }
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
    a.end == b.end && a.body.len() == b.body.len() && common_tail(a, b) == a.body.len()
}

/// How many lines at the end of both bodies may be shared. The verifier wants each access through a
/// pointer to meet one kind of pointer only, so accesses are shared on the stack alone, and calls
/// not at all.
fn common_tail(a: &Block, b: &Block) -> usize {
    let same = |(a, b): &(&Line, &Line)| a.what == b.what && a.reference == b.reference && may_share(&a.what);
    a.body.iter().rev().zip(b.body.iter().rev()).take_while(same).count()
}

fn may_share(what: &What) -> bool {
    match what {
        What::Plain(Insn::Load { base, .. } | Insn::Store { base, .. } | Insn::Atomic { base, .. }) => {
            *base == Reg::FP
        }
        What::Plain(_) => true,
        What::Call(..) | What::Unless { .. } => false,
    }
}

/// Blocks that end alike continue in one block with that end.
fn merge_tails(mir: &mut Mir) {
    let blocks = reachable(mir);
    for (position, &a) in blocks.iter().enumerate() {
        for &b in &blocks[..position] {
            // Pairs grow with the square of the script; most part ways at once.
            let same_way =
                !matches!(mir.blocks[a].end, End::Branch { .. }) && mir.blocks[a].end == mir.blocks[b].end;
            if !same_way {
                continue;
            }
            let tail = common_tail(&mir.blocks[a], &mir.blocks[b]);
            if tail > 0 {
                share_tail(mir, a, b, tail);
            }
        }
    }
}

fn share_tail(mir: &mut Mir, a: usize, b: usize, tail: usize) {
    let whole = |index: usize| index != 0 && mir.blocks[index].body.len() == tail;
    let target = match (whole(a), whole(b)) {
        (true, _) => a,
        (_, true) => b,
        (false, false) => {
            let Block { body, end, end_loc, .. } = &mir.blocks[a];
            let body = body[body.len() - tail..].to_vec();
            let cold = mir.blocks[a].cold && mir.blocks[b].cold;
            let shared = Block { body, end: *end, end_loc: *end_loc, cold };
            mir.blocks.push(shared);
            mir.blocks.len() - 1
        }
    };
    for index in [a, b].into_iter().filter(|index| *index != target) {
        let block = &mut mir.blocks[index];
        block.body.truncate(block.body.len() - tail);
        block.end = End::Jump(target);
    }
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

/// Reachable blocks, each before all it dominates, and for each block its position.
pub(crate) fn reverse_postorder(mir: &Mir) -> (Vec<usize>, Vec<usize>) {
    let mut seen = vec![false; mir.blocks.len()];
    let mut order = Vec::new();
    let mut todo = vec![(0, false)];
    while let Some((index, done)) = todo.pop() {
        if done {
            order.push(index);
        } else if !std::mem::replace(&mut seen[index], true) {
            todo.push((index, true));
            todo.extend(mir.blocks[index].end.targets().map(|target| (target, false)));
        }
    }
    order.reverse();
    let mut position = vec![usize::MAX; mir.blocks.len()];
    order.iter().enumerate().for_each(|(at, index)| position[*index] = at);
    (order, position)
}

/// The blocks in the order they shall be written.
pub(crate) fn order(mir: &Mir) -> Vec<usize> {
    let (blocks, position) = reverse_postorder(mir);
    let position = &position;
    let forward =
        |from: usize| mir.blocks[from].end.targets().filter(move |to| position[*to] > position[from]);
    // A block should come after all its forward predecessors, so that the last of them falls
    // through into it and no jump but a loop's goes backwards.
    let mut waits_for = vec![0; mir.blocks.len()];
    blocks.iter().flat_map(|index| forward(*index)).for_each(|target| waits_for[target] += 1);
    let mut placed = vec![false; mir.blocks.len()];
    let mut order = Vec::with_capacity(blocks.len());
    let mut current = 0;
    loop {
        placed[current] = true;
        order.push(current);
        forward(current).for_each(|target| waits_for[target] -= 1);
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
