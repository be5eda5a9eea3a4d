//! What the grammar's actions share: spans, ids, the depth limit, and the checks that make good
//! messages only behind the grammar.

use super::ast::*;
use super::token::Token;
use super::visit::for_each_child;
use crate::diag::{Diag, codes};

/// No tree is deeper than this, so that passes may recurse.
pub(crate) const MAX_DEPTH: u16 = 256;

/// State of one parse over the tokens of one item. Positions in the grammar are token indices.
pub(super) struct Builder<'a> {
    tokens: &'a [Token],
    first_id: u32,
    /// The depth of every expression made so far, by id.
    depths: Vec<u16>,
    pub(super) diags: Vec<Diag>,
    too_deep: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(tokens: &'a [Token], first_id: u32) -> Builder<'a> {
        Builder { tokens, first_id, depths: Vec::new(), diags: Vec::new(), too_deep: false }
    }

    pub(super) fn next_id(&self) -> u32 {
        self.first_id + self.depths.len() as u32
    }

    /// The text from token `l` up to token `r`, which is not part of it.
    pub(super) fn span(&self, l: usize, r: usize) -> Span {
        let start = self.tokens.get(l).map_or(0, |t| t.span.start);
        match r.checked_sub(1).and_then(|last| self.tokens.get(last)) {
            Some(last) if r > l => Span::new(start, last.span.end.max(start)),
            _ => Span::new(start, start),
        }
    }

    pub(super) fn name(&self, l: usize, r: usize, text: String) -> Name {
        Name { text, span: self.span(l, r) }
    }

    pub(super) fn expr(&mut self, l: usize, r: usize, kind: ExprKind) -> Expr {
        let span = self.span(l, r);
        let mut expr = Expr { id: ExprId(self.next_id()), kind, span };
        let mut depth = 1;
        for_each_child(&expr, &mut |id| depth = depth.max(self.depth(id) + 1));
        if depth > MAX_DEPTH {
            expr.kind = self.too_deep(span);
            depth = 1;
        }
        self.depths.push(depth);
        expr
    }

    fn depth(&self, id: ExprId) -> u16 {
        self.depths[(id.0 - self.first_id) as usize]
    }

    fn too_deep(&mut self, span: Span) -> ExprKind {
        if !self.too_deep {
            let message = format!("expression nested more than {MAX_DEPTH} levels deep");
            let diag = Diag::error(&codes::TOO_DEEP, message, span, "");
            self.diags.push(diag.help("keep parts of it in variables"));
        }
        self.too_deep = true;
        ExprKind::Error
    }

    pub(super) fn binary(&mut self, l: usize, lhs: Expr, op: (usize, BinOp), rhs: Expr, r: usize) -> Expr {
        let op_span = self.span(op.0, op.0 + 1);
        let kind = ExprKind::Binary { op: op.1, op_span, lhs: Box::new(lhs), rhs: Box::new(rhs) };
        self.expr(l, r, kind)
    }

    pub(super) fn unary(&mut self, l: usize, op: UnaryOp, expr: Expr, r: usize) -> Expr {
        self.expr(l, r, ExprKind::Unary { op, expr: Box::new(expr) })
    }

    pub(super) fn step(&mut self, l: usize, target: Expr, step: Step, fix: Fix, r: usize) -> Expr {
        let kind = match self.expect_place(target, "stepped") {
            Some(place) => ExprKind::IncDec { place: Box::new(place), step, fix },
            None => ExprKind::Error,
        };
        self.expr(l, r, kind)
    }

    pub(super) fn address_of(&mut self, l: usize, target: Expr, r: usize) -> Expr {
        let kind = match target.kind {
            ExprKind::Var(_) => self.expect_place(target, ""),
            ExprKind::Map(MapAccess { ref keys, .. }) if keys.is_empty() => self.expect_place(target, ""),
            ExprKind::Error => None,
            _ => {
                let message = "`&` needs a variable or a whole map";
                self.diags.push(Diag::error(&codes::BAD_TARGET, message, target.span, "has no address"));
                None
            }
        };
        let kind = kind.map_or(ExprKind::Error, |place| ExprKind::AddressOf(Box::new(place)));
        self.expr(l, r, kind)
    }

    pub(super) fn assign(&mut self, target: Expr, op: Option<BinOp>, value: Expr) -> StmtKind {
        match self.expect_place(target, "assigned to") {
            Some(place) => StmtKind::Assign { place, op, value },
            None => StmtKind::Error,
        }
    }

    fn expect_place(&mut self, expr: Expr, verb: &str) -> Option<Place> {
        let Expr { id, kind, span } = expr;
        let kind = match kind {
            ExprKind::Var(text) => PlaceKind::Var(Name { text, span }),
            ExprKind::Map(access) => PlaceKind::Map(access),
            ExprKind::Error => return None,
            other => {
                let message = format!("{} cannot be {verb}", describe(&other));
                let diag = Diag::error(&codes::BAD_TARGET, message, span, "not a variable or map entry");
                let member = matches!(other, ExprKind::Field { .. } | ExprKind::Index { .. });
                let note = "tuples, records and memory of the traced program cannot be changed";
                self.diags.push(if member { diag.note(note) } else { diag });
                return None;
            }
        };
        Some(Place { id, kind, span })
    }

    pub(super) fn for_iter(&mut self, start: Expr, end: Option<Expr>) -> Option<ForIter> {
        match (start, end) {
            (start, Some(end)) => Some(ForIter::Range { start, end }),
            (Expr { kind: ExprKind::Map(MapAccess { name, keys }), .. }, None) if keys.is_empty() => {
                Some(ForIter::Map(name))
            }
            (Expr { kind: ExprKind::Error, .. }, None) => None,
            (other, None) => {
                let message = format!("cannot loop over {}", describe(&other.kind));
                let diag = Diag::error(&codes::BAD_TARGET, message, other.span, "not a map or range");
                self.diags.push(diag.help("loop over a map `@m` or a range `0..10`"));
                None
            }
        }
    }

    /// `string[N]` and its kind carry a size, other types with `[N]` are arrays.
    pub(super) fn array(&mut self, l: usize, elem: TypeSpec, len: Option<u64>, r: usize) -> TypeSpec {
        let kind = match elem.kind {
            TypeSpecKind::Named { tag: None, name }
                if matches!(name.as_str(), "string" | "buffer" | "inet") =>
            {
                TypeSpecKind::Sized { name, size: len }
            }
            _ => TypeSpecKind::Array(Box::new(elem), len),
        };
        self.type_spec(l, kind, r)
    }

    pub(super) fn type_spec(&mut self, l: usize, kind: TypeSpecKind, r: usize) -> TypeSpec {
        let span = self.span(l, r);
        // Types have no ids; a chain of suffixes is as long as its tokens.
        let kind = match kind {
            TypeSpecKind::Pointer(_) | TypeSpecKind::Array(..) if r - l > usize::from(MAX_DEPTH) => {
                self.too_deep(span);
                TypeSpecKind::Named { tag: None, name: "void".to_owned() }
            }
            kind => kind,
        };
        TypeSpec { kind, span }
    }
}

