//! The typed tree as text, for `--emit=typed` and tests: one statement a line, types behind `:`.

use super::Ty;
use super::tree::{Binary, Block, Expr, ExprKind, Place, Program, Stmt, StmtKind, Unary, Var};
use crate::fields::Fields;
use std::fmt::Write as _;

/// The whole program as text.
pub fn print(program: &Program, fields: &Fields<'_>) -> String {
    let mut out = String::new();
    for map in &program.maps {
        let key = map.key.as_ref().map_or(String::new(), |key| format!("[{}]", fields.show(key)));
        let _ = writeln!(out, "map {}{key}: {}", map.name, fields.show(&map.value));
    }
    for (index, parameter) in program.parameters.iter().enumerate() {
        let _ = writeln!(out, "parameter {index}: {:?}", parameter.0);
    }
    for probe in &program.probes {
        let _ = writeln!(out, "probe {}", probe.name);
        for var in &probe.vars {
            let _ = writeln!(out, "  var {}: {}", var.name, fields.show(&var.ty));
        }
        let mut printer = Printer { program, vars: &probe.vars, fields, out: &mut out };
        printer.block(&probe.body, 1);
    }
    out
}

struct Printer<'a> {
    program: &'a Program,
    vars: &'a [Var],
    fields: &'a Fields<'a>,
    out: &'a mut String,
}

