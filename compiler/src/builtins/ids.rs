//! Who runs: `pid`, `tid`, `uid`, `gid`, `username`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::types::{Check, Ty};

/// Thread group id; `pid(init)` in the initial namespace, else in the loader's.
pub(super) static PID: Builtin =
    Builtin { words: &["curr_ns", "init"], ..Builtin::new("pid", (0, 1), check_namespaced) };

/// Thread id, as `pid`.
pub(super) static TID: Builtin =
    Builtin { words: &["curr_ns", "init"], ..Builtin::new("tid", (0, 1), check_namespaced) };

/// User id in the initial namespace.
pub(super) static UID: Builtin = Builtin::new("uid", (0, 0), |_, _| Ok(Ty::U64));

/// Group id in the initial namespace.
pub(super) static GID: Builtin = Builtin::new("gid", (0, 0), |_, _| Ok(Ty::U64));

/// User id that prints as the user's name.
pub(super) static USERNAME: Builtin = Builtin::new("username", (0, 0), |_, _| Ok(Ty::Username));

fn check_namespaced(_: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    if !call.args.is_empty() {
        call.literal_text(0).map_err(|diag| diag.help("the namespaces are `curr_ns` and `init`"))?;
    }
    Ok(Ty::U32)
}
