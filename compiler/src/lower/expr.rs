//! Expressions.
//!
//! A scalar expression yields a CLIF value ([`Lower::lower_scalar`]). Any other is written where it is
//! wanted ([`Lower::lower_into`]), or, if it already lies in readable memory, used where it is
//! ([`Lower::lower_to_memory`]).

use cranelift_codegen::ir;

use super::memory::repr;
use super::{Lower, Mem, VarPlace};
use crate::types::tree::{Block, Expr, ExprKind, Place, VarId};
use crate::types::{Ty, layout};

/// What an expression yields.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// Nothing.
    None,
    /// 64 bits.
    Scalar(ir::Value),
    /// An object in memory.
    Memory(Mem),
}

/// Where an object is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Dest {
    /// The place.
    pub mem: Mem,
    /// All bytes count, also those behind a string's NUL and between a tuple's fields: keys.
    pub exact: bool,
}

impl Lower<'_> {
    /// The value of an expression of any type.
    pub fn lower_value(&mut self, e: &Expr) -> Value {
        match &e.ty {
            Ty::None | Ty::Void | Ty::Args => {
                self.lower_effect(e);
                Value::None
            }
            ty if ty.is_scalar() => Value::Scalar(self.lower_scalar(e)),
            _ => Value::Memory(self.lower_to_memory(e, false)),
        }
    }

    /// An expression whose value nobody wants.
    pub(crate) fn lower_effect(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Call { builtin, args } => {
                self.at(e.span);
                self.object.needs_unsafe |= builtin.changes_system;
                self.discarded = true;
                (builtin.lower)(self, e, args);
                self.discarded = false;
            }
            ExprKind::If { cond, then, otherwise } => {
                self.if_expr(cond, |l| l.lower_block_effect(then), |l| l.lower_block_effect(otherwise));
            }
            ExprKind::Block(block) => self.lower_block_effect(block),
            ExprKind::Unit => {}
            _ if e.ty.is_scalar() => drop(self.lower_scalar(e)),
            _ if e.ty.size() > 0 => drop(self.lower_to_memory(e, false)),
            _ => {}
        }
    }

    fn lower_block_effect(&mut self, block: &Block) {
        self.lower_stmts(&block.stmts);
        if let Some(value) = &block.value
            && self.reachable
        {
            self.lower_effect(value);
        }
    }

    /// A scalar.
    pub fn lower_scalar(&mut self, e: &Expr) -> ir::Value {
        match &e.kind {
            ExprKind::Int(value) => self.iconst(*value),
            ExprKind::Var(var) => self.read_var(*var, &e.ty),
            ExprKind::Map { map, key } => self.lower_map_scalar(*map, key.as_deref(), &e.ty, e.span),
            ExprKind::Enumerator { of, name, value } => self.enumerator(*of, name, *value),
            ExprKind::Param(param) => self.parameter(*param),
            ExprKind::SizeOf(of) => self.size_of(*of),
            ExprKind::OffsetOf { of, path } => self.offset_of(*of, path),
            ExprKind::Unary { op, operand } => self.lower_unary(*op, operand, &e.ty),
            ExprKind::Binary { op, left, right } => self.lower_binary(*op, left, right, e),
            ExprKind::Equal { .. } | ExprKind::And(..) | ExprKind::Or(..) => self.cond_value(e),
            ExprKind::If { cond, then, otherwise } => {
                let result = self.result();
                let value = |l: &mut Self, block: &Block| {
                    let value = l.lower_block_scalar(block);
                    if l.reachable {
                        l.b.def_var(result, value);
                    }
                };
                self.if_expr(cond, |l| value(l, then), |l| value(l, otherwise));
                self.b.use_var(result)
            }
            ExprKind::Block(block) => self.lower_block_scalar(block),
            ExprKind::Cast(of) => self.lower_cast(of, &e.ty),
            ExprKind::Field { .. }
            | ExprKind::Deref(_)
            | ExprKind::Index { .. }
            | ExprKind::Arg(_)
            | ExprKind::RetVal => self.read_scalar(e),
            ExprKind::TupleField { base, index } => {
                let mem = self.tuple_field(base, *index);
                self.load(mem, &e.ty)
            }
            ExprKind::Increment { place, by, postfix } => self.lower_increment(place, *by, *postfix, e),
            ExprKind::AddressOf(place) => self.lower_address_of(place, e),
            ExprKind::Call { builtin, args } => {
                self.discarded = false;
                match (builtin.lower)(self, e, args) {
                    Value::Scalar(value) => value,
                    Value::Memory(mem) => self.load(mem, &e.ty),
                    Value::None => self.iconst(0),
                }
            }
            ExprKind::Str(_)
            | ExprKind::Unit
            | ExprKind::MapRef(_)
            | ExprKind::Tuple(_)
            | ExprKind::Record(_) => {
                self.lower_effect(e);
                self.iconst(0)
            }
        }
    }

    fn lower_block_scalar(&mut self, block: &Block) -> ir::Value {
        self.lower_stmts(&block.stmts);
        match &block.value {
            Some(value) if self.reachable => self.lower_scalar(value),
            _ => self.iconst(0),
        }
    }

    fn lower_cast(&mut self, of: &Expr, to: &Ty) -> ir::Value {
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

    /// An object in memory: where it is already, or in a temporary.
    pub fn lower_to_memory(&mut self, e: &Expr, exact: bool) -> Mem {
        if let Some(mem) = self.in_place(e, exact) {
            return mem;
        }
        let mem = self.temp(e.ty.size());
        self.lower_into(e, Dest { mem, exact });
        mem
    }

    /// Where an object lies already, if programs can read it there.
    fn in_place(&mut self, e: &Expr, exact: bool) -> Option<Mem> {
        match &e.kind {
            ExprKind::Var(var) if !e.ty.is_scalar() && (!exact || is_exact(&e.ty)) => {
                Some(self.var_place(*var))
            }
            ExprKind::TupleField { base, index } if !exact || is_exact(&e.ty) => {
                Some(self.tuple_field(base, *index))
            }
            ExprKind::Field { .. } | ExprKind::Index { .. } if !exact => self.local_place(e),
            _ => None,
        }
    }

    /// Field `index` of a tuple or record.
    fn tuple_field(&mut self, base: &Expr, index: u32) -> Mem {
        let offsets = match &base.ty {
            Ty::Tuple(fields) => layout(fields.iter()).0,
            Ty::Record(fields) => layout(fields.iter().map(|(_, ty)| ty)).0,
            other => unreachable!("{other:?} has no fields by number"),
        };
        self.lower_to_memory(base, false).plus(offsets[index as usize])
    }

    /// Writes the value of `e` to `dst`.
    pub fn lower_into(&mut self, e: &Expr, dst: Dest) {
        if e.ty.is_scalar() {
            let value = self.lower_scalar(e);
            self.store(dst.mem, e.ty.size(), value);
            return;
        }
        match &e.kind {
            ExprKind::Str(bytes) => self.store_string(dst, bytes, e.ty.size()),
            ExprKind::Tuple(fields) | ExprKind::Record(fields) => self.lower_fields(fields, e.ty.size(), dst),
            ExprKind::If { cond, then, otherwise } => {
                self.if_expr(cond, |l| l.lower_block_into(then, dst), |l| l.lower_block_into(otherwise, dst));
            }
            ExprKind::Block(block) => self.lower_block_into(block, dst),
            ExprKind::Map { map, key } => self.lower_map_into(*map, key.as_deref(), &e.ty, dst),
            ExprKind::Param(param) => self.parameter_into(*param, &e.ty, dst),
            ExprKind::Cast(of) => self.lower_cast_into(of, &e.ty, dst),
            ExprKind::Call { builtin, args } => {
                self.at(e.span);
                let outer = self.pending.replace(dst);
                let value = (builtin.lower)(self, e, args);
                self.pending = outer;
                if let Value::Memory(mem) = value {
                    self.copy(dst.mem, mem, e.ty.size());
                }
            }
            ExprKind::Var(_) | ExprKind::TupleField { .. } => {
                let mem = self.in_place(e, false).expect("variables and their fields lie in memory");
                self.copy_object(dst, mem, &e.ty);
            }
            ExprKind::Field { .. }
            | ExprKind::Deref(_)
            | ExprKind::Index { .. }
            | ExprKind::Arg(_)
            | ExprKind::RetVal => self.read_into(e, dst),
            ExprKind::Unit if e.ty.size() == 0 => {}
            _ => self.unsupported("this kind of value is", e.span),
        }
    }

    fn lower_block_into(&mut self, block: &Block, dst: Dest) {
        self.lower_stmts(&block.stmts);
        if let Some(value) = &block.value
            && self.reachable
        {
            self.lower_into(value, dst);
        }
    }

    fn lower_fields(&mut self, fields: &[Expr], size: u32, dst: Dest) {
        let (offsets, _) = layout(fields.iter().map(|field| &field.ty));
        let mut end = 0;
        for (field, offset) in fields.iter().zip(offsets) {
            if dst.exact {
                self.zero(dst.mem.plus(end), offset - end);
            }
            self.lower_into(field, Dest { mem: dst.mem.plus(offset), exact: dst.exact });
            end = offset + field.ty.size();
        }
        if dst.exact && end < size {
            self.zero(dst.mem.plus(end), size - end);
        }
    }

    fn lower_cast_into(&mut self, of: &Expr, to: &Ty, dst: Dest) {
        match (&of.ty, to) {
            (from, _) if from.is_scalar() => {
                let value = self.lower_scalar(of);
                self.store(dst.mem, to.size().min(8), value);
            }
            (Ty::String(from), Ty::String(to)) if from < to => {
                self.lower_into(of, Dest { mem: dst.mem, exact: dst.exact });
                let rest = if dst.exact { to - from } else { 1 };
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
    fn convert_object(&mut self, src: Mem, from: &Ty, dst: Dest, to: &Ty) {
        let (from_fields, to_fields) = (field_types(from), field_types(to));
        let from_offsets = layout(from_fields.iter().copied()).0;
        let to_offsets = layout(to_fields.iter().copied()).0;
        if dst.exact {
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
                    let rest = if dst.exact { large - small } else { 1 };
                    self.zero(dst.mem.plus(*small), rest);
                }
                (from, _) => self.copy_object(dst, src, from),
            }
        }
    }

    /// Where a builtin that yields an object shall write it.
    pub fn destination(&mut self, e: &Expr) -> Dest {
        match self.pending.take() {
            Some(dst) => dst,
            None => Dest { mem: self.temp(e.ty.size()), exact: false },
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

    fn read_var(&mut self, var: VarId, ty: &Ty) -> ir::Value {
        match self.vars[var.0 as usize] {
            Some(VarPlace::Ssa(variable)) => self.b.use_var(variable),
            _ => {
                let mem = self.var_place(var);
                self.load(mem, ty)
            }
        }
    }

    /// Where a variable lies that is not in a register.
    pub(crate) fn var_place(&mut self, var: VarId) -> Mem {
        match self.vars[var.0 as usize] {
            Some(VarPlace::Memory(mem)) => mem,
            Some(VarPlace::Scratch(offset)) => self.scratch(offset),
            Some(VarPlace::Ssa(_)) | None => unreachable!("scalars of one function are registers"),
        }
    }

    /// Assigns a scalar variable.
    pub(crate) fn set_var(&mut self, var: VarId, value: ir::Value) {
        self.facts.forget_var(&super::maps::var_text(var));
        match self.vars[var.0 as usize] {
            Some(VarPlace::Ssa(variable)) => self.b.def_var(variable, value),
            _ => {
                let mem = self.var_place(var);
                let size = self.probe.vars[var.0 as usize].ty.size();
                self.store(mem, size, value);
            }
        }
    }

    fn lower_increment(&mut self, place: &Place, by: i64, postfix: bool, e: &Expr) -> ir::Value {
        match place {
            Place::Var(var) => {
                let old = self.read_var(*var, &e.ty);
                let step = match &self.probe.vars[var.0 as usize].ty {
                    Ty::Ptr(to, _) => by * i64::from(to.size().max(1)),
                    _ => by,
                };
                let new = self.add_const(old, step);
                let new = self.extend(new, repr(&self.probe.vars[var.0 as usize].ty));
                self.set_var(*var, new);
                if postfix { old } else { new }
            }
            Place::Map(map, key) => self.lower_map_increment(*map, key.as_deref(), by, postfix, e.span),
        }
    }

    fn lower_address_of(&mut self, place: &Place, e: &Expr) -> ir::Value {
        match place {
            Place::Var(var) => {
                let mem = self.var_place(*var);
                self.addr(mem)
            }
            Place::Map(map, None) => self.map_address(map.0),
            Place::Map(_, Some(_)) => {
                self.unsupported("the address of a map element is", e.span);
                self.iconst(0)
            }
        }
    }

    /// `value + by`.
    pub(crate) fn add_const(&mut self, value: ir::Value, by: i64) -> ir::Value {
        use cranelift_codegen::ir::InstBuilder as _;
        if by == 0 { value } else { self.b.ins().iadd_imm_s(value, by) }
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
fn is_exact(ty: &Ty) -> bool {
    match ty {
        Ty::String(_) | Ty::Buffer(_) | Ty::Tuple(_) | Ty::Record(_) => false,
        Ty::Array(of, _) => is_exact(of),
        _ => true,
    }
}
