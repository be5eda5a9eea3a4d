//! Whether two types of one name are the same type.
//!
//! Compilers leave a copy of a type in each file, and `pahole` merges most but not all of them. Two
//! copies are one type if a script can tell no difference: sizes, members' names, places and
//! types; what a pointer points at counts by its name.
//!
//! Input    two types, of one file or of two
//! Ensures  ends on broken files: nesting is bounded

use super::{Fields, Named};
use crate::diag::Diag;
use crate::kernel::BtfId;
use crate::syntax::ast::Span;
use crate::types::codes;
use btf::{Btf, Composite, Type, TypeId};

/// Structs nested deeper than this are taken to be the same.
const DEPTH_MAX: usize = 24;

/// A type and its file.
#[derive(Clone, Copy)]
struct Of<'a> {
    types: &'a Btf,
    id: TypeId,
}

impl<'a> Of<'a> {
    fn at(self, id: TypeId) -> Of<'a> {
        Of { types: self.types, id }
    }

    /// The type without typedefs and qualifiers.
    fn ty(self) -> Option<Type<'a>> {
        self.types.ty(self.types.resolve(self.id).ok()?).ok()
    }
}

impl Fields<'_> {
    pub(super) fn same_layout(&self, a: Named, b: Named) -> bool {
        let of = |named: Named| Of { types: self.btf(named.btf), id: named.id };
        a == b || same(of(a), of(b), DEPTH_MAX)
    }

    /// Whether two prototypes of a file take and return the same types.
    pub fn same_signature(&self, file: BtfId, a: TypeId, b: TypeId) -> bool {
        let types = self.btf(file);
        let (Ok(Type::FuncProto(x)), Ok(Type::FuncProto(y))) = (types.ty(a), types.ty(b)) else {
            return false;
        };
        let same = |a, b| a == b || same(Of { types, id: a }, Of { types, id: b }, DEPTH_MAX);
        x.len() == y.len()
            && same(x.ret(), y.ret())
            && x.params().zip(y.params()).all(|(x, y)| same(x.ty, y.ty))
    }

    /// The error about a name with several definitions.
    pub fn ambiguous(&self, name: &str, found: &[Named], span: Span) -> Diag {
        let of = |one: &Named| {
            let size = self.btf(one.btf).size_of(one.id);
            let size = size.map_or(String::new(), |size| format!(" ({size} bytes)"));
            let file = if one.btf == BtfId::SCRIPT { "the script" } else { self.file_name(one.btf) };
            format!("`{file}`{size}")
        };
        let files: Vec<_> = found.iter().map(of).collect();
        let diag = Diag::error(&codes::AMBIGUOUS_TYPE, format!("`{name}` has several definitions"), span, "")
            .note(format!("they are in {}, and differ", files.join(", ")));
        let first = found.first().map(|one| one.btf);
        match first {
            Some(first) if found.iter().any(|one| one.btf != first) => {
                let module = self.file_name(first);
                diag.help(format!(
                    "a probe that names the module decides, e.g. `kprobe:{module}:FUNCTION` or `fentry:{module}:FUNCTION`; or define it in the script"
                ))
            }
            _ => diag.help("use it as the type of a function's argument, or define it in the script"),
        }
    }
}

fn same(a: Of<'_>, b: Of<'_>, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    match (a.ty(), b.ty()) {
        (
            Some(Type::Int { size, encoding, bits, .. }),
            Some(Type::Int { size: other_size, encoding: other, bits: other_bits, .. }),
        ) => (size, encoding, bits) == (other_size, other, other_bits),
        (Some(Type::Float { size, .. }), Some(Type::Float { size: other, .. })) => size == other,
        (Some(Type::Ptr(to)), Some(Type::Ptr(other))) => same_pointee(a.at(to), b.at(other)),
        (Some(Type::Array { elem, len, .. }), Some(Type::Array { elem: other, len: other_len, .. })) => {
            len == other_len && same(a.at(elem), b.at(other), depth)
        }
        (Some(Type::Struct(x)), Some(Type::Struct(y))) | (Some(Type::Union(x)), Some(Type::Union(y))) => {
            same_members((a, x), (b, y), depth)
        }
        (Some(Type::Enum(x)), Some(Type::Enum(y))) => {
            (x.size(), x.signed()) == (y.size(), y.signed())
                && x.values().map(|v| (v.name, v.value)).eq(y.values().map(|v| (v.name, v.value)))
        }
        (Some(x), Some(y)) => x.kind() == y.kind() && x.name() == y.name(),
        (x, y) => x.is_none() && y.is_none(),
    }
}

fn same_members((a, x): (Of<'_>, Composite<'_>), (b, y): (Of<'_>, Composite<'_>), depth: usize) -> bool {
    let place = |m: &btf::Member<'_>| (m.bit_offset, m.bitfield_bits);
    (x.size(), x.name(), x.members().len()) == (y.size(), y.name(), y.members().len())
        && x.members()
            .zip(y.members())
            .all(|(m, n)| m.name == n.name && place(&m) == place(&n) && same(a.at(m.ty), b.at(n.ty), depth))
}

/// By name: a definition and a declaration of it are one type.
fn same_pointee(a: Of<'_>, b: Of<'_>) -> bool {
    let (Some(x), Some(y)) = (a.ty(), b.ty()) else { return true };
    let is_composite = |ty: &Type<'_>| matches!(ty, Type::Struct(_) | Type::Union(_) | Type::Fwd { .. });
    match (x, y) {
        (x, y) if is_composite(&x) && is_composite(&y) => x.name() == y.name(),
        (Type::Int { size, .. }, Type::Int { size: other, .. }) => size == other,
        (x, y) => x.kind() == y.kind(),
    }
}
