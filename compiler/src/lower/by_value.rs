//! Kernel structs as values: copied into the layout of the build kernel, wherever their members are on
//! the running one.
//!
//! Input    a place whose type is, or holds, a struct of the kernel
//! Output   the value in the program's memory; maps, keys, tuples, events and `$v.member` rely on its
//!          layout, which is part of the object
//! Ensures  each member has the running kernel's value, also where its offset, its size or the width of a
//!          bit-field differ; what the running kernel lacks is 0
//!
//! One read brings the whole object; members then move from the copy by relocated loads and shifts, as
//! in libbpf's `BPF_CORE_READ_BITFIELD`. A union is moved whole: which of its members counts is not known.

use codegen_bpf::RelocKind;
use cranelift_codegen::ir::{self, InstBuilder as _, condcodes::IntCC};

use super::bit_fields::BitField;
use super::core_types::Subject;
use super::place::{Remote, Via};
use super::{Lower, Mem, Region, helper};
use crate::fields::{Composite, Leaf, Shape};
use crate::types::{Int, Ty};

/// Objects of no more parts than this are read part by part where plain loads can do it.
const DIRECT_MAX: usize = 8;

/// Bits of a run of bit-fields, gathered to be stored together.
struct Run {
    word: u32,
    /// Bytes of the word that the run covers.
    bytes: std::ops::Range<u32>,
    value: ir::Value,
}

/// A copy of an object as the running kernel has it.
struct Copy {
    mem: Mem,
    /// Bytes of it that may hold the object; 8 more may be read.
    room: u32,
    /// The access path of the object.
    root: Composite,
    path: Vec<u32>,
}

impl Copy {
    fn subject(&self, leaf: &Leaf) -> Subject {
        Subject::Field { root: self.root, path: [&self.path[..], &leaf.path].concat() }
    }
}

