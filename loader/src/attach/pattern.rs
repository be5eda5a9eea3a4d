//! Matches of a pattern that cannot be attached to on this host.
//!
//! The compiler makes a program for each match of `fentry:tun:*` in the kernel it builds for. Another kernel lacks some
//! of these functions, has inlined them, or refuses them.
//!
//! Ensures  such a match is left out, `-v` says why; a pattern that has none left is like an attach point that does not
//!          exist
//! Absences a program that is wrong stays an error: only what the kernel says of the attach point counts

use super::{Absent, missing};
use crate::error::Error;
use crate::object::Object;
use crate::sys::SysError;
use std::collections::{BTreeMap, BTreeSet};

/// The matches that are left out, by index of the probe.
#[derive(Debug, Default)]
pub struct Skipped {
    verbose: bool,
    why: BTreeMap<usize, String>,
    /// First matches of the patterns that are known to have none left.
    empty: BTreeSet<usize>,
}

impl Skipped {
    /// None yet. With `verbose`, each will be said on stderr.
    pub fn new(verbose: bool) -> Self {
        Self { verbose, ..Self::default() }
    }

    /// Gives probes another chance.
    pub(super) fn retry(&mut self, probes: &[usize]) {
        self.why.retain(|index, _| !probes.contains(index));
    }

    /// Leaves a probe out if it is a match of a pattern. Returns whether it is.
    pub(super) fn skip(&mut self, object: &Object, index: usize, why: &str) -> bool {
        let Some(probe) = object.manifest.probes.get(index).filter(|probe| probe.pattern.is_some()) else {
            return false;
        };
        if self.verbose {
            let because = if why.is_empty() { String::new() } else { format!(": {why}") };
            eprintln!("skipped {}{because}", probe.name);
        }
        self.why.insert(index, why.to_owned());
        true
    }

    /// Leaves a probe out if the error is about its attach point.
    pub fn skip_refused(&mut self, object: &Object, index: usize, error: Error) -> Result<(), Error> {
        match refusal(&error) {
            Some(why) if self.skip(object, index, &why) => Ok(()),
            _ => Err(error),
        }
    }

    /// Treats patterns that have nothing left as the script's `missing_probes` says.
    pub fn settle(&mut self, object: &Object, warn: &mut dyn FnMut(&str)) -> Result<(), Error> {
        if self.why.is_empty() {
            return Ok(());
        }
        let probes = &object.manifest.probes;
        let mut patterns: BTreeMap<(u32, &str), (usize, bool)> = BTreeMap::new();
        for (index, probe) in probes.iter().enumerate() {
            let Some(pattern) = &probe.pattern else { continue };
            let (_, is_empty) = patterns.entry((probe.line, pattern)).or_insert((index, true));
            *is_empty &= self.why.contains_key(&index);
        }
        for ((line, pattern), (first, is_empty)) in patterns {
            if is_empty && self.empty.insert(first) {
                let why = Absent(self.why.get(&first).cloned().unwrap_or_default());
                let mut others = probes.iter().enumerate().filter(|(_, probe)| probe.line == line);
                let is_alone = others.all(|(index, _)| self.why.contains_key(&index));
                missing(object, pattern, &why, is_alone, warn)?;
            }
        }
        Ok(())
    }
}

/// What an error says of the attach point, if it is about that.
fn refusal(error: &Error) -> Option<String> {
    match error {
        Error::Prototype(_) | Error::AmbiguousFunction { .. } => Some(error.to_string()),
        Error::Verifier(refusal) => refusal.of_target(),
        Error::Load { error, .. } if is_refusal(*error) => Some(error.to_string()),
        _ => None,
    }
}

/// Whether the kernel answers so to an attach point that it cannot use: not known, not traceable, more arguments than
/// its trampolines pass on (524 is its own `ENOTSUPP`), or too many programs there.
pub(super) fn is_refusal(error: SysError) -> bool {
    matches!(
        error.errno,
        libc::ENOENT | libc::ENODEV | libc::EINVAL | libc::EBUSY | libc::E2BIG | libc::EOPNOTSUPP | 524
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{open, sample};
    use manifest::MissingProbes;
    use std::sync::Arc;

    /// The sample, of whose probes the last `matches` are those of a pattern.
    fn object(matches: usize, policy: MissingProbes) -> (Object, Vec<usize>) {
        let mut object = open::parse(&sample::object()).expect("opens");
        let manifest = Arc::make_mut(&mut object.manifest);
        manifest.config.missing_probes = policy;
        let from = manifest.probes.len() - matches;
        for (line, probe) in (1..).zip(&mut manifest.probes) {
            probe.line = line;
        }
        for probe in &mut manifest.probes[from..] {
            (probe.line, probe.pattern) = (100, Some("fentry:tun:*".into()));
        }
        (object, (from..from + matches).collect())
    }

    fn said(object: &Object, skipped: &mut Skipped) -> (Vec<String>, Option<String>) {
        let mut texts = Vec::new();
        let result = skipped.settle(object, &mut |text| texts.push(text.to_owned()));
        (texts, result.err().map(|error| error.to_string()))
    }

    #[test]
    fn a_pattern_with_matches_left_is_quiet() {
        let (object, matches) = object(2, MissingProbes::Error);
        let mut skipped = Skipped::default();
        assert!(skipped.skip(&object, matches[0], "inlined"));
        assert_eq!(said(&object, &mut skipped), (vec![], None));
    }

    #[test]
    fn a_pattern_with_none_left_is_a_missing_probe() {
        let text = "No matches for fentry tun:*. inlined.";
        let (object, matches) = object(2, MissingProbes::Error);
        let mut skipped = Skipped::default();
        assert!(matches.iter().all(|&index| skipped.skip(&object, index, "inlined")));
        assert_eq!(said(&object, &mut skipped), (vec![], Some(text.into())));
    }

    #[test]
    fn a_warning_comes_once_and_a_module_may_come_back() {
        let (object, matches) = object(2, MissingProbes::Warn);
        let mut skipped = Skipped::default();
        assert!(matches.iter().all(|&index| skipped.skip(&object, index, "inlined")));
        let (texts, error) = said(&object, &mut skipped);
        assert_eq!((texts.len(), error), (2, None), "{texts:?}");
        assert_eq!(texts[0], "No matches for fentry tun:*. inlined. Skipping.");
        assert_eq!(said(&object, &mut skipped), (vec![], None));
        skipped.retry(&matches);
        assert!(skipped.why.is_empty());
    }

    #[test]
    fn only_the_attach_point_is_forgiven() {
        let (object, matches) = object(1, MissingProbes::Error);
        let failed = |errno| Error::Load {
            program: "p".into(),
            probe: "fentry:tun:f".into(),
            error: SysError { call: "BPF_PROG_LOAD", errno },
        };
        let mut skipped = Skipped::default();
        for (errno, is_skipped) in
            [(libc::EINVAL, true), (524, true), (libc::EPERM, false), (libc::ENOMEM, false)]
        {
            assert_eq!(skipped.skip_refused(&object, matches[0], failed(errno)).is_ok(), is_skipped);
            assert!(skipped.skip_refused(&object, 0, failed(errno)).is_err(), "not a pattern's");
        }
    }
}