impl Printer<'_> {
    fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.out, "{:indent$}{text}", "", indent = 2 * depth);
    }

    fn block(&mut self, block: &Block, depth: usize) {
        for stmt in &block.stmts {
            self.stmt(stmt, depth);
        }
        if let Some(value) = &block.value {
            let text = self.expr(value);
            self.line(depth, &format!("value {text}"));
        }
    }

    fn body(&mut self, head: &str, body: &Block, depth: usize) {
        self.line(depth, &format!("{head} {{"));
        self.block(body, depth + 1);
        self.line(depth, "}");
    }

    fn stmt(&mut self, stmt: &Stmt, depth: usize) {
        match &stmt.kind {
            StmtKind::Expr(expr) => {
                let text = self.expr(expr);
                self.line(depth, &text);
            }
            StmtKind::AssignVar { var, value } => {
                let text = format!("{} = {}", self.vars[var.0 as usize].name, self.expr(value));
                self.line(depth, &text);
            }
            StmtKind::AssignMap { map, key, value } => {
                let text = format!("{} = {}", self.map(map.0, key.as_ref()), self.expr(value));
                self.line(depth, &text);
            }
            StmtKind::Aggregate { map, key, agg, args } => {
                let args: Vec<_> = args.iter().map(|arg| self.expr(arg)).collect();
                let text = format!("{} <- {agg:?}({})", self.map(map.0, key.as_ref()), args.join(", "));
                self.line(depth, &text);
            }
            StmtKind::If { cond, then, otherwise } => {
                let head = format!("if {}", self.expr(cond));
                self.body(&head, then, depth);
                if !otherwise.stmts.is_empty() {
                    self.body("else", otherwise, depth);
                }
            }
            StmtKind::While { cond, body } => {
                let head = format!("while {}", self.expr(cond));
                self.body(&head, body, depth);
            }
            StmtKind::Unroll { times, body } => self.body(&format!("unroll {times}"), body, depth),
            StmtKind::ForRange { var, from, to, body } => {
                let name = &self.vars[var.0 as usize].name;
                let head = format!("for {name} in {}..{}", self.expr(from), self.expr(to));
                self.body(&head, body, depth);
            }
            StmtKind::ForMap { var, map, body } => {
                let name = &self.vars[var.0 as usize].name;
                let head = format!("for {name} in {}", self.program.maps[map.0 as usize].name);
                self.body(&head, body, depth);
            }
            StmtKind::Break => self.line(depth, "break"),
            StmtKind::Continue => self.line(depth, "continue"),
            StmtKind::Return(None) => self.line(depth, "return"),
            StmtKind::Return(Some(value)) => {
                let text = format!("return {}", self.expr(value));
                self.line(depth, &text);
            }
            StmtKind::Block(block) => self.body("block", block, depth),
        }
    }

    fn map(&self, map: u32, key: Option<&Expr>) -> String {
        let name = &self.program.maps[map as usize].name;
        key.map_or(name.clone(), |key| format!("{name}[{}]", self.expr(key)))
    }

    fn place(&self, place: &Place) -> String {
        match place {
            Place::Var(var) => self.vars[var.0 as usize].name.clone(),
            Place::Map(map, key) => self.map(map.0, key.as_deref()),
        }
    }

    /// `text:type`.
    fn expr(&self, expr: &Expr) -> String {
        let text = self.untyped(expr);
        match &expr.ty {
            Ty::None => text,
            ty => format!("{text}:{}", self.fields.show(ty)),
        }
    }

    fn list(&self, exprs: &[Expr]) -> String {
        exprs.iter().map(|expr| self.expr(expr)).collect::<Vec<_>>().join(", ")
    }

    fn value_of(&self, block: &Block) -> String {
        let stmts = if block.stmts.is_empty() { "" } else { "…; " };
        block
            .value
            .as_ref()
            .map_or(format!("{{{stmts}}}"), |value| format!("{{{stmts}{}}}", self.expr(value)))
    }

    fn untyped(&self, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Int(bits) => expr.literal().map_or(bits.to_string(), |value| value.to_string()),
            ExprKind::Str(bytes) => format!("\"{}\"", bytes.escape_ascii()),
            ExprKind::Unit => "()".to_owned(),
            ExprKind::Var(var) => self.vars[var.0 as usize].name.clone(),
            ExprKind::Map { map, key } => self.map(map.0, key.as_deref()),
            ExprKind::MapRef(map) => self.program.maps[map.0 as usize].name.clone(),
            ExprKind::Enumerator { name, .. } => name.clone(),
            ExprKind::Param(id) => format!("parameter({})", id.0),
            ExprKind::SizeOf(of) => format!("sizeof({})", self.fields.show(&Ty::Struct(*of))),
            ExprKind::OffsetOf { of, text, .. } => {
                format!("offsetof({}, {text})", self.fields.show(&Ty::Struct(*of)))
            }
            ExprKind::Unary { op, operand } => {
                let op = match op {
                    Unary::Neg => "-",
                    Unary::Not => "!",
                    Unary::BitNot => "~",
                };
                format!("{op}({})", self.expr(operand))
            }
            ExprKind::Binary { op, left, right } => {
                format!("({} {} {})", self.expr(left), symbol(*op), self.expr(right))
            }
            ExprKind::Equal { left, right, negated } => {
                let op = if *negated { "!=" } else { "==" };
                format!("({} {op} {})", self.expr(left), self.expr(right))
            }
            ExprKind::And(left, right) => format!("({} && {})", self.expr(left), self.expr(right)),
            ExprKind::Or(left, right) => format!("({} || {})", self.expr(left), self.expr(right)),
            ExprKind::If { cond, then, otherwise } => {
                format!("if {} {} else {}", self.expr(cond), self.value_of(then), self.value_of(otherwise))
            }
            ExprKind::Block(block) => self.value_of(block),
            ExprKind::Cast(inner) => format!("cast({})", self.expr(inner)),
            ExprKind::Field { base, member } => format!("{}.{}", self.expr(base), member.name),
            ExprKind::Deref(pointer) => format!("*({})", self.expr(pointer)),
            ExprKind::Index { base, index } => format!("{}[{}]", self.expr(base), self.expr(index)),
            ExprKind::TupleField { base, index } => format!("{}.{index}", self.expr(base)),
            ExprKind::Tuple(fields) | ExprKind::Record(fields) => format!("({})", self.list(fields)),
            ExprKind::Arg(index) => format!("args[{index}]"),
            ExprKind::RetVal => "retval".to_owned(),
            ExprKind::Call { builtin, args } => format!("{}({})", builtin.name, self.list(args)),
            ExprKind::Increment { place, by, postfix } => {
                let step = if *by > 0 { "++" } else { "--" };
                let place = self.place(place);
                if *postfix { format!("{place}{step}") } else { format!("{step}{place}") }
            }
            ExprKind::AddressOf(place) => format!("&{}", self.place(place)),
        }
    }
}

fn symbol(op: Binary) -> &'static str {
    match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Mod => "%",
        Binary::BitAnd => "&",
        Binary::BitOr => "|",
        Binary::BitXor => "^",
        Binary::Shl => "<<",
        Binary::Shr => ">>",
        Binary::Eq => "==",
        Binary::Ne => "!=",
        Binary::Lt => "<",
        Binary::Le => "<=",
        Binary::Gt => ">",
        Binary::Ge => ">=",
    }
}
