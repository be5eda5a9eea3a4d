//! CLIF functions in, a relocatable BPF ELF object out.
//!
//! The crate knows nothing of where the CLIF came from, does no I/O, and gives the same bytes for
//! the same module. [`module`] is the input, [`abi`] declares external names in CLIF, [`compile`]
//! does the work.

#![forbid(unsafe_code)]

pub mod abi;
mod check;
pub mod disasm;
mod elf;
mod emit;
pub mod encode;
mod frame;
mod hoist;
pub mod insn;
mod isel;
mod layout;
mod legalise;
mod mir;
pub mod module;
mod object;
mod opt;
mod peephole;
mod regalloc;

use isel::flow::Flow;
pub use module::{
    CoreRelo, Data, DataInit, Extern, ExternKind, Function, KeyOrSize, Linkage, Map, MapDef, Module,
    RelocKind, SourceFile, namespace,
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
    check::check(&module)?;
    let compiled: Vec<Compiled> = module
        .functions
        .iter()
        .map(|function| compile_function(function, &module, options))
        .collect::<Result<_, _>>()?;
    let programs = module.functions.iter().zip(&compiled);
    let programs = programs.map(|(function, compiled)| describe(function, compiled, &module)).collect();
    let code: Vec<emit::Code> = compiled.into_iter().map(|compiled| compiled.code).collect();
    let bytes = object::build(module, &code).map_err(Error::Module)?;
    Ok(Object { bytes, programs })
}

struct Compiled {
    code: emit::Code,
    stack_bytes: u32,
}

fn compile_function(function: &Function, module: &Module, options: &Options) -> Result<Compiled, Error> {
    match compile_once(function, module, options.opt) {
        // The mid-end may have used an operation that CLIF offers and BPF does not.
        Err(Error::Unsupported { .. }) if options.opt => compile_once(function, module, false),
        result => result,
    }
}

fn compile_once(function: &Function, module: &Module, opt: bool) -> Result<Compiled, Error> {
    let name = || function.name.clone();
    let mut constants = module.constants.clone();
    let mut clif = opt::run(function.clif.clone(), &mut constants, opt)
        .map_err(|message| Error::Clif { function: name(), message })?;
    legalise::run(&mut clif, &constants);
    hoist::run(&mut clif);
    let flow = Flow::new(&clif);
    let frame = frame::layout(&clif, &flow);
    let is_program = function.section != ".text";
    let vcode = isel::select(&clif, &flow, &constants, &module.core_relos, is_program)
        .map_err(|isel::Unsupported(what)| Error::Unsupported { function: name(), what })?;
    let (mut mir, spilled) = regalloc::allocate(vcode, &frame, &module.core_relos);
    let stack_bytes = frame.bytes + spilled;
    if stack_bytes > abi::STACK_BYTES_MAX {
        return Err(Error::Stack { function: name(), bytes: stack_bytes });
    }
    layout::simplify(&mut mir);
    peephole::run(&mut mir, frame.bytes);
    layout::simplify(&mut mir);
    let code =
        emit::emit(&mir).map_err(|emit::TooFar(insns)| Error::JumpRange { function: name(), insns })?;
    Ok(Compiled { code, stack_bytes })
}

fn describe(function: &Function, compiled: &Compiled, module: &Module) -> ProgramInfo {
    let lines = compiled.code.insns.iter().map(|placed| (&placed.insn, placed.reference));
    ProgramInfo {
        name: function.name.clone(),
        section: function.section.clone(),
        insns: compiled.code.slots(),
        stack_bytes: compiled.stack_bytes,
        disasm: disasm::listing(lines, module),
    }
}
