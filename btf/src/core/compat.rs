//! Whether two types of different BTFs stand for the same thing.
//!
//! Input    a local and a target type whose names the caller has compared
//! Output   yes or no, by one of three relations, from loose to strict: field, type, match
//! Ensures  bounded work on corrupt files, where prototypes may nest without end
//!
//! Mirrors libbpf `src/relo_core.c`; where libbpf gives up after 32 levels, so do we.

use super::{CoreError, essential_name};
use crate::read::DEPTH_MAX;
use crate::{Btf, Composite, Enum, Error, FuncProto, Type, TypeId};

/// Pairs of types that one question may compare.
const PAIRS_MAX: u32 = 1 << 16;

/// Same kind, except that the two widths of enums are one; libbpf's `btf_kind_core_compat`.
pub(super) fn kinds_are_compat(local: &Type<'_>, target: &Type<'_>) -> bool {
    matches!((local, target), (Type::Enum(_), Type::Enum(_))) || local.kind() == target.kind()
}

fn names_are_equal(local: &str, target: &str) -> bool {
    essential_name(local) == essential_name(target)
}

/// Whether a field of one type may be read as the other: sizes and signs may differ, names of
/// structs too. libbpf's `bpf_core_fields_are_compat`.
pub(super) fn fields_are_compat(
    local: &Btf,
    mut local_id: TypeId,
    target: &Btf,
    mut target_id: TypeId,
) -> Result<bool, CoreError> {
    for _ in 0..DEPTH_MAX {
        let local_ty = local.ty(local.resolve(local_id)?)?;
        let target_ty = target.ty(target.resolve(target_id)?)?;
        return Ok(match (local_ty, target_ty) {
            (Type::Struct(_) | Type::Union(_), Type::Struct(_) | Type::Union(_)) => true,
            (Type::Ptr(_), Type::Ptr(_)) | (Type::Float { .. }, Type::Float { .. }) => true,
            (Type::Fwd { .. }, Type::Fwd { .. }) | (Type::Enum(_), Type::Enum(_)) => {
                let (local_name, target_name) = (local_ty.name(), target_ty.name());
                local_name.is_empty() || target_name.is_empty() || names_are_equal(local_name, target_name)
            }
            // A non-zero bit offset marks bit-fields as old compilers wrote them.
            (Type::Int { bit_offset: a, .. }, Type::Int { bit_offset: b, .. }) => a == 0 && b == 0,
            (Type::Array { elem: a, .. }, Type::Array { elem: b, .. }) => {
                (local_id, target_id) = (a, b);
                continue;
            }
            _ => false,
        });
    }
    Err(Error::TooDeep(local_id).into())
}

/// Same kind, followed through pointers, arrays and prototypes: the test of `TYPE_EXISTS`,
/// `TYPE_SIZE` and `TYPE_ID_TARGET`. Any two structs are compatible. libbpf's
/// `__bpf_core_types_are_compat`.
///
/// # Errors
/// For corrupt BTF.
pub fn types_are_compat(
    local: &Btf,
    local_id: TypeId,
    target: &Btf,
    target_id: TypeId,
) -> Result<bool, CoreError> {
    if !kinds_are_compat(&local.ty(local_id)?, &target.ty(target_id)?) {
        return Ok(false);
    }
    Pairs { local, target, left: PAIRS_MAX }.are_compat(local_id, target_id, DEPTH_MAX)
}

/// At least the same members with the same types: the test of `TYPE_MATCHES`. Behind pointers
/// only kind and name count. libbpf's `__bpf_core_types_match`.
///
/// # Errors
/// For corrupt BTF.
pub fn types_match(
    local: &Btf,
    local_id: TypeId,
    target: &Btf,
    target_id: TypeId,
) -> Result<bool, CoreError> {
    if !kinds_are_compat(&local.ty(local_id)?, &target.ty(target_id)?) {
        return Ok(false);
    }
    Pairs { local, target, left: PAIRS_MAX }.match_types(local_id, target_id, false, DEPTH_MAX)
}

/// A walk over pairs of types.
struct Pairs<'a> {
    local: &'a Btf,
    target: &'a Btf,
    left: u32,
}

