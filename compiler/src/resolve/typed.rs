//! Probes on kernel functions by BTF: fentry and fexit, `[module:]function`.
//!
//! Ensures  one target per function and file; a pattern means only functions the kernel can attach to;
//!          arguments are those of the function attached to, or the script is refused

use super::{Arg, ArgSource, Func, Kind, Missing, Parts, Resolver, Target, Targets, absent, codes};
use crate::diag::Diag;
use crate::fields::Fields;
use crate::kernel::pattern::{is_pattern, matches};
use crate::kernel::{BtfId, Kernel, VMLINUX};
use crate::types::{Space, Ty};
use btf::{Btf, FuncProto, Type, TypeId};
use std::collections::HashSet;

/// Bytes of a context word.
const WORD: u64 = 8;
/// Larger structs are passed in memory, and fentry does not show them.
const STRUCT_BYTES_MAX: u64 = 16;
/// Most parameters of a function to attach to (`MAX_BPF_FUNC_ARGS`).
const PARAMS_MAX: usize = 12;

/// Functions that no program may be attached to (`btf_id_deny` in `kernel/bpf/verifier.c`).
const DENIED: &[&str] = &[
    "__rcu_read_lock",
    "__rcu_read_unlock",
    "migrate_disable",
    "migrate_enable",
    "preempt_count_add",
    "preempt_count_sub",
    "rcu_read_unlock_strict",
];

/// Functions that do not return, which newer kernels refuse for fexit (`noreturn_deny` there).
const NEVER_RETURN: &[&str] = &[
    "__ia32_sys_exit",
    "__ia32_sys_exit_group",
    "__module_put_and_kthread_exit",
    "__x64_sys_exit",
    "__x64_sys_exit_group",
    "do_exit",
    "do_group_exit",
    "kthread_complete_and_exit",
    "kthread_exit",
    "make_task_dead",
];

/// A function in a file.
type Found = (BtfId, TypeId);

pub(super) fn fentry(parts: &Parts<'_>, cx: &Resolver<'_>) -> Targets {
    targets(parts, cx, Kind::Fentry)
}

pub(super) fn fexit(parts: &Parts<'_>, cx: &Resolver<'_>) -> Targets {
    targets(parts, cx, Kind::Fexit)
}

fn targets(parts: &Parts<'_>, cx: &Resolver<'_>, kind: fn(Func) -> Kind) -> Targets {
    let (module, function) = match parts.rest()[..] {
        ["bpf", _] | ["bpf", _, _] => {
            return Err(Diag::unsupported("a probe on a BPF program is", parts.span).into());
        }
        [function] if !function.is_empty() => (None, function),
        [module, function] if !function.is_empty() => (Some(module), function),
        _ => {
            let provider = parts.provider;
            return Err(parts.bad(&format!("`{provider}:FUNCTION` or `{provider}:MODULE:FUNCTION`")).into());
        }
    };
    let found = if is_pattern(function) || module.is_some_and(is_pattern) {
        matching(cx, parts.provider == "fexit", module, function)
    } else {
        vec![one(parts, cx, module, function)?]
    };
    if found.is_empty() {
        return Err(absent::no_match(parts));
    }
    Ok(found.into_iter().map(|found| target(parts, cx.fields, found, kind)).collect())
}

/// The functions of a pattern that the kernel can attach to, by file and name.
fn matching(cx: &Resolver<'_>, fexit: bool, module: Option<&str>, function: &str) -> Vec<Found> {
    let kernel = cx.fields.kernel();
    let hooked: Option<HashSet<(&str, &str)>> = kernel.traceable_functions().map(|all| {
        let wanted = all.filter(|(_, name)| matches(function, name));
        wanted.map(|(module, name)| (if module.is_empty() { VMLINUX } else { module }, name)).collect()
    });
    let mut found = Vec::new();
    for file in files(kernel, module, function, hooked.as_ref()) {
        let types = kernel.btf(file);
        let mut named: Vec<_> =
            types.find_funcs_matching(|name| matches(function, name)).map(|(id, name)| (name, id)).collect();
        named.sort_unstable();
        let usable = named.chunk_by(|a, b| a.0 == b.0).filter(|same| {
            let (name, func) = same[0];
            let denied = DENIED.contains(&name) || fexit && NEVER_RETURN.contains(&name);
            !denied
                && hooked.as_ref().is_none_or(|all| all.contains(&(kernel.name(file), name)))
                && signature(types, func).is_some_and(|signature| refusal(types, signature, true).is_none())
                && (!cx.by_type || same.iter().all(|(_, other)| same_types(cx.fields, file, func, *other)))
        });
        found.extend(usable.map(|same| (file, same[0].1)));
    }
    found
}

