//! User programs and libraries on the build host: their functions, and types from their DWARF.
//!
//! Input    names of files as scripts write them
//! Output   functions with typed parameters; types as BTF, one growing file a program
//! Ensures  a program is opened when a script cannot do without, its DWARF when a script names an
//!          argument or a type; types are converted as they are followed
//! Breaks   nothing: ids of types stay valid
//!
//! | file | holds |
//! | --- | --- |
//! | `source.rs` | files and their sections; the only place with I/O |
//! | `units.rs` | units, entries and references between them |
//! | `search.rs` | functions by address, types by name |
//! | `convert.rs` | types as BTF |
//! | `abi.rs` | where arguments are |
//! | `declare.rs` | parameters as text |
//! | `function.rs` | a function's parameters |

mod abi;
mod convert;
mod declare;
mod function;
#[doc(hidden)]
pub mod fuzzing;
mod search;
mod source;
mod units;

pub use abi::Home;
pub use function::{Function, Param};
pub use source::Folders;

use crate::kernel::BtfId;
use btf::{Btf, Kind, KindSet, TypeId};
use convert::Types;
use elsa::FrozenVec;
use gimli::constants as dw;
use source::File;
use std::cell::{Cell, OnceCell, RefCell};
use std::path::{Path, PathBuf};
use units::Units;
use userelf::Symbols;

/// The programs that a script names.
#[derive(Default)]
pub struct Programs {
    folders: Folders,
    programs: FrozenVec<Box<Program>>,
}

/// A program or library.
struct Program {
    /// As the script has it.
    name: String,
    symbols: OnceCell<Result<Symbols, String>>,
    units: OnceCell<Result<Units, String>>,
    types: RefCell<Types>,
    /// States of `types` that somebody has seen; the last is the present one.
    states: FrozenVec<Box<Btf>>,
    /// An argument or type was taken from the DWARF.
    is_used: Cell<bool>,
    ambiguous: RefCell<Vec<String>>,
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.programs.iter().map(|program| &program.name)).finish()
    }
}

/// The file meant by a name.
fn find(name: &str) -> Result<PathBuf, String> {
    let search = std::env::var("PATH").ok();
    userelf::find::target(name, Path::new("/"), search.as_deref())
        .ok_or_else(|| format!("there is no file `{name}` on this host"))
}

fn open(name: &str) -> Result<File, String> {
    let path = find(name)?;
    File::open(&path).ok_or_else(|| format!("`{}` cannot be read, or is no 64-bit ELF file", path.display()))
}

impl Programs {
    /// Programs whose debug files are looked for in `folders` too.
    pub fn new(folders: Folders) -> Programs {
        Programs { folders, ..Programs::default() }
    }

    /// The types of a program.
    pub fn id(&self, name: &str) -> BtfId {
        let known = self.programs.iter().position(|program| program.name == name);
        BtfId::user(known.unwrap_or_else(|| {
            self.programs.push(Box::new(Program::new(name)));
            self.programs.len() - 1
        }))
    }

    fn program(&self, id: BtfId) -> Option<&Program> {
        self.programs.get(id.user_index()?)
    }

