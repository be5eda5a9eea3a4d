//! Stacks: `kstack`, `ustack`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::types::{Check, Ty, codes};
use manifest::StackMode;

/// Frames taken unless the script says otherwise: the kernel's `PERF_MAX_STACK_DEPTH`.
const LIMIT_DEFAULT: u32 = 127;
const LIMIT_MAX: i128 = 1024;
const MODES: &[&str] = &["bpftrace", "perf", "raw", "build_id"];

/// Kernel stack.
pub(super) static KSTACK: Builtin = Builtin {
    words: MODES,
    ..Builtin::new("kstack", (0, 2), |cx, call| check(cx, call).map(|(mode, limit)| Ty::Kstack(mode, limit)))
};

/// User stack.
pub(super) static USTACK: Builtin = Builtin {
    words: MODES,
    ..Builtin::new("ustack", (0, 2), |cx, call| check(cx, call).map(|(mode, limit)| Ty::Ustack(mode, limit)))
};

/// `(mode)`, `(limit)` or `(mode, limit)`.
fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<(StackMode, u32), Diag> {
    let named = call.args.first().is_some_and(|arg| arg.text().is_some());
    let mode = if named { mode(call)? } else { cx.stack_mode() };
    if call.args.len() == 2 && !named {
        let message = format!("the first of two arguments of `{}` is a mode", call.name);
        return Err(Diag::error(&codes::ARGUMENT_KIND, message, call.args[0].span, "not a mode")
            .help("the modes are `bpftrace`, `perf` and `raw`"));
    }
    let limit = match call.args.get(usize::from(named)) {
        Some(_) => call.literal(usize::from(named), 1..=LIMIT_MAX)?,
        None => i128::from(LIMIT_DEFAULT),
    };
    Ok((mode, u32::try_from(limit).expect("at most LIMIT_MAX")))
}

fn mode(call: &Call) -> Result<StackMode, Diag> {
    match call.literal_text(0)? {
        b"bpftrace" => Ok(StackMode::Bpftrace),
        b"perf" => Ok(StackMode::Perf),
        b"raw" => Ok(StackMode::Raw),
        b"build_id" => Err(Diag::unsupported("stack mode `build_id` is", call.args[0].span)),
        other => {
            let message = format!("there is no stack mode `{}`", String::from_utf8_lossy(other));
            Err(Diag::error(&codes::ARGUMENT_KIND, message, call.args[0].span, "")
                .help("the modes are `bpftrace`, `perf` and `raw`"))
        }
    }
}
