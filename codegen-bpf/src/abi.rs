//! The BPF calling convention in CLIF's words, and declarations of external names.
//!
//! An opaque copy of a value is `cls.i64`: the mid-end has no rewrite rules for that operation, so
//! it does not see through it, and selection makes nothing of it, but does not fold an address
//! across it either. (Counting sign bits is thus the one integer operation that is not available.)
//!
//! All helpers here take `&mut ir::Function`, so they serve a `FunctionBuilder` (through its
//! public `func` field) as well as a `FuncCursor`. Each returns the same entity for the same
//! arguments: GVN compares entities, not what they stand for.

use cranelift_codegen::ir::{
    self, AbiParam, ExtFuncData, ExternalName, FuncRef, GlobalValue, GlobalValueData, Signature, SourceLoc,
    UserExternalName, types::I64,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};

use crate::module::namespace;

/// The calling convention every signature must name; it stands for BPF's.
pub const CALL_CONV: CallConv = CallConv::SystemV;

/// Arguments are passed in r1 to r5.
pub const ARGS_MAX: usize = 5;

/// The kernel's `MAX_BPF_STACK`.
pub const STACK_BYTES_MAX: u32 = 512;

/// What `FunctionBuilder::finalize` and friends want to know about the target.
pub fn frontend_config() -> TargetFrontendConfig {
    // Cranelift does not re-export the crate `PointerWidth` is from; a `Triple` leads to it.
    let triple = "bpfel-unknown-none".parse().expect("a known architecture");
    let _names_the_type_of_triple = CallConv::triple_default(&triple);
    TargetFrontendConfig {
        default_call_conv: CALL_CONV,
        pointer_width: triple.pointer_width().expect("BPF has 64-bit pointers"),
        page_size_align_log2: 12,
    }
}

/// A signature of `params` 64-bit parameters and a 64-bit result.
pub fn signature(params: usize) -> Signature {
    let mut sig = Signature::new(CALL_CONV);
    sig.params = vec![AbiParam::new(I64); params];
    sig.returns = vec![AbiParam::new(I64)];
    sig
}

/// Source location of `line` and `column`, both from 1. Lines end at 2^22, columns are cut at 1023.
pub fn srcloc(line: u32, column: u32) -> SourceLoc {
    SourceLoc::new((line.min((1 << 22) - 2) << 10) | column.min(1023))
}

/// Declares a helper, with a signature of `params` parameters and a result.
pub fn helper(func: &mut ir::Function, id: u32, params: usize) -> FuncRef {
    callee(func, UserExternalName::new(namespace::HELPER, id), signature(params))
}

/// Declares a helper with a signature of its own (without a result, say).
pub fn helper_with(func: &mut ir::Function, id: u32, sig: Signature) -> FuncRef {
    callee(func, UserExternalName::new(namespace::HELPER, id), sig)
}

/// Declares the function `index` of the module: for `call` and `func_addr`.
pub fn function(func: &mut ir::Function, index: u32, sig: Signature) -> FuncRef {
    callee(func, UserExternalName::new(namespace::FUNCTION, index), sig)
}

/// Declares the kfunc that is extern `index` of the module.
pub fn kfunc(func: &mut ir::Function, index: u32, sig: Signature) -> FuncRef {
    callee(func, UserExternalName::new(namespace::EXTERN, index), sig)
}

/// The address of map `index`, for `symbol_value.i64`.
pub fn map(func: &mut ir::Function, index: u32) -> GlobalValue {
    symbol(func, UserExternalName::new(namespace::MAP, index))
}

/// The address of variable `index`, for `symbol_value.i64`.
pub fn data(func: &mut ir::Function, index: u32) -> GlobalValue {
    symbol(func, UserExternalName::new(namespace::DATA, index))
}

/// The number of CO-RE relocation `index`, for `symbol_value.i64`.
pub fn core(func: &mut ir::Function, index: u32) -> GlobalValue {
    symbol(func, UserExternalName::new(namespace::CORE, index))
}

/// The opaque constant `index`, for `symbol_value.i64`.
pub fn constant(func: &mut ir::Function, index: u32) -> GlobalValue {
    symbol(func, UserExternalName::new(namespace::CONST, index))
}

/// The address of extern `index`, for `symbol_value.i64`.
pub fn ksym(func: &mut ir::Function, index: u32) -> GlobalValue {
    symbol(func, UserExternalName::new(namespace::EXTERN, index))
}

fn symbol(func: &mut ir::Function, name: UserExternalName) -> GlobalValue {
    let name = ExternalName::user(func.declare_imported_user_function(name));
    let known = func
        .global_values
        .iter()
        .find(|(_, data)| matches!(data, GlobalValueData::Symbol { name: n, .. } if *n == name));
    match known {
        Some((gv, _)) => gv,
        None => func.create_global_value(GlobalValueData::Symbol {
            name,
            offset: 0.into(),
            colocated: false,
            tls: false,
        }),
    }
}

fn callee(func: &mut ir::Function, name: UserExternalName, sig: Signature) -> FuncRef {
    let name = ExternalName::user(func.declare_imported_user_function(name));
    let known =
        func.dfg.ext_funcs.iter().find(|(_, f)| f.name == name && func.dfg.signatures[f.signature] == sig);
    if let Some((known, _)) = known {
        return known;
    }
    let known_sig = func.dfg.signatures.iter().find(|(_, s)| **s == sig).map(|(s, _)| s);
    let signature = known_sig.unwrap_or_else(|| func.import_signature(sig));
    func.import_function(ExtFuncData { name, signature, colocated: false, patchable: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_64_bits() {
        assert_eq!(frontend_config().pointer_bits(), 64);
    }

    #[test]
    fn same_thing_same_entity() {
        let mut f = ir::Function::new();
        assert_eq!(map(&mut f, 1), map(&mut f, 1));
        assert_ne!(map(&mut f, 1), data(&mut f, 1));
        assert_eq!(helper(&mut f, 14, 0), helper(&mut f, 14, 0));
    }
}
