//! What the traced code was given and returns: `argN`, `args`, `retval`, `ctx`, `reg`.

use super::{Builtin, Call};
use crate::diag::Diag;
use crate::lower::{Lower, Value};
use crate::probes::kprobe;
use crate::resolve::{Kind, Uprobe};
use crate::types::tree::Expr;
use crate::types::tree::ExprKind;
use crate::types::{Check, Int, Space, Ty, codes};

/// `arg0`, `arg1`, …: the number is the one argument, a literal.
pub static ARG: Builtin = Builtin::new("argN", (1, 1), check_arg).lowered(lower_arg);

/// The record of arguments. Alone it becomes a record of `Arg`s, so nothing is left to lower.
pub static ARGS: Builtin = Builtin::new("args", (0, 0), check_args);

/// The return value; of a fexit probe it becomes `RetVal`.
pub(super) static RETVAL: Builtin = Builtin::new("retval", (0, 0), check_retval).lowered(lower_retval);

/// Pointer to the program's context.
pub(super) static CTX: Builtin = Builtin::new("ctx", (0, 0), check_ctx).lowered(lower_ctx);

/// A register by name.
pub(super) static REG: Builtin = Builtin::new("reg", (1, 1), check_reg).lowered(lower_reg);

/// x86-64 passes this many integers in registers; other machines up to 8. The loader's machine
/// decides, so the larger number is let through.
const REGISTER_ARGS_MAX: i128 = 8;

/// Where `argN` exists.
const ARG_PLACES: &str = "kprobe, uprobe and rawtracepoint";

fn check_arg(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    match cx.target().kind {
        Kind::Kprobe(_) | Kind::Uprobe(_) => {
            let index = call.args[0].literal().unwrap_or_default();
            if index >= REGISTER_ARGS_MAX {
                let message = format!("`arg{index}` does not exist");
                return Err(Diag::error(&codes::NOT_HERE, message, call.span, "").note(
                    "arguments behind those in registers are on the stack: `*(reg(\"sp\") + offset)`",
                ));
            }
            Ok(Ty::U64)
        }
        Kind::RawTracepoint(_) => Ok(Ty::U64),
        Kind::Fentry(_) | Kind::Fexit(_) | Kind::Tracepoint { .. } => {
            Err(cx.not_here(call, ARG_PLACES).help("use `args.NAME` here"))
        }
        Kind::Uretprobe(_) => Err(cx
            .not_here(call, ARG_PLACES)
            .help("keep it at the entry: `uprobe:PATH:f { @arg[tid] = arg0; }`")),
        Kind::Kretprobe(_) => Err(cx
            .not_here(call, ARG_PLACES)
            .help("keep it at the entry: `kprobe:f { @arg[tid] = arg0; }`, or use fexit, which has `args`")),
        Kind::Begin | Kind::End | Kind::SelfSignal(_) | Kind::Profile(_) | Kind::Interval(_) => {
            Err(cx.not_here(call, ARG_PLACES))
        }
    }
}

fn check_args(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    const WHERE: &str = "fentry, fexit, uprobe, tracepoint and rawtracepoint";
    match &cx.target().kind {
        Kind::Fentry(_) | Kind::Fexit(_) | Kind::RawTracepoint(_) => Ok(Ty::Args),
        Kind::Tracepoint { record: Some(_), .. } => Ok(Ty::Args),
        Kind::Tracepoint { event, record: None, .. } => {
            let message = format!("the types of tracepoint `{event}` are not known");
            Err(Diag::error(&codes::NOT_HERE, message, call.span, "")
                .note("no `struct trace_event_raw_*` in the kernel's BTF belongs to it"))
        }
        Kind::Kprobe(_) => {
            Err(cx.not_here(call, WHERE).help("use `arg0`, `arg1`, … here, or a fentry probe"))
        }
        Kind::Uprobe(Uprobe { no_args: None, .. }) => Ok(Ty::Args),
        Kind::Uprobe(Uprobe { no_args: Some(why), .. }) => {
            let message = format!("the arguments of `{}` have no names here", cx.target().name);
            Err(Diag::error(&codes::NOT_HERE, message, call.span, "").note(why.clone()).help(
                "compile the program with `-g` or install its debug symbols, on the host where the script is compiled; or use `arg0`, `arg1`, …",
            ))
        }
        Kind::Kretprobe(_)
        | Kind::Uretprobe(_)
        | Kind::Begin
        | Kind::End
        | Kind::SelfSignal(_)
        | Kind::Profile(_)
        | Kind::Interval(_) => Err(cx.not_here(call, WHERE)),
    }
}

