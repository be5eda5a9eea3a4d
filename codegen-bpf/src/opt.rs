//! The mid-end: cranelift's passes that need no target.
//!
//! Input    CLIF as the caller built it
//! Output   CLIF, verified; `constants` extended by the divisors hidden from the mid-end
//! Requires nothing
//! Ensures  no unreachable blocks, no aliases
//! Breaks   source locations of values that were merged

use cranelift_codegen::cursor::{Cursor as _, FuncCursor};
use cranelift_codegen::ir::{self, InstBuilder as _, InstructionData, Opcode, types};
use cranelift_codegen::{Context, settings, verify_function};

use crate::abi;
use crate::module::namespace;

/// Optimises `func`, or only cleans it up. The error is the verifier's message.
pub(crate) fn run(
    mut func: ir::Function,
    constants: &mut Vec<i64>,
    opt: bool,
) -> Result<ir::Function, String> {
    let flags = settings::Flags::new(settings::builder());
    verify_function(&func, &flags).map_err(|e| pretty(&func, e))?;
    if opt {
        hide_divisors(&mut func, constants);
    }
    let mut ctx = Context::for_function(func);
    ctx.compute_cfg();
    ctx.compute_domtree();
    let steps = |ctx: &mut Context| {
        ctx.eliminate_unreachable_code(&flags)?;
        ctx.remove_constant_phis(&flags)?;
        ctx.func.dfg.resolve_all_aliases();
        if opt {
            ctx.egraph_pass(&flags, &mut Default::default())?;
            // Branches may have been folded.
            ctx.eliminate_unreachable_code(&flags)?;
            ctx.remove_constant_phis(&flags)?;
            ctx.func.dfg.resolve_all_aliases();
        }
        Ok(())
    };
    steps(&mut ctx).map_err(|e: cranelift_codegen::CodegenError| e.to_string())?;
    Ok(ctx.func)
}

fn pretty(func: &ir::Function, errors: cranelift_codegen::verifier::VerifierErrors) -> String {
    cranelift_codegen::print_errors::pretty_verifier_error(func, None, errors)
}

/// Makes constant divisors opaque. The mid-end would divide by multiplying and taking the upper
/// half, which BPF has no instruction for. Powers of two become shifts and stay visible.
fn hide_divisors(func: &mut ir::Function, constants: &mut Vec<i64>) {
    let mut pos = FuncCursor::new(func);
    while pos.next_block().is_some() {
        while let Some(inst) = pos.next_inst() {
            let InstructionData::Binary { opcode, args: [dividend, divisor] } = pos.func.dfg.insts[inst]
            else {
                continue;
            };
            let divides = matches!(opcode, Opcode::Udiv | Opcode::Urem | Opcode::Sdiv | Opcode::Srem);
            let ty = pos.func.dfg.value_type(divisor);
            if !divides || !matches!(ty, types::I32 | types::I64) {
                continue;
            }
            let Some(value) = iconst(pos.func, divisor) else { continue };
            if value.unsigned_abs().is_power_of_two() || value == 0 {
                continue;
            }
            let index = constants.len() as u32;
            constants.push(value);
            let opaque = abi::constant(pos.func, index);
            let opaque = pos.ins().symbol_value(ty, opaque);
            pos.func.dfg.insts[inst] = InstructionData::Binary { opcode, args: [dividend, opaque] };
        }
    }
}

/// The number `value` is, if it is an `iconst`, sign-extended from its type.
pub(crate) fn iconst(func: &ir::Function, value: ir::Value) -> Option<i64> {
    let value = func.dfg.resolve_aliases(value);
    let inst = func.dfg.value_def(value).inst()?;
    let InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } = func.dfg.insts[inst] else { return None };
    let unused_bits = 64 - func.dfg.value_type(value).bits();
    Some(imm.bits() << unused_bits >> unused_bits)
}

/// The number `value` is, if it is an opaque constant.
pub(crate) fn opaque(func: &ir::Function, constants: &[i64], value: ir::Value) -> Option<i64> {
    let inst = func.dfg.value_def(func.dfg.resolve_aliases(value)).inst()?;
    let InstructionData::UnaryGlobalValue { global_value, .. } = func.dfg.insts[inst] else { return None };
    let (name, offset) = symbol(func, global_value)?;
    match name.namespace {
        namespace::CONST => Some(constants.get(name.index as usize)?.wrapping_add(offset)),
        _ => None,
    }
}

/// Name and offset of a symbolic global value.
pub(crate) fn symbol(
    func: &ir::Function,
    global_value: ir::GlobalValue,
) -> Option<(ir::UserExternalName, i64)> {
    match &func.global_values[global_value] {
        ir::GlobalValueData::Symbol { name: ir::ExternalName::User(name), offset, .. } => {
            Some((func.params.user_named_funcs()[*name].clone(), offset.bits()))
        }
        _ => None,
    }
}
