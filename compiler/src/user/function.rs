//! A function's parameters, from its symbol by its address to its entry.

use super::abi::{Convention, Home};
use super::convert::Types;
use super::search::{children, function_at, mentions_function, origins};
use super::source::{File, Folders};
use super::units::{Die, Entry, Units};
use btf::TypeId;
use gimli::{AttributeValue, constants as dw};
use userelf::{Image, Symbols};

/// A function as its DWARF describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its parameters, those without a name left out.
    pub params: Vec<Param>,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its type, in the program's types.
    pub ty: TypeId,
    /// Where it is as the function is entered.
    pub home: Home,
}

/// Endings of the names of functions whose parameters an optimiser has changed.
const CHANGED: &[&str] = &[".isra.", ".constprop.", ".part.", ".cold"];

/// The functions of a program; those of its debug file if it is stripped.
pub(super) fn symbols(file: &File, folders: &Folders) -> Result<Symbols, String> {
    let read = |image: &Image| image.symbols().map_err(|error| format!("`{}`: {error}", file.path.display()));
    let own = read(&file.image)?;
    if file.image.has_section(".symtab") {
        return Ok(own);
    }
    let debug = userelf::debug::files(&file.image, &file.path, &folders.0);
    let mut others = debug.iter().filter_map(|path| Image::open(path).ok()?.symbols().ok());
    Ok(others.find(|symbols| !symbols.is_empty()).unwrap_or(own))
}

/// The parameters of the function of this name.
pub(super) fn find(
    units: &Units,
    types: &mut Types,
    symbols: &Symbols,
    name: &str,
) -> Result<Function, String> {
    if CHANGED.iter().any(|ending| name.contains(ending)) {
        return Err(format!("`{name}` is a copy whose parameters the compiler may have changed"));
    }
    let symbols = symbols.named(name);
    if symbols.is_empty() {
        return Err(match mentions_function(units, name) {
            true => format!("every call of `{name}` was inlined"),
            false => format!("there is no function `{name}`"),
        });
    }
    let mut found: Vec<Function> = Vec::new();
    for symbol in &symbols {
        let die = function_at(units, symbol.address)
            .ok_or_else(|| format!("the debug information does not describe `{name}`"))?;
        let function = describe(units, types, die).ok_or("its types cannot be read")?;
        if !found.contains(&function) {
            found.push(function);
        }
    }
    match found.pop() {
        Some(only) if found.is_empty() => Ok(only),
        _ => Err(format!("there are {} functions `{name}` with different parameters", symbols.len())),
    }
}

fn describe(units: &Units, types: &mut Types, die: Die) -> Option<Function> {
    let mut params = Vec::new();
    for (at, _) in parameters(units, die) {
        let chain = origins(units, at);
        let name = chain.iter().find_map(|(at, entry)| units.text_of(*at, entry, dw::DW_AT_name));
        params.push((name.unwrap_or_default(), type_in(units, types, &chain)));
    }
    let result = type_in(units, types, &origins(units, die));
    let is_rust = is_rust(units, die.unit);
    let btf = types.snapshot()?;
    let convention = Convention { btf: &btf, types, is_rust };
    let homes = convention.homes(&params.iter().map(|(_, ty)| *ty).collect::<Vec<_>>(), result);
    let params = params.into_iter().zip(homes).map(|((name, ty), home)| Param { name, ty, home });
    Some(Function { params: params.filter(|param| !param.name.is_empty()).collect() })
}

/// The formal parameters; of an out-of-line copy those of its original, which has them all.
pub(super) fn parameters(units: &Units, die: Die) -> Vec<(Die, Entry)> {
    let original = units.entry(die).and_then(|entry| units.target_of(die, &entry, dw::DW_AT_abstract_origin));
    let all = children(units, original.unwrap_or(die));
    all.into_iter().filter(|(_, child)| child.tag() == dw::DW_TAG_formal_parameter).collect()
}

/// The first type along a chain of origins, with its members if it is a struct.
fn type_in(units: &Units, types: &mut Types, chain: &[(Die, Entry)]) -> TypeId {
    let target = chain.iter().find_map(|(at, entry)| units.target_of(*at, entry, dw::DW_AT_type));
    target.map_or(TypeId::VOID, |target| {
        let ty = types.ty(units, target);
        types.define_value(units, target);
        ty
    })
}

fn is_rust(units: &Units, unit: usize) -> bool {
    let Some((_, unit)) = units.unit(unit) else { return false };
    let Ok(root) = unit.entry(unit.header.root_offset()) else { return false };
    matches!(root.attr_value(dw::DW_AT_language), Some(AttributeValue::Language(dw::DW_LANG_Rust)))
}
