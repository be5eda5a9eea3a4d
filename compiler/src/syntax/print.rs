//! The stable text form of a tree (`--emit=ast`): nested lists, one line each while they fit.

use std::fmt::Write;

use super::ast::*;
use super::path::PathPart;

/// Lines are broken when a list would be longer than this.
const WIDTH: usize = 96;

/// The whole script.
pub fn print_script(script: &Script) -> String {
    let mut items = Vec::new();
    items.extend(script.c_items.iter().map(|item| list("c", [Node::Word(format!("{:?}", item.text))])));
    items.extend(script.config.as_ref().map(config));
    items.extend(script.imports.iter().map(import));
    items.extend(script.map_decls.iter().map(map_decl));
    items.extend(script.macros.iter().map(macro_def));
    items.extend(script.subprograms.iter().map(subprogram));
    items.extend(script.probes.iter().map(probe));
    let mut out = String::new();
    for item in &items {
        item.layout(0, &mut out);
        out.push('\n');
    }
    out
}

/// An expression on one line.
pub fn print_expr(e: &Expr) -> String {
    expr(e).flat()
}

/// A type as it is spelled in the language.
pub fn print_type(ty: &TypeSpec) -> String {
    let len = |n: &Option<u64>| n.map_or(String::new(), |n| n.to_string());
    match &ty.kind {
        TypeSpecKind::Named { tag: Some(tag), name } => format!("{} {name}", tag.keyword()),
        TypeSpecKind::Named { tag: None, name } => name.clone(),
        TypeSpecKind::Sized { name, size } => format!("{name}[{}]", len(size)),
        TypeSpecKind::Pointer(inner) => format!("{}*", print_type(inner)),
        TypeSpecKind::Array(elem, n) => format!("{}[{}]", print_type(elem), len(n)),
        TypeSpecKind::Typeof(of) => match &**of {
            TypeOrExpr::Type(ty) => format!("typeof({})", print_type(ty)),
            TypeOrExpr::Expr(e) => format!("typeof({})", print_expr(e)),
        },
    }
}

/// A word or a list.
enum Node {
    Word(String),
    List(Vec<Node>),
}

impl Node {
    fn flat(&self) -> String {
        match self {
            Node::Word(word) => word.clone(),
            Node::List(items) => {
                format!("({})", items.iter().map(Node::flat).collect::<Vec<_>>().join(" "))
            }
        }
    }

    /// Whether the node fits in `width`; looks at no more of it than that.
    fn fits(&self, width: usize) -> Option<usize> {
        match self {
            Node::Word(word) => width.checked_sub(word.len()),
            Node::List(items) => {
                items.iter().try_fold(width.checked_sub(1)?, |left, item| item.fits(left)?.checked_sub(1))
            }
        }
    }

    fn layout(&self, indent: usize, out: &mut String) {
        match self {
            Node::List(items) if self.fits(WIDTH.saturating_sub(indent)).is_none() => {
                // The words in front stay on the line of the bracket.
                let mut apart = false;
                out.push('(');
                for (i, item) in items.iter().enumerate() {
                    apart |= matches!(item, Node::List(inner) if !inner.is_empty());
                    if apart {
                        let _ = write!(out, "\n{:1$}", "", indent + 2);
                    } else if i > 0 {
                        out.push(' ');
                    }
                    item.layout(indent + 2, out);
                }
                out.push(')');
            }
            _ => out.push_str(&self.flat()),
        }
    }
}

fn word(text: impl Into<String>) -> Node {
    Node::Word(text.into())
}

fn list(head: &str, rest: impl IntoIterator<Item = Node>) -> Node {
    Node::List(std::iter::once(word(head)).chain(rest).collect())
}

fn text(bytes: &[u8]) -> Node {
    word(format!("\"{}\"", bytes.escape_ascii()))
}

