//! Equality of objects, and what else looks at the bytes of strings.
//!
//! Strings are compared up to the first NUL within the smaller of both capacities; what follows it is
//! arbitrary. Literals know where theirs is, so they are compared word by word.

use cranelift_codegen::ir::{self, InstBuilder as _, condcodes::IntCC, types};

use super::convert::field_types;
use super::facts::Facts;
use super::memory::repr;
use super::{Lower, Mem, Region, Shared};
use crate::types::tree::{Expr, ExprKind};
use crate::types::{Int, Ty, layout};

/// Strings up to this many bytes are compared word by word.
const INLINE_COMPARE_MAX: u32 = 64;

impl Lower<'_> {
    /// Whether two objects are equal, as a comparison's result.
    pub(crate) fn lower_equal(&mut self, left: &Expr, right: &Expr) -> ir::Value {
        match (&left.kind, &right.kind) {
            (_, ExprKind::Str(bytes)) => {
                let mem = self.lower_to_memory(left, false);
                self.equals_literal(mem, left.ty.size(), bytes)
            }
            (ExprKind::Str(bytes), _) => {
                let mem = self.lower_to_memory(right, false);
                self.equals_literal(mem, right.ty.size(), bytes)
            }
            _ => {
                let (a, b) = (self.lower_to_memory(left, false), self.lower_to_memory(right, false));
                self.equal_objects(a, &left.ty, b, &right.ty)
            }
        }
    }

    /// Whether the first `most` bytes of two strings are equal.
    pub(crate) fn lower_equal_within(&mut self, left: &Expr, right: &Expr, most: u32) -> ir::Value {
        let (literal, other) = match (&left.kind, &right.kind) {
            (_, ExprKind::Str(bytes)) => (Some(bytes), left),
            (ExprKind::Str(bytes), _) => (Some(bytes), right),
            _ => (None, left),
        };
        let mem = self.lower_to_memory(other, false);
        if let Some(bytes) = literal {
            return self.equals_literal(mem, other.ty.size().min(most), bytes);
        }
        let right_mem = self.lower_to_memory(right, false);
        let capacity = left.ty.size().min(right.ty.size()).min(most);
        self.equal_strings(mem, right_mem, capacity)
    }

    pub(crate) fn equals_literal(&mut self, mem: Mem, capacity: u32, literal: &[u8]) -> ir::Value {
        let mut bytes = literal.to_vec();
        bytes.push(0);
        bytes.truncate(capacity as usize);
        self.equal_bytes(
            bytes.len() as u32,
            |l, at, size| {
                let mut word = [0; 8];
                word[..size as usize].copy_from_slice(&bytes[at as usize..(at + size) as usize]);
                let a = l.load_int(mem.plus(at), Int { size: size as u8, signed: false });
                (a, l.iconst(u64::from_le_bytes(word)))
            },
            mem,
            mem,
        )
    }

    /// All of `size` bytes are equal; `words` gives both sides of a piece. One branch a word, so
    /// that most comparisons end with the first.
    pub(crate) fn equal_bytes(
        &mut self,
        size: u32,
        mut words: impl FnMut(&mut Self, u32, u32) -> (ir::Value, ir::Value),
        a: Mem,
        b: Mem,
    ) -> ir::Value {
        let mut differs = None;
        let mut at = 0;
        while at < size {
            let chunk = chunk(a, b, at, size - at);
            let (x, y) = words(self, at, chunk);
            let difference = self.b.ins().bxor(x, y);
            differs = Some(match differs {
                None => difference,
                Some(so_far) => self.b.ins().bor(so_far, difference),
            });
            at += chunk;
        }
        match differs {
            Some(differs) => self.b.ins().icmp_imm_s(IntCC::Equal, differs, 0),
            None => self.b.ins().iconst(types::I8, 1),
        }
    }

    /// Whether two objects of comparable types are equal.
    pub(crate) fn equal_objects(&mut self, a: Mem, a_ty: &Ty, b: Mem, b_ty: &Ty) -> ir::Value {
        match (a_ty, b_ty) {
            (Ty::String(x), Ty::String(y)) => self.equal_strings(a, b, *x.min(y)),
            (Ty::Tuple(_) | Ty::Record(_), _) => {
                let (a_fields, b_fields) = (field_types(a_ty), field_types(b_ty));
                let a_offsets = layout(a_fields.iter().copied()).0;
                let b_offsets = layout(b_fields.iter().copied()).0;
                let mut all = self.b.ins().iconst(types::I8, 1);
                for i in 0..a_fields.len().min(b_fields.len()) {
                    let (x, y) = (a.plus(a_offsets[i]), b.plus(b_offsets[i]));
                    let equal = self.equal_objects(x, a_fields[i], y, b_fields[i]);
                    all = self.b.ins().band(all, equal);
                }
                all
            }
            (x, y) if x.is_scalar() && y.is_scalar() => {
                let (p, q) = (self.load(a, x), self.load(b, y));
                self.b.ins().icmp(IntCC::Equal, p, q)
            }
            _ => {
                let int = |size: u32| Int { size: size as u8, signed: false };
                let size = a_ty.size().min(b_ty.size());
                self.equal_bytes(
                    size,
                    |l, at, size| (l.load_int(a.plus(at), int(size)), l.load_int(b.plus(at), int(size))),
                    a,
                    b,
                )
            }
        }
    }

    /// Compares up to the first NUL within `capacity` bytes.
    pub(crate) fn equal_strings(&mut self, a: Mem, b: Mem, capacity: u32) -> ir::Value {
        if capacity <= INLINE_COMPARE_MAX {
            // The copy ends with a NUL; all `capacity` bytes before it count.
            let (a, b) = (self.padded_copy(a, capacity + 1), self.padded_copy(b, capacity + 1));
            let int = |size: u32| Int { size: size as u8, signed: false };
            return self.equal_bytes(
                capacity,
                |l, at, size| (l.load_int(a.plus(at), int(size)), l.load_int(b.plus(at), int(size))),
                a,
                b,
            );
        }
        let (x, y, size) = (self.addr(a), self.addr(b), self.iconst(capacity.into()));
        let equal = self.call_shared(Shared::StringsEqual, &[x, y, size]);
        self.b.ins().icmp_imm_s(IntCC::NotEqual, equal, 0)
    }

    pub(crate) fn padded_copy(&mut self, src: Mem, capacity: u32) -> Mem {
        let copy = self.temp(capacity);
        self.copy_string_exactly(copy, src, capacity);
        copy
    }

    /// Bytes of a string up to its NUL.
    pub(crate) fn string_length(&mut self, e: &Expr) -> ir::Value {
        let mem = self.lower_to_memory(e, false);
        let (address, capacity) = (self.addr(mem), self.iconst(e.ty.size().into()));
        self.call_shared(Shared::StringLength, &[address, capacity])
    }

    /// Body of [`Shared::StringsEqual`]: `(a, b, bytes)`. A loop over bytes: its length is a constant at
    /// every call, so the verifier sees its end.
    pub(crate) fn write_strings_equal(&mut self, a: ir::Value, b: ir::Value, size: ir::Value) -> ir::Value {
        let (index, result) = (self.result(), self.result());
        let (zero, one) = (self.iconst(0), self.iconst(1));
        self.b.def_var(index, zero);
        let [head, body, same, next, equal, differ, done] = [(); 7].map(|()| self.b.create_block());
        self.b.ins().jump(head, &[]);
        self.b.switch_to_block(head);
        let at = self.b.use_var(index);
        let more = self.b.ins().icmp(IntCC::UnsignedLessThan, at, size);
        self.b.ins().brif(more, body, &[], equal, &[]);
        self.start(body, Facts::default());
        let (p, q) = (self.b.ins().iadd(a, at), self.b.ins().iadd(b, at));
        let byte = repr(&Ty::Bool);
        let (x, y) =
            (self.load_int(Mem::at(p, Region::Map), byte), self.load_int(Mem::at(q, Region::Map), byte));
        let is_same = self.b.ins().icmp(IntCC::Equal, x, y);
        self.b.ins().brif(is_same, same, &[], differ, &[]);
        self.start(same, Facts::default());
        self.b.ins().brif(x, next, &[], equal, &[]);
        self.start(next, Facts::default());
        let after = self.add_const(at, 1);
        self.b.def_var(index, after);
        self.b.ins().jump(head, &[]);
        self.b.seal_block(head);
        for (block, value) in [(equal, one), (differ, zero)] {
            self.start(block, Facts::default());
            self.b.def_var(result, value);
            self.b.ins().jump(done, &[]);
        }
        self.start(done, Facts::default());
        self.b.use_var(result)
    }

    /// Body of [`Shared::StringLength`]: `(string, capacity)`, a loop of constant length.
    pub(crate) fn write_string_length(&mut self, string: ir::Value, capacity: ir::Value) -> ir::Value {
        let index = self.result();
        let zero = self.iconst(0);
        self.b.def_var(index, zero);
        let [head, body, next, done] = [(); 4].map(|()| self.b.create_block());
        self.b.ins().jump(head, &[]);
        self.b.switch_to_block(head);
        let at = self.b.use_var(index);
        let more = self.b.ins().icmp(IntCC::UnsignedLessThan, at, capacity);
        self.b.ins().brif(more, body, &[], done, &[]);
        self.start(body, Facts::default());
        let p = self.b.ins().iadd(string, at);
        let byte = self.load_int(Mem::at(p, Region::Map), repr(&Ty::Bool));
        self.b.ins().brif(byte, next, &[], done, &[]);
        self.start(next, Facts::default());
        let after = self.add_const(at, 1);
        self.b.def_var(index, after);
        self.b.ins().jump(head, &[]);
        self.b.seal_block(head);
        self.start(done, Facts::default());
        self.b.use_var(index)
    }
}

/// The widest piece that is aligned on both sides.
fn chunk(a: Mem, b: Mem, at: u32, rest: u32) -> u32 {
    let aligned = |offset: u32| if offset == 0 { 8 } else { 1 << offset.trailing_zeros().min(3) };
    let length = 1 << rest.min(8).ilog2();
    u32::min(aligned(a.offset + at), aligned(b.offset + at)).min(length)
}
