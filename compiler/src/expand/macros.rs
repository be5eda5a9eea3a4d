//! The macros of a script: which definitions there are, what they may contain, which one a call means.

use std::collections::{BTreeMap, BTreeSet};

use super::c::Definitions;
use super::replace::Expander;
use crate::diag::{Diag, codes};
use crate::syntax::ast::*;
use crate::syntax::visit::*;

/// The definitions by name, in source order.
pub(super) type Macros = BTreeMap<String, Vec<MacroDef>>;

/// Replaces every use of a macro or `#define` in the script and takes the definitions out of it.
pub(super) fn expand_macros(script: &mut Script, defines: &Definitions<'_>, diags: &mut Vec<Diag>) {
    let mut macros = Macros::new();
    let defs = std::mem::take(&mut script.macros);
    let names: BTreeSet<String> = defs.iter().map(|def| def.name.text.clone()).collect();
    for def in defs {
        check_definition(&def, &names, diags);
        let overloads = macros.entry(def.name.text.clone()).or_default();
        let same = |d: &&MacroDef| d.params.iter().map(|p| p.kind).eq(def.params.iter().map(|p| p.kind));
        match overloads.iter().find(same) {
            None => overloads.push(def),
            Some(first) => {
                let message = format!("macro `{}` is defined twice", signature(&def));
                let diag = Diag::error(&codes::DUPLICATE_MACRO, message, def.name.span, "second definition");
                diags.push(diag.also(first.name.span, "first definition"));
            }
        }
    }
    let mut expander = Expander::new(&macros, defines, script.next_expr_id);
    for probe in &mut script.probes {
        if let Some(predicate) = &mut probe.predicate {
            expander.visit_expr(predicate);
        }
        expander.visit_block(&mut probe.body);
    }
    diags.append(&mut expander.diags);
    script.expansions = std::mem::take(&mut expander.expansions);
    script.next_expr_id = expander.next_id;
}

/// `name($a, @b, c)`.
fn signature(def: &MacroDef) -> String {
    let param = |p: &MacroParam| match p.kind {
        MacroParamKind::Var => format!("${}", p.name.text),
        MacroParamKind::Map => format!("@{}", p.name.text),
        MacroParamKind::Expr => p.name.text.clone(),
    };
    format!("{}({})", def.name.text, def.params.iter().map(param).collect::<Vec<_>>().join(", "))
}

/// The definition a call means: one that binds by reference is preferred.
pub(super) fn choose<'a>(overloads: &'a [MacroDef], args: &[Arg]) -> Option<(usize, &'a MacroDef)> {
    let fits = |def: &MacroDef| {
        def.params.len() == args.len() && def.params.iter().zip(args).all(|(p, arg)| accepts(p.kind, arg))
    };
    let by_reference = |def: &MacroDef| def.params.iter().filter(|p| p.kind != MacroParamKind::Expr).count();
    // The first of equals, so that the choice does not depend on what follows.
    let candidates = overloads.iter().enumerate().filter(|(_, def)| fits(def));
    candidates.rev().max_by_key(|(_, def)| by_reference(def))
}

fn accepts(kind: MacroParamKind, arg: &Arg) -> bool {
    match (kind, arg) {
        (MacroParamKind::Expr, _) => true,
        (MacroParamKind::Var, Arg::Expr(e)) => matches!(e.kind, ExprKind::Var(_)),
        (MacroParamKind::Map, Arg::Expr(e)) => matches!(&e.kind, ExprKind::Map(m) if m.keys.is_empty()),
        (MacroParamKind::Var | MacroParamKind::Map, Arg::Type(_)) => false,
    }
}

/// The diagnostic for a call that no definition accepts.
pub(super) fn no_match(name: &Name, overloads: &[MacroDef]) -> Diag {
    let message = format!("call of `{}` has arguments that match none of its definitions", name.text);
    let diag = Diag::error(&codes::NO_MATCH, message, name.span, "");
    overloads.iter().fold(diag, |diag, def| diag.also(def.name.span, format!("takes `{}`", signature(def))))
}

