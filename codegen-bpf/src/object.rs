//! Compiled functions and the rest of the module to sections, symbols and BTF.
//!
//! Input    `Module` and the code of its functions, in the same order
//! Output   the object's bytes
//! Requires `check` found nothing
//! Ensures  the conventions of libbpf, its linker, cilium/ebpf and aya: see `elf` for the container
//! Breaks   nothing: the module is used up
//!
//! `.BTF.ext` finds code by the name of its section, so functions of one section lie in one ELF
//! section, in the order of the module and without gaps.

use btf::ext::{ByteOff, CoreRelo as CoreRecord, ExtBuilder, FuncInfo, LineInfo};
use btf::{IntEncoding, Linkage as BtfLinkage, Member, SecVar, StrOff, TypeId};
use cranelift_codegen::ir::SourceLoc;

use crate::elf::{Bind, Elf, Relocation, RelocationKind, Section, SectionKind, Symbol, SymbolKind, write};
use crate::emit::Code;
use crate::encode::encode;
use crate::insn::{Insn, Reference};
use crate::module::{DataInit, ExternKind, KeyOrSize, Linkage, MapDef, Module};

const TEXT: &str = ".text";
const MAPS: &str = ".maps";

/// Where things are in the object.
struct Places {
    /// Section and byte offset of each function.
    functions: Vec<(usize, u64)>,
    function_symbols: Vec<usize>,
    map_symbols: Vec<usize>,
    data_symbols: Vec<usize>,
    extern_symbols: Vec<usize>,
    /// The section symbol of `.text`, for static subprograms and callbacks.
    text_symbol: Option<usize>,
}

/// Writes the object.
pub(crate) fn build(mut module: Module, code: &[Code]) -> Result<Vec<u8>, String> {
    let mut elf = Elf::default();
    let mut places = place_functions(&mut elf, &module, code);
    let references = code.iter().flat_map(|code| &code.insns).filter_map(|placed| placed.reference);
    if references.into_iter().any(|reference| is_into_text(&module, reference)) {
        let text = elf.sections.iter().position(|section| section.name == TEXT);
        places.text_symbol = Some(push_symbol(&mut elf, "", text, SymbolKind::Section, Bind::Local));
    }
    symbols_of_functions(&mut elf, &module, code, &mut places);
    let license = [module.license.as_bytes(), b"\0"].concat();
    elf.sections.push(section("license", SectionKind::Writable, 1, license));
    define_maps(&mut elf, &mut module, &mut places);
    define_data(&mut elf, &mut module, &mut places);
    declare_externs(&mut elf, &mut module, &mut places);
    write_code(&mut elf, &module, code, &places);
    let ext = describe_code(&elf, &mut module, code, &places);
    for (name, bytes) in std::mem::take(&mut module.extra_sections) {
        elf.sections.push(section(&name, SectionKind::Other, 1, bytes));
    }
    let types = module.btf.finish().map_err(|error| error.to_string())?;
    elf.sections.push(section(".BTF", SectionKind::Other, 4, types));
    if !ext.is_empty() {
        elf.sections.push(section(".BTF.ext", SectionKind::Other, 4, ext.finish()));
    }
    write(&elf)
}

fn section(name: &str, kind: SectionKind, align: u64, bytes: Vec<u8>) -> Section {
    let size = bytes.len() as u64;
    Section { name: name.to_owned(), kind, align, bytes, size, relocations: Vec::new() }
}

fn push_symbol(elf: &mut Elf, name: &str, section: Option<usize>, kind: SymbolKind, bind: Bind) -> usize {
    elf.symbols.push(Symbol { name: name.to_owned(), section, value: 0, size: 0, kind, bind });
    elf.symbols.len() - 1
}

// Functions.

