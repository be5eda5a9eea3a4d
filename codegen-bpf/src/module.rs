//! What the caller hands over: one module, compiled to one relocatable object.
//!
//! CLIF refers to everything outside a function through a `UserExternalName`: the
//! [`namespace`] says what kind of thing it is, the index is the position in the vector of the
//! same kind in [`Module`] (for helpers: the kernel's helper id). [`crate::abi`] declares such
//! references in a function.

pub use btf::core::RelocKind;
use cranelift_codegen::ir;

/// Meanings of `UserExternalName::namespace`.
pub mod namespace {
    /// `call`, `func_addr`: index into [`Module::functions`](super::Module::functions).
    pub const FUNCTION: u32 = 0;
    /// `call`: a BPF helper, the index is its id in the kernel.
    pub const HELPER: u32 = 1;
    /// `symbol_value`: the address of a map, index into [`Module::maps`](super::Module::maps).
    pub const MAP: u32 = 2;
    /// `symbol_value`: the address of a variable, index into [`Module::data`](super::Module::data).
    pub const DATA: u32 = 3;
    /// `symbol_value`: a number settled when the object is loaded, index into
    /// [`Module::core_relos`](super::Module::core_relos).
    pub const CORE: u32 = 4;
    /// `symbol_value`: a number the optimiser must not see through, index into
    /// [`Module::constants`](super::Module::constants).
    pub const CONST: u32 = 5;
    /// `symbol_value` of a kernel symbol or `call` of a kfunc, index into
    /// [`Module::externs`](super::Module::externs).
    pub const EXTERN: u32 = 6;
}

/// One object to be.
#[derive(Debug)]
pub struct Module {
    /// Text of the `license` section, without the NUL: `GPL`.
    pub license: String,
    /// Types of maps, data, prototypes and CO-RE roots. Codegen adds VAR, DATASEC, FUNC and the
    /// structs that describe maps.
    pub btf: btf::Builder,
    /// The text that source locations point into.
    pub source: Option<SourceFile>,
    /// Contents of `.maps`.
    pub maps: Vec<Map>,
    /// Global variables.
    pub data: Vec<Data>,
    /// Numbers the loader computes from the target's types.
    pub core_relos: Vec<CoreRelo>,
    /// Numbers that are known but must stay opaque to the optimiser.
    pub constants: Vec<i64>,
    /// Kernel symbols and kfuncs.
    pub externs: Vec<Extern>,
    /// Programs and subprograms.
    pub functions: Vec<Function>,
    /// Further sections, copied as they are: `SHT_PROGBITS`, flags 0.
    pub extra_sections: Vec<(String, Vec<u8>)>,
}

impl Module {
    /// A module with nothing in it.
    pub fn new(license: impl Into<String>, btf: btf::Builder) -> Self {
        Self {
            license: license.into(),
            btf,
            source: None,
            maps: Vec::new(),
            data: Vec::new(),
            core_relos: Vec::new(),
            constants: Vec::new(),
            externs: Vec::new(),
            functions: Vec::new(),
            extra_sections: Vec::new(),
        }
    }
}

/// The source of the whole module; lines of it are quoted in `.BTF.ext`.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// As it shall appear in verifier logs.
    pub name: String,
    /// The complete text; [`crate::abi::srcloc`] numbers its lines from 1.
    pub text: String,
}

/// One map, defined in `.maps`.
#[derive(Debug, Clone)]
pub struct Map {
    /// Symbol and kernel name: `[A-Za-z0-9_.]`, at most 15 bytes reach the kernel.
    pub name: String,
    /// Its attributes.
    pub def: MapDef,
}

/// Attributes of a map, as members of its BTF definition.
#[derive(Debug, Clone, Default)]
pub struct MapDef {
    /// `BPF_MAP_TYPE_*`.
    pub map_type: u32,
    /// Left out when 0.
    pub max_entries: u32,
    /// `BPF_F_*`, left out when 0.
    pub flags: u32,
    /// What the key is.
    pub key: KeyOrSize,
    /// What the value is.
    pub value: KeyOrSize,
    /// `LIBBPF_PIN_*`, left out when 0.
    pub pinning: u32,
    /// `map_extra`, left out when 0.
    pub map_extra: u32,
}

/// How a map's key or value is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyOrSize {
    /// Not at all (ring buffers).
    #[default]
    None,
    /// By a BTF type, which also gives the size.
    Type(btf::TypeId),
    /// By a size only (perf event arrays, stack traces).
    Size(u32),
}

/// One global variable.
#[derive(Debug, Clone)]
pub struct Data {
    /// Symbol name, unique in the module.
    pub name: String,
    /// `.rodata`, `.data`, `.bss`, or the first two with a further `.suffix`. `.rodata*` is read-only.
    pub section: String,
    /// The initial value.
    pub init: DataInit,
    /// Alignment in bytes, a power of two.
    pub align: u32,
    /// Type of the variable; for load-time parameters wrap it in CONST and VOLATILE.
    pub ty: btf::TypeId,
}

/// Initial value of a global variable.
#[derive(Debug, Clone)]
pub enum DataInit {
    /// Exactly these bytes. Not for `.bss`.
    Bytes(Vec<u8>),
    /// This many zero bytes.
    Zero(u32),
}

impl DataInit {
    /// Size of the variable in bytes.
    pub fn size(&self) -> u32 {
        match self {
            Self::Bytes(b) => b.len() as u32,
            Self::Zero(n) => *n,
        }
    }
}

/// A number that depends on the target kernel's types. Every instruction that needs it carries
/// its own record in `.BTF.ext`.
#[derive(Debug, Clone)]
pub struct CoreRelo {
    /// The named local type the access starts from.
    pub root: btf::TypeId,
    /// Access string, `0:1:2`.
    pub access: String,
    /// What is asked.
    pub kind: RelocKind,
    /// The answer for the local types. Libbpf checks that instructions hold this value.
    pub local_value: i64,
}

/// A symbol the kernel provides.
#[derive(Debug, Clone)]
pub struct Extern {
    /// The kernel's name of it.
    pub name: String,
    /// A weak symbol that is missing has address 0 instead of failing the load.
    pub weak: bool,
    /// What it is.
    pub kind: ExternKind,
    /// The variable's type (void gives the address from kallsyms), or the kfunc's FUNC_PROTO with
    /// every parameter named.
    pub ty: btf::TypeId,
}

/// Kinds of kernel symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExternKind {
    /// A variable or, with type void, any symbol (`.ksyms`).
    Ksym,
    /// A function made callable by BTF (`.ksyms`).
    Kfunc,
    /// A build option or one of libbpf's virtual ones (`.kconfig`).
    Kconfig,
}

/// One program or subprogram.
#[derive(Debug, Clone)]
pub struct Function {
    /// Symbol name and BTF name, unique in the module.
    pub name: String,
    /// `fentry/vfs_read`, or `.text` for a subprogram.
    pub section: String,
    /// Its body. At most five parameters and one result, all `i64` or narrower integers; narrow
    /// parameters arrive zero-extended.
    pub clif: ir::Function,
    /// FUNC_PROTO with every parameter named.
    pub proto: btf::TypeId,
    /// Who verifies it, how.
    pub linkage: Linkage,
}

/// How the verifier sees a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Linkage {
    /// Programs, and subprograms that are verified alone with unknown arguments.
    #[default]
    Global,
    /// Subprograms and callbacks that are verified with each caller: local in ELF, static in BTF,
    /// as clang makes of C's `static`.
    Static,
}