/// What is wrong with a definition whoever calls it.
fn check_definition(def: &MacroDef, macros: &BTreeSet<String>, diags: &mut Vec<Diag>) {
    for (i, param) in def.params.iter().enumerate() {
        let same = |p: &&MacroParam| p.kind == param.kind && p.name.text == param.name.text;
        if let Some(first) = def.params[..i].iter().find(same) {
            let message = format!("macro `{}` has two parameters of one name", def.name.text);
            let diag = Diag::error(&codes::DUPLICATE_MACRO, message, param.name.span, "second parameter");
            diags.push(diag.also(first.name.span, "first parameter"));
        }
    }
    let names = |kind: MacroParamKind| {
        let params = def.params.iter().filter(move |p| p.kind == kind);
        params.map(|p| p.name.text.clone()).collect::<Vec<_>>()
    };
    let mut declared = Declared { vars: names(MacroParamKind::Var), macros };
    declared.visit_block(&def.body);
    let mut check = Check { maps: names(MacroParamKind::Map), vars: declared.vars, loops: 0, diags };
    check.visit_block(&def.body);
}

/// Collects the variables a macro makes, and those it hands to other macros, which may make them.
struct Declared<'a> {
    vars: Vec<String>,
    macros: &'a BTreeSet<String>,
}

impl Visit for Declared<'_> {
    fn visit_stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Let { var, .. } | StmtKind::For { var, .. } => self.vars.push(var.text.clone()),
            StmtKind::Assign { place: Place { kind: PlaceKind::Var(var), .. }, op: None, .. } => {
                self.vars.push(var.text.clone());
            }
            _ => {}
        }
        walk_stmt(self, stmt);
    }

    fn visit_expr(&mut self, expr: &Expr) {
        if let ExprKind::Call { name, args } = &expr.kind
            && self.macros.contains(&name.text)
        {
            for arg in args {
                if let Arg::Expr(Expr { kind: ExprKind::Var(name), .. }) = arg {
                    self.vars.push(name.clone());
                }
            }
        }
        walk_expr(self, expr);
    }
}

/// Looks for maps and variables from outside and for jumps that would leave the macro.
struct Check<'d> {
    maps: Vec<String>,
    vars: Vec<String>,
    loops: u32,
    diags: &'d mut Vec<Diag>,
}

impl Check<'_> {
    fn check_map(&mut self, name: &Name) {
        if !self.maps.contains(&name.text) {
            let message = format!("macro uses the map `@{}` without being given it", name.text);
            let diag = Diag::error(&codes::UNHYGIENIC, message, name.span, "");
            self.diags.push(diag.help(format!("add a parameter `@{}` and pass the map", name.text)));
        }
    }

    fn check_var(&mut self, name: &str, span: Span) {
        if !self.vars.iter().any(|v| v == name) {
            let message = format!("macro uses the variable `${name}` without being given it");
            let diag = Diag::error(&codes::UNHYGIENIC, message, span, "");
            self.diags.push(diag.help(format!("add a parameter `${name}` and pass the variable")));
        }
    }

    fn jump(&mut self, what: &str, span: Span) {
        let message = format!("`{what}` would leave the macro");
        self.diags.push(Diag::error(&codes::JUMP_IN_MACRO, message, span, ""));
    }
}

impl Visit for Check<'_> {
    fn visit_stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Return(_) => self.jump("return", stmt.span),
            StmtKind::Break if self.loops == 0 => self.jump("break", stmt.span),
            StmtKind::Continue if self.loops == 0 => self.jump("continue", stmt.span),
            StmtKind::For { iter: ForIter::Map(name), .. } => self.check_map(name),
            _ => {}
        }
        let is_loop =
            matches!(stmt.kind, StmtKind::For { .. } | StmtKind::While { .. } | StmtKind::Unroll { .. });
        self.loops += u32::from(is_loop);
        walk_stmt(self, stmt);
        self.loops -= u32::from(is_loop);
    }

    fn visit_place(&mut self, place: &Place) {
        if let PlaceKind::Var(name) = &place.kind {
            self.check_var(&name.text, name.span);
        }
        walk_place(self, place);
    }

    fn visit_map(&mut self, map: &MapAccess) {
        self.check_map(&map.name);
        walk_map(self, map);
    }

    fn visit_expr(&mut self, expr: &Expr) {
        if let ExprKind::Var(name) = &expr.kind {
            self.check_var(name, expr.span);
        }
        walk_expr(self, expr);
    }
}
