//! Conversions: of scalars, and of objects field by field.

use cranelift_codegen::ir;

use super::expr::Dest;
use super::memory::repr;
use super::{Lower, Mem};
use crate::types::tree::Expr;
use crate::types::{Ty, layout};

impl Lower<'_> {
    /// A scalar of type `from` as one of type `to`.
    pub(crate) fn convert(&mut self, value: ir::Value, from: &Ty, to: &Ty) -> ir::Value {
        if *to == Ty::Bool {
            return if *from == Ty::Bool { value } else { self.is_nonzero(value) };
        }
        let (from, to) = (repr(from), repr(to));
        // The 64 bits already are what the wider type wants, except that a negative number is no
        // small unsigned one.
        let fits = from.size < to.size && (from.signed == to.signed || !from.signed || to.size == 8);
        if from == to || to.size == 8 || fits {
            return value;
        }
        self.extend(value, to)
    }

    pub(crate) fn lower_cast(&mut self, of: &Expr, to: &Ty) -> ir::Value {
        match &of.ty {
            from if from.is_scalar() => {
                let value = self.lower_scalar(of);
                self.convert(value, from, to)
            }
            Ty::String(_) if *to == Ty::Bool => {
                let mem = self.lower_to_memory(of, false);
                let first = self.load_int(mem, repr(&Ty::Bool));
                self.is_nonzero(first)
            }
            _ => {
                let mem = self.lower_to_memory(of, false);
                self.load(mem, to)
            }
        }
    }

    pub(crate) fn lower_cast_into(&mut self, of: &Expr, to: &Ty, dst: Dest) {
        match (&of.ty, to) {
            (from, _) if from.is_scalar() => {
                let value = self.lower_scalar(of);
                self.store(dst.mem, to.size().min(8), value);
            }
            (Ty::String(from), Ty::String(to)) if from < to => {
                self.lower_into(of, Dest { mem: dst.mem, exact: dst.exact });
                let rest = if dst.is_full() { to - from } else { 1 };
                self.zero(dst.mem.plus(*from), rest);
            }
            (Ty::Tuple(_) | Ty::Record(_), Ty::Tuple(_) | Ty::Record(_)) => {
                let src = self.lower_to_memory(of, false);
                self.convert_object(src, &of.ty, dst, to);
            }
            (from, _) => {
                let src = self.lower_to_memory(of, false);
                self.copy(dst.mem, src, to.size().min(from.size()));
            }
        }
    }

    /// Converts field by field.
    pub(crate) fn convert_object(&mut self, src: Mem, from: &Ty, dst: Dest, to: &Ty) {
        let (from_fields, to_fields) = (field_types(from), field_types(to));
        let from_offsets = layout(from_fields.iter().copied()).0;
        let to_offsets = layout(to_fields.iter().copied()).0;
        if dst.is_full() {
            self.zero(dst.mem, to.size());
        }
        for (i, (from, to)) in from_fields.iter().zip(&to_fields).enumerate() {
            let src = src.plus(from_offsets[i]);
            let dst = Dest { mem: dst.mem.plus(to_offsets[i]), exact: dst.exact };
            match (from, to) {
                (Ty::Tuple(_) | Ty::Record(_), Ty::Tuple(_) | Ty::Record(_)) => {
                    self.convert_object(src, from, dst, to);
                }
                (from, to) if from.is_scalar() && to.is_scalar() => {
                    let value = self.load(src, from);
                    let value = self.convert(value, from, to);
                    self.store(dst.mem, to.size(), value);
                }
                (Ty::String(small), Ty::String(large)) if small < large => {
                    self.copy_object(dst, src, from);
                    let rest = if dst.is_full() { large - small } else { 1 };
                    self.zero(dst.mem.plus(*small), rest);
                }
                (from, _) => self.copy_object(dst, src, from),
            }
        }
    }

    /// Copies an object; strings lose what is behind their NUL if that counts.
    pub(crate) fn copy_object(&mut self, dst: Dest, src: Mem, ty: &Ty) {
        match ty {
            Ty::String(size) if dst.exact => self.copy_string_exactly(dst.mem, src, *size),
            Ty::Tuple(_) | Ty::Record(_) if dst.exact => self.convert_object(src, ty, dst, ty),
            _ => self.copy(dst.mem, src, ty.size()),
        }
    }
}

/// Types of the fields of a tuple or record.
pub(crate) fn field_types(ty: &Ty) -> Vec<&Ty> {
    match ty {
        Ty::Tuple(fields) => fields.iter().collect(),
        Ty::Record(fields) => fields.iter().map(|(_, ty)| ty).collect(),
        _ => Vec::new(),
    }
}

/// True if equal values of the type always are equal bytes.
pub(crate) fn is_exact(ty: &Ty) -> bool {
    match ty {
        Ty::String(_) | Ty::Buffer(_) | Ty::Tuple(_) | Ty::Record(_) => false,
        Ty::Array(of, _) => is_exact(of),
        _ => true,
    }
}
