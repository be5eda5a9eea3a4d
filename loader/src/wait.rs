//! `--wait-module`: attaches to modules that are not loaded yet, whenever they arrive.
//!
//! ```text
//!            arrives: load, attach              gone, or somebody wants to remove it: detach
//! Away ─► (Settling) ─► Attached ─► Released ─► Away
//!                  └──► Failed ─────────────────┘
//! ```
//!
//! Input    a [`Session`] with the probes that need no module
//! Output   the others, attached while their modules are loaded
//! Ensures  maps live as long as the session; programs as long as one life of their modules, for the module that comes
//!          back may be another build
//! Absences a function pattern that names no module is expanded once, at the start, and holds what it matched
//!
//! | file | holds |
//! | --- | --- |
//! | `wait/need.rs` | which modules each probe needs |
//! | `wait/life.rs` | when to attach and when to let go |
//! | `wait/hold.rs` | attached programs, and who wants to remove their modules |

mod hold;
mod life;
mod need;

use crate::attach::attach_all;
use crate::error::{Error, chain};
use crate::kernel::functions;
use crate::kernel::types::KernelTypes;
use crate::object::Object;
use crate::session::{Session, Settings, prepare};
use crate::sys::uevent::Uevents;
use hold::Hold;
use life::{Sight, State, Step, look};
use need::Need;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest time between two looks, for hosts where the doorbell does not ring.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the kernel may take until a module that is live can be used.
const SETTLE: Duration = Duration::from_secs(1);
/// How long to stay detached for a module that is not removed, if its remover is seen; and if we were told by a signal.
const RELEASE_SEEN: Duration = Duration::from_secs(1);
const RELEASE_TOLD: Duration = Duration::from_secs(10);

const MODULES: &str = "/sys/module";

/// Probes that need modules.
#[derive(Debug)]
pub struct Waiting {
    kernel: KernelTypes,
    groups: Vec<Group>,
    doorbell: Option<Uevents>,
    looked: Instant,
    /// Names of loaded modules when symbols were last looked for.
    searched: BTreeSet<String>,
    quiet: bool,
}

/// Probes that need the same modules.
#[derive(Debug)]
struct Group {
    need: Need,
    state: State,
    hold: Option<Hold>,
}

/// Sets an object up with the programs that need no module.
pub fn prepare_free(
    object: Object,
    settings: &Settings,
    quiet: bool,
    warn: &mut dyn FnMut(&str),
) -> Result<(Session, Waiting), Error> {
    let mut kernel = KernelTypes::new(settings.verbose);
    let (free, needs) = need::sort(&object, &mut kernel)?;
    if needs.is_empty() {
        warn("--wait-module: no probe of this script needs a kernel module");
    }
    // Before the first look, or an arrival in between would go unheard.
    let doorbell = Uevents::open().ok();
    let session = prepare(object, settings, &mut kernel, &free, warn)?;
    let group = |need| Group { need, state: State::Away, hold: None };
    let groups = needs.into_iter().map(group).collect();
    let searched = BTreeSet::new();
    Ok((session, Waiting { kernel, groups, doorbell, looked: Instant::now(), searched, quiet }))
}