fn place_functions(elf: &mut Elf, module: &Module, code: &[Code]) -> Places {
    let mut functions = Vec::new();
    for (function, code) in module.functions.iter().zip(code) {
        let known = elf.sections.iter().position(|section| section.name == function.section);
        let index = known.unwrap_or_else(|| {
            elf.sections.push(section(&function.section, SectionKind::Code, 8, Vec::new()));
            elf.sections.len() - 1
        });
        functions.push((index, elf.sections[index].size));
        elf.sections[index].size += code.slots() as u64 * 8;
    }
    Places {
        functions,
        function_symbols: Vec::new(),
        map_symbols: Vec::new(),
        data_symbols: Vec::new(),
        extern_symbols: Vec::new(),
        text_symbol: None,
    }
}

fn symbols_of_functions(elf: &mut Elf, module: &Module, code: &[Code], places: &mut Places) {
    for ((function, code), (section, offset)) in module.functions.iter().zip(code).zip(&places.functions) {
        let bind = match function.linkage {
            Linkage::Static => Bind::Local,
            Linkage::Global => Bind::Global,
        };
        let symbol = push_symbol(elf, &function.name, Some(*section), SymbolKind::Function, bind);
        elf.symbols[symbol].value = *offset;
        elf.symbols[symbol].size = code.slots() as u64 * 8;
        places.function_symbols.push(symbol);
    }
}

/// Whether the reference goes through the section symbol, as clang's to static functions do:
/// libbpf's linker wants static functions local, and cilium no call to a local symbol.
fn is_into_text(module: &Module, reference: Reference) -> bool {
    match reference {
        Reference::FuncAddr(_) => true,
        Reference::Call(index) => module.functions[index as usize].linkage == Linkage::Static,
        _ => false,
    }
}

fn write_code(elf: &mut Elf, module: &Module, code: &[Code], places: &Places) {
    for (code, (section, _)) in code.iter().zip(&places.functions) {
        for placed in &code.insns {
            let offset = elf.sections[*section].bytes.len() as u64;
            let mut insn = placed.insn;
            match (&mut insn, placed.reference) {
                // Byte offset from the section's start.
                (Insn::LdImm64 { imm, .. }, Some(Reference::FuncAddr(index))) => {
                    *imm = places.functions[index as usize].1 as i64;
                }
                // Instructions from the section's start, less the one every call adds.
                (Insn::Call { imm, .. }, Some(reference @ Reference::Call(index)))
                    if is_into_text(module, reference) =>
                {
                    *imm = (places.functions[index as usize].1 / 8) as i32 - 1;
                }
                // The offset in a variable: the upper half belongs to the loader.
                (Insn::LdImm64 { imm, .. }, Some(Reference::Data(_))) => *imm &= 0xffff_ffff,
                _ => {}
            }
            encode(&insn, &mut elf.sections[*section].bytes);
            if let Some((symbol, kind)) = relocation(module, placed.reference, places) {
                elf.sections[*section].relocations.push(Relocation { offset, symbol, kind });
            }
        }
    }
}

fn relocation(
    module: &Module,
    reference: Option<Reference>,
    places: &Places,
) -> Option<(usize, RelocationKind)> {
    use RelocationKind::{Address, Call};
    let reference = reference?;
    let into_text = || places.text_symbol.expect("made because something refers into .text");
    Some(match reference {
        Reference::Map(index) => (places.map_symbols[index as usize], Address),
        Reference::Data(index) => (places.data_symbols[index as usize], Address),
        Reference::Extern(index) => (places.extern_symbols[index as usize], Address),
        Reference::Kfunc(index) => (places.extern_symbols[index as usize], Call),
        Reference::Call(_) if is_into_text(module, reference) => (into_text(), Call),
        Reference::Call(index) => (places.function_symbols[index as usize], Call),
        Reference::FuncAddr(_) => (into_text(), Address),
        Reference::Core(_) => return None,
    })
}

