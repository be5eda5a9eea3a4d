//! Words of the context of programs that are attached through BTF: arguments and the return value.
//!
//! Ensures  a word is loaded only if the verifier lets programs load it (kernel `btf_ctx_access`);
//!          others are read as memory

use btf::{Btf, Type, TypeId};
use codegen_bpf::RelocKind;
use cranelift_codegen::ir::{self, InstBuilder as _};

use super::core_types::Subject;
use super::memory::repr;
use super::place::{Remote, Via};
use super::{Lower, Mem, Region, helper};
use crate::kernel::BtfId;
use crate::resolve::Kind;
use crate::types::Ty;
use crate::types::tree::Expr;

impl Lower<'_> {
    /// Word `word`, which parameter `index` is in.
    pub(crate) fn read_word(&mut self, index: u32, word: u32, ty: &Ty) -> ir::Value {
        self.read_word_of(self.param(index), word, ty)
    }

    /// The return value, which follows the arguments.
    pub(crate) fn read_retval(&mut self, e: &Expr) -> ir::Value {
        let Kind::Fexit(func) = &self.probe.target.kind else {
            unreachable!("only fexit probes have a typed result")
        };
        let returned = match self.input.fields.btf(func.btf).ty(func.proto) {
            Ok(Type::FuncProto(signature)) => Some((func.btf, signature.ret())),
            _ => None,
        };
        self.read_word_of(returned, func.words, &e.ty)
    }

    fn read_word_of(&mut self, declared: Option<(BtfId, TypeId)>, word: u32, ty: &Ty) -> ir::Value {
        self.shared.reads_prototype = true;
        let is_loadable = declared.is_none_or(|(btf, id)| is_loadable(self.input.fields.btf(btf), id));
        let is_raw = matches!(self.probe.target.kind, Kind::RawTracepoint(_));
        // Pointers of modules' events may be null to the verifier (since 6.13), which then allows no
        // arithmetic on them. Read as memory they are numbers.
        let is_of_module = declared.is_some_and(|(btf, _)| btf != BtfId::VMLINUX);
        let value = if is_loadable && !(is_raw && is_of_module && matches!(ty, Ty::Ptr(..))) {
            self.load_word(word)
        } else {
            let slot = self.temp(8);
            let (ctx, to) = (self.context(), self.addr(slot));
            let number = self.core(Subject::ContextWord(word), RelocKind::FieldByteOffset);
            if is_raw {
                let offset = self.b.ins().ishl_imm_s(number, 3);
                let from = self.b.ins().iadd(ctx, offset);
                self.probe_read(helper::PROBE_READ_KERNEL, slot, 8, from);
            } else {
                self.call_helper(helper::GET_FUNC_ARG, &[ctx, number, to]);
            }
            self.load_u64(slot)
        };
        self.extend(value, repr(ty))
    }

    /// A word by a plain load, which the loader moves to where the running kernel's prototype has it.
    fn load_word(&mut self, word: u32) -> ir::Value {
        let ctx = self.context();
        let offset = self.core(Subject::ContextWord(8 * word), RelocKind::FieldByteOffset);
        let address = self.b.ins().iadd(ctx, offset);
        self.load_u64(Mem::at(address, Region::Context))
    }

    /// A struct that is passed by value: it comes in registers, each of which is a word.
    pub(crate) fn struct_in_words(&mut self, word: u32, ty: &Ty) -> Remote {
        self.shared.reads_prototype = true;
        let copy = self.temp(ty.size().next_multiple_of(8));
        for at in (0..ty.size()).step_by(8) {
            let value = self.load_word(word + at / 8);
            self.store(copy.plus(at), 8, value);
        }
        let ptr = self.addr(copy);
        self.whole(ptr, Via::Stack, ty)
    }

    /// The declared type of a parameter.
    fn param(&self, index: u32) -> Option<(BtfId, TypeId)> {
        let (func, hidden) = match &self.probe.target.kind {
            Kind::Fentry(func) | Kind::Fexit(func) => (func, 0),
            // The tracer's own pointer comes first.
            Kind::RawTracepoint(func) => (func, 1),
            _ => return None,
        };
        let Ok(Type::FuncProto(signature)) = self.input.fields.btf(func.btf).ty(func.proto) else {
            return None;
        };
        signature.params().nth(index as usize + hidden).map(|param| (func.btf, param.ty))
    }
}

/// Whether the verifier lets a program load a word of this type: of pointers only those to structs,
/// integers and plain `void`.
fn is_loadable(types: &Btf, id: TypeId) -> bool {
    let resolve = |id| types.resolve(id).and_then(|id| types.ty(id));
    match resolve(id) {
        Ok(Type::Ptr(TypeId::VOID)) => true,
        Ok(Type::Ptr(to)) => matches!(resolve(to), Ok(Type::Struct(_) | Type::Union(_) | Type::Int { .. })),
        _ => true,
    }
}
