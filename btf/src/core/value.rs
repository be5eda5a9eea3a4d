//! The number a relocation puts into its instruction.
//!
//! Input    a local [`Spec`] and where `match_candidate` found it, or nothing
//! Output   [`Outcome`]
//! Ensures  a missing field is poison, a missing type or name is 0, as each kind defines
//!
//! Mirrors libbpf `src/relo_core.c`; functions name theirs.

use super::{Candidate, CoreError, RelocKind, Spec, Step, Subject, match_candidate};
use crate::{Btf, Type, TypeId};

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
    /// Where the path was found; `None` if nowhere, or if the kind looks nowhere. The root of a
    /// `TYPE_ID_TARGET` is an id in this spec's BTF, which may be a module's.
    pub target: Option<Spec<'t>>,
}

/// A value by the types of one side.
struct Value {
    number: u64,
    validate: bool,
    /// Size and type of the field, where a load or store may depend on it; size 0 where not.
    access: (u64, TypeId),
}

impl Value {
    fn exact(number: u64) -> Self {
        Self { number, validate: true, access: (0, TypeId::VOID) }
    }
}

/// The outcome, given where the path was found. libbpf's `bpf_core_calc_relo`.
///
/// # Errors
/// For relocations that make no sense for their path, and for corrupt BTF.
pub fn compute(local: &Spec<'_>, target: Option<&Spec<'_>>) -> Result<Outcome, CoreError> {
    let ours = spec_value(local)?;
    let mut outcome = Outcome {
        local: ours.number,
        value: 0,
        validate: ours.validate,
        poison: false,
        mem_size: MemSize::Keep,
    };
    if local.kind == RelocKind::TypeIdLocal {
        outcome.value = ours.number;
        return Ok(outcome);
    }
    let Some(target) = target else {
        outcome.poison = match local.kind {
            RelocKind::FieldExists
            | RelocKind::EnumvalExists
            | RelocKind::TypeIdLocal
            | RelocKind::TypeIdTarget
            | RelocKind::TypeExists
            | RelocKind::TypeSize
            | RelocKind::TypeMatches => false,
            RelocKind::FieldByteOffset
            | RelocKind::FieldByteSize
            | RelocKind::FieldSigned
            | RelocKind::FieldLshiftU64
            | RelocKind::FieldRshiftU64
            | RelocKind::EnumvalValue => true,
        };
        return Ok(outcome);
    };
    let theirs = spec_value(target)?;
    outcome.value = theirs.number;
    outcome.mem_size = mem_size(local.btf, ours.access, target.btf, theirs.access)?;
    Ok(outcome)
}

