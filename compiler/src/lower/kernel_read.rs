//! Reads of structs, arrays and arguments that lie outside of the program's own memory.
//!
//! `place.rs` says where and which way; here are the loads, the `probe_read` calls, and the CO-RE
//! relocations in them.

use codegen_bpf::RelocKind;
use cranelift_codegen::ir::{self, InstBuilder as _, types};

use super::core_types::Subject;
use super::expr::Dest;
use super::memory::repr;
use super::place::{Located, Remote, Via};
use super::{Lower, Mem, Region, helper};
use crate::fields::{Composite, EnumRef};
use crate::resolve::{Arg, ArgSource};
use crate::types::tree::{Expr, ExprKind};
use crate::types::{Int, Ty};

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
        if !of.btf.is_kernel() || !named {
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

    /// Bytes from the start of a struct to something within it.
    pub(crate) fn offset_of(&mut self, of: Composite, path: &[u32], bytes: u32) -> ir::Value {
        if self.is_relocatable(of) {
            self.core(Subject::Field { root: of, path: path.to_vec() }, RelocKind::FieldByteOffset)
        } else {
            self.iconst(bytes.into())
        }
    }

    /// A scalar member, element, argument or pointee.
    pub(crate) fn read_scalar(&mut self, e: &Expr) -> ir::Value {
        match &e.kind {
            ExprKind::Arg(index) => {
                let arg = self.arg(*index);
                if let Some(value) = self.read_arg(*index, arg, e) {
                    return value;
                }
            }
            ExprKind::RetVal => return self.read_retval(e),
            _ => {}
        }
        match self.locate(e) {
            Located::Local(mem, None) => self.load(mem, &e.ty),
            Located::Local(mem, Some(bits)) => self.cut_bits(mem, bits, &e.ty),
            Located::Remote(remote) => match remote.bits {
                None => self.load_remote(&remote, &e.ty),
                Some(bits) => self.load_bits(&remote, bits, &e.ty),
            },
        }
    }

    /// An object: struct, array, string.
    pub(crate) fn read_into(&mut self, e: &Expr, dst: Dest) {
        let size = e.ty.size();
        if size == 0 {
            return;
        }
        match self.locate(e) {
            Located::Local(mem, _) => self.copy_object(dst, mem, &e.ty),
            Located::Remote(remote) => {
                if self.read_by_value(&remote, &e.ty, dst.mem) {
                    return;
                }
                let declared = remote.size.unwrap_or(size).min(size);
                let address = self.remote_address(&remote);
                if remote.via == Via::Typed && declared == size && is_loadable(&e.ty) {
                    self.copy(dst.mem, Mem::at(address, Region::Kernel), size);
                    return;
                }
                self.probe_read(remote.via.helper(), dst.mem, declared, address);
                if declared < size {
                    self.zero(dst.mem.plus(declared), size - declared);
                }
            }
        }
    }
}

impl<'a> Lower<'a> {
    pub(crate) fn arg(&self, index: u32) -> &'a Arg {
        &self.probe.target.args[index as usize]
    }

    /// A scalar argument that is not simply a member.
    pub(crate) fn read_arg(&mut self, index: u32, arg: &Arg, e: &Expr) -> Option<ir::Value> {
        match &arg.source {
            ArgSource::Word(word) => Some(self.read_word(index, *word, &e.ty)),
            ArgSource::DataLoc(_) => {
                let Located::Remote(remote) = self.locate(e) else { return None };
                let ctx = self.context();
                Some(self.loc_address(&remote, ctx))
            }
            ArgSource::RelLoc(_) => {
                let Located::Remote(remote) = self.locate(e) else { return None };
                let member = self.remote_address(&remote);
                let behind = self.add_const(member, 4);
                Some(self.loc_address(&remote, behind))
            }
            ArgSource::Register(first) => {
                let register = self.argument_register(*first);
                Some(self.extend(register, repr(&e.ty)))
            }
            ArgSource::Field(_) | ArgSource::Syscall { .. } | ArgSource::Stack(_) | ArgSource::Behind(_) => {
                None
            }
        }
    }

    /// Word `index` of the context, whatever is there.
    pub(crate) fn read_numbered_word(&mut self, index: u32) -> ir::Value {
        let ctx = self.context();
        self.load_u64(Mem::at(ctx, Region::Context).plus(8 * index))
    }

    /// The address of data whose offset from `start` is in the low half of a `u32` of the record.
    fn loc_address(&mut self, remote: &Remote, start: ir::Value) -> ir::Value {
        let loc = self.load_remote(remote, &Ty::U32);
        let offset = self.b.ins().band_imm_s(loc, 0xffff);
        self.b.ins().iadd(start, offset)
    }

    pub(crate) fn remote_address(&mut self, remote: &Remote) -> ir::Value {
        match remote.root {
            Some(root) if !remote.path.is_empty() => {
                let subject = Subject::Field { root, path: remote.path.clone() };
                let offset = self.core(subject, RelocKind::FieldByteOffset);
                self.b.ins().iadd(remote.ptr, offset)
            }
            _ => self.add_const(remote.ptr, remote.offset.into()),
        }
    }

    pub(crate) fn load_remote(&mut self, remote: &Remote, ty: &Ty) -> ir::Value {
        let int = repr(ty);
        let size = remote.size.filter(|size| matches!(size, 1 | 2 | 4 | 8)).unwrap_or(int.size.into());
        let stored = Int { size: size as u8, signed: int.signed };
        let word = self.load_bytes(remote, stored);
        if size > int.size.into() { self.extend(word, int) } else { word }
    }

    /// The integer at the object's first byte.
    pub(crate) fn load_bytes(&mut self, remote: &Remote, int: Int) -> ir::Value {
        match remote.via {
            Via::Context | Via::Typed | Via::Stack => {
                let address = self.remote_address(remote);
                self.load_int(Mem::at(address, remote.via.region()), int)
            }
            Via::Kernel | Via::User => {
                let address = self.remote_address(remote);
                let slot = self.temp(int.size.into());
                self.probe_read(remote.via.helper(), slot, int.size.into(), address);
                self.load_int(slot, int)
            }
        }
    }
}

impl Via {
    /// Which memory plain loads read.
    fn region(self) -> Region {
        match self {
            Via::Context => Region::Context,
            Via::Stack => Region::Stack,
            Via::Typed | Via::Kernel | Via::User => Region::Kernel,
        }
    }

    pub(crate) fn helper(self) -> u32 {
        match self {
            Via::User => helper::PROBE_READ_USER,
            Via::Context | Via::Typed | Via::Stack | Via::Kernel => helper::PROBE_READ_KERNEL,
        }
    }

    pub(crate) fn str_helper(self) -> u32 {
        match self {
            Via::User => helper::PROBE_READ_USER_STR,
            Via::Context | Via::Typed | Via::Stack | Via::Kernel => helper::PROBE_READ_KERNEL_STR,
        }
    }
}

/// Whether typed loads may take the object in pieces of 8 bytes: the verifier lets them cross the
/// elements of an array of scalars, nothing else (`btf_struct_walk`). No helper is needed then, which
/// a locked-down kernel would refuse.
fn is_loadable(ty: &Ty) -> bool {
    const BYTES_MAX: u32 = 32;
    let scalars = match ty {
        Ty::String(_) => true,
        Ty::Array(of, _) => of.is_scalar(),
        _ => false,
    };
    scalars && ty.size() <= BYTES_MAX
}
