//! Finds functions and types in a program's DWARF.
//!
//! Ensures  a function is found by its address, so that of several with one name the right one is; types
//!          by name are found through an index of all units, made when the first is asked for

use super::units::{Die, Entry, Units};
use gimli::{DwTag, Reader as _, constants as dw};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

/// Namespaces in each other deeper than this are not searched.
const DEPTH_MAX: isize = 32;
/// References from one entry to another that stands for it are followed this far.
const STEPS_MAX: usize = 8;

/// Types by the hash of their name: names themselves would be most of a large program's memory.
#[derive(Debug, Default)]
pub(super) struct TypeIndex(HashMap<u64, Vec<Die>>);

/// Tags of what a script can name.
fn is_type(tag: DwTag) -> bool {
    is_composite(tag)
        || matches!(tag, dw::DW_TAG_enumeration_type | dw::DW_TAG_typedef | dw::DW_TAG_base_type)
}

/// Structs, unions, classes.
pub(super) fn is_composite(tag: DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_structure_type | dw::DW_TAG_class_type | dw::DW_TAG_union_type | dw::DW_TAG_interface_type
    )
}

fn is_scope(tag: DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_namespace
            | dw::DW_TAG_module
            | dw::DW_TAG_compile_unit
            | dw::DW_TAG_partial_unit
            | dw::DW_TAG_type_unit
    )
}

/// Whether the entry only declares.
pub(super) fn is_declaration(entry: &Entry) -> bool {
    matches!(entry.attr_value(dw::DW_AT_declaration), Some(gimli::AttributeValue::Flag(true)))
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl TypeIndex {
    /// All named types that are defined outside of functions and other types.
    pub(super) fn new(units: &Units) -> TypeIndex {
        let mut index = TypeIndex::default();
        for unit in units.all() {
            // A broken unit ends where it breaks.
            let _ = index.add(units, unit);
        }
        index
    }

    fn add(&mut self, units: &Units, index: usize) -> Option<()> {
        let (dwarf, unit) = units.unit(index)?;
        let mut cursor = unit.entries();
        let mut more = cursor.next_dfs().ok()?.is_some();
        while more {
            let entry = cursor.current()?;
            let goes_in = is_scope(entry.tag()) && entry.depth() < DEPTH_MAX;
            if is_type(entry.tag())
                && !is_declaration(entry)
                && let Some(name) = entry.attr_value(dw::DW_AT_name)
                && let Ok(name) = dwarf.attr_string(unit, name)
            {
                let die = Die { unit: index, offset: entry.offset() };
                self.0.entry(hash(&name.to_slice().ok()?)).or_default().push(die);
            }
            more = if goes_in { false } else { cursor.next_sibling().ok()?.is_some() };
            more = more || cursor.next_dfs().ok()?.is_some();
        }
        Some(())
    }

    /// Definitions of this name.
    pub(super) fn find(&self, units: &Units, name: &str) -> Vec<(Die, Entry)> {
        let found = self.0.get(&hash(name.as_bytes())).into_iter().flatten();
        let entries = found.filter_map(|die| Some((*die, units.entry(*die)?)));
        let named =
            |(die, entry): &(Die, Entry)| units.text_of(*die, entry, dw::DW_AT_name).as_deref() == Some(name);
        entries.filter(named).collect()
    }
}

/// The function whose code starts at an address of the program.
pub(super) fn function_at(units: &Units, address: u64) -> Option<Die> {
    let holds = |unit: &usize| {
        let Some((dwarf, unit)) = units.unit(*unit) else { return false };
        let Ok(mut ranges) = dwarf.unit_ranges(unit) else { return false };
        std::iter::from_fn(|| ranges.next().ok().flatten()).any(|r| (r.begin..r.end).contains(&address))
    };
    units.own().filter(holds).find_map(|unit| function_in(units, units.full(unit), address))
}

fn function_in(units: &Units, index: usize, address: u64) -> Option<Die> {
    let (dwarf, unit) = units.unit(index)?;
    let mut cursor = unit.entries();
    while let Ok(Some(entry)) = cursor.next_dfs() {
        if entry.tag() != dw::DW_TAG_subprogram {
            continue;
        }
        let starts = match entry.attr_value(dw::DW_AT_low_pc) {
            Some(low) => dwarf.attr_address(unit, low).ok().flatten() == Some(address),
            None => {
                let mut ranges = dwarf.die_ranges(unit, entry).ok()?;
                ranges.next().ok().flatten().is_some_and(|range| range.begin == address)
            }
        };
        if starts {
            return Some(Die { unit: index, offset: entry.offset() });
        }
    }
    None
}

/// Whether some unit has a function of this name, with code of its own or not.
pub(super) fn mentions_function(units: &Units, name: &str) -> bool {
    units.all().any(|index| {
        let Some((_, unit)) = units.unit(index) else { return false };
        let mut cursor = unit.entries();
        while let Ok(Some(entry)) = cursor.next_dfs() {
            let die = Die { unit: index, offset: entry.offset() };
            if entry.tag() == dw::DW_TAG_subprogram
                && units.text_of(die, entry, dw::DW_AT_name).as_deref() == Some(name)
            {
                return true;
            }
        }
        false
    })
}

/// The entry, then those it completes: an out-of-line copy names its original, a definition its
/// declaration.
pub(super) fn origins(units: &Units, die: Die) -> Vec<(Die, Entry)> {
    let mut chain: Vec<(Die, Entry)> = Vec::new();
    let mut next = Some(die);
    while let Some(die) = next.take().filter(|_| chain.len() < STEPS_MAX) {
        let Some(entry) = units.entry(die) else { break };
        next = [dw::DW_AT_abstract_origin, dw::DW_AT_specification]
            .into_iter()
            .find_map(|name| units.target_of(die, &entry, name));
        chain.push((die, entry));
    }
    chain
}

/// The children of an entry, one level down.
pub(super) fn children(units: &Units, die: Die) -> Vec<(Die, Entry)> {
    let mut found = Vec::new();
    let Some((_, unit)) = units.unit(die.unit) else { return found };
    let Ok(mut cursor) = unit.entries_at_offset(die.offset) else { return found };
    if !matches!(cursor.next_entry(), Ok(true)) || cursor.current().is_none_or(|entry| !entry.has_children())
    {
        return found;
    }
    if !matches!(cursor.next_entry(), Ok(true)) {
        return found;
    }
    while let Some(entry) = cursor.current() {
        found.push((Die { unit: die.unit, offset: entry.offset() }, entry.clone()));
        if !matches!(cursor.next_sibling(), Ok(Some(_))) {
            break;
        }
    }
    found
}
