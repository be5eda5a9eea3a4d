//! Writes an outcome into one BPF instruction.
//!
//! Input    the instruction's 8-byte slot, and for a `ld_imm64` the one behind it
//! Output   the slots, rewritten in place
//! Ensures  an error leaves them as they were; registers are never touched, except by poison
//!
//! Mirrors libbpf `src/relo_core.c` (`bpf_core_patch_insn`). Encoding: kernel
//! `Documentation/bpf/standardization/instruction-set.rst`.

use super::{MemSize, Outcome};

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
    let slot = *insns.first().ok_or(PatchError::Cut)?;
    let opcode = slot[0];
    if outcome.poison {
        poison(insns)?;
        return Ok(Patched::Poisoned);
    }
    match opcode & CLASS {
        ALU | ALU64 if opcode & SRC_REGISTER == 0 => patch_imm(insns, outcome),
        LDX | ST | STX => patch_access(insns, outcome),
        LD if opcode == LD_IMM64 => patch_ld_imm64(insns, outcome),
        _ => Err(PatchError::Form { opcode }),
    }
}

const CLASS: u8 = 0x07;
const LD: u8 = 0x00;
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
const ALU: u8 = 0x04;
const ALU64: u8 = 0x07;
const SRC_REGISTER: u8 = 0x08;
const LD_IMM64: u8 = 0x18;
/// Size bits of a load or store opcode.
const SIZE: u8 = 0x18;

/// `call 195896080`: a helper that does not exist. libbpf's `bpf_core_poison_insn` chose the number
/// to read "bad relo" in hexadecimal; the verifier prints it as `invalid func unknown#195896080`.
const POISON: [u8; 8] = [0x85, 0, 0, 0, 0x10, 0x23, 0xad, 0x0b];

fn poison(insns: &mut [[u8; 8]]) -> Result<(), PatchError> {
    let is_wide = insns.first().is_some_and(|slot| slot[0] == LD_IMM64);
    let slots = insns.get_mut(..1 + usize::from(is_wide)).ok_or(PatchError::Cut)?;
    slots.fill(POISON);
    Ok(())
}

fn imm(slot: &[u8; 8]) -> i32 {
    i32::from_le_bytes([slot[4], slot[5], slot[6], slot[7]])
}

fn with_imm(slot: [u8; 8], imm: u32) -> [u8; 8] {
    let [a, b, c, d] = imm.to_le_bytes();
    [slot[0], slot[1], slot[2], slot[3], a, b, c, d]
}

fn validate(outcome: &Outcome, found: u64) -> Result<(), PatchError> {
    if outcome.validate && found != outcome.local {
        return Err(PatchError::Mismatch { found, expected: outcome.local });
    }
    Ok(())
}

/// 64-bit arithmetic sign-extends its immediate; 32-bit arithmetic drops the upper half, so there
/// an unsigned value does as well. libbpf truncates what fits neither, which would be another value.
fn patch_imm(insns: &mut [[u8; 8]], outcome: &Outcome) -> Result<Patched, PatchError> {
    let slot = insns.first_mut().ok_or(PatchError::Cut)?;
    validate(outcome, i64::from(imm(slot)).cast_unsigned())?;
    let value = outcome.value;
    let fits_signed = i32::try_from(value.cast_signed()).is_ok();
    let fits = fits_signed || slot[0] & CLASS == ALU && u32::try_from(value).is_ok();
    if !fits {
        return Err(PatchError::Range { value, field: "the immediate" });
    }
    *slot = with_imm(*slot, value as u32);
    Ok(Patched::Value)
}

fn patch_access(insns: &mut [[u8; 8]], outcome: &Outcome) -> Result<Patched, PatchError> {
    let slot = insns.first_mut().ok_or(PatchError::Cut)?;
    let off = i16::from_le_bytes([slot[2], slot[3]]);
    validate(outcome, i64::from(off).cast_unsigned())?;
    let value = outcome.value;
    let new_off = i16::try_from(value).map_err(|_| PatchError::Range { value, field: "the offset" })?;
    let mut opcode = slot[0];
    match outcome.mem_size {
        MemSize::Keep => {}
        MemSize::Incompatible => {
            *slot = POISON;
            return Ok(Patched::Poisoned);
        }
        MemSize::Change { from, to } => {
            let found = access_bytes(opcode);
            if found != from {
                return Err(PatchError::MemSize { found, expected: from });
            }
            let size = size_bits(to);
            let size = size.ok_or(PatchError::Range { value: to.into(), field: "the access size" })?;
            opcode = opcode & !SIZE | size;
        }
    }
    let [low, high] = new_off.to_le_bytes();
    *slot = [opcode, slot[1], low, high, slot[4], slot[5], slot[6], slot[7]];
    Ok(Patched::Value)
}

