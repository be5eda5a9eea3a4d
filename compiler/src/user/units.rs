//! The units of a program's DWARF, wherever they are, and entries in them.
//!
//! Input    sections of a program's debug files
//! Output   [`Units`]: entries by place, and the places that attributes refer to
//! Ensures  a unit is read when something in it is asked for; a split unit's file is opened then
//! Breaks   nothing: what cannot be read is as if it were not there, and is noted once

use super::source::{File, Folders, dwo_name};
use elsa::FrozenVec;
use gimli::{
    AttributeValue, DebugInfoOffset, DebuggingInformationEntry, Dwarf, DwarfPackage, EndianArcSlice,
    LittleEndian, Reader as _, UnitHeader, UnitOffset, UnitType,
};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) type Slice = EndianArcSlice<LittleEndian>;
pub(super) type Entry = DebuggingInformationEntry<Slice>;
pub(super) type Unit = gimli::Unit<Slice>;
pub(super) type Value = AttributeValue<Slice>;

/// A debugging information entry: its unit, and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Die {
    pub(super) unit: usize,
    pub(super) offset: UnitOffset<usize>,
}

/// All units.
pub(super) struct Units {
    slots: FrozenVec<Box<Slot>>,
    /// Slots of the program's own `.debug_info`, in order of their offsets.
    own: Range<usize>,
    /// The same of the file that it shares with others.
    shared: Range<usize>,
    /// Type units by signature.
    signatures: RefCell<HashMap<u64, Die>>,
    package: Option<DwarfPackage<Slice>>,
    /// Where split units are looked for; none if there are only bytes.
    file: Option<File>,
    notes: RefCell<Vec<String>>,
}

struct Slot {
    dwarf: Arc<Dwarf<Slice>>,
    header: UnitHeader<Slice>,
    /// `None` if it is broken.
    unit: OnceCell<Option<Unit>>,
    /// The unit that a skeleton stands for.
    split: OnceCell<Option<usize>>,
    /// The skeleton that stands for this unit.
    skeleton: OnceCell<usize>,
}

impl std::fmt::Debug for Units {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} units", self.slots.len())
    }
}

impl Units {
    /// The units of a file with debug information.
    pub(super) fn open(file: File, folders: &Folders) -> Result<Units, String> {
        let broken =
            |error: gimli::Error| format!("the DWARF of `{}` is broken: {error}", file.path.display());
        let mut dwarf = Dwarf::load(|id| file.section(id.name())).map_err(broken)?;
        if let Some(shared) = file.shared(folders)? {
            dwarf.load_sup(|id| shared.section(id.name())).map_err(broken)?;
        }
        let package = file.package().and_then(|package| {
            let empty = Slice::new(Arc::from([]), LittleEndian);
            DwarfPackage::load(|id| package.section(dwo_name(id)), empty).ok()
        });
        Ok(Units::new(dwarf, package, Some(file)))
    }

    pub(super) fn new(
        mut dwarf: Dwarf<Slice>,
        package: Option<DwarfPackage<Slice>>,
        file: Option<File>,
    ) -> Units {
        dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
        let (shared, dwarf) = (dwarf.sup.clone(), Arc::new(dwarf));
        let mut units = Units {
            slots: FrozenVec::new(),
            own: 0..0,
            shared: 0..0,
            signatures: RefCell::default(),
            package,
            file,
            notes: RefCell::default(),
        };
        units.own = units.add_all(&dwarf);
        units.shared = shared.map_or(0..0, |shared| units.add_all(&shared));
        units.add_types(&dwarf);
        units
    }

