//! Maps: their definitions, look-ups, updates.
//!
//! Ensures  an element that a condition found is not looked up again where the condition holds;
//!          an update that can fail for want of room is tested
//!
//! A scalar map is a hash map with one element, under a `u64` 0; it cannot be full.

use btf::{IntEncoding, TypeId};
use codegen_bpf::{KeyOrSize, MapDef};
use cranelift_codegen::ir::{self, InstBuilder as _};
use manifest::RuntimeError;

use super::expr::Dest;
use super::facts::{Facts, Found};
use super::object::map_type;
use super::{Input, Lower, Mem, Object, Region, helper, names};
use crate::syntax::ast::Span;
use crate::types::tree::{Binary, Expr, ExprKind, Map, MapId, VarId};
use crate::types::{Agg, Ty, layout};

/// Adds the script's maps to the object, so that their indices are their `MapId`s.
pub(crate) fn define_maps(object: &mut Object, input: &Input<'_>) {
    for map in &input.program.maps {
        let symbol = object.symbol(&names::of_map(&map.name), 15);
        let def = MapDef {
            map_type: kind(map),
            max_entries: entries(map, input.settings.max_map_keys),
            key: KeyOrSize::Type(key_type(object, map)),
            value: KeyOrSize::Type(value_type(object, &map.value)),
            ..MapDef::default()
        };
        object.add_map(&symbol, def);
        object.map_symbols.push(symbol);
    }
}

fn kind(map: &Map) -> u32 {
    let lru = map.declared.is_some_and(|d| d.lru);
    let percpu = matches!(map.value, Ty::Agg(_)) || map.declared.is_some_and(|d| d.percpu);
    match (percpu, lru) {
        (false, false) => map_type::HASH,
        (false, true) => map_type::LRU_HASH,
        (true, false) => map_type::PERCPU_HASH,
        (true, true) => map_type::LRU_PERCPU_HASH,
    }
}

fn entries(map: &Map, max_map_keys: u32) -> u32 {
    match (&map.declared, &map.key) {
        (Some(declared), _) => declared.max_entries,
        (None, Some(_)) => max_map_keys,
        (None, None) if buckets(&map.value) => max_map_keys,
        (None, None) => 1,
    }
}

/// Whether the map holds one element a bucket.
pub(crate) fn buckets(value: &Ty) -> bool {
    matches!(value, Ty::Agg(Agg::Hist { .. } | Agg::Lhist { .. }))
}

/// Bytes of the user's part of a histogram's key.
pub(crate) fn bucket_offset(map: &Map) -> u32 {
    map.key.as_ref().map_or(0, Ty::size).next_multiple_of(8)
}

fn key_type(object: &mut Object, map: &Map) -> TypeId {
    let word = object.int_type(8, false);
    let key = map.key.as_ref().map(|key| value_type(object, key));
    match (key, buckets(&map.value)) {
        (Some(key), false) => key,
        (None, _) => word,
        (Some(key), true) => {
            let offset = bucket_offset(map);
            let member =
                |name, ty, bytes: u32| btf::Member { name, ty, bit_offset: bytes * 8, bitfield_bits: None };
            let members = [member("key", key, 0), member("bucket", word, offset)];
            object.module.btf.add_struct("", offset + 8, &members)
        }
    }
}

/// A BTF type of the value's size, which shows what is in it.
fn value_type(object: &mut Object, ty: &Ty) -> TypeId {
    match ty {
        Ty::Int(int) | Ty::Enum(int, _) => object.int_type(int.size.into(), int.signed),
        Ty::Bool => {
            object.module.btf.add_int("bool", 1, IntEncoding { bool: true, ..IntEncoding::default() })
        }
        Ty::String(size) => {
            let char =
                object.module.btf.add_int("char", 1, IntEncoding { signed: true, ..IntEncoding::default() });
            let index = object.int_type(4, false);
            object.module.btf.add_array(char, index, *size)
        }
        Ty::Tuple(fields) => struct_type(object, fields.iter().map(|ty| (None, ty)), ty.size()),
        Ty::Record(fields) => {
            struct_type(object, fields.iter().map(|(name, ty)| (Some(name.as_str()), ty)), ty.size())
        }
        _ => {
            let element = if ty.size().is_multiple_of(8) { 8 } else { 1 };
            let (of, index) = (object.int_type(element, false), object.int_type(4, false));
            match ty.size() / element {
                1 => of,
                len => object.module.btf.add_array(of, index, len),
            }
        }
    }
}