/// Files that may have functions of the pattern. Without a module in it all modules count, but only
/// those are opened that have such a function, if the host tells.
fn files(
    kernel: &Kernel,
    module: Option<&str>,
    function: &str,
    hooked: Option<&HashSet<(&str, &str)>>,
) -> Vec<BtfId> {
    let modules = module.unwrap_or("*");
    if !is_pattern(modules) {
        return kernel.files_matching(modules);
    }
    let wanted = |name: &str| matches(modules, name);
    if !is_pattern(function) {
        let files = std::iter::once(BtfId::VMLINUX).chain(kernel.modules_with(function));
        return files.filter(|file| wanted(kernel.name(*file))).collect();
    }
    let Some(hooked) = hooked else { return kernel.files_matching(modules) };
    let names: HashSet<&str> = hooked.iter().map(|(module, _)| *module).filter(|name| wanted(name)).collect();
    let mut files: Vec<_> = names.into_iter().flat_map(|name| kernel.files_matching(name)).collect();
    files.sort_unstable();
    files
}

/// The one function meant.
fn one(parts: &Parts<'_>, cx: &Resolver<'_>, module: Option<&str>, function: &str) -> Result<Found, Missing> {
    let kernel = cx.fields.kernel();
    let found = match module {
        None => kernel.functions(function),
        Some(module) => match kernel.find(module) {
            Ok(Some(file)) => kernel.functions_in(file, function).collect(),
            Ok(None) => return Err(absent::no_module(parts, kernel, module)),
            Err(error) => return Err(absent::broken_module(parts, &error).into()),
        },
    };
    let Some(&first) = found.first() else {
        return Err(absent::no_function(parts, kernel, module, function));
    };
    let (file, func) = first;
    if found.iter().any(|(other, _)| *other != file) {
        return Err(ambiguous(parts, kernel, function, &found).into());
    }
    if cx.by_type && !found.iter().all(|(_, other)| same_types(cx.fields, file, func, *other)) {
        return Err(several(parts, kernel, function, &found).into());
    }
    let types = kernel.btf(file);
    match signature(types, func).and_then(|signature| refusal(types, signature, false)) {
        None => Ok(first),
        Some(why) => {
            let message = format!("{} cannot attach to `{function}`", parts.provider);
            Err(Diag::error(&codes::REFUSED, message, parts.span, why)
                .help(format!("use `{}`", absent::kprobe(parts)))
                .into())
        }
    }
}

fn signature(types: &Btf, func: TypeId) -> Option<FuncProto<'_>> {
    let Ok(Type::Func { proto, .. }) = types.ty(func) else { return None };
    match types.ty(proto) {
        Ok(Type::FuncProto(signature)) => Some(signature),
        _ => None,
    }
}

fn same_types(fields: &Fields<'_>, file: BtfId, a: TypeId, b: TypeId) -> bool {
    let proto = |func| match fields.btf(file).ty(func) {
        Ok(Type::Func { proto, .. }) => Some(proto),
        _ => None,
    };
    match (proto(a), proto(b)) {
        (Some(a), Some(b)) => a == b || fields.same_signature(file, a, b),
        _ => false,
    }
}

