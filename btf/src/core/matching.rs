//! Finds a local access path in a target's types.
//!
//! Input    a local [`Spec`], the target's BTFs
//! Output   candidates by name, and the path in one of them
//! Ensures  names decide: the indices and offsets of the local path are not looked at, except those
//!          of array elements
//!
//! Mirrors libbpf `src/relo_core.c` (`bpf_core_spec_match`, `bpf_core_match_member`) and
//! `src/libbpf.c` (`bpf_core_add_cands`).

use super::compat::fields_are_compat;
use super::{CoreError, RelocKind, STEPS_MAX, Spec, Step, Subject, essential_name};
use crate::{Btf, KindSet, Type, TypeId};

/// Members that one look-up may visit; anonymous structs of corrupt files may nest without end.
const VISITS_MAX: u32 = 1 << 18;

/// A type of the target whose name and kind are those of the local root.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'t> {
    /// Where it is: ids of a module's BTF mean nothing without this.
    pub btf: &'t Btf,
    /// Its id.
    pub id: TypeId,
}

/// Types named like the local root (flavours apart) among the own types of each of `targets`.
///
/// The order of search is the caller's: ask for one BTF, or one group of equals, at a time and stop
/// at the first that has candidates. libbpf's groups are vmlinux, then all modules together. Only the
/// root decides: relocations with the same root type share their candidates, and one search.
///
/// # Errors
/// [`CoreError::Anonymous`], and for corrupt BTF.
pub fn find_candidates<'t>(local: &Spec<'_>, targets: &[&'t Btf]) -> Result<Vec<Candidate<'t>>, CoreError> {
    let root = local.btf.ty(local.root)?;
    let name = essential_name(root.name());
    let kinds = match root.kind() {
        None => return Err(CoreError::Anonymous(local.root)),
        Some(_) if name.is_empty() => return Err(CoreError::Anonymous(local.root)),
        Some(kind) if KindSet::ENUM.contains(kind) => KindSet::ENUM,
        Some(kind) => kind.into(),
    };
    let find = |&btf: &&'t Btf| btf.find_flavors(name, kinds).map(move |id| Candidate { btf, id });
    Ok(targets.iter().flat_map(find).collect())
}

/// Follows the local path in a candidate, by names; `None` if it does not have it.
///
/// # Errors
/// For corrupt BTF.
pub fn match_candidate<'t>(
    local: &Spec<'_>,
    Candidate { btf, id }: Candidate<'t>,
) -> Result<Option<Spec<'t>>, CoreError> {
    let spec = Spec { btf, root: id, kind: local.kind, steps: Vec::new(), raw: Vec::new(), bit_offset: 0 };
    match local.kind.subject() {
        Subject::Type => {
            let test = match local.kind {
                RelocKind::TypeMatches => super::types_match,
                _ => super::types_are_compat,
            };
            Ok(test(local.btf, local.root, btf, id)?.then_some(spec))
        }
        Subject::Enumval => match_enumerator(local, spec),
        Subject::Field => match_path(local, spec),
    }
}

fn match_enumerator<'t>(local: &Spec<'_>, mut spec: Spec<'t>) -> Result<Option<Spec<'t>>, CoreError> {
    let resolved = spec.btf.resolve(spec.root)?;
    let Type::Enum(target) = spec.btf.ty(resolved)? else { return Ok(None) };
    let Some(wanted) = local.steps.first().and_then(|step| step.name) else { return Ok(None) };
    let found = (0_u32..)
        .zip(target.values())
        .find(|(_, found)| essential_name(found.name) == essential_name(wanted));
    Ok(found.map(|(index, found)| {
        spec.steps.push(Step { ty: resolved, index, name: Some(found.name) });
        spec.raw.push(index);
        spec
    }))
}

fn match_path<'t>(local: &Spec<'_>, mut spec: Spec<'t>) -> Result<Option<Spec<'t>>, CoreError> {
    let mut at = spec.root;
    for (position, step) in local.steps.iter().enumerate() {
        at = spec.btf.resolve(at)?;
        let next = match step.name {
            Some(_) => match_member(local.btf, step, &mut spec, at, &mut { VISITS_MAX })?,
            // The first step is an index into an array of roots, which needs no array type.
            None => {
                let elem = if position == 0 { Some(at) } else { array_elem(step.index, &spec, at)? };
                if let Some(elem) = elem {
                    push_raw(&mut spec, step.index)?;
                    spec.steps.push(Step { ty: elem, index: step.index, name: None });
                    spec.advance(step.index, elem)?;
                }
                elem
            }
        };
        match next {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    Ok(Some(spec))
}

fn push_raw(spec: &mut Spec<'_>, index: u32) -> Result<(), CoreError> {
    if spec.raw.len() == STEPS_MAX {
        return Err(CoreError::TooLong);
    }
    spec.raw.push(index);
    Ok(())
}

/// Type of the elements of `array`, if it is one and has the index.
fn array_elem(index: u32, spec: &Spec<'_>, array: TypeId) -> Result<Option<TypeId>, CoreError> {
    let Type::Array { elem, len, .. } = spec.btf.ty(array)? else { return Ok(None) };
    if index >= len && !spec.is_flexible(len)? {
        return Ok(None);
    }
    Ok(Some(spec.btf.resolve(elem)?))
}

/// Looks for the local member by name in `at` and in the anonymous structs inside it, depth first.
/// Adds what it passes to `spec` and returns the member's type. The first member of the name
/// decides: if its type is not compatible, the search ends.
fn match_member(
    local: &Btf,
    wanted: &Step<'_>,
    spec: &mut Spec<'_>,
    at: TypeId,
    visits: &mut u32,
) -> Result<Option<TypeId>, CoreError> {
    let btf = spec.btf;
    let resolved = btf.resolve(at)?;
    let Some(composite) = btf.ty(resolved)?.composite() else { return Ok(None) };
    let local_member = usize::try_from(wanted.index)
        .ok()
        .zip(local.ty(wanted.ty)?.composite())
        .and_then(|(index, composite)| composite.member(index));
    let Some(local_member) = local_member else { return Ok(None) };
    for (index, member) in (0_u32..).zip(composite.members()) {
        *visits = visits.checked_sub(1).ok_or(CoreError::TooLong)?;
        let (raw_len, bit_offset) = (spec.raw.len(), spec.bit_offset);
        push_raw(spec, index)?;
        spec.bit_offset = bit_offset.saturating_add(member.bit_offset.into());
        if member.name.is_empty() {
            if let Some(found) = match_member(local, wanted, spec, member.ty, visits)? {
                return Ok(Some(found));
            }
        } else if member.name == local_member.name {
            let compatible = fields_are_compat(local, local_member.ty, btf, member.ty)?;
            if compatible {
                spec.steps.push(Step { ty: resolved, index, name: Some(member.name) });
            }
            return Ok(compatible.then_some(member.ty));
        }
        spec.raw.truncate(raw_len);
        spec.bit_offset = bit_offset;
    }
    Ok(None)
}
