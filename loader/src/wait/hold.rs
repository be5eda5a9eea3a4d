//! Programs attached in modules, held so that the modules can still be removed.
//!
//! The kernel keeps a module loaded while a trampoline, a tracepoint or a `kprobe_multi` link is in it. `rmmod` and
//! `modprobe -r` see that in `/sys/module/MODULE/refcnt` and do not even ask the kernel. So a thread answers for that
//! file (`sys/fanotify.rs`): when one of them opens it, everything is detached first, and it reads 0. Others who
//! open it are let through. A thread, because the run may be stuck in writing its output.
//!
//! Ensures  nobody waits for the answer longer than it takes to detach and [`SETTLE`]; without the privilege nothing
//!          is watched, and [`Hold::let_go`] is left

use crate::attach::{Attached, Loaded};
use crate::sys::SysError;
use crate::sys::fanotify::{Opening, Openings};
use crate::sys::process::wait_readable;
use std::ffi::CString;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the kernel may take to count down after everything is detached.
const SETTLE: Duration = Duration::from_millis(200);
const SETTLE_LOOK: Duration = Duration::from_millis(5);
/// The programs that remove modules (kmod; its names are links to it).
const REMOVERS: [&str; 3] = ["rmmod", "modprobe", "kmod"];

/// Attached programs. Dropping it detaches them.
#[derive(Debug)]
pub(super) struct Hold {
    shared: Arc<Mutex<Shared>>,
    modules: Vec<String>,
    guard: Option<Guard>,
    count: usize,
}

#[derive(Debug)]
struct Shared {
    /// Links before programs: detached first.
    held: Option<(Vec<Attached>, Vec<Loaded>)>,
    /// Who wanted to remove a module.
    asked_by: Option<String>,
}

impl Hold {
    /// Takes programs, and watches for who wants to remove their modules.
    pub(super) fn new(modules: &[String], loaded: Vec<Loaded>, attached: Vec<Attached>) -> Self {
        let count = attached.iter().map(|one| one.count).sum();
        let pins = loaded.iter().any(|one| one.planned.pins_module());
        let shared = Arc::new(Mutex::new(Shared { held: Some((attached, loaded)), asked_by: None }));
        let modules = if pins { modules.to_vec() } else { Vec::new() };
        let mut hold = Self { shared, modules, guard: None, count };
        hold.watch();
        hold
    }

    /// How many probes are attached, or were.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether the kernel keeps the modules loaded for it.
    pub(super) fn pins(&self) -> bool {
        !self.modules.is_empty()
    }

    /// Starts watching, where that is possible and of use.
    pub(super) fn watch(&mut self) {
        if self.pins() && self.guard.is_none() && lock(&self.shared).held.is_some() {
            self.guard = Guard::start(&self.modules, &self.shared).ok();
        }
    }

    /// Stops watching.
    pub(super) fn look_away(&mut self) {
        self.guard = None;
    }

    /// Detaches.
    pub(super) fn let_go(&mut self) {
        self.look_away();
        drop(lock(&self.shared).held.take());
    }

    /// Who made us let go, if somebody did.
    pub(super) fn asked_by(&self) -> Option<String> {
        lock(&self.shared).asked_by.clone()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// A panic elsewhere does not make the descriptors wrong.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread that answers. Dropping it ends it.
#[derive(Debug)]
struct Guard {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Guard {
    fn start(modules: &[String], shared: &Arc<Mutex<Shared>>) -> Result<Self, SysError> {
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
fn answer(openings: &Openings, stopped: &PipeReader, shared: &Mutex<Shared>) {
    let forever = Duration::from_secs(3600);
    while let Ok([false, _]) = wait_readable([Some(stopped.as_fd()), Some(openings.as_fd())], forever) {
        while let Some(opening) = openings.next() {
            if let Some(who) = remover(opening.pid) {
                let held = {
                    let mut shared = lock(shared);
                    shared.asked_by = Some(who);
                    shared.held.take()
                };
                drop(held);
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
