//! Headers that need no file.
//!
//! Those of the C compiler itself are not in `/usr/include`; `builtin/` has them as far as declarations
//! need them. Those of the kernel that are not part of its user-space API are nowhere: BTF has their types,
//! and the few constants that scripts rely on are listed here; their values are stable.

/// A header of the C compiler.
pub(super) fn builtin(name: &str) -> Option<&'static str> {
    Some(match name {
        "float.h" => include_str!("builtin/float.h"),
        "iso646.h" | "stdalign.h" | "stdnoreturn.h" => "",
        "limits.h" => include_str!("builtin/limits.h"),
        "stdarg.h" => include_str!("builtin/stdarg.h"),
        "stdbool.h" => include_str!("builtin/stdbool.h"),
        "stddef.h" => include_str!("builtin/stddef.h"),
        "stdint.h" => include_str!("builtin/stdint.h"),
        _ => return None,
    })
}

/// What a compiler for this target defines before the first line.
pub(super) const PREDEFINED: &str = include_str!("builtin/predefined.h");

const SOCKET: &str = "AF_UNSPEC 0 AF_UNIX 1 AF_LOCAL 1 AF_INET 2 AF_INET6 10 AF_NETLINK 16 AF_PACKET 17 \
    AF_VSOCK 40 AF_XDP 44";
const LIMITS: &str = "NAME_MAX 255 PATH_MAX 4096";
const SCHED: &str = "TASK_RUNNING 0 TASK_INTERRUPTIBLE 1 TASK_UNINTERRUPTIBLE 2 TASK_COMM_LEN 16";

/// Folders whose headers are the kernel's.
const KERNEL: [&str; 9] =
    ["linux/", "net/", "uapi/", "asm/", "asm-generic/", "sys/", "trace/", "scsi/", "rdma/"];

/// What the kernel's header of this name defines, or what it lacks in user space, as text; none for
/// headers that are not the kernel's.
pub(super) fn kernel(name: &str) -> Option<String> {
    let constants = match name {
        "sys/socket.h" | "linux/socket.h" | "bits/socket.h" | "net/sock.h" => SOCKET,
        "linux/limits.h" | "limits.h" => LIMITS,
        "linux/sched.h" => SCHED,
        _ if KERNEL.iter().any(|dir| name.starts_with(dir)) => "",
        _ => return None,
    };
    let words: Vec<&str> = constants.split_whitespace().collect();
    Some(words.chunks(2).map(|c| format!("#ifndef {0}\n#define {0} {1}\n#endif\n", c[0], c[1])).collect())
}
