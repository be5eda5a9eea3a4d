//! The current task and its relatives: `curtask`, `ppid`, `pcomm`, `leader_tid`, `leader_comm`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Pure, Value, helper};
use crate::types::tree::{Expr, ExprKind};
use crate::types::{Check, Space, Ty};

/// Pointer to the current `struct task_struct`.
pub(super) static CURTASK: Builtin = Builtin::new("curtask", (0, 0), |cx, call| {
    let task =
        cx.fields().find_struct("task_struct").map_err(|_| cx.unknown_struct("task_struct", call.span))?;
    Ok(Ty::Ptr(Box::new(Ty::Struct(task)), Space::Typed))
})
.lowered(lower_curtask);

/// Process id of the parent, of the current or a given task.
pub(super) static PPID: Builtin =
    Builtin::new("ppid", (0, 1), |cx, call| relative(cx, call, "real_parent", "tgid"));

/// Name of the parent.
pub(super) static PCOMM: Builtin =
    Builtin::new("pcomm", (0, 1), |cx, call| relative(cx, call, "real_parent", "comm"));

/// Thread id of the group leader.
pub(super) static LEADER_TID: Builtin =
    Builtin::new("leader_tid", (0, 1), |cx, call| relative(cx, call, "group_leader", "pid"));

/// Name of the group leader.
pub(super) static LEADER_COMM: Builtin =
    Builtin::new("leader_comm", (0, 1), |cx, call| relative(cx, call, "group_leader", "comm"));

/// `task.RELATIVE.FIELD`, of `curtask` unless a task is given.
fn relative(cx: &mut Check<'_>, call: &mut Call, relative: &str, field: &str) -> Result<Ty, Diag> {
    let span = call.span;
    let task = match call.args.pop() {
        Some(task) => task,
        None => {
            let mut curtask = Call { name: CURTASK.name, args: Vec::new(), span, becomes: None };
            let ty = (CURTASK.check)(cx, &mut curtask)?;
            Expr::new(ExprKind::Call { builtin: &CURTASK, args: Vec::new() }, ty, span)
        }
    };
    let other = cx.member(task, relative, span)?;
    let value = cx.member(other, field, span)?;
    call.becomes = Some(value.kind);
    Ok(value.ty)
}

fn lower_curtask(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    Value::Scalar(l.pure_helper(Pure::CurrentTask, helper::GET_CURRENT_TASK_BTF))
}
