//! Types by name.
//!
//! Input    a name and the kinds wanted
//! Output   ids of this file's own types, ascending; the base is a file of its own
//! Ensures  one look-up keeps next to nothing: it finds the string once, then compares offsets.
//!          [`NameIndex`] is for those who ask for hundreds of names.

use memchr::memmem;

use crate::core::essential_name;
use crate::record::Record;
use crate::{Btf, Kind, KindSet, StrOff, TypeId};

/// Ids that a look-up found, ascending.
#[derive(Debug, Clone)]
pub struct Find<'a> {
    btf: &'a Btf,
    /// String offsets of the name, ascending. A name has one, unless its producer shares suffixes
    /// or the file repeats strings.
    offs: Vec<u32>,
    kinds: KindSet,
    next: usize,
}

impl Iterator for Find<'_> {
    type Item = TypeId;

    fn next(&mut self) -> Option<TypeId> {
        if self.offs.is_empty() {
            return None;
        }
        let found = self.btf.records_from(self.next).find(|(_, record)| {
            let wanted = match self.offs.as_slice() {
                [only] => record.name_off == *only,
                many => many.binary_search(&record.name_off).is_ok(),
            };
            wanted && record.kind().is_some_and(|kind| self.kinds.contains(kind))
        });
        let (id, _) = found?;
        self.next = usize::try_from(id.0 - self.btf.first_id().0).ok()? + 1;
        Some(id)
    }
}

impl Btf {
    /// Own types of these kinds with exactly this name. The empty name finds nothing.
    pub fn find(&self, name: &str, kinds: impl Into<KindSet>) -> Find<'_> {
        let mut needle = name.as_bytes().to_vec();
        needle.push(0);
        self.find_strings(name, &needle, kinds.into(), |_| true)
    }

    /// Own types of these kinds whose name without a `___flavour` is `name`, which has none.
    pub fn find_flavors(&self, name: &str, kinds: impl Into<KindSet>) -> Find<'_> {
        self.find_strings(name, name.as_bytes(), kinds.into(), |found| essential_name(found) == name)
    }

    /// Looks for the offsets at which a string starts that has the prefix `needle` and passes the
    /// test. The start need not follow a NUL: a type may name the tail of another type's string.
    fn find_strings(
        &self,
        name: &str,
        needle: &[u8],
        kinds: KindSet,
        test: impl Fn(&str) -> bool,
    ) -> Find<'_> {
        let mut offs = Vec::new();
        if !name.is_empty() && !name.contains('\0') {
            let finder = memmem::Finder::new(needle);
            let files = std::iter::successors(Some(self), |btf| btf.base().map(AsRef::as_ref));
            for btf in files {
                for at in finder.find_iter(btf.own_strings()) {
                    let off = btf.first_str().saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
                    if test(btf.checked_name(off)) {
                        offs.push(off);
                    }
                }
            }
            offs.sort_unstable();
        }
        Find { btf: self, offs, kinds, next: 0 }
    }

    /// Offset of a whole string of this file or its base.
    pub(crate) fn string_off(&self, text: &str) -> Option<StrOff> {
        let needle = [b"\0", text.as_bytes(), b"\0"].concat();
        let mut files = std::iter::successors(Some(self), |btf| btf.base().map(AsRef::as_ref));
        files.find_map(|btf| {
            let at = u32::try_from(memmem::find(btf.own_strings(), &needle)?).ok()?;
            Some(StrOff(btf.first_str().checked_add(at)?.checked_add(1)?))
        })
    }

    /// Own types of these kinds that have a name, ascending by id.
    pub fn named(&self, kinds: impl Into<KindSet>) -> impl Iterator<Item = (TypeId, &str)> {
        let kinds = kinds.into();
        let wanted = move |record: &Record<'_>| {
            record.name_off != 0 && record.kind().is_some_and(|kind| kinds.contains(kind))
        };
        self.records_from(0)
            .filter(move |(_, record)| wanted(record))
            .map(|(id, record)| (id, self.checked_name(record.name_off)))
    }

    /// Own functions whose name passes the test, ascending by id.
    pub fn find_funcs_matching<'a>(
        &'a self,
        mut test: impl FnMut(&str) -> bool + 'a,
    ) -> impl Iterator<Item = (TypeId, &'a str)> + 'a {
        self.named(Kind::Func).filter(move |(_, name)| test(name))
    }
}

/// All own names of a file, for many look-ups: costs one pass and 8 bytes per type, once.
#[derive(Debug, Clone)]
pub struct NameIndex {
    /// Sorted, so that the ids of one name are neighbours and ascend.
    by_hash: Vec<(u32, TypeId)>,
}

