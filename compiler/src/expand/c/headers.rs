//! Headers a script may include without having them.
//!
//! Kernel BTF has all types, functions and enumerators of the kernel, so a kernel header adds nothing
//! but its `#define`s. The few that scripts rely on are listed here; their values are part of the
//! stable ABI.

/// What an `#include` line amounts to.
pub(super) enum Header {
    /// Its types are in BTF, and it adds these constants.
    Known(&'static [(&'static str, &'static str)]),
    /// Nothing is known of it.
    Unknown,
}

const SOCKET: &[(&str, &str)] = &[
    ("AF_UNSPEC", "0"),
    ("AF_UNIX", "1"),
    ("AF_LOCAL", "1"),
    ("AF_INET", "2"),
    ("AF_INET6", "10"),
    ("AF_NETLINK", "16"),
    ("AF_PACKET", "17"),
    ("AF_VSOCK", "40"),
    ("AF_XDP", "44"),
];

const LIMITS: &[(&str, &str)] = &[("NAME_MAX", "255"), ("PATH_MAX", "4096")];

const SCHED: &[(&str, &str)] = &[
    ("TASK_RUNNING", "0"),
    ("TASK_INTERRUPTIBLE", "1"),
    ("TASK_UNINTERRUPTIBLE", "2"),
    ("TASK_COMM_LEN", "16"),
];

/// Looks up the name between the angle brackets.
pub(super) fn header(name: &str) -> Header {
    match name {
        "sys/socket.h" | "linux/socket.h" | "bits/socket.h" | "net/sock.h" => Header::Known(SOCKET),
        "linux/limits.h" | "limits.h" => Header::Known(LIMITS),
        "linux/sched.h" => Header::Known(SCHED),
        "stddef.h" | "stdint.h" | "stdbool.h" => Header::Known(&[]),
        _ => {
            let kernel =
                ["linux/", "net/", "uapi/", "asm/", "asm-generic/", "sys/", "trace/", "scsi/", "rdma/"];
            match kernel.iter().any(|dir| name.starts_with(dir)) {
                true => Header::Known(&[]),
                false => Header::Unknown,
            }
        }
    }
}
