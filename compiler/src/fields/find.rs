//! Types and enumerators by name.
//!
//! Output   the one definition meant, or why there is none: [`NotFound`]
//! Ensures  order of files: the script, the probe's module, vmlinux, other modules; of several
//!          definitions in one place none is taken unless they are the same (`layout.rs`)

use super::{Composite, EnumRef, Fields};
use crate::kernel::BtfId;
use crate::syntax::ast::Tag;
use btf::{Kind, KindSet, Type, TypeId};

/// A type that was found by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The file that has it.
    pub btf: BtfId,
    /// Its id there.
    pub id: TypeId,
}

/// An enumerator that was found by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enumerator {
    /// Its enum.
    pub of: EnumRef,
    /// Its value, as its enum reads it.
    pub value: u64,
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFound {
    /// No file has it.
    Unknown,
    /// Different definitions, and nothing that decides between them: one of each.
    Ambiguous(Vec<Named>),
}

/// The outcome of a look-up.
pub type Found<T> = Result<T, NotFound>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Query {
    tag: Option<Tag>,
    name: String,
    module: Option<BtfId>,
    /// Whether modules that nobody named are searched too.
    far: bool,
}

/// The kinds meant, by preference.
fn kinds(tag: Option<Tag>) -> &'static [KindSet] {
    const STRUCT: &[KindSet] = &[KindSet::of(&[Kind::Struct])];
    const UNION: &[KindSet] = &[KindSet::of(&[Kind::Union])];
    const ENUM: &[KindSet] = &[KindSet::ENUM];
    const ANY: &[KindSet] = &[
        KindSet::of(&[Kind::Struct, Kind::Union, Kind::Enum, Kind::Enum64]),
        KindSet::of(&[Kind::Typedef, Kind::Int]),
    ];
    match tag {
        Some(Tag::Struct) => STRUCT,
        Some(Tag::Union) => UNION,
        Some(Tag::Enum) => ENUM,
        None => ANY,
    }
}

