//! `sondec list`: probes and types of a kernel description (LANGUAGE §3.4).
//!
//! Input    a pattern: `kprobe:vfs_*`, `vfs_*`, `struct file`; several separated by commas
//! Output   one line per probe or type, sorted; with `verbose` the parameters or the definition below
//! Ensures  modules are opened only if the pattern asks for them

use super::pattern::{is_pattern, matches};
use super::{BtfId, Kernel, VMLINUX};
use btf::{Btf, Composite, FuncProto, Kind, KindSet, Type, TypeId};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A kind of probe that can be listed.
struct Lister {
    /// Long name.
    name: &'static str,
    aliases: &'static [&'static str],
    /// Only if it is named: the same places as another kind.
    named_only: bool,
    list: fn(&Kernel, &Wanted<'_>, &mut Vec<Entry>),
}

const LISTERS: &[Lister] = &[
    Lister { name: "fentry", aliases: &["f", "kfunc"], named_only: false, list: list_fentry },
    Lister { name: "fexit", aliases: &["fr", "kretfunc"], named_only: true, list: list_fentry },
    Lister { name: "interval", aliases: &["i"], named_only: true, list: list_timer },
    Lister { name: "kprobe", aliases: &["k"], named_only: false, list: list_kprobe },
    Lister { name: "kretprobe", aliases: &["kr"], named_only: true, list: list_kprobe },
    Lister { name: "profile", aliases: &["p"], named_only: true, list: list_timer },
    Lister { name: "rawtracepoint", aliases: &["rt"], named_only: false, list: list_raw },
    Lister { name: "self", aliases: &[], named_only: true, list: list_self },
    Lister { name: "tracepoint", aliases: &["t"], named_only: false, list: list_tracepoint },
];

/// What one kind is asked for.
struct Wanted<'a> {
    provider: &'static str,
    /// Module or category, if the pattern has one.
    group: Option<&'a str>,
    /// Function or event.
    name: &'a str,
    verbose: bool,
}

/// A line, and the lines below it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    line: String,
    details: Vec<String>,
}

/// The listing as text, every line with its line break.
pub fn list(kernel: &Kernel, pattern: Option<&str>, verbose: bool) -> String {
    let pattern = pattern.unwrap_or("*");
    for (keyword, kinds) in
        [("struct", KindSet::from(Kind::Struct)), ("union", Kind::Union.into()), ("enum", KindSet::ENUM)]
    {
        if let Some(name) = pattern.strip_prefix(keyword).filter(|rest| rest.starts_with(' ')) {
            return list_types(kernel, keyword, kinds, name.trim(), verbose);
        }
    }
    let mut out = String::new();
    for lister in LISTERS {
        let mut entries = Vec::new();
        for pattern in pattern.split(',') {
            let (provider, rest) = split(pattern);
            let named = provider.is_some_and(|name| lister.name == name || lister.aliases.contains(&name));
            let by_pattern = provider.is_none_or(|p| is_pattern(p) && matches(p, lister.name));
            if named || by_pattern && !lister.named_only {
                let (group, name) =
                    rest.split_once(':').map_or((None, rest), |(group, name)| (Some(group), name));
                let name = if name.is_empty() { "*" } else { name };
                (lister.list)(kernel, &Wanted { provider: lister.name, group, name, verbose }, &mut entries);
            }
        }
        entries.sort();
        entries.dedup();
        for entry in entries {
            let _ = writeln!(out, "{}", entry.line);
            for detail in entry.details {
                let _ = writeln!(out, "    {detail}");
            }
        }
    }
    out
}

/// Provider and the rest; a pattern without a colon is for functions of all kinds.
fn split(pattern: &str) -> (Option<&str>, &str) {
    pattern.split_once(':').map_or((None, pattern), |(provider, rest)| (Some(provider), rest))
}

/// Files whose names match: vmlinux and the modules, opened.
fn files(kernel: &Kernel, pattern: &str) -> Vec<BtfId> {
    if !is_pattern(pattern) {
        return kernel.find(pattern).ok().flatten().into_iter().collect();
    }
    let names = std::iter::once(VMLINUX).chain(kernel.module_names()).filter(|name| matches(pattern, name));
    names.filter_map(|name| kernel.find(name).ok().flatten()).collect()
}

/// Files that may have the function or event.
fn files_with(kernel: &Kernel, wanted: &Wanted<'_>, symbol: &str) -> Vec<BtfId> {
    match wanted.group {
        Some(group) => files(kernel, group),
        None if is_pattern(symbol) => files(kernel, "*"),
        None => std::iter::once(BtfId::VMLINUX).chain(kernel.modules_with(symbol)).collect(),
    }
}

