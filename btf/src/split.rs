//! A module's BTF moved from its distilled base onto the running kernel.
//!
//! Input    a split BTF parsed over its `.BTF.base`, which holds just enough of the base types to find
//!          them again (name, kind, size), and the kernel's BTF
//! Output   the split BTF with ids and strings of the kernel's
//! Ensures  every base type was found, and was the only one
//! Breaks   nothing: the inputs are only read
//!
//! The rules are those of the kernel and libbpf, `tools/lib/bpf/btf_relocate.c`, with two
//! differences: a complete type is preferred to a forward declaration, and strings that the kernel
//! lacks are added instead of refused.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::read::DEPTH_MAX;
use crate::record::{Word, layout};
use crate::strtab::StringTable;
use crate::write::file;
use crate::{Btf, Error, Kind, KindSet, NameIndex, StrOff, Type, TypeId};

/// Kinds that a distilled base may hold; also those in which they are looked for.
const BASE_KINDS: KindSet =
    KindSet::of(&[Kind::Int, Kind::Float, Kind::Enum, Kind::Enum64, Kind::Struct, Kind::Union, Kind::Fwd]);

/// Rewrites `split`, whose base is the distilled one, so that its base is `vmlinux`.
///
/// # Errors
/// [`Error::Base`] for a base type `vmlinux` lacks or has several of.
pub fn relocate_split(split: &Btf, vmlinux: &Arc<Btf>) -> Result<Btf, Error> {
    let distilled = split.base().ok_or(Error::NotSplit)?;
    let ids = map_types(split, distilled, vmlinux)?;
    let mut strings = StringTable::following(Arc::clone(vmlinux));
    let mut types = Vec::with_capacity(split.own_types().len());
    for (id, record) in split.records_from(0) {
        let cut = || Error::CutType(id);
        let layout = layout(record.kind().ok_or_else(cut)?);
        let (once, each) = record.tails(&layout).ok_or_else(cut)?;
        let head = [Word::Name, Word::Plain, layout.head];
        let head_bytes = [record.name_off, record.info, record.word].map(u32::to_le_bytes);
        let parts = [(head.as_slice(), head_bytes.as_flattened()), (layout.once, once), (layout.each, each)];
        for (pattern, bytes) in parts {
            for (word, bytes) in pattern.iter().cycle().zip(bytes.as_chunks::<4>().0) {
                let value = u32::from_le_bytes(*bytes);
                let moved = match word {
                    Word::Plain => value,
                    Word::Name => strings.add(split.name(StrOff(value))?).0,
                    Word::Id if value >= split.first_id().0 => (value - split.first_id().0)
                        .checked_add(vmlinux.end_id())
                        .ok_or(Error::TooMany("types"))?,
                    Word::Id if value == 0 => 0,
                    Word::Id => ids.get(&TypeId(value)).ok_or(Error::NoType(TypeId(value)))?.0,
                };
                types.extend(moved.to_le_bytes());
            }
        }
    }
    let type_len = u32::try_from(types.len()).map_err(|_| Error::TooMany("type bytes"))?;
    let strings = strings.as_bytes();
    let str_len = u32::try_from(strings.len()).map_err(|_| Error::TooMany("strings"))?;
    let bytes = file(type_len, std::iter::once(types.as_slice()), str_len, strings);
    Btf::parse_split(Arc::new(bytes), Arc::clone(vmlinux))
}

/// Where each type of the distilled base is in the kernel.
fn map_types(split: &Btf, distilled: &Btf, vmlinux: &Btf) -> Result<HashMap<TypeId, TypeId>, Error> {
    let embedded = embedded_types(split)?;
    let index = NameIndex::new(vmlinux, BASE_KINDS);
    let mut ids = HashMap::with_capacity(distilled.len());
    for id in distilled.ids() {
        let ty = distilled.ty(id)?;
        let err = |what| Error::Base { id, name: ty.name().to_owned(), what };
        if ty.name().is_empty() || !ty.kind().is_some_and(|kind| BASE_KINDS.contains(kind)) {
            return Err(err("cannot be in a distilled base"));
        }
        let mut found = Vec::new();
        for candidate in index.find(vmlinux, ty.name()) {
            found.push((candidate, vmlinux.ty(candidate)?));
        }
        let composites = found.iter().filter(|(_, ty)| ty.composite().is_some()).count();
        let needs_size = composites > 1 || embedded.contains(&id);
        let of_any_size = found.iter().any(|(_, candidate)| stands_for(&ty, candidate, false));
        found.retain(|(_, candidate)| stands_for(&ty, candidate, needs_size));
        if found.iter().any(|(_, ty)| ty.composite().is_some()) {
            found.retain(|(_, ty)| ty.composite().is_some());
        }
        match found.as_slice() {
            [(only, _)] => ids.insert(id, *only),
            [] if of_any_size => return Err(err("has another size in the kernel's BTF")),
            [] => return Err(err("is not in the kernel's BTF")),
            _ => return Err(err("has several candidates in the kernel's BTF")),
        };
    }
    Ok(ids)
}

