//! Appends the subprograms that a program calls, as libbpf does (`bpf_object__reloc_code`).
//!
//! Input    an object, one of its programs
//! Output   [`Linked`]: the prologue and program first, each subprogram it can reach once behind it
//! Ensures  calls and callback addresses are relative and right; function, line, CO-RE and other relocation records
//!          are moved along; function records cover every function or are left out

use crate::kinds;
use crate::object::{CodeSection, Function, Object, Program, Reloc, Target};
use crate::sys::bpf::{FuncInfo, Insn, LineInfo};
use btf::ext::CoreRelo;
use std::collections::HashMap;

/// A program with its subprograms. Instructions count from the program's first.
#[derive(Debug, Clone, Default)]
pub struct Linked {
    /// Instructions.
    pub insns: Vec<Insn>,
    /// One record for each function, or none at all.
    pub func_info: Vec<FuncInfo>,
    /// Source lines.
    pub line_info: Vec<LineInfo>,
    /// Relocations to maps, data and kernel symbols; those to functions are done.
    pub relocs: Vec<Reloc>,
    /// Instructions that read a word of the context, until `prototype.rs` has seen to them.
    pub context_reads: Vec<usize>,
    /// CO-RE relocations with their instruction.
    pub core_relos: Vec<(usize, CoreRelo)>,
    /// Where CO-RE had no answer, filled in by `core.rs`.
    pub poisoned: Vec<Poisoned>,
}

/// An instruction made invalid because the kernel lacks what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poisoned {
    /// The instruction.
    pub insn: usize,
    /// What is missing, e.g. ``field `struct task_struct.se` ``.
    pub what: String,
    /// What the kernel has instead.
    pub why: String,
}

/// Links a program as it is, with `prologue` in front of it.
pub fn link_program(object: &Object, program: &Program, prologue: &[Insn]) -> Linked {
    Linker::start(object, program, prologue).finish()
}

/// An instruction that refers to a function of `.text`.
#[derive(Debug)]
struct Call {
    insn: usize,
    function: usize,
}

/// A program without its subprograms yet: it may still grow.
#[derive(Debug)]
pub struct Linker<'a> {
    object: &'a Object,
    out: Linked,
    calls: Vec<Call>,
    /// First instruction of each function of `.text` that was appended.
    placed: HashMap<usize, usize>,
    /// First instruction of every function, in order.
    order: Vec<usize>,
}

impl<'a> Linker<'a> {
    /// The program, with `prologue` in front of it.
    pub fn start(object: &'a Object, program: &Program, prologue: &[Insn]) -> Self {
        let out = Linked { insns: prologue.to_vec(), ..Linked::default() };
        let mut linker = Linker { object, out, calls: Vec::new(), placed: HashMap::new(), order: Vec::new() };
        if let Some(section) = object.code.get(program.section)
            && let Some(function) = section.functions.get(program.function)
        {
            linker.append(section, function);
            linker.start_with_prologue();
        }
        linker
    }

    /// The program alone. Instructions may be added at its end.
    pub fn program(&mut self) -> &mut Linked {
        &mut self.out
    }

    /// Puts the subprograms behind it. Which follow, and in which order, depends on the object alone.
    pub fn finish(mut self) -> Linked {
        self.append_called();
        self.bind_calls()
    }

    /// The program now starts at its prologue, and so do its first function and line records.
    fn start_with_prologue(&mut self) {
        if let Some(start) = self.order.first_mut() {
            *start = 0;
        }
        if let Some(record) = self.out.func_info.first_mut() {
            record.insn = 0;
        }
        if let Some(record) = self.out.line_info.first_mut() {
            record.insn = 0;
        }
    }

    fn append_called(&mut self) {
        let Some(text) = self.object.text.and_then(|text| self.object.code.get(text)) else { return };
        let mut next = 0;
        while let Some(&Call { function: index, .. }) = self.calls.get(next) {
            next += 1;
            if self.placed.contains_key(&index) {
                continue;
            }
            let Some(function) = text.functions.get(index) else { continue };
            self.placed.insert(index, self.out.insns.len());
            self.append(text, function);
        }
    }

    fn append(&mut self, section: &CodeSection, function: &Function) {
        let (start, end) = (function.start, function.start + function.len);
        let base = self.out.insns.len();
        let here = |insn: usize| (start..end).contains(&insn).then(|| insn - start + base);
        let here32 = |insn: u32| here(index(insn)).and_then(|insn| u32::try_from(insn).ok());
        self.order.push(base);
        self.out.insns.extend_from_slice(section.insns.get(start..end).unwrap_or_default());
        for reloc in &section.relocs {
            match (here(reloc.insn), reloc.target) {
                (Some(insn), Target::Function(function)) => self.calls.push(Call { insn, function }),
                (Some(insn), target) => self.out.relocs.push(Reloc { insn, target }),
                (None, _) => {}
            }
        }
        self.find_plain_calls(section, function, base);
        let moved = |record: &FuncInfo| Some(FuncInfo { insn: here32(record.insn)?, ..*record });
        self.out.func_info.extend(section.func_info.iter().filter_map(moved));
        let moved = |record: &LineInfo| Some(LineInfo { insn: here32(record.insn)?, ..*record });
        self.out.line_info.extend(section.line_info.iter().filter_map(moved));
        for relo in &section.core_relos {
            let Some(insn) = here(index(relo.insn.0 / 8)) else { continue };
            // `prototype.rs` says what a relocation against an integer is.
            match self.object.btf.ty(relo.ty) {
                Ok(btf::Type::Int { .. }) => self.out.context_reads.push(insn),
                _ => self.out.core_relos.push((insn, *relo)),
            }
        }
    }

