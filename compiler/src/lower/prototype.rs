//! The prototype a program was compiled for, in the object's BTF: what the loader compares with the
//! running kernel's.
//!
//! Ensures  only what decides how a value is read is kept: sizes and signs of integers, names of
//!          structs, never their members

use btf::{Builder, IntEncoding, Param, Type, TypeId};

use super::Object;
use crate::fields::Fields;
use crate::kernel::BtfId;
use crate::resolve::{Kind, Target};

/// Pointers to pointers that are kept.
const DEPTH_MAX: u32 = 4;

/// The `FUNC_PROTO` of the function or raw tracepoint, if the target has one.
pub(super) fn assumed(object: &mut Object, fields: &Fields<'_>, target: &Target) -> Option<u32> {
    let (func, skip) = match &target.kind {
        Kind::Fentry(func) | Kind::Fexit(func) => (func, 0),
        // The first parameter is the tracer's own pointer, which programs do not see.
        Kind::RawTracepoint(func) => (func, 1),
        _ => return None,
    };
    let Ok(Type::FuncProto(proto)) = fields.btf(func.btf).ty(func.proto) else { return None };
    let mut copy = Copy { fields, file: func.btf, out: &mut object.module.btf };
    let ret = copy.whole(proto.ret(), DEPTH_MAX);
    let mut params = Vec::new();
    for (index, param) in proto.params().skip(skip).enumerate() {
        let name = target.args.get(index).map_or(param.name, |arg| arg.name.as_str());
        params.push(Param { name, ty: copy.whole(param.ty, DEPTH_MAX) });
    }
    Some(object.module.btf.add_func_proto(ret, &params).0)
}

struct Copy<'a> {
    fields: &'a Fields<'a>,
    file: BtfId,
    out: &'a mut Builder,
}

impl Copy<'_> {
    /// The type of a parameter or result.
    fn whole(&mut self, id: TypeId, depth: u32) -> TypeId {
        match resolve(self.fields, self.file, id) {
            Type::Ptr(to) => self.pointer(to, depth),
            Type::Struct(c) => self.out.add_struct(c.name(), c.size(), &[]),
            Type::Union(c) => self.out.add_union(c.name(), c.size(), &[]),
            Type::Float { name, size } => self.out.add_float(name, size),
            other => self.integer(&other),
        }
    }

    fn pointer(&mut self, to: TypeId, depth: u32) -> TypeId {
        let pointee = match resolve(self.fields, self.file, to) {
            Type::Ptr(to) if depth > 0 => self.pointer(to, depth - 1),
            // The kernel wants a name for what is only declared.
            Type::Struct(c) | Type::Union(c) if c.name().is_empty() => TypeId::VOID,
            Type::Struct(c) => self.out.add_fwd(c.name(), false),
            Type::Union(c) => self.out.add_fwd(c.name(), true),
            Type::Fwd { name, is_union } => self.out.add_fwd(name, is_union),
            Type::FuncProto(_) => self.out.add_func_proto(TypeId::VOID, &[]),
            other => self.integer(&other),
        };
        self.out.add_ptr(pointee)
    }

    /// An integer, or nothing that matters.
    fn integer(&mut self, ty: &Type<'_>) -> TypeId {
        match ty {
            Type::Int { name, size, encoding, .. } => self.out.add_int(name, *size, *encoding),
            Type::Enum(e) => {
                let signed = IntEncoding { signed: e.signed(), ..IntEncoding::default() };
                self.out.add_int(e.name(), e.size(), signed)
            }
            _ => TypeId::VOID,
        }
    }
}

/// The type without modifiers and typedefs; `void` if the file is broken.
fn resolve<'a>(fields: &'a Fields<'_>, file: BtfId, id: TypeId) -> Type<'a> {
    let btf = fields.btf(file);
    btf.resolve(id).and_then(|id| btf.ty(id)).unwrap_or(Type::Void)
}