impl Fields<'_> {
    /// The type of this name; without a tag also typedefs and C's integers. In a probe of a user
    /// program the program's types come behind the script's.
    pub fn find(&self, tag: Option<Tag>, name: &str) -> Found<Named> {
        self.find_in_program(tag, name).map_or_else(|| self.find_in_kernel(tag, name), Ok)
    }

    fn find_in_program(&self, tag: Option<Tag>, name: &str) -> Option<Named> {
        let btf = self.program()?;
        let is_own = |found: &Named| self.script.as_ref().is_some_and(|s| found.id >= s.first_id());
        if let Some(script) = self.find_in(BtfId::SCRIPT, tag, name).ok().filter(is_own) {
            return Some(script);
        }
        let ids = kinds(tag).iter().find_map(|kinds| self.programs.find(btf, *kinds, name));
        ids.map(|id| Named { btf, id })
    }

    /// The type of this name that is the script's or the kernel's.
    fn find_in_kernel(&self, tag: Option<Tag>, name: &str) -> Found<Named> {
        let near = self.find_near(tag, name);
        if near != Err(NotFound::Unknown) {
            return near;
        }
        self.cached(tag, name, true, || {
            let modules = self.kernel.modules_with(name).into_iter();
            let found =
                modules.map(|btf| self.find_in(btf, tag, name)).filter(|f| *f != Err(NotFound::Unknown));
            let found: Result<Vec<_>, _> = found.collect();
            self.only(found?)
        })
    }

    /// The type of this name in the script, the probe's module or vmlinux.
    pub fn find_near(&self, tag: Option<Tag>, name: &str) -> Found<Named> {
        self.cached(tag, name, false, || {
            let mut found = self.near().map(|btf| self.find_in(btf, tag, name));
            found.find(|found| *found != Err(NotFound::Unknown)).unwrap_or(Err(NotFound::Unknown))
        })
    }

    fn cached(
        &self,
        tag: Option<Tag>,
        name: &str,
        far: bool,
        search: impl FnOnce() -> Found<Named>,
    ) -> Found<Named> {
        let query = Query { tag, name: name.to_owned(), module: self.module(), far };
        if let Some(known) = self.names.borrow().get(&query) {
            return known.clone();
        }
        let found = search();
        self.names.borrow_mut().insert(query, found.clone());
        found
    }

    /// The struct or union of this name.
    pub fn find_struct(&self, name: &str) -> Found<Composite> {
        let near =
            || self.find_near(Some(Tag::Struct), name).or_else(|_| self.find_near(Some(Tag::Union), name));
        let far = |_| {
            let union = || self.find_in_kernel(Some(Tag::Union), name);
            self.find_in_kernel(Some(Tag::Struct), name).or_else(|e| union().map_err(|_| e))
        };
        near().or_else(far).and_then(|found| self.composite_of(found))
    }

    /// The struct or union that was found.
    pub fn composite_of(&self, found: Named) -> Found<Composite> {
        self.composite(found.btf, found.id).ok_or(NotFound::Unknown)
    }

    /// Files that are searched first.
    fn near(&self) -> impl Iterator<Item = BtfId> {
        let script = self.script.as_ref().map(|_| BtfId::SCRIPT);
        [script, self.module(), Some(BtfId::VMLINUX)].into_iter().flatten()
    }

    /// A file's own type of this name.
    pub fn find_in(&self, btf: BtfId, tag: Option<Tag>, name: &str) -> Found<Named> {
        let of = |kinds: &KindSet| -> Vec<Named> {
            self.btf(btf).find(name, *kinds).map(|id| Named { btf, id }).collect()
        };
        let found = kinds(tag).iter().map(of).find(|found| !found.is_empty());
        self.only(found.unwrap_or_default())
    }

    /// The one that all these are.
    pub fn only(&self, found: Vec<Named>) -> Found<Named> {
        let mut different: Vec<Named> = Vec::new();
        for one in found {
            if !different.iter().any(|other| self.same_layout(*other, one)) {
                different.push(one);
            }
        }
        match different[..] {
            [] => Err(NotFound::Unknown),
            [only] => Ok(only),
            _ => Err(NotFound::Ambiguous(different)),
        }
    }

    /// The definition of a struct that is only declared where it was found: that file's, else as
    /// for its name.
    pub fn complete(&self, composite: Composite) -> Found<Composite> {
        let tag = match self.btf(composite.btf).ty(composite.id) {
            Ok(Type::Fwd { is_union: false, .. }) => Some(Tag::Struct),
            Ok(Type::Fwd { is_union: true, .. }) => Some(Tag::Union),
            _ => return Ok(composite),
        };
        if composite.btf.user_index().is_some() {
            self.programs.define(composite.btf, composite.id);
            return if self.is_declaration(composite) { Err(NotFound::Unknown) } else { Ok(composite) };
        }
        let name = self.type_name(composite.btf, composite.id);
        let found = match self.find_in(composite.btf, tag, name) {
            Err(NotFound::Unknown) => self.find_in_kernel(tag, name)?,
            here => here?,
        };
        self.composite_of(found)
    }

    /// The enumerator of this name.
    pub fn enumerator(&self, name: &str) -> Found<Enumerator> {
        let key = Query { tag: Some(Tag::Enum), name: name.to_owned(), module: self.module(), far: true };
        if let Some(known) = self.enumerators.borrow().get(&key) {
            return known.clone();
        }
        let near = self.near().map(|btf| self.enumerators_in(btf, name)).find(|found| !found.is_empty());
        let found = only_value(near.unwrap_or_else(|| {
            let modules = self.kernel.modules_with(name).into_iter();
            modules.flat_map(|btf| self.enumerators_in(btf, name)).collect()
        }));
        self.enumerators.borrow_mut().insert(key, found.clone());
        found
    }

    fn enumerators_in(&self, btf: BtfId, name: &str) -> Vec<Enumerator> {
        let types = self.btf(btf);
        let in_type = |id| {
            let Ok(Type::Enum(e)) = types.ty(id) else { return None };
            let value = e.values().find(|value| value.name == name)?.value;
            Some(Enumerator { of: EnumRef { btf, id }, value })
        };
        types.ids().filter_map(in_type).collect()
    }

    /// A type's own name, `""` if it has none.
    pub fn type_name(&self, btf: BtfId, id: TypeId) -> &str {
        self.btf(btf).ty(id).map_or("", |ty| ty.name())
    }
}

/// The first, if all have its value.
fn only_value(found: Vec<Enumerator>) -> Found<Enumerator> {
    let first = *found.first().ok_or(NotFound::Unknown)?;
    match found.iter().find(|other| other.value != first.value) {
        None => Ok(first),
        Some(other) => {
            let enums = [first, *other].map(|one| Named { btf: one.of.btf, id: one.of.id });
            Err(NotFound::Ambiguous(enums.to_vec()))
        }
    }
}
