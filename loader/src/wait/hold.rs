//! Programs attached in modules, held so that the modules can still be removed.
//!
//! The kernel keeps a module loaded while a trampoline, a tracepoint or a `kprobe_multi` link is in it. `rmmod` and
//! `modprobe -r` see that in `/sys/module/MODULE/refcnt` and do not even ask the kernel. So a thread answers for that
//! file (`sys/fanotify.rs`): when one of them opens it, everything is detached first, and it reads 0. Others who
//! open it are let through. A thread, because the run may be stuck in writing its output.
//!
//! Ensures  nobody waits for the answer longer than it takes to attach, detach, and [`SETTLE`]; without the privilege nothing
//!          is watched, and [`Hold::let_go`] is left

use crate::attach::{Attached, Loaded};
use crate::sys::SysError;
use crate::sys::fanotify::{Opening, Openings};
use crate::sys::process::wait_readable;
use std::ffi::CString;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the kernel may take to count down after everything is detached.
const SETTLE: Duration = Duration::from_millis(200);
const SETTLE_LOOK: Duration = Duration::from_millis(5);
/// How long a remover waits for what is just being attached.
const COMING: Duration = Duration::from_secs(5);
/// The programs that remove modules (kmod; its names are links to it).
const REMOVERS: [&str; 3] = ["rmmod", "modprobe", "kmod"];

/// Attached programs. Dropping it detaches them.
#[derive(Debug)]
pub(super) struct Hold {
    shared: Arc<Shared>,
    modules: Vec<String>,
    guard: Option<Guard>,
    pins: bool,
    count: usize,
}

#[derive(Debug)]
struct Shared {
    contents: Mutex<Contents>,
    changed: Condvar,
}

#[derive(Debug)]
enum Contents {
    /// Being loaded and attached.
    Coming,
    /// Links before programs: detached first.
    #[expect(dead_code, reason = "they are there to be dropped")]
    Held(Vec<Attached>, Vec<Loaded>),
    /// Nothing any more; who asked for that, if somebody did.
    Empty(Option<String>),
}

impl Hold {
    /// For programs that are loaded and attached next. Watches from here on.
    pub(super) fn new(modules: &[String]) -> Self {
        let shared = Arc::new(Shared { contents: Mutex::new(Contents::Coming), changed: Condvar::new() });
        let mut hold = Self { shared, modules: modules.to_vec(), guard: None, pins: true, count: 0 };
        hold.watch();
        hold
    }

    /// Takes the programs.
    pub(super) fn take(&mut self, loaded: Vec<Loaded>, attached: Vec<Attached>) {
        self.count = attached.iter().map(|one| one.count).sum();
        self.pins = loaded.iter().any(|one| one.planned.pins_module());
        self.shared.set(Contents::Held(attached, loaded));
        if !self.pins {
            self.look_away();
        }
    }

    /// How many probes are attached, or were.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether the kernel keeps the modules loaded for it.
    pub(super) fn pins(&self) -> bool {
        self.pins
    }

    /// Whether the modules can be removed without telling us first.
    pub(super) fn can_be_removed(&self) -> bool {
        !self.pins || self.guard.is_some()
    }

    /// Starts watching, where that is possible and of use.
    pub(super) fn watch(&mut self) {
        let is_empty = matches!(*self.shared.lock(), Contents::Empty(_));
        if self.pins && self.guard.is_none() && !is_empty {
            self.guard = Guard::start(&self.modules, &self.shared).ok();
        }
    }

    /// Stops watching.
    pub(super) fn look_away(&mut self) {
        self.guard = None;
    }

    /// Detaches.
    pub(super) fn let_go(&mut self) {
        self.shared.set(Contents::Empty(None));
        self.look_away();
    }

    /// Who made us let go, if somebody did.
    pub(super) fn asked_by(&self) -> Option<String> {
        match &*self.shared.lock() {
            Contents::Empty(who) => who.clone(),
            Contents::Coming | Contents::Held(..) => None,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Shared {
    /// A panic elsewhere does not make the descriptors wrong.
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was there is detached when the lock is no longer held.
    fn set(&self, contents: Contents) {
        let before = std::mem::replace(&mut *self.lock(), contents);
        self.changed.notify_all();
        drop(before);
    }

    /// Detaches for `who`, once all is attached. Returns false if that takes too long.
    fn empty(&self, who: String) -> bool {
        let coming = |contents: &mut Contents| matches!(contents, Contents::Coming);
        let waited = self.changed.wait_timeout_while(self.lock(), COMING, coming);
        let (contents, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(contents);
        if !waited.timed_out() {
            self.set(Contents::Empty(Some(who)));
        }
        !waited.timed_out()
    }
}

/// The thread that answers. Dropping it ends it.
#[derive(Debug)]
struct Guard {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Guard {
    fn start(modules: &[String], shared: &Arc<Shared>) -> Result<Self, SysError> {
        let openings = Openings::new()?;
        for module in modules {
            let path = CString::new(format!("/sys/module/{module}/refcnt"));
            openings.watch(&path.map_err(|_| SysError { call: "fanotify_mark", errno: libc::EINVAL })?)?;
        }
        let failed = |_| SysError { call: "thread", errno: libc::EAGAIN };
        let (stopped, stop) = std::io::pipe().map_err(failed)?;
        let shared = shared.clone();
        let answer = move || answer(&openings, &stopped, &shared);
        let thread = std::thread::Builder::new().name("sonde-modules".into()).spawn(answer);
        Ok(Self { stop: Some(stop), thread: Some(thread.map_err(failed)?) })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The other end of the pipe becomes readable.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has no result, and a panic in it is none of ours.
            let _ = thread.join();
        }
    }
}

/// Answers until it has let go, or is told to stop.
fn answer(openings: &Openings, stopped: &PipeReader, shared: &Shared) {
    let forever = Duration::from_secs(3600);
    while let Ok([false, _]) = wait_readable([Some(stopped.as_fd()), Some(openings.as_fd())], forever) {
        while let Some(opening) = openings.next() {
            if let Some(who) = remover(opening.pid)
                && shared.empty(who)
            {
                wait_until_unused(&opening);
                return;
            }
        }
    }
}

/// Who removes modules, if this process does.
fn remover(pid: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let name = name.trim_end();
    REMOVERS.contains(&name).then(|| format!("{name} (pid {pid})"))
}

/// Some kernels count down a little after the descriptors are closed. A module that others use as well never gets
/// to 0.
fn wait_until_unused(opening: &Opening<'_>) {
    for _ in 0..SETTLE.as_millis() / SETTLE_LOOK.as_millis() {
        let mut text = [0; 16];
        let got = opening.file.read_at(&mut text, 0).unwrap_or(0);
        if text.get(..got).is_some_and(|text| text.starts_with(b"0")) {
            return;
        }
        std::thread::sleep(SETTLE_LOOK);
    }
}
