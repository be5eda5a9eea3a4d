//! The string section: one copy of each string, found by its offset.
//!
//! Input    strings in any order
//! Output   [`StringTable::as_bytes`], NUL-terminated strings, the empty one first
//! Ensures  the same strings added in the same order give the same bytes

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Btf, StrOff};

/// A string section under construction.
#[derive(Debug, Clone)]
pub(crate) struct StringTable {
    /// Of a split BTF, the file whose strings come first and are used again.
    base: Option<Arc<Btf>>,
    bytes: Vec<u8>,
    offsets: HashMap<String, StrOff>,
}

impl StringTable {
    /// A table with only the empty string, which must be at offset 0 (`btf.rst`, "String Section").
    pub(crate) fn new() -> Self {
        Self { base: None, bytes: vec![0], offsets: HashMap::from([(String::new(), StrOff(0))]) }
    }

    /// A table whose strings follow those of a base, the empty one included.
    pub(crate) fn following(base: Arc<Btf>) -> Self {
        Self { base: Some(base), bytes: Vec::new(), ..Self::new() }
    }

    /// The offset of `text`, added if it is new. A NUL cannot be stored: the text ends before it.
    pub(crate) fn add(&mut self, text: &str) -> StrOff {
        let text = text.split('\0').next().unwrap_or_default();
        if let Some(&off) = self.offsets.get(text) {
            return off;
        }
        let off = self.base.as_ref().and_then(|base| base.string_off(text)).unwrap_or_else(|| {
            // Sections beyond 4 GiB fail in `Builder::finish`'s limit test; until then offsets saturate.
            let at = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.push(0);
            StrOff(self.base.as_ref().map_or(0, |base| base.end_str()).saturating_add(at))
        });
        self.offsets.insert(text.to_owned(), off);
        off
    }

    /// The section so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::StringTable;

    #[test]
    fn equal_strings_share_an_offset() {
        let mut table = StringTable::new();
        let offs = ["", "a", "bc", "a", "bc\0ignored", "c"].map(|text| table.add(text).0);
        assert_eq!(offs, [0, 1, 3, 1, 3, 6]);
        assert_eq!(table.as_bytes(), b"\0a\0bc\0c\0");
    }
}
