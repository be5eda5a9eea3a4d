//! From an object to loaded programs.
//!
//! ```text
//! plan attach points ─► link ─► CO-RE ─► globals ─► maps ─► bind ─► load
//! ```
//!
//! Input    an opened object, parameters of the script
//! Output   [`Session`]: everything that dropping undoes
//! Ensures  nothing is attached; the kernel's types are opened only as far as the object names them

use crate::attach::pattern::Skipped;
use crate::attach::{self, Asked, Loaded, Planned, Point, trampoline};
use crate::error::Error;
use crate::features::Features;
use crate::globals::{Pids, fill_globals};
use crate::kernel::cpus;
use crate::kernel::types::{KernelTypes, VMLINUX};
use crate::load::{Prototype, load_program, load_types};
use crate::maps::{Maps, create_maps};
use crate::object::Object;
use crate::params::Params;
use crate::place::Place;
use crate::relocate::bind::Bindings;
use crate::relocate::core::Resolver;
use crate::relocate::filter::prologue;
use crate::relocate::link::Linker;
use crate::relocate::prototype::WrongPrototype;
use crate::relocate::{KernelSymbol, Linked, bind, prototype, resolve_externs};
use crate::sys::{SysError, bpf, host};
use manifest::Probe;
use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

/// What shapes loading.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Parameters of the script.
    pub params: Params,
    /// Processes the run is about.
    pub pids: Pids,
    /// Allow scripts that change the system.
    pub allow_unsafe: bool,
    /// Say on stderr what is done.
    pub verbose: bool,
    /// Probes in modules that are not loaded attach when those arrive.
    pub wait_module: bool,
}

/// An object that is set up in the kernel, and its programs that are loaded.
#[derive(Debug)]
pub struct Session {
    /// The object.
    pub object: Object,
    /// Its maps.
    pub maps: Maps,
    /// Its programs, for the probes that exist here.
    pub loaded: Vec<Loaded>,
    /// Number of possible CPUs.
    pub cpus: usize,
    /// Matches of patterns that are left out.
    pub skipped: RefCell<Skipped>,
    types: OwnedFd,
    symbols: Vec<KernelSymbol>,
    asked: Asked,
    verbose: bool,
}

/// Loads the programs of `probes` and all that they share. `warn` gets warnings for people.
pub fn prepare(
    object: Object,
    settings: &Settings,
    kernel: &mut KernelTypes,
    probes: &[usize],
    warn: &mut dyn FnMut(&str),
) -> Result<Session, Error> {
    if object.manifest.needs_unsafe && !settings.allow_unsafe {
        return Err(Error::NeedsUnsafe);
    }
    settings.params.check(&object.manifest.globals)?;
    host::lift_files_limit();
    let pid = Some(settings.pids.target).filter(|&pid| pid != 0);
    let asked = Asked { pid, allow_unsafe: settings.allow_unsafe };
    let mut skipped = Skipped::new(settings.verbose);
    let linked = plan_and_link(&object, probes, kernel, asked, &mut skipped, warn)?;
    if linked.is_empty() && !settings.wait_module {
        return Err(Error::NothingToAttach);
    }
    let symbols = resolve_externs(&object.externs, kernel)?;

    let contents = fill_globals(&object, &settings.params, settings.pids)?;
    let cpus = cpus::possible()?.len();
    let types = load_types(&object)?;
    let maps = create_maps(&object, &contents, types.as_fd(), cpus)?;
    let verbose = settings.verbose;
    let (skipped, loaded) = (RefCell::new(skipped), Vec::new());
    let mut session = Session { object, maps, loaded, cpus, skipped, types, symbols, asked, verbose };
    session.loaded = session.load_linked(linked, warn)?;
    Ok(session)
}

/// Loads all programs of an object.
pub fn prepare_all(
    object: Object,
    settings: &Settings,
    warn: &mut dyn FnMut(&str),
) -> Result<Session, Error> {
    let probes: Vec<usize> = (0..object.manifest.probes.len()).collect();
    let mut kernel = KernelTypes::new(settings.verbose);
    prepare(object, settings, &mut kernel, &probes, warn)
}

impl Session {
    /// Loads more programs, for probes that did not exist before.
    pub fn load(
        &self,
        probes: &[usize],
        kernel: &mut KernelTypes,
        warn: &mut dyn FnMut(&str),
    ) -> Result<Vec<Loaded>, Error> {
        let linked = {
            let skipped = &mut self.skipped.borrow_mut();
            plan_and_link(&self.object, probes, kernel, self.asked, skipped, warn)?
        };
        self.load_linked(linked, warn)
    }

