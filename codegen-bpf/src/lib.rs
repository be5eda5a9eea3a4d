//! CLIF functions in, a relocatable BPF ELF object out.
//!
//! The crate knows nothing of where the CLIF came from, does no I/O, and gives the same bytes for
//! the same module. [`module`] is the input, [`abi`] declares external names in CLIF, [`compile`]
//! does the work.

pub mod abi;
pub mod module;

pub use module::{
    CoreKind, CoreRelo, Data, DataInit, Extern, ExternKind, Function, KeyOrSize, Linkage, Map, MapDef, Module,
    SourceFile, namespace,
};

/// Choices about the output.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Run the mid-end (GVN, folding, LICM, load forwarding). Selection is the same without.
    pub opt: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { opt: true }
    }
}

/// A finished object.
#[derive(Debug, Clone)]
pub struct Object {
    /// The ELF file.
    pub bytes: Vec<u8>,
    /// What is in it, in the order of [`Module::functions`].
    pub programs: Vec<ProgramInfo>,
}

/// One compiled function.
#[derive(Debug, Clone)]
pub struct ProgramInfo {
    /// Its name.
    pub name: String,
    /// The section it is in.
    pub section: String,
    /// Instructions, `ld_imm64` counted as two as the kernel does.
    pub insns: usize,
    /// Bytes of stack used by slots and spills.
    pub stack_bytes: u32,
    /// Kernel-style text, one instruction per line.
    pub disasm: String,
}

/// Why a module cannot become an object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The CLIF is malformed.
    #[error("function `{function}`: malformed CLIF: {message}")]
    Clif {
        /// The function.
        function: String,
        /// What cranelift's verifier said.
        message: String,
    },
    /// CLIF that BPF cannot express.
    #[error("function `{function}`: {what} has no BPF equivalent")]
    Unsupported {
        /// The function.
        function: String,
        /// The instruction or property.
        what: String,
    },
    /// The frame is larger than the kernel allows.
    #[error("function `{function}` needs {bytes} bytes of stack, the kernel allows 512")]
    Stack {
        /// The function.
        function: String,
        /// What it would need.
        bytes: u32,
    },
    /// A jump does not fit 16 bits.
    #[error("function `{function}`: a jump of {insns} instructions is beyond the reach of BPF")]
    JumpRange {
        /// The function.
        function: String,
        /// The distance.
        insns: i64,
    },
    /// The module contradicts itself.
    #[error("{0}")]
    Module(String),
}

/// Compiles all functions of `module` and writes the object.
pub fn compile(module: Module, options: &Options) -> Result<Object, Error> {
    let _ = (module, options);
    todo!("the pipeline is being written; the types above are final")
}
