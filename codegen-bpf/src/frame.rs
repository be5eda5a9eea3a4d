//! Gives every stack slot its place below r10. Slots that are never live together share memory.
//!
//! Input    CLIF after `legalise`, and its control flow
//! Output   `Frame`
//! Requires nothing
//! Ensures  slots whose live ranges meet do not overlap; slots without a use get no place
//! Breaks   nothing: the CLIF is only read
//!
//! A slot is live where some access to it lies behind and another one ahead. Addresses are followed
//! through pure operations, block parameters and calls that may hand them back; one that is
//! stored somewhere makes its slot live everywhere.

use cranelift_codegen::entity::{EntityRef as _, SecondaryMap};
use cranelift_codegen::ir::{self, Block, Inst, InstructionData, Opcode, StackSlot, Value};

use crate::isel::flow::{Flow, edge_arg, has_effect};
use crate::module::namespace;

/// `bpf_dynptr_data` hands back the memory behind its argument.
const HELPER_DYNPTR_DATA: u32 = 203;

/// Places of the slots.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// Distance of each slot's lowest byte from r10: negative, or 0 for one without a place.
    pub(crate) offsets: SecondaryMap<StackSlot, i32>,
    /// Bytes taken by slots, a multiple of 8.
    pub(crate) bytes: u32,
}

/// A set of slots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct SlotSet(Vec<u64>);

impl SlotSet {
    fn insert(&mut self, slot: StackSlot) {
        let (word, bit) = (slot.index() / 64, slot.index() % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << bit;
    }

    fn contains(&self, slot: StackSlot) -> bool {
        self.0.get(slot.index() / 64).is_some_and(|word| word >> (slot.index() % 64) & 1 == 1)
    }

    /// Adds all of `other`; tells whether that changed anything.
    fn add(&mut self, other: &Self) -> bool {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let mut changed = false;
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            changed |= *theirs & !*mine != 0;
            *mine |= theirs;
        }
        changed
    }

    fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    fn slots(&self) -> impl Iterator<Item = StackSlot> + '_ {
        (0..self.0.len() * 64).map(StackSlot::new).filter(|slot| self.contains(*slot))
    }
}

/// Lays out the frame of `func`.
pub(crate) fn layout(func: &ir::Function, flow: &Flow) -> Frame {
    if func.sized_stack_slots.is_empty() {
        return Frame::default();
    }
    let roots = Roots::new(func, flow);
    let clashes = clashes(func, flow, &roots);
    place(func, &roots.used, &clashes)
}

/// Which slots each value may point into.
struct Roots {
    of: SecondaryMap<Value, SlotSet>,
    escaped: SlotSet,
    used: SlotSet,
}

impl Roots {
    fn new(func: &ir::Function, flow: &Flow) -> Self {
        let mut roots =
            Self { of: SecondaryMap::new(), escaped: SlotSet::default(), used: SlotSet::default() };
        while roots.spread(func, flow) {}
        for &block in &flow.order {
            for inst in func.layout.block_insts(block) {
                roots.note_escapes(func, inst);
            }
        }
        roots
    }

    /// One round over the function.
    fn spread(&mut self, func: &ir::Function, flow: &Flow) -> bool {
        let mut changed = false;
        for &block in &flow.order {
            for (index, param) in func.dfg.block_params(block).iter().enumerate() {
                for edge in &flow.into[block] {
                    changed |= self.flows(edge_arg(func, *edge, index), *param);
                }
            }
            for inst in func.layout.block_insts(block) {
                let Some(&result) = func.dfg.inst_results(inst).first() else { continue };
                if let InstructionData::StackAddr { stack_slot, .. } = func.dfg.insts[inst] {
                    if flow.needed.contains(result) && !self.of[result].contains(stack_slot) {
                        self.of[result].insert(stack_slot);
                        self.used.insert(stack_slot);
                        changed = true;
                    }
                } else if hands_back(func, inst) {
                    for arg in func.dfg.inst_args(inst) {
                        changed |= self.flows(*arg, result);
                    }
                }
            }
        }
        changed
    }

