//! Reads of structs, arrays and arguments that lie outside of the program's own memory.
//!
//! A chain of members is one access: members by value only lengthen the CO-RE access path, each
//! pointer starts a new one. How memory is read depends on the pointer (LANGUAGE section 2.6): plain
//! loads behind the context and behind pointers whose BTF type the verifier tracks, the
//! `probe_read` family behind all others.
//!
//! A pointer is tracked only as long as every path gives it the same type: out of the context,
//! through typed members, kept in a variable that is assigned once. What comes from a map, a branch
//! or a shared variable is an address like any other.

use codegen_bpf::RelocKind;
use cranelift_codegen::ir::{self, InstBuilder as _, types};

use super::core_types::Subject;
use super::expr::Dest;
use super::memory::repr;
use super::{Lower, Mem, Region, helper};
use crate::fields::{Composite, EnumRef, Member};
use crate::kernel::BtfId;
use crate::resolve::{Arg, ArgSource, Kind};
use crate::types::tree::{Expr, ExprKind, VarId};
use crate::types::{Int, Space, Ty};

/// How memory behind a pointer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    /// Plain loads at constant offsets from the context.
    Context,
    /// Plain loads.
    Typed,
    /// `bpf_probe_read_kernel`.
    Kernel,
    /// `bpf_probe_read_user`.
    User,
}

/// An object outside of the program's memory.
#[derive(Debug, Clone)]
struct Remote {
    ptr: ir::Value,
    via: Via,
    /// The type that CO-RE accesses start from, and the steps below it.
    root: Option<Composite>,
    path: Vec<u32>,
    /// Bytes from `ptr`, if there is no root.
    offset: u32,
    bits: Option<BitField>,
    /// Bytes of the object as declared.
    size: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
struct BitField {
    /// Bits from the object's start.
    offset: u32,
    width: u8,
}

enum Located {
    Local(Mem, Option<BitField>),
    Remote(Remote),
}

impl Lower<'_> {
    /// A relocated number.
    pub(crate) fn core(&mut self, subject: Subject, kind: RelocKind) -> ir::Value {
        let index = self.object.core.index(subject, kind);
        let symbol = codegen_bpf::abi::core(self.b.func, index);
        self.b.ins().symbol_value(types::I64, symbol)
    }

    /// An enumerator's value on the running kernel.
    pub(crate) fn enumerator(&mut self, of: EnumRef, name: &str, value: u64) -> ir::Value {
        // CO-RE looks enums up by name; the values of anonymous ones are as good as an interface.
        let named = self.input.fields.btf(of.btf).ty(of.id).is_ok_and(|ty| !ty.name().is_empty());
        if of.btf == BtfId::SCRIPT || !named {
            return self.iconst(value);
        }
        self.core(Subject::Enumerator { of, name: name.to_owned(), value }, RelocKind::EnumvalValue)
    }

    /// Bytes of a struct.
    pub(crate) fn size_of(&mut self, of: Composite) -> ir::Value {
        if self.is_relocatable(of) {
            self.core(Subject::Type(of), RelocKind::TypeSize)
        } else {
            self.iconst(of.size.into())
        }
    }

    /// Bytes from the start of a struct to a member within it.
    pub(crate) fn offset_of(&mut self, of: Composite, path: &[Member]) -> ir::Value {
        if self.is_relocatable(of) {
            let path = path.iter().flat_map(|member| member.path.iter().copied()).collect();
            self.core(Subject::Field { root: of, path }, RelocKind::FieldByteOffset)
        } else {
            let bits: u32 = path.iter().map(|member| member.bit_offset).sum();
            self.iconst((bits / 8).into())
        }
    }

