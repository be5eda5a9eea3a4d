//! Statements.

use cranelift_codegen::ir::InstBuilder as _;

use super::Lower;
use super::expr::Dest;
use crate::types::tree::{Block, Expr, Stmt, StmtKind, VarId};

impl Lower<'_> {
    /// A block; its value, if any, is dropped.
    pub(crate) fn lower_block(&mut self, block: &Block) {
        self.lower_stmts(&block.stmts);
        if let Some(value) = &block.value
            && self.reachable
        {
            self.lower_effect(value);
        }
    }

    /// Statements up to the first behind which nothing can run.
    pub(crate) fn lower_stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            if !self.reachable {
                return;
            }
            let mark = self.mark();
            self.at(stmt.span);
            self.lower_stmt(stmt);
            self.release(mark);
        }
    }

    fn lower_stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Expr(e) => self.lower_effect(e),
            StmtKind::AssignVar { var, value } => self.assign_var(*var, value),
            StmtKind::AssignMap { map, key, value } => {
                self.lower_map_assign(*map, key.as_ref(), value, stmt.span);
            }
            StmtKind::Aggregate { map, key, agg, args } => {
                self.lower_aggregate(*map, key.as_ref(), *agg, args, stmt.span);
            }
            StmtKind::If { cond, then, otherwise } => {
                self.if_expr(cond, |l| l.lower_block(then), |l| l.lower_block(otherwise));
            }
            StmtKind::While { cond, body } => self.lower_while(cond, body),
            StmtKind::Unroll { times, body } => self.lower_unroll(*times, body),
            StmtKind::ForRange { var, from, to, body } => {
                self.lower_for_range(*var, from, to, body, stmt.span)
            }
            StmtKind::ForMap { var, map, body } => self.lower_for_map(*var, *map, body, stmt.span),
            StmtKind::Break => self.lower_break(),
            StmtKind::Continue => self.lower_continue(),
            StmtKind::Return(value) => {
                if let Some(value) = value {
                    self.lower_effect(value);
                }
                self.leave_program();
            }
            StmtKind::Block(block) => self.lower_block(block),
        }
    }

    fn assign_var(&mut self, var: VarId, value: &Expr) {
        let ty = &self.probe.vars[var.0 as usize].ty;
        if self.shared.usage.is_constant(var) && self.is_typed(value) {
            self.shared.typed_vars.insert(var.0);
        }
        if ty.is_scalar() {
            let value = self.lower_scalar(value);
            self.set_var(var, value);
        } else if ty.size() > 0 {
            self.facts.forget_var(&super::keys::var_text(var));
            let mem = self.var_place(var);
            // `$x = f($x)` must not write what it still reads.
            if mentions(value, var) {
                let temp = self.lower_to_memory(value, false);
                let temp = if temp == mem { return } else { temp };
                self.copy(mem, temp, ty.size());
            } else {
                self.lower_into(value, Dest { mem, exact: false });
            }
        } else {
            self.lower_effect(value);
        }
    }

    /// `return`, `exit()`: ends the program from here, also out of loops.
    pub(crate) fn leave_program(&mut self) {
        self.request_stop();
        let exit = self.exit;
        self.b.ins().jump(exit, &[]);
        self.reachable = false;
    }
}

/// Whether an expression may read a variable. Only the ways that yield an object matter.
fn mentions(e: &Expr, var: VarId) -> bool {
    use crate::types::tree::ExprKind as K;
    match &e.kind {
        K::Var(v) => *v == var,
        K::Int(_) | K::Str(_) | K::Unit | K::MapRef(_) | K::Enumerator { .. } | K::Param(_) | K::Arg(_) => {
            false
        }
        K::RetVal => false,
        K::Unary { operand: e, .. } | K::Cast(e) | K::Field { base: e, .. } | K::Deref(e) => mentions(e, var),
        K::TupleField { base, .. } => mentions(base, var),
        K::Map { key, .. } => key.as_ref().is_some_and(|key| mentions(key, var)),
        K::Call { args, .. } => args.iter().any(|arg| mentions(arg, var)),
        K::Tuple(fields) | K::Record(fields) => fields.iter().any(|field| mentions(field, var)),
        K::Binary { left: a, right: b, .. } | K::Index { base: a, index: b } => {
            mentions(a, var) || mentions(b, var)
        }
        _ => true,
    }
}
