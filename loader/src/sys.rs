//! System calls, and the only `unsafe` of the project.
//!
//! Input    plain values and slices
//! Output   owned descriptors and plain values, or a [`SysError`] that names the call and its errno
//! Ensures  every descriptor is close-on-exec and owned: dropping it detaches, unmaps or frees what it stands for
//! Breaks   nothing outside the kernel objects it returns; nothing is pinned
//!
//! | file | holds |
//! | --- | --- |
//! | `bpf.rs` | `bpf(2)`, one function a command; layouts from `include/uapi/linux/bpf.h` |
//! | `perf.rs` | `perf_event_open(2)` and its ioctls |
//! | `memory.rs` | memory maps: files, and the two halves of a ring buffer |
//! | `process.rs` | children, signals, pidfds, waiting |
//! | `host.rs` | clocks, page size, limits |
//! | `uevent.rs`, `fanotify.rs` | modules that come; who wants them to go |

pub mod bpf;
pub mod fanotify;
pub mod host;
pub mod memory;
pub mod perf;
pub mod process;
pub mod uevent;

use std::fmt;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A system call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SysError {
    /// What was asked of the kernel, e.g. `BPF_PROG_LOAD`.
    pub call: &'static str,
    /// The errno.
    pub errno: i32,
}

impl SysError {
    /// The error that the calling thread's last system call left behind.
    fn last(call: &'static str) -> Self {
        Self { call, errno: std::io::Error::last_os_error().raw_os_error().unwrap_or(0) }
    }

    /// Whether the kernel refused for want of a capability.
    pub fn is_permission(&self) -> bool {
        matches!(self.errno, libc::EPERM | libc::EACCES)
    }
}

impl fmt::Display for SysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::io::Error::from_raw_os_error(self.errno).to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        match errno_name(self.errno) {
            Some(name) => write!(f, "{}: {name} ({text})", self.call),
            None => write!(f, "{}: {text}", self.call),
        }
    }
}

impl std::error::Error for SysError {}

impl From<SysError> for std::io::Error {
    fn from(error: SysError) -> Self {
        Self::from_raw_os_error(error.errno)
    }
}

/// The symbolic name of the errnos that loading and attaching meet.
pub fn errno_name(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::ESRCH => "ESRCH",
        libc::EINTR => "EINTR",
        libc::E2BIG => "E2BIG",
        libc::EBADF => "EBADF",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EFAULT => "EFAULT",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::ENODEV => "ENODEV",
        libc::EINVAL => "EINVAL",
        libc::EMFILE => "EMFILE",
        libc::ENOSPC => "ENOSPC",
        libc::EILSEQ => "EILSEQ",
        libc::ERANGE => "ERANGE",
        libc::ENOSYS => "ENOSYS",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::EADDRNOTAVAIL => "EADDRNOTAVAIL",
        // The kernel's own ENOTSUPP, which libc does not know.
        524 => "ENOTSUPP",
        _ => return None,
    })
}

/// A raw result of a call that returns a descriptor.
fn owned(call: &'static str, result: libc::c_long) -> Result<OwnedFd, SysError> {
    match RawFd::try_from(result) {
        // SAFETY: the kernel just returned this descriptor and nobody else has it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(SysError::last(call)),
    }
}

/// A raw result of a call that returns 0 or more.
fn checked(call: &'static str, result: libc::c_long) -> Result<u64, SysError> {
    u64::try_from(result).map_err(|_| SysError::last(call))
}
