//! The records of tracepoints: which struct, and its fields as arguments.
//!
//! Offsets are left to CO-RE on `struct trace_event_raw_*`: format files tell the build host's alone.

use super::{Arg, ArgSource};
use crate::fields::{Composite, Fields, Member};
use crate::types::{Int, Space, Ty};
use btf::Type;

const PREFIX: &str = "trace_event_raw_";

/// The struct of an event's record: its own, or its class's. On a live host the class may also be
/// told by the format file's fields.
pub(super) fn record_of(fields: &Fields<'_>, category: &str, event: &str) -> Option<Composite> {
    let own = format!("{PREFIX}{event}");
    let class = stdlib::tracepoint_class(category, event).map(|class| format!("{PREFIX}{class}"));
    let names = || std::iter::once(own.as_str()).chain(class.as_deref());
    // vmlinux first: a look into modules reads all of them.
    let near = names().find_map(|name| fields.find_struct_near(name));
    near.or_else(|| names().find_map(|name| fields.find_struct(name))).or_else(|| {
        let format = fields.kernel().event_format(category, event)?;
        by_fields(fields, &format_fields(&format))
    })
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

/// The only record struct of vmlinux with exactly these fields.
fn by_fields(fields: &Fields<'_>, wanted: &[&str]) -> Option<Composite> {
    let types = fields.btf(crate::kernel::BtfId::VMLINUX);
    let mut found = types.ids().filter_map(|id| {
        let composite = types.ty(id).ok()?.composite().filter(|c| c.name().starts_with(PREFIX))?;
        let names = composite.members().map(|member| member.name).filter(|name| !is_internal(name));
        let names: Vec<_> = names.map(|name| name.strip_prefix("__data_loc_").unwrap_or(name)).collect();
        (names == wanted).then_some(Composite {
            btf: crate::kernel::BtfId::VMLINUX,
            id,
            size: composite.size(),
        })
    });
    let first = found.next()?;
    found.next().is_none().then_some(first)
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
        return Arg { name: name.to_owned(), ty: Ty::None, source: ArgSource::Field(member) };
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
    let Some(record) = fields.find_struct(name) else { return (None, Vec::new()) };
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
