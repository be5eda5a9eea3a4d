//! Where it runs: `cpu`, `ncpus`, `numaid`.

use super::Builtin;
use crate::types::Ty;

/// Number of the processor.
pub(super) static CPU: Builtin = Builtin::new("cpu", (0, 0), |_, _| Ok(Ty::U64));

/// How many processors there are; the loader fills it in.
pub(super) static NCPUS: Builtin = Builtin::new("ncpus", (0, 0), |_, _| Ok(Ty::U64));

/// Number of the NUMA node.
pub(super) static NUMAID: Builtin = Builtin::new("numaid", (0, 0), |_, _| Ok(Ty::U64));
