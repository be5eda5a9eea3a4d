//! The object under construction: everything that is shared by its programs.
//!
//! Ensures  indices are given out in order of first use, and equal things get equal indices, so the
//!          same script gives the same bytes

use std::collections::BTreeMap;

use btf::{IntEncoding, TypeId};
use codegen_bpf::{KeyOrSize, Linkage, MapDef, Module};
use cranelift_codegen::ir;
use manifest::{Event, Global};

use super::core_types::CoreTypes;
use super::{Input, names};
use crate::diag::Diag;
use crate::fields::EnumRef;
use crate::syntax::ast::Span;

/// `BPF_MAP_TYPE_*`.
pub(crate) mod map_type {
    pub(crate) const HASH: u32 = 1;
    pub(crate) const PERCPU_HASH: u32 = 5;
    pub(crate) const PERCPU_ARRAY: u32 = 6;
    pub(crate) const LRU_HASH: u32 = 9;
    pub(crate) const LRU_PERCPU_HASH: u32 = 10;
    pub(crate) const RINGBUF: u32 = 27;
}

/// Subprograms that programs share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shared {
    /// `(value)`: bucket of a log2 histogram of so many bits.
    HistBucket(u8),
    /// `(event, return code)`: sends a runtime error.
    RuntimeError,
    /// `(a, b, bytes)`: whether two strings are equal.
    StringsEqual,
    /// `(string, capacity)`: bytes up to the NUL.
    StringLength,
}

/// The object under construction.
pub(crate) struct Object {
    /// Input of the code generator.
    pub(crate) module: Module,
    /// Events by number.
    pub(crate) events: Vec<Event>,
    /// Globals that the loader fills in.
    pub(crate) globals: Vec<Global>,
    /// Enums that values print by.
    pub(crate) enums: Vec<EnumRef>,
    /// CO-RE relocations in progress.
    pub(crate) core: CoreTypes,
    /// Errors and warnings.
    pub(crate) diags: Vec<Diag>,
    /// Symbols of the script's maps, by `MapId`.
    pub(crate) map_symbols: Vec<String>,
    /// Formats of `strftime`, by number.
    pub(crate) formats: Vec<String>,
    /// Where a builtin is used that changes the system.
    pub(crate) changes_system: Option<Span>,
    /// Functions, of which some are still to be filled in.
    functions: Vec<Option<codegen_bpf::Function>>,
    pub(super) shared: BTreeMap<Shared, u32>,
    pub(super) strings: BTreeMap<Vec<u8>, u32>,
    pub(super) constants: BTreeMap<i64, u32>,
    pub(super) names: names::Unique,
    ring_buffer: Option<u32>,
    pub(super) lost: Option<u32>,
    scratch: Option<u32>,
    scratch_slots: u32,
    scratch_bytes: u32,
}

impl Object {
    pub(crate) fn new(input: &Input<'_>) -> Object {
        let license = input.settings.license.clone();
        let mut object = Object {
            module: Module::new(license, btf::Builder::new()),
            events: Vec::new(),
            globals: Vec::new(),
            enums: Vec::new(),
            core: CoreTypes::default(),
            diags: Vec::new(),
            map_symbols: Vec::new(),
            formats: Vec::new(),
            changes_system: None,
            functions: Vec::new(),
            shared: BTreeMap::new(),
            strings: BTreeMap::new(),
            constants: BTreeMap::new(),
            names: names::Unique::default(),
            ring_buffer: None,
            lost: None,
            scratch: None,
            scratch_slots: 0,
            scratch_bytes: 8,
        };
        for reserved in [manifest::EVENTS_MAP, manifest::LOST_EVENTS, SCRATCH_MAP] {
            object.names.reserve(reserved);
        }
        object
    }

    /// A symbol for `wanted`, at most `max` bytes long, that nothing else has.
    pub(crate) fn symbol(&mut self, wanted: &str, max: usize) -> String {
        self.names.take(wanted, max)
    }

    /// Adds a map.
    pub(crate) fn add_map(&mut self, name: &str, def: MapDef) -> u32 {
        self.module.maps.push(codegen_bpf::Map { name: name.to_owned(), def });
        self.module.maps.len() as u32 - 1
    }

    /// The map of all events.
    pub(crate) fn ring_buffer(&mut self, pages: u32) -> u32 {
        match self.ring_buffer {
            Some(map) => map,
            None => {
                // The loader may change the size; it must be a power of two of pages.
                let bytes = if pages == 0 { 256 << 10 } else { pages.next_power_of_two() << 12 };
                let def = MapDef { map_type: map_type::RINGBUF, max_entries: bytes, ..MapDef::default() };
                let map = self.add_map(manifest::EVENTS_MAP, def);
                *self.ring_buffer.insert(map)
            }
        }
    }

