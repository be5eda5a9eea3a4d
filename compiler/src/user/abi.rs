//! Where a function's arguments are as it is entered: the calling convention of x86-64.
//!
//! Input    the types of a function's parameters and of its result
//! Output   a [`Home`] for each parameter
//! Ensures  what the System V ABI says (AMD64 supplement, section 3.2.3); for Rust's own convention,
//!          which nobody promises, what compilers do: structs of more than two words go by address
//!
//! Registers of floating point numbers are not in a probe's context, so what is there is nowhere.

use super::convert::Types;
use btf::{Btf, Type, TypeId};

/// Integer registers that hold arguments, and vector registers.
const REGISTERS: u32 = 6;
const VECTORS: u32 = 8;
/// Types within an argument that are looked at; a struct of two words has fewer.
const STEPS_MAX: u32 = 4096;

/// Where an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In the integer registers from this one on.
    Register(u32),
    /// This many bytes behind the return address.
    Stack(u32),
    /// At the address in this integer register.
    Behind(u32),
    /// Where a probe cannot read.
    Nowhere,
}

/// Which registers the eight bytes of a word go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Nothing,
    Integer,
    Vector,
}

/// What a value is to the convention.
enum Kind {
    Words([Class; 2]),
    Memory,
}

/// Places arguments in order.
pub(super) struct Convention<'a> {
    pub(super) btf: &'a Btf,
    pub(super) types: &'a Types,
    pub(super) is_rust: bool,
}

#[derive(Default)]
struct Used {
    registers: u32,
    vectors: u32,
    stack: u32,
}

impl Convention<'_> {
    /// Places of the parameters of a function that returns `result`.
    pub(super) fn homes(&self, params: &[TypeId], result: TypeId) -> Vec<Home> {
        let mut used = Used::default();
        // The caller passes where a large result goes as a first argument.
        if self.is_by_address(result) || matches!(self.kind(result), Kind::Memory) {
            used.registers = 1;
        }
        params.iter().map(|ty| self.place(*ty, &mut used)).collect()
    }

    fn place(&self, ty: TypeId, used: &mut Used) -> Home {
        if self.is_by_address(ty) {
            let register = used.registers;
            used.registers += 1;
            return if register < REGISTERS { Home::Behind(register) } else { Home::Nowhere };
        }
        let (bytes, align) = (self.size(ty), self.btf.align_of(ty).unwrap_or(8));
        let on_stack = |used: &mut Used| {
            let at = if align > 8 { used.stack.next_multiple_of(16) } else { used.stack };
            used.stack = at.saturating_add(bytes.max(1)).checked_next_multiple_of(8).unwrap_or(u32::MAX - 7);
            Home::Stack(at)
        };
        let Kind::Words(classes) = self.kind(ty) else { return on_stack(used) };
        let count = |class| classes.iter().filter(|c| **c == class).count() as u32;
        let (integers, vectors) = (count(Class::Integer), count(Class::Vector));
        if used.registers + integers > REGISTERS || used.vectors + vectors > VECTORS {
            return on_stack(used);
        }
        let register = used.registers;
        used.registers += integers;
        used.vectors += vectors;
        if integers > 0 && vectors == 0 { Home::Register(register) } else { Home::Nowhere }
    }

    fn size(&self, ty: TypeId) -> u32 {
        u32::try_from(self.btf.size_of(ty).unwrap_or(0)).unwrap_or(u32::MAX)
    }

    fn is_by_address(&self, ty: TypeId) -> bool {
        let Ok(id) = self.btf.resolve(ty) else { return false };
        let is_struct = self.btf.ty(id).is_ok_and(|ty| ty.composite().is_some());
        self.types.is_indirect(id) || self.is_rust && is_struct && self.size(id) > 16
    }

    fn kind(&self, ty: TypeId) -> Kind {
        let mut classes = [Class::Nothing; 2];
        if self.size(ty) > 16 || !self.classify(ty, 0, &mut classes, &mut STEPS_MAX.clone()) {
            return Kind::Memory;
        }
        Kind::Words(classes)
    }

    /// Merges the classes of a value at `offset` bytes; false if it must be in memory.
    fn classify(&self, ty: TypeId, offset: u64, out: &mut [Class; 2], steps: &mut u32) -> bool {
        let (Ok(id), Some(left)) = (self.btf.resolve(ty), steps.checked_sub(1)) else { return false };
        *steps = left;
        let mut merge = |bytes: u64, class: Class| {
            for word in offset / 8..(offset + bytes).div_ceil(8) {
                let Some(slot) = out.get_mut(word as usize) else { return false };
                *slot = if *slot == Class::Integer { Class::Integer } else { class };
            }
            true
        };
        match self.btf.ty(id) {
            Ok(Type::Void) => true,
            Ok(Type::Int { size, .. }) => {
                offset.is_multiple_of(size.into()) && merge(size.into(), Class::Integer)
            }
            Ok(Type::Enum(e)) => merge(e.size().into(), Class::Integer),
            Ok(Type::Ptr(_)) => offset.is_multiple_of(8) && merge(8, Class::Integer),
            // Those of the x87 unit are passed in memory.
            Ok(Type::Float { name: "long double", .. }) => false,
            Ok(Type::Float { size, .. }) => merge(size.into(), Class::Vector),
            Ok(Type::Array { elem, len, .. }) => {
                let stride = self.btf.size_of(elem).unwrap_or(0).max(1);
                (0..u64::from(len)).take(16).all(|i| self.classify(elem, offset + i * stride, out, steps))
            }
            Ok(Type::Struct(c) | Type::Union(c)) if c.is_empty() => merge(c.size().into(), Class::Vector),
            Ok(Type::Struct(c) | Type::Union(c)) => c.members().all(|member| match member.bitfield_bits {
                Some(_) => {
                    let word = (offset + u64::from(member.bit_offset) / 8) / 8;
                    out.get_mut(word as usize).map(|slot| *slot = Class::Integer).is_some()
                }
                None => self.classify(member.ty, offset + u64::from(member.bit_offset) / 8, out, steps),
            }),
            _ => false,
        }
    }
}
