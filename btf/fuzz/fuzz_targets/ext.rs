//! A `.BTF.ext`: see `btf::fuzzing::ext`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| btf::fuzzing::ext(data));
