//! CO-RE relocations: where a program's fields, types and enum values are on this kernel.
//!
//! Input    a [`Linked`] program, the module its probe is in, where its types were found at build time
//! Output   the same with its instructions patched, and a list of those that became invalid
//! Ensures  types are looked for in the module the manifest names, then the probe's, then vmlinux, and in all
//!          other loaded modules only if none of those has the name; only then are their files opened
//!
//! Differs from libbpf, which asks vmlinux first: there a forward declaration or smaller twin in vmlinux hides the
//! module's type.

use super::link::{Linked, Poisoned};
use crate::error::Error;
use crate::kernel::types::{KernelTypes, VMLINUX};
use crate::sys::bpf::Insn;
use btf::core::{self, Candidate, CoreError, Outcome, Patched, RelocKind, Spec, Subject};
use btf::ext::CoreRelo;
use btf::{Btf, TypeId};
use manifest::TypeOrigin;
use std::collections::HashMap;
use std::sync::Arc;

/// Types of the target, by where they are.
type Found = Vec<(Arc<Btf>, TypeId)>;

/// Resolves the relocations of one object; remembers answers, for programs share most of them.
#[derive(Debug)]
pub struct Resolver<'a> {
    local: &'a Btf,
    kernel: &'a mut KernelTypes,
    origins: HashMap<&'a str, &'a str>,
    /// By root type and module.
    found: HashMap<(TypeId, String), Found>,
    answers: HashMap<(TypeId, u32, RelocKind, String), Answer>,
    others: Option<Vec<Arc<Btf>>>,
}

#[derive(Debug, Clone)]
struct Answer {
    outcome: Outcome,
    what: String,
}

impl<'a> Resolver<'a> {
    /// For an object with these types. The kernel's are opened as they are needed.
    pub fn new(local: &'a Btf, origins: &'a [TypeOrigin], kernel: &'a mut KernelTypes) -> Self {
        let origins = origins.iter().map(|origin| (origin.name.as_str(), origin.module.as_str())).collect();
        Self { local, kernel, origins, found: HashMap::new(), answers: HashMap::new(), others: None }
    }

    /// Patches a program. `module` is the one its probe is in.
    pub fn apply(&mut self, name: &str, module: Option<&str>, linked: &mut Linked) -> Result<(), Error> {
        let module = module.unwrap_or(VMLINUX);
        for (at, relo) in &linked.core_relos {
            let at = *at;
            let fail = |what: String| Error::Relocation { program: name.into(), insn: at, what };
            let answer = self.answer(relo, module).map_err(|error| match error {
                Failure::Core(error) => fail(error.to_string()),
                Failure::Kernel(error) => error,
            })?;
            let slots = linked.insns.get_mut(at..).unwrap_or_default();
            match patch(slots, &answer.outcome) {
                Ok(Patched::Value) => {}
                Ok(Patched::Poisoned) => {
                    linked.poisoned.push(Poisoned { insn: at, what: answer.what });
                }
                Err(error) => return Err(fail(format!("CO-RE relocation of {}: {error}", answer.what))),
            }
        }
        Ok(())
    }

    fn answer(&mut self, relo: &CoreRelo, module: &str) -> Result<Answer, Failure> {
        let key = (relo.ty, relo.access.0, relo.kind, module.to_owned());
        if let Some(answer) = self.answers.get(&key) {
            return Ok(answer.clone());
        }
        let local = self.local;
        let access = local.name(relo.access).map_err(CoreError::from)?;
        let spec = Spec::parse(local, relo.ty, access, relo.kind)?;
        let outcome = self.outcome(&spec, module)?;
        let answer = Answer { outcome, what: describe(&spec) };
        self.answers.insert(key, answer.clone());
        Ok(answer)
    }

