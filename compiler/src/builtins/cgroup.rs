//! Control groups: `cgroup`, `cgroupid`, `cgroup_path`.

use super::Builtin;
use crate::lower::{Lower, Value, helper};
use crate::types::Ty;
use crate::types::tree::Expr;
use manifest::GlobalRole;

/// cgroup v2 id of the current task.
pub(super) static CGROUP: Builtin = Builtin::new("cgroup", (0, 0), |_, _| Ok(Ty::U64)).lowered(lower_cgroup);

/// cgroup v2 id of a path, looked up by the loader.
pub(super) static CGROUPID: Builtin = Builtin::new("cgroupid", (1, 1), |_, call| {
    call.literal_text(0)?;
    Ok(Ty::U64)
})
.lowered(lower_cgroupid);

/// A cgroup id that prints as its path.
pub(super) static CGROUP_PATH: Builtin = Builtin::new("cgroup_path", (1, 2), |cx, call| {
    call.integer(cx, 0)?;
    if call.args.len() > 1 {
        call.literal_text(1)?;
    }
    Ok(Ty::CgroupPath)
})
.lowered(lower_cgroup_path);

fn lower_cgroup(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    Value::Scalar(l.call_helper(helper::GET_CURRENT_CGROUP_ID, &[]))
}

fn lower_cgroupid(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    let path = String::from_utf8_lossy(args[0].text().unwrap_or_default()).into_owned();
    Value::Scalar(l.read_global(GlobalRole::CgroupId(path)))
}

fn lower_cgroup_path(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    if let Some(filter) = args.get(1) {
        l.unsupported("the filter of `cgroup_path` is", filter.span);
    }
    Value::Scalar(l.lower_scalar(&args[0]))
}
