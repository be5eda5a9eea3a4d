//! The reader survives damaged files, for about a second; `fuzz/` runs the same for hours.

use proptest::prelude::*;
use userelf::{Image, fuzzing};

/// This test itself: a program with symbols, notes and many sections.
fn sample() -> Vec<u8> {
    let own = std::env::current_exe().expect("a test runs from a file");
    std::fs::read(own).expect("readable")
}

/// Headers, the tables they lead to, and the ends of both.
fn tables(bytes: &[u8]) -> Vec<(usize, usize)> {
    let word = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("long enough")) as usize;
    vec![(0, 64), (word(32), 56 * 12), (word(40), 64 * 40)]
}

fn damage() -> impl Strategy<Value = Vec<(u8, u16, u8)>> {
    let bytes = prop_oneof![any::<u8>(), Just(0), Just(1), Just(0xff), Just(0x80)];
    prop::collection::vec((0..3u8, any::<u16>(), bytes), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn image(damage in damage()) {
        let mut bytes = sample();
        let tables = tables(&bytes);
        for (table, at, value) in damage {
            let (start, len) = tables[usize::from(table)];
            if let Some(byte) = bytes.get_mut(start + usize::from(at) % len) {
                *byte = value;
            }
        }
        fuzzing::image(&bytes);
    }
}

#[test]
fn the_sample_itself_is_good() {
    let image = Image::from_bytes(sample()).expect("a program");
    assert!(image.is_x86_64() && image.is_executable());
    let symbols = image.symbols().expect("readable");
    let main = symbols.named("main");
    assert_eq!(main.len(), 1);
    let address = main[0].address;
    assert!(image.file_offset(address).is_some());
    assert_eq!(symbols.containing(address).map(|symbol| symbol.address), Some(address));
}

#[test]
fn what_is_no_elf_file() {
    for bytes in [&b""[..], b"\x7fELF", &[0; 64], b"#!/bin/sh\n"] {
        assert!(Image::from_bytes(bytes.to_vec()).is_err());
        fuzzing::image(bytes);
    }
}