    /// Calls within `.text` that the compiler resolved itself. `open/code.rs` has checked where they lead.
    fn find_plain_calls(&mut self, section: &CodeSection, function: &Function, base: usize) {
        let body = section.insns.iter().enumerate().skip(function.start).take(function.len);
        for (at, insn) in body {
            let is_call = insn.code == kinds::CALL && insn.src() == kinds::PSEUDO_CALL;
            // The second half of a constant cannot look like a call: its opcode is 0.
            if !is_call || section.relocs.binary_search_by_key(&at, |reloc| reloc.insn).is_ok() {
                continue;
            }
            let target = i64::try_from(at).unwrap_or(0) + 1 + i64::from(insn.imm);
            let target = usize::try_from(target).ok();
            if let Some(index) = section.functions.iter().position(|f| Some(f.start) == target) {
                self.calls.push(Call { insn: at - function.start + base, function: index });
            }
        }
    }

    fn bind_calls(mut self) -> Linked {
        for call in &self.calls {
            let Some(&start) = self.placed.get(&call.function) else { continue };
            let Some(insn) = self.out.insns.get_mut(call.insn) else { continue };
            let distance = i64::try_from(start).unwrap_or(0) - i64::try_from(call.insn).unwrap_or(0) - 1;
            insn.imm = i32::try_from(distance).unwrap_or(i32::MAX);
            let pseudo = if insn.code == kinds::CALL { kinds::PSEUDO_CALL } else { kinds::PSEUDO_FUNC };
            *insn = insn.with_src(pseudo);
        }
        // The kernel wants a record at the start of every function, or none (`check_btf_func`).
        let covered =
            self.out.func_info.iter().map(|record| index(record.insn)).eq(self.order.iter().copied());
        if !covered {
            self.out.func_info.clear();
            self.out.line_info.clear();
        }
        self.out
    }
}

fn index(insn: u32) -> usize {
    usize::try_from(insn).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relocate::bind::{Bindings, bind};
    use crate::relocate::externs::KernelSymbol;
    use crate::relocate::filter::prologue;
    use crate::{open, sample};
    use manifest::AttachPoint;

    fn linked(program: usize) -> (Object, Linked) {
        let object = open::parse(&sample::object()).expect("opens");
        let linked = link_program(&object, &object.programs[program], &[]);
        (object, linked)
    }

    #[test]
    fn subprograms_follow_in_the_order_they_are_called() {
        let (_, linked) = linked(0);
        // 8 of the program, 2 of `sub`, 2 of `leaf`.
        assert_eq!(linked.insns.len(), 12);
        assert_eq!((linked.insns[4].imm, linked.insns[4].src()), (3, kinds::PSEUDO_CALL));
        assert_eq!((linked.insns[5].imm, linked.insns[5].src()), (4, kinds::PSEUDO_FUNC));
        assert_eq!((linked.insns[8].imm, linked.insns[8].src()), (1, kinds::PSEUDO_CALL));
        let starts: Vec<u32> = linked.func_info.iter().map(|record| record.insn).collect();
        assert_eq!(starts, [0, 8, 10]);
        let lines: Vec<u32> = linked.line_info.iter().map(|record| record.insn).collect();
        assert_eq!(lines, [0, 8, 10]);
    }

    #[test]
    fn a_program_without_calls_is_alone() {
        let (_, linked) = linked(1);
        assert_eq!(linked.insns.len(), 6);
        assert_eq!(linked.core_relos.len(), 1);
        assert_eq!(linked.core_relos[0].0, 1);
    }

    #[test]
    fn a_prologue_moves_the_program_but_not_its_start() {
        let (object, plain) = linked(0);
        let at = AttachPoint::Kretprobe { module: None, function: "f".into() };
        let prologue = prologue(&at, Some(1));
        let linked = link_program(&object, &object.programs[0], &prologue);
        assert_eq!(linked.insns.len(), plain.insns.len() + 7);
        assert_eq!(linked.insns[4 + 7].imm, plain.insns[4].imm);
        let starts: Vec<u32> = linked.func_info.iter().map(|record| record.insn).collect();
        assert_eq!(starts, [0, 15, 17]);
        assert_eq!(linked.line_info[0].insn, 0);
    }

    #[test]
    fn binding_puts_descriptors_and_addresses() {
        let (object, mut linked) = linked(0);
        let bindings = Bindings { maps: &[30, 31], data: &[40, 41], symbols: &[], externs: &object.externs };
        bind(&mut linked, &bindings);
        assert_eq!((linked.insns[0].src(), linked.insns[0].imm), (kinds::PSEUDO_MAP_FD, 30));
        let value = (linked.insns[2].src(), linked.insns[2].imm, linked.insns[3].imm);
        assert_eq!(value, (kinds::PSEUDO_MAP_VALUE, 40, 4));

        let (object, mut linked) = self::linked(1);
        let symbols = [KernelSymbol::Address(0xffff_ffff_8123_4567)];
        bind(&mut linked, &Bindings { maps: &[], data: &[], symbols: &symbols, externs: &object.externs });
        assert_eq!((linked.insns[2].imm, linked.insns[3].imm), (0x8123_4567_u32 as i32, -1));
    }
}