/// Matches all candidates, which must agree. Without any, existence is 0 and values are poisoned.
/// libbpf's `bpf_core_calc_relo_insn`.
///
/// # Errors
/// [`CoreError::Ambiguous`]; as [`compute`].
pub fn resolve<'t>(local: &Spec<'_>, candidates: &[Candidate<'t>]) -> Result<Resolution<'t>, CoreError> {
    let mut first: Option<(Outcome, Spec<'t>)> = None;
    if local.kind != RelocKind::TypeIdLocal {
        for &candidate in candidates {
            let Some(spec) = match_candidate(local, candidate)? else { continue };
            let outcome = compute(local, Some(&spec))?;
            match &first {
                None => first = Some((outcome, spec)),
                Some((known, known_spec)) => {
                    let offsets = (known_spec.bit_offset, spec.bit_offset);
                    let values = (known.value, outcome.value);
                    let ambiguous = |what, (first, second)| CoreError::Ambiguous {
                        spec: local.to_string(),
                        what,
                        first,
                        second,
                    };
                    if offsets.0 != offsets.1 {
                        return Err(ambiguous("bit offset", offsets));
                    }
                    if values.0 != values.1 {
                        return Err(ambiguous("value", values));
                    }
                }
            }
        }
    }
    match first {
        Some((outcome, spec)) => Ok(Resolution { outcome, target: Some(spec) }),
        None => Ok(Resolution { outcome: compute(local, None)?, target: None }),
    }
}

pub(super) fn local_value(spec: &Spec<'_>) -> Result<u64, CoreError> {
    Ok(spec_value(spec)?.number)
}

fn spec_value(spec: &Spec<'_>) -> Result<Value, CoreError> {
    match spec.kind.subject() {
        Subject::Field => field_value(spec),
        Subject::Type => type_value(spec),
        Subject::Enumval => enum_value(spec),
    }
}

/// libbpf's `bpf_core_calc_type_relo`. Ids change when objects are linked, so they are not validated.
fn type_value(spec: &Spec<'_>) -> Result<Value, CoreError> {
    Ok(match spec.kind {
        RelocKind::TypeIdLocal | RelocKind::TypeIdTarget => {
            Value { validate: false, ..Value::exact(spec.root.0.into()) }
        }
        RelocKind::TypeSize => Value::exact(spec.btf.size_of(spec.root)?),
        _ => Value::exact(1),
    })
}

/// libbpf's `bpf_core_calc_enumval_relo`. It sign-extends 32-bit values even of unsigned enums, and
/// objects are validated against that in every loader.
fn enum_value(spec: &Spec<'_>) -> Result<Value, CoreError> {
    if spec.kind == RelocKind::EnumvalExists {
        return Ok(Value::exact(1));
    }
    let value = match (spec.steps.first(), spec.steps.first().map(|step| spec.btf.ty(step.ty)).transpose()?) {
        (Some(step), Some(Type::Enum(e))) => {
            let index = usize::try_from(step.index).unwrap_or(usize::MAX);
            e.value(index).map(|found| match e.is_enum64() {
                true => found.value,
                false => i64::from(found.value as u32 as i32).cast_unsigned(),
            })
        }
        _ => None,
    };
    value.map(Value::exact).ok_or_else(|| not_there(spec))
}

fn not_there(spec: &Spec<'_>) -> CoreError {
    let access = spec.raw.iter().map(u32::to_string).collect::<Vec<_>>().join(":");
    CoreError::Access { root: spec.root, access, what: "leaves its type" }
}

/// libbpf's `bpf_core_calc_field_relo`.
fn field_value(spec: &Spec<'_>) -> Result<Value, CoreError> {
    if spec.kind == RelocKind::FieldExists {
        return Ok(Value::exact(1));
    }
    match spec.steps.last() {
        None => Err(not_there(spec)),
        Some(Step { ty, name: None, .. }) => element_value(spec, *ty),
        Some(Step { ty, index, name: Some(_) }) => member_value(spec, *ty, *index),
    }
}

fn element_value(spec: &Spec<'_>, ty: TypeId) -> Result<Value, CoreError> {
    let size = spec.btf.size_of(ty)?;
    match spec.kind {
        RelocKind::FieldByteOffset => {
            Ok(Value { access: (size, spec.btf.resolve(ty)?), ..Value::exact(spec.bit_offset / 8) })
        }
        RelocKind::FieldByteSize => Ok(Value::exact(size)),
        kind => Err(CoreError::ArrayElement(kind)),
    }
}

fn member_value(spec: &Spec<'_>, composite: TypeId, index: u32) -> Result<Value, CoreError> {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let member = spec.btf.ty(composite)?.composite().and_then(|c| c.member(index));
    let member = member.ok_or_else(|| not_there(spec))?;
    let field_ty = spec.btf.resolve(member.ty)?;
    let size = spec.btf.size_of(field_ty)?;
    let storage = match member.bitfield_bits {
        Some(bits) => Storage::of_bitfield(spec.bit_offset, bits, size)?,
        None => Storage {
            byte_off: spec.bit_offset / 8,
            byte_size: size,
            bit_off: spec.bit_offset,
            bits: size.saturating_mul(8),
        },
    };
    let is_bitfield = member.bitfield_bits.is_some();
    // Compilers and we may choose different words for a bit-field; its sign and width, though, are
    // the same by any reading.
    let fuzzy = |number| Value { validate: !is_bitfield, ..Value::exact(number) };
    Ok(match spec.kind {
        RelocKind::FieldByteOffset => {
            let access = if is_bitfield { (0, TypeId::VOID) } else { (size, field_ty) };
            Value { access, ..fuzzy(storage.byte_off) }
        }
        RelocKind::FieldByteSize => fuzzy(storage.byte_size),
        RelocKind::FieldSigned => Value::exact(u64::from(is_signed(&spec.btf.ty(field_ty)?))),
        RelocKind::FieldLshiftU64 => fuzzy(storage.left_shift()),
        // A wrapping difference, as in C, for fields wider than a register.
        RelocKind::FieldRshiftU64 => Value::exact(64_u64.wrapping_sub(storage.bits)),
        _ => Value::exact(1),
    })
}

fn is_signed(ty: &Type<'_>) -> bool {
    match ty {
        Type::Enum(e) => e.signed(),
        Type::Int { encoding, .. } => encoding.signed,
        _ => false,
    }
}

/// The word of memory that holds a field.
#[derive(Debug, PartialEq, Eq)]
struct Storage {
    byte_off: u64,
    byte_size: u64,
    bit_off: u64,
    bits: u64,
}

impl Storage {
    /// The smallest aligned word, from the declared type's size up, that holds all bits.
    fn of_bitfield(bit_off: u64, bits: u8, declared_bytes: u64) -> Result<Self, CoreError> {
        let bits = u64::from(bits);
        let mut byte_size = declared_bytes.max(1);
        while byte_size <= 8 {
            let byte_off = bit_off / 8 / byte_size * byte_size;
            if bit_off + bits <= (byte_off + byte_size) * 8 {
                return Ok(Self { byte_off, byte_size, bit_off, bits });
            }
            byte_size *= 2;
        }
        Err(CoreError::Bitfield { bit_offset: bit_off })
    }

    /// Left shift of the loaded word, on a little-endian machine, that puts the field's top bit on
    /// top of 64.
    fn left_shift(&self) -> u64 {
        let top = self.bit_off.wrapping_add(self.bits).wrapping_sub(self.byte_off.wrapping_mul(8));
        64_u64.wrapping_sub(top)
    }
}

/// Whether a load or store may follow a change of the field's size: pointers and unsigned integers
/// keep their value when zero-extended. libbpf takes signed `char` for unsigned here; we do not.
fn mem_size(
    local: &Btf,
    (from, local_ty): (u64, TypeId),
    target: &Btf,
    (to, target_ty): (u64, TypeId),
) -> Result<MemSize, CoreError> {
    if from == to {
        return Ok(MemSize::Keep);
    }
    let unsigned = |ty: &Type<'_>| matches!(ty, Type::Int { encoding, .. } if !encoding.signed);
    let (local_ty, target_ty) = (local.ty(local_ty)?, target.ty(target_ty)?);
    let same_value = matches!((&local_ty, &target_ty), (Type::Ptr(_), Type::Ptr(_)))
        || unsigned(&local_ty) && unsigned(&target_ty);
    match (u32::try_from(from), u32::try_from(to)) {
        (Ok(from), Ok(to)) if same_value => Ok(MemSize::Change { from, to }),
        _ => Ok(MemSize::Incompatible),
    }
}
