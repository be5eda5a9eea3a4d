//! `rand`: a random number.

use super::Builtin;
use crate::lower::{Lower, Value, helper};
use crate::types::Ty;
use crate::types::tree::Expr;

/// 32 random bits.
pub(super) static RAND: Builtin = Builtin::new("rand", (0, 0), |_, _| Ok(Ty::U64)).lowered(lower);

fn lower(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    Value::Scalar(l.call_helper(helper::GET_PRANDOM_U32, &[]))
}