fn list_fentry(kernel: &Kernel, wanted: &Wanted<'_>, out: &mut Vec<Entry>) {
    for file in files_with(kernel, wanted, wanted.name) {
        let types = kernel.btf(file);
        for (id, name) in types.find_funcs_matching(|name| matches(wanted.name, name)) {
            if kernel.is_traceable(kernel.name(file), name) == Some(false) {
                continue;
            }
            let line = format!("{}:{}:{name}", wanted.provider, kernel.name(file));
            let ret = wanted.provider == "fexit";
            let details = if wanted.verbose { parameters(types, id, ret) } else { Vec::new() };
            out.push(Entry { line, details });
        }
    }
}

/// Parameters of a function as C text, the return value last.
fn parameters(types: &Btf, func: TypeId, ret: bool) -> Vec<String> {
    let Ok(Type::Func { proto, .. }) = types.ty(func) else { return Vec::new() };
    match types.ty(proto) {
        Ok(Type::FuncProto(signature)) => declarations(types, signature, ret),
        _ => Vec::new(),
    }
}

fn declarations(types: &Btf, signature: FuncProto<'_>, ret: bool) -> Vec<String> {
    let mut lines: Vec<_> = signature.params().map(|param| types.decl(param.ty, param.name)).collect();
    if ret && signature.ret() != TypeId::VOID {
        lines.push(types.decl(signature.ret(), "retval"));
    }
    lines
}

fn list_kprobe(kernel: &Kernel, wanted: &Wanted<'_>, out: &mut Vec<Entry>) {
    let wants = |module: &str, name: &str| {
        wanted.group.is_none_or(|group| matches(group, module)) && matches(wanted.name, name)
    };
    let mut found: BTreeSet<(String, String)> = BTreeSet::new();
    match kernel.traceable_functions() {
        Some(all) => {
            let named = all.map(|(module, name)| (if module.is_empty() { VMLINUX } else { module }, name));
            found.extend(named.filter(|(m, n)| wants(m, n)).map(|(m, n)| (m.to_owned(), n.to_owned())));
        }
        None => {
            for file in files_with(kernel, wanted, wanted.name) {
                let module = kernel.name(file);
                let names = kernel.btf(file).find_funcs_matching(|name| wants(module, name));
                found.extend(names.map(|(_, name)| (module.to_owned(), name.to_owned())));
            }
        }
    }
    for (module, name) in found {
        let line = match wanted.group {
            Some(_) => format!("{}:{module}:{name}", wanted.provider),
            None => format!("{}:{name}", wanted.provider),
        };
        let details =
            if wanted.verbose { kprobe_parameters(kernel, wanted, &module, &name) } else { Vec::new() };
        out.push(Entry { line, details });
    }
}

fn kprobe_parameters(kernel: &Kernel, wanted: &Wanted<'_>, module: &str, name: &str) -> Vec<String> {
    let Ok(Some(file)) = kernel.find(module) else { return Vec::new() };
    let types = kernel.btf(file);
    let func = types.find(name, Kind::Func).next();
    func.map_or(Vec::new(), |func| parameters(types, func, wanted.provider == "kretprobe"))
}

fn list_raw(kernel: &Kernel, wanted: &Wanted<'_>, out: &mut Vec<Entry>) {
    let symbol = super::events::typedef_of(wanted.name);
    for file in files_with(kernel, wanted, &symbol) {
        let types = kernel.btf(file);
        for id in types.ids() {
            let Ok(Type::Typedef { name, ty }) = types.ty(id) else { continue };
            let Some(event) = name.strip_prefix("btf_trace_").filter(|event| matches(wanted.name, event))
            else {
                continue;
            };
            let line = format!("{}:{}:{event}", wanted.provider, kernel.name(file));
            let details = if wanted.verbose { raw_parameters(kernel, file, event, ty) } else { Vec::new() };
            out.push(Entry { line, details });
        }
    }
}

/// Parameters behind the tracer's own pointer.
fn raw_parameters(kernel: &Kernel, file: BtfId, event: &str, typedef: TypeId) -> Vec<String> {
    let types = kernel.btf(file);
    let pointer = types.resolve(typedef).and_then(|id| types.ty(id));
    let Ok(Type::Ptr(proto)) = pointer else { return Vec::new() };
    let Ok(Type::FuncProto(signature)) = types.ty(proto) else { return Vec::new() };
    let names = kernel.raw_event_names(file, event, signature.len());
    let params = signature.params().skip(1).enumerate();
    params
        .map(|(index, param)| types.decl(param.ty, names.get(index).map_or(param.name, String::as_str)))
        .collect()
}