    /// Adds the units of `.debug_info`.
    fn add_all(&self, dwarf: &Arc<Dwarf<Slice>>) -> Range<usize> {
        let start = self.slots.len();
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            self.add(dwarf, header);
        }
        start..self.slots.len()
    }

    /// Adds the units of `.debug_types`.
    fn add_types(&self, dwarf: &Arc<Dwarf<Slice>>) {
        let mut headers = dwarf.type_units();
        while let Ok(Some(header)) = headers.next() {
            self.add(dwarf, header);
        }
    }

    fn add(&self, dwarf: &Arc<Dwarf<Slice>>, header: UnitHeader<Slice>) {
        let unit = self.slots.len();
        if let UnitType::Type { type_signature, type_offset }
        | UnitType::SplitType { type_signature, type_offset } = header.type_()
        {
            let die = Die { unit, offset: type_offset };
            self.signatures.borrow_mut().entry(type_signature.0).or_insert(die);
        }
        let slot = Slot {
            dwarf: Arc::clone(dwarf),
            header,
            unit: OnceCell::new(),
            split: OnceCell::new(),
            skeleton: OnceCell::new(),
        };
        self.slots.push(Box::new(slot));
    }

    /// Units that hold functions and types: split ones instead of their skeletons.
    pub(super) fn all(&self) -> impl Iterator<Item = usize> {
        let loaded = self.own.start..self.own.end;
        let types = self.shared.end..self.slots.len();
        loaded.chain(self.shared.clone()).chain(types).map(|unit| self.full(unit))
    }

    /// The program's own units.
    pub(super) fn own(&self) -> Range<usize> {
        self.own.clone()
    }

    /// What may be missing, to be told.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.borrow().clone()
    }

    fn note(&self, text: String) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&text) {
            notes.push(text);
        }
    }

    /// The DWARF of a unit, and the unit.
    pub(super) fn unit(&self, unit: usize) -> Option<(&Dwarf<Slice>, &Unit)> {
        let slot = self.slots.get(unit)?;
        let read = || {
            let mut unit = slot.dwarf.unit(slot.header.clone()).ok()?;
            // What a linker had to move is in the skeleton.
            if let Some((_, skeleton)) = slot.skeleton.get().and_then(|skeleton| self.unit(*skeleton)) {
                unit.copy_relocated_attributes(skeleton);
            }
            Some(unit)
        };
        Some((&slot.dwarf, slot.unit.get_or_init(read).as_ref()?))
    }

    /// An entry.
    pub(super) fn entry(&self, die: Die) -> Option<Entry> {
        self.unit(die.unit)?.1.entry(die.offset).ok()
    }

    /// An attribute as text.
    pub(super) fn text(&self, unit: usize, value: Value) -> Option<String> {
        let (dwarf, unit) = self.unit(unit)?;
        let text = dwarf.attr_string(unit, value).ok()?;
        Some(text.to_string_lossy().ok()?.into_owned())
    }

    /// The attribute of this name as text.
    pub(super) fn text_of(&self, die: Die, entry: &Entry, name: gimli::DwAt) -> Option<String> {
        self.text(die.unit, entry.attr_value(name)?)
    }

    /// The entry that an attribute refers to.
    pub(super) fn target(&self, from: Die, value: &Value) -> Option<Die> {
        match *value {
            AttributeValue::UnitRef(offset) => Some(Die { unit: from.unit, offset }),
            AttributeValue::DebugInfoRef(offset) => {
                let slot = self.slots.get(from.unit)?;
                if let Some(offset) = offset.to_unit_offset(&slot.header)
                    && offset.is_in_bounds(&slot.header)
                {
                    return Some(Die { unit: from.unit, offset });
                }
                let within = if self.shared.contains(&from.unit) { &self.shared } else { &self.own };
                self.at(within, offset)
            }
            AttributeValue::DebugInfoRefSup(offset) => self.at(&self.shared, offset),
            AttributeValue::DebugTypesRef(signature) => self.by_signature(from, signature),
            _ => None,
        }
    }

    /// The attribute of this name as a reference.
    pub(super) fn target_of(&self, from: Die, entry: &Entry, name: gimli::DwAt) -> Option<Die> {
        self.target(from, &entry.attr_value(name)?)
    }

    fn at(&self, within: &Range<usize>, offset: DebugInfoOffset<usize>) -> Option<Die> {
        let start = |unit: usize| {
            let header = self.slots.get(unit).map(|slot| &slot.header);
            header.and_then(UnitHeader::debug_info_offset).map_or(usize::MAX, |start| start.0)
        };
        let (mut low, mut high) = (within.start, within.end);
        while low < high {
            let middle = low.midpoint(high);
            if start(middle) <= offset.0 { low = middle + 1 } else { high = middle }
        }
        let unit = low.checked_sub(1).filter(|unit| within.contains(unit))?;
        let header = &self.slots.get(unit)?.header;
        let offset = offset.to_unit_offset(header).filter(|offset| offset.is_in_bounds(header))?;
        Some(Die { unit, offset })
    }

    fn by_signature(&self, from: Die, signature: gimli::DebugTypeSignature) -> Option<Die> {
        let known = |units: &Units| units.signatures.borrow().get(&signature.0).copied();
        known(self).or_else(|| {
            let slot = self.slots.get(from.unit)?;
            let dwarf = self.package.as_ref()?.find_tu(signature, &slot.dwarf).ok()??;
            let dwarf = Arc::new(dwarf);
            self.add_all(&dwarf);
            self.add_types(&dwarf);
            known(self)
        })
    }

    /// The unit that a skeleton stands for, or the unit itself.
    pub(super) fn full(&self, unit: usize) -> usize {
        let Some(slot) = self.slots.get(unit) else { return unit };
        let split = slot.split.get_or_init(|| self.find_split(unit));
        split.unwrap_or(unit)
    }

    fn find_split(&self, skeleton: usize) -> Option<usize> {
        let (dwarf, unit) = self.unit(skeleton)?;
        let name = unit.dwo_name().ok()??;
        let (id, name) = (unit.dwo_id?, PathBuf::from(self.text(skeleton, name)?));
        let folder = unit.comp_dir.as_ref().and_then(|folder| folder.to_string_lossy().ok());
        let folder = PathBuf::from(folder.as_deref().unwrap_or("/"));
        let packaged = self.package.as_ref().and_then(|package| package.find_cu(id, dwarf).ok()?);
        let split = packaged.or_else(|| {
            let file = self.file.as_ref()?.split(&folder, &name)?;
            let mut split = Dwarf::load(|id| file.section(dwo_name(id))).ok()?;
            split.make_dwo(dwarf);
            Some(split)
        });
        let Some(split) = split else {
            self.note(format!("split debug information `{}` is not here", folder.join(name).display()));
            return None;
        };
        let split = Arc::new(split);
        let added = self.add_all(&split);
        self.add_types(&split);
        for unit in added.clone() {
            // A fresh slot: nobody has set it.
            let _ = self.slots.get(unit)?.skeleton.set(skeleton);
        }
        added.into_iter().find(|unit| self.unit(*unit).is_some_and(|(_, unit)| unit.dwo_id == Some(id)))
    }
}
