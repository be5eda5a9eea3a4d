//! How a probe's body uses its variables, before any of it is lowered.
//!
//! Input    a probe's body
//! Output   [`Usage`]: which variables callbacks share, which may be read before they are assigned,
//!          which always hold the one value assigned to them
//! Breaks   nothing: the tree is only read

use std::collections::{BTreeMap, BTreeSet};

use crate::types::tree::{Block, Expr, ExprKind, Place, Stmt, StmtKind, VarId};

/// Facts about one probe's variables, which are known by the number of their `VarId`.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Used in a loop's callback and outside of it, or their address is taken.
    pub(crate) shared: BTreeSet<u32>,
    /// Some path reads them before it assigns them: they start as zero.
    pub(crate) unassigned: BTreeSet<u32>,
    /// Number of assignments in the text.
    assignments: BTreeMap<u32, u32>,
    /// Some callback leaves the probe.
    pub(crate) returns_from_callback: bool,
    /// The variable is assigned by more than assignment statements.
    changed: BTreeSet<u32>,
}

impl Usage {
    /// Reads a body.
    pub(crate) fn of(body: &Block) -> Usage {
        let mut walk = Walk { usage: Usage::default(), owners: BTreeMap::new(), callbacks: vec![0], next: 1 };
        let mut state = Assigned::default();
        walk.block(body, &mut state);
        let mut usage = walk.usage;
        usage.shared.extend(walk.owners.iter().filter(|(_, owners)| owners.len() > 1).map(|(var, _)| *var));
        usage
    }

    /// True if every read of the variable sees the value of its one assignment.
    pub(crate) fn is_constant(&self, var: VarId) -> bool {
        self.assignments.get(&var.0) == Some(&1)
            && !self.shared.contains(&var.0)
            && !self.unassigned.contains(&var.0)
            && !self.changed.contains(&var.0)
    }
}

/// Variables assigned on every path to a point; `None` for points no path leads to.
#[derive(Clone)]
struct Assigned(Option<BTreeSet<u32>>);

impl Default for Assigned {
    fn default() -> Self {
        Assigned(Some(BTreeSet::new()))
    }
}

impl Assigned {
    fn meet(&mut self, other: Assigned) {
        self.0 = match (self.0.take(), other.0) {
            (Some(a), Some(b)) => Some(a.intersection(&b).copied().collect()),
            (a, b) => a.or(b),
        };
    }
}

struct Walk {
    usage: Usage,
    /// Functions that mention each variable: 0 is the program, others are callbacks.
    owners: BTreeMap<u32, BTreeSet<u32>>,
    callbacks: Vec<u32>,
    next: u32,
}

impl Walk {
    fn mention(&mut self, var: VarId) {
        let owner = *self.callbacks.last().expect("the program itself is never left");
        self.owners.entry(var.0).or_default().insert(owner);
    }

    fn read(&mut self, var: VarId, state: &Assigned) {
        self.mention(var);
        if state.0.as_ref().is_some_and(|assigned| !assigned.contains(&var.0)) {
            self.usage.unassigned.insert(var.0);
        }
    }

    fn assign(&mut self, var: VarId, state: &mut Assigned) {
        self.mention(var);
        *self.usage.assignments.entry(var.0).or_default() += 1;
        if let Some(assigned) = &mut state.0 {
            assigned.insert(var.0);
        }
    }

    fn block(&mut self, block: &Block, state: &mut Assigned) {
        block.stmts.iter().for_each(|stmt| self.stmt(stmt, state));
        block.value.iter().for_each(|value| self.expr(value, state));
    }

