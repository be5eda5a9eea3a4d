//! Where it runs: `cpu`, `ncpus`, `numaid`.

use super::Builtin;
use crate::lower::{Lower, Value, helper};
use crate::types::Ty;
use crate::types::tree::Expr;
use manifest::GlobalRole;

/// Number of the processor.
pub(super) static CPU: Builtin = Builtin::new("cpu", (0, 0), |_, _| Ok(Ty::U64)).lowered(lower_cpu);

/// How many processors there are; the loader fills it in.
pub(super) static NCPUS: Builtin = Builtin::new("ncpus", (0, 0), |_, _| Ok(Ty::U64)).lowered(lower_ncpus);

/// Number of the NUMA node.
pub(super) static NUMAID: Builtin = Builtin::new("numaid", (0, 0), |_, _| Ok(Ty::U64)).lowered(lower_numaid);

fn lower_cpu(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    Value::Scalar(l.call_helper(helper::GET_SMP_PROCESSOR_ID, &[]))
}

fn lower_ncpus(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    Value::Scalar(l.read_global(GlobalRole::Ncpus))
}

fn lower_numaid(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    Value::Scalar(l.call_helper(helper::GET_NUMA_NODE_ID, &[]))
}
