//! Statements.

use super::check::{Check, Checked};
use super::infer::counter;
use super::promote::Flex;
use super::tree::{self, Expr, ExprKind, StmtKind};
use super::vars::plain;
use super::{Ty, codes};
use crate::diag::Diag;
use crate::syntax::ast::{self, Span};

impl Check<'_> {
    /// A probe's body, inside its predicate.
    pub(super) fn probe(&mut self, probe: &ast::Probe) -> tree::Block {
        let cond = probe.predicate.as_ref().map(|predicate| self.condition(predicate));
        let body = self.block(&probe.body);
        match cond {
            None => body,
            Some(Err(_)) => body,
            Some(Ok(cond)) => {
                let span = probe.span;
                let otherwise = tree::Block { stmts: Vec::new(), value: None };
                let kind = StmtKind::If { cond, then: body, otherwise };
                tree::Block { stmts: vec![tree::Stmt { kind, span }], value: None }
            }
        }
    }

    /// A block whose value, if any, is dropped.
    pub(super) fn block(&mut self, block: &ast::Block) -> tree::Block {
        self.scopes.push(super::vars::Scope::new());
        let mut stmts = self.statements(block);
        if let Some(tail) = &block.tail
            && let Ok(kind) = self.expression_statement(tail, tail.span)
        {
            stmts.push(tree::Stmt { kind, span: tail.span });
        }
        self.scopes.pop();
        tree::Block { stmts, value: None }
    }

    /// The statements of a block whose scope is open.
    pub(super) fn statements(&mut self, block: &ast::Block) -> Vec<tree::Stmt> {
        let mut stmts = Vec::new();
        let mut left = None;
        for stmt in &block.stmts {
            if let Some(after) = left.take() {
                let diag =
                    Diag::warning(&codes::UNREACHABLE, "unreachable statement", stmt.span, "never runs");
                self.warn(diag.also(after, "leaves here"));
            }
            if let Ok(Some(kind)) = self.statement(stmt) {
                if leaves(&kind) {
                    left = Some(stmt.span);
                }
                stmts.push(tree::Stmt { kind, span: stmt.span });
            }
        }
        stmts
    }

    fn statement(&mut self, stmt: &ast::Stmt) -> Checked<Option<StmtKind>> {
        let node = std::ptr::from_ref(stmt).addr();
        Ok(Some(match &stmt.kind {
            ast::StmtKind::Expr(expr) => self.expression_statement(expr, stmt.span)?,
            ast::StmtKind::Discard(expr) => self.discard(expr, node)?,
            ast::StmtKind::Let { var, ty, init } => {
                return self.let_statement(node, var, ty.as_ref(), init.as_ref());
            }
            ast::StmtKind::Assign { place, op, value } => {
                self.assignment(node, stmt.span, place, *op, value)?
            }
            ast::StmtKind::While { cond, body } => self.while_loop(cond, body, stmt.span)?,
            ast::StmtKind::Unroll { count, body } => self.unroll(count, body)?,
            ast::StmtKind::For { var, iter, body } => self.for_loop(node, var, iter, body)?,
            ast::StmtKind::Break => self.jump(stmt.span, "break", StmtKind::Break)?,
            ast::StmtKind::Continue => self.jump(stmt.span, "continue", StmtKind::Continue)?,
            ast::StmtKind::Return(value) => self.return_statement(value.as_ref())?,
            ast::StmtKind::Import(import) => {
                return Err(self.fail(Diag::unsupported("`import` in a block is", import.span)));
            }
            ast::StmtKind::Error => return Ok(None),
        }))
    }

    fn jump(&mut self, span: Span, word: &str, kind: StmtKind) -> Checked<StmtKind> {
        if self.loops == 0 {
            let message = format!("`{word}` outside of a loop");
            return Err(self.fail(Diag::error(
                &codes::BAD_JUMP,
                message,
                span,
                "nothing to leave or continue",
            )));
        }
        Ok(kind)
    }

    fn return_statement(&mut self, value: Option<&ast::Expr>) -> Checked<StmtKind> {
        let Some(value) = value else { return Ok(StmtKind::Return(None)) };
        let mut value = self.value(value)?;
        let Ty::Int(_) = value.ty else {
            let message = "a probe returns integers only";
            let label = format!("this is {}", self.describe(&value.ty));
            return Err(self.fail(Diag::error(&codes::BAD_JUMP, message, value.span, label)));
        };
        self.convert(&mut value, &Ty::I64);
        Ok(StmtKind::Return(Some(value)))
    }

    fn let_statement(
        &mut self,
        node: usize,
        var: &ast::Name,
        ty: Option<&ast::TypeSpec>,
        init: Option<&ast::Expr>,
    ) -> Checked<Option<StmtKind>> {
        let undeclared = self.check_undeclared(&var.text, var.span);
        self.report(undeclared)?;
        // The variable is not visible in its own initialiser, but is after a failed one.
        let value = init.map(|init| self.value(init));
        let fixed = ty.map(|ty| self.spec(ty, self.space()));
        let id = self.declare(&var.text, node, var.span);
        if init.is_none() {
            self.zero(id);
        }
        if let (Some(ty), Some(Ok(fixed))) = (ty, fixed) {
            self.fix(id, fixed, ty.span);
        }
        match value {
            None if self.var(id).slot.is_none() => {
                let message = format!("variable `${}` is never assigned to", plain(&var.text));
                self.warn(Diag::warning(&codes::UNUSED, message, var.span, ""));
                Ok(None)
            }
            None => Ok(None),
            Some(Err(failed)) => {
                self.poison(id);
                Err(failed)
            }
            Some(Ok(mut value)) => {
                self.check_value(&value)?;
                let assigned = self.assign(id, &mut value);
                self.report(assigned)?;
                Ok(Some(StmtKind::AssignVar { var: id, value }))
            }
        }
    }

    /// `_ = e;`: goes through a variable without a name, so that nothing counts as discarded.
    fn discard(&mut self, expr: &ast::Expr, node: usize) -> Checked<StmtKind> {
        let mut value = self.value(expr)?;
        if !matches!(value.kind, ExprKind::Call { .. }) || value.ty == Ty::None {
            return Ok(StmtKind::Expr(value));
        }
        let id = self.declare("_", node, expr.span);
        let assigned = self.assign(id, &mut value);
        self.report(assigned)?;
        Ok(StmtKind::AssignVar { var: id, value })
    }

    /// A statement that is an expression: `if` and blocks are statements of their own.
    pub(super) fn expression_statement(&mut self, expr: &ast::Expr, span: Span) -> Checked<StmtKind> {
        match &expr.kind {
            ast::ExprKind::If { cond, then, otherwise } => {
                return self.if_statement(cond, then, otherwise.as_deref());
            }
            ast::ExprKind::Ternary { cond, then: Some(then), otherwise } => {
                return self.ternary_statement(cond, then, otherwise);
            }
            ast::ExprKind::Block(block) => return Ok(StmtKind::Block(self.block(block))),
            _ => {}
        }
        let value = self.value(expr)?;
        let used = match &value.kind {
            ExprKind::Increment { .. } => true,
            ExprKind::Call { builtin, .. } => builtin.name == "delete",
            _ => false,
        };
        if !used && value.ty != Ty::None {
            let diag = Diag::warning(&codes::DISCARDED, "return value discarded", span, "not used");
            self.warn(diag.help("write `_ = ` in front if it is meant"));
        }
        Ok(StmtKind::Expr(value))
    }

    /// Requires something that can be kept in a variable or map.
    pub(super) fn check_value(&mut self, value: &Expr) -> Checked<()> {
        let max = self.max_strlen();
        match value.ty {
            Ty::String(size) if size > max && value.text().is_some() => {
                let message = format!("a string of {size} bytes is too long");
                let diag = Diag::error(&codes::BAD_CONSTANT, message, value.span, format!("at most {max}"));
                Err(self.fail(diag.help("raise `max_strlen` in the `config` block")))
            }
            Ty::None | Ty::Void => {
                let message = "an expression without a value is assigned";
                Err(self.fail(Diag::error(&codes::BAD_OPERAND, message, value.span, "has no value")))
            }
            _ => Ok(()),
        }
    }

    fn assignment(
        &mut self,
        node: usize,
        span: Span,
        place: &ast::Place,
        op: Option<ast::BinOp>,
        value: &ast::Expr,
    ) -> Checked<StmtKind> {
        match &place.kind {
            ast::PlaceKind::Var(name) => {
                let value = self.value_for(place, op, value, span);
                let id = match self.lookup(&name.text) {
                    Some(id) => id,
                    // Declared even if the value is wrong, so that its uses are not reported as well.
                    None => self.declare(&name.text, node, name.span),
                };
                let mut value = value.inspect_err(|_| self.poison(id))?;
                self.check_value(&value)?;
                let assigned = self.assign(id, &mut value);
                self.report(assigned)?;
                Ok(StmtKind::AssignVar { var: id, value })
            }
            ast::PlaceKind::Map(access) => self.map_assignment(span, place, access, op, value),
        }
    }

    /// The value assigned: that of the right side, or of the operation.
    fn value_for(
        &mut self,
        place: &ast::Place,
        op: Option<ast::BinOp>,
        value: &ast::Expr,
        span: Span,
    ) -> Checked<Expr> {
        let Some(op) = op else { return self.value(value) };
        let left = self.read_place(place);
        let right = self.value(value);
        let (left, right) = (left?, right?);
        self.binary(op, span, left, right)
    }

    fn map_assignment(
        &mut self,
        span: Span,
        place: &ast::Place,
        access: &ast::MapAccess,
        op: Option<ast::BinOp>,
        value: &ast::Expr,
    ) -> Checked<StmtKind> {
        let map = self.map_id(&access.name.text);
        let key = self.map_access(map, access);
        if op.is_some() && self.map_state(map).value.is_none() {
            let (ty, flex) = counter();
            let assigned = self.map_assign(map, &ty, flex, place.span);
            self.report(assigned)?;
        }
        let value = match op {
            None => self.raw(value),
            Some(_) => self.value_for(place, op, value, span),
        };
        let value = value.inspect_err(|_| self.poison_map(map));
        let (key, value) = (key.inspect_err(|_| self.poison_map(map))?, value?);
        if let (Ty::Agg(agg), ExprKind::Call { .. }) = (&value.ty, &value.kind) {
            let agg = *agg;
            let assigned = self.map_assign(map, &value.ty, Flex::No, value.span);
            let ty = self.report(assigned)?;
            let ExprKind::Call { args, .. } = value.kind else { unreachable!("just seen") };
            let agg = if let Ty::Agg(merged) = ty { merged } else { agg };
            return Ok(StmtKind::Aggregate { map, key, agg, args });
        }
        let mut value = self.settle(value)?;
        self.check_value(&value)?;
        let assigned = self.map_assign(map, &value.ty, Flex::of(&value), value.span);
        let ty = self.report(assigned)?;
        self.convert_warning(&mut value, &ty);
        Ok(StmtKind::AssignMap { map, key, value })
    }
}

/// Whether nothing behind the statement runs.
fn leaves(kind: &StmtKind) -> bool {
    match kind {
        StmtKind::Break | StmtKind::Continue | StmtKind::Return(_) => true,
        StmtKind::Expr(Expr { kind: ExprKind::Call { builtin, .. }, .. }) => builtin.name == "exit",
        _ => false,
    }
}
