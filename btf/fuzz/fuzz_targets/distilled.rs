//! A split `.BTF` behind its `.BTF.base` and the kernel's: see `btf::fuzzing::distilled`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btf::fuzzing::distilled(data));
