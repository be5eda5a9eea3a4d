//! Who runs: `pid`, `tid`, `uid`, `gid`, `username`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Pure, Value, helper};
use crate::types::Int;
use crate::types::tree::Expr;
use crate::types::{Check, Ty};
use cranelift_codegen::ir::InstBuilder as _;

/// Thread group id; `pid(init)` in the initial namespace, else in the loader's.
pub(super) static PID: Builtin = Builtin {
    words: &["curr_ns", "init"],
    ..Builtin::new("pid", (0, 1), check_namespaced).lowered(lower_pid)
};

/// Thread id, as `pid`.
pub(super) static TID: Builtin = Builtin {
    words: &["curr_ns", "init"],
    ..Builtin::new("tid", (0, 1), check_namespaced).lowered(lower_tid)
};

/// User id in the initial namespace.
pub(super) static UID: Builtin = Builtin::new("uid", (0, 0), |_, _| Ok(Ty::U64)).lowered(lower_uid);

/// Group id in the initial namespace.
pub(super) static GID: Builtin = Builtin::new("gid", (0, 0), |_, _| Ok(Ty::U64)).lowered(lower_gid);

/// User id that prints as the user's name.
pub(super) static USERNAME: Builtin =
    Builtin::new("username", (0, 0), |_, _| Ok(Ty::Username)).lowered(lower_uid);

fn check_namespaced(_: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    if !call.args.is_empty() {
        call.literal_text(0).map_err(|diag| diag.help("the namespaces are `curr_ns` and `init`"))?;
    }
    Ok(Ty::U32)
}

fn lower_pid(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    let both = l.pure_helper(Pure::PidTgid, helper::GET_CURRENT_PID_TGID);
    Value::Scalar(l.b.ins().ushr_imm_s(both, 32))
}

fn lower_tid(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    let both = l.pure_helper(Pure::PidTgid, helper::GET_CURRENT_PID_TGID);
    Value::Scalar(l.extend(both, HALF))
}

fn lower_uid(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    let both = l.pure_helper(Pure::UidGid, helper::GET_CURRENT_UID_GID);
    Value::Scalar(l.extend(both, HALF))
}

fn lower_gid(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    let both = l.pure_helper(Pure::UidGid, helper::GET_CURRENT_UID_GID);
    Value::Scalar(l.b.ins().ushr_imm_s(both, 32))
}

/// The helpers return two ids in one word.
const HALF: Int = Int { size: 4, signed: false };
