//! Reads everything there is in bytes from anywhere: the bodies of the fuzz targets, which tests run
//! for a second as well.
//!
//! Input    any bytes
//! Output   nothing
//! Ensures  no panic and bounded time: that is the property; also, a file agrees with itself

use std::sync::Arc;

use crate::core::{RelocKind, Spec, find_candidates, resolve, types_are_compat, types_match};
use crate::ext::{Ext, ExtBuilder};
use crate::{Btf, KindSet, NameIndex, Type, TypeId, relocate_split};

/// Types whose CO-RE answers are asked for; each costs a search of the file.
const ROOTS_MAX: usize = 16;

/// Reads a whole BTF.
pub fn whole(data: &[u8]) {
    if let Ok(btf) = Btf::from_vec(data.to_vec()) {
        walk(&btf);
    }
}

/// Reads a split BTF behind its base; the first two bytes are the base's length. Then moves it to
/// the same base.
pub fn split(data: &[u8]) {
    let Some((len, data)) = data.split_first_chunk::<2>() else { return };
    let Some((base, data)) = data.split_at_checked(u16::from_le_bytes(*len).into()) else { return };
    let Ok(base) = Btf::from_vec(base.to_vec()).map(Arc::new) else { return };
    let Ok(split) = Btf::parse_split(Arc::new(data.to_vec()), Arc::clone(&base)) else { return };
    walk(&split);
    if let Ok(moved) = relocate_split(&split, &base) {
        assert_eq!(moved.len(), split.len(), "moving a split BTF keeps its types");
        walk(&moved);
    }
}

/// Reads a split BTF behind its `.BTF.base` and another BTF, the kernel's, and moves it from one to the other; the
/// first four bytes are the lengths of both.
pub fn distilled(data: &[u8]) {
    let Some((lens, data)) = data.split_first_chunk::<4>() else { return };
    let [a, b, c, d] = *lens;
    let Some((base, data)) = data.split_at_checked(u16::from_le_bytes([a, b]).into()) else { return };
    let Some((kernel, data)) = data.split_at_checked(u16::from_le_bytes([c, d]).into()) else { return };
    let Ok(base) = Btf::from_vec(base.to_vec()).map(Arc::new) else { return };
    let Ok(kernel) = Btf::from_vec(kernel.to_vec()).map(Arc::new) else { return };
    let Ok(split) = Btf::parse_split(Arc::new(data.to_vec()), base) else { return };
    if let Ok(moved) = relocate_split(&split, &kernel) {
        assert_eq!(moved.len(), split.len(), "moving a split BTF keeps its types");
        assert_eq!(moved.first_id().0, kernel.end_id(), "its types follow the kernel's");
        walk(&moved);
    }
}

/// Reads a `.BTF.ext` and writes it again.
pub fn ext(data: &[u8]) {
    let Ok(ext) = Ext::parse(data) else { return };
    let mut builder = ExtBuilder::new();
    ext.funcs().for_each(|s| s.records().for_each(|record| builder.add_func(s.name, record)));
    ext.lines().for_each(|s| s.records().for_each(|record| builder.add_line(s.name, record)));
    ext.relos().for_each(|s| s.records().for_each(|record| builder.add_relo(s.name, record)));
    let written = builder.finish();
    let count = |ext: &Ext<'_>| {
        [
            ext.funcs().map(|s| s.len()).sum::<usize>(),
            ext.lines().map(|s| s.len()).sum(),
            ext.relos().map(|s| s.len()).sum(),
        ]
    };
    let again = Ext::parse(&written).map(|again| count(&again));
    assert_eq!(again, Ok(count(&ext)), "what is written can be read");
}

/// Asks a parsed file everything.
pub fn walk(btf: &Btf) {
    let index = NameIndex::new(btf, KindSet::ALL);
    let mut roots = 0;
    for id in btf.ids() {
        let Ok(ty) = btf.ty(id) else { continue };
        walk_view(&ty);
        let _ = (btf.skip_mods(id), btf.resolve(id), btf.size_of(id), btf.align_of(id));
        let _ = btf.decl(id, "name");
        if !ty.name().is_empty() {
            assert!(index.find(btf, ty.name()).any(|found| found == id), "an index has all names");
        }
        if roots < ROOTS_MAX && !ty.name().is_empty() {
            roots += 1;
            assert!(btf.find(ty.name(), KindSet::ALL).any(|found| found == id), "a search finds all names");
            walk_core(btf, id, &ty);
        }
    }
    let _ = btf.find_funcs_matching(|name| name.len() % 2 == 0).count();
}

fn walk_view(ty: &Type<'_>) {
    match ty {
        Type::Struct(c) | Type::Union(c) => assert_eq!(c.members().count(), c.len()),
        Type::Enum(e) => assert_eq!(e.values().count(), e.len()),
        Type::FuncProto(p) => assert_eq!(p.params().count(), p.len()),
        Type::DataSec(d) => assert_eq!(d.vars().count(), d.len()),
        Type::Void
        | Type::Int { .. }
        | Type::Ptr(_)
        | Type::Array { .. }
        | Type::Fwd { .. }
        | Type::Typedef { .. }
        | Type::Volatile(_)
        | Type::Const(_)
        | Type::Restrict(_)
        | Type::TypeTag { .. }
        | Type::Func { .. }
        | Type::Var { .. }
        | Type::Float { .. }
        | Type::DeclTag { .. } => {}
    }
}

/// Relocates against the file itself: whatever is found must have the local value, unless several
/// types share a name.
fn walk_core(btf: &Btf, id: TypeId, ty: &Type<'_>) {
    let _ = (types_are_compat(btf, id, btf, id), types_match(btf, id, btf, id));
    let members = ty.composite().map_or(0, |c| c.len().min(4));
    // Candidates depend on the root alone.
    let Ok(root) = Spec::parse(btf, id, "0", RelocKind::TypeExists) else { return };
    let Ok(candidates) = find_candidates(&root, &[btf]) else { return };
    let paths = (0..members).map(|index| format!("0:{index}")).chain(["0".to_owned()]);
    for path in paths {
        for kind in (0..=12).filter_map(RelocKind::from_number) {
            let Ok(spec) = Spec::parse(btf, id, &path, kind) else { continue };
            let _ = spec.to_string();
            let Ok(found) = resolve(&spec, &candidates) else { continue };
            if let (true, [_]) = (found.target.is_some(), candidates.as_slice()) {
                // The first member of a name hides others, as corrupt files may have.
                let same = found.target.is_some_and(|target| target.bit_offset() == spec.bit_offset());
                assert!(
                    !same || found.outcome.value == found.outcome.local || kind == RelocKind::TypeIdTarget
                );
            }
        }
    }
}
