//! CO-RE relocations: where a program's fields, types and enum values are on this kernel.
//!
//! Input    a [`Linked`] program, the module its probe is in, where its types were found at build time
//! Output   the same with its instructions patched, and a list of those that became invalid
//! Ensures  a type from a module is looked for in that module, then the probe's, then vmlinux; one from vmlinux
//!          there, then in the probe's module; both in all other loaded modules only if none of those has the
//!          name, and only then are their files opened. Modules that disagree are refused
//!
//! Differs from libbpf, which asks vmlinux first whatever the type's origin: there a forward declaration or smaller
//! twin in vmlinux hides the module's type.

use super::explain;
use super::link::{Linked, Poisoned};
use crate::error::Error;
use crate::kernel::types::{KernelTypes, VMLINUX};
use crate::sys::bpf::Insn;
use btf::core::{self, Candidate, CoreError, Outcome, Patched, RelocKind, Resolution, Spec, Subject};
use btf::ext::CoreRelo;
use btf::{Btf, TypeId};
use manifest::TypeOrigin;
use std::collections::HashMap;
use std::sync::Arc;

/// A BTF of the target and its types that have the local root's name.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// `vmlinux`, or a module.
    pub(super) name: String,
    pub(super) btf: Arc<Btf>,
    pub(super) ids: Vec<TypeId>,
}

/// Resolves the relocations of one object; remembers answers, for programs share most of them.
#[derive(Debug)]
pub struct Resolver<'a> {
    local: &'a Btf,
    kernel: &'a mut KernelTypes,
    /// Modules of local types; the others are vmlinux's.
    origins: HashMap<TypeId, &'a str>,
    /// By root type and module.
    found: HashMap<(TypeId, String), Found>,
    answers: HashMap<(TypeId, u32, RelocKind, String), Answer>,
    others: Option<Vec<(String, Arc<Btf>)>>,
}

#[derive(Debug, Clone)]
struct Answer {
    outcome: Outcome,
    what: String,
    /// Why there is none.
    why: String,
}

