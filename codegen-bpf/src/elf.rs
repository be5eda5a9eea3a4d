//! Sections and symbols to an ELF file.
//!
//! Input    `Elf`: sections in order, symbols in order
//! Output   ELF64, little-endian, `ET_REL`, `EM_BPF`
//! Ensures  what the strictest consumers ask for: one symbol table with locals first and `sh_info`
//!          right, relocation sections named `.rel` + name, no section types but the usual
//! Breaks   nothing

use object::elf;
use object::write::elf::{FileHeader, Rel, SectionHeader, Sym, Writer};

/// A file to be.
#[derive(Debug, Default)]
pub(crate) struct Elf {
    pub(crate) sections: Vec<Section>,
    pub(crate) symbols: Vec<Symbol>,
}

#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) kind: SectionKind,
    pub(crate) align: u64,
    /// Empty for `.bss`.
    pub(crate) bytes: Vec<u8>,
    /// More than the bytes only for `.bss`.
    pub(crate) size: u64,
    pub(crate) relocations: Vec<Relocation>,
}

/// What a section holds, which gives its type and flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SectionKind {
    Code,
    ReadOnly,
    Writable,
    /// `SHT_NOBITS`.
    Zeros,
    /// Not loaded: BTF, manifest, anything else.
    Other,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Relocation {
    pub(crate) offset: u64,
    /// Index into `Elf::symbols`.
    pub(crate) symbol: usize,
    pub(crate) kind: RelocationKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelocationKind {
    /// `R_BPF_64_64`, on `ld_imm64`.
    Address,
    /// `R_BPF_64_32`, on calls.
    Call,
}

#[derive(Debug, Clone)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    /// Index into `Elf::sections`; none for one defined elsewhere.
    pub(crate) section: Option<usize>,
    pub(crate) value: u64,
    pub(crate) size: u64,
    pub(crate) kind: SymbolKind,
    pub(crate) bind: Bind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SymbolKind {
    Function,
    Object,
    Section,
    Extern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bind {
    Local,
    Global,
    Weak,
}

impl Symbol {
    fn info(&self) -> elf::SymbolInfo {
        let kind = match self.kind {
            SymbolKind::Function => elf::STT_FUNC,
            SymbolKind::Object => elf::STT_OBJECT,
            SymbolKind::Section => elf::STT_SECTION,
            SymbolKind::Extern => elf::STT_NOTYPE,
        };
        let bind = match self.bind {
            Bind::Local => elf::STB_LOCAL,
            Bind::Global => elf::STB_GLOBAL,
            Bind::Weak => elf::STB_WEAK,
        };
        elf::SymbolInfo::new(bind, kind)
    }
}

fn type_and_flags(kind: SectionKind) -> (elf::SectionType, elf::SectionFlags) {
    match kind {
        SectionKind::Code => (elf::SHT_PROGBITS, elf::SHF_ALLOC | elf::SHF_EXECINSTR),
        SectionKind::ReadOnly => (elf::SHT_PROGBITS, elf::SHF_ALLOC),
        SectionKind::Writable => (elf::SHT_PROGBITS, elf::SHF_ALLOC | elf::SHF_WRITE),
        SectionKind::Zeros => (elf::SHT_NOBITS, elf::SHF_ALLOC | elf::SHF_WRITE),
        SectionKind::Other => (elf::SHT_PROGBITS, elf::SectionFlags(0)),
    }
}

/// The file's bytes. The error is the writer's word for a table that has become too large.
pub(crate) fn write(elf: &Elf) -> Result<Vec<u8>, String> {
    let mut order: Vec<usize> = (0..elf.symbols.len()).collect();
    order.sort_by_key(|index| elf.symbols[*index].bind != Bind::Local);
    let locals = elf.symbols.iter().filter(|symbol| symbol.bind == Bind::Local).count() as u32;
    // Symbol 0 is the null symbol.
    let mut symbol_number = vec![0; elf.symbols.len()];
    order.iter().enumerate().for_each(|(position, index)| symbol_number[*index] = position as u32 + 1);

    let with_relocations: Vec<(&Section, String, u32)> = (1..)
        .zip(&elf.sections)
        .filter(|(_, section)| !section.relocations.is_empty())
        .map(|(number, section)| (section, format!(".rel{}", section.name), number))
        .collect();

    let mut bytes = Vec::new();
    let mut writer = Writer::new(object::Endianness::Little, true, &mut bytes);

    writer.reserve_file_header();
    let mut headers: Vec<(object::write::StringId, SectionHeader)> = Vec::new();
    for section in &elf.sections {
        writer.reserve_section_index();
        let name = writer.add_section_name(section.name.as_bytes());
        let align = section.align.max(1);
        let (sh_type, sh_flags) = type_and_flags(section.kind);
        let header = SectionHeader {
            sh_name: 0,
            sh_type,
            sh_flags,
            sh_addr: 0,
            sh_offset: writer.reserve(section.bytes.len() as u64, align),
            sh_size: section.size,
            sh_link: 0,
            sh_info: 0,
            sh_addralign: align,
            sh_entsize: 0,
        };
        headers.push((name, header));
    }
    let mut relocation_headers = Vec::new();
    for (section, name, _) in &with_relocations {
        writer.reserve_section_index();
        let name = writer.add_section_name(name.as_bytes());
        relocation_headers.push((name, writer.reserve_relocations(section.relocations.len(), false)));
    }
    let symtab = writer.reserve_symtab_section_index();
    writer.reserve_strtab_section_index();
    writer.reserve_shstrtab_section_index();
    let mut names = Vec::new();
    for &index in &order {
        let symbol = &elf.symbols[index];
        writer.reserve_symbol_index(None);
        names.push((!symbol.name.is_empty()).then(|| writer.add_string(symbol.name.as_bytes())));
    }
    if order.is_empty() {
        writer.reserve_null_symbol_index();
    }
    writer.reserve_symtab();
    writer.reserve_strtab().map_err(|e| e.to_string())?;
    writer.reserve_shstrtab().map_err(|e| e.to_string())?;
    writer.reserve_section_headers();

    let file_header = FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_REL,
        e_machine: elf::EM_BPF,
        e_entry: 0,
        e_flags: elf::FileFlags(0),
    };
    writer.write_file_header(&file_header).map_err(|e| e.to_string())?;
    for (section, (_, header)) in elf.sections.iter().zip(&headers) {
        writer.pad_until(header.sh_offset);
        writer.write(&section.bytes);
    }
    for (section, ..) in &with_relocations {
        writer.write_align_relocation();
        for relocation in &section.relocations {
            writer.write_relocation(
                false,
                &Rel {
                    r_offset: relocation.offset,
                    r_sym: symbol_number[relocation.symbol],
                    r_type: match relocation.kind {
                        RelocationKind::Address => elf::R_BPF_64_64,
                        RelocationKind::Call => elf::R_BPF_64_32,
                    },
                    r_addend: 0,
                },
            );
        }
    }
    writer.write_null_symbol();
    for (&index, name) in order.iter().zip(&names) {
        let symbol = &elf.symbols[index];
        writer.write_symbol(&Sym {
            section: symbol.section.map(|section| section as u32 + 1),
            st_name: writer.string_offset(*name),
            st_info: symbol.info(),
            st_other: elf::SymbolOther(0),
            st_shndx: elf::SHN_UNDEF,
            st_value: symbol.value,
            st_size: symbol.size,
        });
    }
    writer.write_strtab();
    writer.write_shstrtab();
    writer.write_null_section_header();
    for (name, header) in headers {
        let sh_name = writer.section_name_offset(Some(name));
        writer.write_section_header(&SectionHeader { sh_name, ..header });
    }
    for ((section, _, number), (name, offset)) in with_relocations.iter().zip(relocation_headers) {
        let target = object::write::elf::SectionIndex(*number);
        writer.write_relocation_section_header(
            name,
            target,
            symtab,
            offset,
            section.relocations.len(),
            false,
        );
    }
    writer.write_symtab_section_header(locals + 1);
    writer.write_strtab_section_header();
    writer.write_shstrtab_section_header();
    Ok(bytes)
}