    fn outcome(&mut self, spec: &Spec<'_>, module: &str) -> Result<Outcome, Failure> {
        if spec.kind() == RelocKind::TypeIdLocal {
            return Ok(core::resolve(spec, &[])?.outcome);
        }
        let root = self.local.ty(spec.root()).map_err(CoreError::from)?.name();
        let origin = self.origins.get(root).or_else(|| self.origins.get(core::essential_name(root))).copied();
        let mut first: Option<Outcome> = None;
        let mut searched: Vec<&str> = Vec::new();
        for place in origin.into_iter().chain([module, VMLINUX]) {
            // A named module that is not loaded here has no types to offer.
            if searched.contains(&place) || (place != VMLINUX && !self.kernel.has_module(place)) {
                continue;
            }
            searched.push(place);
            let found = self.candidates(spec, place)?;
            if let Some(outcome) = resolve_in(spec, &found, &mut first)? {
                return Ok(outcome);
            }
        }
        if let Some(outcome) = first {
            return Ok(outcome);
        }
        let found = self.candidates_elsewhere(spec)?;
        match resolve_in(spec, &found, &mut first)?.or(first) {
            Some(outcome) => Ok(outcome),
            None => Ok(core::resolve(spec, &[])?.outcome),
        }
    }

    fn candidates(&mut self, spec: &Spec<'_>, module: &str) -> Result<Found, Failure> {
        let key = (spec.root(), module.to_owned());
        if let Some(found) = self.found.get(&key) {
            return Ok(found.clone());
        }
        let btf = self.kernel.module(module).map_err(Failure::Kernel)?;
        let found = candidates_in(spec, &btf)?;
        self.found.insert(key, found.clone());
        Ok(found)
    }

    /// Looks in every loaded module. Those whose BTF is broken cannot matter: nobody named them.
    fn candidates_elsewhere(&mut self, spec: &Spec<'_>) -> Result<Found, Failure> {
        if self.others.is_none() {
            let names = self.kernel.module_names();
            self.others = Some(names.iter().filter_map(|name| self.kernel.module(name).ok()).collect());
        }
        let mut found = Vec::new();
        for btf in self.others.iter().flatten() {
            found.extend(candidates_in(spec, btf)?);
        }
        Ok(found)
    }
}

enum Failure {
    Core(CoreError),
    Kernel(Error),
}

impl From<CoreError> for Failure {
    fn from(error: CoreError) -> Self {
        Self::Core(error)
    }
}

fn candidates_in(spec: &Spec<'_>, btf: &Arc<Btf>) -> Result<Found, CoreError> {
    let candidates = core::find_candidates(spec, &[btf.as_ref()])?;
    Ok(candidates.iter().map(|candidate| (btf.clone(), candidate.id)).collect())
}

/// The outcome if one of the candidates has what is asked for. Otherwise, if there are any, theirs is kept.
fn resolve_in(
    spec: &Spec<'_>,
    found: &Found,
    first: &mut Option<Outcome>,
) -> Result<Option<Outcome>, CoreError> {
    if found.is_empty() {
        return Ok(None);
    }
    let candidates: Vec<Candidate<'_>> =
        found.iter().map(|(btf, id)| Candidate { btf: btf.as_ref(), id: *id }).collect();
    let resolution = core::resolve(spec, &candidates)?;
    if resolution.target.is_some() {
        return Ok(Some(resolution.outcome));
    }
    first.get_or_insert(resolution.outcome);
    Ok(None)
}

fn describe(spec: &Spec<'_>) -> String {
    let what = match spec.kind().subject() {
        Subject::Field => "field",
        Subject::Type => "type",
        Subject::Enumval => "enumerator",
    };
    format!("{what} `{spec}`")
}