/// Moves the tail of a body that has no value into its statements.
pub(super) fn without_tail(mut block: Block) -> Block {
    if let Some(tail) = block.tail.take() {
        block.stmts.push(Stmt { span: tail.span, kind: StmtKind::Expr(*tail) });
    }
    block
}

/// A block from its statements; a last expression without `;` is the tail.
pub(super) fn block(mut stmts: Vec<Stmt>, last: Option<Stmt>, span: Span) -> Block {
    let is_if_or_block = |s: &Stmt| match &s.kind {
        StmtKind::Expr(e) => matches!(e.kind, ExprKind::If { .. } | ExprKind::Block(_)) && s.span == e.span,
        _ => false,
    };
    let last = last.or_else(|| stmts.pop_if(|s| is_if_or_block(s)));
    let tail = match last {
        Some(Stmt { kind: StmtKind::Expr(expr), .. }) => Some(Box::new(expr)),
        Some(stmt) => {
            stmts.push(stmt);
            None
        }
        None => None,
    };
    Block { stmts, tail, span }
}

fn describe(kind: &ExprKind) -> &'static str {
    match kind {
        ExprKind::Int(_) => "a number",
        ExprKind::Str(_) => "a string",
        ExprKind::Bool(_) => "a truth value",
        ExprKind::Ident(_) => "a builtin or constant",
        ExprKind::Call { .. } => "the result of a call",
        ExprKind::Param(_) | ExprKind::ParamCount => "a script parameter",
        ExprKind::Field { .. } => "a field",
        ExprKind::Index { .. } => "an element",
        ExprKind::Tuple(_) => "a tuple",
        ExprKind::Record(_) => "a record",
        ExprKind::Cast { .. } => "a cast",
        ExprKind::Map(_) => "a map entry",
        ExprKind::Var(_) => "a variable",
        ExprKind::Unary { .. }
        | ExprKind::IncDec { .. }
        | ExprKind::AddressOf(_)
        | ExprKind::Binary { .. }
        | ExprKind::Ternary { .. }
        | ExprKind::If { .. }
        | ExprKind::Block(_)
        | ExprKind::Sizeof(_)
        | ExprKind::Offsetof { .. }
        | ExprKind::Typeinfo(_)
        | ExprKind::Comptime(_)
        | ExprKind::Error => "the result of an expression",
    }
}