fn config(block: &ConfigBlock) -> Node {
    let item = |item: &ConfigItem| {
        let value = match &item.value {
            ConfigValue::Str(s) => text(s),
            ConfigValue::Int(n) => word(n.to_string()),
            ConfigValue::Bool(b) => word(b.to_string()),
            ConfigValue::Word(w) => word(w),
        };
        list(&item.name.text, [value])
    };
    list("config", block.items.iter().map(item))
}

fn import(import: &Import) -> Node {
    list("import", [text(&import.path)])
}

fn map_decl(decl: &MapDecl) -> Node {
    let size = word(decl.max_entries.to_string());
    list("map", [word(format!("@{}", decl.name.text)), word(&decl.kind.text), size])
}

fn macro_def(def: &MacroDef) -> Node {
    let param = |p: &MacroParam| {
        let sigil = match p.kind {
            MacroParamKind::Var => "$",
            MacroParamKind::Map => "@",
            MacroParamKind::Expr => "",
        };
        word(format!("{sigil}{}", p.name.text))
    };
    let params = Node::List(def.params.iter().map(param).collect());
    list("macro", [word(&def.name.text), params, block("do", &def.body)])
}

fn subprogram(f: &Subprogram) -> Node {
    let params = f.params.iter().map(|(name, ty)| word(format!("${}: {}", name.text, print_type(ty))));
    let head = Node::List(params.collect());
    list("fn", [word(&f.name.text), head, word(print_type(&f.ret)), block("do", &f.body)])
}

fn probe(probe: &Probe) -> Node {
    let mut items: Vec<Node> = probe.attach_points.iter().map(attach_point).collect();
    items.extend(probe.predicate.as_ref().map(|p| list("when", [expr(p)])));
    items.push(block("do", &probe.body));
    list("probe", items)
}

fn attach_point(point: &AttachPoint) -> Node {
    let piece = |p: &ApPiece| match p {
        ApPiece::Plain(s) => s.clone(),
        ApPiece::Quoted(s) => format!("{s:?}"),
        ApPiece::Param(n) => format!("${n}"),
    };
    let part = |p: &ApPart| word(p.pieces.iter().map(piece).collect::<String>());
    let name = point.name.iter().map(|n| word(format!("{}=", n.text)));
    list("at", name.chain(point.parts.iter().map(part)))
}

fn block(head: &str, block: &Block) -> Node {
    let tail = block.tail.iter().map(|e| list("value", [expr(e)]));
    list(head, block.stmts.iter().map(stmt).chain(tail))
}

fn stmt(stmt: &Stmt) -> Node {
    match &stmt.kind {
        StmtKind::Expr(e) => expr(e),
        StmtKind::Discard(e) => list("discard", [expr(e)]),
        StmtKind::Let { var, ty, init } => {
            let ty = ty.iter().map(|ty| word(format!(": {}", print_type(ty))));
            let init = init.iter().map(expr);
            list("let", [word(format!("${}", var.text))].into_iter().chain(ty).chain(init))
        }
        StmtKind::Assign { place: target, op, value } => {
            let sign = format!("{}=", op.map_or("", BinOp::symbol));
            list(&sign, [place(target), expr(value)])
        }
        StmtKind::While { cond, body } => list("while", [expr(cond), block("do", body)]),
        StmtKind::Unroll { count, body } => list("unroll", [expr(count), block("do", body)]),
        StmtKind::For { var, iter, body } => {
            let over = match iter {
                ForIter::Map(map) => word(format!("@{}", map.text)),
                ForIter::Range { start, end } => list("..", [expr(start), expr(end)]),
            };
            list("for", [word(format!("${}", var.text)), over, block("do", body)])
        }
        StmtKind::Break => list("break", []),
        StmtKind::Continue => list("continue", []),
        StmtKind::Return(value) => list("return", value.iter().map(expr)),
        StmtKind::Import(item) => import(item),
        StmtKind::Error => list("error", []),
    }
}

fn place(place: &Place) -> Node {
    match &place.kind {
        PlaceKind::Var(name) => word(format!("${}", name.text)),
        PlaceKind::Map(access) => map(access),
    }
}

