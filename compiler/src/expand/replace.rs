//! Puts the bodies of macros and `#define`s where they are used.
//!
//! One walk does it: arguments are finished in the scope of the call before the body is copied, the
//! body is walked in a scope that binds its parameters, and whatever it copies gets new ids.

use std::collections::{BTreeMap, BTreeSet};

use super::c::{Constant, Define, Definitions};
use super::macros::{Macros, choose, no_match};
use crate::diag::{Diag, codes};
use crate::syntax::ast::*;
use crate::syntax::visit::*;
use crate::syntax::{MAX_DEPTH, Origin, parse_expr};

/// Expansion makes no more expressions than this.
const MAX_MADE: u32 = 65_536;

pub(super) struct Expander<'a, 'd> {
    macros: &'a Macros,
    defines: &'a Definitions<'d>,
    /// The next free id; ids only grow, so an expansion owns a range of them.
    pub(super) next_id: u32,
    pub(super) expansions: Vec<Expansion>,
    pub(super) diags: Vec<Diag>,
    first_id: u32,
    /// Bindings of the macro whose body is walked; none in the script's own text.
    scope: Option<Scope>,
    /// Macros being expanded, by name and overload, and `#define`s by name.
    active: Vec<(String, Option<usize>)>,
    /// `#define`s that were reported as no expression.
    bad_defines: BTreeSet<String>,
    depth: u16,
    renames: u32,
    stopped: bool,
}

#[derive(Default)]
struct Scope {
    exprs: BTreeMap<String, Arg>,
    /// Names in the body to names in the script, for parameters and the body's own variables.
    vars: BTreeMap<String, String>,
    maps: BTreeMap<String, String>,
    /// What makes the body's own variables different from all others.
    suffix: u32,
}

impl<'a, 'd> Expander<'a, 'd> {
    pub(super) fn new(macros: &'a Macros, defines: &'a Definitions<'d>, next_id: u32) -> Expander<'a, 'd> {
        Expander {
            macros,
            defines,
            next_id,
            expansions: Vec::new(),
            diags: Vec::new(),
            first_id: next_id,
            scope: None,
            active: Vec::new(),
            bad_defines: BTreeSet::new(),
            depth: 0,
            renames: 0,
            stopped: false,
        }
    }

    fn new_id(&mut self) -> ExprId {
        self.next_id += 1;
        ExprId(self.next_id - 1)
    }

    fn stop(&mut self, span: Span) {
        if !self.stopped {
            let message = "the script is too large or too deep with its macros expanded";
            self.diags.push(Diag::error(&codes::TOO_LARGE, message, span, "while expanding this"));
        }
        self.stopped = true;
    }

    fn rename_var(&mut self, name: &mut String) {
        let Some(scope) = &mut self.scope else { return };
        let fresh = || format!("{name}#{}", scope.suffix);
        *name = scope.vars.entry(name.clone()).or_insert_with(fresh).clone();
    }

    fn rename_map(&mut self, name: &mut String) {
        if let Some(actual) = self.scope.as_ref().and_then(|s| s.maps.get(name)) {
            name.clone_from(actual);
        }
    }

    /// A copy of a finished argument with ids of its own.
    fn copy_expr(&mut self, expr: &Expr) -> Expr {
        let mut copy = expr.clone();
        let span = copy.span;
        if Renumber::new(self).run(|r| r.visit_expr(&mut copy)) {
            self.stop(span);
        }
        copy
    }

    fn copy_type(&mut self, ty: &TypeSpec) -> TypeSpec {
        let mut copy = ty.clone();
        let span = copy.span;
        if Renumber::new(self).run(|r| r.visit_type(&mut copy)) {
            self.stop(span);
        }
        copy
    }

    fn bound(&self, name: &str) -> Option<Arg> {
        self.scope.as_ref()?.exprs.get(name).cloned()
    }

    fn replace_ident(&mut self, expr: &mut Expr, name: String) {
        match self.bound(&name) {
            Some(Arg::Expr(arg)) => {
                *expr = self.copy_expr(&arg);
                return;
            }
            Some(Arg::Type(ty)) => {
                let message = format!("parameter `{name}` is a type here, not a value");
                let diag = Diag::error(&codes::NO_MATCH, message, expr.span, "used as a value");
                self.diags.push(diag.also(ty.span, "the argument"));
                expr.kind = ExprKind::Error;
                return;
            }
            None => {}
        }
        let has_plain_form = |overloads: &Vec<MacroDef>| overloads.iter().any(|def| def.params.is_empty());
        if self.macros.get(&name).is_some_and(has_plain_form) {
            self.expand_call(expr, Name { text: name, span: expr.span }, Vec::new());
        } else if let Some(define) = self.defines.define(&name)
            && !define.takes_args
        {
            self.expand_define(expr, &name, &define);
        }
    }

