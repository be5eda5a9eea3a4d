//! What the compiler knows of Linux without asking a kernel, as data.
//!
//! The tables are facts of the kernel's interface that BTF does not carry. Each is a text file under
//! `tables/`: one entry a line, sorted, `#` starts a comment, embedded in the compiler.

mod table;

use table::rows;

const ERRNO: &str = include_str!("../tables/errno.txt");
const SIGNALS: &str = include_str!("../tables/signals.txt");
const SYSCALLS: &str = include_str!("../tables/syscalls.txt");
const SYSCALL_NUMBERS: &str = include_str!("../tables/syscall_numbers.txt");
const TRACEPOINTS: &str = include_str!("../tables/tracepoints.txt");

/// An argument of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyscallArg {
    /// C type as tracefs spells it: `const char *`, `umode_t`. Pointers are to user memory.
    pub ty: &'static str,
    /// Name.
    pub name: &'static str,
}

/// Arguments of the system call `name` (`openat`) in order; `None` if it has no tracepoint.
pub fn syscall_args(name: &str) -> Option<Vec<SyscallArg>> {
    syscalls().find(|(known, _)| *known == name).map(|(_, args)| parse_args(args))
}

/// Names of the system calls that have tracepoints, in byte order.
pub fn syscall_names() -> impl Iterator<Item = &'static str> {
    syscalls().map(|(name, _)| name)
}

/// Numbers and names of x86_64's system calls, by number.
pub fn syscall_numbers() -> impl Iterator<Item = (u64, &'static str)> {
    numbered(SYSCALL_NUMBERS)
}

/// Numbers and texts of errors (`2`, `No such file or directory`), by number.
pub fn errors() -> impl Iterator<Item = (u64, &'static str)> {
    numbered(ERRNO).map(|(number, rest)| (number, rest.split_once(' ').map_or(rest, |(_, text)| text)))
}

/// Numbers and texts of signals (`9`, `Killed`), by number.
pub fn signals() -> impl Iterator<Item = (u64, &'static str)> {
    numbered(SIGNALS)
}

/// A tracepoint that tracefs offers, `syscalls` not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracepoint {
    /// Folder in tracefs.
    pub category: &'static str,
    /// Event name.
    pub event: &'static str,
    /// Its record is `struct trace_event_raw_<class>`. Kernels may differ: where a struct of the
    /// event's own name exists, that one is the record.
    pub class: &'static str,
}

/// All tracepoints known, sorted by category and event. A kernel need not have them all.
pub fn tracepoints() -> impl Iterator<Item = Tracepoint> {
    rows(TRACEPOINTS).filter_map(|row| {
        let mut words = row.split(' ');
        let (category, event) = (words.next()?, words.next()?);
        Some(Tracepoint { category, event, class: words.next().unwrap_or(event) })
    })
}

/// The class of one tracepoint; see [`Tracepoint::class`].
pub fn tracepoint_class(category: &str, event: &str) -> Option<&'static str> {
    tracepoints().find(|t| t.category == category && t.event == event).map(|t| t.class)
}

fn syscalls() -> impl Iterator<Item = (&'static str, &'static str)> {
    rows(SYSCALLS).filter_map(|row| row.split_once(':'))
}

fn parse_args(args: &'static str) -> Vec<SyscallArg> {
    args.split(',')
        .filter_map(|arg| arg.trim().rsplit_once(' '))
        .map(|(ty, name)| SyscallArg { ty, name })
        .collect()
}

fn numbered(table: &'static str) -> impl Iterator<Item = (u64, &'static str)> {
    rows(table).filter_map(|row| {
        let (number, rest) = row.split_once(' ')?;
        Some((number.parse().ok()?, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read_and_in_order() {
        let keys: Vec<_> = tracepoints().map(|t| (t.category, t.event)).collect();
        assert!(keys.is_sorted());
        assert_eq!(keys.len(), rows(TRACEPOINTS).count());
        assert!(syscall_names().collect::<Vec<_>>().is_sorted());
        assert_eq!(syscall_names().count(), rows(SYSCALLS).count());
        for (table, read) in [
            (ERRNO, errors().map(|e| e.0).collect::<Vec<_>>()),
            (SIGNALS, signals().map(|s| s.0).collect()),
            (SYSCALL_NUMBERS, syscall_numbers().map(|s| s.0).collect()),
        ] {
            assert!(read.is_sorted());
            assert_eq!(read.len(), rows(table).count());
        }
    }

    #[test]
    fn known_facts() {
        assert_eq!(tracepoint_class("sched", "sched_wakeup"), Some("sched_wakeup_template"));
        assert_eq!(tracepoint_class("sched", "sched_switch"), Some("sched_switch"));
        assert_eq!(tracepoint_class("sched", "nope"), None);
        let openat = syscall_args("openat").expect("openat is a system call");
        assert_eq!(openat[1], SyscallArg { ty: "const char *", name: "filename" });
        assert_eq!(syscall_args("getpid").as_deref(), Some(&[][..]));
        assert!(errors().any(|e| e == (2, "No such file or directory")));
        assert!(signals().any(|s| s == (9, "Killed")));
        assert!(syscall_numbers().any(|s| s == (257, "openat")));
    }
}
