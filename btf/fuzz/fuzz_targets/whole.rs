//! A whole `.BTF`: see `btf::fuzzing::whole`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btf::fuzzing::whole(data));