/// `.BTF.ext`, and the FUNC types it speaks of.
fn describe_code(elf: &Elf, module: &mut Module, code: &[Code], places: &Places) -> ExtBuilder {
    let mut ext = ExtBuilder::new();
    let functions = std::mem::take(&mut module.functions);
    for ((function, code), (section, start)) in functions.iter().zip(code).zip(&places.functions) {
        let section_name = module.btf.str_off(&elf.sections[*section].name);
        let linkage = match function.linkage {
            Linkage::Global => BtfLinkage::Global,
            Linkage::Static => BtfLinkage::Static,
        };
        let ty = module.btf.add_func(&function.name, function.proto, linkage);
        ext.add_func(section_name, FuncInfo { insn: ByteOff(*start as u32), ty });
        add_lines(&mut ext, module, section_name, code, *start as u32);
        let mut insn = ByteOff(*start as u32);
        for placed in &code.insns {
            if let Some(Reference::Core(index)) = placed.reference {
                let relo = &module.core_relos[index as usize];
                let access = module.btf.str_off(&relo.access);
                ext.add_relo(section_name, CoreRecord { insn, ty: relo.root, access, kind: relo.kind });
            }
            insn.0 += placed.insn.slots() as u32 * 8;
        }
    }
    ext
}

/// Every function's first instruction gets a line: the kernel refuses partial line info.
fn add_lines(ext: &mut ExtBuilder, module: &mut Module, section: StrOff, code: &Code, start: u32) {
    let Some(source) = &module.source else { return };
    let file = module.btf.str_off(&source.name);
    let first_known = code.insns.iter().map(|placed| placed.loc).find(|loc| !loc.is_default());
    let mut current = None;
    let mut insn = ByteOff(start);
    for (index, placed) in code.insns.iter().enumerate() {
        let loc = if index == 0 && placed.loc.is_default() { first_known } else { Some(placed.loc) };
        let loc = loc.unwrap_or(SourceLoc::new(0));
        if !loc.is_default() && current != Some(loc) {
            current = Some(loc);
            let (line, column) = (loc.bits() >> 10, loc.bits() & 0x3ff);
            let text = line.checked_sub(1).and_then(|n| source.text.lines().nth(n as usize)).unwrap_or("");
            let text = module.btf.str_off(text.trim_end());
            ext.add_line(section, LineInfo { insn, file, text, line, column });
        }
        insn.0 += placed.insn.slots() as u32 * 8;
    }
}

// Maps.

fn define_maps(elf: &mut Elf, module: &mut Module, places: &mut Places) {
    if module.maps.is_empty() {
        return;
    }
    let index = elf.sections.len();
    elf.sections.push(section(MAPS, SectionKind::Writable, 8, Vec::new()));
    let mut vars = Vec::new();
    for map in std::mem::take(&mut module.maps) {
        let (ty, size) = map_type(&mut module.btf, &map.def);
        let offset = elf.sections[index].size;
        let symbol = push_symbol(elf, &map.name, Some(index), SymbolKind::Object, Bind::Global);
        (elf.symbols[symbol].value, elf.symbols[symbol].size) = (offset, size.into());
        places.map_symbols.push(symbol);
        let ty = module.btf.add_var(&map.name, ty, BtfLinkage::Global);
        vars.push(SecVar { ty, offset: offset as u32, size });
        elf.sections[index].size += u64::from(size);
    }
    let size = elf.sections[index].size;
    elf.sections[index].bytes = vec![0; size as usize];
    module.btf.add_datasec(MAPS, size as u32, &vars);
}

/// The anonymous struct that describes a map, and its size: pointers only. Numbers are lengths of
/// arrays pointed to (libbpf's `__uint`), types are what is pointed to (`__type`).
fn map_type(btf: &mut btf::Builder, def: &MapDef) -> (TypeId, u32) {
    let int = btf.add_int("int", 4, IntEncoding { signed: true, ..IntEncoding::default() });
    let index = btf.add_int("__ARRAY_SIZE_TYPE__", 4, IntEncoding::default());
    let mut members: Vec<(&str, TypeId)> = Vec::new();
    let number = |btf: &mut btf::Builder, value| {
        let array = btf.add_array(int, index, value);
        btf.add_ptr(array)
    };
    members.push(("type", number(btf, def.map_type)));
    let options = [
        ("max_entries", def.max_entries),
        ("map_flags", def.flags),
        ("map_extra", def.map_extra),
        ("pinning", def.pinning),
    ];
    for (name, value) in options.into_iter().filter(|(_, value)| *value != 0) {
        members.push((name, number(btf, value)));
    }
    for (what, by_type, by_size) in [(def.key, "key", "key_size"), (def.value, "value", "value_size")] {
        match what {
            KeyOrSize::None => {}
            KeyOrSize::Type(ty) => members.push((by_type, btf.add_ptr(ty))),
            KeyOrSize::Size(size) => members.push((by_size, number(btf, size))),
        }
    }
    let members: Vec<Member<'_>> = (0..)
        .zip(members)
        .map(|(position, (name, ty))| Member { name, ty, bit_offset: position * 64, bitfield_bits: None })
        .collect();
    let size = members.len() as u32 * 8;
    (btf.add_struct("", size, &members), size)
}