impl<'a> Resolver<'a> {
    /// For an object with these types. The kernel's are opened as they are needed.
    pub fn new(local: &'a Btf, origins: &'a [TypeOrigin], kernel: &'a mut KernelTypes) -> Self {
        let origins = origins.iter().map(|origin| (TypeId(origin.id), origin.module.as_str())).collect();
        let (found, answers) = (HashMap::new(), HashMap::new());
        Self { local, kernel, origins, found, answers, others: None }
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
            let patched = patch(slots, &answer.outcome);
            let patched =
                patched.map_err(|error| fail(format!("CO-RE relocation of {}: {error}", answer.what)))?;
            if self.kernel.is_verbose() {
                say(name, at, &answer, patched);
            }
            if patched == Patched::Poisoned {
                linked.poisoned.push(Poisoned { insn: at, what: answer.what, why: answer.why });
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
        let (outcome, why) = self.outcome(&spec, access, module)?;
        let answer = Answer { outcome, what: describe(&spec), why };
        self.answers.insert(key, answer.clone());
        Ok(answer)
    }

    /// The outcome, and if it is that nothing was found, why.
    fn outcome(&mut self, spec: &Spec<'_>, access: &str, module: &str) -> Result<(Outcome, String), Failure> {
        if spec.kind() == RelocKind::TypeIdLocal {
            return Ok((core::resolve(spec, &[])?.outcome, String::new()));
        }
        let near = match self.origins.get(&spec.root()) {
            Some(&origin) => [origin, module, VMLINUX],
            None => [VMLINUX, module, VMLINUX],
        };
        let mut searched: Vec<Found> = Vec::new();
        for place in near {
            // A named module that is not loaded here has no types to offer.
            let absent = place != VMLINUX && !self.kernel.has_module(place);
            if absent || searched.iter().any(|found| found.name == place) {
                continue;
            }
            let found = self.candidates(spec, place)?;
            let resolution = resolve_in(spec, &found)?;
            if resolution.target.is_some() {
                return Ok((resolution.outcome, String::new()));
            }
            searched.push(found);
        }
        if searched.iter().all(|found| found.ids.is_empty()) {
            searched = self.candidates_elsewhere(spec)?;
            if let Some(outcome) = agreed(spec, &searched)? {
                return Ok((outcome, String::new()));
            }
        }
        let why = explain::missing(spec, access, &searched);
        Ok((core::resolve(spec, &[])?.outcome, why))
    }

    fn candidates(&mut self, spec: &Spec<'_>, module: &str) -> Result<Found, Failure> {
        let key = (spec.root(), module.to_owned());
        if let Some(found) = self.found.get(&key) {
            return Ok(found.clone());
        }
        let btf = self.kernel.module(module).map_err(Failure::Kernel)?;
        let found = candidates_in(spec, module, &btf)?;
        self.found.insert(key, found.clone());
        Ok(found)
    }

    /// Looks in every loaded module. Those whose BTF is broken or unreadable cannot matter: nobody named them.
    fn candidates_elsewhere(&mut self, spec: &Spec<'_>) -> Result<Vec<Found>, Failure> {
        if self.others.is_none() {
            let names = self.kernel.module_names();
            let open = |name: String| self.kernel.module(&name).ok().map(|btf| (name, btf));
            self.others = Some(names.into_iter().filter_map(open).collect());
        }
        let others = self.others.iter().flatten();
        let mut all = Vec::new();
        for (name, btf) in others {
            let found = candidates_in(spec, name, btf)?;
            if !found.ids.is_empty() {
                all.push(found);
            }
        }
        Ok(all)
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

fn say(program: &str, insn: usize, answer: &Answer, patched: Patched) {
    let (local, value) = (answer.outcome.local.cast_signed(), answer.outcome.value.cast_signed());
    match patched {
        Patched::Value => eprintln!("{program}: insn {insn}: {} {local} -> {value}", answer.what),
        Patched::Poisoned => eprintln!("{program}: insn {insn}: {} {local} -> none", answer.what),
    }
}

fn candidates_in(spec: &Spec<'_>, name: &str, btf: &Arc<Btf>) -> Result<Found, CoreError> {
    let candidates = core::find_candidates(spec, &[btf.as_ref()])?;
    let ids = candidates.iter().map(|candidate| candidate.id).collect();
    Ok(Found { name: name.to_owned(), btf: btf.clone(), ids })
}

/// What one BTF says; its own types of one name must agree.
fn resolve_in<'t>(spec: &Spec<'_>, found: &'t Found) -> Result<Resolution<'t>, Failure> {
    let candidate = |&id: &TypeId| Candidate { btf: found.btf.as_ref(), id };
    let candidates: Vec<Candidate<'_>> = found.ids.iter().map(candidate).collect();
    core::resolve(spec, &candidates).map_err(|error| match error {
        CoreError::Ambiguous { first, second, .. } => {
            let places = [found.name.clone(), found.name.clone()];
            Failure::Kernel(Error::AmbiguousType { what: describe(spec), places, values: [first, second] })
        }
        other => Failure::Core(other),
    })
}

/// What those say that have it; `None` if none does. As libbpf's for all modules together: they must agree.
fn agreed(spec: &Spec<'_>, all: &[Found]) -> Result<Option<Outcome>, Failure> {
    let mut first: Option<(&str, Outcome, u64)> = None;
    for found in all {
        let Resolution { outcome, target: Some(target) } = resolve_in(spec, found)? else { continue };
        let bits = target.bit_offset();
        match first {
            None => first = Some((&found.name, outcome, bits)),
            Some((_, known, known_bits)) if known.value == outcome.value && known_bits == bits => {}
            Some((name, known, known_bits)) => {
                let values = match known.value == outcome.value {
                    true => [known_bits, bits],
                    false => [known.value, outcome.value],
                };
                let places = [name.to_owned(), found.name.clone()];
                let error = Error::AmbiguousType { what: describe(spec), places, values };
                return Err(Failure::Kernel(error));
            }
        }
    }
    Ok(first.map(|(_, outcome, _)| outcome))
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

    /// The offset that the relocation of the sample's second program gets, or why none. Then the modules that were
    /// opened for it. The probe is in module `m`.
    fn resolve(
        test: &str,
        vmlinux: &[&str],
        modules: &[(&str, &[&str])],
        origin: Option<&str>,
    ) -> (Result<i32, String>, Vec<String>) {
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
        // Modules of others: broken, unreadable, empty.
        std::fs::write(folder.0.join("broken"), b"garbage").expect("file");
        std::fs::create_dir(folder.0.join("unreadable")).expect("folder");
        std::fs::write(folder.0.join("empty"), b"").expect("file");

        let object = open::parse(&sample::object()).expect("opens");
        let mut linked = link_program(&object, &object.programs[1], &[]);
        let mut kernel = KernelTypes::in_folder(folder.0.clone(), false);
        let id = object.btf.find("thing", btf::Kind::Struct).next().expect("the sample has it").0;
        let named = |module: &str| TypeOrigin { id, name: "thing".into(), module: module.into() };
        let origins: Vec<TypeOrigin> = origin.into_iter().map(named).collect();
        let applied = Resolver::new(&object.btf, &origins, &mut kernel).apply("p", Some("m"), &mut linked);
        let offset = match (applied, linked.poisoned.as_slice()) {
            (Ok(()), []) => Ok(linked.insns[1].imm),
            (Ok(()), [poisoned, ..]) => Err(poisoned.why.clone()),
            (Err(error), _) => Err(error.to_string()),
        };
        (offset, kernel.opened_modules())
    }

    const NONE: [String; 0] = [];

    fn missing(text: &str) -> Result<i32, String> {
        Err(text.to_owned())
    }

    #[test]
    fn the_named_module_comes_before_the_probes_before_vmlinux() {
        let (v, m, n): (&[&str], &[&str], &[&str]) = (&["b"], &["x", "b"], &["x", "y", "b"]);
        let both = [("m", m), ("n", n)];
        assert_eq!(resolve("named", v, &both, Some("n")), (Ok(16), vec!["n".into()]));
        assert_eq!(resolve("probe", v, &both, Some("gone")), (Ok(8), vec!["m".into()]));
        assert_eq!(resolve("vmlinux", v, &[("n", n)], Some("gone")), (Ok(0), NONE.to_vec()));
    }

    #[test]
    fn a_type_of_vmlinux_is_looked_for_there_first() {
        let (v, m): (&[&str], &[&str]) = (&["b"], &["x", "b"]);
        assert_eq!(resolve("core", v, &[("m", m)], None), (Ok(0), NONE.to_vec()));
        // Built in at build time, a module here.
        assert_eq!(resolve("moved", &[], &[("m", m), ("n", &["b"])], None), (Ok(8), vec!["m".into()]));
    }

    #[test]
    fn other_modules_only_if_the_name_is_nowhere_else() {
        let other: (&str, &[&str]) = ("other", &["x", "y", "z", "b"]);
        assert_eq!(resolve("other", &[], &[other], None), (Ok(24), vec!["other".into()]));
        let why = missing("vmlinux has `struct thing` without `b`");
        assert_eq!(resolve("field", &["x"], &[other], None), (why, NONE.to_vec()));
        let why = missing("neither vmlinux nor a loaded module has `struct thing`");
        assert_eq!(resolve("nowhere", &[], &[], None), (why, NONE.to_vec()));
    }

    #[test]
    fn other_modules_must_agree() {
        let (a, b): (&[&str], &[&str]) = (&["x", "b"], &["x", "y", "b"]);
        let opened = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(resolve("agree", &[], &[("a", a), ("c", a)], None), (Ok(8), opened(&["a", "c"])));
        // What lacks the field has no say.
        assert_eq!(resolve("say", &[], &[("a", a), ("c", &["x"])], None), (Ok(8), opened(&["a", "c"])));
        let (found, _) = resolve("disagree", &[], &[("a", a), ("c", b)], None);
        let text = "field `struct thing.b` is 8 in a and 16 in c, and the script does not say which is meant";
        assert!(found.is_err_and(|error| error.starts_with(text)));
    }

    #[test]
    fn a_type_without_the_field_does_not_hide_one_with_it() {
        let (m, v): (&[&str], &[&str]) = (&["x"], &["x", "b"]);
        assert_eq!(resolve("twin", v, &[("m", m)], Some("m")).0, Ok(8));
        assert_eq!(resolve("twin-core", m, &[("m", v)], None).0, Ok(8));
        let why = missing("m has `struct thing` without `b`; vmlinux has `struct thing` without `b`");
        assert_eq!(resolve("neither", m, &[("m", m)], None).0, why);
    }
}
