//! Maps: their definitions, look-ups, updates.
//!
//! Ensures  an element that a condition found is not looked up again where the condition holds;
//!          an update that can fail for want of room is tested
//!
//! A scalar map is a hash map with one element, under a `u64` 0; it cannot be full.

use cranelift_codegen::ir::{self, InstBuilder as _};
use manifest::RuntimeError;

use super::expr::Dest;
use super::facts::{Facts, Found};
use super::keys::key_text;
use super::map_types::buckets;
use super::{Base, Lower, Mem, Region, helper};
use crate::syntax::ast::Span;
use crate::types::Ty;
use crate::types::tree::{Expr, Map, MapId};

impl<'a> Lower<'a> {
    pub(crate) fn map(&self, map: MapId) -> &'a Map {
        &self.input.program.maps[map.0 as usize]
    }

    pub(crate) fn is_aggregate(&self, map: MapId) -> bool {
        matches!(self.map(map).value, Ty::Agg(_))
    }

    /// The address of the element's key in memory.
    pub(crate) fn lower_key(&mut self, key: Option<&Expr>) -> ir::Value {
        let mem = match key {
            Some(key) => self.lower_to_memory(key, true),
            None => {
                let mem = self.temp(8);
                self.store_const(mem, 8, 0);
                mem
            }
        };
        self.addr(mem)
    }

    /// Looks an element up: its value's address, or 0.
    pub(crate) fn look_up(&mut self, map: MapId, key: ir::Value) -> ir::Value {
        let map = self.map_address(map.0);
        self.call_helper(helper::MAP_LOOKUP_ELEM, &[map, key])
    }

    /// The element's value, if a condition has found it.
    fn known_element(&self, map: MapId, key: Option<&Expr>) -> Option<Mem> {
        let text = key_text(key)?;
        self.facts.found(map, &text).map(|value| Mem::at(value, Region::Map))
    }

    /// Does one thing with the element's value, or another if there is none.
    fn with_element(
        &mut self,
        map: MapId,
        key: Option<&Expr>,
        then: impl FnOnce(&mut Self, Mem),
        missing: impl FnOnce(&mut Self),
    ) {
        if let Some(mem) = self.known_element(map, key) {
            return then(self, mem);
        }
        let key = self.lower_key(key);
        let value = self.look_up(map, key);
        self.if_nonzero(value, |l| then(l, Mem::at(value, Region::Map)), missing);
    }

    /// A scalar element; 0 if it is missing.
    pub(crate) fn lower_map_scalar(
        &mut self,
        map: MapId,
        key: Option<&Expr>,
        ty: &Ty,
        span: Span,
    ) -> ir::Value {
        if let Ty::Agg(agg) = self.map(map).value {
            let key = self.lower_key(key);
            return self.lower_reduced(map, key, agg, span);
        }
        if let Some(mem) = self.known_element(map, key) {
            return self.load(mem, ty);
        }
        let result = self.result();
        self.with_element(
            map,
            key,
            |l, mem| {
                let value = l.load(mem, ty);
                l.b.def_var(result, value);
            },
            |l| {
                let zero = l.iconst(0);
                l.b.def_var(result, zero);
            },
        );
        self.b.use_var(result)
    }

    /// Goes to `then` if the element exists and is not zero.
    pub(crate) fn lower_map_cond(
        &mut self,
        map: MapId,
        key: Option<&Expr>,
        ty: &Ty,
        then: ir::Block,
        otherwise: ir::Block,
    ) -> (Facts, Facts) {
        let mem = match self.known_element(map, key) {
            Some(mem) => mem,
            None => {
                let address = self.lower_key(key);
                let value = self.look_up(map, address);
                let found = self.b.create_block();
                self.b.ins().brif(value, found, &[], otherwise, &[]);
                let facts = self.facts.clone();
                self.start(found, facts);
                Mem::at(value, Region::Map)
            }
        };
        let fails = self.facts.clone();
        let value = self.load(mem, ty);
        self.b.ins().brif(value, then, &[], otherwise, &[]);
        let mut holds = self.facts.clone();
        if let (Some(key), Base::Ptr(value)) = (key_text(key), mem.base) {
            holds.set_found(Found { map, key, value });
        }
        (holds, fails)
    }

    /// An element of any type; zeroes if it is missing.
    pub(crate) fn lower_map_into(&mut self, map: MapId, key: Option<&Expr>, ty: &Ty, dst: Dest) {
        self.with_element(
            map,
            key,
            |l, mem| l.copy_object(dst, mem, ty),
            |l| {
                let bytes = if matches!(ty, Ty::String(_)) && !dst.is_full() { 1 } else { ty.size() };
                l.zero(dst.mem, bytes);
            },
        );
    }

    /// `@m[k] = v`.
    pub(crate) fn lower_map_assign(&mut self, map: MapId, key: Option<&Expr>, value: &Expr, span: Span) {
        let value = if value.ty.is_scalar() {
            let mem = self.temp(value.ty.size());
            self.lower_into(value, Dest { mem, exact: false });
            mem
        } else {
            self.lower_to_memory(value, false)
        };
        let key = self.lower_key(key);
        self.update(map, key, value, span);
        self.facts.forget_map(map);
    }

    /// Sets an element, new or not.
    pub(crate) fn update(&mut self, map: MapId, key: ir::Value, value: Mem, span: Span) {
        let (address, value, any) = (self.map_address(map.0), self.addr(value), self.iconst(0));
        let result = self.call_helper(helper::MAP_UPDATE_ELEM, &[address, key, value, any]);
        let declared = self.map(map);
        let can_be_full = declared.key.is_some() || buckets(&declared.value);
        if can_be_full && !declared.declared.is_some_and(|d| d.lru) {
            self.if_rare(result, |l| l.runtime_error(RuntimeError::MapFull, span, Some(result)));
        }
    }

    /// `@m[k]++` and its like; the value before or after.
    pub(crate) fn lower_map_increment(
        &mut self,
        map: MapId,
        key: Option<&Expr>,
        by: i64,
        postfix: bool,
        span: Span,
    ) -> ir::Value {
        let ty = &self.map(map).value;
        let address = self.lower_key(key);
        let value = self.look_up(map, address);
        let result = self.result();
        let set = |l: &mut Self, old, new| {
            l.b.def_var(result, if postfix { old } else { new });
        };
        self.if_nonzero(
            value,
            |l| {
                let mem = Mem::at(value, Region::Map);
                let old = l.load(mem, ty);
                let new = l.stepped(old, by, ty);
                l.store(mem, ty.size(), new);
                set(l, old, new);
            },
            |l| {
                let mem = l.temp(ty.size());
                let old = l.iconst(0);
                let new = l.stepped(old, by, ty);
                l.store(mem, ty.size(), new);
                l.update(map, address, mem, span);
                set(l, old, new);
            },
        );
        self.facts.forget_map(map);
        self.b.use_var(result)
    }

    /// Removes an element; gives the helper's result.
    pub(crate) fn delete_element(&mut self, map: MapId, key: Option<&Expr>) -> ir::Value {
        let key = self.lower_key(key);
        let address = self.map_address(map.0);
        self.facts.forget_map(map);
        self.call_helper(helper::MAP_DELETE_ELEM, &[address, key])
    }

    /// Whether an element exists, as 0 or 1.
    pub(crate) fn has_element(&mut self, map: MapId, key: Option<&Expr>) -> ir::Value {
        if self.known_element(map, key).is_some() {
            return self.iconst(1);
        }
        let key = self.lower_key(key);
        let value = self.look_up(map, key);
        self.is_nonzero(value)
    }
}
