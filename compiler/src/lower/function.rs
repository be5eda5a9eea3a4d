//! Functions: programs, callbacks of loops, subprograms that programs share.

use std::collections::{BTreeMap, BTreeSet};

use codegen_bpf::{Linkage, abi};
use cranelift_codegen::ir::{self, InstBuilder as _, UserFuncName, types};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::facts::Facts;
use super::memory::{Base, Region};
use super::usage::Usage;
use super::{Input, Lower, Mem, Object, Shared, names, prototype, scratch};
use crate::probes;
use crate::types::tree::{self, VarId};

/// What the functions of one program share.
#[derive(Debug, Default)]
pub(crate) struct ProgramState {
    pub(crate) name: String,
    pub(crate) usage: Usage,
    /// Whether an argument or result is read at its place in the function's prototype.
    pub(crate) reads_prototype: bool,
    /// Variables that hold a pointer whose type the verifier knows, by `VarId`.
    pub(crate) typed_vars: BTreeSet<u32>,
    /// This program's element of the scratch map.
    pub(crate) scratch_slot: Option<u32>,
    /// Bytes of it in use.
    pub(crate) scratch_used: u32,
    scratch_vars: BTreeMap<u32, u32>,
    frame_vars: BTreeMap<u32, u32>,
    frame_bytes: u32,
    stop: Option<u32>,
    callbacks: u32,
}

impl ProgramState {
    /// Offset of a variable in the frame.
    pub(crate) fn frame_var(&mut self, var: VarId, bytes: u32) -> u32 {
        if let Some(&known) = self.frame_vars.get(&var.0) {
            return known;
        }
        let offset = self.frame_room(bytes);
        self.frame_vars.insert(var.0, offset);
        offset
    }

    /// One more word in the frame.
    pub(crate) fn frame_word(&mut self) -> u32 {
        self.frame_room(8)
    }

    /// The frame's word that says that the program shall end.
    pub(crate) fn stop_word(&mut self) -> u32 {
        match self.stop {
            Some(offset) => offset,
            None => {
                let offset = self.frame_room(8);
                *self.stop.insert(offset)
            }
        }
    }

    fn frame_room(&mut self, bytes: u32) -> u32 {
        let offset = self.frame_bytes;
        self.frame_bytes += bytes.next_multiple_of(8);
        offset
    }

    /// Offset of a variable in the scratch memory.
    pub(crate) fn scratch_var(&mut self, object: &mut Object, var: VarId, bytes: u32) -> u32 {
        if let Some(&known) = self.scratch_vars.get(&var.0) {
            return known;
        }
        let offset = self.scratch_used;
        self.scratch_used += bytes.next_multiple_of(8);
        object.need_scratch(self.scratch_used);
        self.scratch_vars.insert(var.0, offset);
        offset
    }
}

/// Lowers a probe; gives its program's symbol, and the prototype it relies on.
pub(crate) fn lower_program(
    object: &mut Object,
    input: Input<'_>,
    probe: &tree::Probe,
) -> (String, Option<u32>) {
    let name = object.symbol(&names::of_program(&probe.name), usize::MAX);
    let mut state =
        ProgramState { name: name.clone(), usage: Usage::of(&probe.body), ..ProgramState::default() };
    let index = object.reserve_function();
    let mut clif = new_function(1);
    let mut context = FunctionBuilderContext::new();
    let b = FunctionBuilder::new(&mut clif, &mut context);
    let mut l = Lower::new(object, input, probe, b, &mut state);
    let entry = l.enter();
    l.ctx = Some(l.b.block_params(entry)[0]);
    l.at(probe.span);
    l.declare_vars();
    l.clear_vars();
    l.lower_block(&probe.body);
    if l.reachable {
        let exit = l.exit;
        l.b.ins().jump(exit, &[]);
    }
    let slot = match l.frame {
        Some(Mem { base: Base::Slot(slot), .. }) => Some(slot),
        _ => None,
    };
    if let Some(slot) = slot {
        l.b.func.sized_stack_slots[slot].size = l.shared.frame_bytes.max(8);
    }
    l.finish(0);
    let section = probes::section(&probe.target);
    object.set_function(index, &name, &section, Linkage::Global, clif);
    let prototype = match state.reads_prototype {
        true => prototype::assumed(object, input.fields, &probe.target),
        false => None,
    };
    (name, prototype)
}

fn new_function(params: usize) -> ir::Function {
    ir::Function::with_name_signature(UserFuncName::default(), abi::signature(params))
}

