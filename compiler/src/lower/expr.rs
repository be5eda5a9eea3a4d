//! Expressions.
//!
//! A scalar expression yields a CLIF value ([`Lower::lower_scalar`]). Any other is written where it is
//! wanted ([`Lower::lower_into`]), or, if it already lies in readable memory, used where it is
//! ([`Lower::lower_to_memory`]).

use cranelift_codegen::ir;

use super::convert::is_exact;
use super::{Lower, Mem, Region};
use crate::types::tree::{Block, Expr, ExprKind};
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
pub(crate) struct Dest {
    /// The place.
    pub mem: Mem,
    /// All bytes count, also those behind a string's NUL and between a tuple's fields: keys.
    pub exact: bool,
}

impl Dest {
    /// Whether all bytes must be written. On the stack they must: kernels before 6.3 let no helper
    /// read what was never written (`check_stack_range_initialized`).
    pub(crate) fn is_full(self) -> bool {
        self.exact || self.mem.region == Region::Stack
    }
}

impl Lower<'_> {
    /// An expression whose value nobody wants.
    pub(crate) fn lower_effect(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Call { builtin, args } => {
                self.at(e.span);
                if builtin.changes_system {
                    self.object.changes_system.get_or_insert(e.span);
                }
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
    pub(crate) fn lower_scalar(&mut self, e: &Expr) -> ir::Value {
        self.at(e.span);
        match &e.kind {
            ExprKind::Int(value) => self.iconst(*value),
            ExprKind::Var(var) => self.read_var(*var, &e.ty),
            ExprKind::Map { map, key } => self.lower_map_scalar(*map, key.as_deref(), &e.ty, e.span),
            ExprKind::Enumerator { of, name, value } => self.enumerator(*of, name, *value),
            ExprKind::Param(param) => self.parameter(*param),
            ExprKind::SizeOf(of) => self.size_of(*of),
            ExprKind::OffsetOf { of, path, bytes, .. } => self.offset_of(*of, path, *bytes),
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

    /// An object in memory: where it is already, or in a temporary.
    pub(crate) fn lower_to_memory(&mut self, e: &Expr, exact: bool) -> Mem {
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
    pub(crate) fn lower_into(&mut self, e: &Expr, dst: Dest) {
        self.at(e.span);
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
            if dst.is_full() {
                self.zero(dst.mem.plus(end), offset - end);
            }
            self.lower_into(field, Dest { mem: dst.mem.plus(offset), exact: dst.exact });
            end = offset + field.ty.size();
        }
        if dst.is_full() && end < size {
            self.zero(dst.mem.plus(end), size - end);
        }
    }

    /// Where a builtin that yields an object shall write it.
    pub(crate) fn destination(&mut self, e: &Expr) -> Dest {
        match self.pending.take() {
            Some(dst) => dst,
            None => Dest { mem: self.temp(e.ty.size()), exact: false },
        }
    }

    /// `value + by`.
    pub(crate) fn add_const(&mut self, value: ir::Value, by: i64) -> ir::Value {
        use cranelift_codegen::ir::InstBuilder as _;
        if by == 0 { value } else { self.b.ins().iadd_imm_s(value, by) }
    }
}
