//! Why a CO-RE relocation has no answer: what the kernel has instead.
//!
//! Input    the local path, and every BTF that was asked with its types of the root's name
//! Output   text for people: which step of the path is missing where
//! Ensures  broken BTF only makes the text shorter

use super::core::Found;
use btf::core::{Candidate, Spec, Subject, match_candidate};
use btf::{Btf, Type, TypeId};

/// Anonymous structs within each other that are looked into.
const NESTING_MAX: u32 = 16;

/// What stands in the way in each place, or that there is no type of the name.
pub(super) fn missing(spec: &Spec<'_>, access: &str, searched: &[Found]) -> String {
    let root = spec.btf().decl(spec.root(), "").to_string();
    let mut reasons = Vec::new();
    for found in searched {
        for &id in &found.ids {
            let candidate = Candidate { btf: found.btf.as_ref(), id };
            let reason = match spec.kind().subject() {
                Subject::Field => broken_step(spec, access, candidate),
                Subject::Type => Some(format!("another `{root}`")),
                Subject::Enumval => Some(format!("`{root}` without it")),
            };
            reasons.extend(reason.map(|reason| format!("{} has {reason}", found.name)));
        }
    }
    reasons.sort();
    reasons.dedup();
    match reasons.is_empty() {
        true => format!("neither vmlinux nor a loaded module has `{root}`"),
        false => reasons.join("; "),
    }
}

/// The first step of the path that the candidate lacks.
fn broken_step(spec: &Spec<'_>, access: &str, candidate: Candidate<'_>) -> Option<String> {
    let ends = access.match_indices(':').map(|(at, _)| at).chain([access.len()]);
    let mut reached: Option<Spec<'_>> = None;
    for end in ends {
        let prefix = Spec::parse(spec.btf(), spec.root(), access.get(..end)?, spec.kind()).ok()?;
        match match_candidate(&prefix, candidate).ok()? {
            Some(target) => reached = Some(target),
            None => {
                let step = prefix.steps().last()?;
                let (btf, holder) = (candidate.btf, end_of(&reached?)?);
                let holder_text = btf.decl(holder, "").to_string();
                let Some(name) = step.name else {
                    return Some(format!("`{holder_text}`, which has no element {}", step.index));
                };
                return Some(match member(btf, holder, name, NESTING_MAX) {
                    Some(other) => format!("`{}` in `{holder_text}`", btf.decl(other, name)),
                    None => format!("`{holder_text}` without `{name}`"),
                });
            }
        }
    }
    None
}

/// The type at the end of a path.
fn end_of(target: &Spec<'_>) -> Option<TypeId> {
    let step = target.steps().last()?;
    let btf = target.btf();
    match step.name {
        None => Some(step.ty),
        Some(_) => {
            let member = btf.ty(step.ty).ok()?.composite()?.member(usize::try_from(step.index).ok()?)?;
            btf.resolve(member.ty).ok()
        }
    }
}

/// The type of a member by name, anonymous structs included.
fn member(btf: &Btf, of: TypeId, name: &str, depth: u32) -> Option<TypeId> {
    let (Type::Struct(composite) | Type::Union(composite)) = btf.ty(btf.resolve(of).ok()?).ok()? else {
        return None;
    };
    let own = composite.members().find(|member| member.name == name).map(|member| member.ty);
    own.or_else(|| {
        let mut inner = composite.members().filter(|member| member.name.is_empty());
        let depth = depth.checked_sub(1)?;
        inner.find_map(|inner| member(btf, inner.ty, name, depth))
    })
}
