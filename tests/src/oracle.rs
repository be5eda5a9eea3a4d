//! The reference tracer's output for a case, remembered: its start takes many seconds under emulation.
//!
//! A result is keyed by everything that shapes it (script, conditions, kernel release, package version)
//! and kept under the laboratory, never in the tree.

use crate::case::Case;
use crate::job::Outcome;
use crate::{Failure, lab};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

const KINDS: [&str; 4] = ["out", "err", "trigger", "json"];

/// Where results for `case` on `kernel` are or will be.
#[derive(Debug, Clone)]
pub struct Slot {
    dir: PathBuf,
    key: String,
}

/// The slot of `case` on `kernel`.
pub fn slot(case: &Case, kernel: &str) -> Result<Slot, Failure> {
    let mut hash = DefaultHasher::new();
    std::fs::read(&case.script).map_err(|e| format!("{}: {e}", case.script.display()))?.hash(&mut hash);
    (&case.before, &case.trigger, &case.after, case.interrupt_after_ms).hash(&mut hash);
    (&case.args, &case.params, &case.modules).hash(&mut hash);
    (lab::release(kernel)?, lab::oracle_version()?).hash(&mut hash);
    let key = format!("{}-{kernel}-{:016x}", case.name.replace('/', "-"), hash.finish());
    Ok(Slot { dir: lab::lab().join("oracle"), key })
}

impl Slot {
    /// The remembered result.
    pub fn try_read(&self) -> Option<Outcome> {
        Outcome::try_read(&self.dir, &self.key)
    }

    /// Remembers what job `id` left in `share`; a result that failed is worth nothing later.
    pub fn keep(&self, share: &Path, id: &str) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.dir).map_err(|e| format!("{}: {e}", self.dir.display()))?;
        for kind in KINDS {
            let to = self.dir.join(format!("{}.{kind}", self.key));
            std::fs::copy(share.join(format!("{id}.{kind}")), &to)
                .map_err(|e| format!("{}: {e}", to.display()))?;
        }
        Ok(())
    }
}