    /// The number of an event; equal events share one.
    pub(crate) fn event(&mut self, event: Event) -> u32 {
        let known = self.events.iter().position(|e| *e == event);
        let number = known.unwrap_or_else(|| {
            self.events.push(event);
            self.events.len() - 1
        });
        number as u32
    }

    /// The number of a `strftime` format.
    pub(crate) fn format(&mut self, format: &str) -> u32 {
        let known = self.formats.iter().position(|f| f == format);
        known.unwrap_or_else(|| {
            self.formats.push(format.to_owned());
            self.formats.len() - 1
        }) as u32
    }

    /// A place in the per-CPU scratch map for one more program.
    pub(crate) fn scratch_slot(&mut self) -> u32 {
        self.scratch_slots += 1;
        self.scratch_slots - 1
    }

    /// The per-CPU scratch map.
    pub(crate) fn scratch_map(&mut self) -> u32 {
        match self.scratch {
            Some(map) => map,
            None => {
                let map = self.add_map(SCRATCH_MAP, MapDef::default());
                *self.scratch.insert(map)
            }
        }
    }

    /// Makes every scratch slot at least this large.
    pub(crate) fn need_scratch(&mut self, bytes: u32) {
        self.scratch_bytes = self.scratch_bytes.max(bytes.next_multiple_of(8));
    }

    /// A C integer type.
    pub(crate) fn int_type(&mut self, size: u32, signed: bool) -> TypeId {
        let name = match (size, signed) {
            (1, true) => "signed char",
            (1, false) => "unsigned char",
            (2, true) => "short",
            (2, false) => "unsigned short",
            (4, true) => "int",
            (4, false) => "unsigned int",
            (_, true) => "long long",
            (_, false) => "unsigned long long",
        };
        self.module.btf.add_int(name, size, IntEncoding { signed, ..IntEncoding::default() })
    }

    /// Index of `shared`, and whether it is still to be written.
    pub(crate) fn shared(&mut self, shared: Shared) -> (u32, bool) {
        if let Some(&known) = self.shared.get(&shared) {
            return (known, false);
        }
        let index = self.reserve_function();
        self.shared.insert(shared, index);
        (index, true)
    }

    /// An index for a function whose body comes later.
    pub(crate) fn reserve_function(&mut self) -> u32 {
        self.functions.push(None);
        self.functions.len() as u32 - 1
    }

    /// The body of a reserved function. Parameters are 64-bit words.
    pub(crate) fn set_function(
        &mut self,
        index: u32,
        name: &str,
        section: &str,
        linkage: Linkage,
        clif: ir::Function,
    ) {
        let params = clif.signature.params.len();
        let ret = self.int_type(4, true);
        let word = self.int_type(8, false);
        let ctx = self.module.btf.add_ptr(TypeId::VOID);
        let is_program = section != ".text";
        let list: Vec<_> = ["ctx", "b", "c", "d", "e"][..params]
            .iter()
            .map(|&name| btf::Param { name, ty: if is_program { ctx } else { word } })
            .collect();
        let proto = self.module.btf.add_func_proto(if is_program { ret } else { word }, &list);
        let function = codegen_bpf::Function {
            name: name.to_owned(),
            section: section.to_owned(),
            clif,
            proto,
            linkage,
        };
        self.functions[index as usize] = Some(function);
    }

    /// The finished input of the code generator.
    pub(crate) fn finish(mut self) -> Finished {
        if let Some(map) = self.scratch {
            let (index, word) = (self.int_type(4, false), self.int_type(8, false));
            let bytes = self.module.btf.add_array(word, index, self.scratch_bytes / 8);
            self.module.maps[map as usize].def = MapDef {
                map_type: map_type::PERCPU_ARRAY,
                max_entries: self.scratch_slots.max(1),
                key: KeyOrSize::Type(index),
                value: KeyOrSize::Type(bytes),
                ..MapDef::default()
            };
        }
        self.module.functions =
            self.functions.into_iter().map(|f| f.expect("every reserved function is written")).collect();
        Finished {
            module: self.module,
            events: self.events,
            globals: self.globals,
            core: self.core,
            diags: self.diags,
            enums: self.enums,
            formats: self.formats,
        }
    }
}

/// An [`Object`] that grows no more.
pub(crate) struct Finished {
    pub(crate) module: Module,
    pub(crate) events: Vec<Event>,
    pub(crate) globals: Vec<Global>,
    pub(crate) core: CoreTypes,
    pub(crate) diags: Vec<Diag>,
    pub(crate) enums: Vec<EnumRef>,
    pub(crate) formats: Vec<String>,
}

/// Symbol of the per-CPU scratch map.
pub(crate) const SCRATCH_MAP: &str = "sonde_scratch";