/// Whether a type of the kernel is the one a distilled type was made of.
fn stands_for(distilled: &Type<'_>, candidate: &Type<'_>, needs_size: bool) -> bool {
    match (distilled, candidate) {
        (Type::Int { size: a, encoding: x, .. }, Type::Int { size: b, encoding: y, .. }) => a == b && x == y,
        (Type::Float { size: a, .. }, Type::Float { size: b, .. }) => a == b,
        // Both widths are distilled to an enum without values.
        (Type::Enum(a), Type::Enum(b)) => a.size() == b.size(),
        (Type::Struct(a), Type::Struct(b)) | (Type::Union(a), Type::Union(b)) => {
            !needs_size || a.size() == b.size()
        }
        (Type::Fwd { is_union: a, .. }, Type::Fwd { is_union: b, .. }) => a == b,
        (Type::Fwd { is_union, .. }, Type::Struct(_)) => !is_union,
        (Type::Fwd { is_union, .. }, Type::Union(_)) => *is_union,
        _ => false,
    }
}

/// Base types that are members of the module's own structs, not behind pointers: if their size has
/// changed, the module's layout is not what its BTF says.
fn embedded_types(split: &Btf) -> Result<HashSet<TypeId>, Error> {
    let mut embedded = HashSet::new();
    for id in split.ids() {
        let Some(composite) = split.ty(id)?.composite() else { continue };
        for member in composite.members() {
            let mut at = split.resolve(member.ty)?;
            for _ in 0..DEPTH_MAX {
                let Type::Array { elem, .. } = split.ty(at)? else { break };
                at = split.resolve(elem)?;
            }
            if at < split.first_id() {
                embedded.insert(at);
            }
        }
    }
    Ok(embedded)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::relocate_split;
    use crate::{Btf, Builder, Error, IntEncoding, Linkage, Member, TypeId};

    const SIGNED: IntEncoding = IntEncoding { signed: true, char: false, bool: false };

    fn member(name: &str, ty: TypeId, bit_offset: u32) -> Member<'_> {
        Member { name, ty, bit_offset, bitfield_bits: None }
    }

    /// A module with `struct mine { struct list inner; struct file *f; int n }` over a distilled base.
    fn module() -> Result<Btf, Error> {
        let mut b = Builder::new();
        let list = b.add_struct("list", 16, &[]);
        let file = b.add_fwd("file", false);
        let int = b.add_int("int", 4, SIGNED);
        let base = Arc::new(Btf::from_vec(b.finish()?)?);
        let mut b = Builder::split(Arc::clone(&base));
        let file = b.add_ptr(file);
        let members = [member("inner", list, 0), member("f", file, 128), member("n", int, 192)];
        let mine = b.add_struct("mine", 32, &members);
        let mine = b.add_ptr(mine);
        let proto = b.add_func_proto(int, &[crate::Param { name: "arg", ty: mine }]);
        b.add_func("run", proto, Linkage::Static);
        Btf::parse_split(Arc::new(b.finish()?), base)
    }

    fn kernel(build: impl FnOnce(&mut Builder)) -> Result<Arc<Btf>, Error> {
        let mut b = Builder::new();
        b.add_int("long", 8, SIGNED);
        build(&mut b);
        Ok(Arc::new(Btf::from_vec(b.finish()?)?))
    }

    fn usual(b: &mut Builder) {
        let int = b.add_int("int", 4, SIGNED);
        b.add_struct("file", 8, &[member("n", int, 0)]);
        b.add_struct("list", 16, &[member("n", int, 0)]);
    }

    #[test]
    fn ids_and_strings_become_the_kernels() -> Result<(), Error> {
        let vmlinux = kernel(|b| {
            b.add_fwd("file", false);
            usual(b);
        })?;
        let moved = relocate_split(&module()?, &vmlinux)?;
        assert_eq!(moved.first_id().0 as usize, vmlinux.len() + 1);
        let mine = moved.find("mine", crate::Kind::Struct).next().expect("it is the module's");
        let fields: Vec<_> = moved
            .ty(mine)?
            .composite()
            .expect("it is a struct")
            .members()
            .map(|member| moved.decl(member.ty, member.name))
            .collect();
        assert_eq!(fields, ["struct list inner", "struct file *f", "int n"]);
        let run = moved.find("run", crate::Kind::Func).next().expect("it is the module's");
        assert_eq!(moved.decl(run, ""), "int run(struct mine *arg)");
        // The complete type, not the forward declaration before it.
        assert_eq!(moved.size_of(moved.find("mine", crate::Kind::Struct).next().expect("found"))?, 32);
        let crate::Type::Ptr(file) = moved.ty(moved.first_id())? else { panic!("it was a pointer") };
        assert_eq!(moved.size_of(file), Ok(8));
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_named() -> Result<(), Error> {
        let check = |build: &dyn Fn(&mut Builder), message: &str| -> Result<(), Error> {
            let result = relocate_split(&module()?, &kernel(build)?);
            assert_eq!(result.map(|_| ()).map_err(|error| error.to_string()), Err(message.to_owned()));
            Ok(())
        };
        check(&|_| (), "base type `list` (id 1) is not in the kernel's BTF")?;
        check(
            &|b| {
                b.add_struct("list", 24, &[]);
            },
            "base type `list` (id 1) has another size in the kernel's BTF",
        )?;
        check(
            &|b| {
                usual(b);
                b.add_struct("list", 16, &[]);
            },
            "base type `list` (id 1) has several candidates in the kernel's BTF",
        )?;
        let whole = kernel(usual)?;
        let plain = relocate_split(&whole, &whole).map(|_| ());
        assert_eq!(plain, Err(Error::NotSplit));
        Ok(())
    }
}