    /// Names of the functions of a program that are `wanted`, sorted.
    pub fn functions(&self, name: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
        let program = self.program(self.id(name)).ok_or("too many programs")?;
        let symbols = program.symbols(&self.folders)?;
        let found = symbols.matching(wanted).into_iter().filter(|symbol| symbol.size > 0);
        let mut names: Vec<_> = found.map(|symbol| symbol.name.to_owned()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// A function's parameters; the error says what is missing.
    pub fn function(&self, id: BtfId, name: &str) -> Result<Function, String> {
        let program = self.program(id).ok_or("there is no such program")?;
        let units = program.units(&self.folders).map_err(str::to_owned)?;
        let symbols = program.symbols(&self.folders)?;
        program.is_used.set(true);
        function::find(units, &mut program.types.borrow_mut(), symbols, name)
    }

    /// A function's parameters as text; none if its debug information is not here.
    pub fn declarations(&self, id: BtfId, name: &str) -> Vec<String> {
        let find = || {
            let program = self.program(id)?;
            let units = program.units(&self.folders).ok()?;
            let symbols = program.symbols(&self.folders).ok()?;
            let address = symbols.named(name).first()?.address;
            Some(declare::declarations(units, search::function_at(units, address)?))
        };
        find().unwrap_or_default()
    }

    /// The types of a program so far.
    pub fn btf(&self, id: BtfId) -> Option<&Btf> {
        self.program(id)?.btf()
    }

    /// `name` as the script has it.
    pub fn name(&self, id: BtfId) -> &str {
        self.program(id).map_or("", |program| &program.name)
    }

    /// The type of this name.
    pub fn find(&self, id: BtfId, kinds: KindSet, name: &str) -> Option<TypeId> {
        let program = self.program(id)?;
        let units = program.units(&self.folders).ok()?;
        let wanted = |tag| kind_of(tag).is_some_and(|kind| kinds.contains(kind));
        let found = program.types.borrow_mut().find(units, name, wanted);
        let first = *found.first()?;
        program.is_used.set(true);
        let mut ambiguous = program.ambiguous.borrow_mut();
        if found.len() > 1 && !ambiguous.iter().any(|known| known == name) {
            ambiguous.push(name.to_owned());
        }
        Some(first)
    }

    /// The struct that a declaration stands for, and its size.
    pub fn declared(&self, id: BtfId, ty: TypeId) -> Option<(TypeId, u32)> {
        let program = self.program(id)?;
        let units = program.units(&self.folders).ok()?;
        let mut types = program.types.borrow_mut();
        let ty = types.canonical(units, ty);
        Some((ty, types.size_of(ty)))
    }

    /// Gives a declared struct its members.
    pub fn define(&self, id: BtfId, ty: TypeId) {
        let Some(program) = self.program(id) else { return };
        if let Ok(units) = program.units(&self.folders) {
            program.types.borrow_mut().define(units, ty);
        }
    }

    /// The build id of a program whose DWARF was used.
    pub fn build_id(&self, name: &str) -> Option<String> {
        let program = self.programs.iter().find(|program| program.name == name && program.is_used.get())?;
        Some(open(&program.name).ok()?.image.build_id()?.to_string())
    }

    /// What users should know of the DWARF that was used.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for program in self.programs.iter() {
            notes.extend(
                program
                    .units
                    .get()
                    .and_then(|units| units.as_ref().ok())
                    .map(Units::notes)
                    .unwrap_or_default(),
            );
            notes.extend(program.ambiguous.borrow().iter().map(|name| {
                format!("`{}` has several types `{name}` that differ; the first is used", program.name)
            }));
        }
        notes
    }
}

impl Program {
    fn new(name: &str) -> Program {
        Program {
            name: name.to_owned(),
            symbols: OnceCell::new(),
            units: OnceCell::new(),
            types: RefCell::new(Types::new()),
            states: FrozenVec::new(),
            is_used: Cell::new(false),
            ambiguous: RefCell::default(),
        }
    }

    fn units(&self, folders: &Folders) -> Result<&Units, &str> {
        let read = || {
            let file = File::with_debug_info(open(&self.name)?, folders)?;
            Units::open(file, folders)
        };
        self.units.get_or_init(read).as_ref().map_err(String::as_str)
    }

    fn symbols(&self, folders: &Folders) -> Result<&Symbols, String> {
        let read = || function::symbols(&open(&self.name)?, folders);
        self.symbols.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    fn btf(&self) -> Option<&Btf> {
        if let Some(new) = self.types.borrow_mut().btf() {
            self.states.push(Box::new(new));
        }
        self.states.last()
    }
}

/// What a tag is to BTF.
fn kind_of(tag: gimli::DwTag) -> Option<Kind> {
    match tag {
        dw::DW_TAG_union_type => Some(Kind::Union),
        dw::DW_TAG_enumeration_type => Some(Kind::Enum),
        dw::DW_TAG_typedef => Some(Kind::Typedef),
        dw::DW_TAG_base_type => Some(Kind::Int),
        tag if search::is_composite(tag) => Some(Kind::Struct),
        _ => None,
    }
}