fn check_retval(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    const WHERE: &str = "kretprobe, uretprobe and fexit";
    match cx.target().kind {
        Kind::Kretprobe(_) | Kind::Uretprobe(_) => Ok(Ty::U64),
        Kind::Fexit(_) => {
            call.becomes = Some(ExprKind::RetVal);
            match cx.target().retval.clone() {
                None | Some(Ty::None | Ty::Void) => {
                    let message = format!("`{}` returns nothing", cx.target().name);
                    Err(Diag::error(&codes::NOT_HERE, message, call.span, "no return value"))
                }
                Some(Ty::Struct(_)) => {
                    let message = format!("`{}` returns a struct", cx.target().name);
                    let label = "the kernel hooks no function that does";
                    Err(Diag::error(&codes::NOT_HERE, message, call.span, label)
                        .help("use a kretprobe, whose `retval` is the register that holds its start"))
                }
                Some(ty) => Ok(ty),
            }
        }
        Kind::Tracepoint { .. } => {
            Err(cx.not_here(call, WHERE).help("use `args.ret` in syscalls tracepoints"))
        }
        Kind::Kprobe(_)
        | Kind::Uprobe(_)
        | Kind::Fentry(_)
        | Kind::RawTracepoint(_)
        | Kind::Begin
        | Kind::End
        | Kind::SelfSignal(_)
        | Kind::Profile(_)
        | Kind::Interval(_) => Err(cx.not_here(call, WHERE)),
    }
}

/// Where the context holds registers.
const REGISTER_PLACES: &str = "kprobe, kretprobe, uprobe, uretprobe, profile and interval";

fn check_ctx(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    const WHERE: &str = REGISTER_PLACES;
    let name = match cx.target().kind {
        Kind::Kprobe(_) | Kind::Kretprobe(_) | Kind::Uprobe(_) | Kind::Uretprobe(_) => "pt_regs",
        Kind::Profile(_) | Kind::Interval(_) => "bpf_perf_event_data",
        Kind::Tracepoint { .. } | Kind::Fentry(_) | Kind::Fexit(_) | Kind::RawTracepoint(_) => {
            return Err(cx.not_here(call, WHERE).help("use `args` here"));
        }
        Kind::Begin | Kind::End | Kind::SelfSignal(_) => return Err(cx.not_here(call, WHERE)),
    };
    let pointee = cx.fields().find_struct(name).map_or(Ty::Void, Ty::Struct);
    Ok(Ty::Ptr(Box::new(pointee), Space::Kernel))
}

fn check_reg(cx: &mut Check<'_>, call: &mut Call) -> Result<Ty, Diag> {
    call.literal_text(0)?;
    match cx.target().kind {
        Kind::Kprobe(_)
        | Kind::Kretprobe(_)
        | Kind::Uprobe(_)
        | Kind::Uretprobe(_)
        | Kind::Profile(_)
        | Kind::Interval(_) => Ok(Ty::Int(Int { size: 8, signed: false })),
        Kind::Fentry(_)
        | Kind::Fexit(_)
        | Kind::Tracepoint { .. }
        | Kind::RawTracepoint(_)
        | Kind::Begin
        | Kind::End
        | Kind::SelfSignal(_) => Err(cx.not_here(call, REGISTER_PLACES)),
    }
}

fn lower_arg(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let index = args.first().and_then(|arg| l.literal(arg)).unwrap_or_default();
    if let Kind::RawTracepoint(_) = l.target().kind {
        return Value::Scalar(l.read_numbered_word(index as u32));
    }
    let register = kprobe::ARGUMENTS.get(index as usize).copied().unwrap_or_default();
    lower_register(l, e, register)
}

fn lower_retval(l: &mut Lower<'_>, e: &Expr, _: &[Expr]) -> Value {
    lower_register(l, e, kprobe::RESULT)
}

fn lower_reg(l: &mut Lower<'_>, e: &Expr, args: &[Expr]) -> Value {
    let name = String::from_utf8_lossy(args[0].text().unwrap_or_default()).into_owned();
    lower_register(l, e, &name)
}

fn lower_register(l: &mut Lower<'_>, e: &Expr, name: &str) -> Value {
    match kprobe::read_register(l, name) {
        Some(value) => Value::Scalar(value),
        None => {
            l.unsupported("an argument or register that x86-64 does not have is", e.span);
            Value::Scalar(l.iconst(0))
        }
    }
}

fn lower_ctx(l: &mut Lower<'_>, _: &Expr, _: &[Expr]) -> Value {
    Value::Scalar(l.context())
}