    /// Whether `name` may be expanded inside what is being expanded.
    fn enter(&mut self, name: &str, overload: Option<usize>, span: Span) -> bool {
        let entry = (name.to_owned(), overload);
        let Some(first) = self.active.iter().position(|a| *a == entry) else {
            self.active.push(entry);
            return true;
        };
        let chain: Vec<String> = self.active[first..].iter().map(|(n, _)| format!("`{n}`")).collect();
        let (code, what) = match overload {
            Some(_) => (&codes::RECURSIVE_MACRO, "macro"),
            None => (&codes::RECURSIVE_DEFINE, "`#define`"),
        };
        let diag = Diag::error(code, format!("{what} `{name}` expands itself"), span, "");
        let through = format!("the way is {} and back to `{name}`", chain.join(", "));
        self.diags.push(if chain.len() > 1 { diag.note(through) } else { diag });
        // One report is enough: every other use would find the same circle.
        self.stopped = true;
        false
    }

    fn expand_call(&mut self, expr: &mut Expr, name: Name, args: Vec<Arg>) {
        let macros = self.macros;
        let Some(overloads) = macros.get(&name.text) else { return };
        let Some((index, def)) = choose(overloads, &args) else {
            self.diags.push(no_match(&name, overloads));
            expr.kind = ExprKind::Error;
            return;
        };
        if !self.enter(&name.text, Some(index), name.span) {
            expr.kind = ExprKind::Error;
            return;
        }
        let outer = self.scope.take();
        self.renames += 1;
        self.scope = Some(bind(def, args, self.renames));
        let first_id = ExprId(self.next_id);
        let mut body = def.body.clone();
        self.visit_block(&mut body);
        self.scope = outer;
        self.active.pop();
        let call = expr.span;
        match (body.stmts.is_empty(), body.tail.take()) {
            // Without statements there is nothing to keep apart, and a literal stays a literal.
            (true, Some(tail)) => *expr = Expr { span: call, ..*tail },
            (_, tail) => expr.kind = ExprKind::Block(Block { tail, ..body }),
        }
        self.record(name.text, call, first_id);
    }

    fn expand_define(&mut self, expr: &mut Expr, name: &str, define: &Define) {
        if define.body == name {
            // libc says so to tell that there is an enumerator.
            return;
        }
        if self.bad_defines.contains(name) || !self.enter(name, None, expr.span) {
            expr.kind = ExprKind::Error;
            return;
        }
        let (call, first_id) = (expr.span, ExprId(self.next_id));
        match self.define_value(name, define, call) {
            Ok(mut value) => {
                // The text of a `#define` sees no parameters of a macro.
                let outer = self.scope.take();
                self.visit_expr(&mut value);
                self.scope = outer;
                *expr = Expr { span: call, ..value };
                self.record(name.to_owned(), call, first_id);
            }
            Err(why) => {
                let message = format!("`#define {name}` does not stand for an expression");
                let diag = Diag::error(&codes::BAD_DEFINE, message, expr.span, "used here")
                    .also(define.name_span, "defined here");
                let why = why.into_iter().next().map(|d| d.message);
                self.diags.push(why.into_iter().fold(diag, Diag::note));
                self.bad_defines.insert(name.to_owned());
                expr.kind = ExprKind::Error;
            }
        }
        self.active.pop();
    }

    /// What a `#define` stands for: its text as an expression of the script or, where that is none, its value
    /// in C.
    fn define_value(&mut self, name: &str, define: &Define, call: Span) -> Result<Expr, Vec<Diag>> {
        let origin = Origin { offset: define.body_span.start, expr_id: self.next_id };
        let parsed = parse_expr(&define.body, origin);
        if let (Ok(_), false) = (&parsed, define.only_c)
            && let Ok((mut value, next_id)) = parsed
        {
            self.next_id = next_id;
            if define.in_header {
                // The object names no file of the build host.
                MoveTo(call).visit_expr(&mut value);
            }
            return Ok(value);
        }
        let kind = match (self.defines.constant(name), parsed) {
            (Some(Constant::Int(value)), _) => {
                let int = |value: u128| {
                    let value = u64::try_from(value).unwrap_or(u64::MAX);
                    ExprKind::Int(IntLit { value, duration: false })
                };
                match value.value < 0 {
                    false => int(value.value.unsigned_abs()),
                    true => {
                        let kind = int(value.value.unsigned_abs());
                        let expr = Box::new(Expr { id: self.new_id(), kind, span: call });
                        ExprKind::Unary { op: UnaryOp::Neg, expr }
                    }
                }
            }
            (Some(Constant::Text(text)), _) => ExprKind::Str(text),
            (None, Ok((value, next_id))) => {
                self.next_id = next_id;
                return Ok(value);
            }
            (None, Err(why)) => return Err(why),
        };
        Ok(Expr { id: self.new_id(), kind, span: call })
    }

    fn record(&mut self, name: String, call: Span, first_id: ExprId) {
        let end_id = ExprId(self.next_id);
        self.expansions.push(Expansion { name, call, first_id, end_id });
    }
}

