//! Symbols: what the script calls things, spelled as the kernel accepts it (CONVENTIONS section 4).

use std::collections::HashSet;

use manifest::GlobalRole;

/// Symbols given out so far.
#[derive(Debug, Default)]
pub(crate) struct Unique {
    taken: HashSet<String>,
}

impl Unique {
    /// Keeps a symbol from being given out.
    pub(crate) fn reserve(&mut self, symbol: &str) {
        self.taken.insert(symbol.to_owned());
    }

    /// `wanted` cut to `max` bytes; with a number at the end if that is taken.
    pub(crate) fn take(&mut self, wanted: &str, max: usize) -> String {
        let mut symbol = wanted[..wanted.len().min(max)].to_owned();
        let mut number = 0;
        while !self.taken.insert(symbol.clone()) {
            number += 1;
            let tail = format!("_{number}");
            let room = max.saturating_sub(tail.len()).min(wanted.len());
            symbol = format!("{}{tail}", &wanted[..room]);
        }
        symbol
    }
}

/// `@lat` as a symbol: `AT_lat`.
pub(crate) fn of_map(name: &str) -> String {
    format!("AT_{}", name.trim_start_matches('@'))
}

/// Letters, digits and `_` of `text`, anything else a `_`.
pub(crate) fn identifier(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    let mut name: String = clean.collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// A program's name: what it attaches to, at most 63 bytes as functions in BTF may have
/// (`KSYM_NAME_LEN` of old kernels).
pub(crate) fn of_program(probe: &str) -> String {
    let mut name = identifier(probe);
    name.truncate(56);
    name
}

/// A name for a global.
pub(crate) fn of_global(role: &GlobalRole) -> String {
    match role {
        GlobalRole::Ncpus => "sonde_ncpus".into(),
        GlobalRole::MaxCpuId => "sonde_max_cpu".into(),
        GlobalRole::ChildPid => "sonde_cpid".into(),
        GlobalRole::StartNs => "sonde_start_ns".into(),
        GlobalRole::TaiOffset => "sonde_tai_offset".into(),
        GlobalRole::KernelSymbol(name) => format!("kaddr_{}", identifier(name)),
        GlobalRole::CgroupId(path) => format!("cgroup_{}", identifier(path)),
        GlobalRole::PositionalInt(index) => format!("param_{index}"),
        GlobalRole::PositionalStr { index, .. } => format!("param_{index}_str"),
        GlobalRole::PositionalCount => "param_count".into(),
        GlobalRole::Named(parameter) => format!("opt_{}", identifier(&parameter.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_symbols_are_short_and_unique() {
        let mut names = Unique::default();
        let take = |names: &mut Unique, map: &str| names.take(&of_map(map), 15);
        assert_eq!(take(&mut names, "@"), "AT_");
        assert_eq!(take(&mut names, "@bytes_per_process"), "AT_bytes_per_pr");
        assert_eq!(take(&mut names, "@bytes_per_proto"), "AT_bytes_per__1");
    }

    #[test]
    fn program_names_are_identifiers() {
        assert_eq!(of_program("fentry:nf_tables:nf_tables_newtable"), "fentry_nf_tables_nf_tables_newtable");
        assert_eq!(of_program("interval:s:1"), "interval_s_1");
    }
}