fn access_bytes(opcode: u8) -> u32 {
    match opcode & SIZE {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

fn size_bits(bytes: u32) -> Option<u8> {
    match bytes {
        4 => Some(0x00),
        2 => Some(0x08),
        1 => Some(0x10),
        8 => Some(0x18),
        _ => None,
    }
}

/// Only the plain form, without a pseudo source register, whose second slot holds nothing but the
/// upper half.
fn patch_ld_imm64(insns: &mut [[u8; 8]], outcome: &Outcome) -> Result<Patched, PatchError> {
    let Some([low, high]) = insns.first_chunk_mut::<2>() else { return Err(PatchError::Cut) };
    let plain = low[1] & 0xf0 == 0 && low[2..4] == [0; 2] && high[..4] == [0; 4];
    if !plain {
        return Err(PatchError::Form { opcode: low[0] });
    }
    let found = u64::from(imm(high).cast_unsigned()) << 32 | u64::from(imm(low).cast_unsigned());
    validate(outcome, found)?;
    *low = with_imm(*low, outcome.value as u32);
    *high = with_imm(*high, (outcome.value >> 32) as u32);
    Ok(Patched::Value)
}

#[cfg(test)]
mod tests {
    use super::{PatchError, Patched, patch_insn};
    use crate::core::{MemSize, Outcome};

    const KEEP: Outcome =
        Outcome { local: 8, value: 16, validate: true, poison: false, mem_size: MemSize::Keep };
    const POISON: &str = "85 00 0000 1023ad0b";

    fn parse(text: &str) -> Vec<[u8; 8]> {
        let digits: Vec<char> = text.chars().filter(|c| c.is_ascii_hexdigit()).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("hex");
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
        bytes.as_chunks::<8>().0.to_vec()
    }

    /// Patches `before` and expects `after`, or the same bytes and an error.
    fn check(before: &str, outcome: Outcome, after: Result<&str, PatchError>) {
        let mut insns = parse(before);
        let result = patch_insn(&mut insns, &outcome);
        match after {
            Ok(after) => {
                let expected = if after.starts_with("85") { Patched::Poisoned } else { Patched::Value };
                assert_eq!((result, insns), (Ok(expected), parse(after)), "{before}");
            }
            Err(error) => assert_eq!((result, insns), (Err(error), parse(before)), "{before}"),
        }
    }

    #[test]
    fn each_form_takes_its_value() {
        check("b7 01 0000 08000000", KEEP, Ok("b7 01 0000 10000000")); // r1 = 8
        check("07 01 0000 08000000", KEEP, Ok("07 01 0000 10000000")); // r1 += 8
        check("79 12 0800 00000000", KEEP, Ok("79 12 1000 00000000")); // r2 = *(u64 *)(r1 + 8)
        check("7b 21 0800 00000000", KEEP, Ok("7b 21 1000 00000000")); // *(u64 *)(r1 + 8) = r2
        check("62 01 0800 2a000000", KEEP, Ok("62 01 1000 2a000000")); // *(u32 *)(r1 + 8) = 42
        let wide = Outcome { value: 0x1_0000_0002, ..KEEP };
        check("18 01 0000 08000000 00 00 0000 00000000", wide, Ok("18 01 0000 02000000 00 00 0000 01000000"));
        let minus = Outcome { local: u64::MAX, value: u64::MAX - 1, ..KEEP };
        check("b7 01 0000 ffffffff", minus, Ok("b7 01 0000 feffffff"));
        let unsigned = Outcome { value: 0xffff_fffe, ..KEEP };
        check("b4 01 0000 08000000", unsigned, Ok("b4 01 0000 feffffff")); // w1 = 8
    }

    #[test]
    fn access_sizes_follow_unsigned_fields() {
        let change = |from, to| Outcome { mem_size: MemSize::Change { from, to }, ..KEEP };
        let load = "79 12 0800 00000000";
        check(load, change(8, 4), Ok("61 12 1000 00000000"));
        check(load, change(8, 2), Ok("69 12 1000 00000000"));
        check(load, change(8, 1), Ok("71 12 1000 00000000"));
        check("71 12 0800 00000000", change(1, 8), Ok("79 12 1000 00000000"));
        check(load, change(4, 8), Err(PatchError::MemSize { found: 8, expected: 4 }));
        check(load, change(8, 3), Err(PatchError::Range { value: 3, field: "the access size" }));
        let incompatible = Outcome { mem_size: MemSize::Incompatible, ..KEEP };
        check(load, incompatible, Ok(POISON));
        check("b7 01 0000 08000000", incompatible, Ok("b7 01 0000 10000000"));
    }

    #[test]
    fn poison_is_an_invalid_call() {
        assert_eq!(i32::from_le_bytes([0x10, 0x23, 0xad, 0x0b]), 195_896_080);
        let poison = Outcome { poison: true, ..KEEP };
        check("79 12 0900 00000000", poison, Ok(POISON));
        let twice = format!("{POISON} {POISON}");
        check("18 01 0000 08000000 00 00 0000 00000000", poison, Ok(&twice));
        check("18 01 0000 08000000", poison, Err(PatchError::Cut));
    }

    #[test]
    fn what_cannot_be_patched_says_why() {
        check("", KEEP, Err(PatchError::Cut));
        check("b7 01 0000 09000000", KEEP, Err(PatchError::Mismatch { found: 9, expected: 8 }));
        check("79 12 0900 00000000", KEEP, Err(PatchError::Mismatch { found: 9, expected: 8 }));
        check("79 12 0900 00000000", Outcome { validate: false, ..KEEP }, Ok("79 12 1000 00000000"));
        check("bf 12 0000 08000000", KEEP, Err(PatchError::Form { opcode: 0xbf })); // r2 = r1
        check("05 00 0800 00000000", KEEP, Err(PatchError::Form { opcode: 0x05 })); // goto
        check("18 11 0000 08000000 00 00 0000 00000000", KEEP, Err(PatchError::Form { opcode: 0x18 }));
        check("18 01 0000 08000000", KEEP, Err(PatchError::Cut));
        let far = Outcome { value: 0x8000, ..KEEP };
        check("79 12 0800 00000000", far, Err(PatchError::Range { value: 0x8000, field: "the offset" }));
        let big = Outcome { value: 0x8000_0000, ..KEEP };
        check(
            "b7 01 0000 08000000",
            big,
            Err(PatchError::Range { value: 0x8000_0000, field: "the immediate" }),
        );
    }
}