impl<'a> Lower<'a> {
    fn new(
        object: &'a mut Object,
        input: Input<'a>,
        probe: &'a tree::Probe,
        mut b: FunctionBuilder<'a>,
        shared: &'a mut ProgramState,
    ) -> Lower<'a> {
        let exit = b.create_block();
        Lower {
            object,
            input,
            probe,
            b,
            shared,
            ctx: None,
            frame: None,
            vars: Vec::new(),
            facts: Facts::default(),
            temps: scratch::Temps::default(),
            loops: Vec::new(),
            exit,
            pending: None,
            record: None,
            discarded: false,
            reachable: true,
        }
    }

    fn enter(&mut self) -> ir::Block {
        let entry = self.b.create_block();
        self.b.append_block_params_for_function_params(entry);
        self.b.switch_to_block(entry);
        self.b.seal_block(entry);
        entry
    }

    /// Writes the one exit, which returns `answer`.
    fn finish(mut self, answer: u64) {
        let exit = self.exit;
        self.start(exit, Facts::default());
        let answer = self.iconst(answer);
        self.b.ins().return_(&[answer]);
        self.b.seal_all_blocks();
        self.b.finalize(abi::frontend_config());
    }

    /// Writes another function of the same program. `write` gives what the exit returns; `frame` is
    /// the number of the parameter that holds the frame's address.
    pub(crate) fn nested(
        &mut self,
        index: u32,
        params: usize,
        frame: Option<usize>,
        write: impl FnOnce(&mut Lower<'_>, &[ir::Value]) -> u64,
    ) {
        self.shared.callbacks += 1;
        let name = format!("{}_loop{}", self.shared.name, self.shared.callbacks);
        let name = self.object.symbol(&name, usize::MAX);
        let mut clif = new_function(params);
        let mut context = FunctionBuilderContext::new();
        let mut b = FunctionBuilder::new(&mut clif, &mut context);
        b.set_srcloc(self.b.srcloc());
        let mut l = Lower::new(self.object, self.input, self.probe, b, self.shared);
        let entry = l.enter();
        let params = l.b.block_params(entry).to_vec();
        l.frame = frame.map(|number| Mem::at(params[number], Region::Stack));
        l.declare_vars();
        let answer = write(&mut l, &params);
        if l.reachable {
            let exit = l.exit;
            l.b.ins().jump(exit, &[]);
        }
        l.finish(answer);
        self.object.set_function(index, &name, ".text", Linkage::Static, clif);
    }

    /// Memory of the program that its callbacks can reach.
    pub(crate) fn frame_mem(&mut self) -> Mem {
        match self.frame {
            Some(frame) => frame,
            None => {
                // Its size is set when the program is complete.
                let slot = self.stack_slot(8);
                *self.frame.insert(Mem { base: Base::Slot(slot), offset: 0, region: Region::Stack })
            }
        }
    }

    /// Sets a variable wherever it lives.
    pub(crate) fn set_var_anywhere(&mut self, var: VarId, value: ir::Value) {
        self.set_var(var, value);
    }

    pub(crate) fn function_address(&mut self, index: u32) -> ir::Value {
        // All callbacks have the same signature as far as `func_addr` is concerned.
        let function = abi::function(self.b.func, index, abi::signature(2));
        self.b.ins().func_addr(types::I64, function)
    }

    /// Calls a subprogram that programs share.
    pub(crate) fn call_shared(&mut self, shared: Shared, args: &[ir::Value]) -> ir::Value {
        let (index, is_new) = self.object.shared(shared);
        if is_new {
            self.write_shared(shared, index, args.len());
        }
        let function = abi::function(self.b.func, index, abi::signature(args.len()));
        let call = self.b.ins().call(function, args);
        self.b.inst_results(call)[0]
    }

    fn write_shared(&mut self, shared: Shared, index: u32, params: usize) {
        let mut clif = new_function(params);
        let mut context = FunctionBuilderContext::new();
        let mut state = ProgramState::default();
        let mut b = FunctionBuilder::new(&mut clif, &mut context);
        b.set_srcloc(self.b.srcloc());
        let mut l = Lower::new(self.object, self.input, self.probe, b, &mut state);
        let entry = l.enter();
        let params = l.b.block_params(entry).to_vec();
        let result = match shared {
            Shared::HistBucket(bits) => l.write_hist_bucket(params[0], bits),
            Shared::RuntimeError => l.write_runtime_error(params[0], params[1]),
            Shared::StringsEqual => l.write_strings_equal(params[0], params[1], params[2]),
            Shared::StringLength => l.write_string_length(params[0], params[1]),
        };
        l.b.ins().return_(&[result]);
        l.finish(0);
        self.object.set_function(index, &shared.name(), ".text", shared.linkage(), clif);
    }
}

impl Shared {
    fn name(self) -> String {
        match self {
            Shared::HistBucket(0) => "sonde_hist_bucket".into(),
            Shared::HistBucket(bits) => format!("sonde_hist_bucket_{bits}"),
            Shared::RuntimeError => "sonde_runtime_error".into(),
            Shared::StringsEqual => "sonde_strings_equal".into(),
            Shared::StringLength => "sonde_string_length".into(),
        }
    }

    /// Global subprograms are verified once, for any arguments, and the states of their paths stay out of
    /// their callers.
    fn linkage(self) -> Linkage {
        match self {
            Shared::HistBucket(_) | Shared::RuntimeError => Linkage::Global,
            Shared::StringsEqual | Shared::StringLength => Linkage::Static,
        }
    }
}
