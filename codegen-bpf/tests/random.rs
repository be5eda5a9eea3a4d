//! Random functions mean the same to CLIF's evaluator and, compiled, to a BPF interpreter.

mod common;

use common::{bpf, build, clif, module, random};
use goblin::elf::Elf;
use proptest::prelude::*;

fn code_of(object: &[u8]) -> Vec<u8> {
    let elf = Elf::parse(object).expect("goblin reads what object wrote");
    let section = elf.section_headers.iter().find(|s| s.is_executable()).expect("a program section");
    object[section.file_range().expect("has contents")].to_vec()
}

fn agree(words: &[u32], args: [u64; 3], opt: bool) {
    let text = random::function(words);
    let module = module(&text);
    let args = [bpf::MEMORY, args[0], args[1], args[2]];
    let mut expected_memory: Vec<u8> = (0..random::MEMORY_BYTES as u8).collect();
    let mut memory = expected_memory.clone();
    let expected = clif::run(&module.functions[0].clif, &module.constants, &args, &mut expected_memory);
    let object = build(&text, opt);
    let result = bpf::run(&code_of(&object.bytes), &args, &mut memory);
    assert_eq!(
        (result, &memory),
        (expected, &expected_memory),
        "opt {opt}, args {args:x?}\n{text}\n{}",
        object.programs[0].disasm
    );
    assert_eq!(object.bytes, build(&text, opt).bytes, "the same input gives the same bytes");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compiled_code_means_the_same(
        words in proptest::collection::vec(any::<u32>(), 10..400),
        args in any::<[u64; 3]>(),
        small in any::<[i8; 3]>(),
    ) {
        for opt in [false, true] {
            agree(&words, args, opt);
            agree(&words, small.map(|arg| i64::from(arg) as u64), opt);
        }
    }
}

/// `PROPTEST_CASES`, or few enough for every run of the tests.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(150)
}
