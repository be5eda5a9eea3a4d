//! `perf_event_open(2)`: kprobes, uprobes, tracepoints and timers are perf events to the kernel.

use super::{SysError, checked, owned};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// `PERF_TYPE_SOFTWARE`.
const TYPE_SOFTWARE: u32 = 1;
/// `PERF_TYPE_TRACEPOINT`.
const TYPE_TRACEPOINT: u32 = 2;
/// `PERF_FLAG_FD_CLOEXEC`.
const FLAG_CLOEXEC: u64 = 8;
/// `freq`, the eleventh flag bit of `struct perf_event_attr`.
const ATTR_FREQ: u64 = 1 << 10;
const IOC_ENABLE: libc::Ioctl = 0x2400;
const IOC_SET_BPF: libc::Ioctl = 0x4004_2408;

/// `struct perf_event_attr` up to `PERF_ATTR_SIZE_VER5`, which every kernel we support knows.
#[repr(C)]
#[derive(Default)]
struct Attr {
    kind: u32,
    size: u32,
    config: u64,
    period_or_freq: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
    branch_sample_type: u64,
    sample_regs_user: u64,
    sample_stack_user: u32,
    clockid: i32,
    sample_regs_intr: u64,
    aux_watermark: u32,
    sample_max_stack: u16,
    reserved: u16,
}

/// Where a software or tracepoint event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything on one CPU.
    Cpu(u32),
    /// One process, wherever it runs.
    Pid(u32),
}

fn open(mut attr: Attr, scope: Scope) -> Result<OwnedFd, SysError> {
    attr.size = u32::try_from(size_of::<Attr>()).unwrap_or(0);
    let (pid, cpu) = match scope {
        Scope::Cpu(cpu) => (-1, cpu.cast_signed()),
        Scope::Pid(pid) => (pid.cast_signed(), -1),
    };
    // SAFETY: `attr` is live and `size` is its length; `config1` is 0 or points to a C string that the
    // callers below keep alive.
    let result = unsafe {
        libc::syscall(libc::SYS_perf_event_open, std::ptr::from_ref(&attr), pid, cpu, -1, FLAG_CLOEXEC)
    };
    owned("perf_event_open", result)
}

/// How often a timer fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Times a second.
    Hz(u64),
    /// Nanoseconds between two.
    Ns(u64),
}

/// A `cpu-clock` event (`PERF_COUNT_SW_CPU_CLOCK` is 0).
pub fn cpu_clock(rate: Rate, scope: Scope) -> Result<OwnedFd, SysError> {
    let (period_or_freq, flags) = match rate {
        Rate::Hz(hz) => (hz, ATTR_FREQ),
        Rate::Ns(ns) => (ns, 0),
    };
    open(Attr { kind: TYPE_SOFTWARE, period_or_freq, flags, ..Attr::default() }, scope)
}

/// A tracepoint by its tracefs id.
pub fn tracepoint(id: u64) -> Result<OwnedFd, SysError> {
    open(Attr { kind: TYPE_TRACEPOINT, config: id, period_or_freq: 1, ..Attr::default() }, Scope::Cpu(0))
}

/// The kprobe or uprobe PMU as sysfs describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbePmu {
    /// Its event type.
    kind: u32,
    /// Bit of `config` that asks for a return probe.
    return_bit: u8,
}

impl ProbePmu {
    /// The kprobe PMU.
    pub fn kprobe() -> Option<ProbePmu> {
        ProbePmu::read("kprobe")
    }

    /// The uprobe PMU.
    pub fn uprobe() -> Option<ProbePmu> {
        ProbePmu::read("uprobe")
    }

    fn read(name: &str) -> Option<ProbePmu> {
        let read =
            |file: &str| std::fs::read_to_string(format!("/sys/bus/event_source/devices/{name}/{file}")).ok();
        let kind = read("type")?.trim().parse().ok()?;
        let return_bit = read("format/retprobe")?.trim().strip_prefix("config:")?.parse().ok()?;
        Some(ProbePmu { kind, return_bit })
    }

    fn config(self, is_return: bool) -> u64 {
        if is_return { 1u64.checked_shl(self.return_bit.into()).unwrap_or(0) } else { 0 }
    }
}

/// Where a kprobe sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KprobeAt<'a> {
    /// `[MODULE:]FUNCTION` and bytes from its start.
    Symbol(&'a CStr, u64),
    /// Kernel address.
    Address(u64),
}

/// A kprobe or kretprobe.
pub fn kprobe(pmu: ProbePmu, at: KprobeAt<'_>, is_return: bool) -> Result<OwnedFd, SysError> {
    let (config1, config2) = match at {
        KprobeAt::Symbol(symbol, offset) => (symbol.as_ptr() as u64, offset),
        KprobeAt::Address(address) => (0, address),
    };
    let config = pmu.config(is_return);
    open(Attr { kind: pmu.kind, config, config1, config2, ..Attr::default() }, Scope::Cpu(0))
}

/// A uprobe or uretprobe at a place of a file. [`Scope::Cpu`] means every process on every CPU.
pub fn uprobe(
    pmu: ProbePmu,
    path: &CStr,
    offset: u64,
    is_return: bool,
    scope: Scope,
) -> Result<OwnedFd, SysError> {
    let (config, config1) = (pmu.config(is_return), path.as_ptr() as u64);
    open(Attr { kind: pmu.kind, config, config1, config2: offset, ..Attr::default() }, scope)
}

/// Attaches a program the old way, by ioctl, and starts the event; the event owns the attachment.
pub fn set_bpf(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), SysError> {
    // SAFETY: both are live descriptors, and neither request takes a pointer.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), IOC_SET_BPF, program.as_raw_fd()) };
    checked("PERF_EVENT_IOC_SET_BPF", result.into())?;
    // SAFETY: as above.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), IOC_ENABLE, 0) };
    checked("PERF_EVENT_IOC_ENABLE", result.into()).map(drop)
}
