//! Scratch variables: where each lives, reading and assigning it.
//!
//! Scalars that one function uses are registers. Objects, and whatever callbacks share, lie in memory:
//! on the stack up to `on_stack_limit`, else in the program's scratch memory.

use cranelift_codegen::ir::{self, InstBuilder as _};
use cranelift_frontend::Variable;

use super::memory::repr;
use super::{Base, Lower, Mem, Region, keys};
use crate::types::Ty;
use crate::types::tree::{Expr, Place, VarId};

/// Where a scratch variable lives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum VarPlace {
    /// In a register.
    Ssa(Variable),
    /// On the stack of this function, or of the one that shares it.
    Memory(Mem),
    /// At this offset of the per-CPU scratch memory.
    Scratch(u32),
}

impl Lower<'_> {
    /// Gives each variable its place, and zero to those that may be read before they are assigned.
    pub(crate) fn declare_vars(&mut self) {
        for index in 0..self.probe.vars.len() {
            let ty = &self.probe.vars[index].ty;
            let var = VarId(index as u32);
            let is_shared = self.shared.usage.shared.contains(&var.0);
            let place = match (ty.is_scalar(), is_shared) {
                (true, false) => Some(VarPlace::Ssa(self.result())),
                _ if ty.size() == 0 => None,
                _ if ty.size() > self.input.settings.on_stack_limit.max(8) => {
                    Some(VarPlace::Scratch(self.shared.scratch_var(self.object, var, ty.size())))
                }
                (_, true) => {
                    let offset = self.shared.frame_var(var, ty.size());
                    Some(VarPlace::Memory(self.frame_mem().plus(offset)))
                }
                (false, false) => {
                    let slot = self.stack_slot(ty.size().next_multiple_of(8));
                    let region = Region::Stack;
                    Some(VarPlace::Memory(Mem { base: Base::Slot(slot), offset: 0, region }))
                }
            };
            self.vars.push(place);
        }
    }

    /// Zeroes the variables that some path reads before it assigns them.
    pub(crate) fn clear_vars(&mut self) {
        let unassigned: Vec<VarId> = self.shared.usage.unassigned.iter().map(|var| VarId(*var)).collect();
        for var in unassigned {
            let ty = &self.probe.vars[var.0 as usize].ty;
            match self.vars[var.0 as usize] {
                Some(VarPlace::Ssa(variable)) => {
                    let zero = self.iconst(0);
                    self.b.def_var(variable, zero);
                }
                Some(_) => {
                    let mem = self.var_place(var);
                    let int = repr(ty);
                    let bytes = match ty {
                        Ty::String(_) if mem.region != Region::Stack => 1,
                        ty if ty.is_scalar() => int.size.into(),
                        ty => ty.size(),
                    };
                    self.zero(mem, bytes);
                }
                None => {}
            }
        }
    }

    pub(crate) fn read_var(&mut self, var: VarId, ty: &Ty) -> ir::Value {
        match self.vars[var.0 as usize] {
            Some(VarPlace::Ssa(variable)) => self.b.use_var(variable),
            _ => {
                let mem = self.var_place(var);
                self.load(mem, ty)
            }
        }
    }

    /// Where a variable lies that is not in a register.
    pub(crate) fn var_place(&mut self, var: VarId) -> Mem {
        match self.vars[var.0 as usize] {
            Some(VarPlace::Memory(mem)) => mem,
            Some(VarPlace::Scratch(offset)) => self.scratch(offset),
            Some(VarPlace::Ssa(_)) | None => unreachable!("scalars of one function are registers"),
        }
    }

    /// Assigns a scalar variable.
    pub(crate) fn set_var(&mut self, var: VarId, value: ir::Value) {
        self.facts.forget_var(&keys::var_text(var));
        match self.vars[var.0 as usize] {
            Some(VarPlace::Ssa(variable)) => self.b.def_var(variable, value),
            _ => {
                let mem = self.var_place(var);
                let size = self.probe.vars[var.0 as usize].ty.size();
                self.store(mem, size, value);
            }
        }
    }

    pub(crate) fn lower_increment(&mut self, place: &Place, by: i64, postfix: bool, e: &Expr) -> ir::Value {
        match place {
            Place::Var(var) => {
                let old = self.read_var(*var, &e.ty);
                let new = self.stepped(old, by, &self.probe.vars[var.0 as usize].ty);
                let new = self.extend(new, repr(&self.probe.vars[var.0 as usize].ty));
                self.set_var(*var, new);
                if postfix { old } else { new }
            }
            Place::Map(map, key) => self.lower_map_increment(*map, key.as_deref(), by, postfix, e.span),
        }
    }

    /// `value` and `by` more, counted in pointees if it is a pointer.
    pub(crate) fn stepped(&mut self, value: ir::Value, by: i64, ty: &Ty) -> ir::Value {
        let Ty::Ptr(to, _) = ty else { return self.add_const(value, by) };
        let by = self.iconst(by.cast_unsigned());
        let step = self.scale_by(by, to);
        self.b.ins().iadd(value, step)
    }

    pub(crate) fn lower_address_of(&mut self, place: &Place, e: &Expr) -> ir::Value {
        match place {
            Place::Var(var) => {
                let mem = self.var_place(*var);
                self.addr(mem)
            }
            Place::Map(map, None) => self.map_address(map.0),
            Place::Map(_, Some(_)) => {
                self.unsupported("the address of a map element is", e.span);
                self.iconst(0)
            }
        }
    }
}
