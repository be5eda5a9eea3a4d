//! The number a relocation puts into its instruction.
use super::{Candidate, CoreError, Spec};

/// What to do with an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Value by the local types: what the instruction holds, if `validate`.
    pub local: u64,
    /// Value by the target's types: what it is to hold.
    pub value: u64,
    /// The instruction must hold `local` before it is patched.
    pub validate: bool,
    /// The target has no such field or value: make the instruction invalid.
    pub poison: bool,
    /// Access size of a load or store, when the field's size differs.
    pub mem_size: MemSize,
}

/// How a load or store must change with its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemSize {
    /// As it is.
    Keep,
    /// From one size in bytes to another; both read the same unsigned value.
    Change {
        /// Size of the local field.
        from: u32,
        /// Size of the target's field.
        to: u32,
    },
    /// Sizes differ and the value would be wrong (signed, or not an integer): loads and stores
    /// are poisoned, other instructions are patched.
    Incompatible,
}

/// A relocation, resolved.
#[derive(Debug, Clone)]
pub struct Resolution<'t> {
    /// What to do.
    pub outcome: Outcome,
    /// Where the path was found; `None` if nowhere, or if the kind looks nowhere.
    pub target: Option<Spec<'t>>,
}

/// The outcome, given where the path was found. libbpf's `bpf_core_calc_relo`.
///
/// # Errors
/// For relocations that make no sense for their path, and for corrupt BTF.
pub fn compute(local: &Spec<'_>, target: Option<&Spec<'_>>) -> Result<Outcome, CoreError> {
    let _ = (local, target);
    Err(CoreError::TooLong)
}

/// Matches all candidates, which must agree. Without any, existence is 0 and values are poisoned.
///
/// # Errors
/// [`CoreError::Ambiguous`]; as [`compute`].
pub fn resolve<'t>(local: &Spec<'_>, candidates: &[Candidate<'t>]) -> Result<Resolution<'t>, CoreError> {
    let _ = (local, candidates);
    Err(CoreError::TooLong)
}

pub(super) fn local_value(spec: &Spec<'_>) -> Result<u64, CoreError> {
    let _ = spec;
    Err(CoreError::TooLong)
}
