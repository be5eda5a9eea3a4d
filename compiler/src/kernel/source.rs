//! Where the kernel description's files come from.

use super::Error;
use std::path::{Path, PathBuf};

/// BTF of the running kernel and its modules.
pub(super) const LIVE_BTF: &str = "/sys/kernel/btf";
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

/// Whether the string section of a BTF file holds exactly this string. Used to leave files unparsed,
/// so a file with a broken header is taken to hold it.
pub(super) fn has_string(file: &[u8], name: &str) -> bool {
    // Header words of `struct btf_header`: hdr_len, type_off, type_len, str_off, str_len.
    let word = |at: usize| {
        let bytes = file.get(at..at + 4)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let strings = || {
        let start = word(4)?.checked_add(word(16)?)?;
        file.get(start..start.checked_add(word(20)?)?)
    };
    strings().is_none_or(|strings| strings.split(|byte| *byte == 0).any(|text| text == name.as_bytes()))
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
        assert!(has_string(&bytes, "int"));
        assert!(!has_string(&bytes, "in"));
        assert!(has_string(b"short", "anything"));
    }
}
