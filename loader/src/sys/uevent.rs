//! The kernel's word that a module or device came or went (`NETLINK_KOBJECT_UEVENT`).
//!
//! Only a doorbell: who hears it looks at sysfs. So what a message says need not be believed, and it does not matter
//! that some are lost, or that none come in a network namespace of a user namespace that is not the first.

use super::{SysError, checked, owned};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Group of messages that the kernel itself sends (udev's own go to group 2).
const GROUP_KERNEL: u32 = 1;

/// The doorbell. Readable when it rings.
#[derive(Debug)]
pub struct Uevents {
    fd: OwnedFd,
}

impl Uevents {
    /// Listens. Needs no privilege.
    pub fn open() -> Result<Self, SysError> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_KOBJECT_UEVENT) };
        let fd = owned("socket", fd.into())?;
        // SAFETY: sockaddr_nl is plain data, for which zeros are valid.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = GROUP_KERNEL;
        let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: `address` is live and as long as said.
        let result = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) };
        checked("bind", result.into())?;
        Ok(Self { fd })
    }

    /// Throws away what has arrived, at the most `burst` messages.
    pub fn hush(&self, burst: usize) {
        let mut first = [0u8; 1];
        for _ in 0..burst {
            // SAFETY: `first` is live and as long as said; the kernel drops the rest of the message.
            let got = unsafe { libc::recv(self.fd.as_raw_fd(), first.as_mut_ptr().cast(), 1, 0) };
            // ENOBUFS: the kernel had to drop messages; what came before is still there.
            if got < 0 && SysError::last("recv").errno != libc::ENOBUFS {
                return;
            }
        }
    }
}

impl AsFd for Uevents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_no_privilege_and_never_blocks() {
        Uevents::open().expect("a socket").hush(10_000);
    }
}