/// Binds the arguments of a call, which the definition accepts.
fn bind(def: &MacroDef, args: Vec<Arg>, suffix: u32) -> Scope {
    let mut scope = Scope { suffix, ..Scope::default() };
    for (param, arg) in def.params.iter().zip(args) {
        let name = param.name.text.clone();
        match (param.kind, arg) {
            (MacroParamKind::Var, Arg::Expr(Expr { kind: ExprKind::Var(actual), .. })) => {
                scope.vars.insert(name, actual);
            }
            (MacroParamKind::Map, Arg::Expr(Expr { kind: ExprKind::Map(actual), .. })) => {
                scope.maps.insert(name, actual.name.text);
            }
            (_, arg) => {
                scope.exprs.insert(name, arg);
            }
        }
    }
    scope
}

impl VisitMut for Expander<'_, '_> {
    fn visit_expr(&mut self, expr: &mut Expr) {
        if self.stopped {
            return;
        }
        if self.depth == MAX_DEPTH || self.next_id - self.first_id > MAX_MADE {
            self.stop(expr.span);
            expr.kind = ExprKind::Error;
            return;
        }
        if self.scope.is_some() {
            expr.id = self.new_id();
        }
        self.depth += 1;
        match &mut expr.kind {
            ExprKind::Ident(name) => {
                let name = std::mem::take(name);
                expr.kind = ExprKind::Ident(name.clone());
                self.replace_ident(expr, name);
            }
            ExprKind::Var(name) => self.rename_var(name),
            ExprKind::Call { name, .. } if self.macros.contains_key(&name.text) => {
                walk_expr_mut(self, expr);
                if let ExprKind::Call { name, args } = std::mem::replace(&mut expr.kind, ExprKind::Error) {
                    self.expand_call(expr, name, args);
                }
            }
            _ => walk_expr_mut(self, expr),
        }
        self.depth -= 1;
    }

    fn visit_stmt(&mut self, stmt: &mut Stmt) {
        match &mut stmt.kind {
            StmtKind::Let { var, .. } => self.rename_var(&mut var.text),
            StmtKind::For { var, iter, .. } => {
                self.rename_var(&mut var.text);
                if let ForIter::Map(name) = iter {
                    self.rename_map(&mut name.text);
                }
            }
            _ => {}
        }
        walk_stmt_mut(self, stmt);
    }

    fn visit_place(&mut self, place: &mut Place) {
        if self.scope.is_some() {
            place.id = self.new_id();
        }
        if let PlaceKind::Var(name) = &mut place.kind {
            self.rename_var(&mut name.text);
        }
        walk_place_mut(self, place);
    }

    fn visit_map(&mut self, map: &mut MapAccess) {
        self.rename_map(&mut map.name.text);
        walk_map_mut(self, map);
    }

    fn visit_type(&mut self, ty: &mut TypeSpec) {
        if let TypeSpecKind::Named { tag: None, name } = &ty.kind
            && let Some(Arg::Type(actual)) = self.bound(name)
        {
            *ty = self.copy_type(&actual);
            return;
        }
        walk_type_mut(self, ty);
    }

    fn visit_operand(&mut self, operand: &mut TypeOrExpr) {
        // A bare name was parsed as a type; only here it is known to be a parameter.
        if let TypeOrExpr::Type(TypeSpec { kind: TypeSpecKind::Named { tag: None, name }, .. }) = operand
            && let Some(Arg::Expr(arg)) = self.bound(name)
        {
            *operand = TypeOrExpr::Expr(self.copy_expr(&arg));
            return;
        }
        walk_operand_mut(self, operand);
    }
}

/// Moves an expression to where it is used.
struct MoveTo(Span);

impl VisitMut for MoveTo {
    fn visit_expr(&mut self, expr: &mut Expr) {
        expr.span = self.0;
        walk_expr_mut(self, expr);
    }
}

/// Gives new ids to a copy.
struct Renumber<'e, 'a, 'd> {
    expander: &'e mut Expander<'a, 'd>,
    depth: u16,
    too_deep: bool,
}

impl<'e, 'a, 'd> Renumber<'e, 'a, 'd> {
    fn new(expander: &'e mut Expander<'a, 'd>) -> Renumber<'e, 'a, 'd> {
        // The copy takes the place of a node that is counted already.
        let depth = expander.depth.saturating_sub(1);
        Renumber { expander, depth, too_deep: false }
    }

    /// Whether the copy made the tree too deep.
    fn run(mut self, walk: impl FnOnce(&mut Self)) -> bool {
        walk(&mut self);
        self.too_deep
    }
}

impl VisitMut for Renumber<'_, '_, '_> {
    fn visit_expr(&mut self, expr: &mut Expr) {
        expr.id = self.expander.new_id();
        if self.depth >= MAX_DEPTH {
            self.too_deep = true;
            expr.kind = ExprKind::Error;
            return;
        }
        self.depth += 1;
        walk_expr_mut(self, expr);
        self.depth -= 1;
    }

    fn visit_place(&mut self, place: &mut Place) {
        place.id = self.expander.new_id();
        walk_place_mut(self, place);
    }
}