impl NameIndex {
    /// Indexes the own types of these kinds that have a name.
    pub fn new(btf: &Btf, kinds: impl Into<KindSet>) -> Self {
        let kinds = kinds.into();
        let mut by_hash = Vec::new();
        for (id, record) in btf.records_from(0) {
            if record.name_off != 0 && record.kind().is_some_and(|kind| kinds.contains(kind)) {
                by_hash.push((hash(btf.checked_name(record.name_off)), id));
            }
        }
        by_hash.sort_unstable();
        Self { by_hash }
    }

    /// Own types with this name, ascending. `btf` must be the file the index was made of.
    pub fn find<'a>(&'a self, btf: &'a Btf, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        let wanted = hash(name);
        let start = self.by_hash.partition_point(|&(hash, _)| hash < wanted);
        let tail = self.by_hash.get(start..).unwrap_or_default();
        tail.iter()
            .take_while(move |&&(hash, _)| hash == wanted)
            .map(|&(_, id)| id)
            .filter(move |&id| btf.ty(id).is_ok_and(|ty| ty.name() == name))
    }
}

/// FNV-1a: names are short, and look-ups compare the name anyway.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{Btf, Builder, Error, IntEncoding, Kind, KindSet, NameIndex, TypeId};

    fn sample() -> Result<Btf, Error> {
        let mut b = Builder::new();
        let int = b.add_int("int", 4, IntEncoding::default()); // 1
        b.add_struct("u_int", 4, &[]); // 2
        b.add_struct("file", 4, &[]); // 3
        b.add_typedef("file", int); // 4
        b.add_struct("file___old", 8, &[]); // 5
        b.add_struct("file_lock", 8, &[]); // 6
        b.add_fwd("file", false); // 7
        b.add_struct("", 8, &[]); // 8
        Btf::from_vec(b.finish()?)
    }

    #[test]
    fn names_and_kinds_both_decide() -> Result<(), Error> {
        let btf = sample()?;
        let index = NameIndex::new(&btf, KindSet::ALL);
        let table: &[(&str, KindSet, &[u32])] = &[
            ("file", KindSet::ALL, &[3, 4, 7]),
            ("file", KindSet::COMPOSITE, &[3]),
            ("file", Kind::Typedef.into(), &[4]),
            ("int", KindSet::ALL, &[1]),
            ("_int", KindSet::ALL, &[]),
            ("fil", KindSet::ALL, &[]),
            ("", KindSet::ALL, &[]),
            ("file\0", KindSet::ALL, &[]),
        ];
        for &(name, kinds, expected) in table {
            let ids: Vec<u32> = btf.find(name, kinds).map(|id| id.0).collect();
            assert_eq!(ids, expected, "{name}");
            if kinds == KindSet::ALL {
                let ids: Vec<u32> = index.find(&btf, name).map(|id| id.0).collect();
                assert_eq!(ids, expected, "{name} by index");
            }
        }
        let flavors: Vec<u32> = btf.find_flavors("file", KindSet::COMPOSITE).map(|id| id.0).collect();
        assert_eq!(flavors, [3, 5]);
        Ok(())
    }

    #[test]
    fn a_name_may_be_the_tail_of_another() -> Result<(), Error> {
        let mut bytes = {
            let mut b = Builder::new();
            b.add_struct("u_int", 4, &[]);
            b.add_struct("x", 4, &[]);
            b.finish()?
        };
        // Point the second struct's name at the `int` inside `u_int`.
        let second = 24 + 12;
        bytes.get_mut(second..second + 4).expect("two types").copy_from_slice(&3_u32.to_le_bytes());
        let btf = Btf::from_vec(bytes)?;
        assert_eq!(btf.find("int", KindSet::ALL).collect::<Vec<_>>(), [TypeId(2)]);
        assert_eq!(btf.find("u_int", KindSet::ALL).collect::<Vec<_>>(), [TypeId(1)]);
        Ok(())
    }

    #[test]
    fn split_types_may_use_names_of_the_base() -> Result<(), Error> {
        let base = Arc::new(sample()?);
        let mut b = Builder::split(Arc::clone(&base));
        b.add_fwd("module", false);
        b.add_struct("file", 2, &[]);
        let split = Btf::parse_split(Arc::new(b.finish()?), Arc::clone(&base))?;
        let own: Vec<TypeId> = split.find("file", Kind::Struct).collect();
        assert_eq!(own, [TypeId(split.first_id().0 + 1)]);
        Ok(())
    }

    #[test]
    fn functions_by_pattern() -> Result<(), Error> {
        let mut b = Builder::new();
        let proto = b.add_func_proto(TypeId::VOID, &[]);
        for name in ["tcp_sendmsg", "udp_sendmsg", "tcp_close"] {
            b.add_func(name, proto, crate::Linkage::Static);
        }
        b.add_fwd("tcp_sock", false);
        let btf = Btf::from_vec(b.finish()?)?;
        let found: Vec<_> =
            btf.find_funcs_matching(|name| name.starts_with("tcp_")).map(|(_, name)| name).collect();
        assert_eq!(found, ["tcp_sendmsg", "tcp_close"]);
        Ok(())
    }
}
