//! `percpu_kaddr`: the address of a CPU's own copy of a kernel variable.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::kernel::BtfId;
use crate::lower::{Lower, Value, helper};
use crate::types::tree::Expr;
use crate::types::{Check, Ty, codes};
use btf::Kind;

/// `percpu_kaddr("name")` of this CPU, `percpu_kaddr("name", cpu)` of any; 0 if there is no such CPU.
pub(super) static PERCPU_KADDR: Builtin = Builtin::new("percpu_kaddr", (1, 2), check).lowered(lower);

fn check(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    let name = String::from_utf8_lossy(call.literal_text(0)?).into_owned();
    if call.args.len() > 1 {
        call.integer(cx, 1)?;
    }
    if cx.fields().btf(BtfId::VMLINUX).find(&name, Kind::Var).next().is_none() {
        let message = format!("the kernel's BTF has no variable `{name}`");
        let diag = Diag::error(&codes::UNKNOWN_NAME, message, call.args[0].span, "");
        return Err(diag.note("per-CPU variables of vmlinux are there, those of modules are not"));
    }
    Ok(Ty::U64)
}

fn lower(l: &mut Lower<'_>, _: &Expr, args: &[Expr]) -> Value {
    let name = String::from_utf8_lossy(args[0].text().unwrap_or_default()).into_owned();
    let variable = l.kernel_variable(&name);
    let address = match args.get(1) {
        None => l.call_helper(helper::THIS_CPU_PTR, &[variable]),
        Some(cpu) => {
            let cpu = l.lower_scalar(cpu);
            l.call_helper(helper::PER_CPU_PTR, &[variable, cpu])
        }
    };
    // The verifier forbids arithmetic on a pointer that may be null. To scripts it is a number, and
    // what has been through memory that a helper reads is one to the verifier, too.
    let (typed, number) = (l.temp(8), l.temp(8));
    l.store(typed, 8, address);
    let from = l.addr(typed);
    l.probe_read(helper::PROBE_READ_KERNEL, number, 8, from);
    Value::Scalar(l.load_u64(number))
}