    /// A scalar member, element, argument or pointee.
    pub(crate) fn read_scalar(&mut self, e: &Expr) -> ir::Value {
        match &e.kind {
            ExprKind::Arg(index) => {
                let arg = self.arg(*index);
                if let Some(value) = self.read_arg(arg, e) {
                    return value;
                }
            }
            ExprKind::RetVal => return self.read_retval(e),
            _ => {}
        }
        match self.locate(e) {
            Located::Local(mem, None) => self.load(mem, &e.ty),
            Located::Local(mem, Some(bits)) => {
                let word = self.load_int(mem, Int { size: bits.bytes() as u8, signed: false });
                self.cut_bits(word, bits.offset.into(), bits.width, &e.ty)
            }
            Located::Remote(remote) => match remote.bits {
                None => self.load_remote(&remote, &e.ty),
                Some(bits) => self.load_bits(&remote, bits, &e.ty),
            },
        }
    }

    /// An object: struct, array, string.
    pub(crate) fn read_into(&mut self, e: &Expr, dst: Dest) {
        let size = e.ty.size();
        match self.locate(e) {
            Located::Local(mem, _) => self.copy_object(dst, mem, &e.ty),
            Located::Remote(remote) => {
                let declared = remote.size.unwrap_or(size).min(size);
                let address = self.remote_address(&remote);
                self.probe_read(remote.via.helper(), dst.mem, declared, address);
                if declared < size {
                    self.zero(dst.mem.plus(declared), size - declared);
                }
            }
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
    pub fn address_of_remote(&mut self, e: &Expr) -> Option<ir::Value> {
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

impl<'a> Lower<'a> {
    fn arg(&self, index: u32) -> &'a Arg {
        &self.probe.target.args[index as usize]
    }

    fn locate(&mut self, e: &Expr) -> Located {
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

    fn whole(&self, ptr: ir::Value, via: Via, ty: &Ty) -> Remote {
        let root = match ty {
            Ty::Struct(composite) if self.is_relocatable(*composite) => Some(*composite),
            _ => None,
        };
        Remote { ptr, via, root, path: Vec::new(), offset: 0, bits: None, size: None }
    }

    /// A CO-RE root must have a name, and a kernel to look it up in.
    fn is_relocatable(&self, composite: Composite) -> bool {
        composite.btf != BtfId::SCRIPT
            && self.input.fields.btf(composite.btf).ty(composite.id).is_ok_and(|ty| !ty.name().is_empty())
    }

    fn declared_size(&self, composite: Option<Composite>, member: &Member) -> Option<u32> {
        let file = composite.map(|c| c.btf).filter(|btf| *btf != BtfId::SCRIPT)?;
        let size = self.input.fields.btf(file).size_of(member.id).ok()?;
        u32::try_from(size).ok()
    }

    fn member_of(&mut self, located: Located, base: &Expr, member: &Member) -> Located {
        let composite = match &base.ty {
            Ty::Struct(composite) => Some(*composite),
            _ => None,
        };
        let bits = member.bits.map(|width| BitField { offset: member.bit_offset, width });
        match located {
            Located::Local(mem, _) => match bits {
                None => Located::Local(mem.plus(member.bit_offset / 8), None),
                Some(bits) => {
                    let bits_in = BitField { offset: bits.offset % 8, ..bits };
                    Located::Local(mem.plus(bits.offset / 8), Some(bits_in))
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
                        remote.bits = bits.map(|bits| BitField { offset: bits.offset % 8, ..bits });
                    }
                }
                Located::Remote(remote)
            }
        }
    }

    fn element_of(&mut self, base: &Expr, index: &Expr, e: &Expr) -> Located {
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
                match remote.root {
                    Some(_) => remote.path.push(index as u32),
                    None => remote.offset += index as u32 * stride,
                }
                Located::Remote(remote)
            }
            (Located::Remote(remote), None) => {
                let base = self.remote_address(&remote);
                let index =
                    if len > 0 { self.checked_index(index, len, e.span) } else { self.lower_scalar(index) };
                let offset = self.scale(index, stride);
                let ptr = self.b.ins().iadd(base, offset);
                let via = if remote.via == Via::User { Via::User } else { Via::Kernel };
                Located::Remote(self.whole(ptr, via, &e.ty))
            }
        }
    }

    fn locate_arg(&mut self, index: u32) -> Located {
        let Kind::Tracepoint { record: Some(record), .. } = self.probe.target.kind else {
            unreachable!("only tracepoints have arguments that are not words")
        };
        let (member, element) = match &self.probe.target.args[index as usize].source {
            ArgSource::Field(member) | ArgSource::DataLoc(member) => (member, None),
            ArgSource::Syscall { args, index } => (args, Some(*index)),
            ArgSource::Word(_) => unreachable!("words are read one by one"),
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
        remote.bits = member.bits.map(|width| BitField { offset: member.bit_offset, width });
        remote.size = if element.is_some() { Some(8) } else { self.declared_size(Some(record), member) };
        Located::Remote(remote)
    }

    /// A scalar argument that is not simply a member.
    fn read_arg(&mut self, arg: &Arg, e: &Expr) -> Option<ir::Value> {
        match &arg.source {
            ArgSource::Word(word) => Some(self.read_word(*word, &e.ty)),
            ArgSource::DataLoc(_) => {
                let Located::Remote(remote) = self.locate(e) else { return None };
                let loc = self.load_remote(&remote, &Ty::U32);
                let offset = self.b.ins().band_imm_s(loc, 0xffff);
                let ctx = self.context();
                Some(self.b.ins().iadd(ctx, offset))
            }
            ArgSource::Field(_) | ArgSource::Syscall { .. } => None,
        }
    }

    /// Word `index` of the context of a program that is attached through BTF.
    pub(crate) fn read_word(&mut self, index: u32, ty: &Ty) -> ir::Value {
        let ctx = self.context();
        let word = if needs_helper(ty) {
            // The verifier refuses to load a pointer that points at neither a struct nor an integer
            // (`btf_ctx_access`).
            let slot = self.temp(8);
            let (number, address) = (self.iconst(index.into()), self.addr(slot));
            self.call_helper(helper::GET_FUNC_ARG, &[ctx, number, address]);
            self.load_u64(slot)
        } else {
            self.load_u64(Mem::at(ctx, Region::Context).plus(8 * index))
        };
        self.extend(word, repr(ty))
    }

    fn read_retval(&mut self, e: &Expr) -> ir::Value {
        let Kind::Fexit(func) = &self.probe.target.kind else {
            unreachable!("only fexit probes have a typed result")
        };
        let words = func.words;
        self.read_word(words, &e.ty)
    }

    fn remote_address(&mut self, remote: &Remote) -> ir::Value {
        match remote.root {
            Some(root) if !remote.path.is_empty() => {
                let subject = Subject::Field { root, path: remote.path.clone() };
                let offset = self.core(subject, RelocKind::FieldByteOffset);
                self.b.ins().iadd(remote.ptr, offset)
            }
            _ => self.add_const(remote.ptr, remote.offset.into()),
        }
    }

    fn load_remote(&mut self, remote: &Remote, ty: &Ty) -> ir::Value {
        let int = repr(ty);
        let size = remote.size.filter(|size| matches!(size, 1 | 2 | 4 | 8)).unwrap_or(int.size.into());
        let stored = Int { size: size as u8, signed: int.signed };
        let word = self.load_bytes(remote, stored);
        if size > int.size.into() { self.extend(word, int) } else { word }
    }

    /// The integer at the object's first byte.
    fn load_bytes(&mut self, remote: &Remote, int: Int) -> ir::Value {
        match remote.via {
            Via::Context | Via::Typed => {
                let address = self.remote_address(remote);
                let region = if remote.via == Via::Context { Region::Context } else { Region::Kernel };
                self.load_int(Mem::at(address, region), int)
            }
            Via::Kernel | Via::User => {
                let address = self.remote_address(remote);
                let slot = self.temp(int.size.into());
                self.probe_read(remote.via.helper(), slot, int.size.into(), address);
                self.load_int(slot, int)
            }
        }
    }

    /// A bit-field, as libbpf's `BPF_CORE_READ_BITFIELD`: position and width are relocated. More
    /// bytes than the field's unit do no harm, so the build kernel's unit is read.
    fn load_bits(&mut self, remote: &Remote, bits: BitField, ty: &Ty) -> ir::Value {
        let Some(root) = remote.root else {
            let int = Int { size: bits.bytes() as u8, signed: false };
            let word = self.load_bytes(remote, int);
            return self.cut_bits(word, bits.offset.into(), bits.width, ty);
        };
        let unit = remote.size.filter(|size| matches!(size, 1 | 2 | 4 | 8)).unwrap_or(8);
        let word = self.load_bytes(remote, Int { size: unit as u8, signed: false });
        let subject = Subject::Field { root, path: remote.path.clone() };
        let left = self.core(subject.clone(), RelocKind::FieldLshiftU64);
        let right = self.core(subject, RelocKind::FieldRshiftU64);
        let word = self.b.ins().ishl(word, left);
        if repr(ty).signed { self.b.ins().sshr(word, right) } else { self.b.ins().ushr(word, right) }
    }

    fn cut_bits(&mut self, word: ir::Value, offset: i64, width: u8, ty: &Ty) -> ir::Value {
        let word = self.b.ins().ishl_imm_s(word, 64 - offset - i64::from(width));
        let right = 64 - i64::from(width);
        if repr(ty).signed {
            self.b.ins().sshr_imm_s(word, right)
        } else {
            self.b.ins().ushr_imm_s(word, right)
        }
    }

    /// The helper that reads what `pointer` points at.
    pub fn read_helper(&self, pointer: &Expr) -> u32 {
        self.space_of(pointer).helper()
    }

    /// The helper that reads the string `pointer` points at.
    pub fn read_str_helper(&self, pointer: &Expr) -> u32 {
        self.space_of(pointer).str_helper()
    }

    /// The helper that reads a member or element.
    pub fn read_helper_of_place(&self, place: &Expr) -> u32 {
        self.via_of_place(place).helper()
    }

    /// The helper that reads a string that is a member or element.
    pub fn read_str_helper_of_place(&self, place: &Expr) -> u32 {
        self.via_of_place(place).str_helper()
    }

    fn space_of(&self, pointer: &Expr) -> Via {
        match (&pointer.ty, &self.probe.target.kind) {
            (Ty::Ptr(..), _) => self.via(pointer),
            // Numbers have no space of their own; those of system calls come from the user.
            (_, Kind::Tracepoint { category, .. }) if category == "syscalls" => Via::User,
            _ => Via::Kernel,
        }
    }

    fn via_of_place(&self, place: &Expr) -> Via {
        match &place.kind {
            ExprKind::Deref(pointer) => self.via(pointer),
            ExprKind::Index { base, .. } if matches!(base.ty, Ty::Ptr(..)) => self.via(base),
            ExprKind::Field { base, .. } | ExprKind::Index { base, .. } => self.via_of_place(base),
            _ => Via::Kernel,
        }
    }

    /// How the memory behind a pointer is read.
    fn via(&self, pointer: &Expr) -> Via {
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
                matches!(**pointee, Ty::Struct(_)) && matches!(self.arg(*index).source, ArgSource::Word(_))
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

    fn is_typed_place(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Deref(pointer) => self.is_typed(pointer),
            ExprKind::Field { base, .. } => self.is_typed_place(base),
            ExprKind::Index { base, index } => self.literal(index).is_some() && self.is_typed_place(base),
            _ => false,
        }
    }
}

impl Via {
    fn helper(self) -> u32 {
        match self {
            Via::User => helper::PROBE_READ_USER,
            Via::Context | Via::Typed | Via::Kernel => helper::PROBE_READ_KERNEL,
        }
    }

    fn str_helper(self) -> u32 {
        match self {
            Via::User => helper::PROBE_READ_USER_STR,
            Via::Context | Via::Typed | Via::Kernel => helper::PROBE_READ_KERNEL_STR,
        }
    }
}

impl BitField {
    /// Bytes that hold the field, as a size that can be loaded.
    fn bytes(self) -> u32 {
        (self.offset + u32::from(self.width)).div_ceil(8).next_power_of_two().min(8)
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

/// Whether an argument of this type cannot be loaded from the context.
fn needs_helper(ty: &Ty) -> bool {
    match ty {
        Ty::Ptr(pointee, _) => {
            !matches!(**pointee, Ty::Struct(_) | Ty::Void | Ty::None | Ty::Int(_) | Ty::Bool)
        }
        _ => false,
    }
}