fn list_tracepoint(kernel: &Kernel, wanted: &Wanted<'_>, out: &mut Vec<Entry>) {
    for (category, event) in kernel.events(wanted.group.unwrap_or("*"), wanted.name) {
        let line = format!("{}:{category}:{event}", wanted.provider);
        let details = if wanted.verbose { event_fields(kernel, &category, &event) } else { Vec::new() };
        out.push(Entry { line, details });
    }
}

/// Fields behind the common ones: as in the format file, else from the record's struct.
fn event_fields(kernel: &Kernel, category: &str, event: &str) -> Vec<String> {
    if let Some(format) = kernel.event_format(category, event) {
        let fields = format.lines().filter_map(|line| line.trim().strip_prefix("field:"));
        let declarations = fields.filter_map(|field| field.split(';').next());
        return declarations.filter(|d| !d.contains(" common_")).map(str::to_owned).collect();
    }
    if let Some((enter, call)) = super::events::syscall_event(event)
        && category == super::events::SYSCALLS
    {
        return syscall_fields(enter, call);
    }
    let class = stdlib::tracepoint_class(category, event).unwrap_or(event);
    let name = format!("trace_event_raw_{event}");
    let of_class = format!("trace_event_raw_{class}");
    let files = std::iter::once(BtfId::VMLINUX).chain(kernel.modules_with(&of_class));
    for file in files {
        let types = kernel.btf(file);
        let found = types.find(&name, Kind::Struct).chain(types.find(&of_class, Kind::Struct)).next();
        if let Some(record) = found.and_then(|id| types.ty(id).ok()).and_then(|ty| ty.composite()) {
            return record_fields(types, record);
        }
    }
    Vec::new()
}

fn syscall_fields(enter: bool, call: &str) -> Vec<String> {
    let mut fields = vec!["int __syscall_nr".to_owned()];
    if enter {
        let args = stdlib::syscall_args(call).unwrap_or_default();
        fields.extend(args.iter().map(|arg| format!("{} {}", arg.ty, arg.name)));
    } else {
        fields.push("long ret".to_owned());
    }
    fields
}

fn record_fields(types: &Btf, record: Composite<'_>) -> Vec<String> {
    let members = record.members().filter(|member| !matches!(member.name, "ent" | "__data"));
    members
        .map(|member| match member.name.strip_prefix("__data_loc_") {
            Some(name) => format!("__data_loc char[] {name}"),
            None => types.decl(member.ty, member.name),
        })
        .collect()
}

fn list_timer(_: &Kernel, wanted: &Wanted<'_>, out: &mut Vec<Entry>) {
    for unit in ["hz", "ms", "s", "us"] {
        if matches(wanted.name, unit) || wanted.group.is_some_and(|group| matches(group, unit)) {
            out.push(Entry { line: format!("{}:{unit}:", wanted.provider), details: Vec::new() });
        }
    }
}

fn list_self(_: &Kernel, _: &Wanted<'_>, out: &mut Vec<Entry>) {
    out.push(Entry { line: "self:signal:SIGUSR1".to_owned(), details: Vec::new() });
}

/// Types by name; with `verbose` their definitions, a module's only if it differs from vmlinux's.
fn list_types(kernel: &Kernel, keyword: &str, kinds: KindSet, name: &str, verbose: bool) -> String {
    let files = if is_pattern(name) {
        files(kernel, "*")
    } else {
        std::iter::once(BtfId::VMLINUX).chain(kernel.modules_with(name)).collect()
    };
    let (mut names, mut definitions) = (BTreeSet::new(), Vec::new());
    for file in files {
        let types = kernel.btf(file);
        for id in types.ids() {
            let Ok(ty) = types.ty(id) else { continue };
            let wanted = ty.kind().is_some_and(|kind| kinds.contains(kind));
            if !wanted || ty.name().is_empty() || !matches(name, ty.name()) {
                continue;
            }
            names.insert(ty.name().to_owned());
            if verbose {
                let text = definition(types, &ty);
                let known = |(_, other, _): &(String, String, BtfId)| *other == text;
                if !definitions.iter().any(known) {
                    definitions.push((ty.name().to_owned(), text, file));
                }
            }
        }
    }
    definitions.sort_by(|a, b| (&a.0, a.2).cmp(&(&b.0, b.2)));
    let mut out = String::new();
    if verbose {
        for (_, text, file) in definitions {
            let _ = writeln!(out, "{}: {text}\n", kernel.name(file));
        }
    } else {
        for name in names {
            let _ = writeln!(out, "{keyword} {name}");
        }
    }
    out
}