impl<'a> Pairs<'a> {
    fn next(&mut self, local: TypeId, target: TypeId, depth: usize) -> Result<[Type<'a>; 2], CoreError> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 || depth == 0 {
            return Err(Error::TooDeep(local).into());
        }
        let (local_btf, target_btf) = (self.local, self.target);
        Ok([local_btf.ty(local_btf.resolve(local)?)?, target_btf.ty(target_btf.resolve(target)?)?])
    }

    fn are_compat(&mut self, local: TypeId, target: TypeId, depth: usize) -> Result<bool, CoreError> {
        let [local_ty, target_ty] = self.next(local, target, depth)?;
        Ok(match (local_ty, target_ty) {
            (Type::Void, Type::Void)
            | (Type::Struct(_), Type::Struct(_))
            | (Type::Union(_), Type::Union(_))
            | (Type::Enum(_), Type::Enum(_))
            | (Type::Fwd { .. }, Type::Fwd { .. }) => true,
            (Type::Int { bit_offset: a, .. }, Type::Int { bit_offset: b, .. }) => a == 0 && b == 0,
            (Type::Ptr(a), Type::Ptr(b)) => self.are_compat(a, b, depth - 1)?,
            (Type::Array { elem: a, .. }, Type::Array { elem: b, .. }) => self.are_compat(a, b, depth - 1)?,
            (Type::FuncProto(a), Type::FuncProto(b)) => {
                same_arity(&a, &b)
                    && self.are_compat(a.ret(), b.ret(), depth - 1)?
                    && all(a.params().zip(b.params()), |(a, b)| self.are_compat(a.ty, b.ty, depth - 1))?
            }
            _ => false,
        })
    }

    fn match_types(
        &mut self,
        local: TypeId,
        target: TypeId,
        behind_ptr: bool,
        depth: usize,
    ) -> Result<bool, CoreError> {
        let [local_ty, target_ty] = self.next(local, target, depth)?;
        if !names_are_equal(local_ty.name(), target_ty.name()) {
            return Ok(false);
        }
        Ok(match (local_ty, target_ty) {
            (Type::Void, Type::Void) => true,
            (Type::Fwd { is_union: a, .. }, Type::Fwd { is_union: b, .. }) => a == b,
            (Type::Fwd { is_union, .. }, Type::Struct(_)) | (Type::Struct(_), Type::Fwd { is_union, .. }) => {
                behind_ptr && !is_union
            }
            (Type::Fwd { is_union, .. }, Type::Union(_)) | (Type::Union(_), Type::Fwd { is_union, .. }) => {
                behind_ptr && is_union
            }
            (Type::Enum(a), Type::Enum(b)) => enums_match(&a, &b),
            (Type::Struct(a), Type::Struct(b)) | (Type::Union(a), Type::Union(b)) => {
                behind_ptr || self.match_members(&a, &b, depth)?
            }
            (Type::Int { size: a, encoding: x, .. }, Type::Int { size: b, encoding: y, .. }) => {
                a == b && x.signed == y.signed
            }
            (Type::Ptr(a), Type::Ptr(b)) => self.match_types(a, b, true, depth - 1)?,
            (Type::Array { elem: a, len: m, .. }, Type::Array { elem: b, len: n, .. }) => {
                m == n && self.match_types(a, b, behind_ptr, depth - 1)?
            }
            (Type::FuncProto(a), Type::FuncProto(b)) => {
                same_arity(&a, &b)
                    && self.match_types(a.ret(), b.ret(), behind_ptr, depth - 1)?
                    && all(a.params().zip(b.params()), |(a, b)| {
                        self.match_types(a.ty, b.ty, behind_ptr, depth - 1)
                    })?
            }
            _ => false,
        })
    }

    /// libbpf's `bpf_core_composites_match`: every local member has one of its name and type.
    fn match_members(
        &mut self,
        local: &Composite<'_>,
        target: &Composite<'_>,
        depth: usize,
    ) -> Result<bool, CoreError> {
        if local.len() > target.len() {
            return Ok(false);
        }
        all(local.members(), |wanted| {
            let mut named = target.members().filter(|found| names_are_equal(wanted.name, found.name));
            any(&mut named, |found| self.match_types(wanted.ty, found.ty, false, depth - 1))
        })
    }
}

/// Prototypes with the same number of parameters, `...` counted.
fn same_arity(local: &FuncProto<'_>, target: &FuncProto<'_>) -> bool {
    local.len() == target.len() && local.is_variadic() == target.is_variadic()
}

/// libbpf's `bpf_core_enums_match`: same size, and every local name exists; values may differ.
fn enums_match(local: &Enum<'_>, target: &Enum<'_>) -> bool {
    local.size() == target.size()
        && local.len() <= target.len()
        && local.values().all(|wanted| target.values().any(|found| names_are_equal(wanted.name, found.name)))
}

