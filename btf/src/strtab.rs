//! The string section: one copy of each string, found by its offset.
//!
//! Input    strings in any order
//! Output   [`StringTable::as_bytes`], NUL-terminated strings, the empty one first
//! Ensures  the same strings added in the same order give the same bytes

use std::collections::HashMap;

use crate::StrOff;

/// A string section under construction.
#[derive(Debug, Clone)]
pub(crate) struct StringTable {
    bytes: Vec<u8>,
    offsets: HashMap<String, StrOff>,
}

impl StringTable {
    /// A table with only the empty string, which must be at offset 0 (`btf.rst`, "String Section").
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0], offsets: HashMap::from([(String::new(), StrOff(0))]) }
    }

    /// The offset of `text`, added if it is new. A NUL cannot be stored: the text ends before it.
    pub(crate) fn add(&mut self, text: &str) -> StrOff {
        let text = text.split('\0').next().unwrap_or_default();
        if let Some(&off) = self.offsets.get(text) {
            return off;
        }
        // Sections beyond 4 GiB fail in `Builder::finish`'s limit test; until then offsets saturate.
        let off = StrOff(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
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
