//! Clocks, sizes and limits of the host.

use super::SysError;

/// Bytes of a page.
pub fn page_size() -> usize {
    // SAFETY: takes no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Bytes of memory that are free or easily freed.
pub fn memory_available() -> u64 {
    // SAFETY: takes no pointers.
    let pages = unsafe { libc::sysconf(libc::_SC_AVPHYS_PAGES) };
    u64::try_from(pages).unwrap_or(0).saturating_mul(page_size() as u64)
}

/// A clock of `clock_gettime(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Since boot, with the time asleep.
    Boot,
    /// International atomic time.
    Tai,
}

/// Nanoseconds of a clock.
pub fn now_ns(clock: Clock) -> u64 {
    let id = match clock {
        Clock::Boot => libc::CLOCK_BOOTTIME,
        Clock::Tai => libc::CLOCK_TAI,
    };
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is live; both clocks exist since Linux 3.10.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The kernel's release and machine, as `uname -r` and `uname -m` print them.
pub fn kernel() -> (String, String) {
    // SAFETY: all zeros is a valid value of this struct of character arrays.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `names` is live.
    unsafe { libc::uname(&raw mut names) };
    let text = |field: &[libc::c_char]| {
        field.iter().take_while(|&&c| c != 0).map(|&c| char::from(c.cast_unsigned())).collect::<String>()
    };
    (text(&names.release), text(&names.machine))
}

/// Lifts the limit on locked memory, which kernels before 5.11 charge BPF objects to.
pub fn lift_memlock_limit() -> Result<(), SysError> {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is live.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    super::checked("setrlimit", result.into()).map(drop)
}

/// Lifts the limit on open files as far as it goes: a script may hold one for each probe and CPU.
pub fn lift_files_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is live.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: as above. A failure leaves the old limit, and a later EMFILE says so.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}

/// Whether standard output or error (1 or 2) is a terminal.
pub fn is_terminal(fd: i32) -> bool {
    // SAFETY: takes no pointers; a closed descriptor is just no terminal.
    unsafe { libc::isatty(fd) == 1 }
}