fn patch(slots: &mut [Insn], outcome: &Outcome) -> Result<Patched, core::PatchError> {
    let mut bytes: Vec<[u8; 8]> = slots.iter().take(2).map(|insn| insn.to_bytes()).collect();
    let patched = core::patch_insn(&mut bytes, outcome)?;
    for (slot, bytes) in slots.iter_mut().zip(bytes) {
        *slot = Insn::from_bytes(bytes);
    }
    Ok(patched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{open, relocate::link_program, sample};
    use btf::{Builder, IntEncoding, Member};
    use std::path::PathBuf;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// `struct thing` with `b` as the word after `before` others; none if the file is not to have it.
    fn thing(builder: &mut Builder, fields: &[&str]) {
        let long = builder.add_int("unsigned long", 8, IntEncoding::default());
        let bit_offset = |at| u32::try_from(at).expect("few") * 64;
        let member = |(at, name): (usize, &&'static str)| Member {
            name,
            ty: long,
            bit_offset: bit_offset(at),
            bitfield_bits: None,
        };
        let fields: Vec<&'static str> = fields.iter().map(|name| &*name.to_string().leak()).collect();
        let members: Vec<Member<'_>> = fields.iter().enumerate().map(member).collect();
        builder.add_struct("thing", 8 * u32::try_from(members.len()).expect("few"), &members);
    }

    /// The offset that the relocation of the sample's second program gets; `None` if it is poisoned. Then the
    /// modules that were opened for it.
    fn resolve(
        test: &str,
        vmlinux: &[&str],
        modules: &[(&str, &[&str])],
        origin: Option<&str>,
    ) -> (Option<i32>, Vec<String>) {
        let folder = Folder(std::env::temp_dir().join(format!("sonde-core-{test}-{}", std::process::id())));
        std::fs::create_dir_all(&folder.0).expect("folder");
        let mut base = Builder::new();
        if !vmlinux.is_empty() {
            thing(&mut base, vmlinux);
        }
        let base = base.finish().expect("small");
        std::fs::write(folder.0.join("vmlinux"), &base).expect("file");
        let base = Arc::new(Btf::from_vec(base).expect("valid"));
        for (name, fields) in modules {
            let mut split = Builder::split(base.clone());
            thing(&mut split, fields);
            std::fs::write(folder.0.join(name), split.finish().expect("small")).expect("file");
        }
        std::fs::write(folder.0.join("broken"), b"garbage").expect("file");

        let object = open::parse(&sample::object()).expect("opens");
        let mut linked = link_program(&object, &object.programs[1], &[]);
        let mut kernel = KernelTypes::in_folder(folder.0.clone(), false);
        let origins: Vec<TypeOrigin> = origin
            .iter()
            .map(|module| TypeOrigin { name: "thing".into(), module: (*module).into() })
            .collect();
        Resolver::new(&object.btf, &origins, &mut kernel)
            .apply("p", Some("m"), &mut linked)
            .expect("resolves");
        let opened = kernel.opened_modules();
        (linked.poisoned.is_empty().then(|| linked.insns[1].imm), opened)
    }

    #[test]
    fn the_named_module_comes_before_the_probes_before_vmlinux() {
        let (v, m, n): (&[&str], &[&str], &[&str]) = (&["b"], &["x", "b"], &["x", "y", "b"]);
        let none: [String; 0] = [];
        let both = [("m", m), ("n", n)];
        assert_eq!(resolve("named", v, &both, Some("n")), (Some(16), vec!["n".into()]));
        assert_eq!(resolve("probe", v, &both, None), (Some(8), vec!["m".into()]));
        assert_eq!(resolve("vmlinux", v, &[("n", n)], None), (Some(0), none.to_vec()));
        // Not loaded here: as if it had not been named.
        assert_eq!(resolve("unloaded", v, &[], Some("n")), (Some(0), none.to_vec()));
    }

    #[test]
    fn other_modules_only_if_the_name_is_nowhere_else() {
        let other: (&str, &[&str]) = ("other", &["x", "y", "z", "b"]);
        assert_eq!(resolve("other", &[], &[other], None), (Some(24), vec!["other".into()]));
        assert_eq!(
            resolve("field", &["x"], &[other], None),
            (None, vec![]),
            "vmlinux has the type, not the field"
        );
        assert_eq!(resolve("nowhere", &[], &[], None), (None, vec![]));
    }

    #[test]
    fn a_type_without_the_field_does_not_hide_one_with_it() {
        let (m, v): (&[&str], &[&str]) = (&["x"], &["x", "b"]);
        assert_eq!(resolve("twin", v, &[("m", m)], None).0, Some(8));
    }
}
