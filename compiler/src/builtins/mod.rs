//! Builtins: one record each, with everything the compiler knows of it.

use crate::diag::Diag;
use crate::lower::{Lower, Value};
use crate::syntax::ast::Span;
use crate::types::{Check, Ty, tree::Expr};

/// A function or variable of the language.
pub struct Builtin {
    /// Name in the script.
    pub name: &'static str,
    /// Fewest and most arguments.
    pub arity: (usize, usize),
    /// What the kind of argument and the rest of the script decide.
    pub check: fn(&mut Check<'_>, &mut Call) -> Result<Ty, Diag>,
    /// CLIF for it, and the value it yields.
    pub lower: fn(&mut Lower<'_>, &Expr, &[Expr]) -> Value,
    /// True if it changes the system and needs `--unsafe`.
    pub changes_system: bool,
}

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A call as `check` sees it: arguments typed, to be converted in place.
pub struct Call {
    /// Arguments; a map passed by reference is a `MapRef`.
    pub args: Vec<Expr>,
    /// The whole call.
    pub span: Span,
}
