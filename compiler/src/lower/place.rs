//! What a chain of members, elements and pointers designates: where it starts, which way it is read.
//!
//! Members by value only lengthen the CO-RE access path, each pointer starts a new one. How memory is
//! read depends on the pointer (LANGUAGE section 2.6): plain loads behind the context and behind
//! pointers whose BTF type the verifier tracks, the `probe_read` family behind all others.
//!
//! A pointer is tracked only as long as every path gives it the same type: out of the context,
//! through typed members, kept in a variable that is assigned once. What comes from a map, a branch
//! or a shared variable is an address like any other.

use codegen_bpf::RelocKind;
use cranelift_codegen::ir::{self, InstBuilder as _};

use super::bit_fields::BitField;
use super::core_types::Subject;
use super::{Lower, Mem};
use crate::fields::{Composite, Member};
use crate::kernel::BtfId;
use crate::probes::kprobe;
use crate::resolve::{ArgSource, Kind};
use crate::types::tree::{Expr, ExprKind, VarId};
use crate::types::{Space, Ty};

/// How memory behind a pointer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// Plain loads at constant offsets from the context.
    Context,
    /// Plain loads.
    Typed,
    /// Plain loads from a copy that the program has made, of the running kernel's layout.
    Stack,
    /// `bpf_probe_read_kernel`.
    Kernel,
    /// `bpf_probe_read_user`.
    User,
}

/// An object outside of the program's memory.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(crate) ptr: ir::Value,
    pub(crate) via: Via,
    /// The type that CO-RE accesses start from, and the steps below it.
    pub(crate) root: Option<Composite>,
    pub(crate) path: Vec<u32>,
    /// Bytes from `ptr`, if there is no root.
    pub(crate) offset: u32,
    pub(crate) bits: Option<BitField>,
    /// Bytes of the object as declared.
    pub(crate) size: Option<u32>,
}

pub(crate) enum Located {
    Local(Mem, Option<BitField>),
    Remote(Remote),
}

impl<'a> Lower<'a> {
    pub(crate) fn locate(&mut self, e: &Expr) -> Located {
        match &e.kind {
            ExprKind::Deref(pointer) => {
                let via = self.via(pointer);
                let ptr = self.lower_scalar(pointer);
                Located::Remote(self.whole(ptr, via, &e.ty))
            }
            ExprKind::Field { base, member } => {
                let located = self.locate(base);
                self.member_of(located, base, member)
            }
            ExprKind::Index { base, index } => self.element_of(base, index, e),
            ExprKind::Arg(index) => self.locate_arg(*index),
            _ => Located::Local(self.lower_to_memory(e, false), None),
        }
    }

    pub(crate) fn whole(&self, ptr: ir::Value, via: Via, ty: &Ty) -> Remote {
        let root = match ty {
            Ty::Struct(composite) if self.is_relocatable(*composite) => Some(*composite),
            _ => None,
        };
        Remote { ptr, via, root, path: Vec::new(), offset: 0, bits: None, size: None }
    }

    /// A CO-RE root must have a name, and a kernel to look it up in.
    pub(crate) fn is_relocatable(&self, composite: Composite) -> bool {
        composite.btf.is_kernel()
            && self.input.fields.btf(composite.btf).ty(composite.id).is_ok_and(|ty| !ty.name().is_empty())
    }

    pub(crate) fn declared_size(&self, composite: Option<Composite>, member: &Member) -> Option<u32> {
        let file = composite.map(|c| c.btf).filter(|btf| *btf != BtfId::SCRIPT)?;
        let size = self.input.fields.btf(file).size_of(member.id).ok()?;
        u32::try_from(size).ok()
    }

    pub(crate) fn member_of(&mut self, located: Located, base: &Expr, member: &Member) -> Located {
        let composite = match &base.ty {
            Ty::Struct(composite) => Some(*composite),
            _ => None,
        };
        let bits = BitField::of(member);
        match located {
            Located::Local(mem, _) => match bits {
                None => Located::Local(mem.plus(member.bit_offset / 8), None),
                Some(bits) => {
                    let (byte, bits) = bits.split();
                    Located::Local(mem.plus(byte), Some(bits))
                }
            },
            Located::Remote(mut remote) => {
                remote.size = self.declared_size(composite, member);
                match remote.root {
                    Some(_) => {
                        remote.path.extend(&member.path);
                        remote.bits = bits;
                    }
                    None => {
                        remote.offset += member.bit_offset / 8;
                        remote.bits = bits.map(|bits| bits.split().1);
                    }
                }
                Located::Remote(remote)
            }
        }
    }