/// `struct x {…};` in the kernel's style.
fn definition(types: &Btf, ty: &Type<'_>) -> String {
    match ty {
        Type::Enum(e) => {
            let mut text = format!("enum {} {{\n", e.name());
            for value in e.values() {
                let shown =
                    if e.signed() { value.value.cast_signed().to_string() } else { value.value.to_string() };
                let _ = writeln!(text, "\t{} = {shown},", value.name);
            }
            text + "};"
        }
        Type::Struct(composite) => body(types, "struct", *composite, 0) + ";",
        Type::Union(composite) => body(types, "union", *composite, 0) + ";",
        _ => String::new(),
    }
}

/// Definitions inside each other deeper than this are cut: only corrupt files have them.
const DEPTH_MAX: usize = 16;

fn body(types: &Btf, keyword: &str, composite: Composite<'_>, depth: usize) -> String {
    let name = if composite.name().is_empty() { String::new() } else { format!(" {}", composite.name()) };
    let indent = "\t".repeat(depth);
    let mut text = format!("{keyword}{name} {{\n");
    for member in composite.members() {
        let inner = types.resolve(member.ty).ok().and_then(|id| types.ty(id).ok());
        let declaration = match inner {
            Some(Type::Struct(c)) if c.name().is_empty() && depth < DEPTH_MAX => {
                nested(body(types, "struct", c, depth + 1), member.name)
            }
            Some(Type::Union(c)) if c.name().is_empty() && depth < DEPTH_MAX => {
                nested(body(types, "union", c, depth + 1), member.name)
            }
            _ => types.decl(member.ty, member.name),
        };
        let bits = member.bitfield_bits.map_or(String::new(), |bits| format!(" : {bits}"));
        let _ = writeln!(text, "{indent}\t{declaration}{bits};");
    }
    text + &indent + "}"
}

fn nested(body: String, name: &str) -> String {
    if name.is_empty() { body } else { format!("{body} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use btf::{Builder, IntEncoding, Linkage, Member, Param};

    fn kernel() -> Kernel {
        let mut b = Builder::new();
        let int = b.add_int("int", 4, IntEncoding { signed: true, ..IntEncoding::default() });
        let member = |name, ty, bit_offset| Member { name, ty, bit_offset, bitfield_bits: None };
        let inner = b.add_union("", 4, &[member("b", int, 0), member("c", int, 0)]);
        let s = b.add_struct("s", 8, &[member("a", int, 0), member("", inner, 32)]);
        let pointer = b.add_ptr(s);
        let params = [Param { name: "x", ty: pointer }, Param { name: "n", ty: int }];
        let proto = b.add_func_proto(int, &params);
        b.add_func("do_it", proto, Linkage::Static);
        let traced = b.add_ptr(proto);
        b.add_typedef("btf_trace_sched_switch", traced);
        b.add_struct(
            "trace_event_raw_sched_switch",
            8,
            &[member("ent", int, 0), member("prev_pid", int, 32)],
        );
        b.add_enum("level", 4, false, &[btf::Enumerator { name: "LOW", value: 1 }]);
        Kernel::from_bytes(b.finish().expect("small"), Vec::new()).expect("just written")
    }

    #[track_caller]
    fn check(pattern: &str, verbose: bool, expected: &str) {
        assert_eq!(list(&kernel(), Some(pattern), verbose), expected, "{pattern}");
    }

    #[test]
    fn probes() {
        check("fentry:do*", false, "fentry:vmlinux:do_it\n");
        check("fexit:do_it", true, "fexit:vmlinux:do_it\n    struct s *x\n    int n\n    int retval\n");
        check("do_*", false, "fentry:vmlinux:do_it\nkprobe:do_it\n");
        check("k:vmlinux:do_it", false, "kprobe:vmlinux:do_it\n");
        check("t:*switch", true, "tracepoint:sched:sched_switch\n    int prev_pid\n");
        check("rt:*", true, "rawtracepoint:vmlinux:sched_switch\n    int n\n");
        check("nothing_like_this", false, "");
    }

    #[test]
    fn types() {
        check("struct s*", false, "struct s\n");
        let definition = "vmlinux: struct s {\n\tint a;\n\tunion {\n\t\tint b;\n\t\tint c;\n\t};\n};\n\n";
        check("struct s", true, definition);
        check("enum level", true, "vmlinux: enum level {\n\tLOW = 1,\n};\n\n");
    }
}
