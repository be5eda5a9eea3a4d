//! Parameters as text, as bpftrace lists them: `struct node* n`.

use super::function::parameters;
use super::search::{is_composite, origins};
use super::units::{Die, Units};
use gimli::constants as dw;

/// Types of types deeper than this are cut: only corrupt files have them.
const DEPTH_MAX: u32 = 16;

/// The parameters of a function, types first.
pub(super) fn declarations(units: &Units, function: Die) -> Vec<String> {
    let one = |(die, _): (Die, _)| {
        let chain = origins(units, die);
        let ty = chain.iter().find_map(|(at, entry)| units.target_of(*at, entry, dw::DW_AT_type));
        let name = chain.iter().find_map(|(at, entry)| units.text_of(*at, entry, dw::DW_AT_name));
        let ty = ty.map_or_else(|| "void".to_owned(), |ty| spelled(units, ty, DEPTH_MAX));
        name.map_or(ty.clone(), |name| format!("{ty} {name}"))
    };
    parameters(units, function).into_iter().map(one).collect()
}

fn spelled(units: &Units, die: Die, depth: u32) -> String {
    const UNKNOWN: &str = "<unknown type>";
    let (Some(entry), Some(depth)) = (units.entry(die), depth.checked_sub(1)) else { return UNKNOWN.into() };
    let name = || units.text_of(die, &entry, dw::DW_AT_name);
    let target = units.target_of(die, &entry, dw::DW_AT_type);
    let inner = || target.map_or_else(|| "void".to_owned(), |target| spelled(units, target, depth));
    let is_pointer = || {
        let target = target.and_then(|target| units.entry(target));
        target.is_some_and(|target| target.tag() == dw::DW_TAG_pointer_type)
    };
    let qualified =
        |word: &str| if is_pointer() { format!("{} {word}", inner()) } else { format!("{word} {}", inner()) };
    match entry.tag() {
        dw::DW_TAG_base_type | dw::DW_TAG_typedef => name().unwrap_or_else(|| UNKNOWN.into()),
        dw::DW_TAG_pointer_type => format!("{}*", inner()),
        dw::DW_TAG_reference_type => format!("{}&", inner()),
        dw::DW_TAG_rvalue_reference_type => format!("{}&&", inner()),
        dw::DW_TAG_const_type => qualified("const"),
        dw::DW_TAG_volatile_type => qualified("volatile"),
        dw::DW_TAG_restrict_type => qualified("restrict"),
        dw::DW_TAG_union_type => format!("union {}", name().as_deref().unwrap_or("<anonymous>")),
        dw::DW_TAG_enumeration_type => format!("enum {}", name().as_deref().unwrap_or("<anonymous>")),
        tag if is_composite(tag) => format!("struct {}", name().as_deref().unwrap_or("<anonymous>")),
        _ => UNKNOWN.into(),
    }
}
