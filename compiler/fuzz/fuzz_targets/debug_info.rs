//! A program with debug information: see `compiler::user::fuzzing::program`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| compiler::user::fuzzing::program(data));