fn all<T>(
    items: impl IntoIterator<Item = T>,
    mut test: impl FnMut(T) -> Result<bool, CoreError>,
) -> Result<bool, CoreError> {
    for item in items {
        if !test(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any<T>(
    items: impl IntoIterator<Item = T>,
    mut test: impl FnMut(T) -> Result<bool, CoreError>,
) -> Result<bool, CoreError> {
    for item in items {
        if test(item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::{fields_are_compat, types_are_compat, types_match};
    use crate::core::CoreError;
    use crate::{Btf, Builder, Enumerator, IntEncoding, Member, Param, TypeId};

    /// Answers of field, type and match relation as letters, `-` for no.
    fn relations(local: impl Fn(&mut Builder) -> TypeId, target: impl Fn(&mut Builder) -> TypeId) -> String {
        let build = |make: &dyn Fn(&mut Builder) -> TypeId| -> Result<(Btf, TypeId), CoreError> {
            let mut b = Builder::new();
            let id = make(&mut b);
            Ok((Btf::from_vec(b.finish()?)?, id))
        };
        let answer = || {
            let ((local, l), (target, t)) = (build(&local)?, build(&target)?);
            let field = fields_are_compat(&local, l, &target, t)?;
            let compat = types_are_compat(&local, l, &target, t)?;
            Ok([field, compat, types_match(&local, l, &target, t)?])
        };
        match answer() {
            Ok(answers) => {
                answers.iter().zip("ftm".chars()).map(|(&yes, c)| if yes { c } else { '-' }).collect()
            }
            Err(error) => CoreError::to_string(&error),
        }
    }

    fn int(size: u32, signed: bool) -> impl Fn(&mut Builder) -> TypeId {
        move |b| b.add_int("n", size, IntEncoding { signed, ..Default::default() })
    }

    fn named<'a>(name: &'a str, members: &'a [&'a str]) -> impl Fn(&mut Builder) -> TypeId + 'a {
        move |b| {
            let ty = int(4, false)(b);
            let member = |name: &&'a str| Member { name, ty, bit_offset: 0, bitfield_bits: None };
            b.add_struct(name, 4, &members.iter().map(member).collect::<Vec<_>>())
        }
    }

    fn values<'a>(names: &'a [&'a str], wide: bool) -> impl Fn(&mut Builder) -> TypeId + 'a {
        move |b| {
            let values: Vec<_> = names.iter().map(|name| Enumerator { name, value: 1 }).collect();
            if wide { b.add_enum64("e", 4, false, &values) } else { b.add_enum("e", 4, false, &values) }
        }
    }

    fn ptr(to: impl Fn(&mut Builder) -> TypeId) -> impl Fn(&mut Builder) -> TypeId {
        move |b| {
            let to = to(b);
            let to = b.add_const(to);
            b.add_ptr(to)
        }
    }

    fn array(elem: impl Fn(&mut Builder) -> TypeId, len: u32) -> impl Fn(&mut Builder) -> TypeId {
        move |b| {
            let elem = elem(b);
            b.add_array(elem, elem, len)
        }
    }

    fn proto(params: usize) -> impl Fn(&mut Builder) -> TypeId {
        move |b| {
            let ty = int(4, false)(b);
            b.add_func_proto(ty, &vec![Param { name: "p", ty }; params])
        }
    }

    fn fwd(is_union: bool) -> impl Fn(&mut Builder) -> TypeId {
        move |b| b.add_fwd("s", is_union)
    }

    #[test]
    fn the_three_relations() {
        let check = |found: String, expected: &str| assert_eq!(found, expected);
        check(relations(int(4, true), int(4, true)), "ftm");
        check(relations(int(4, true), int(8, false)), "ft-");
        check(relations(int(4, true), ptr(int(4, true))), "---");
        check(relations(ptr(int(4, true)), ptr(int(4, true))), "ftm");
        check(relations(ptr(int(4, true)), ptr(int(8, true))), "ft-");
        check(relations(array(int(4, true), 2), array(int(4, true), 3)), "ft-");
        check(relations(array(int(4, true), 2), array(fwd(false), 2)), "---");
        check(relations(named("s", &["a"]), named("s", &["b", "a"])), "ftm");
        check(relations(named("s___x", &["a"]), named("s", &["b", "a"])), "ftm");
        check(relations(named("s", &["a", "b"]), named("s", &["a"])), "ft-");
        check(relations(named("s", &["a"]), fwd(false)), "---");
        check(relations(ptr(named("s", &["a"])), ptr(fwd(false))), "f-m");
        check(relations(ptr(named("s", &["a"])), ptr(fwd(true))), "f--");
        check(relations(ptr(fwd(false)), ptr(named("s", &[]))), "f-m");
        check(relations(values(&["A"], false), values(&["B", "A"], true)), "ftm");
        check(relations(values(&["A", "B"], false), values(&["A"], false)), "ft-");
        check(relations(proto(2), proto(2)), "-tm");
        check(relations(proto(2), proto(1)), "---");
        check(relations(|_| TypeId::VOID, |_| TypeId::VOID), "-tm");
    }

    #[test]
    fn loops_end() {
        let own = |b: &mut Builder| b.add_ptr(TypeId(1));
        assert!(relations(own, own).contains("nested too deeply"));
    }
}
