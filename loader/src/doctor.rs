//! `sonde doctor`: what this host offers, on one screen. Changes nothing and needs no privilege.

use crate::features::Features;
use crate::kernel::types::KernelTypes;
use crate::kernel::{cpus, tracefs};
use crate::sys::host;
use btf::Kind;
use std::fmt::Write;

/// Capabilities that matter, by bit number (`include/uapi/linux/capability.h`).
const CAPABILITIES: [(u8, &str); 5] =
    [(39, "BPF"), (38, "PERFMON"), (21, "SYS_ADMIN"), (34, "SYSLOG"), (2, "DAC_READ_SEARCH")];

/// The report.
pub fn report() -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<22} {value}");
    };
    let (release, machine) = host::kernel();
    line("kernel", format!("{release} {machine}"));
    line("CPUs", cpus::online().map_or_else(|e| e.to_string(), |cpus| format!("{} online", cpus.len())));
    line("memory available", format!("{} MiB", host::memory_available() >> 20));

    let mut kernel = KernelTypes::new(false);
    match kernel.vmlinux() {
        Ok(types) => {
            line("kernel types (BTF)", format!("yes, {} types", types.len()));
            let has = |name: &str, kind: Kind| yes_no(types.find(name, kind).next().is_some());
            line("ring buffer (5.8)", has("bpf_ringbuf", Kind::Struct));
            line("perf links (5.15)", has("bpf_perf_link", Kind::Struct));
            line("fentry, fexit (5.5)", has("bpf_trampoline", Kind::Struct));
            let multi = Features::default().kprobe_multi(&mut kernel);
            line("kprobe_multi (5.18)", multi.map_or_else(|error| error.to_string(), yes_no));
            let uprobe = has("bpf_uprobe_multi_link", Kind::Struct);
            line("uprobe_multi (6.6)", uprobe);
        }
        Err(error) => line("kernel types (BTF)", format!("no: {}", crate::error::chain(&error))),
    }
    line(
        "module types (BTF)",
        match kernel.module_names().len() {
            0 => "none".into(),
            count => format!("{count} modules"),
        },
    );
    line(
        "tracefs",
        tracefs::root().map_or("not mounted or not readable".into(), |r| r.display().to_string()),
    );
    let kprobe = std::path::Path::new("/sys/bus/event_source/devices/kprobe/type").exists();
    line("kprobe events (4.17)", yes_no(kprobe));
    line("lockdown", lockdown());
    let unprivileged = std::fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled");
    line(
        "unprivileged BPF",
        match unprivileged.as_deref().map(str::trim) {
            Ok("0") => "allowed".into(),
            Ok("1") => "disabled for good".into(),
            Ok("2") => "disabled".into(),
            _ => "unknown".into(),
        },
    );
    line("capabilities", capabilities());
    text
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.into()
}

fn lockdown() -> String {
    let modes = std::fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    let mode = modes.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(mode, _)| mode);
    match mode {
        None => "none (securityfs not mounted, or no lockdown)".into(),
        Some("confidentiality") => {
            "confidentiality: only fentry, fexit, raw tracepoints and timers, without reading kernel memory"
                .into()
        }
        Some(mode) => mode.into(),
    }
}

fn capabilities() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let held = CAPABILITIES.iter().map(|&(bit, name)| {
        let sign = if mask >> bit & 1 == 1 { '+' } else { '-' };
        format!("{sign}{name}")
    });
    held.collect::<Vec<_>>().join(" ")
}
