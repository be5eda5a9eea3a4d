//! Runs an object: load, attach, drain, shut down.
//!
//! Input    an opened object, options
//! Output   the exit status; text or JSON on the way
//! Ensures  whatever happens, nothing stays attached: all is held by descriptors of this process

use crate::attach::{self, Attached, Loaded};
use crate::drain::{Lost, MapHost, Pace, drain};
use crate::error::Error;
use crate::object::Object;
use crate::output::{Flow, Options, Output};
use crate::ringbuf::Ring;
use crate::session::{Session, Settings, prepare_all};
use crate::sys::SysError;
use crate::sys::memory::RingPages;
use crate::sys::process::{Child, Signal, Signals, pidfd, suspend, wait_readable};
use crate::wait::{Waiting, prepare_free};
use manifest::AttachPoint;
use std::ffi::CString;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Longest time without a look at the ring and the counter of lost events.
const POLL: Duration = Duration::from_millis(100);

/// Test hook of bpftrace's: set, it makes the moment visible at which all is attached.
const NOTIFY: &str = "__BPFTRACE_NOTIFY_PROBES_ATTACHED";

/// What shapes a run.
pub struct RunOptions {
    /// What shapes loading.
    pub settings: Settings,
    /// `-c`: words of the command.
    pub command: Option<Vec<CString>>,
    /// Stop once all is attached.
    pub dry_run: bool,
    /// What shapes the output.
    pub output: Options,
    /// Where it goes.
    pub out: Box<dyn Write>,
}

/// Runs an object until something ends it. The number is the script's exit code.
pub fn run(object: Object, mut options: RunOptions, warn: &mut dyn FnMut(&str)) -> Result<u8, Error> {
    let system = |what: &str| {
        let what = what.to_owned();
        move |error: SysError| Error::System { what, error }
    };
    let waits = options.settings.wait_module;
    let signals = Signals::block(waits).map_err(system("signals"))?;
    let target = match options.settings.pids.target {
        0 => None,
        pid => Some(pidfd(pid).map_err(system(&format!("process {pid}")))?),
    };
    if let Some(command) = &options.command {
        check_command(command)?;
    }
    let child = options.command.as_deref().map(Child::fork_stopped).transpose();
    let mut child = child.map_err(system("-c"))?;
    options.settings.pids.child = child.as_ref().map_or(0, |child| child.pid);

    let (session, waiting) = match waits {
        false => (prepare_all(object, &options.settings, warn)?, None),
        true => {
            let (session, waiting) = prepare_free(object, &options.settings, options.output.quiet, warn)?;
            (session, Some(waiting))
        }
    };
    let ring = map_ring(&session).map_err(system("ring buffer"))?;
    let err = Box::new(std::io::stderr());
    let output = Output::new(session.object.manifest.clone(), options.output, options.out, err);
    let host = MapHost::new(&session.object, &session.maps);
    let lost = Lost::new(&session.object, &session.maps);
    let pace = Pace::default();
    let (session, signals) = (&session, &signals);
    let mut run = Run { session, signals, ring, output, host, lost, pace, waiting, warn };

    run.run_special(|at| matches!(at, AttachPoint::Begin))?;
    let attached = run.attach()?;
    if options.dry_run {
        return Ok(0);
    }
    if let Some(child) = &mut child {
        child.release().map_err(system("-c: the command cannot be run"))?;
    }
    let code = run.drain_until_end([child.as_ref().map(AsFd::as_fd), target.as_ref().map(OwnedFd::as_fd)])?;
    drop((attached, run.waiting.take()));
    run.shut_down(code)
}

/// Refuses a command that cannot be run before anything is loaded for it.
fn check_command(command: &[CString]) -> Result<(), Error> {
    let name = command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let exists = |path: &Path| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let found = match name.contains('/') {
        true => exists(Path::new(&name)),
        false => std::env::split_paths(&path).any(|folder| exists(&folder.join(&name))),
    };
    match found {
        true => Ok(()),
        false => Err(Error::Usage(format!("-c: `{name}` does not exist or is not executable"))),
    }
}

fn map_ring(session: &Session) -> Result<Option<Ring<RingPages>>, SysError> {
    let Some(map) = session.object.events.and_then(|events| session.maps.maps.get(events)) else {
        return Ok(None);
    };
    let bytes = usize::try_from(map.max_entries()).unwrap_or(0);
    Ok(Some(Ring::new(RingPages::map(map.as_fd(), bytes)?)))
}

struct Run<'a> {
    session: &'a Session,
    signals: &'a Signals,
    ring: Option<Ring<RingPages>>,
    output: Output,
    host: MapHost<'a>,
    lost: Lost<'a>,
    pace: Pace,
    /// Probes in modules, with `--wait-module`.
    waiting: Option<Waiting>,
    warn: &'a mut dyn FnMut(&str),
}