    pub(crate) fn element_of(&mut self, base: &Expr, index: &Expr, e: &Expr) -> Located {
        let stride = e.ty.size().max(1);
        let located = match &base.ty {
            Ty::Ptr(..) => {
                let via = self.via(base);
                let ptr = self.lower_scalar(base);
                Located::Remote(self.whole(ptr, via, &Ty::Void))
            }
            _ => self.locate(base),
        };
        let len = match &base.ty {
            Ty::Array(_, len) | Ty::String(len) => *len,
            _ => 0,
        };
        match (located, self.literal(index)) {
            (Located::Local(mem, _), Some(index)) => {
                let index = (index as u32).min(len.saturating_sub(1));
                Located::Local(mem.plus(index * stride), None)
            }
            (Located::Local(mem, _), None) => {
                let index = self.bounded_index(index, len, e.span);
                let offset = self.scale(index, stride);
                let base = self.addr(mem);
                let ptr = self.b.ins().iadd(base, offset);
                Located::Local(Mem::at(ptr, mem.region), None)
            }
            (Located::Remote(mut remote), Some(index)) => {
                remote.size = Some(stride);
                // The verifier knows nothing of what follows a struct.
                if len == 0 && remote.via == Via::Typed {
                    remote.via = Via::Kernel;
                }
                match remote.root {
                    Some(_) => remote.path.push(index as u32),
                    None => remote.offset += index as u32 * stride,
                }
                Located::Remote(remote)
            }
            (Located::Remote(remote), None) => {
                let index =
                    if len > 0 { self.checked_index(index, len, e.span) } else { self.lower_scalar(index) };
                Located::Remote(self.remote_element(remote, index, len, &e.ty))
            }
        }
    }

    /// The element that an index known only at run time leads to.
    fn remote_element(&mut self, mut remote: Remote, index: ir::Value, len: u32, ty: &Ty) -> Remote {
        remote.via = if remote.via == Via::User { Via::User } else { Via::Kernel };
        let Some(root) = remote.root.filter(|_| len > 0) else {
            let base = self.remote_address(&remote);
            let offset = self.scale_by(index, ty);
            let ptr = self.b.ins().iadd(base, offset);
            return self.whole(ptr, remote.via, ty);
        };
        // The first element, moved by as many as the running kernel has them large.
        remote.path.push(0);
        let offset = if self.input.fields.leaves(ty).is_some() {
            let element = Subject::Field { root, path: remote.path.clone() };
            let bytes = self.core(element, RelocKind::FieldByteSize);
            self.b.ins().imul(index, bytes)
        } else {
            self.scale(index, ty.size().max(1))
        };
        remote.ptr = self.b.ins().iadd(remote.ptr, offset);
        remote.size = Some(ty.size().max(1));
        remote
    }

    /// The integer register that holds the argument of this number.
    pub(crate) fn argument_register(&mut self, number: u32) -> ir::Value {
        let name = kprobe::ARGUMENTS.get(number as usize).copied().unwrap_or_default();
        kprobe::read_register(self, name).unwrap_or_else(|| self.iconst(0))
    }

    /// An argument that is not in a record.
    fn locate_value_arg(&mut self, source: &ArgSource, ty: &Ty) -> Option<Located> {
        /// Bytes of the return address, which is on top of the stack.
        const RETURN_ADDRESS: u32 = 8;
        let (ptr, offset) = match source {
            ArgSource::Word(word) => return Some(Located::Remote(self.struct_in_words(*word, ty))),
            ArgSource::Register(first) => {
                let (words, mem) = (ty.size().div_ceil(8).max(1), self.temp(16));
                for word in 0..words.min(2) {
                    let value = self.argument_register(first + word);
                    self.store(mem.plus(word * 8), 8, value);
                }
                return Some(Located::Local(mem, None));
            }
            ArgSource::Stack(bytes) => (kprobe::read_register(self, "sp")?, RETURN_ADDRESS + bytes),
            ArgSource::Behind(register) => (self.argument_register(*register), 0),
            ArgSource::Field(_)
            | ArgSource::DataLoc(_)
            | ArgSource::RelLoc(_)
            | ArgSource::Syscall { .. } => return None,
        };
        Some(Located::Remote(Remote { offset, ..self.whole(ptr, Via::User, ty) }))
    }

    pub(crate) fn locate_arg(&mut self, index: u32) -> Located {
        let arg = self.arg(index);
        if let Some(found) = self.locate_value_arg(&arg.source, &arg.ty) {
            return found;
        }
        let Kind::Tracepoint { record: Some(record), .. } = self.probe.target.kind else {
            unreachable!("only tracepoints have arguments that are not words")
        };
        let (member, element) = match &self.probe.target.args[index as usize].source {
            ArgSource::Field(member) | ArgSource::DataLoc(member) | ArgSource::RelLoc(member) => {
                (member, None)
            }
            ArgSource::Syscall { args, index } => (args, Some(*index)),
            ArgSource::Word(_) | ArgSource::Register(_) | ArgSource::Stack(_) | ArgSource::Behind(_) => {
                unreachable!("only tracepoints have arguments in a record")
            }
        };
        let ctx = self.context();
        let mut remote = self.whole(ctx, Via::Context, &Ty::Struct(record));
        match remote.root {
            Some(_) => {
                remote.path.extend(&member.path);
                remote.path.extend(element);
            }
            None => remote.offset = member.bit_offset / 8 + element.unwrap_or(0) * 8,
        }
        remote.bits = BitField::of(member);
        remote.size = if element.is_some() { Some(8) } else { self.declared_size(Some(record), member) };
        Located::Remote(remote)
    }

