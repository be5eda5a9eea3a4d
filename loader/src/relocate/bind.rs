//! Puts descriptors of maps and addresses of kernel symbols into instructions.
//!
//! Input    a [`Linked`] program, descriptors of maps and data sections, kernel symbols
//! Output   instructions to load
//! Requires relocations as `open/code.rs` checked them

use super::externs::KernelSymbol;
use super::link::{Linked, Poisoned};
use crate::kinds;
use crate::object::{Extern, Target};
use crate::sys::bpf::Insn;

/// Helper number of calls that must not be reached; what libbpf and the CO-RE engine write too.
pub const POISON: i32 = 0xbad_2310;

/// Descriptors, in the order of the object's lists.
#[derive(Debug, Clone, Copy)]
pub struct Bindings<'a> {
    /// Of maps.
    pub maps: &'a [i32],
    /// Of the maps behind data sections.
    pub data: &'a [i32],
    /// Kernel symbols.
    pub symbols: &'a [KernelSymbol],
    /// What they were asked for as.
    pub externs: &'a [Extern],
}

/// Finishes a program's instructions.
pub fn bind(linked: &mut Linked, bindings: &Bindings<'_>) {
    let fd = |fds: &[i32], index: usize| fds.get(index).copied().unwrap_or(-1);
    for reloc in std::mem::take(&mut linked.relocs) {
        let at = reloc.insn;
        match reloc.target {
            Target::Map(map) => set64(linked, at, kinds::PSEUDO_MAP_FD, fd(bindings.maps, map), 0),
            Target::Data { section, offset } => {
                let fd = fd(bindings.data, section);
                set64(linked, at, kinds::PSEUDO_MAP_VALUE, fd, offset.cast_signed());
            }
            Target::Extern(index) => {
                let symbol = bindings.symbols.get(index).copied().unwrap_or(KernelSymbol::Missing);
                let name = bindings.externs.get(index).map_or("", |wanted| wanted.name.as_str());
                bind_symbol(linked, at, symbol, name);
            }
            // Done by the linker.
            Target::Function(_) => {}
        }
    }
}

fn bind_symbol(linked: &mut Linked, at: usize, symbol: KernelSymbol, name: &str) {
    let is_call = linked.insns.get(at).is_some_and(|insn| insn.code == kinds::CALL);
    match symbol {
        KernelSymbol::Typed(id) if is_call => {
            if let Some(insn) = linked.insns.get_mut(at) {
                *insn = Insn { off: 0, imm: id.0.cast_signed(), ..insn.with_src(kinds::PSEUDO_KFUNC_CALL) };
            }
        }
        KernelSymbol::Missing | KernelSymbol::Address(_) if is_call => {
            if let Some(insn) = linked.insns.get_mut(at) {
                *insn = Insn { off: 0, imm: POISON, ..insn.with_src(0) };
            }
            let what = format!("kernel function `{name}`");
            linked.poisoned.push(Poisoned { insn: at, what, why: "its BTF has no such function".into() });
        }
        KernelSymbol::Missing => set64(linked, at, 0, 0, 0),
        KernelSymbol::Address(address) => {
            // The two halves of the constant.
            set64(linked, at, 0, address as u32 as i32, (address >> 32) as i32);
        }
        KernelSymbol::Typed(id) => set64(linked, at, kinds::PSEUDO_BTF_ID, id.0.cast_signed(), 0),
    }
}

/// Both halves of a `ld_imm64`.
fn set64(linked: &mut Linked, at: usize, src: u8, low: i32, high: i32) {
    if let Some([first, second]) = linked.insns.get_mut(at..at + 2) {
        *first = Insn { imm: low, ..first.with_src(src) };
        second.imm = high;
    }
}
