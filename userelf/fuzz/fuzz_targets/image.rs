//! An ELF file: see `userelf::fuzzing::image`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| userelf::fuzzing::image(data));
