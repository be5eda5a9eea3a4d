//! The script's maps as the object defines them: type, capacity, BTF of keys and values.
//!
//! A scalar map is a hash map with one element, under a `u64` 0; it cannot be full. Histograms have one
//! element a bucket: their key goes on with the bucket's number.

use btf::{IntEncoding, TypeId};
use codegen_bpf::{KeyOrSize, MapDef};

use super::object::map_type;
use super::{Input, Object, names};
use crate::types::tree::Map;
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
