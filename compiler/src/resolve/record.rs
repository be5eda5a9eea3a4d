//! The records of tracepoints: which struct, and its fields as arguments.
//!
//! Offsets are left to CO-RE on `struct trace_event_raw_*`: format files tell the build host's alone.

use super::{Arg, ArgSource};
use crate::fields::{Composite, Fields, Found, Member, Named, NotFound};
use crate::kernel::BtfId;
use crate::kernel::events::typedef_of;
use crate::syntax::ast::Tag;
use crate::types::{Int, Space, Ty};
use btf::{Type, TypeId};

const PREFIX: &str = "trace_event_raw_";

/// The struct of an event's record, in the file that has the event: its own, or its class's.
pub(super) fn record_of(fields: &Fields<'_>, category: &str, event: &str) -> Found<Composite> {
    let files = fields.kernel().event_files(category, event);
    if files.is_empty() {
        // Events without programs' probes leave their record alone.
        let names = names(category, event);
        return first(names.iter().map(|name| fields.find(Some(Tag::Struct), name)))
            .and_then(|found| fields.composite_of(found));
    }
    let found = files.into_iter().map(|file| record_in(fields, file, category, event));
    let found = found.filter(|found| *found != Err(NotFound::Unknown)).collect::<Result<Vec<_>, _>>()?;
    fields.only(found).and_then(|found| fields.composite_of(found))
}

/// Names that the record's struct may have.
fn names(category: &str, event: &str) -> Vec<String> {
    let class = stdlib::tracepoint_class(category, event);
    std::iter::once(event).chain(class).map(|name| format!("{PREFIX}{name}")).collect()
}

/// The first that is not unknown.
fn first<T>(found: impl IntoIterator<Item = Found<T>>) -> Found<T>
where
    Found<T>: PartialEq,
{
    found.into_iter().find(|found| *found != Err(NotFound::Unknown)).unwrap_or(Err(NotFound::Unknown))
}

fn record_in(fields: &Fields<'_>, file: BtfId, category: &str, event: &str) -> Found<Named> {
    let names = names(category, event);
    let by_name = names.iter().map(|name| fields.find_in(file, Some(Tag::Struct), name));
    first(by_name.chain(std::iter::once_with(|| {
        let classes = classes(fields, file, event);
        match fields.kernel().event_format(category, event) {
            // What a class has beside its name is told by the event's format file,
            Some(format) => by_fields(fields, classes, &format_fields(&format)),
            // without one only if it does not matter which class it is.
            None => fields.only(classes),
        }
    })))
}

/// Records of the classes that the event may be of.
fn classes(fields: &Fields<'_>, file: BtfId, event: &str) -> Vec<Named> {
    let records = class_probes(fields, file, event).into_iter().map(|(class, _)| format!("{PREFIX}{class}"));
    records.filter_map(|record| fields.find_in(file, Some(Tag::Struct), &record).ok()).collect()
}

/// Classes that the event may be of, with the prototypes of their probes: those that the event's has
/// (`include/trace/bpf_probe.h`: `__bpf_trace_CLASS`, `btf_trace_EVENT`).
pub(super) fn class_probes<'a>(fields: &'a Fields<'_>, file: BtfId, event: &str) -> Vec<(&'a str, TypeId)> {
    let types = fields.btf(file);
    let proto_of = |id| match types.ty(types.resolve(id).ok()?).ok()? {
        Type::Ptr(proto) => Some(proto),
        _ => None,
    };
    let typedef = types.find(&typedef_of(event), btf::Kind::Typedef).next();
    let Some(wanted) = typedef.and_then(proto_of) else { return Vec::new() };
    let class = |(func, name): (TypeId, &'a str)| {
        let Ok(Type::Func { proto, .. }) = types.ty(func) else { return None };
        let class = name.strip_prefix("__bpf_trace_")?;
        fields.same_signature(file, proto, wanted).then_some((class, proto))
    };
    types.find_funcs_matching(|name| name.starts_with("__bpf_trace_")).filter_map(class).collect()
}

/// Names of the fields that an event's format file lists behind the common ones.
fn format_fields(format: &str) -> Vec<&str> {
    let lines = format.lines().filter_map(|line| line.trim().strip_prefix("field:"));
    let names = lines.filter_map(|line| {
        let declaration = line.split(';').next()?;
        let loc = declaration.starts_with("__data_loc");
        let name = declaration.split('[').next()?.trim().rsplit([' ', '*']).next()?;
        // `__data_loc char[] name` has its brackets in front of the name.
        if loc { declaration.rsplit(' ').next() } else { Some(name) }
    });
    names.filter(|name| !name.starts_with("common_")).collect()
}

/// The only one of these records with exactly these fields.
fn by_fields(fields: &Fields<'_>, mut records: Vec<Named>, wanted: &[&str]) -> Found<Named> {
    records.retain(|record| {
        let composite = fields.btf(record.btf).ty(record.id).ok().and_then(|ty| ty.composite());
        let members = composite.into_iter().flat_map(|c| c.members());
        let names = members.map(|member| member.name).filter(|name| !is_internal(name));
        names.map(|name| name.strip_prefix("__data_loc_").unwrap_or(name)).eq(wanted.iter().copied())
    });
    fields.only(records)
}

