//! Structs, unions and enums by name.
//!
//! Input    a pattern such as `struct nft_*`
//! Output   the names, or vmlinux's definitions and those that modules have beside them
//! Ensures  sorted by name, text and module

use super::{is_pattern, matches};
use crate::kernel::{BtfId, Kernel};
use btf::{Kind, KindSet};
use std::collections::BTreeSet;

const KEYWORDS: [(&str, KindSet); 3] = [
    ("struct", KindSet::of(&[Kind::Struct])),
    ("union", KindSet::of(&[Kind::Union])),
    ("enum", KindSet::ENUM),
];

/// The types that match, or `None` if the pattern is not for types.
pub(super) fn list(kernel: &Kernel, pattern: &str, verbose: bool) -> Option<String> {
    let (keyword, name) = pattern.split_once(' ')?;
    let (keyword, kinds) = KEYWORDS.into_iter().find(|(word, _)| *word == keyword)?;
    let name = name.trim();
    let files = if is_pattern(name) {
        super::probes::files(kernel, "*")
    } else {
        std::iter::once(BtfId::VMLINUX).chain(kernel.modules_with(name)).collect()
    };
    let mut found = BTreeSet::new();
    for file in files {
        let types = kernel.btf(file);
        for (id, own) in types.named(kinds) {
            if matches(name, own) {
                let definition = if verbose { types.definition(id) } else { String::new() };
                let known = (own, definition, BtfId::VMLINUX);
                if file == BtfId::VMLINUX || !verbose || !found.contains(&known) {
                    found.insert((known.0, known.1, if verbose { file } else { BtfId::VMLINUX }));
                }
            }
        }
    }
    let mut out = String::new();
    for (name, definition, file) in found {
        match verbose {
            true => out.extend([kernel.name(file), ": ", &definition, ";\n\n"]),
            false => out.extend([keyword, " ", name, "\n"]),
        }
    }
    Some(out)
}
