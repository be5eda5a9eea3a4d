//! Names of vmlinux's types, for those who ask for few or for thousands.

use crate::expand::c::Extent;
use crate::kernel::Kernel;
use crate::syntax::ast::Tag;
use btf::{Btf, Kind, KindSet, NameIndex, TypeId};
use std::cell::{Cell, OnceCell};
use std::sync::Arc;

/// So many names are searched one by one; an index costs about as much.
const SEARCHES_MAX: u32 = 8;

/// The kernel's types, as the C definitions of a script name them.
#[derive(Debug)]
pub struct KernelNames<'k> {
    base: &'k Arc<Btf>,
    index: OnceCell<NameIndex>,
    searches: Cell<u32>,
}

impl<'k> KernelNames<'k> {
    /// Those of vmlinux.
    pub fn new(kernel: &'k Kernel) -> KernelNames<'k> {
        KernelNames { base: kernel.vmlinux(), index: OnceCell::new(), searches: Cell::new(0) }
    }

    /// vmlinux's BTF.
    pub fn base(&self) -> &'k Arc<Btf> {
        self.base
    }

    /// Size and alignment of the type of this name; without a tag, of a typedef.
    pub fn extent(&self, tag: Option<Tag>, name: &str) -> Option<Extent> {
        let id = self.find(tag, name)?;
        let bytes = u32::try_from(self.base.size_of(id).ok()?).ok()?;
        Some(Extent { bytes, align: self.base.align_of(id).unwrap_or(1) })
    }

    /// The type of this name; without a tag, a typedef.
    pub(super) fn find(&self, tag: Option<Tag>, name: &str) -> Option<TypeId> {
        let kinds: KindSet = match tag {
            Some(Tag::Struct) => Kind::Struct.into(),
            Some(Tag::Union) => Kind::Union.into(),
            Some(Tag::Enum) => KindSet::ENUM,
            None => Kind::Typedef.into(),
        };
        if self.searches.get() < SEARCHES_MAX {
            self.searches.set(self.searches.get() + 1);
            return self.base.find(name, kinds).next();
        }
        let all = [Kind::Struct, Kind::Union, Kind::Enum, Kind::Enum64, Kind::Typedef];
        let index = self.index.get_or_init(|| NameIndex::new(self.base, KindSet::of(&all)));
        let is_wanted =
            |id: &TypeId| self.base.ty(*id).ok().and_then(|ty| ty.kind()).is_some_and(|k| kinds.contains(k));
        index.find(self.base, name).find(is_wanted)
    }
}
