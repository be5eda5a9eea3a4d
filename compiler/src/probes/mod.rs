//! Probe kinds: one file each, with the section its programs go to, where they attach, and where
//! arguments and results are.
//!
//! Section names are libbpf's (CONVENTIONS section 2). What they cannot say, such as a module, is in
//! the manifest.

mod btf_programs;
pub mod kprobe;
mod special;
mod timer;
mod tracepoint;
mod uprobe;

use manifest::AttachPoint;

use crate::lower::{Lower, Pure, helper};
use crate::resolve::{Kind, Target};

/// What the compiler knows of a kind of probe.
struct Record {
    /// ELF section of its programs.
    section: String,
    /// Where the loader attaches them.
    at: AttachPoint,
}

fn record(target: &Target) -> Record {
    match &target.kind {
        Kind::Begin => special::begin(),
        Kind::End => special::end(),
        Kind::SelfSignal(signal) => special::signal(signal),
        Kind::Kprobe(kprobe) => kprobe::entry(kprobe),
        Kind::Kretprobe(kprobe) => kprobe::exit(kprobe),
        Kind::Uprobe(uprobe) => uprobe::entry(uprobe),
        Kind::Uretprobe(uprobe) => uprobe::exit(uprobe),
        Kind::Fentry(func) => btf_programs::fentry(func),
        Kind::Fexit(func) => btf_programs::fexit(func),
        Kind::RawTracepoint(func) => btf_programs::raw_tracepoint(func),
        Kind::Tracepoint { category, event, .. } => tracepoint::record(category, event),
        Kind::Profile(period) => timer::profile(*period),
        Kind::Interval(period) => timer::interval(*period),
    }
}

/// ELF section of a program.
pub(crate) fn section(target: &Target) -> String {
    record(target).section
}

/// The manifest's entry for a program.
pub(crate) fn attach_point(target: &Target) -> AttachPoint {
    record(target).at
}

/// The function that is being traced.
pub(crate) fn traced_function(l: &mut Lower<'_>) -> cranelift_codegen::ir::Value {
    if let Some(known) = l.facts.get(Pure::FuncIp) {
        return known;
    }
    let ctx = l.context();
    let ip = l.call_helper(helper::GET_FUNC_IP, &[ctx]);
    l.facts.set(Pure::FuncIp, ip);
    ip
}
