//! Tracepoints by category.
//!
//! The live host's tracefs tells which exist. Without it the tables of `stdlib` give the categories, and
//! BTF tells which of those this kernel has: every tracepoint leaves a typedef `btf_trace_<event>`
//! (`include/trace/bpf_probe.h`), every system call's function one of the names in `SYSCALL_PREFIXES`.

use super::pattern::matches;
use super::{BtfId, Kernel};
use btf::{FuncProto, Kind, NameIndex, Type};

/// Category of the system calls.
pub const SYSCALLS: &str = "syscalls";
const ENTER: &str = "sys_enter_";
const EXIT: &str = "sys_exit_";
/// Names that machines give to the functions of system calls.
const SYSCALL_PREFIXES: &[&str] = &["__x64_sys_", "__arm64_sys_", "__s390x_sys_", "__riscv_sys_", "sys_"];

/// Whether a system call's tracepoint is at the entry, and the call's name.
pub fn syscall_event(event: &str) -> Option<(bool, &str)> {
    let enter = event.strip_prefix(ENTER).map(|name| (true, name));
    enter.or_else(|| event.strip_prefix(EXIT).map(|name| (false, name)))
}

impl Kernel {
    /// Categories and events that match, sorted.
    pub fn events(&self, category: &str, event: &str) -> Vec<(String, String)> {
        if let Some(mut events) = self.source.events() {
            events.retain(|(c, e)| matches(category, c) && matches(event, e));
            return events;
        }
        let known = stdlib::tracepoints().map(|t| (t.category, t.event.to_owned()));
        let mut events: Vec<_> = known.chain(syscall_events()).collect();
        events.retain(|(c, e)| matches(category, c) && matches(event, e));
        self.retain_existing(&mut events);
        let events = events.into_iter().map(|(category, event)| (category.to_owned(), event));
        let mut events: Vec<_> = events.chain(self.module_events(category, event)).collect();
        events.sort_unstable();
        events.dedup();
        events
    }

    /// Events of the modules called as the category. No table knows the events of all modules; nearly
    /// all use their module's name.
    fn module_events(&self, category: &str, event: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for file in self.files_matching(category).into_iter().filter(|file| *file != BtfId::VMLINUX) {
            let types = self.btf(file);
            for id in types.ids() {
                let Ok(Type::Typedef { name, .. }) = types.ty(id) else { continue };
                let Some(name) = name.strip_prefix("btf_trace_").filter(|name| matches(event, name)) else {
                    continue;
                };
                let known = stdlib::tracepoints().filter(|t| t.event == name).map(|t| t.category);
                let known = known.chain([self.name(file)]).find(|known| matches(category, known));
                found.extend(known.map(|known| (known.to_owned(), name.to_owned())));
            }
        }
        found
    }

    /// Whether the event exists; `None` if nothing can tell.
    pub fn has_event(&self, category: &str, event: &str) -> Option<bool> {
        if let Some(answer) = self.source.has_event(category, event) {
            return Some(answer);
        }
        if category == SYSCALLS {
            return Some(syscall_event(event).is_some_and(|(_, name)| self.has_syscall(name)));
        }
        let mut categories =
            stdlib::tracepoints().filter(|t| t.event == event).map(|t| t.category).peekable();
        if categories.peek().is_some() && categories.all(|known| known != category) {
            return Some(false);
        }
        Some(!self.event_files(category, event).is_empty())
    }

    /// Files that have the event: the module called as the category, else vmlinux, else modules.
    pub fn event_files(&self, category: &str, event: &str) -> Vec<BtfId> {
        let typedef = typedef_of(event);
        let in_file = |id: &BtfId| self.btf(*id).find(&typedef, Kind::Typedef).next().is_some();
        let named = self.find(category).ok().flatten().into_iter();
        match named.chain([BtfId::VMLINUX]).find(in_file) {
            Some(file) => vec![file],
            None => self.modules_with(&typedef).into_iter().filter(in_file).collect(),
        }
    }

    /// The format file of an event, on a live host.
    pub fn event_format(&self, category: &str, event: &str) -> Option<String> {
        self.source.event_format(category, event)
    }

    fn has_syscall(&self, name: &str) -> bool {
        let function = |prefix: &&str| {
            self.btf(BtfId::VMLINUX).find(&format!("{prefix}{name}"), Kind::Func).next().is_some()
        };
        SYSCALL_PREFIXES.iter().any(function)
    }

    /// Names of a raw tracepoint's arguments, if it has `len` parameters with the tracer's own.
    /// Prototypes behind pointers have none, but the functions made from the same macro
    /// (`include/trace/bpf_probe.h`, `include/linux/tracepoint.h`) do.
    pub fn raw_event_names(&self, file: BtfId, event: &str, len: usize) -> Vec<String> {
        let types = self.btf(file);
        let signature = |twin: String| {
            let Ok(Type::Func { proto, .. }) = types.ty(types.find(&twin, Kind::Func).next()?) else {
                return None;
            };
            match types.ty(proto) {
                Ok(Type::FuncProto(twin)) => Some(twin),
                _ => None,
            }
        };
        names_of(twins_of(event).filter_map(signature), len)
    }

    /// Indexes vmlinux's names once if there are many to test. Modules are asked only for what the
    /// script spells out: otherwise a pattern would open all of them.
    fn retain_existing(&self, events: &mut Vec<(&str, String)>) {
        let vmlinux = self.btf(BtfId::VMLINUX);
        let index = NameIndex::new(vmlinux, btf::KindSet::of(&[Kind::Typedef, Kind::Func]));
        let has = |name: String| index.find(vmlinux, &name).next().is_some();
        events.retain(|(category, event)| match syscall_event(event) {
            Some((_, name)) if *category == SYSCALLS => {
                SYSCALL_PREFIXES.iter().any(|prefix| has(format!("{prefix}{name}")))
            }
            _ => has(typedef_of(event)),
        });
    }
}

/// The typedef that every tracepoint leaves in BTF.
pub fn typedef_of(event: &str) -> String {
    format!("btf_trace_{event}")
}

/// Functions made from the same macro as the tracepoint; the last is its class's.
pub(super) fn twins_of(event: &str) -> impl Iterator<Item = String> {
    let class = move || stdlib::tracepoints().find(|t| t.event == event).map_or(event, |t| t.class);
    let of_class = std::iter::once_with(move || format!("__bpf_trace_{}", class()));
    [format!("__probestub_{event}"), format!("__bpf_trace_{event}")].into_iter().chain(of_class)
}

/// Names of the parameters behind the tracer's own: of the first signature with `len` of them.
pub(super) fn names_of<'a>(mut twins: impl Iterator<Item = FuncProto<'a>>, len: usize) -> Vec<String> {
    let twin = twins.find(|twin| twin.len() == len);
    twin.into_iter().flat_map(|twin| twin.params().skip(1)).map(|param| param.name.to_owned()).collect()
}

fn syscall_events() -> impl Iterator<Item = (&'static str, String)> {
    stdlib::syscall_names().flat_map(|name| [ENTER, EXIT].map(|prefix| (SYSCALLS, format!("{prefix}{name}"))))
}