fn is_internal(name: &str) -> bool {
    matches!(name, "ent" | "__data")
}

/// The record's members as arguments.
pub(super) fn fields_of(fields: &Fields<'_>, record: Composite) -> Vec<Arg> {
    let members = fields.members(record, Space::Kernel).into_iter().filter(|m| !is_internal(&m.name));
    members.map(|member| argument(fields, record, member)).collect()
}

fn argument(fields: &Fields<'_>, record: Composite, member: Member) -> Arg {
    if let Some(name) = member.name.strip_prefix("__data_loc_") {
        return Arg { name: name.to_owned(), ty: Ty::I64, source: ArgSource::DataLoc(member) };
    }
    if let Some(name) = member.name.strip_prefix("__rel_loc_") {
        return Arg { name: name.to_owned(), ty: Ty::I64, source: ArgSource::RelLoc(member) };
    }
    let ty = match &member.ty {
        Ty::String(len) if !is_char_array(fields, record, &member) => {
            Ty::Array(Box::new(Ty::Int(Int { size: 1, signed: false })), *len)
        }
        ty => ty.clone(),
    };
    Arg { name: member.name.clone(), ty, source: ArgSource::Field(member) }
}

/// In tracepoints only arrays of `char` are strings.
fn is_char_array(fields: &Fields<'_>, record: Composite, member: &Member) -> bool {
    let types = fields.btf(record.btf);
    let array = types.resolve(member.id).and_then(|id| types.ty(id));
    let Ok(Type::Array { elem, .. }) = array else { return false };
    matches!(types.resolve(elem).and_then(|id| types.ty(id)), Ok(Type::Int { name: "char", .. }))
}

/// Record and arguments of a system call's tracepoint.
pub(super) fn syscall_fields(fields: &Fields<'_>, enter: bool, call: &str) -> (Option<Composite>, Vec<Arg>) {
    let name = if enter { "trace_event_raw_sys_enter" } else { "trace_event_raw_sys_exit" };
    let Ok(record) = fields.find_struct(name) else { return (None, Vec::new()) };
    let member = |name| fields.member(record, name, Space::Kernel);
    let mut args = Vec::new();
    if let Some(id) = member("id") {
        let ty = Ty::Int(Int { size: 4, signed: true });
        args.push(Arg { name: "__syscall_nr".to_owned(), ty, source: ArgSource::Field(id) });
    }
    if let (false, Some(ret)) = (enter, member("ret")) {
        args.push(Arg { name: "ret".to_owned(), ty: Ty::I64, source: ArgSource::Field(ret) });
    }
    if let (true, Some(array)) = (enter, member("args")) {
        for (index, arg) in stdlib::syscall_args(call).unwrap_or_default().iter().enumerate() {
            let index = u32::try_from(index).expect("system calls have at most six arguments");
            let source = ArgSource::Syscall { args: array.clone(), index };
            args.push(Arg { name: arg.name.to_owned(), ty: c_type(fields, arg.ty), source });
        }
    }
    (Some(record), args)
}

/// The type of a system call's argument. Every one is stored in a `long`, and integers count as that
/// wide; pointers are the caller's.
fn c_type(fields: &Fields<'_>, text: &str) -> Ty {
    let stars = text.matches('*').count();
    let base: Vec<&str> = text.split(['*', ' ']).filter(|word| !matches!(*word, "" | "const")).collect();
    if stars == 0 {
        // Narrower ones come as the caller left them in the register, which format files call unsigned.
        let long = matches!(plain_type(fields, &base), Ty::Int(Int { size: 8, signed: true }));
        return if long { Ty::I64 } else { Ty::U64 };
    }
    let pointee = match base[..] {
        ["void"] => Ty::Void,
        ["struct" | "union", name] => fields.find_struct(name).map_or(Ty::Void, Ty::Struct),
        _ => plain_type(fields, &base),
    };
    (0..stars).fold(pointee, |ty, _| Ty::Ptr(Box::new(ty), Space::User))
}

fn plain_type(fields: &Fields<'_>, words: &[&str]) -> Ty {
    let int = |size, signed| Ty::Int(Int { size, signed });
    match words {
        ["char"] => int(1, true),
        ["unsigned", "char"] => int(1, false),
        ["int"] => int(4, true),
        ["unsigned"] | ["unsigned", "int"] => int(4, false),
        ["long"] => int(8, true),
        ["unsigned", "long"] => int(8, false),
        [name] => {
            let found = fields.find(None, name);
            found.map_or(Ty::Void, |found| match fields.ty(found.btf, found.id, Space::User) {
                Ty::None => Ty::Void,
                ty => ty,
            })
        }
        _ => Ty::Void,
    }
}

#[cfg(test)]
mod tests {
    use super::format_fields;

    #[test]
    fn names_in_format_files() {
        let format = "name: x\nformat:\n\tfield:unsigned short common_type;\toffset:0;\n\n\
            \tfield:char comm[16];\toffset:8;\n\tfield:const char * name;\toffset:24;\n\
            \tfield:__data_loc char[] filename;\toffset:8;\n\tfield:u8 *p;\toffset:8;\n\nprint fmt: \"\"\n";
        assert_eq!(format_fields(format), ["comm", "name", "filename", "p"]);
    }
}
