//! Map definitions: the variables of `.maps`, described by BTF.
//!
//! Input    the object's BTF and the symbols of its `.maps` section
//! Output   a [`MapDef`] for each symbol
//! Ensures  only map types that scripts use, no pinning, sizes that the kernel's fields can hold
//!
//! The encoding is libbpf's (`parse_btf_map_def`): integers are lengths of arrays behind pointers.

use super::{Error, elf};
use crate::kinds;
use crate::object::MapDef;
use btf::{Btf, Composite, Kind, Type, TypeId};

/// Bytes of a key or value; far above what fits a BPF stack or a per-CPU cell.
const ELEMENT_BYTES_MAX: u64 = 1 << 20;

/// Reads the definitions.
pub(super) fn parse_maps(elf: &elf::Elf<'_>, btf: &Btf) -> Result<Vec<MapDef>, Error> {
    let Some(section) = elf.section(".maps")? else { return Ok(Vec::new()) };
    let Some(datasec) = btf.find(".maps", Kind::DataSec).next() else {
        return Err(Error::Section { section: ".maps".into(), what: "is not described by BTF".into() });
    };
    let Ok(Type::DataSec(datasec)) = btf.ty(datasec) else { return Ok(Vec::new()) };
    let mut maps = Vec::new();
    for var in datasec.vars() {
        let Ok(Type::Var { name, ty, .. }) = btf.ty(var.ty) else { continue };
        let bad = |what: String| Error::Map { symbol: name.into(), what };
        let exists = elf.symbols.iter().any(|symbol| {
            symbol.name == name && symbol.is_object && symbol.home == elf::Home::Section(section)
        });
        if !exists {
            return Err(bad("is in BTF but has no symbol in .maps".into()));
        }
        let resolved = btf.resolve(ty).map_err(|error| bad(error.to_string()))?;
        let Ok(Type::Struct(definition)) = btf.ty(resolved) else {
            return Err(bad("is not defined by a struct".into()));
        };
        maps.push(parse_map(btf, name, definition).map_err(bad)?);
    }
    Ok(maps)
}

fn parse_map(btf: &Btf, name: &str, definition: Composite<'_>) -> Result<MapDef, String> {
    let mut def = MapDef { symbol: name.into(), ..MapDef::default() };
    for member in definition.members() {
        let field = member.name;
        let integer = || array_len(btf, member.ty).ok_or_else(|| format!("field `{field}` is no integer"));
        match field {
            "type" => def.map_type = integer()?,
            "max_entries" => def.max_entries = integer()?,
            "map_flags" => def.flags = integer()?,
            "numa_node" => drop(integer()?),
            "map_extra" => def.extra = integer()?.into(),
            "key_size" => def.key_size = integer()?,
            "value_size" => def.value_size = integer()?,
            "key" => (def.types.0, def.key_size) = pointee(btf, member.ty, field)?,
            "value" => (def.types.1, def.value_size) = pointee(btf, member.ty, field)?,
            "pinning" if integer()? == 0 => {}
            "pinning" => return Err("asks to be pinned, which sonde does not do".into()),
            _ => return Err(format!("has a field `{field}` that sonde does not support")),
        }
    }
    check(&def)?;
    Ok(def)
}

fn check(def: &MapDef) -> Result<(), String> {
    match def.map_type {
        kinds::MAP_RINGBUF if def.key_size == 0 && def.value_size == 0 => return Ok(()),
        kinds::MAP_HASH
        | kinds::MAP_ARRAY
        | kinds::MAP_PERCPU_HASH
        | kinds::MAP_PERCPU_ARRAY
        | kinds::MAP_LRU_HASH
        | kinds::MAP_LRU_PERCPU_HASH
        | kinds::MAP_STACK_TRACE => {}
        other => {
            return Err(format!("is of type {other}, which sonde does not support or not in this shape"));
        }
    }
    if def.key_size == 0 || def.value_size == 0 || def.max_entries == 0 {
        return Err("lacks a key, a value or a number of entries".into());
    }
    if u64::from(def.key_size) > ELEMENT_BYTES_MAX || u64::from(def.value_size) > ELEMENT_BYTES_MAX {
        return Err(format!("has elements of more than {ELEMENT_BYTES_MAX} bytes"));
    }
    if kinds::is_array(def.map_type) && def.key_size != 4 {
        return Err("is an array, whose keys take 4 bytes".into());
    }
    Ok(())
}

/// The integer that `int (*field)[N]` stands for.
fn array_len(btf: &Btf, id: TypeId) -> Option<u32> {
    let Type::Ptr(to) = btf.ty(btf.resolve(id).ok()?).ok()? else { return None };
    match btf.ty(btf.resolve(to).ok()?).ok()? {
        Type::Array { len, .. } => Some(len),
        _ => None,
    }
}

/// The type behind `T *field`, and its size.
fn pointee(btf: &Btf, id: TypeId, field: &str) -> Result<(TypeId, u32), String> {
    let resolved = btf.resolve(id).map_err(|error| error.to_string())?;
    let Ok(Type::Ptr(to)) = btf.ty(resolved) else { return Err(format!("field `{field}` is no pointer")) };
    let size = btf.size_of(to).map_err(|error| error.to_string())?;
    Ok((to, u32::try_from(size).map_err(|_| format!("field `{field}` is too large"))?))
}
