//! Whether two types of different BTFs stand for the same thing.
use super::CoreError;
use crate::{Btf, TypeId};

/// Same name and kind, followed through pointers, arrays and prototypes: the test of
/// `TYPE_EXISTS`, `TYPE_SIZE` and `TYPE_ID_TARGET`. libbpf's `__bpf_core_types_are_compat`.
///
/// # Errors
/// For corrupt BTF.
pub fn types_are_compat(
    local: &Btf,
    local_id: TypeId,
    target: &Btf,
    target_id: TypeId,
) -> Result<bool, CoreError> {
    let _ = (local, local_id, target, target_id);
    Ok(false)
}

/// At least the same members with the same types: the test of `TYPE_MATCHES`. libbpf's
/// `__bpf_core_types_match`.
///
/// # Errors
/// For corrupt BTF.
pub fn types_match(
    local: &Btf,
    local_id: TypeId,
    target: &Btf,
    target_id: TypeId,
) -> Result<bool, CoreError> {
    let _ = (local, local_id, target, target_id);
    Ok(false)
}
