//! Contradictions in a module, found before any work is done.
//!
//! Input    `Module`
//! Output   the first contradiction
//! Ensures  every index that CLIF or the module mentions exists; names are unique; subprograms
//!          that are called or taken the address of are in `.text`

use std::collections::HashSet;

use cranelift_codegen::ir;

use crate::Error;
use crate::module::{DataInit, Function, Module, namespace};

/// Checks all of `module`.
pub(crate) fn check(module: &Module) -> Result<(), Error> {
    unique_names(module)?;
    for variable in &module.data {
        check_data(&variable.name, &variable.section, &variable.init, variable.align)?;
    }
    for function in &module.functions {
        for (_, name) in function.clif.params.user_named_funcs() {
            check_name(module, function, name)?;
        }
    }
    Ok(())
}

fn error(message: String) -> Result<(), Error> {
    Err(Error::Module(message))
}

fn unique_names(module: &Module) -> Result<(), Error> {
    let names = (module.functions.iter().map(|f| &f.name))
        .chain(module.maps.iter().map(|m| &m.name))
        .chain(module.data.iter().map(|d| &d.name))
        .chain(module.externs.iter().map(|e| &e.name));
    let mut seen = HashSet::new();
    for name in names {
        if name.is_empty() {
            return error("a symbol has no name".to_owned());
        }
        if !seen.insert(name) {
            return error(format!("the name `{name}` is given twice"));
        }
    }
    let taken = |name: &str| module.functions.iter().any(|f| f.section == name);
    match module.extra_sections.iter().find(|(name, _)| name.is_empty() || taken(name)) {
        Some((name, _)) => error(format!("`{name}` cannot be the name of an extra section")),
        None => Ok(()),
    }
}

fn check_data(name: &str, section: &str, init: &DataInit, align: u32) -> Result<(), Error> {
    let has_suffix_of = |stem: &str| section.strip_prefix(stem).is_some_and(|s| s.starts_with('.'));
    let known = matches!(section, ".rodata" | ".data" | ".bss")
        || [".rodata", ".data"].into_iter().any(has_suffix_of);
    if !known {
        return error(format!("variable `{name}`: `{section}` is no data section"));
    }
    if section == ".bss" && matches!(init, DataInit::Bytes(_)) {
        return error(format!("variable `{name}`: .bss holds only zeros"));
    }
    if !align.is_power_of_two() {
        return error(format!("variable `{name}`: alignment {align} is no power of two"));
    }
    Ok(())
}

fn check_name(module: &Module, function: &Function, name: &ir::UserExternalName) -> Result<(), Error> {
    let index = name.index as usize;
    let known = match name.namespace {
        namespace::FUNCTION => match module.functions.get(index) {
            Some(callee) if callee.section != ".text" => {
                let (caller, callee) = (&function.name, &callee.name);
                return error(format!("function `{caller}` refers to `{callee}`, which is not in .text"));
            }
            callee => callee.is_some(),
        },
        namespace::HELPER => i32::try_from(name.index).is_ok(),
        namespace::MAP => index < module.maps.len(),
        namespace::DATA => index < module.data.len(),
        namespace::CORE => index < module.core_relos.len(),
        namespace::CONST => index < module.constants.len(),
        namespace::EXTERN => index < module.externs.len(),
        _ => false,
    };
    match known {
        true => Ok(()),
        false => {
            error(format!("function `{}` refers to {name}, which the module does not have", function.name))
        }
    }
}
