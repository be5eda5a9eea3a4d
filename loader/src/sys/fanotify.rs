//! `fanotify(7)`: whoever opens a file waits until we have answered.
//!
//! Needs `CAP_SYS_ADMIN` and `CONFIG_FANOTIFY_ACCESS_PERMISSIONS`. When the last descriptor of a group is closed, by
//! a killed process too, the kernel lets all that wait go on.

use super::{SysError, checked, owned};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Bytes of `struct fanotify_event_metadata`; a buffer of this size takes one event at a time.
const EVENT_BYTES: usize = 24;

/// Openings of some files.
#[derive(Debug)]
pub struct Openings {
    fd: OwnedFd,
}

/// Somebody who opens one of them. Dropping it lets them.
#[derive(Debug)]
pub struct Opening<'a> {
    group: BorrowedFd<'a>,
    /// The file.
    pub file: File,
    /// Process id; 0 if it is not visible from our namespace.
    pub pid: u32,
}

impl Openings {
    /// Of no file yet.
    pub fn new() -> Result<Self, SysError> {
        let flags = libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        let event_flags = (libc::O_RDONLY | libc::O_CLOEXEC).cast_unsigned();
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::fanotify_init(flags, event_flags) };
        Ok(Self { fd: owned("fanotify_init", fd.into())? })
    }

    /// Of this file too.
    pub fn watch(&self, path: &CStr) -> Result<(), SysError> {
        // SAFETY: `path` is a live C string.
        let result = unsafe {
            libc::fanotify_mark(
                self.fd.as_raw_fd(),
                libc::FAN_MARK_ADD,
                libc::FAN_OPEN_PERM,
                libc::AT_FDCWD,
                path.as_ptr(),
            )
        };
        checked("fanotify_mark", result.into()).map(drop)
    }

    /// The next one who waits, if any.
    pub fn next(&self) -> Option<Opening<'_>> {
        let mut event = [0u8; EVENT_BYTES];
        // SAFETY: `event` is live and as long as said.
        let got = unsafe { libc::read(self.fd.as_raw_fd(), event.as_mut_ptr().cast(), EVENT_BYTES) };
        if usize::try_from(got) != Ok(EVENT_BYTES) {
            return None;
        }
        // Length, versions and mask take 16 bytes; then come `fd` and `pid`.
        let [.., f0, f1, f2, f3, p0, p1, p2, p3] = event;
        let fd = i32::from_ne_bytes([f0, f1, f2, f3]);
        let pid = u32::try_from(i32::from_ne_bytes([p0, p1, p2, p3])).unwrap_or(0);
        if fd < 0 {
            return None;
        }
        // SAFETY: the kernel just made this descriptor for us and nobody else has it.
        let file = unsafe { File::from_raw_fd(fd) };
        Some(Opening { group: self.fd.as_fd(), file, pid })
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let answer = libc::fanotify_response { fd: self.file.as_raw_fd(), response: libc::FAN_ALLOW };
        let bytes = size_of::<libc::fanotify_response>();
        // SAFETY: `answer` is live and as long as said. Should it fail, closing the group answers.
        unsafe { libc::write(self.group.as_raw_fd(), (&raw const answer).cast(), bytes) };
    }
}

impl AsFd for Openings {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