fn struct_type<'t>(
    object: &mut Object,
    fields: impl Iterator<Item = (Option<&'t str>, &'t Ty)> + Clone,
    size: u32,
) -> TypeId {
    let offsets = layout(fields.clone().map(|(_, ty)| ty)).0;
    let types: Vec<_> = fields.clone().map(|(_, ty)| value_type(object, ty)).collect();
    let names: Vec<String> =
        fields.enumerate().map(|(i, (name, _))| name.map_or(format!("f{i}"), names::identifier)).collect();
    let members: Vec<_> = names
        .iter()
        .zip(types)
        .zip(offsets)
        .map(|((name, ty), offset)| btf::Member { name, ty, bit_offset: offset * 8, bitfield_bits: None })
        .collect();
    object.module.btf.add_struct("", size, &members)
}

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
        if let (Some(key), super::Base::Ptr(value)) = (key_text(key), mem.base) {
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
                let bytes = if matches!(ty, Ty::String(_)) && !dst.exact { 1 } else { ty.size() };
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
                let new = l.add_const(old, by);
                l.store(mem, ty.size(), new);
                set(l, old, new);
            },
            |l| {
                let mem = l.temp(ty.size());
                l.store_const(mem, ty.size(), by as u64);
                l.update(map, address, mem, span);
                let (old, new) = (l.iconst(0), l.iconst(by as u64));
                set(l, old, new);
            },
        );
        self.facts.forget_map(map);
        self.b.use_var(result)
    }

    /// Removes an element; gives the helper's result.
    pub fn delete_element(&mut self, map: MapId, key: Option<&Expr>) -> ir::Value {
        let key = self.lower_key(key);
        let address = self.map_address(map.0);
        self.facts.forget_map(map);
        self.call_helper(helper::MAP_DELETE_ELEM, &[address, key])
    }

    /// Whether an element exists, as 0 or 1.
    pub fn has_element(&mut self, map: MapId, key: Option<&Expr>) -> ir::Value {
        if self.known_element(map, key).is_some() {
            return self.iconst(1);
        }
        let key = self.lower_key(key);
        let value = self.look_up(map, key);
        self.is_nonzero(value)
    }
}

/// How [`key_text`] spells a variable.
pub(crate) fn var_text(var: VarId) -> String {
    format!("${};", var.0)
}

/// Text that two keys share only if they are the same pure expression; `None` if the value may
/// change from one evaluation to the next.
fn key_text(key: Option<&Expr>) -> Option<String> {
    let mut text = String::new();
    match key {
        Some(key) => spell(key, &mut text)?,
        None => text.push('0'),
    }
    Some(text)
}

fn spell(e: &Expr, out: &mut String) -> Option<()> {
    use std::fmt::Write as _;
    match &e.kind {
        ExprKind::Int(value) => write!(out, "{value}").ok()?,
        ExprKind::Str(bytes) => write!(out, "{bytes:?}").ok()?,
        ExprKind::Var(var) => out.push_str(&var_text(*var)),
        ExprKind::Arg(index) => write!(out, "arg{index};").ok()?,
        ExprKind::RetVal => out.push_str("retval;"),
        ExprKind::Param(param) => write!(out, "param{};", param.0).ok()?,
        ExprKind::Cast(of) => {
            write!(out, "({:?})", e.ty).ok()?;
            spell(of, out)?;
        }
        ExprKind::Tuple(fields) | ExprKind::Record(fields) => {
            out.push('[');
            for field in fields {
                spell(field, out)?;
                out.push(',');
            }
            out.push(']');
        }
        ExprKind::TupleField { base, index } => {
            spell(base, out)?;
            write!(out, ".{index}").ok()?;
        }
        ExprKind::Binary { op, left, right } if !matches!(op, Binary::Div | Binary::Mod) => {
            write!(out, "{op:?}(").ok()?;
            spell(left, out)?;
            out.push(',');
            spell(right, out)?;
            out.push(')');
        }
        ExprKind::Call { builtin, args } if PURE.contains(&builtin.name) => {
            out.push_str(builtin.name);
            out.push('(');
            args.iter().try_for_each(|arg| spell(arg, out))?;
            out.push(')');
        }
        _ => return None,
    }
    Some(())
}

/// Builtins whose value stays the same while a program runs.
const PURE: &[&str] = &["argN", "comm", "cpid", "cpu", "func", "gid", "pid", "probe", "retval", "tid", "uid"];
