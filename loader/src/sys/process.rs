//! Children, signals, waiting.

use super::{SysError, checked, owned};
use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Signals that arrive as readable events instead of interrupting.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

/// A signal the loader acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `SIGINT` or `SIGTERM`.
    Stop,
    /// `SIGUSR1`, for `self` probes.
    User1,
    /// `SIGUSR2`: let go of modules.
    User2,
    /// `SIGTSTP`: stop for now (Ctrl-Z).
    Suspend,
}

fn signal_set(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: sigset_t is plain data, and sigemptyset sets all of it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is live.
    unsafe { libc::sigemptyset(&raw mut set) };
    for &signal in signals {
        // SAFETY: `set` is live; the callers pass valid numbers.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    set
}

fn mask(how: i32, signals: &[i32]) {
    let set = signal_set(signals);
    // SAFETY: `set` is live.
    unsafe { libc::sigprocmask(how, &raw const set, std::ptr::null_mut()) };
}

impl Signals {
    const ALL: [i32; 5] = [libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGTSTP];

    /// Blocks `SIGINT`, `SIGTERM` and `SIGUSR1` and collects them; the others too if modules are waited for.
    pub fn block(wait_module: bool) -> Result<Self, SysError> {
        let signals = if wait_module { &Self::ALL } else { Self::ALL.get(..3).unwrap_or(&Self::ALL) };
        mask(libc::SIG_BLOCK, signals);
        let set = signal_set(signals);
        // SAFETY: `set` is live.
        let result = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        Ok(Self { fd: owned("signalfd", result.into())? })
    }

    /// Whether one has arrived.
    pub fn has_any(&self) -> bool {
        wait_readable([Some(self.as_fd())], Duration::ZERO).is_ok_and(|[ready]| ready)
    }

    /// The next signal that has arrived, if any.
    pub fn next(&self) -> Option<Signal> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        // SAFETY: `info` is live and as long as said.
        let got = unsafe { libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), info.len()) };
        if usize::try_from(got) != Ok(info.len()) {
            return None;
        }
        // `ssi_signo` comes first.
        let [a, b, c, d, ..] = info;
        match i32::from_ne_bytes([a, b, c, d]) {
            libc::SIGUSR1 => Some(Signal::User1),
            libc::SIGUSR2 => Some(Signal::User2),
            libc::SIGTSTP => Some(Signal::Suspend),
            _ => Some(Signal::Stop),
        }
    }

    /// From here on another `SIGINT` or `SIGTERM` ends the process at once.
    pub fn let_through(&self) {
        mask(libc::SIG_UNBLOCK, &[libc::SIGINT, libc::SIGTERM]);
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Stops this process until somebody lets it go on.
pub fn suspend() {
    // SAFETY: takes no pointers.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Waits until one of the descriptors is readable or the time is over; says which are.
pub fn wait_readable<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    timeout: Duration,
) -> Result<[bool; N], SysError> {
    // poll(2) ignores negative descriptors.
    let mut polled = fds.map(|fd| libc::pollfd {
        fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `polled` is live and N long.
    let result = unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, timeout) };
    match checked("poll", result.into()) {
        Ok(_) => Ok(polled.map(|fd| fd.revents != 0)),
        Err(error) if error.errno == libc::EINTR => Ok([false; N]),
        Err(error) => Err(error),
    }
}

/// A descriptor that becomes readable when the process ends.
pub fn pidfd(pid: u32) -> Result<OwnedFd, SysError> {
    // SAFETY: takes no pointers.
    owned("pidfd_open", unsafe { libc::syscall(libc::SYS_pidfd_open, pid.cast_signed(), 0) })
}

/// A child that waits before `exec` until it is let go. Dropping it ends and reaps it.
#[derive(Debug)]
pub struct Child {
    /// Its process id.
    pub pid: u32,
    pidfd: OwnedFd,
    gate: Option<std::io::PipeWriter>,
    report: std::io::PipeReader,
}

impl Child {
    /// Forks. The child waits; it goes away by itself if this process dies first.
    pub fn fork_stopped(command: &[CString]) -> Result<Self, SysError> {
        let pipe = || std::io::pipe().map_err(|_| SysError::last("pipe"));
        let (mut gate_read, gate) = pipe()?;
        let (report, mut report_write) = pipe()?;
        let mut argv: Vec<*const libc::c_char> = command.iter().map(|word| word.as_ptr()).collect();
        argv.push(std::ptr::null());
        // SAFETY: the process has one thread, so the child may do anything its copy could.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            drop(gate);
            let mut byte = [0];
            if gate_read.read_exact(&mut byte).is_ok() {
                mask(libc::SIG_UNBLOCK, &Signals::ALL);
                // SAFETY: takes no pointers. Rust programs ignore SIGPIPE; others must not inherit that.
                unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
                // SAFETY: `argv` is NULL-terminated and its strings are live.
                unsafe { libc::execvp(argv.first().copied().unwrap_or(std::ptr::null()), argv.as_ptr()) };
                let errno = SysError::last("execvp").errno;
                // Nothing to do if the parent no longer listens.
                let _ = report_write.write_all(&errno.to_ne_bytes());
            }
            // SAFETY: ends the child without running the parent's clean-up a second time.
            unsafe { libc::_exit(127) };
        }
        let pid = u32::try_from(pid).map_err(|_| SysError::last("fork"))?;
        Ok(Self { pid, pidfd: pidfd(pid)?, gate: Some(gate), report })
    }

    /// Lets the child go on to `exec`; returns why it could not.
    pub fn release(&mut self) -> Result<(), SysError> {
        if let Some(mut gate) = self.gate.take() {
            // A child that died meanwhile shows in its pidfd.
            let _ = gate.write_all(&[1]);
        }
        let mut errno = [0; 4];
        match self.report.read_exact(&mut errno) {
            Ok(()) => Err(SysError { call: "execvp", errno: i32::from_ne_bytes(errno) }),
            // End of file: the descriptor was closed by a successful exec.
            Err(_) => Ok(()),
        }
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let pid = self.pid.cast_signed();
        let flags = match self.gate.take() {
            // It still waits, with signals blocked: the end of the pipe ends it.
            Some(gate) => {
                drop(gate);
                0
            }
            None => {
                // SAFETY: takes no pointers; the pid is ours until waited for.
                unsafe { libc::kill(pid, libc::SIGTERM) };
                libc::WNOHANG
            }
        };
        // SAFETY: the status is not wanted, so the pointer may be null.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), flags) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_is_not_let_go_does_not_hang_its_parent() {
        let child = Child::fork_stopped(&[c"true".into()]).expect("fork");
        let [ended] = wait_readable([Some(child.as_fd())], Duration::ZERO).expect("poll");
        assert!(!ended);
        drop(child);
    }

    #[test]
    fn a_child_says_why_it_cannot_run() {
        let mut child = Child::fork_stopped(&[c"/nonexistent".into()]).expect("fork");
        assert_eq!(child.release(), Err(SysError { call: "execvp", errno: libc::ENOENT }));
    }
}
