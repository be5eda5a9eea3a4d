//! Reads everything there is in bytes from anywhere: the body of the fuzz target, which tests run for a
//! second as well.
//!
//! Ensures  no panic and bounded time

use crate::Image;

/// Reads a file.
pub fn image(data: &[u8]) {
    let Ok(image) = Image::from_bytes(data.to_vec()) else { return };
    let _ = (image.build_id(), image.debug_link(), image.alt_link());
    for name in [".text", ".debug_info", ".symtab", ""] {
        let _ = (image.section(name), image.has_section(name));
    }
    let Ok(symbols) = image.symbols() else { return };
    for symbol in symbols.functions().take(64) {
        let _ = image.file_offset(symbol.address);
        let named = symbols.named(symbol.name);
        assert!(named.iter().any(|other| other.address == symbol.address), "a search finds all names");
        let _ = symbols.containing(symbol.address);
    }
}