impl Waiting {
    /// Whether no probe needs a module.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Becomes readable when it is time to look.
    pub fn doorbell(&self) -> Option<BorrowedFd<'_>> {
        self.doorbell.as_ref().map(AsFd::as_fd)
    }

    /// Attaches to the modules that are loaded already, and says which are not. Returns how many probes that are.
    pub fn start(&mut self, session: &Session, warn: &mut dyn FnMut(&str)) -> Result<usize, Error> {
        for group in &mut self.groups {
            let Sight::Live(life) = group.sight() else { continue };
            group.state = match group.attach(&mut self.kernel, session, warn) {
                Ok(()) => State::Attached(life),
                // The script lets probes be missing, and that has been said.
                Err(Error::NothingToAttach) => State::Failed(life),
                Err(error) => return Err(error),
            };
        }
        for group in self.groups.iter().filter(|group| group.state == State::Away) {
            note(self.quiet, &format!("waiting for {}: {}", group.what(), group.names(session)));
            for module in group.need.modules.iter().filter(|module| is_built_in(module)) {
                warn(&format!("{module} is built into this kernel: it will not arrive"));
            }
        }
        Ok(self.groups.iter().filter_map(|group| Some(group.hold.as_ref()?.count())).sum())
    }

    /// Loads the programs for modules that are loaded, and drops them again. Returns how many there are.
    pub fn check(&mut self, session: &Session, warn: &mut dyn FnMut(&str)) -> Result<usize, Error> {
        let mut programs = 0;
        for group in &self.groups {
            match group.sight() {
                Sight::Live(_) => programs += session.load(&group.need.probes, &mut self.kernel, warn)?.len(),
                Sight::Gone | Sight::Moving(_) => {
                    warn(&format!(
                        "not checked, for {} is not loaded: {}",
                        group.what(),
                        group.names(session)
                    ));
                }
            }
        }
        Ok(programs)
    }

    /// Follows what happened to the modules, if it is time to. Returns whether one came.
    pub fn look(&mut self, rang: bool, session: &Session, warn: &mut dyn FnMut(&str)) -> bool {
        if !rang && self.looked.elapsed() < LOOK_EVERY {
            return false;
        }
        self.looked = Instant::now();
        if let Some(doorbell) = &self.doorbell {
            doorbell.hush(1 << 16);
        }
        self.search_symbols();
        let mut came = false;
        for group in &mut self.groups {
            came |= group.follow(&mut self.kernel, self.quiet, session, warn);
        }
        came
    }

    /// Lets go of all that keeps modules loaded, for a while.
    pub fn let_go(&mut self) {
        for group in &mut self.groups {
            let State::Attached(life) = &group.state else { continue };
            if let Some(hold) = group.hold.as_mut().filter(|hold| hold.pins()) {
                hold.let_go();
                group.state = State::Released(life.clone(), Instant::now() + RELEASE_TOLD);
                let (count, what) = (group.count(), group.what());
                let seconds = RELEASE_TOLD.as_secs();
                note(self.quiet, &format!("{what}: detached {count} for {seconds} s, it can be removed now"));
            }
        }
    }

    /// Does something during which nobody could be answered who wants to remove a module.
    pub fn unwatched(&mut self, act: impl FnOnce()) {
        let holds = |groups: &mut Vec<Group>, set: fn(&mut Hold)| {
            groups.iter_mut().filter_map(|group| group.hold.as_mut()).for_each(set);
        };
        holds(&mut self.groups, Hold::look_away);
        act();
        holds(&mut self.groups, Hold::watch);
    }

    /// Finds the modules of symbols that nobody had before, if there are new modules.
    fn search_symbols(&mut self) {
        let wanted: BTreeSet<&str> =
            self.groups.iter().filter_map(|group| group.need.symbol.as_deref()).collect();
        if wanted.is_empty() {
            return;
        }
        let modules = std::fs::read_to_string("/proc/modules").unwrap_or_default();
        // A module counts once it is live: its symbols are there before.
        let live = modules.lines().filter(|line| line.contains(" Live "));
        let names = live.filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect();
        if self.searched == names {
            return;
        }
        let Ok(owners) = functions::owners(&wanted) else { return };
        self.searched = names;
        for need in self.groups.iter_mut().map(|group| &mut group.need) {
            let owner = need.symbol.as_ref().and_then(|symbol| owners.get(symbol)?.clone());
            if let Some(module) = owner {
                need.symbol = None;
                need.modules.push(module);
            }
        }
    }
}

impl Group {
    fn sight(&self) -> Sight {
        match self.need.symbol {
            Some(_) => Sight::Gone,
            None => look(Path::new(MODULES), &self.need.modules),
        }
    }

