//! Executable sections: instructions, functions, relocations, and what `.BTF.ext` says about them.
//!
//! Input    [`elf::Elf`], the object's BTF, its maps, data sections and externs
//! Output   a [`CodeSection`] for each executable section that is not empty
//! Ensures  what `object.rs` promises of code; above all that an instruction names a descriptor or a kernel type
//!          only where a relocation will put ours, so an artifact cannot reach what it does not define

use super::{Error, elf};
use crate::kinds;
use crate::object::{CodeSection, DataSection, Extern, Function, MapDef, Reloc, Target};
use crate::sys::bpf::{FuncInfo, Insn, LineInfo};
use btf::ext::{self, Ext};
use btf::{Btf, Type};
use std::collections::HashMap;

/// `R_BPF_64_64`: both slots of a `ld_imm64`.
const R_64_64: u32 = 1;
/// `R_BPF_64_32`: a call.
const R_64_32: u32 = 10;

/// What relocations may refer to.
pub(super) struct Referents<'a> {
    pub(super) maps: &'a [MapDef],
    pub(super) externs: &'a [Extern],
    pub(super) data: &'a [DataSection],
    /// ELF section index to index in `data`.
    pub(super) data_sections: &'a HashMap<usize, usize>,
}

/// Reads all executable sections; the second is the index of `.text`.
pub(super) fn parse_code(
    elf: &elf::Elf<'_>,
    referents: &Referents<'_>,
) -> Result<(Vec<CodeSection>, Option<usize>), Error> {
    let is_code = |(_, section): &(usize, &elf::Section<'_>)| section.is_code && !section.bytes.is_empty();
    let mut sections: Vec<(usize, CodeSection)> = Vec::new();
    for (index, section) in elf.sections.iter().enumerate().filter(is_code) {
        elf.section(section.name)?;
        sections.push((index, parse_section(elf, index, section)?));
    }
    let text = sections.iter().position(|(_, section)| section.name == ".text");
    let text_functions =
        text.and_then(|text| sections.get(text)).map(|(_, section)| section.functions.clone());
    let text_elf = text.and_then(|text| sections.get(text)).map(|&(index, _)| index);
    let context = Context { elf, referents, text: text_elf, functions: text_functions.unwrap_or_default() };
    for (index, section) in &mut sections {
        context.parse_relocs(*index, section)?;
        context.check_insns(section, Some(*index) == text_elf)?;
    }
    Ok((sections.into_iter().map(|(_, section)| section).collect(), text))
}

fn parse_section(elf: &elf::Elf<'_>, index: usize, section: &elf::Section<'_>) -> Result<CodeSection, Error> {
    let bad = |what: String| Error::Section { section: section.name.into(), what };
    let (chunks, []) = section.bytes.as_chunks::<8>() else {
        return Err(bad("is not a whole number of instructions".into()));
    };
    let insns: Vec<Insn> = chunks.iter().map(|chunk| Insn::from_bytes(*chunk)).collect();
    let mut functions = Vec::new();
    for symbol in elf.symbols.iter().filter(|s| s.is_function && s.home == elf::Home::Section(index)) {
        if !symbol.value.is_multiple_of(8) || !symbol.size.is_multiple_of(8) || symbol.size == 0 {
            let what = "does not cover whole instructions".into();
            return Err(Error::Symbol { symbol: symbol.name.into(), what });
        }
        // The container's reader has checked that the symbol is inside the section.
        let (start, len) = (usize_of(symbol.value / 8), usize_of(symbol.size / 8));
        functions.push(Function { name: symbol.name.into(), start, len });
    }
    functions.sort_by(|a, b| (a.start, &a.name).cmp(&(b.start, &b.name)));
    for pair in functions.windows(2) {
        if let [a, b] = pair
            && a.start + a.len > b.start
        {
            return Err(bad(format!("has functions `{}` and `{}` that overlap", a.name, b.name)));
        }
    }
    Ok(CodeSection { name: section.name.into(), insns, functions, ..CodeSection::default() })
}

fn usize_of(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

struct Context<'a> {
    elf: &'a elf::Elf<'a>,
    referents: &'a Referents<'a>,
    text: Option<usize>,
    functions: Vec<Function>,
}

impl Context<'_> {
    fn parse_relocs(&self, index: usize, section: &mut CodeSection) -> Result<(), Error> {
        for rel in self.elf.relocs.get(&index).into_iter().flatten() {
            let insn = usize_of(rel.offset / 8);
            let bad = |what: String| Error::Reloc { section: section.name.clone(), insn, what };
            let code = section.insns.get(insn).filter(|_| rel.offset.is_multiple_of(8));
            let code = code.ok_or_else(|| bad("is not at an instruction".into()))?;
            let symbol = self.elf.symbols.get(rel.symbol).ok_or_else(|| bad("has no symbol".into()))?;
            match (rel.kind, code.code) {
                (R_64_64, kinds::LD_IMM64) if section.insns.get(insn + 1).is_some() => {}
                (R_64_32, kinds::CALL) => {}
                (kind, code) => {
                    return Err(bad(format!("of type {kind} is at an instruction with opcode {code:#04x}")));
                }
            }
            let target =
                self.target(symbol, *code).map_err(|what| bad(format!("to `{}` {what}", symbol.name)))?;
            if section.relocs.last().is_some_and(|last| last.insn == insn) {
                return Err(bad("is the second of its instruction".into()));
            }
            section.relocs.push(Reloc { insn, target });
        }
        Ok(())
    }

    fn target(&self, symbol: &elf::Symbol<'_>, insn: Insn) -> Result<Target, String> {
        let is_call = insn.code == kinds::CALL;
        match symbol.home {
            elf::Home::Undefined => {
                let found = self.referents.externs.iter().position(|e| e.name == symbol.name);
                found.map(Target::Extern).ok_or_else(|| "is not declared in BTF's .ksyms".into())
            }
            elf::Home::Section(home) if Some(home) == self.text => {
                // A call's immediate is -1 for a function symbol and counts instructions from the section's
                // start, less one, for the section symbol; an address's immediate counts bytes.
                let addend = if is_call { i64::from(insn.imm) + 1 } else { i64::from(insn.imm) / 8 };
                let start = i64::try_from(symbol.value / 8).ok().and_then(|value| value.checked_add(addend));
                let start = start.and_then(|start| usize::try_from(start).ok());
                let found = self.functions.iter().position(|f| Some(f.start) == start);
                found.map(Target::Function).ok_or_else(|| "does not lead to the start of a function".into())
            }
            elf::Home::Section(home) if !is_call => {
                if let Some(&section) = self.referents.data_sections.get(&home) {
                    return self.data(section, symbol, insn);
                }
                let is_maps = self.elf.sections.get(home).is_some_and(|section| section.name == ".maps");
                let found = self.referents.maps.iter().position(|map| is_maps && map.symbol == symbol.name);
                found.map(Target::Map).ok_or_else(|| "is neither to a map nor to a variable".into())
            }
            _ => Err("does not lead to a function of .text".into()),
        }
    }

    fn data(&self, section: usize, symbol: &elf::Symbol<'_>, insn: Insn) -> Result<Target, String> {
        let len = self.referents.data.get(section).map_or(0, |data| data.bytes.len());
        let offset = i64::try_from(symbol.value).ok().and_then(|value| value.checked_add(insn.imm.into()));
        let offset = offset.filter(|&offset| usize::try_from(offset).is_ok_and(|offset| offset < len));
        let offset = offset.and_then(|offset| u32::try_from(offset).ok());
        offset.map(|offset| Target::Data { section, offset }).ok_or_else(|| "leaves its section".into())
    }

    /// No instruction names a descriptor, a type or a function on its own.
    fn check_insns(&self, section: &CodeSection, is_text: bool) -> Result<(), Error> {
        let mut relocs = section.relocs.iter().peekable();
        let mut at = 0;
        while let Some(insn) = section.insns.get(at) {
            let bad = |what: &str| Error::Insn { section: section.name.clone(), insn: at, what: what.into() };
            while relocs.next_if(|reloc| reloc.insn < at).is_some() {}
            let relocated = relocs.peek().is_some_and(|reloc| reloc.insn == at);
            match insn.code {
                kinds::LD_IMM64 => {
                    let Some(second) = section.insns.get(at + 1).filter(|second| second.code == 0) else {
                        return Err(bad("lacks the second half of its constant"));
                    };
                    if second.regs != 0 || (!relocated && insn.src() != 0) {
                        return Err(bad("names a kernel object without a relocation"));
                    }
                    at += 1;
                }
                kinds::CALL if relocated => {}
                kinds::CALL if insn.src() == kinds::PSEUDO_CALL => {
                    let target = i64::try_from(at).ok().map(|at| at + 1 + i64::from(insn.imm));
                    let start = target.and_then(|target| usize::try_from(target).ok());
                    if !is_text || !self.functions.iter().any(|f| Some(f.start) == start) {
                        return Err(bad("calls something that is not a function of .text"));
                    }
                }
                kinds::CALL if insn.src() != 0 => {
                    return Err(bad("calls a kernel function without a relocation"));
                }
                _ => {}
            }
            at += 1;
        }
        Ok(())
    }
}

