//! Temporary memory: stack slots for small objects, per-CPU memory for large ones.
//!
//! Ensures  objects of one statement never overlap; those of different statements share slots;
//!          a program's scratch memory is its own, so that programs may interrupt each other (the
//!          kernel never runs one program twice at the same time on one CPU)

use cranelift_codegen::ir::{self, StackSlotData, StackSlotKind};

use super::memory::{Base, Mem, Region};
use super::{Lower, Pure, helper};

/// Stack slots of a function that temporaries use.
#[derive(Debug, Default)]
pub(crate) struct Temps {
    live: Vec<(u32, ir::StackSlot)>,
    free: Vec<(u32, ir::StackSlot)>,
}

/// Which temporaries were live at some point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    slots: usize,
    scratch: u32,
}

impl Lower<'_> {
    /// Remembers what is live now.
    pub(crate) fn mark(&self) -> Mark {
        Mark { slots: self.temps.live.len(), scratch: self.shared.scratch_used }
    }

    /// Gives back what was taken since.
    pub(crate) fn release(&mut self, mark: Mark) {
        let freed = self.temps.live.drain(mark.slots..);
        self.temps.free.extend(freed);
        self.shared.scratch_used = mark.scratch;
    }

    /// Memory for an object of `bytes`, until the end of the statement.
    pub(crate) fn temp(&mut self, bytes: u32) -> Mem {
        let bytes = bytes.max(1).next_multiple_of(8);
        if bytes > self.input.settings.on_stack_limit.max(8) {
            let offset = self.take_scratch(bytes);
            return self.scratch(offset);
        }
        let free = self.temps.free.iter().position(|(size, _)| *size == bytes);
        let slot = match free {
            Some(index) => self.temps.free.swap_remove(index).1,
            None => self.stack_slot(bytes),
        };
        self.temps.live.push((bytes, slot));
        Mem { base: Base::Slot(slot), offset: 0, region: Region::Stack }
    }

    /// A new stack slot.
    pub(crate) fn stack_slot(&mut self, bytes: u32) -> ir::StackSlot {
        self.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3))
    }

    /// Room for `bytes` in the program's scratch memory; gives its offset.
    pub(crate) fn take_scratch(&mut self, bytes: u32) -> u32 {
        let offset = self.shared.scratch_used;
        self.shared.scratch_used += bytes.next_multiple_of(8);
        self.object.need_scratch(self.shared.scratch_used);
        offset
    }

    /// A place in the program's scratch memory.
    pub(crate) fn scratch(&mut self, offset: u32) -> Mem {
        let base = match self.facts.get(Pure::Scratch) {
            Some(base) => base,
            None => {
                let base = self.look_up_scratch();
                self.facts.set(Pure::Scratch, base);
                base
            }
        };
        Mem { base: Base::Ptr(base), offset, region: Region::Map }
    }

    fn look_up_scratch(&mut self) -> ir::Value {
        let slot = match self.shared.scratch_slot {
            Some(slot) => slot,
            None => *self.shared.scratch_slot.insert(self.object.scratch_slot()),
        };
        let map = self.object.scratch_map();
        let mark = self.mark();
        let key = self.temp(4);
        self.store_const(key, 4, slot.into());
        let (map, key) = (self.map_address(map), self.addr(key));
        let base = self.call_helper(helper::MAP_LOOKUP_ELEM, &[map, key]);
        self.release(mark);
        // The element always exists; the verifier wants to see a test.
        self.expect_nonzero(base);
        base
    }
}