    fn flows(&mut self, from: Value, to: Value) -> bool {
        let from = self.of[from].clone();
        self.of[to].add(&from)
    }

    fn note_escapes(&mut self, func: &ir::Function, inst: Inst) {
        let stored = match func.dfg.insts[inst] {
            InstructionData::Store { args: [data, _], .. }
            | InstructionData::StoreNoOffset { args: [data, _], .. }
            | InstructionData::AtomicRmw { args: [_, data], .. } => vec![data],
            InstructionData::AtomicCas { args: [_, expected, new], .. } => vec![expected, new],
            // A subprogram may keep one argument's address in another one's memory.
            InstructionData::Call { func_ref, .. } if callee(func, func_ref).0 == namespace::FUNCTION => {
                let args = func.dfg.inst_args(inst);
                let pointers = args.iter().filter(|arg| self.of[**arg] != SlotSet::default()).count();
                if pointers > 1 { args.to_vec() } else { vec![] }
            }
            _ => vec![],
        };
        for value in stored {
            let slots = self.of[value].clone();
            self.escaped.add(&slots);
        }
    }

    /// The slots `inst` may read or write.
    fn touched(&self, func: &ir::Function, inst: Inst) -> SlotSet {
        let mut touched = SlotSet::default();
        if has_effect(func, inst) || func.dfg.insts[inst].opcode().can_load() {
            for arg in func.dfg.inst_args(inst) {
                touched.add(&self.of[*arg]);
            }
        }
        touched
    }
}

fn callee(func: &ir::Function, func_ref: ir::FuncRef) -> (u32, u32) {
    match func.dfg.ext_funcs[func_ref].name {
        ir::ExternalName::User(name) => {
            let name = &func.params.user_named_funcs()[name];
            (name.namespace, name.index)
        }
        _ => (u32::MAX, 0),
    }
}

/// Whether a result may be an address that came in as an argument.
fn hands_back(func: &ir::Function, inst: Inst) -> bool {
    match func.dfg.insts[inst] {
        InstructionData::Call { func_ref, .. } => {
            !matches!(callee(func, func_ref), (namespace::HELPER, id) if id != HELPER_DYNPTR_DATA)
        }
        InstructionData::IntCompare { .. } => false,
        data => !data.opcode().can_load() || data.opcode() == Opcode::Bitcast,
    }
}

/// For each slot, those it must not share memory with.
fn clashes(func: &ir::Function, flow: &Flow, roots: &Roots) -> SecondaryMap<StackSlot, SlotSet> {
    let mut touched_by_block: SecondaryMap<Block, SlotSet> = SecondaryMap::new();
    for &block in &flow.order {
        for inst in func.layout.block_insts(block) {
            touched_by_block[block].add(&roots.touched(func, inst));
        }
    }
    // Behind: touched on some way to the block's start. Ahead: touched on some way from its end.
    let mut behind: SecondaryMap<Block, SlotSet> = SecondaryMap::new();
    let mut ahead: SecondaryMap<Block, SlotSet> = SecondaryMap::new();
    let mut changed = true;
    while changed {
        changed = false;
        for &block in &flow.order {
            let mut out = behind[block].clone();
            out.add(&touched_by_block[block]);
            for succ in func.block_successors(block) {
                changed |= behind[succ].add(&out);
            }
        }
        for &block in flow.order.iter().rev() {
            for succ in func.block_successors(block) {
                let mut from = ahead[succ].clone();
                from.add(&touched_by_block[succ]);
                changed |= ahead[block].add(&from);
            }
        }
    }

    let mut clashes: SecondaryMap<StackSlot, SlotSet> = SecondaryMap::new();
    let mut meet = |live: SlotSet| {
        for slot in live.slots() {
            clashes[slot].add(&live);
        }
    };
    for &block in &flow.order {
        let insts: Vec<Inst> = func.layout.block_insts(block).collect();
        let mut later = ahead[block].clone();
        let mut suffixes = Vec::with_capacity(insts.len());
        for inst in insts.iter().rev() {
            later.add(&roots.touched(func, *inst));
            suffixes.push(later.clone());
        }
        let mut earlier = behind[block].clone();
        meet(earlier.and(&later));
        for (inst, later) in insts.iter().zip(suffixes.iter().rev()) {
            let touched = roots.touched(func, *inst);
            if touched != SlotSet::default() {
                earlier.add(&touched);
                meet(earlier.and(later));
            }
        }
    }
    for slot in roots.escaped.slots() {
        clashes[slot].add(&roots.used);
        for other in roots.used.slots() {
            clashes[other].insert(slot);
        }
    }
    clashes
}

