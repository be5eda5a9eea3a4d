//! One boot of one kernel that runs a batch of jobs; the results arrive one by one.

use crate::job::{Job, Outcome};
use crate::{Failure, lab, objects};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Boots at once. More would only slow each other: every guest has two virtual processors.
const PARALLEL: usize = 2;
/// What a boot may take on a busy machine, beyond the limits of its jobs.
const BOOT_LIMIT_S: u64 = 240;
const MEMORY_MIB: u32 = 2048;
const POLL: Duration = Duration::from_millis(50);

/// A boot to be made. Files put into `share` are at `GUEST_SHARE` in the guest.
pub struct Batch {
    /// A kernel of the laboratory.
    pub kernel: String,
    /// Loaded before the first job.
    pub modules: Vec<String>,
    /// Of the guest.
    pub memory_mib: u32,
    /// In the order they will run.
    pub jobs: Vec<Job>,
    share: TempDir,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    started: Option<Instant>,
    end: Option<Result<Duration, Failure>>,
}

/// Where a batch's share is mounted in the guest.
pub const GUEST_SHARE: &str = "/.vm/share";
/// The guest's directory of programs under test: a memory file system, first in `PATH`.
pub const GUEST_BIN: &str = "/run/lab";

impl Batch {
    /// A batch without jobs yet.
    pub fn new(kernel: &str) -> Result<Batch, Failure> {
        let runs = lab::lab().join("runs");
        std::fs::create_dir_all(&runs).map_err(|e| format!("{}: {e}", runs.display()))?;
        let share = tempfile::Builder::new().prefix(kernel).tempdir_in(&runs).map_err(|e| e.to_string())?;
        Ok(Batch {
            kernel: kernel.to_owned(),
            modules: Vec::new(),
            memory_mib: MEMORY_MIB,
            jobs: Vec::new(),
            share,
            state: Mutex::default(),
            ended: Condvar::new(),
        })
    }

    /// The host's side of the share.
    pub fn share(&self) -> &Path {
        self.share.path()
    }

    /// Copies `file` into the share as `name`; returns its path in the guest.
    pub fn put(&self, file: &Path, name: &str) -> Result<String, Failure> {
        let to = self.share().join(name);
        let parent = to.parent().unwrap_or(self.share());
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::copy(file, &to))
            .map_err(|e| format!("{} to {}: {e}", file.display(), to.display()))?;
        Ok(format!("{GUEST_SHARE}/{name}"))
    }

    /// Loads `modules` at boot, each once.
    pub fn need_modules(&mut self, modules: &[String]) {
        let new: Vec<_> = modules.iter().filter(|m| !self.modules.contains(m)).cloned().collect();
        self.modules.extend(new);
    }

    /// Boots and runs all jobs; their results can be had with [`Batch::wait`] meanwhile.
    pub fn run(&self) {
        let started = Instant::now();
        self.state.lock().expect("no holder panics").started = Some(started);
        let end = self.boot().map(|()| started.elapsed());
        self.state.lock().expect("no holder panics").end = Some(end);
        self.ended.notify_all();
    }

    fn boot(&self) -> Result<(), Failure> {
        let bin = self.share().join("bin");
        std::fs::create_dir_all(&bin).map_err(|e| e.to_string())?;
        self.put(&objects::guest()?, "bin/guest")?;
        let jobs = serde_json::to_vec(&self.jobs).map_err(|e| e.to_string())?;
        std::fs::write(self.share().join("jobs.json"), jobs).map_err(|e| e.to_string())?;
        let limit = BOOT_LIMIT_S + self.jobs.iter().map(|j| j.limit_s).sum::<u64>();
        let output = Command::new(vm_script())
            .args(["--kernel", &self.kernel, "--modules", &self.modules.join(" ")])
            .args(["--mem", &self.memory_mib.to_string()])
            .args(["--timeout", &limit.to_string()])
            .arg("--root")
            .arg(lab::guest_root().with_extension("img"))
            .arg("--share")
            .arg(self.share())
            .arg("--")
            .arg(format!(
                "mkdir -p {GUEST_BIN} && cp $SHARE/bin/* {GUEST_BIN}/ && \
                 PATH={GUEST_BIN}:$PATH exec {GUEST_BIN}/guest $SHARE"
            ))
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("tests/vm/vm: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("the {} guest failed ({}):\n{said}", self.kernel, output.status))
    }

    /// The result of job `id`: waits until the guest has written it or the boot has ended without.
    pub fn wait(&self, id: &str) -> Result<Outcome, Failure> {
        let mut state = self.state.lock().expect("no holder panics");
        loop {
            let ended = state.end.is_some();
            if let Some(outcome) = Outcome::try_read(self.share(), id) {
                return Ok(outcome);
            }
            if ended {
                return Err(match &state.end {
                    Some(Err(why)) => why.clone(),
                    _ => format!("the {} guest ended without a result for {id}", self.kernel),
                });
            }
            state = self.ended.wait_timeout(state, POLL).expect("no holder panics").0;
        }
    }

    /// How long the boot took, once it is over.
    pub fn duration(&self) -> Option<Duration> {
        match &self.state.lock().expect("no holder panics").end {
            Some(Ok(duration)) => Some(*duration),
            _ => None,
        }
    }
}

fn vm_script() -> PathBuf {
    lab::tree().join("tests/vm/vm")
}

/// Runs the batches in order, a few at a time, on threads of their own.
pub fn start(batches: &[Arc<Batch>]) {
    let queue: Arc<Mutex<VecDeque<Arc<Batch>>>> = Arc::new(Mutex::new(batches.iter().cloned().collect()));
    for _ in 0..PARALLEL {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || {
            while let Some(batch) = { queue.lock().expect("no holder panics").pop_front() } {
                batch.run();
            }
        });
    }
}