// Variables.

fn define_data(elf: &mut Elf, module: &mut Module, places: &mut Places) {
    let data = std::mem::take(&mut module.data);
    let mut names: Vec<&str> = Vec::new();
    for variable in &data {
        if !names.contains(&variable.section.as_str()) {
            names.push(&variable.section);
        }
    }
    places.data_symbols = vec![0; data.len()];
    for name in names {
        let kind = match name {
            ".bss" => SectionKind::Zeros,
            _ if name.starts_with(".rodata") => SectionKind::ReadOnly,
            _ => SectionKind::Writable,
        };
        let index = elf.sections.len();
        elf.sections.push(section(name, kind, 1, Vec::new()));
        let mut vars = Vec::new();
        for (number, variable) in data.iter().enumerate().filter(|(_, v)| v.section == name) {
            let align = u64::from(variable.align.max(1));
            let size = variable.init.size();
            let section = &mut elf.sections[index];
            let offset = section.size.next_multiple_of(align);
            section.align = section.align.max(align);
            section.size = offset + u64::from(size);
            if kind != SectionKind::Zeros {
                section.bytes.resize(offset as usize, 0);
                match &variable.init {
                    DataInit::Bytes(bytes) => section.bytes.extend(bytes),
                    DataInit::Zero(_) => section.bytes.resize(section.size as usize, 0),
                }
            }
            let symbol = push_symbol(elf, &variable.name, Some(index), SymbolKind::Object, Bind::Global);
            (elf.symbols[symbol].value, elf.symbols[symbol].size) = (offset, size.into());
            places.data_symbols[number] = symbol;
            let ty = module.btf.add_var(&variable.name, variable.ty, BtfLinkage::Global);
            vars.push(SecVar { ty, offset: offset as u32, size });
        }
        module.btf.add_datasec(name, elf.sections[index].size as u32, &vars);
    }
    module.data = data;
}

// Externs.

fn declare_externs(elf: &mut Elf, module: &mut Module, places: &mut Places) {
    let (mut ksyms, mut kconfig) = (Vec::new(), Vec::new());
    for wanted in &module.externs {
        let bind = if wanted.weak { Bind::Weak } else { Bind::Global };
        places.extern_symbols.push(push_symbol(elf, &wanted.name, None, SymbolKind::Extern, bind));
        let (ty, list) = match wanted.kind {
            ExternKind::Kfunc => {
                (module.btf.add_func(&wanted.name, wanted.ty, BtfLinkage::Extern), &mut ksyms)
            }
            ExternKind::Ksym | ExternKind::Kconfig => {
                // The kernel refuses a variable of type void, but not of const void.
                let ty = if wanted.ty == TypeId::VOID { module.btf.add_const(wanted.ty) } else { wanted.ty };
                let var = module.btf.add_var(&wanted.name, ty, BtfLinkage::Extern);
                (var, if wanted.kind == ExternKind::Ksym { &mut ksyms } else { &mut kconfig })
            }
        };
        list.push(SecVar { ty, offset: 0, size: 0 });
    }
    for (name, vars) in [(".ksyms", ksyms), (".kconfig", kconfig)] {
        if !vars.is_empty() {
            module.btf.add_datasec(name, 0, &vars);
        }
    }
}
