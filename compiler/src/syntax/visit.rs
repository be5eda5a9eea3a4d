//! Walks over a tree: `Visit` reads it, `VisitMut` changes it in place. Both go from the outside in
//! and in source order; a method that is overridden decides itself whether to `walk_` further.

use super::ast::*;

macro_rules! walkers {
    ($(#[$doc:meta])* $trait:ident $(#$mutable:tt)?; $block:ident $stmt:ident $place:ident $map:ident
     $expr:ident $ty:ident $operand:ident) => {
        $(#[$doc])*
        pub trait $trait: Sized {
            /// A block, its statements and its tail.
            fn visit_block(&mut self, block: &$($mutable)? Block) {
                $block(self, block);
            }
            /// A statement.
            fn visit_stmt(&mut self, stmt: &$($mutable)? Stmt) {
                $stmt(self, stmt);
            }
            /// A place that is assigned to, stepped or has its address taken.
            fn visit_place(&mut self, place: &$($mutable)? Place) {
                $place(self, place);
            }
            /// A map with its keys, in a place or an expression.
            fn visit_map(&mut self, map: &$($mutable)? MapAccess) {
                $map(self, map);
            }
            /// An expression.
            fn visit_expr(&mut self, expr: &$($mutable)? Expr) {
                $expr(self, expr);
            }
            /// A type.
            fn visit_type(&mut self, ty: &$($mutable)? TypeSpec) {
                $ty(self, ty);
            }
            /// The operand of `sizeof` and its relatives.
            fn visit_operand(&mut self, operand: &$($mutable)? TypeOrExpr) {
                $operand(self, operand);
            }
        }

        /// The parts of a block.
        pub fn $block(v: &mut impl $trait, block: &$($mutable)? Block) {
            for stmt in &$($mutable)? block.stmts {
                v.visit_stmt(stmt);
            }
            if let Some(tail) = &$($mutable)? block.tail {
                v.visit_expr(tail);
            }
        }

        /// The parts of a statement.
        pub fn $stmt(v: &mut impl $trait, stmt: &$($mutable)? Stmt) {
            match &$($mutable)? stmt.kind {
                StmtKind::Expr(e) | StmtKind::Discard(e) | StmtKind::Return(Some(e)) => v.visit_expr(e),
                StmtKind::Let { var: _, ty, init } => {
                    if let Some(ty) = ty {
                        v.visit_type(ty);
                    }
                    if let Some(init) = init {
                        v.visit_expr(init);
                    }
                }
                StmtKind::Assign { place, op: _, value } => {
                    v.visit_place(place);
                    v.visit_expr(value);
                }
                StmtKind::While { cond: e, body } | StmtKind::Unroll { count: e, body } => {
                    v.visit_expr(e);
                    v.visit_block(body);
                }
                StmtKind::For { var: _, iter, body } => {
                    if let ForIter::Range { start, end } = iter {
                        v.visit_expr(start);
                        v.visit_expr(end);
                    }
                    v.visit_block(body);
                }
                StmtKind::Break
                | StmtKind::Continue
                | StmtKind::Return(None)
                | StmtKind::Import(_)
                | StmtKind::Error => {}
            }
        }

        /// The parts of a place.
        pub fn $place(v: &mut impl $trait, place: &$($mutable)? Place) {
            match &$($mutable)? place.kind {
                PlaceKind::Var(_) => {}
                PlaceKind::Map(map) => v.visit_map(map),
            }
        }

        /// The keys of a map.
        pub fn $map(v: &mut impl $trait, map: &$($mutable)? MapAccess) {
            for key in &$($mutable)? map.keys {
                v.visit_expr(key);
            }
        }

        /// The parts of an expression.
        pub fn $expr(v: &mut impl $trait, expr: &$($mutable)? Expr) {
            match &$($mutable)? expr.kind {
                ExprKind::Int(_)
                | ExprKind::Str(_)
                | ExprKind::Bool(_)
                | ExprKind::Ident(_)
                | ExprKind::Var(_)
                | ExprKind::Param(_)
                | ExprKind::ParamCount
                | ExprKind::Error => {}
                ExprKind::Call { name: _, args } => {
                    for arg in args {
                        match arg {
                            Arg::Expr(e) => v.visit_expr(e),
                            Arg::Type(ty) => v.visit_type(ty),
                        }
                    }
                }
                ExprKind::Map(map) => v.visit_map(map),
                ExprKind::Unary { op: _, expr }
                | ExprKind::Comptime(expr)
                | ExprKind::Field { base: expr, .. } => v.visit_expr(expr),
                ExprKind::IncDec { place, .. } | ExprKind::AddressOf(place) => v.visit_place(place),
                ExprKind::Binary { lhs, rhs, .. } => {
                    v.visit_expr(lhs);
                    v.visit_expr(rhs);
                }
                ExprKind::Ternary { cond, then, otherwise } => {
                    v.visit_expr(cond);
                    if let Some(then) = then {
                        v.visit_expr(then);
                    }
                    v.visit_expr(otherwise);
                }
                ExprKind::Index { base, index } => {
                    v.visit_expr(base);
                    v.visit_expr(index);
                }
                ExprKind::Cast { ty, expr } => {
                    v.visit_type(ty);
                    v.visit_expr(expr);
                }
                ExprKind::Tuple(items) => {
                    for item in items {
                        v.visit_expr(item);
                    }
                }
                ExprKind::Record(fields) => {
                    for (_, value) in fields {
                        v.visit_expr(value);
                    }
                }
                ExprKind::If { cond, then, otherwise } => {
                    v.visit_expr(cond);
                    v.visit_block(then);
                    if let Some(otherwise) = otherwise {
                        v.visit_expr(otherwise);
                    }
                }
                ExprKind::Block(block) => v.visit_block(block),
                ExprKind::Sizeof(operand)
                | ExprKind::Typeinfo(operand)
                | ExprKind::Offsetof { base: operand, path: _ } => v.visit_operand(operand),
            }
        }

        /// The parts of a type.
        pub fn $ty(v: &mut impl $trait, ty: &$($mutable)? TypeSpec) {
            match &$($mutable)? ty.kind {
                TypeSpecKind::Named { .. } | TypeSpecKind::Sized { .. } => {}
                TypeSpecKind::Pointer(inner) | TypeSpecKind::Array(inner, _) => v.visit_type(inner),
                TypeSpecKind::Typeof(operand) => v.visit_operand(operand),
            }
        }

        /// The type or expression an operand is.
        pub fn $operand(v: &mut impl $trait, operand: &$($mutable)? TypeOrExpr) {
            match operand {
                TypeOrExpr::Type(ty) => v.visit_type(ty),
                TypeOrExpr::Expr(e) => v.visit_expr(e),
            }
        }
    };
}

walkers! {
    /// Reads a tree.
    Visit;
    walk_block walk_stmt walk_place walk_map walk_expr walk_type walk_operand
}

walkers! {
    /// Changes a tree in place.
    VisitMut #mut;
    walk_block_mut walk_stmt_mut walk_place_mut walk_map_mut walk_expr_mut walk_type_mut walk_operand_mut
}

/// Calls `f` with the id of every expression and place right below an expression, through
/// statements and types, so that each id of a tree belongs to one parent.
pub(super) fn for_each_child(expr: &Expr, f: &mut impl FnMut(ExprId)) {
    struct Children<'a, F>(&'a mut F);
    impl<F: FnMut(ExprId)> Visit for Children<'_, F> {
        fn visit_expr(&mut self, expr: &Expr) {
            (self.0)(expr.id);
        }
        fn visit_place(&mut self, place: &Place) {
            (self.0)(place.id);
        }
    }
    walk_expr(&mut Children(f), expr);
}
