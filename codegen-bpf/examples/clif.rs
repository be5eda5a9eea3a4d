//! Compiles textual CLIF: `clif FILE.clif OUT.bpf.o`. Prints the disassembly.
//!
//! The CLIF may refer to the maps, variables and relocations of `tests/common/mod.rs`; functions
//! whose names start with `prog` become tracepoint programs, others subprograms.

#[path = "../tests/common/mod.rs"]
mod common;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, input, output] = &args[..] else { return Err("usage: clif FILE.clif OUT.bpf.o".into()) };
    let text = std::fs::read_to_string(input)?;
    let mut module = common::module(&text);
    module.source = Some(codegen_bpf::SourceFile { name: input.clone(), text });
    module.extra_sections.push((".sonde".into(), b"{}".to_vec()));
    let object = codegen_bpf::compile(module, &codegen_bpf::Options::default())?;
    for program in &object.programs {
        let (name, insns, stack) = (&program.name, program.insns, program.stack_bytes);
        println!("{name}: {insns} instructions, {stack} bytes of stack\n{}", program.disasm);
    }
    std::fs::write(output, object.bytes)?;
    Ok(())
}
