//! The lines below a probe: its parameters, as C text.
//!
//! Input    a place
//! Output   one declaration per line
//! Ensures  functions are looked up in an index made once per file: listings ask for all of them

use super::probes::Place;
use crate::kernel::{BtfId, Kernel, events};
use crate::user::{Folders, Programs};
use btf::{Btf, Composite, FuncProto, Kind, NameIndex, Type, TypeId};
use std::collections::HashMap;

/// A kernel with the functions of the files that were asked for.
pub(super) struct Tables<'k> {
    kernel: &'k Kernel,
    functions: HashMap<BtfId, NameIndex>,
    programs: Programs,
}

impl<'k> Tables<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Tables<'k> {
        Tables { kernel, functions: HashMap::new(), programs: Programs::new(Folders::new(Vec::new())) }
    }

    fn function(&mut self, file: BtfId, name: &str) -> Option<FuncProto<'k>> {
        let types = self.kernel.btf(file);
        let index = self.functions.entry(file).or_insert_with(|| NameIndex::new(types, Kind::Func));
        let func = index.find(types, name).next()?;
        signature(types, func)
    }
}

/// Parameters and result of a function.
pub(super) fn signature(types: &Btf, func: TypeId) -> Option<FuncProto<'_>> {
    let Ok(Type::Func { proto, .. }) = types.ty(func) else { return None };
    match types.ty(proto) {
        Ok(Type::FuncProto(signature)) => Some(signature),
        _ => None,
    }
}

/// bpftrace shows type and name apart, whatever the type.
fn declared(types: &Btf, ty: TypeId, name: &str) -> String {
    format!("{} {name}", types.decl(ty, ""))
}

pub(super) fn none(_: &mut Tables<'_>, _: &Place<'_>) -> Vec<String> {
    Vec::new()
}

/// From the program's debug information, in bpftrace's spelling of DWARF types.
pub(super) fn uprobe(tables: &mut Tables<'_>, place: &Place<'_>) -> Vec<String> {
    let programs = &tables.programs;
    programs.declarations(programs.id(&place.group), &place.name)
}

pub(super) fn fentry(tables: &mut Tables<'_>, place: &Place<'_>) -> Vec<String> {
    let Some((file, func)) = place.ty else { return Vec::new() };
    let types = tables.kernel.btf(file);
    let Some(signature) = signature(types, func) else { return Vec::new() };
    let params = signature.params().map(|param| declared(types, param.ty, param.name));
    params.chain(signature.is_variadic().then(|| "void ".to_owned())).collect()
}

/// Parameters, and the return value last.
pub(super) fn fexit(tables: &mut Tables<'_>, place: &Place<'_>) -> Vec<String> {
    let mut lines = fentry(tables, place);
    if let Some((file, func)) = place.ty {
        let types = tables.kernel.btf(file);
        let ret = signature(types, func).map(|signature| signature.ret()).filter(|ret| *ret != TypeId::VOID);
        lines.extend(ret.map(|ret| declared(types, ret, "retval")));
    }
    lines
}

/// Parameters as the script names them.
pub(super) fn kprobe(tables: &mut Tables<'_>, place: &Place<'_>) -> Vec<String> {
    let Ok(Some(file)) = tables.kernel.find(place.module) else { return Vec::new() };
    let Some(signature) = tables.function(file, &place.name) else { return Vec::new() };
    let types = tables.kernel.btf(file);
    // Floating-point arguments are in registers of their own.
    let params = signature.params().filter(|param| !matches!(types.ty(param.ty), Ok(Type::Float { .. })));
    let variadic = signature.is_variadic().then_some(TypeId::VOID);
    let all = params.map(|param| param.ty).chain(variadic).enumerate();
    all.map(|(index, ty)| declared(types, ty, &format!("arg{index}"))).collect()
}

pub(super) fn kretprobe(tables: &mut Tables<'_>, place: &Place<'_>) -> Vec<String> {
    let Ok(Some(file)) = tables.kernel.find(place.module) else { return Vec::new() };
    let Some(signature) = tables.function(file, &place.name) else { return Vec::new() };
    match signature.ret() {
        TypeId::VOID => vec!["void".to_owned()],
        ret => vec![declared(tables.kernel.btf(file), ret, "retval")],
    }
}

/// Parameters behind the tracer's own pointer.
pub(super) fn raw(tables: &mut Tables<'_>, place: &Place<'_>) -> Vec<String> {
    let Some((file, typedef)) = place.ty else { return Vec::new() };
    let types = tables.kernel.btf(file);
    let pointer = types.resolve(typedef).and_then(|id| types.ty(id));
    let Ok(Type::Ptr(proto)) = pointer else { return Vec::new() };
    let Ok(Type::FuncProto(signature)) = types.ty(proto) else { return Vec::new() };
    let twins = events::twins_of(&place.name).filter_map(|twin| tables.function(file, &twin));
    let named = events::names_of(twins, signature.len());
    let params = signature.params().skip(1).enumerate();
    params
        .map(|(index, param)| declared(types, param.ty, named.get(index).map_or(param.name, String::as_str)))
        .collect()
}

/// Fields behind the common ones: as in the format file, else from the record's struct.
pub(super) fn tracepoint(tables: &mut Tables<'_>, place: &Place<'_>) -> Vec<String> {
    let (kernel, category, event) = (tables.kernel, &*place.group, &*place.name);
    if let Some(format) = kernel.event_format(category, event) {
        // The first paragraph has the fields that all events have.
        let own = format.lines().skip_while(|line| !line.is_empty());
        let fields = own.filter_map(|line| line.strip_prefix("\tfield:"));
        return fields.filter_map(|field| field.split(';').next()).map(str::to_owned).collect();
    }
    if let Some((enter, call)) = events::syscall_event(event)
        && category == events::SYSCALLS
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
