//! Variables of the kernel, which the loader finds by name.

use btf::{Btf, Builder, Kind, Type, TypeId};
use codegen_bpf::{Extern, ExternKind};
use cranelift_codegen::ir::{self, InstBuilder as _, types};

use super::Lower;
use crate::kernel::BtfId;

impl Lower<'_> {
    /// The address of a variable of vmlinux, of which the verifier knows the type.
    pub(crate) fn kernel_variable(&mut self, name: &str) -> ir::Value {
        let externs = &mut self.object.module.externs;
        let known = externs.iter().position(|known| known.name == name);
        let index = known.unwrap_or_else(|| {
            let types = self.input.fields.btf(BtfId::VMLINUX);
            let declared = types.find(name, Kind::Var).next().and_then(|id| types.ty(id).ok());
            let ty = match declared {
                Some(Type::Var { ty, .. }) => outline(types, ty, &mut self.object.module.btf, DEPTH_MAX),
                _ => TypeId::VOID,
            };
            externs.push(Extern { name: name.to_owned(), weak: false, kind: ExternKind::Ksym, ty });
            externs.len() - 1
        });
        let symbol = codegen_bpf::abi::ksym(self.b.func, index as u32);
        self.b.ins().symbol_value(types::I64, symbol)
    }
}

/// Types nested deeper than this are given up: only corrupt files have them.
const DEPTH_MAX: u32 = 16;

/// What a loader compares of a variable's type: the kinds (libbpf's `bpf_core_types_are_compat`).
fn outline(types: &Btf, id: TypeId, out: &mut Builder, depth: u32) -> TypeId {
    let id = types.resolve(id).unwrap_or(TypeId::VOID);
    let Some(depth) = depth.checked_sub(1) else { return TypeId::VOID };
    match types.ty(id).unwrap_or(Type::Void) {
        Type::Int { name, size, encoding, .. } => out.add_int(name, size, encoding),
        Type::Ptr(to) => {
            let to = outline(types, to, out, depth);
            out.add_ptr(to)
        }
        Type::Array { elem, index, len } => {
            let (elem, index) = (outline(types, elem, out, depth), outline(types, index, out, depth));
            out.add_array(elem, index, len)
        }
        Type::Struct(of) => out.add_struct(of.name(), of.size(), &[]),
        Type::Union(of) => out.add_union(of.name(), of.size(), &[]),
        Type::Fwd { name, is_union } => out.add_fwd(name, is_union),
        Type::Enum(e) if e.is_enum64() => out.add_enum64(e.name(), e.size(), e.signed(), &[]),
        Type::Enum(e) => out.add_enum(e.name(), e.size(), e.signed(), &[]),
        _ => TypeId::VOID,
    }
}
