//! Memory that programs read and write by plain loads and stores: places in it, and moves between.
//!
//! Requires every place lies in the stack, a map value, a ring-buffer record or global data
//! Ensures  accesses are aligned to their size as far as the place's offset tells: the verifier insists
//!          on that for the stack (`check_ptr_alignment`)

use cranelift_codegen::ir::{self, InstBuilder as _, types};

use super::Lower;
use crate::types::{Int, Ty};

/// Kinds of memory that never overlap, as cranelift's alias analysis wants to know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// Stack slots.
    Stack,
    /// The context of the program.
    Context,
    /// Map values, per-CPU scratch memory included.
    Map,
    /// Ring-buffer records.
    Record,
    /// Kernel memory behind typed pointers.
    Kernel,
    /// Read-only globals.
    Rodata,
    /// The counter of lost events.
    Lost,
}

/// A place in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mem {
    /// What the offset counts from.
    pub base: Base,
    /// Bytes.
    pub offset: u32,
    /// Which memory it is.
    pub region: Region,
}

/// What a place's offset counts from; aligned to 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Base {
    /// A slot of this function's stack.
    Slot(ir::StackSlot),
    /// A pointer.
    Ptr(ir::Value),
}

impl Mem {
    /// The place behind `ptr`.
    pub(crate) fn at(ptr: ir::Value, region: Region) -> Mem {
        Mem { base: Base::Ptr(ptr), offset: 0, region }
    }

    /// The place `bytes` further on.
    pub(crate) fn plus(self, bytes: u32) -> Mem {
        Mem { offset: self.offset + bytes, ..self }
    }

    /// The widest access that is aligned here and not longer than `bytes`.
    pub(super) fn chunk(self, bytes: u32) -> u32 {
        let by_offset = if self.offset == 0 { 8 } else { 1 << self.offset.trailing_zeros().min(3) };
        let by_length = 1 << bytes.min(8).ilog2();
        u32::min(by_offset, by_length)
    }
}

/// Copies of more bytes than this go through a helper.
const INLINE_COPY_MAX: u32 = 96;
/// Zeroing of more bytes than this goes through a helper.
const INLINE_ZERO_MAX: u32 = 128;

impl Lower<'_> {
    pub(crate) fn flags(&mut self, region: Region) -> ir::MemFlagsData {
        let data =
            ir::AliasRegionData { user_id: region as u32 + 1, description: format!("{region:?}").into() };
        let region = self.b.func.dfg.alias_regions.insert(data);
        // Never `can_move`: a load may stand behind a null check (CODEGEN section 5.4).
        ir::MemFlagsData::new().with_notrap().with_alias_region(Some(region))
    }

    /// The address as a value.
    pub(crate) fn addr(&mut self, mem: Mem) -> ir::Value {
        match mem.base {
            Base::Slot(slot) => self.b.ins().stack_addr(types::I64, slot, mem.offset as i32),
            Base::Ptr(ptr) if mem.offset == 0 => ptr,
            Base::Ptr(ptr) => self.b.ins().iadd_imm_s(ptr, i64::from(mem.offset)),
        }
    }

    fn base_and_offset(&mut self, mem: Mem) -> (ir::Value, i32) {
        match mem.base {
            Base::Slot(slot) => (self.b.ins().stack_addr(types::I64, slot, 0), mem.offset as i32),
            Base::Ptr(ptr) => (ptr, mem.offset as i32),
        }
    }

    /// The `int` at `mem`, extended to 64 bits by its sign.
    pub(crate) fn load_int(&mut self, mem: Mem, int: Int) -> ir::Value {
        let flags = self.flags(mem.region);
        let (base, offset) = self.base_and_offset(mem);
        let ins = self.b.ins();
        match (int.size, int.signed) {
            (1, false) => ins.uload8(types::I64, flags, base, offset),
            (1, true) => ins.sload8(types::I64, flags, base, offset),
            (2, false) => ins.uload16(types::I64, flags, base, offset),
            (2, true) => ins.sload16(types::I64, flags, base, offset),
            (4, false) => ins.uload32(flags, base, offset),
            (4, true) => ins.sload32(flags, base, offset),
            _ => ins.load(types::I64, flags, base, offset),
        }
    }

    /// The scalar of type `ty` at `mem`.
    pub(crate) fn load(&mut self, mem: Mem, ty: &Ty) -> ir::Value {
        self.load_int(mem, repr(ty))
    }

    /// The `u64` at `mem`.
    pub(crate) fn load_u64(&mut self, mem: Mem) -> ir::Value {
        self.load_int(mem, U64)
    }

    /// Stores the low `size` bytes of `value`.
    pub(crate) fn store(&mut self, mem: Mem, size: u32, value: ir::Value) {
        let flags = self.flags(mem.region);
        let (base, offset) = self.base_and_offset(mem);
        let narrow = match size {
            1 => self.b.ins().ireduce(types::I8, value),
            2 => self.b.ins().ireduce(types::I16, value),
            4 => self.b.ins().ireduce(types::I32, value),
            _ => value,
        };
        self.b.ins().store(flags, narrow, base, offset);
    }

    /// Stores a constant.
    pub(crate) fn store_const(&mut self, mem: Mem, size: u32, value: u64) {
        let value = self.iconst(value);
        self.store(mem, size, value);
    }

    /// Stores bytes, in the widest aligned pieces.
    pub(crate) fn store_bytes(&mut self, mem: Mem, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let place = mem.plus(at as u32);
            let chunk = place.chunk((bytes.len() - at) as u32) as usize;
            let mut word = [0; 8];
            word[..chunk].copy_from_slice(&bytes[at..at + chunk]);
            self.store_const(place, chunk as u32, u64::from_le_bytes(word));
            at += chunk;
        }
    }

    /// Fills with zeroes.
    pub(crate) fn zero(&mut self, mem: Mem, size: u32) {
        if size <= INLINE_ZERO_MAX {
            self.store_bytes(mem, &vec![0; size as usize]);
        } else {
            // A read from address 0 fails, and the helper clears the destination of a failed read
            // (kernel `bpf_probe_read_kernel_common`).
            let null = self.iconst(0);
            self.probe_read(super::helper::PROBE_READ_KERNEL, mem, size, null);
        }
    }

    /// Copies `size` bytes between places that do not overlap.
    pub(crate) fn copy(&mut self, dst: Mem, src: Mem, size: u32) {
        if dst == src {
            return;
        }
        if size > INLINE_COPY_MAX {
            let src = self.addr(src);
            self.probe_read(super::helper::PROBE_READ_KERNEL, dst, size, src);
            return;
        }
        let mut at = 0;
        while at < size {
            let (to, from) = (dst.plus(at), src.plus(at));
            let chunk = to.chunk(size - at).min(from.chunk(size - at));
            let word = self.load_int(from, Int { size: chunk as u8, signed: false });
            self.store(to, chunk, word);
            at += chunk;
        }
    }

    /// Calls a helper of the `probe_read` family: `(dst, size, address)`.
    pub(crate) fn probe_read(&mut self, helper: u32, dst: Mem, size: u32, address: ir::Value) -> ir::Value {
        let dst = self.addr(dst);
        let size = self.iconst(size.into());
        self.call_helper(helper, &[dst, size, address])
    }
}

/// Eight bytes without sign.
pub(crate) const U64: Int = Int { size: 8, signed: false };

/// How a scalar type is held in memory and extended to 64 bits.
pub(crate) fn repr(ty: &Ty) -> Int {
    match ty {
        Ty::Int(int) | Ty::Enum(int, _) => *int,
        Ty::Bool => Int { size: 1, signed: false },
        _ => U64,
    }
}
