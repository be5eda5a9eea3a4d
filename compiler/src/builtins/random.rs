//! `rand`: a random number.

use super::Builtin;
use crate::types::Ty;

/// 32 random bits.
pub(super) static RAND: Builtin = Builtin::new("rand", (0, 0), |_, _| Ok(Ty::U64));