/// First fit, larger slots first.
fn place(func: &ir::Function, used: &SlotSet, clashes: &SecondaryMap<StackSlot, SlotSet>) -> Frame {
    let mut order: Vec<StackSlot> = used.slots().collect();
    order.sort_by_key(|slot| std::cmp::Reverse(func.sized_stack_slots[*slot].size));
    let mut frame = Frame::default();
    let mut placed: Vec<(StackSlot, u32, u32)> = Vec::new();
    for slot in order {
        let data = &func.sized_stack_slots[slot];
        let align = (1 << data.align_shift).max(natural_align(data.size));
        let taken = |(other, ..): &&(StackSlot, u32, u32)| clashes[slot].contains(*other);
        let neighbours: Vec<(u32, u32)> =
            placed.iter().filter(taken).map(|(_, from, to)| (*from, *to)).collect();
        // Depths below r10: the slot covers [depth - size, depth).
        let starts = std::iter::once(0).chain(neighbours.iter().map(|(_, to)| *to));
        let fits =
            |depth: u32| neighbours.iter().all(|(from, to)| depth <= *from || depth - data.size >= *to);
        let depths = starts.map(|start| (start + data.size).next_multiple_of(align));
        let depth = depths.filter(|depth| fits(*depth)).min().expect("below all neighbours there is room");
        placed.push((slot, depth - data.size, depth));
        frame.offsets[slot] = -(depth as i32);
        frame.bytes = frame.bytes.max(depth.next_multiple_of(8));
    }
    frame
}

/// The verifier refuses misaligned stack accesses, so a slot gets the alignment of the widest
/// access it has room for.
fn natural_align(size: u32) -> u32 {
    match size {
        0..=1 => 1,
        2 => 2,
        3..=4 => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::opt;

    fn frame_of(clif: &str) -> Frame {
        let functions = cranelift_reader::parse_functions(clif).expect("test CLIF parses");
        let func = opt::run(functions[0].clone(), &mut Vec::new(), true).expect("test CLIF is well formed");
        layout(&func, &Flow::new(&func))
    }

    #[test]
    fn slots_of_one_after_another_share() {
        let frame = frame_of(
            "function %f() system_v {
                 ss0 = explicit_slot 16
                 ss1 = explicit_slot 16
                 sig0 = (i64) system_v
                 fn0 = u1:1 sig0
             block0:
                 v0 = stack_addr.i64 ss0
                 v1 = stack_addr.i64 ss1
                 v2 = iconst.i64 1
                 store v2, v0
                 call fn0(v0)
                 store v2, v1
                 call fn0(v1)
                 return
             }",
        );
        assert_eq!(frame.bytes, 16);
    }

    #[test]
    fn slots_of_one_call_do_not() {
        let frame = frame_of(
            "function %f() system_v {
                 ss0 = explicit_slot 4
                 ss1 = explicit_slot 16
                 sig0 = (i64, i64) system_v
                 fn0 = u1:1 sig0
             block0:
                 v0 = stack_addr.i64 ss0
                 v1 = stack_addr.i64 ss1
                 call fn0(v0, v1)
                 return
             }",
        );
        assert_eq!(frame.bytes, 24);
    }
}
