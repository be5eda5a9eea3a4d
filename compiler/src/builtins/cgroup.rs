//! Control groups: `cgroup`, `cgroupid`, `cgroup_path`.

use super::Builtin;
use crate::types::Ty;

/// cgroup v2 id of the current task.
pub(super) static CGROUP: Builtin = Builtin::new("cgroup", (0, 0), |_, _| Ok(Ty::U64));

/// cgroup v2 id of a path, looked up by the loader.
pub(super) static CGROUPID: Builtin = Builtin::new("cgroupid", (1, 1), |_, call| {
    call.literal_text(0)?;
    Ok(Ty::U64)
});

/// A cgroup id that prints as its path.
pub(super) static CGROUP_PATH: Builtin = Builtin::new("cgroup_path", (1, 2), |cx, call| {
    call.integer(cx, 0)?;
    if call.args.len() > 1 {
        call.literal_text(1)?;
    }
    Ok(Ty::CgroupPath)
});