    fn stmt(&mut self, stmt: &Stmt, state: &mut Assigned) {
        match &stmt.kind {
            StmtKind::Expr(e) => self.expr(e, state),
            StmtKind::AssignVar { var, value } => {
                self.expr(value, state);
                self.assign(*var, state);
            }
            StmtKind::AssignMap { key, value, .. } => {
                self.exprs(key, state);
                self.expr(value, state);
            }
            StmtKind::Aggregate { key, args, .. } => {
                self.exprs(key, state);
                self.exprs(args, state);
            }
            StmtKind::If { cond, then, otherwise } => self.branches(cond, then, otherwise, state),
            StmtKind::While { cond, body } => {
                self.expr(cond, state);
                self.block(body, &mut state.clone());
            }
            StmtKind::Unroll { body, .. } => self.block(body, state),
            StmtKind::ForRange { var, from, to, body } => {
                self.expr(from, state);
                self.expr(to, state);
                self.callback(*var, body, state);
            }
            StmtKind::ForMap { var, body, .. } => self.callback(*var, body, state),
            StmtKind::Break | StmtKind::Continue => state.0 = None,
            StmtKind::Return(value) => {
                value.iter().for_each(|value| self.expr(value, state));
                self.usage.returns_from_callback |= self.callbacks.len() > 1;
                state.0 = None;
            }
            StmtKind::Block(block) => self.block(block, state),
        }
    }

    fn branches(&mut self, cond: &Expr, then: &Block, otherwise: &Block, state: &mut Assigned) {
        self.expr(cond, state);
        let mut other = state.clone();
        self.block(then, state);
        self.block(otherwise, &mut other);
        state.meet(other);
    }

    fn callback(&mut self, var: VarId, body: &Block, state: &Assigned) {
        self.callbacks.push(self.next);
        self.next += 1;
        let mut inner = state.clone();
        self.assign(var, &mut inner);
        self.block(body, &mut inner);
        self.callbacks.pop();
    }

    fn exprs<'a>(&mut self, exprs: impl IntoIterator<Item = &'a Expr>, state: &mut Assigned) {
        exprs.into_iter().for_each(|e| self.expr(e, state));
    }

    fn expr(&mut self, e: &Expr, state: &mut Assigned) {
        match &e.kind {
            ExprKind::Var(var) => self.read(*var, state),
            ExprKind::Increment { place: Place::Var(var), .. } => {
                self.read(*var, state);
                self.usage.changed.insert(var.0);
            }
            ExprKind::AddressOf(Place::Var(var)) => {
                self.read(*var, state);
                self.usage.shared.insert(var.0);
            }
            ExprKind::Increment { place: Place::Map(_, key), .. }
            | ExprKind::AddressOf(Place::Map(_, key))
            | ExprKind::Map { key, .. } => key.iter().for_each(|key| self.expr(key, state)),
            ExprKind::Unary { operand: e, .. }
            | ExprKind::Cast(e)
            | ExprKind::Field { base: e, .. }
            | ExprKind::Deref(e)
            | ExprKind::TupleField { base: e, .. } => self.expr(e, state),
            ExprKind::Binary { left: a, right: b, .. }
            | ExprKind::Equal { left: a, right: b, .. }
            | ExprKind::Index { base: a, index: b } => {
                self.expr(a, state);
                self.expr(b, state);
            }
            ExprKind::And(a, b) | ExprKind::Or(a, b) => {
                self.expr(a, state);
                self.expr(b, &mut state.clone());
            }
            ExprKind::If { cond, then, otherwise } => self.branches(cond, then, otherwise, state),
            ExprKind::Block(block) => self.block(block, state),
            ExprKind::Tuple(fields) | ExprKind::Record(fields) => self.exprs(fields, state),
            ExprKind::Call { builtin, args } => {
                self.exprs(args, state);
                for arg in args {
                    // Builtins that take a variable by reference assign it (`find`).
                    if let ExprKind::Var(var) = arg.kind
                        && builtin.name == "find"
                    {
                        self.usage.changed.insert(var.0);
                        self.usage.unassigned.insert(var.0);
                    }
                }
                if builtin.name == "exit" {
                    self.usage.returns_from_callback |= self.callbacks.len() > 1;
                    state.0 = None;
                }
            }
            ExprKind::Int(_)
            | ExprKind::Str(_)
            | ExprKind::Unit
            | ExprKind::MapRef(_)
            | ExprKind::Enumerator { .. }
            | ExprKind::Param(_)
            | ExprKind::SizeOf(_)
            | ExprKind::OffsetOf { .. }
            | ExprKind::Arg(_)
            | ExprKind::RetVal => {}
        }
    }
}
