//! Programs that attach through BTF: fentry, fexit and raw tracepoints. The context is an array of
//! 64-bit words, one an argument; behind a fexit's arguments stands the result.

use manifest::AttachPoint;

use super::Record;
use crate::resolve::Func;

pub(super) fn fentry(func: &Func) -> Record {
    let at = AttachPoint::Fentry { module: func.module.clone(), function: func.name.clone() };
    Record { section: format!("fentry/{}", func.name), at }
}

pub(super) fn fexit(func: &Func) -> Record {
    let at = AttachPoint::Fexit { module: func.module.clone(), function: func.name.clone() };
    Record { section: format!("fexit/{}", func.name), at }
}

pub(super) fn raw_tracepoint(func: &Func) -> Record {
    let at = AttachPoint::RawTracepoint { module: func.module.clone(), event: func.name.clone() };
    Record { section: format!("tp_btf/{}", func.name), at }
}
