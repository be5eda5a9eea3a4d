//! Types and enumerators by name.
//!
//! Ensures  order of files: the script, the probe's module, vmlinux, other modules by name

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

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Query {
    tag: Option<Tag>,
    name: String,
    module: Option<BtfId>,
    /// Whether modules that nobody named are searched too.
    far: bool,
}

fn kinds(tag: Option<Tag>) -> KindSet {
    match tag {
        Some(Tag::Struct) => Kind::Struct.into(),
        Some(Tag::Union) => Kind::Union.into(),
        Some(Tag::Enum) => KindSet::ENUM,
        None => KindSet::of(&[Kind::Struct, Kind::Union, Kind::Enum, Kind::Enum64, Kind::Typedef, Kind::Int]),
    }
}

impl Fields<'_> {
    /// The type of this name; without a tag also typedefs and C's integers. In a probe of a user
    /// program the program's types come behind the script's.
    pub fn find(&self, tag: Option<Tag>, name: &str) -> Option<Named> {
        self.find_in_program(tag, name).or_else(|| self.find_in_kernel(tag, name))
    }

    fn find_in_program(&self, tag: Option<Tag>, name: &str) -> Option<Named> {
        let btf = self.program.get()?;
        let scripts = self
            .script
            .as_ref()
            .and_then(|script| script.find(name, kinds(tag)).find(|id| *id >= script.first_id()));
        match scripts {
            Some(id) => Some(Named { btf: BtfId::SCRIPT, id }),
            None => self.programs.find(btf, kinds(tag), name).map(|id| Named { btf, id }),
        }
    }

    /// The type of this name that is the script's or the kernel's.
    fn find_in_kernel(&self, tag: Option<Tag>, name: &str) -> Option<Named> {
        self.find_near(tag, name).or_else(|| {
            self.cached(tag, name, true, |kinds| {
                let modules = self.kernel.modules_with(name);
                modules.into_iter().find_map(|btf| self.find_in(btf, kinds, name))
            })
        })
    }

    /// The type of this name in the script, the probe's module or vmlinux.
    pub fn find_near(&self, tag: Option<Tag>, name: &str) -> Option<Named> {
        self.cached(tag, name, false, |kinds| self.near().find_map(|btf| self.find_in(btf, kinds, name)))
    }

    fn cached(
        &self,
        tag: Option<Tag>,
        name: &str,
        far: bool,
        search: impl FnOnce(KindSet) -> Option<Named>,
    ) -> Option<Named> {
        let query = Query { tag, name: name.to_owned(), module: self.module.get(), far };
        if let Some(known) = self.names.borrow().get(&query) {
            return *known;
        }
        let found = search(kinds(tag));
        self.names.borrow_mut().insert(query, found);
        found
    }

    /// The struct or union of this name.
    pub fn find_struct(&self, name: &str) -> Option<Composite> {
        let near =
            || self.find_near(Some(Tag::Struct), name).or_else(|| self.find_near(Some(Tag::Union), name));
        let far = || {
            self.find_in_kernel(Some(Tag::Struct), name)
                .or_else(|| self.find_in_kernel(Some(Tag::Union), name))
        };
        let found = near().or_else(far)?;
        self.composite(found.btf, found.id)
    }

    /// The struct of this name in the script, the probe's module or vmlinux.
    pub fn find_struct_near(&self, name: &str) -> Option<Composite> {
        let found = self.find_near(Some(Tag::Struct), name)?;
        self.composite(found.btf, found.id)
    }

    /// Files that are searched first.
    fn near(&self) -> impl Iterator<Item = BtfId> {
        let script = self.script.as_ref().map(|_| BtfId::SCRIPT);
        [script, self.module.get(), Some(BtfId::VMLINUX)].into_iter().flatten()
    }

    /// The first of a file's own types with this name; a typedef or integer is less than a struct.
    fn find_in(&self, btf: BtfId, kinds: KindSet, name: &str) -> Option<Named> {
        self.btf(btf).find(name, kinds).next().map(|id| Named { btf, id })
    }

    /// The definition of a struct that is only declared where it was found.
    pub fn complete(&self, composite: Composite) -> Option<Composite> {
        let tag = match self.btf(composite.btf).ty(composite.id) {
            Ok(Type::Fwd { is_union: false, .. }) => Tag::Struct,
            Ok(Type::Fwd { is_union: true, .. }) => Tag::Union,
            _ => return Some(composite),
        };
        if composite.btf.user_index().is_some() {
            self.programs.define(composite.btf, composite.id);
            let is_defined =
                self.btf(composite.btf).ty(composite.id).is_ok_and(|ty| ty.composite().is_some());
            return is_defined.then_some(composite);
        }
        let found = self.find_in_kernel(Some(tag), self.type_name(composite.btf, composite.id))?;
        self.composite(found.btf, found.id)
    }

    /// The enumerator of this name.
    pub fn enumerator(&self, name: &str) -> Option<Enumerator> {
        if let Some(known) = self.enumerators.borrow().get(name) {
            return *known;
        }
        let found = self.near().find_map(|btf| self.enumerator_in(btf, name)).or_else(|| {
            self.kernel.modules_with(name).into_iter().find_map(|btf| self.enumerator_in(btf, name))
        });
        self.enumerators.borrow_mut().insert(name.to_owned(), found);
        found
    }

    fn enumerator_in(&self, btf: BtfId, name: &str) -> Option<Enumerator> {
        let types = self.btf(btf);
        types.ids().find_map(|id| {
            let Ok(Type::Enum(e)) = types.ty(id) else { return None };
            let value = e.values().find(|value| value.name == name)?.value;
            Some(Enumerator { of: EnumRef { btf, id }, value })
        })
    }

    /// A type's own name, `""` if it has none.
    pub fn type_name(&self, btf: BtfId, id: TypeId) -> &str {
        self.btf(btf).ty(id).map_or("", |ty| ty.name())
    }
}
