//! A split `.BTF` behind its base: see `btf::fuzzing::split`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btf::fuzzing::split(data));
