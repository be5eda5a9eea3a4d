//! An opened object as plain data. `open.rs` makes it; later phases only read it.
//!
//! Ensures  every index is in range, every instruction pair complete, every relocation at an instruction that can
//!          take it, and no instruction refers to a kernel object except through a relocation

use crate::sys::bpf::{FuncInfo, Insn, LineInfo};
use btf::ext::CoreRelo;
use btf::{Btf, TypeId};
use manifest::Manifest;
use std::ffi::CString;
use std::sync::Arc;

/// A sonde object.
#[derive(Debug)]
pub struct Object {
    /// Licence of the programs.
    pub license: CString,
    /// Its types.
    pub btf: Arc<Btf>,
    /// Executable sections.
    pub code: Vec<CodeSection>,
    /// Index of `.text` among them.
    pub text: Option<usize>,
    /// Maps of `.maps`.
    pub maps: Vec<MapDef>,
    /// Sections of global variables.
    pub data: Vec<DataSection>,
    /// Kernel symbols the code refers to.
    pub externs: Vec<Extern>,
    /// Programs, one for each of the manifest's probes, in the same order.
    pub programs: Vec<Program>,
    /// What ELF cannot say.
    pub manifest: Arc<Manifest>,
    /// Where the counter of lost events is, if there is one.
    pub lost_events: Option<DataPlace>,
    /// Where each of the manifest's globals is, in the same order.
    pub globals: Vec<DataPlace>,
    /// Index in `maps` of the ring buffer, if there is one.
    pub events: Option<usize>,
    /// Index in `maps` of each of the manifest's maps, in the same order.
    pub script_maps: Vec<usize>,
}

/// Some bytes of a data section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataPlace {
    /// Index in [`Object::data`].
    pub section: usize,
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
}

/// A function that attaches somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Index in [`Object::code`].
    pub section: usize,
    /// Index in its functions.
    pub function: usize,
    /// In a `kprobe.multi` or `kretprobe.multi` section.
    pub is_multi: bool,
}

/// An executable section. Instructions are counted from its start.
#[derive(Debug, Clone, Default)]
pub struct CodeSection {
    /// Its name.
    pub name: String,
    /// Instructions.
    pub insns: Vec<Insn>,
    /// Functions, sorted, not overlapping.
    pub functions: Vec<Function>,
    /// Relocations, sorted by instruction.
    pub relocs: Vec<Reloc>,
    /// Types of the functions, sorted.
    pub func_info: Vec<FuncInfo>,
    /// Source lines, sorted.
    pub line_info: Vec<LineInfo>,
    /// CO-RE relocations, sorted by instruction.
    pub core_relos: Vec<CoreRelo>,
}

/// A function's instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Symbol.
    pub name: String,
    /// First instruction.
    pub start: usize,
    /// Number of instructions.
    pub len: usize,
}

/// An instruction that refers to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reloc {
    /// The instruction.
    pub insn: usize,
    /// What it refers to.
    pub target: Target,
}

/// What a relocation refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A map, by index.
    Map(usize),
    /// A byte of a data section.
    Data {
        /// Index of the section.
        section: usize,
        /// The byte.
        offset: u32,
    },
    /// A function of `.text`, by index.
    Function(usize),
    /// A kernel symbol, by index.
    Extern(usize),
}

/// A map to create.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MapDef {
    /// Symbol, and name for the kernel.
    pub symbol: String,
    /// `BPF_MAP_TYPE_*`.
    pub map_type: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value, of one CPU.
    pub value_size: u32,
    /// Entries, or bytes of a ring buffer; 0 if the loader is to decide.
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// Meaning depends on the type.
    pub extra: u64,
    /// Types of key and value, void if only sizes are given.
    pub types: (TypeId, TypeId),
}

/// A section of global variables: an array map with one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSection {
    /// Its name.
    pub name: String,
    /// Initial contents.
    pub bytes: Vec<u8>,
    /// Programs may not write to it.
    pub read_only: bool,
    /// Its BTF `DATASEC`, void if there is none.
    pub ty: TypeId,
}

/// A kernel symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extern {
    /// Its name.
    pub name: String,
    /// It may be missing.
    pub weak: bool,
    /// What it is.
    pub kind: ExternKind,
}

/// What a kernel symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternKind {
    /// An address (`void` in C), from kallsyms.
    Address,
    /// A variable with a type, from BTF.
    Variable,
    /// A kfunc, from BTF.
    Function,
}