impl Run<'_> {
    /// Runs the special programs of one kind in source order.
    fn run_special(&self, wanted: impl Fn(&AttachPoint) -> bool) -> Result<(), Error> {
        for Loaded { planned, program } in &self.session.loaded {
            let Some(probe) = self.session.object.manifest.probes.get(planned.probe) else { continue };
            if wanted(&probe.at) {
                attach::run::run(program.as_fd()).map_err(|source| Error::attach(probe, source))?;
            }
        }
        Ok(())
    }

    /// Attaches all that exists, and says so.
    fn attach(&mut self) -> Result<Vec<Attached>, Error> {
        let signals = self.signals;
        let interrupted = || signals.has_any();
        let session = self.session;
        let attached = {
            let skipped = &mut session.skipped.borrow_mut();
            attach::attach_all(&session.object, &session.loaded, &interrupted, skipped, self.warn)?
        };
        let mut count = attached.iter().map(|one| one.count).sum();
        if let Some(waiting) = self.waiting.as_mut().filter(|_| !interrupted()) {
            count += waiting.start(session, self.warn)?;
        }
        // A signal cuts attaching short; what is missing then is no mistake of the script.
        if !interrupted() {
            self.say_attached(count)?;
        }
        Ok(attached)
    }

    fn say_attached(&mut self, attached: usize) -> Result<(), Error> {
        let by_hand = attach::Order::ByHand;
        let special = self.session.loaded.iter().filter(|one| one.planned.kind.order == by_hand).count();
        let count = special + attached;
        // Those that were planned turned out not to exist.
        if count == 0 && self.waiting.as_ref().is_none_or(Waiting::is_empty) {
            return Err(Error::NothingToAttach);
        }
        self.output.attached(count).map_err(output_error)?;
        if std::env::var_os(NOTIFY).is_some() {
            self.output.flush().map_err(output_error)?;
            let mut stdout = std::io::stdout();
            stdout.write_all(format!("{NOTIFY}\n").as_bytes()).map_err(output_error)?;
            stdout.flush().map_err(output_error)?;
        }
        Ok(())
    }

    /// Until a signal, the end of a process, or the script's `exit`; gives the latter's code.
    fn drain_until_end(&mut self, processes: [Option<BorrowedFd<'_>>; 2]) -> Result<Option<u8>, Error> {
        let [child, target] = processes;
        let session = self.session;
        let ring = session.object.events.and_then(|events| session.maps.maps.get(events)).map(AsFd::as_fd);
        let signals = self.signals;
        let poll = |ring, doorbell: Option<BorrowedFd<'_>>, timeout| {
            let what = || "waiting for events".to_owned();
            wait_readable([Some(signals.as_fd()), child, target, ring, doorbell], timeout)
                .map_err(|error| Error::System { what: what(), error })
        };
        loop {
            let doorbell = self.waiting.as_ref().and_then(Waiting::doorbell);
            let [_, _, _, has_records, rang] = poll(ring, doorbell, POLL)?;
            let delay = self.ring.as_ref().map_or(Duration::ZERO, |ring| self.pace.delay(ring));
            if has_records && !rang && !delay.is_zero() {
                poll(None, None, delay)?;
            }
            if self.has_to_stop()? {
                return Ok(None);
            }
            if let Flow::Exit(code) = self.drain()? {
                return Ok(Some(code));
            }
            self.follow_modules(rang);
            self.lost.report(&mut self.output, false).map_err(output_error)?;
            let [_, child_ended, target_ended, _, _] = poll(None, None, Duration::ZERO)?;
            if child_ended || target_ended {
                return Ok(None);
            }
        }
    }

    /// Acts on signals. Returns whether one of them ends the run.
    fn has_to_stop(&mut self) -> Result<bool, Error> {
        let mut stop = false;
        while let Some(signal) = self.signals.next() {
            match (signal, &mut self.waiting) {
                (Signal::Stop, _) => stop = true,
                (Signal::User1, _) => {
                    self.run_special(|at| matches!(at, AttachPoint::SelfSignal(s) if s == "SIGUSR1"))?;
                }
                (Signal::User2, Some(waiting)) => waiting.let_go(),
                (Signal::Suspend, Some(waiting)) => waiting.unwatched(suspend),
                (Signal::User2 | Signal::Suspend, None) => {}
            }
        }
        Ok(stop)
    }

    fn follow_modules(&mut self, rang: bool) {
        let Some(waiting) = &mut self.waiting else { return };
        if waiting.look(rang, self.session, self.warn) {
            self.host.modules_changed();
        }
    }

    fn drain(&mut self) -> Result<Flow, Error> {
        let Some(ring) = &mut self.ring else { return Ok(Flow::Continue) };
        drain(ring, &mut self.pace, &mut self.output, &mut self.host).map_err(output_error)
    }

    /// Everything that is in the ring. Nothing is attached any more, so this ends.
    fn drain_all(&mut self) -> Result<Option<u8>, Error> {
        while self.ring.as_ref().is_some_and(|ring| ring.pending() > 0) {
            let before = self.ring.as_ref().map(Ring::pending);
            if let Flow::Exit(code) = self.drain()? {
                return Ok(Some(code));
            }
            if self.ring.as_ref().map(Ring::pending) == before {
                break;
            }
        }
        Ok(None)
    }

    /// After detaching: what is left, `end`, its events, maps.
    fn shut_down(mut self, code: Option<u8>) -> Result<u8, Error> {
        self.signals.let_through();
        let code = match code {
            Some(code) => Some(code),
            None => self.drain_all()?,
        };
        if code.is_some()
            && let Some(ring) = &mut self.ring
        {
            ring.skip_all();
        }
        self.run_special(|at| matches!(at, AttachPoint::End))?;
        let end_code = self.drain_all()?;
        self.lost.report(&mut self.output, true).map_err(output_error)?;
        self.output.maps_at_exit(&mut self.host).map_err(output_error)?;
        self.output.total_lost().map_err(output_error)?;
        self.output.flush().map_err(output_error)?;
        // The last `exit` counts.
        Ok(end_code.or(code).unwrap_or(0))
    }
}

fn output_error(source: std::io::Error) -> Error {
    Error::Io { what: "output".into(), source }
}
