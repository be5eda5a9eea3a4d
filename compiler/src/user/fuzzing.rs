//! Reads everything there is in debug information from anywhere: the bodies of the fuzz targets, which
//! tests run for a while as well.
//!
//! Input    any bytes
//! Output   nothing
//! Ensures  no panic and bounded time and memory

use super::convert::Types;
use super::function;
use super::source::decompress;
use super::units::{Slice, Units};
use gimli::{Dwarf, LittleEndian};
use std::sync::Arc;
use userelf::Image;

/// Functions and types looked at; each costs a search of the file.
const FUNCTIONS_MAX: usize = 16;
const TYPES_MAX: usize = 64;

/// Reads an ELF file's debug information.
pub fn program(data: &[u8]) {
    let Ok(image) = Image::from_bytes(data.to_vec()) else { return };
    let section = |id: gimli::SectionId| {
        let section = image.section(id.name()).ok().flatten();
        let bytes = section.and_then(|s| if s.is_compressed { decompress(&s.bytes) } else { Some(s.bytes) });
        Ok::<_, gimli::Error>(Slice::new(Arc::from(bytes.unwrap_or_default()), LittleEndian))
    };
    let Ok(dwarf) = Dwarf::load(section) else { return };
    let (units, mut types) = (Units::new(dwarf, None, None), Types::new());
    let symbols = image.symbols().unwrap_or_default();
    let mut names: Vec<_> = symbols.functions().map(|symbol| symbol.name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names.into_iter().take(FUNCTIONS_MAX) {
        let _ = function::find(&units, &mut types, &symbols, name);
    }
    for name in ["inner", "node", "int"] {
        let _ = types.find(&units, name, |_| true);
    }
    let mut seen = 0;
    while let Some(btf) = types.btf() {
        let new: Vec<_> = btf.ids().skip(seen).take(TYPES_MAX.saturating_sub(seen)).collect();
        seen += new.len();
        for id in new {
            let id = types.canonical(&units, id);
            types.define(&units, id);
        }
        btf::fuzzing::walk(&btf);
    }
}