fn map(access: &MapAccess) -> Node {
    let name = format!("@{}", access.name.text);
    if access.keys.is_empty() { word(name) } else { list(&name, access.keys.iter().map(expr)) }
}

fn operand(operand: &TypeOrExpr) -> Node {
    match operand {
        TypeOrExpr::Type(ty) => list("type", [word(print_type(ty))]),
        TypeOrExpr::Expr(e) => expr(e),
    }
}

fn expr(e: &Expr) -> Node {
    match &e.kind {
        ExprKind::Int(int) => word(int.value.to_string()),
        ExprKind::Str(bytes) => text(bytes),
        ExprKind::Bool(b) => word(b.to_string()),
        ExprKind::Ident(name) => word(name),
        ExprKind::Call { name, args } => {
            let arg = |arg: &Arg| match arg {
                Arg::Expr(e) => expr(e),
                Arg::Type(ty) => word(print_type(ty)),
            };
            list("call", [word(&name.text)].into_iter().chain(args.iter().map(arg)))
        }
        ExprKind::Var(name) => word(format!("${name}")),
        ExprKind::Map(access) => map(access),
        ExprKind::Param(n) => word(format!("${n}")),
        ExprKind::ParamCount => word("$#"),
        ExprKind::Unary { op, expr: e } => list(op.symbol(), [expr(e)]),
        ExprKind::IncDec { place: target, step, fix } => {
            let head = match (step, fix) {
                (Step::Inc, Fix::Prefix) => "++_",
                (Step::Inc, Fix::Postfix) => "_++",
                (Step::Dec, Fix::Prefix) => "--_",
                (Step::Dec, Fix::Postfix) => "_--",
            };
            list(head, [place(target)])
        }
        ExprKind::AddressOf(target) => list("address", [place(target)]),
        ExprKind::Binary { op, lhs, rhs, .. } => list(op.symbol(), [expr(lhs), expr(rhs)]),
        ExprKind::Ternary { cond, then, otherwise } => {
            let head = if then.is_some() { "?" } else { "?:" };
            let then = then.iter().map(|e| expr(e));
            list(head, [expr(cond)].into_iter().chain(then).chain([expr(otherwise)]))
        }
        ExprKind::Field { base, field, .. } => {
            let field = match field {
                Field::Name(name) => name.clone(),
                Field::Index(n) => n.to_string(),
            };
            list(".", [expr(base), word(field)])
        }
        ExprKind::Index { base, index } => list("index", [expr(base), expr(index)]),
        ExprKind::Cast { ty, expr: e } => list("cast", [word(print_type(ty)), expr(e)]),
        ExprKind::Tuple(items) => list("tuple", items.iter().map(expr)),
        ExprKind::Record(fields) => {
            let field = |(name, value): &(Name, Expr)| list(&name.text, [expr(value)]);
            list("record", fields.iter().map(field))
        }
        ExprKind::If { cond, then, otherwise } => {
            let otherwise = otherwise.iter().map(|e| list("else", [expr(e)]));
            list("if", [expr(cond), block("do", then)].into_iter().chain(otherwise))
        }
        ExprKind::Block(b) => block("block", b),
        ExprKind::Sizeof(of) => list("sizeof", [operand(of)]),
        ExprKind::Offsetof { base, path } => {
            let path: Vec<String> = path.iter().enumerate().map(path_part).collect();
            list("offsetof", [operand(base), word(path.concat())])
        }
        ExprKind::Typeinfo(of) => list("typeinfo", [operand(of)]),
        ExprKind::Comptime(e) => list("comptime", [expr(e)]),
        ExprKind::Error => word("error"),
    }
}

fn path_part((at, part): (usize, &PathPart)) -> String {
    match part {
        PathPart::Member(name) if at == 0 => name.text.clone(),
        PathPart::Member(name) => format!(".{}", name.text),
        PathPart::Element(index, _) => format!("[{index}]"),
    }
}
