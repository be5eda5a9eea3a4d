//! Where the kernel description's files come from.

use super::{Error, ModuleState};
use memchr::memmem;
use std::path::{Path, PathBuf};

/// BTF of the running kernel and its modules.
pub(super) const LIVE_BTF: &str = "/sys/kernel/btf";
/// Modules of the running kernel.
const MODULES: &str = "/sys/module";
/// Where tracefs is mounted, by preference (`Documentation/trace/ftrace.rst`).
const TRACEFS: &[&str] = &["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Functions that kprobes refuse (`Documentation/trace/kprobes.rst`, "Blacklist").
const BLACKLIST: &str = "/sys/kernel/debug/kprobes/blacklist";

/// What there is beside BTF.
#[derive(Debug)]
pub enum Source {
    /// BTF files only.
    Files,
    /// The running kernel.
    Live {
        /// Folder of tracefs, if it can be read.
        tracefs: Option<PathBuf>,
    },
}

impl Source {
    pub(super) fn live() -> Source {
        let readable = |path: &&&str| Path::new(path).join("events").read_dir().is_ok();
        Source::Live { tracefs: TRACEFS.iter().find(readable).map(PathBuf::from) }
    }

    fn tracefs(&self) -> Option<&Path> {
        match self {
            Source::Files => None,
            Source::Live { tracefs } => tracefs.as_deref(),
        }
    }

    /// Text of `available_filter_functions`.
    pub(super) fn traceable(&self) -> Option<String> {
        std::fs::read_to_string(self.tracefs()?.join("available_filter_functions")).ok()
    }

    /// Functions that kprobes refuse, as [`parse_traceable`] gives them, sorted; none if the host does not
    /// tell.
    pub(super) fn blacklist(&self) -> Vec<(String, String)> {
        let Source::Live { .. } = self else { return Vec::new() };
        let text = std::fs::read_to_string(BLACKLIST).unwrap_or_default();
        // After a range of addresses come the same words.
        let places = text.lines().filter_map(|line| parse_traceable(line.split_once('\t')?.1));
        let mut places: Vec<_> = places.map(|(module, name)| (module.to_owned(), name.to_owned())).collect();
        places.sort_unstable();
        places
    }

    /// What the host says of a module that has no BTF.
    pub(super) fn module_state(&self, name: &str) -> ModuleState {
        let folder = Path::new(MODULES).join(name);
        match self {
            Source::Files => ModuleState::Unknown,
            // Built-in ones are there for their parameters, and have no state.
            Source::Live { .. } if folder.join("initstate").exists() => ModuleState::Loaded,
            Source::Live { .. } if folder.exists() => ModuleState::BuiltIn,
            Source::Live { .. } => ModuleState::Absent,
        }
    }

    /// Categories and events of tracefs, sorted.
    pub(super) fn events(&self) -> Option<Vec<(String, String)>> {
        let text = std::fs::read_to_string(self.tracefs()?.join("available_events")).ok()?;
        let events = text.lines().filter_map(|line| line.split_once(':'));
        let mut events: Vec<_> =
            events.map(|(category, event)| (category.to_owned(), event.to_owned())).collect();
        events.sort_unstable();
        Some(events)
    }

    /// An event's format file.
    pub(super) fn event_format(&self, category: &str, event: &str) -> Option<String> {
        let path = self.tracefs()?.join("events").join(category).join(event).join("format");
        std::fs::read_to_string(path).ok()
    }

    /// Whether tracefs has the event; `None` if there is no tracefs to ask.
    pub(super) fn has_event(&self, category: &str, event: &str) -> Option<bool> {
        Some(self.tracefs()?.join("events").join(category).join(event).is_dir())
    }
}

/// Module and name of `name` or `name [module]`, but for what the kernel's own tests leave alone when
/// they hook everything (`skip_entry` in `tools/testing/selftests/bpf/trace_helpers.c`).
pub(super) fn parse_traceable(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next()?;
    let left_alone = matches!(name, "arch_cpu_idle" | "bpf_dispatcher_xdp_func")
        || name.starts_with("rcu_")
        || name.starts_with("__ftrace_invalid_address__");
    (!left_alone).then(|| (words.next().map_or("", |word| word.trim_matches(['[', ']'])), name))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Every file of the folder but vmlinux.
pub(super) fn modules_in(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let entries = folder.read_dir().map_err(|source| Error::Read { path: folder.to_owned(), source })?;
    let named =
        entries.flatten().filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    Ok(named.filter(|(name, _)| name != super::VMLINUX).collect())
}

/// Types and strings of a BTF file, found without parsing it.
fn sections(file: &[u8]) -> Option<(&[u8], &[u8])> {
    // Header words of `struct btf_header`: hdr_len, type_off, type_len, str_off, str_len.
    let word = |at: usize| {
        let bytes = file.get(at..at + 4)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let section = |at: usize| {
        let start = word(4)?.checked_add(word(at)?)?;
        file.get(start..start.checked_add(word(at + 4)?)?)
    };
    Some((section(8)?, section(16)?))
}

/// Where the string section of a BTF file has this string, also as the tail of another.
pub(super) fn offsets(file: &[u8], name: &str) -> Vec<u32> {
    let Some((_, strings)) = sections(file) else { return Vec::new() };
    let needle = [name.as_bytes(), b"\0"].concat();
    memmem::find_iter(strings, &needle).filter_map(|at| u32::try_from(at).ok()).collect()
}

/// Whether something in a module's BTF may have this name. Used to leave files unparsed, so one with
/// a broken header may. A split BTF does not repeat strings of its base but refers to them: `base`
/// is where vmlinux has the name.
pub(super) fn mentions(file: &[u8], name: &str, base: &[u32]) -> bool {
    let Some((types, _)) = sections(file) else { return true };
    let refers = |word: &[u8; 4]| base.contains(&u32::from_le_bytes(*word));
    !offsets(file, name).is_empty() || !base.is_empty() && types.as_chunks::<4>().0.iter().any(refers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_traceable_functions() {
        assert_eq!(parse_traceable("vfs_read"), Some(("", "vfs_read")));
        assert_eq!(parse_traceable("nft_do_chain [nf_tables]"), Some(("nf_tables", "nft_do_chain")));
        assert_eq!(parse_traceable(""), None);
        assert_eq!(parse_traceable("rcu_barrier"), None);
        assert_eq!(parse_traceable("__ftrace_invalid_address___1028 [kvm]"), None);
    }

    #[test]
    fn strings_of_a_file() {
        let mut b = btf::Builder::new();
        b.add_int("int", 4, btf::IntEncoding::default());
        let bytes = b.finish().expect("small");
        assert!(mentions(&bytes, "int", &[]));
        assert!(!mentions(&bytes, "in", &[]));
        assert!(mentions(b"short", "anything", &[]));
        let base = offsets(&bytes, "int");
        let mut split = btf::Builder::split(std::sync::Arc::new(btf::Btf::from_vec(bytes).expect("written")));
        split.add_fwd("other", false);
        assert!(!mentions(&split.finish().expect("small"), "int", &base));
        let mut b = btf::Builder::new();
        b.add_int("int", 4, btf::IntEncoding::default());
        let mut split = btf::Builder::split(std::sync::Arc::new(
            btf::Btf::from_vec(b.finish().expect("small")).expect("written"),
        ));
        split.add_fwd("int", false);
        assert!(mentions(&split.finish().expect("small"), "int", &base));
    }
}
