//! Branches and loops, as statements and as expressions.

use super::check::{Check, Checked};
use super::promote::{Flex, promote};
use super::tree::{self, Expr, ExprKind, StmtKind};
use super::{Ty, codes};
use crate::diag::Diag;
use crate::syntax::ast::{self, Span};

const UNROLL_MAX: i128 = 100;

impl Check<'_> {
    /// An expression that is zero or not.
    pub(super) fn condition(&mut self, expr: &ast::Expr) -> Checked<Expr> {
        let value = self.value(expr)?;
        self.check_condition(&value)?;
        Ok(value)
    }

    pub(super) fn check_condition(&mut self, value: &Expr) -> Checked<()> {
        if matches!(value.ty, Ty::Int(_) | Ty::Enum(..) | Ty::Bool | Ty::Ptr(..)) {
            return Ok(());
        }
        let message = format!("{} is no condition", self.describe(&value.ty));
        let diag = Diag::error(&codes::BAD_CONDITION, message, value.span, "neither zero nor not");
        Err(self.fail(match value.ty {
            Ty::String(_) => diag.help("compare it with a string: `== \"\"`"),
            _ => diag,
        }))
    }

    /// The value of a condition that must be known now, and whether it was asked to be.
    fn comptime(&mut self, cond: &ast::Expr) -> Option<Checked<bool>> {
        let ast::ExprKind::Comptime(inner) = &cond.kind else { return None };
        Some(self.condition(inner).and_then(|value| {
            let known = value.literal().map(|number| number != 0);
            known.ok_or_else(|| {
                let message = "the condition is not known at compile time";
                self.fail(Diag::error(&codes::NOT_LITERAL, message, inner.span, ""))
            })
        }))
    }

    pub(super) fn if_statement(
        &mut self,
        cond: &ast::Expr,
        then: &ast::Block,
        otherwise: Option<&ast::Expr>,
    ) -> Checked<StmtKind> {
        if let Some(known) = self.comptime(cond) {
            let block = if known? { self.block(then) } else { self.otherwise(otherwise) };
            return Ok(StmtKind::Block(block));
        }
        let cond = self.condition(cond);
        let then = self.block(then);
        let otherwise = self.otherwise(otherwise);
        Ok(StmtKind::If { cond: cond?, then, otherwise })
    }

    /// What follows `else`: a block, or another `if`.
    fn otherwise(&mut self, expr: Option<&ast::Expr>) -> tree::Block {
        match expr {
            None => tree::Block { stmts: Vec::new(), value: None },
            Some(ast::Expr { kind: ast::ExprKind::Block(block), .. }) => self.block(block),
            Some(expr) => self.branch(expr),
        }
    }

    /// An expression as a block of one statement.
    fn branch(&mut self, expr: &ast::Expr) -> tree::Block {
        self.scopes.push(super::vars::Scope::new());
        let kind = self.expression_statement(expr, expr.span);
        self.scopes.pop();
        let stmts = kind.into_iter().map(|kind| tree::Stmt { kind, span: expr.span }).collect();
        tree::Block { stmts, value: None }
    }

    /// `c ? a : b` whose value nobody uses.
    pub(super) fn ternary_statement(
        &mut self,
        cond: &ast::Expr,
        then: &ast::Expr,
        otherwise: &ast::Expr,
    ) -> Checked<StmtKind> {
        let cond = self.condition(cond);
        let then = self.branch(then);
        let otherwise = self.branch(otherwise);
        Ok(StmtKind::If { cond: cond?, then, otherwise })
    }

    /// A block with its value; without one its type is none.
    pub(super) fn block_expr(&mut self, block: &ast::Block) -> Checked<(tree::Block, Ty)> {
        self.scopes.push(super::vars::Scope::new());
        let stmts = self.statements(block);
        let value = block.tail.as_ref().map(|tail| self.value(tail));
        self.scopes.pop();
        let value = value.transpose()?;
        let ty = value.as_ref().map_or(Ty::None, |value| value.ty.clone());
        Ok((tree::Block { stmts, value: value.map(Box::new) }, ty))
    }

    /// `if` as an expression.
    pub(super) fn if_expr(
        &mut self,
        span: Span,
        cond: &ast::Expr,
        then: &ast::Block,
        otherwise: Option<&ast::Expr>,
    ) -> Checked<Expr> {
        if let Some(known) = self.comptime(cond) {
            return match (known?, otherwise) {
                (true, _) => self.block_value(then, span),
                (false, Some(otherwise)) => self.value(otherwise),
                (false, None) => Ok(Expr::new(ExprKind::Unit, Ty::None, span)),
            };
        }
        let cond = self.condition(cond);
        let then = self.block_expr(then);
        let otherwise = match otherwise {
            None => Ok((tree::Block { stmts: Vec::new(), value: None }, Ty::None)),
            Some(ast::Expr { kind: ast::ExprKind::Block(block), .. }) => self.block_expr(block),
            Some(expr) => self.value(expr).map(|value| {
                let ty = value.ty.clone();
                (tree::Block { stmts: Vec::new(), value: Some(Box::new(value)) }, ty)
            }),
        };
        let (cond, (then, _), (otherwise, _)) = (cond?, then?, otherwise?);
        self.join_branches(span, cond, then, otherwise)
    }

    pub(super) fn block_value(&mut self, block: &ast::Block, span: Span) -> Checked<Expr> {
        let (block, ty) = self.block_expr(block)?;
        Ok(Expr::new(ExprKind::Block(block), ty, span))
    }

    /// `c ? a : b`; without `a` it is `c ? c : b`.
    pub(super) fn ternary(
        &mut self,
        span: Span,
        cond: &ast::Expr,
        then: Option<&ast::Expr>,
        otherwise: &ast::Expr,
    ) -> Checked<Expr> {
        let then = self.value(then.unwrap_or(cond));
        let cond = self.condition(cond);
        let otherwise = self.value(otherwise);
        let only = |value: Expr| tree::Block { stmts: Vec::new(), value: Some(Box::new(value)) };
        self.join_branches(span, cond?, only(then?), only(otherwise?))
    }

    /// Both branches converted to one type.
    fn join_branches(
        &mut self,
        span: Span,
        cond: Expr,
        mut then: tree::Block,
        mut otherwise: tree::Block,
    ) -> Checked<Expr> {
        let ty = match (&mut then.value, &mut otherwise.value) {
            (Some(a), Some(b)) if a.ty != Ty::None && b.ty != Ty::None => {
                let Some((ty, _)) = promote((&a.ty, &Flex::of(a)), (&b.ty, &Flex::of(b))) else {
                    let message = "the branches have types that do not go together";
                    let (left, right) = (self.describe(&a.ty), self.describe(&b.ty));
                    let diag = Diag::error(&codes::BAD_OPERAND, message, b.span, right).also(a.span, left);
                    return Err(self.fail(diag));
                };
                self.convert(a, &ty);
                self.convert(b, &ty);
                ty
            }
            _ => Ty::None,
        };
        Ok(Expr::new(ExprKind::If { cond: Box::new(cond), then, otherwise }, ty, span))
    }

    pub(super) fn while_loop(
        &mut self,
        cond: &ast::Expr,
        body: &ast::Block,
        span: Span,
    ) -> Checked<StmtKind> {
        let head = Span::new(span.start, cond.span.end);
        self.warn(
            Diag::warning(&codes::WHILE_DEPRECATED, "`while` is deprecated", head, "")
                .help("use `for ($i : 0..10) { }`"),
        );
        let cond = self.condition(cond);
        let body = self.loop_body(body);
        Ok(StmtKind::While { cond: cond?, body })
    }

    pub(super) fn unroll(&mut self, count: &ast::Expr, body: &ast::Block) -> Checked<StmtKind> {
        let count = self.value(count);
        let body = self.loop_body(body);
        let count = count?;
        let Some(times) = count.literal() else {
            let message = "`unroll` wants an integer literal";
            return Err(self.fail(Diag::error(
                &codes::NOT_LITERAL,
                message,
                count.span,
                "not known at compile time",
            )));
        };
        if !(1..=UNROLL_MAX).contains(&times) {
            let message = format!("`unroll` repeats 1 to {UNROLL_MAX} times");
            return Err(self.fail(Diag::error(
                &codes::BAD_CONSTANT,
                message,
                count.span,
                format!("this is {times}"),
            )));
        }
        Ok(StmtKind::Unroll { times: u32::try_from(times).expect("at most UNROLL_MAX"), body })
    }

    fn loop_body(&mut self, body: &ast::Block) -> tree::Block {
        self.loops += 1;
        let body = self.block(body);
        self.loops -= 1;
        body
    }

    pub(super) fn for_loop(
        &mut self,
        node: usize,
        var: &ast::Name,
        iter: &ast::ForIter,
        body: &ast::Block,
    ) -> Checked<StmtKind> {
        let undeclared = self.check_undeclared(&var.text, var.span);
        self.report(undeclared)?;
        match iter {
            ast::ForIter::Range { start, end } => self.for_range(node, var, (start, end), body),
            ast::ForIter::Map(name) => self.for_map(node, var, name, body),
        }
    }

    fn for_range(
        &mut self,
        node: usize,
        var: &ast::Name,
        (start, end): (&ast::Expr, &ast::Expr),
        body: &ast::Block,
    ) -> Checked<StmtKind> {
        let bounds = (self.value(start), self.value(end));
        let bounds = match bounds {
            (Ok(from), Ok(to)) => self.range_type(from, to),
            (from, to) => from.and(to).map(|_| unreachable!("one of them failed")),
        };
        self.scopes.push(super::vars::Scope::new());
        let id = self.declare(&var.text, node, var.span);
        let bounds = bounds.and_then(|(from, to)| {
            let widened = self.widen(id, &from.ty.clone(), Flex::No, var.span);
            self.report(widened).map(|ty| (from, to, ty))
        });
        let body = self.for_body(body);
        self.scopes.pop();
        let (mut from, mut to, ty) = bounds?;
        self.convert(&mut from, &ty);
        self.convert(&mut to, &ty);
        Ok(StmtKind::ForRange { var: id, from, to, body })
    }

    fn range_type(&mut self, mut from: Expr, mut to: Expr) -> Checked<(Expr, Expr)> {
        for bound in [&from, &to] {
            if !matches!(bound.ty, Ty::Int(_) | Ty::Enum(..)) {
                let message = "a range goes over integers";
                let label = format!("this is {}", self.describe(&bound.ty));
                return Err(self.fail(Diag::error(&codes::BAD_OPERAND, message, bound.span, label)));
            }
        }
        let promoted = promote((&from.ty, &Flex::of(&from)), (&to.ty, &Flex::of(&to)));
        let ty = match promoted {
            Some((Ty::Enum(int, _), _)) => Ty::Int(int),
            Some((ty, _)) => ty,
            None => Ty::I64,
        };
        self.convert(&mut from, &ty);
        self.convert(&mut to, &ty);
        Ok((from, to))
    }

    fn for_map(
        &mut self,
        node: usize,
        var: &ast::Name,
        name: &ast::Name,
        body: &ast::Block,
    ) -> Checked<StmtKind> {
        let map = self.map_id(&name.text);
        let entry = self.entry_type(map, name);
        self.scopes.push(super::vars::Scope::new());
        let id = self.declare(&var.text, node, var.span);
        let entry = entry.and_then(|ty| {
            let widened = self.widen(id, &ty, Flex::No, var.span);
            self.report(widened)
        });
        let body = self.for_body(body);
        self.scopes.pop();
        entry.map(|_| StmtKind::ForMap { var: id, map, body })
    }

    /// `(key, value)` of the map's entries.
    fn entry_type(&mut self, map: tree::MapId, name: &ast::Name) -> Checked<Ty> {
        if self.map_is_scalar(map) {
            let message = format!("map `@{}` has no keys to go over", name.text);
            return Err(self.fail(Diag::error(&codes::SCALAR_OR_KEYED, message, name.span, "a scalar map")));
        }
        let value = self.map_type(map, name.span)?;
        let Some(key) = self.map_state(map).key.as_ref().map(|slot| slot.ty.clone()) else {
            let message = format!("the keys of map `@{}` are not known", name.text);
            return Err(self.fail(Diag::error(&codes::UNDEFINED_MAP, message, name.span, "")));
        };
        Ok(Ty::Tuple(vec![key, value]))
    }

    fn for_body(&mut self, body: &ast::Block) -> tree::Block {
        self.for_loops += 1;
        let body = self.loop_body(body);
        self.for_loops -= 1;
        body
    }
}
