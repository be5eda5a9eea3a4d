//! The field analyser: from names to types and offsets.
//!
//! Input    the kernel description, the C definitions of the script
//! Output   [`Composite`]s by name, their [`Member`]s, [`Ty`]s of BTF types
//! Ensures  modules are read only when a name leads there; one look-up per name
//! Breaks   nothing: handles stay valid for the life of the kernel description
//!
//! | file | holds |
//! | --- | --- |
//! | `find.rs` | types and enumerators by name |
//! | `layout.rs` | whether types of one name are one type |
//! | `convert.rs` | BTF types as [`Ty`] |
//! | `member.rs` | members of composites |
//! | `leaves.rs` | all parts of a value, for copies |
//! | `names.rs` | names of vmlinux's types, many at once |
//! | `script.rs`, `same.rs` | the script's C definitions; which of them are the kernel's |
//! | `show.rs` | types as text for messages |

mod convert;
mod find;
mod layout;
mod leaves;
mod member;
mod names;
mod same;
mod script;
mod show;

pub use find::{Enumerator, Found, Named, NotFound};
pub use leaves::{Leaf, Shape};
pub use names::KernelNames;
pub use script::preamble_btf;

use crate::kernel::{BtfId, Kernel};
use crate::types::Ty;
use crate::user::Programs;
use btf::{Btf, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;

/// A struct or union of the kernel or, under [`BtfId::SCRIPT`], of the script's preamble. One that is
/// only declared has size 0; [`Fields::complete`] finds its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Composite {
    /// The file that defines it.
    pub btf: BtfId,
    /// Its type there.
    pub id: TypeId,
    /// Bytes on the build kernel.
    pub size: u32,
}

/// An enum of the kernel or the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnumRef {
    /// The file that defines it.
    pub btf: BtfId,
    /// Its type there.
    pub id: TypeId,
}

/// A member of a [`Composite`], possibly inside anonymous structs and unions of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Index of the member, preceded by those of the anonymous members around it: the steps of a
    /// CO-RE access string below the root's `0`.
    pub path: Vec<u32>,
    /// Bits from the start of the composite, on the build kernel.
    pub bit_offset: u32,
    /// Width of a bit-field.
    pub bits: Option<u8>,
    /// Whether a bit-field's highest bit is its sign.
    pub signed: bool,
    /// Type as the script sees it; [`Ty::None`] if the script cannot use it (floats).
    pub ty: Ty,
    /// Declared type in the composite's file.
    pub id: TypeId,
}

/// Whose types come before vmlinux's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Near {
    /// Nobody's.
    #[default]
    Nowhere,
    /// Those of this file.
    File(BtfId),
    /// Those of the file that has this function; it is looked for when a type is.
    Function {
        /// Its module, if the script names one.
        module: Option<String>,
        /// Its name.
        name: String,
    },
}

/// The types a script can name.
#[derive(Debug)]
pub struct Fields<'k> {
    kernel: &'k Kernel,
    /// The script's C definitions, as a BTF that continues vmlinux's.
    script: Option<Btf>,
    /// Searched before vmlinux: the module that the probe hooks.
    near: RefCell<Near>,
    /// Programs that uprobes are on.
    programs: Programs,
    names: RefCell<HashMap<find::Query, Found<Named>>>,
    enumerators: RefCell<HashMap<find::Query, Found<Enumerator>>>,
}

impl<'k> Fields<'k> {
    /// An analyser for one script. `script` holds its C definitions.
    pub fn new(kernel: &'k Kernel, script: Option<Btf>) -> Fields<'k> {
        Fields {
            kernel,
            script,
            near: RefCell::default(),
            programs: Programs::default(),
            names: RefCell::default(),
            enumerators: RefCell::default(),
        }
    }

    /// The same with these user programs.
    pub fn with_programs(self, programs: Programs) -> Fields<'k> {
        Fields { programs, ..self }
    }

    /// Programs that uprobes are on.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The kernel description.
    pub fn kernel(&self) -> &'k Kernel {
        self.kernel
    }

    /// From here on names are looked for there first.
    pub fn prefer(&self, near: Near) {
        *self.near.borrow_mut() = near;
    }

    /// The user program whose types the script's names mean.
    fn program(&self) -> Option<BtfId> {
        match &*self.near.borrow() {
            Near::File(file) if file.user_index().is_some() => Some(*file),
            Near::File(_) | Near::Function { .. } | Near::Nowhere => None,
        }
    }

    /// The kernel's file that names are looked for in first.
    fn module(&self) -> Option<BtfId> {
        let mut near = self.near.borrow_mut();
        let found = match &*near {
            Near::File(file) => return Some(*file).filter(|file| file.is_kernel()),
            Near::Nowhere => return None,
            Near::Function { module: Some(module), .. } => self.kernel.find(module).ok().flatten(),
            Near::Function { module: None, name } => self.kernel.file_of(name),
        };
        *near = found.map_or(Near::Nowhere, Near::File);
        found
    }

    /// The types of a file, the script's included.
    pub fn btf(&self, id: BtfId) -> &Btf {
        match (&self.script, id) {
            (Some(script), BtfId::SCRIPT) => script,
            _ => self.programs.btf(id).unwrap_or_else(|| self.kernel.btf(id)),
        }
    }

    /// `vmlinux`, the name of the module or program, or `""` for the script.
    pub fn file_name(&self, id: BtfId) -> &str {
        match id.is_kernel() {
            true => self.kernel.name(id),
            false => self.programs.name(id),
        }
    }

    /// The file whose own type this is: types of modules refer to vmlinux's.
    fn home(&self, btf: BtfId, id: TypeId) -> BtfId {
        if btf != BtfId::VMLINUX && id < self.btf(btf).first_id() { BtfId::VMLINUX } else { btf }
    }
}

#[cfg(test)]
mod tests;
