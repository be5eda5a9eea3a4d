//! Kernel symbols that an object declares `extern`.
//!
//! Input    [`Extern`]s, the kernel's types and kallsyms
//! Output   a [`KernelSymbol`] for each, in the same order
//! Ensures  a symbol that is missing is an error unless it is weak

use crate::error::Error;
use crate::kernel::functions;
use crate::kernel::types::KernelTypes;
use crate::object::{Extern, ExternKind};
use btf::{Kind, TypeId};

/// What a symbol turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelSymbol {
    /// Not there: null.
    Missing,
    /// An address.
    Address(u64),
    /// A variable or function of vmlinux, by type id.
    Typed(TypeId),
}

/// Looks all symbols up.
pub fn resolve_externs(externs: &[Extern], kernel: &mut KernelTypes) -> Result<Vec<KernelSymbol>, Error> {
    let mut symbols = Vec::new();
    for wanted in externs {
        let found = match wanted.kind {
            ExternKind::Address => {
                functions::address(None, &wanted.name).ok().flatten().map(KernelSymbol::Address)
            }
            ExternKind::Variable => typed(kernel, &wanted.name, Kind::Var)?,
            ExternKind::Function => typed(kernel, &wanted.name, Kind::Func)?,
        };
        match found {
            Some(KernelSymbol::Address(0)) => return Err(Error::HiddenSymbol(wanted.name.clone())),
            Some(symbol) => symbols.push(symbol),
            None if wanted.weak => symbols.push(KernelSymbol::Missing),
            None => return Err(Error::KernelSymbol(wanted.name.clone())),
        }
    }
    Ok(symbols)
}

fn typed(kernel: &mut KernelTypes, name: &str, kind: Kind) -> Result<Option<KernelSymbol>, Error> {
    Ok(kernel.vmlinux()?.find(name, kind).next().map(KernelSymbol::Typed))
}
