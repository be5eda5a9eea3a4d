//! kprobe and kretprobe: the context is the CPU's registers, at x86-64's fixed places.

use manifest::AttachPoint;

use super::Record;
use crate::lower::{Lower, Mem, Region};
use crate::resolve::Kprobe;

/// Registers of `struct pt_regs` on x86-64, with their offsets (`arch/x86/include/asm/ptrace.h`).
pub const REGISTERS: &[(&str, u32)] = &[
    ("r15", 0),
    ("r14", 8),
    ("r13", 16),
    ("r12", 24),
    ("bp", 32),
    ("bx", 40),
    ("r11", 48),
    ("r10", 56),
    ("r9", 64),
    ("r8", 72),
    ("ax", 80),
    ("cx", 88),
    ("dx", 96),
    ("si", 104),
    ("di", 112),
    ("orig_rax", 120),
    ("orig_ax", 120),
    ("ip", 128),
    ("pc", 128),
    ("cs", 136),
    ("flags", 144),
    ("sp", 152),
    ("ss", 160),
];

/// Registers that hold a function's arguments, in order.
pub const ARGUMENTS: &[&str] = &["di", "si", "dx", "cx", "r8", "r9"];

/// The register that holds a function's result.
pub const RESULT: &str = "ax";

/// The register that holds the address of the instruction at hand.
pub const INSTRUCTION: &str = "ip";

pub(super) fn entry(kprobe: &Kprobe) -> Record {
    let Kprobe { module, function, offset, pattern } = kprobe;
    let section = match (pattern, offset) {
        (true, _) => format!("kprobe.multi/{function}"),
        (false, 0) => format!("kprobe/{function}"),
        (false, offset) => format!("kprobe/{function}+{offset:#x}"),
    };
    let at = AttachPoint::Kprobe { module: module.clone(), function: function.clone(), offset: *offset };
    Record { section, at }
}

pub(super) fn exit(kprobe: &Kprobe) -> Record {
    let Kprobe { module, function, pattern, .. } = kprobe;
    let kind = if *pattern { "kretprobe.multi" } else { "kretprobe" };
    let at = AttachPoint::Kretprobe { module: module.clone(), function: function.clone() };
    Record { section: format!("{kind}/{function}"), at }
}

/// The register's value, or `None` if there is no such register.
pub(crate) fn read_register(l: &mut Lower<'_>, name: &str) -> Option<cranelift_codegen::ir::Value> {
    let (_, offset) = REGISTERS.iter().find(|(register, _)| *register == name)?;
    let ctx = l.context();
    Some(l.load_u64(Mem::at(ctx, Region::Context).plus(*offset)))
}