/// Adds what `.BTF.ext` says. Records of sections that are not code are ignored, as libbpf does.
pub(super) fn add_ext(code: &mut [CodeSection], btf: &Btf, bytes: &[u8]) -> Result<(), Error> {
    let ext = Ext::parse(bytes).map_err(|source| Error::Btf { section: ".BTF.ext", source })?;
    for part in ext.funcs() {
        let Some(section) = named(code, btf, part.name) else { continue };
        for record in part.records() {
            let insn = insn_index(section, record.insn, "func_info")?;
            if !matches!(btf.ty(record.ty), Ok(Type::Func { .. })) {
                return Err(ext_error(section, record.insn, "func_info names a type that is no function"));
            }
            section.func_info.push(FuncInfo { insn, type_id: record.ty.0 });
        }
        section.func_info.sort_by_key(|record| record.insn);
    }
    for part in ext.lines() {
        let Some(section) = named(code, btf, part.name) else { continue };
        for record in part.records() {
            let insn = insn_index(section, record.insn, "line_info")?;
            if btf.name(record.file).is_err() || btf.name(record.text).is_err() {
                return Err(ext_error(section, record.insn, "line_info has a string outside BTF"));
            }
            section.line_info.push(LineInfo {
                insn,
                file: record.file.0,
                text: record.text.0,
                line_col: record.line << 10 | record.column & 0x3ff,
            });
        }
        section.line_info.sort_by_key(|record| record.insn);
    }
    for part in ext.relos() {
        let Some(section) = named(code, btf, part.name) else { continue };
        for record in part.records() {
            insn_index(section, record.insn, "core_relo")?;
            section.core_relos.push(record);
        }
        section.core_relos.sort_by_key(|record| record.insn);
    }
    Ok(())
}

fn named<'a>(code: &'a mut [CodeSection], btf: &Btf, name: btf::StrOff) -> Option<&'a mut CodeSection> {
    let name = btf.name(name).ok()?;
    code.iter_mut().find(|section| section.name == name)
}

fn ext_error(section: &CodeSection, at: ext::ByteOff, what: &str) -> Error {
    let insn = usize_of(u64::from(at.0) / 8);
    Error::Insn { section: section.name.clone(), insn, what: format!("in .BTF.ext: {what}") }
}

fn insn_index(section: &CodeSection, at: ext::ByteOff, table: &str) -> Result<u32, Error> {
    let insn = at.0 / 8;
    if !at.0.is_multiple_of(8) || usize_of(insn.into()) >= section.insns.len() {
        return Err(ext_error(section, at, &format!("{table} is not at an instruction")));
    }
    Ok(insn)
}