/// Why the kernel attaches no program to functions of this prototype (`btf_distill_func_proto`).
/// Newer kernels accept unions; with `strict` they count as refused.
fn refusal(types: &Btf, signature: FuncProto<'_>, strict: bool) -> Option<&'static str> {
    let is_refused = |id: TypeId, bytes_max: u64| match types.resolve(id).and_then(|id| types.ty(id)) {
        Ok(Type::Struct(c)) => u64::from(c.size()) > bytes_max,
        Ok(Type::Union(_)) => strict,
        Ok(Type::Float { .. }) | Err(_) => true,
        Ok(_) => false,
    };
    if signature.is_variadic() {
        Some("it takes a variable number of arguments")
    } else if signature.len() > PARAMS_MAX {
        Some("it has more than 12 parameters")
    } else if signature.params().any(|param| is_refused(param.ty, STRUCT_BYTES_MAX)) {
        Some("it takes an argument in memory or in a floating-point register")
    } else if is_refused(signature.ret(), 0) {
        Some("it returns a struct")
    } else {
        None
    }
}

fn ambiguous(parts: &Parts<'_>, kernel: &Kernel, function: &str, found: &[Found]) -> Diag {
    let message = format!("several modules have a function `{function}`");
    let mut files: Vec<BtfId> = found.iter().map(|(file, _)| *file).collect();
    files.dedup();
    let names = files.iter().map(|file| format!("`{}:{}:{function}`", parts.provider, kernel.name(*file)));
    Diag::error(&codes::AMBIGUOUS, message, parts.span, "which one?")
        .help(format!("name the module: {}", names.collect::<Vec<_>>().join(", ")))
}

/// One name, several prototypes in a file: the kernel attaches to the address of one by name, and
/// checks the types of another.
fn several(parts: &Parts<'_>, kernel: &Kernel, function: &str, found: &[Found]) -> Diag {
    let (file, _) = found[0];
    let types = kernel.btf(file);
    let message = format!("`{}` has several functions `{function}`", kernel.name(file));
    let mut shown: Vec<_> = found.iter().map(|(_, func)| types.decl(*func, "")).collect();
    shown.dedup();
    let diag = Diag::error(&codes::AMBIGUOUS, message, parts.span, "whose arguments?");
    let diag = shown.into_iter().fold(diag, |diag, signature| diag.note(format!("`{signature}`")));
    diag.help(format!(
        "use `{}` with `arg0`, `arg1`, …, whose types the script decides",
        absent::kprobe(parts)
    ))
}

fn target(parts: &Parts<'_>, fields: &Fields<'_>, (btf, func): Found, kind: fn(Func) -> Kind) -> Target {
    let types = fields.btf(btf);
    let (name, proto) = match types.ty(func) {
        Ok(Type::Func { name, proto, .. }) => (name.to_owned(), proto),
        _ => unreachable!("only functions are looked for"),
    };
    let module = fields.file_name(btf).to_owned();
    let full_name = format!("{}:{module}:{name}", parts.provider);
    let Ok(Type::FuncProto(signature)) = types.ty(proto) else {
        return Target::new(kind(Func { btf, module, name, proto, words: 0 }), full_name);
    };
    let (args, words) = arguments(fields, btf, signature, 0, Space::Typed);
    let retval = fields.ty(btf, signature.ret(), Space::Typed);
    let mut target = Target::new(kind(Func { btf, module, name, proto, words }), full_name);
    target.args = args;
    target.retval = (retval != Ty::Void).then_some(retval);
    target
}

/// Parameters from `skip` on as context words, with pointers into `space`, and how many words they take. The trampoline stores
/// a struct that fits in two registers in as many words (kernel `btf_func_model`).
pub(super) fn arguments(
    fields: &Fields<'_>,
    btf: BtfId,
    signature: FuncProto<'_>,
    skip: usize,
    space: Space,
) -> (Vec<Arg>, u32) {
    let (mut args, mut word) = (Vec::new(), 0);
    for param in signature.params().skip(skip) {
        let bytes = fields.btf(btf).size_of(param.ty).unwrap_or(WORD);
        let ty = match fields.ty(btf, param.ty, space) {
            Ty::Struct(of) if bytes <= STRUCT_BYTES_MAX => Ty::Struct(of),
            Ty::Struct(_) | Ty::Array(..) | Ty::String(_) => Ty::None,
            ty => ty,
        };
        args.push(Arg { name: param.name.to_owned(), ty, source: ArgSource::Word(word) });
        word += if bytes > WORD && bytes <= STRUCT_BYTES_MAX { 2 } else { 1 };
    }
    (args, word)
}