    /// `module nf_tables`
    fn what(&self) -> String {
        match (&self.need.symbol, self.need.modules.as_slice()) {
            (Some(symbol), _) => format!("a module with `{symbol}`"),
            (None, [module]) => format!("module {module}"),
            (None, modules) => format!("modules {}", modules.join(", ")),
        }
    }

    /// `3 probes`
    fn count(&self) -> String {
        let count = self.hold.as_ref().map_or(0, Hold::count);
        format!("{count} probe{}", if count == 1 { "" } else { "s" })
    }

    /// The first probes by name.
    fn names(&self, session: &Session) -> String {
        let probe = |&index: &usize| Some(session.object.manifest.probes.get(index)?.name.as_str());
        let names: Vec<&str> = self.need.probes.iter().filter_map(probe).take(3).collect();
        match self.need.probes.len() - names.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }

    fn attach(
        &mut self,
        kernel: &mut KernelTypes,
        session: &Session,
        warn: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        // First, for a program that is loaded is enough to keep its module from being removed.
        let mut hold = Hold::new(&self.need.modules);
        let loaded = session.load(&self.need.probes, kernel, warn)?;
        let attached = {
            let skipped = &mut session.skipped.borrow_mut();
            attach_all(&session.object, &loaded, &|| false, skipped, warn)?
        };
        if attached.is_empty() {
            return Err(Error::NothingToAttach);
        }
        hold.take(loaded, attached);
        if !hold.can_be_removed() {
            let (what, pid) = (self.what(), std::process::id());
            warn(&format!(
                "{what} cannot be removed while attached, but after `kill -USR2 {pid}`: to see who wants to takes CAP_SYS_ADMIN"
            ));
        }
        self.hold = Some(hold);
        Ok(())
    }

    /// Brings the group where its modules are. Returns whether they came.
    fn follow(
        &mut self,
        kernel: &mut KernelTypes,
        quiet: bool,
        session: &Session,
        warn: &mut dyn FnMut(&str),
    ) -> bool {
        let now = Instant::now();
        if let (State::Attached(life), Some(hold)) = (&self.state, &self.hold)
            && let Some(who) = hold.asked_by()
        {
            let text = format!("{}: detached {}, asked for by {who}", self.what(), self.count());
            self.state = State::Released(life.clone(), now + RELEASE_SEEN);
            note(quiet, &text);
        }
        let sight = self.sight();
        if self.state.step(&sight, now) == Step::Leave {
            let attached = matches!(self.state, State::Attached(_)).then(|| self.count());
            let detached = attached.map(|count| format!(", detached {count}")).unwrap_or_default();
            note(quiet, &format!("{} is gone{detached}: waiting for it", self.what()));
            (self.state, self.hold) = (State::Away, None);
        }
        let (Step::Attach, Sight::Live(life)) = (self.state.step(&sight, now), sight) else { return false };
        self.hold = None;
        // What was read of the module's types before may be of another build.
        kernel.forget_modules();
        self.state = match self.attach(kernel, session, warn) {
            Ok(()) => {
                note(quiet, &format!("{}: attached {}", self.what(), self.count()));
                State::Attached(life)
            }
            Err(error) => match &self.state {
                State::Settling(_, since) if now.duration_since(*since) >= SETTLE => {
                    let (what, why) = (self.what(), chain(&error));
                    let why = why.trim_end_matches('.');
                    warn(&format!("{what} is here, but: {why}; waiting for its next arrival"));
                    State::Failed(life)
                }
                State::Settling(_, since) => State::Settling(life, *since),
                _ => State::Settling(life, now),
            },
        };
        matches!(self.state, State::Attached(_))
    }
}

/// Whether code of this name is part of the kernel proper: it may have a folder, but no state.
fn is_built_in(module: &str) -> bool {
    let folder = Path::new(MODULES).join(module);
    folder.is_dir() && !folder.join("initstate").exists()
}

fn note(quiet: bool, text: &str) {
    if !quiet {
        eprintln!("{text}");
    }
}
