//! What is known of the scratch variables of one program so far.

use super::check::Check;
use super::maps::Slot;
use super::promote::{Flex, holds, promote, untyped};
use super::tree::{Expr, VarId};
use super::{Int, Ty, codes};
use crate::diag::Diag;
use crate::syntax::ast::Span;
use std::collections::HashMap;

/// Variables of one program; they outlive a pass.
#[derive(Debug, Default)]
pub(super) struct Vars {
    pub(super) all: Vec<VarState>,
    /// By the address of the node that declares them, which is theirs alone.
    by_node: HashMap<usize, VarId>,
}

#[derive(Debug)]
pub(super) struct VarState {
    /// Without the `$`.
    pub(super) name: String,
    pub(super) slot: Option<Slot>,
    /// Declared with a type, which no assignment changes.
    pub(super) fixed: bool,
    pub(super) declared: Span,
    /// Its last assignment was wrong; uses are not reported as well.
    pub(super) poisoned: bool,
    /// Declared without a value: it may be zero, which the verifier does not take for a typed pointer.
    pub(super) zeroed: bool,
}

/// The name as the script has it: expansion numbers the variables of macros.
pub(super) fn plain(name: &str) -> &str {
    name.split('#').next().unwrap_or(name)
}

/// Names visible in one block.
pub(super) type Scope = HashMap<String, VarId>;

impl Check<'_> {
    /// The visible variable of this name.
    pub(super) fn lookup(&self, name: &str) -> Option<VarId> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name).copied())
    }

    /// Declares a variable in the innermost block. `node` is the address of the declaring node.
    pub(super) fn declare(&mut self, name: &str, node: usize, span: Span) -> VarId {
        let vars = &mut self.vars;
        let id = *vars.by_node.entry(node).or_insert_with(|| {
            vars.all.push(VarState {
                name: name.to_owned(),
                slot: None,
                fixed: false,
                declared: span,
                poisoned: false,
                zeroed: false,
            });
            VarId(u32::try_from(vars.all.len() - 1).expect("a script has fewer variables than bytes"))
        });
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned(), id);
        }
        id
    }

    /// A name that is visible cannot be declared again.
    pub(super) fn check_undeclared(&self, name: &str, span: Span) -> Result<(), Diag> {
        let Some(id) = self.lookup(name) else { return Ok(()) };
        let message = format!("variable `${}` is declared twice", plain(name));
        Err(Diag::error(&codes::REDECLARED, message, span, "declared again here")
            .also(self.vars.all[id.0 as usize].declared, "first declared here"))
    }

    /// Notes that the variable starts as zero.
    pub(super) fn zero(&mut self, id: VarId) {
        self.vars.all[id.0 as usize].zeroed = true;
    }

    /// Notes that the variable got no type because its value was wrong.
    pub(super) fn poison(&mut self, id: VarId) {
        self.vars.all[id.0 as usize].poisoned = true;
    }

    pub(super) fn var(&self, id: VarId) -> &VarState {
        &self.vars.all[id.0 as usize]
    }

    /// Gives a variable its declared type.
    pub(super) fn fix(&mut self, id: VarId, ty: Ty, span: Span) {
        let slot = Slot { ty, flex: Flex::No, first: span };
        let var = &mut self.vars.all[id.0 as usize];
        self.changed |= var.slot.as_ref() != Some(&slot);
        var.slot = Some(slot);
        var.fixed = true;
    }

    /// The variable is assigned a value, which is converted to its type.
    pub(super) fn assign(&mut self, id: VarId, value: &mut Expr) -> Result<(), Diag> {
        let known = self.var(id).slot.clone();
        let ty = match &known {
            Some(known) if self.var(id).fixed => {
                self.check_fits(id, known, value)?;
                known.ty.clone()
            }
            _ => self.widen(id, &value.ty.clone(), Flex::of(value), value.span)?,
        };
        self.convert_warning(value, &ty);
        Ok(())
    }

    /// Widens the variable's type so that it holds values of this one too.
    pub(super) fn widen(&mut self, id: VarId, ty: &Ty, flex: Flex, span: Span) -> Result<Ty, Diag> {
        let ty = if self.var(id).zeroed { untyped(ty) } else { ty.clone() };
        let slot = Slot { ty, flex, first: span };
        let known = self.var(id).slot.clone();
        let merged = match &known {
            None => slot,
            Some(known) => match promote((&known.ty, &known.flex), (&slot.ty, &slot.flex)) {
                Some((ty, flex)) => Slot { ty, flex, first: known.first },
                None => return Err(self.variable_mismatch(id, known, &slot.ty, span)),
            },
        };
        let ty = merged.ty.clone();
        if known.as_ref() != Some(&merged) {
            self.vars.all[id.0 as usize].slot = Some(merged);
            self.changed = true;
        }
        Ok(ty)
    }

    fn variable_mismatch(&self, id: VarId, known: &Slot, ty: &Ty, span: Span) -> Diag {
        let name = plain(&self.var(id).name);
        let (old, new) = (self.fields().show(&known.ty), self.fields().show(ty));
        Diag::error(
            &codes::VARIABLE_TYPE,
            format!("variable `${name}` holds both `{old}` and `{new}`"),
            span,
            format!("`{new}` assigned here"),
        )
        .also(known.first, format!("first used as `{old}` here"))
        .help("use a second variable")
    }

    /// A declared type takes what converts to it: literals only if they fit.
    fn check_fits(&self, id: VarId, known: &Slot, value: &Expr) -> Result<(), Diag> {
        let fits = match (&known.ty, &value.ty) {
            (Ty::Int(int), Ty::Int(_) | Ty::Enum(..)) => match value.literal() {
                Some(number) if !holds(*int, number) => {
                    return Err(out_of_range(&self.fields().show(&known.ty), *int, number, value.span));
                }
                _ => true,
            },
            (Ty::Int(_), Ty::Bool) | (Ty::Bool, Ty::Int(_)) => true,
            (Ty::String(to), Ty::String(from)) => from <= to,
            (Ty::Ptr(to, _), Ty::Ptr(from, _)) => to == from || **to == Ty::Void,
            (to, from) => {
                let promoted = promote((to, &Flex::No), (from, &Flex::of(value)));
                promoted.is_some_and(|(ty, _)| ty == *to)
            }
        };
        if fits { Ok(()) } else { Err(self.variable_mismatch(id, known, &value.ty, value.span)) }
    }
}

/// A literal that its type cannot hold.
pub(super) fn out_of_range(shown: &str, int: Int, number: i128, span: Span) -> Diag {
    let bits = u32::from(int.size) * 8;
    let (min, max) = if int.signed {
        (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
    } else {
        (0, (1i128 << bits) - 1)
    };
    let message = format!("{number} does not fit in `{shown}`");
    Diag::error(&codes::BAD_CONSTANT, message, span, format!("{min} to {max} does"))
}