    fn load_linked(
        &self,
        linked: Vec<(Planned, Linked)>,
        warn: &mut dyn FnMut(&str),
    ) -> Result<Vec<Loaded>, Error> {
        let (maps, data) = self.maps.descriptors();
        let externs = &self.object.externs;
        let bindings = Bindings { maps: &maps, data: &data, symbols: &self.symbols, externs };
        let mut modules = HashMap::new();
        let skipped = &mut self.skipped.borrow_mut();
        let mut loaded = Vec::new();
        for (planned, mut linked) in linked {
            bind(&mut linked, &bindings);
            let program = match load_one(&self.object, &planned, &linked, &self.types, &mut modules) {
                Ok(program) => program,
                Err(error) => {
                    skipped.skip_refused(&self.object, planned.probe, error)?;
                    continue;
                }
            };
            if self.verbose
                && let Some(probe) = self.object.manifest.probes.get(planned.probe)
            {
                eprintln!(
                    "loaded {} for {} ({} instructions)",
                    probe.program,
                    probe.name,
                    linked.insns.len()
                );
            }
            loaded.push(Loaded { planned, program });
        }
        skipped.settle(&self.object, warn)?;
        Ok(loaded)
    }
}

fn plan_and_link(
    object: &Object,
    probes: &[usize],
    kernel: &mut KernelTypes,
    asked: Asked,
    skipped: &mut Skipped,
    warn: &mut dyn FnMut(&str),
) -> Result<Vec<(Planned, Linked)>, Error> {
    let features = Features::default();
    let mut host = attach::Host { kernel, features: &features, asked };
    let planned = attach::plan(object, probes, &mut host, skipped, warn)?;
    let linked = link_all(object, planned, kernel, asked.pid, skipped)?;
    skipped.settle(object, warn)?;
    Ok(linked)
}

fn link_all(
    object: &Object,
    planned: Vec<Planned>,
    kernel: &mut KernelTypes,
    pid: Option<u32>,
    skipped: &mut Skipped,
) -> Result<Vec<(Planned, Linked)>, Error> {
    let mut all = Vec::new();
    for one in planned {
        let probe = object.manifest.probes.get(one.probe);
        let (Some(program), Some(probe)) = (object.programs.get(one.probe), probe) else { continue };
        let mut linker = Linker::start(object, program, &prologue(&probe.at, pid));
        if let Point::Trampoline(target) = &one.point
            && let Err(error) = adapt(object, probe, target, kernel, linker.program())
        {
            skipped.skip_refused(object, one.probe, error)?;
            continue;
        }
        all.push((one, probe, linker.finish()));
    }
    let btf = object.btf.clone();
    let mut resolver = Resolver::new(&btf, &object.manifest.types, kernel);
    for (_, probe, linked) in &mut all {
        resolver.apply(&probe.program, attach::module_of(&probe.at), linked)?;
    }
    Ok(all.into_iter().map(|(one, _, linked)| (one, linked)).collect())
}

/// Makes a program read its arguments and result where this kernel has them.
fn adapt(
    object: &Object,
    probe: &Probe,
    target: &trampoline::Target,
    kernel: &mut KernelTypes,
    program: &mut Linked,
) -> Result<(), Error> {
    let Some(assumed) = trampoline::assumed(object, probe) else { return Ok(()) };
    let types = kernel.module(target.module.as_deref().unwrap_or(VMLINUX))?;
    let Some(actual) = trampoline::actual(&types, &probe.at, target) else { return Ok(()) };
    prototype::adapt(program, &assumed, &actual).map_err(|mismatch| {
        let place = Place::find(&program.line_info, &object.manifest.source, mismatch.insn);
        let (kernel, _) = host::kernel();
        let probe = probe.name.clone();
        Error::Prototype(Box::new(WrongPrototype { place, probe, kernel, mismatch }))
    })
}

/// The types themselves are in sysfs for everyone; a trampoline needs the kernel's own object of them.
fn no_module_btf(module: &str, error: SysError) -> Error {
    let needs = if error.is_permission() {
        ", which the kernel gives to CAP_SYS_ADMIN only (a kprobe needs no more than CAP_BPF and CAP_PERFMON)"
    } else {
        ""
    };
    Error::System {
        what: format!("kernel's types of module {module} for its fentry, fexit or rawtracepoint{needs}"),
        error,
    }
}

fn load_one(
    object: &Object,
    planned: &Planned,
    linked: &Linked,
    types: &OwnedFd,
    modules: &mut HashMap<String, Option<OwnedFd>>,
) -> Result<OwnedFd, Error> {
    let Some(probe) = object.manifest.probes.get(planned.probe) else {
        return Err(Error::NothingToAttach);
    };
    let prototype = match &planned.point {
        Point::Trampoline(target) => {
            if let Some(module) = &target.module
                && !modules.contains_key(module)
            {
                let fd = bpf::module_btf(module).map_err(|error| no_module_btf(module, error))?;
                modules.insert(module.clone(), fd);
            }
            let module = target.module.as_ref().and_then(|module| modules.get(module));
            Prototype { id: target.id, module: module.and_then(Option::as_ref).map(AsFd::as_fd) }
        }
        Point::Run | Point::Kprobe(_) | Point::Uprobe(_) | Point::Tracepoint(_) | Point::Timer(_) => {
            Prototype::default()
        }
    };
    load_program(object, probe, planned.kind, prototype, linked, types.as_fd())
}
