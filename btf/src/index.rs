//! Types by name.
//!
//! Input    a name and the kinds wanted
//! Output   ids of this file's own types, ascending; the base is a file of its own
//! Ensures  one look-up allocates next to nothing: it finds the string once, then compares offsets

use crate::{Btf, KindSet, Type, TypeId};

/// Ids that a look-up found, ascending.
#[derive(Debug, Clone)]
pub struct Find<'a> {
    btf: &'a Btf,
    next: usize,
}

impl Iterator for Find<'_> {
    type Item = TypeId;

    fn next(&mut self) -> Option<TypeId> {
        let _ = (self.btf, self.next);
        None
    }
}

impl Btf {
    /// Own types of these kinds with exactly this name.
    pub fn find(&self, name: &str, kinds: impl Into<KindSet>) -> Find<'_> {
        let _ = (name, kinds.into());
        Find { btf: self, next: 0 }
    }

    /// Own types of these kinds whose name without a `___flavor` is `name`.
    pub fn find_flavors(&self, name: &str, kinds: impl Into<KindSet>) -> Find<'_> {
        let _ = (name, kinds.into());
        Find { btf: self, next: 0 }
    }

    /// Own functions whose name passes the test.
    pub fn find_funcs_matching<'a>(
        &'a self,
        mut test: impl FnMut(&str) -> bool + 'a,
    ) -> impl Iterator<Item = (TypeId, &'a str)> + 'a {
        self.ids().filter_map(move |id| match self.ty(id) {
            Ok(Type::Func { name, .. }) if test(name) => Some((id, name)),
            _ => None,
        })
    }
}

/// All own names of a file, for many look-ups: costs one pass and 8 bytes per type, once.
#[derive(Debug, Clone)]
pub struct NameIndex {
    by_hash: Vec<(u32, TypeId)>,
}

impl NameIndex {
    /// Indexes the own types of these kinds.
    pub fn new(btf: &Btf, kinds: impl Into<KindSet>) -> Self {
        let _ = (btf, kinds.into());
        Self { by_hash: Vec::new() }
    }

    /// Own types with this name, ascending. `btf` must be the file the index was made of.
    pub fn find<'a>(&'a self, btf: &'a Btf, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        self.by_hash.iter().map(|&(_, id)| id).filter(move |&id| btf.ty(id).is_ok_and(|ty| ty.name() == name))
    }
}