    /// The helper that reads what `pointer` points at.
    pub(crate) fn read_helper(&self, pointer: &Expr) -> u32 {
        self.space_of(pointer).helper()
    }

    /// The helper that reads the string `pointer` points at.
    pub(crate) fn read_str_helper(&self, pointer: &Expr) -> u32 {
        self.space_of(pointer).str_helper()
    }

    /// The helper that reads a member or element.
    pub(crate) fn read_helper_of_place(&self, place: &Expr) -> u32 {
        self.via_of_place(place).helper()
    }

    /// The helper that reads a string that is a member or element.
    pub(crate) fn read_str_helper_of_place(&self, place: &Expr) -> u32 {
        self.via_of_place(place).str_helper()
    }

    pub(crate) fn space_of(&self, pointer: &Expr) -> Via {
        match (&pointer.ty, &self.probe.target.kind) {
            (Ty::Ptr(..), _) => self.via(pointer),
            // Numbers have no space of their own; those of system calls and user programs are the user's.
            (_, Kind::Tracepoint { category, .. }) if category == "syscalls" => Via::User,
            (_, Kind::Uprobe(_) | Kind::Uretprobe(_)) => Via::User,
            _ => Via::Kernel,
        }
    }

    pub(crate) fn via_of_place(&self, place: &Expr) -> Via {
        match &place.kind {
            ExprKind::Deref(pointer) => self.via(pointer),
            ExprKind::Index { base, .. } if matches!(base.ty, Ty::Ptr(..)) => self.via(base),
            ExprKind::Arg(index) => match self.arg(*index).source {
                ArgSource::Stack(_) | ArgSource::Behind(_) => Via::User,
                _ => Via::Kernel,
            },
            ExprKind::Field { base, .. } | ExprKind::Index { base, .. } => self.via_of_place(base),
            _ => Via::Kernel,
        }
    }

    /// How the memory behind a pointer is read.
    pub(crate) fn via(&self, pointer: &Expr) -> Via {
        match &pointer.ty {
            Ty::Ptr(_, Space::User) => Via::User,
            Ty::Ptr(_, Space::Typed) if self.is_typed(pointer) => Via::Typed,
            _ => Via::Kernel,
        }
    }

    /// Whether the verifier knows the BTF type of this pointer here.
    pub(crate) fn is_typed(&self, e: &Expr) -> bool {
        let Ty::Ptr(pointee, Space::Typed) = &e.ty else { return false };
        match &e.kind {
            ExprKind::RetVal => matches!(**pointee, Ty::Struct(_)),
            ExprKind::Arg(index) => {
                let arg = self.arg(*index);
                // The verifier wants a null check before it loads through these.
                let nullable = arg.name.ends_with("__nullable");
                matches!(**pointee, Ty::Struct(_)) && matches!(arg.source, ArgSource::Word(_)) && !nullable
            }
            ExprKind::Call { builtin, .. } => builtin.name == "curtask",
            ExprKind::Var(VarId(var)) => self.shared.typed_vars.contains(var),
            ExprKind::Cast(of) => match &of.ty {
                Ty::Ptr(same, _) => same == pointee && self.is_typed(of),
                _ => false,
            },
            ExprKind::Field { .. } | ExprKind::Index { .. } => {
                matches!(**pointee, Ty::Struct(_)) && self.is_typed_place(e)
            }
            _ => false,
        }
    }

    pub(crate) fn is_typed_place(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Deref(pointer) => self.is_typed(pointer),
            ExprKind::Field { base, .. } => self.is_typed_place(base),
            ExprKind::Index { base, index } => self.literal(index).is_some() && self.is_typed_place(base),
            _ => false,
        }
    }

    /// Where a member or element lies, if programs can load it there.
    pub(crate) fn local_place(&mut self, e: &Expr) -> Option<Mem> {
        if !is_local(e) {
            return None;
        }
        match self.locate(e) {
            Located::Local(mem, None) => Some(mem),
            Located::Local(..) | Located::Remote(_) => None,
        }
    }

    /// The address that an object outside is read from.
    pub(crate) fn address_of_remote(&mut self, e: &Expr) -> Option<ir::Value> {
        match (&e.kind, is_local(e)) {
            (
                ExprKind::Field { .. } | ExprKind::Index { .. } | ExprKind::Deref(_) | ExprKind::Arg(_),
                false,
            ) => match self.locate(e) {
                Located::Remote(remote) => Some(self.remote_address(&remote)),
                Located::Local(..) => None,
            },
            _ => None,
        }
    }
}

/// Whether a chain of members starts in the program's own memory.
fn is_local(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Field { base, .. } => is_local(base),
        ExprKind::Index { base, .. } => !matches!(base.ty, Ty::Ptr(..)) && is_local(base),
        ExprKind::Deref(_) | ExprKind::Arg(_) | ExprKind::RetVal => false,
        _ => true,
    }
}