impl Lower<'_> {
    /// Copies an object of type `ty` member by member; false if all kernels have it alike.
    pub(crate) fn read_by_value(&mut self, remote: &Remote, ty: &Ty, dst: Mem) -> bool {
        let Some((root, leaves)) = remote.root.zip(self.input.fields.leaves(ty)) else { return false };
        if leaves.iter().all(|leaf| leaf.path.is_empty()) {
            return false;
        }
        let scalars = leaves.iter().all(|leaf| matches!(leaf.shape, Shape::Scalar { .. }));
        let loads = matches!(remote.via, Via::Context | Via::Typed | Via::Stack);
        self.zero(dst, ty.size());
        if scalars && leaves.len() <= if loads { DIRECT_MAX } else { 1 } {
            leaves.iter().for_each(|leaf| self.read_leaf(remote, root, leaf, dst));
            return true;
        }
        let copy = self.copy_of(remote, root, ty.size());
        let mut run = None;
        for leaf in &leaves {
            let at = dst.plus(leaf.bit_offset / 8);
            match leaf.shape {
                Shape::Bits { width, .. } => self.gather(&copy, leaf, width, &mut run, dst),
                Shape::Scalar { bytes, .. } => {
                    let value = self.leaf_value(&copy, leaf);
                    self.store(at, bytes.into(), value);
                }
                Shape::Bytes { bytes, is_whole } => self.leaf_bytes(&copy, leaf, bytes, is_whole, at),
            }
            if !matches!(leaf.shape, Shape::Bits { .. }) {
                self.store_run(run.take(), dst);
            }
        }
        self.store_run(run, dst);
        true
    }

    /// One part, straight from the object.
    fn read_leaf(&mut self, remote: &Remote, root: Composite, leaf: &Leaf, dst: Mem) {
        let Shape::Scalar { bytes, signed } = leaf.shape else { return };
        let path = [&remote.path[..], &leaf.path].concat();
        let exists = self.core(Subject::Field { root, path: path.clone() }, RelocKind::FieldExists);
        let part = Remote { path, size: Some(bytes.into()), ..remote.clone() };
        let store = |l: &mut Self| {
            let value = l.load_remote(&part, &Ty::Int(Int { size: bytes, signed }));
            l.store(dst.plus(leaf.bit_offset / 8), bytes.into(), value);
        };
        self.if_nonzero(exists, store, |_| {});
    }

    /// Reads the object as the running kernel has it.
    fn copy_of(&mut self, remote: &Remote, root: Composite, size: u32) -> Copy {
        // Larger objects lose their last members; newer kernels have not added that much to any.
        let room = (size + size / 4 + 256).next_multiple_of(8);
        let offset = self.take_scratch(room + 8);
        let mem = self.scratch(offset);
        let bytes = if remote.path.is_empty() {
            self.core(Subject::Type(root), RelocKind::TypeSize)
        } else {
            let subject = Subject::Field { root, path: remote.path.clone() };
            self.core(subject, RelocKind::FieldByteSize)
        };
        let most = self.iconst(room.into());
        let bytes = self.b.ins().umin(bytes, most);
        let (to, from) = (self.addr(mem), self.remote_address(remote));
        self.call_helper(remote.via.helper(), &[to, bytes, from]);
        Copy { mem, room, root, path: remote.path.clone() }
    }

    /// Does something with the address of a part in the copy, if the running kernel has it.
    fn if_there(
        &mut self,
        copy: &Copy,
        leaf: &Leaf,
        bytes: u32,
        then: impl FnOnce(&mut Self, Subject, ir::Value),
    ) {
        let subject = copy.subject(leaf);
        let exists = self.core(subject.clone(), RelocKind::FieldExists);
        let within = |l: &mut Self| {
            let offset = l.core(subject.clone(), RelocKind::FieldByteOffset);
            let offset = l.within_object(copy, offset);
            let last = i64::from(copy.room + 8 - bytes);
            let is_inside = l.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, offset, last);
            let at = |l: &mut Self| {
                let base = l.addr(copy.mem);
                let address = l.b.ins().iadd(base, offset);
                // The size of the load is not the field's: the relocation must not become part of it.
                let address = l.b.ins().cls(address);
                then(l, subject, address);
            };
            l.if_nonzero(is_inside, at, |_| {});
        };
        self.if_nonzero(exists, within, |_| {});
    }

    /// What is left of a part's offset from the root when it counts from the object.
    fn within_object(&mut self, copy: &Copy, offset: ir::Value) -> ir::Value {
        if copy.path.is_empty() {
            return offset;
        }
        let start = Subject::Field { root: copy.root, path: copy.path.clone() };
        let start = self.core(start, RelocKind::FieldByteOffset);
        self.b.ins().isub(offset, start)
    }

    /// A part of at most 64 bits, extended by its sign; 0 if the running kernel lacks it.
    fn leaf_value(&mut self, copy: &Copy, leaf: &Leaf) -> ir::Value {
        let signed = match leaf.shape {
            Shape::Scalar { signed, .. } | Shape::Bits { signed, .. } => signed,
            Shape::Bytes { .. } => false,
        };
        let result = self.result();
        let zero = self.iconst(0);
        self.b.def_var(result, zero);
        self.if_there(copy, leaf, 8, |l, subject, address| {
            let word = l.load_u64(Mem::at(address, Region::Map));
            let value = l.shifted(word, subject, signed);
            l.b.def_var(result, value);
        });
        self.b.use_var(result)
    }

    /// Copies a part of many bytes, or as many as the running kernel has.
    fn leaf_bytes(&mut self, copy: &Copy, leaf: &Leaf, bytes: u32, is_whole: bool, dst: Mem) {
        // A part that alone is larger than the copy does not exist: the copy is larger than the value.
        self.if_there(copy, leaf, bytes, |l, subject, address| {
            let all = |l: &mut Self| l.copy(dst, Mem::at(address, Region::Map), bytes);
            if !is_whole {
                return all(l);
            }
            let there = l.core(subject, RelocKind::FieldByteSize);
            let is_shorter = l.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, there, i64::from(bytes));
            let some = |l: &mut Self| {
                let to = l.addr(dst);
                l.call_helper(helper::PROBE_READ_KERNEL, &[to, there, address]);
            };
            l.if_nonzero(is_shorter, some, all);
        });
    }

    /// Adds a bit-field to the run it is in.
    fn gather(&mut self, copy: &Copy, leaf: &Leaf, width: u8, run: &mut Option<Run>, dst: Mem) {
        let subject = copy.subject(leaf);
        let mut value = if self.has_word(&subject) {
            self.leaf_value(copy, leaf)
        } else {
            let bits = BitField { offset: leaf.bit_offset, width, steps: 0 };
            let (byte, bits) = bits.split();
            self.cut_bits(copy.mem.plus(byte), bits, &Ty::U64)
        };
        let (mut start, mut left) = (leaf.bit_offset, u32::from(width));
        while left > 0 {
            let (word, bit) = (start / 64, start % 64);
            let bits = left.min(64 - bit);
            if run.as_ref().is_some_and(|run| run.word != word) {
                self.store_run(run.take(), dst);
            }
            let top = self.b.ins().ishl_imm_u(value, i64::from(64 - bits));
            let placed = self.b.ins().ushr_imm_u(top, i64::from(64 - bits - bit));
            let bytes = bit / 8..(bit + bits).div_ceil(8);
            *run = Some(match run.take() {
                None => Run { word, bytes, value: placed },
                Some(Run { bytes: known, value: so_far, .. }) => {
                    let bytes = known.start.min(bytes.start)..known.end.max(bytes.end);
                    Run { word, bytes, value: self.b.ins().bor(so_far, placed) }
                }
            });
            (start, left) = (start + bits, left - bits);
            if left > 0 {
                value = self.b.ins().ushr_imm_u(value, i64::from(bits));
            }
        }
    }

    fn store_run(&mut self, run: Option<Run>, dst: Mem) {
        let Some(Run { word, bytes, value }) = run else { return };
        let mut at = bytes.start;
        while at < bytes.end {
            let place = dst.plus(word * 8 + at);
            let chunk = place.chunk(bytes.end - at);
            let part = self.b.ins().ushr_imm_u(value, i64::from(at * 8));
            self.store(place, chunk, part);
            at += chunk;
        }
    }
}
