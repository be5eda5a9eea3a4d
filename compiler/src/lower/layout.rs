//! How the loader reads values: types as `manifest::Layout`s.

use manifest::{Bits, Field, Layout};

use super::{Lower, Object};
use crate::fields::{Composite, EnumRef, Fields, Member};
use crate::types::{Space, Ty, layout};

/// Structs within structs that are shown; deeper ones print as `null`.
const NESTING_MAX: u32 = 8;

impl Lower<'_> {
    /// Layout of a value in an event.
    pub(crate) fn layout(&mut self, ty: &Ty) -> Layout {
        of(self.object, self.input.fields, ty, 0)
    }
}

/// Layout of a value of type `ty`. Formats of timestamps are filled in when all are known.
pub(super) fn of(object: &mut Object, types: &Fields<'_>, ty: &Ty, depth: u32) -> Layout {
    match ty {
        Ty::None | Ty::Void | Ty::Args | Ty::Agg(_) => Layout::None,
        Ty::Int(int) => Layout::Int { size: int.size, signed: int.signed },
        Ty::Bool => Layout::Bool,
        Ty::Enum(int, of) => Layout::Enum { size: int.size, id: enum_id(object, *of) },
        Ty::Ptr(..) => Layout::Pointer,
        Ty::String(size) => Layout::String { size: *size },
        Ty::Buffer(size) => Layout::Buffer { size: *size },
        Ty::Array(element, len) => Layout::Array {
            of: Box::new(of(object, types, element, depth + 1)),
            stride: element.size(),
            len: *len,
        },
        Ty::Struct(composite) => record(object, types, *composite, depth),
        Ty::Tuple(fields) => {
            let offsets = layout(fields.iter()).0;
            let fields = fields.iter().zip(offsets);
            let fields = fields.map(|(ty, offset)| field(offset, of(object, types, ty, depth + 1))).collect();
            Layout::Tuple { size: ty.size(), fields }
        }
        Ty::Record(named) => {
            let offsets = layout(named.iter().map(|(_, ty)| ty)).0;
            let fields = named.iter().zip(offsets);
            let fields =
                fields.map(|((_, ty), offset)| field(offset, of(object, types, ty, depth + 1))).collect();
            Layout::Record {
                size: ty.size(),
                names: named.iter().map(|(name, _)| name.clone()).collect(),
                fields,
            }
        }
        Ty::Inet => Layout::Inet,
        Ty::Mac => Layout::Mac,
        Ty::Ksym => Layout::Ksym,
        Ty::Usym => Layout::Usym,
        Ty::Username => Layout::Username,
        Ty::Timestamp => Layout::Timestamp { formats: Vec::new() },
        Ty::CgroupPath => Layout::CgroupPath,
        Ty::Kstack(mode, limit) => Layout::Kstack { mode: *mode, limit: *limit },
        Ty::Ustack(mode, limit) => Layout::Ustack { mode: *mode, limit: *limit },
    }
}

fn field(offset: u32, layout: Layout) -> Field {
    Field { offset, layout, bits: None }
}

fn enum_id(object: &mut Object, of: EnumRef) -> u32 {
    let known = object.enums.iter().position(|e| *e == of);
    known.unwrap_or_else(|| {
        object.enums.push(of);
        object.enums.len() - 1
    }) as u32
}

fn record(object: &mut Object, types: &Fields<'_>, composite: Composite, depth: u32) -> Layout {
    if depth > NESTING_MAX {
        return Layout::None;
    }
    let members = types.members(composite, Space::Kernel);
    let fields = members.iter().map(|member| struct_field(object, types, member, depth)).collect();
    let names = members.into_iter().map(|member| member.name).collect();
    Layout::Record { size: composite.size, names, fields }
}

fn struct_field(object: &mut Object, types: &Fields<'_>, member: &Member, depth: u32) -> Field {
    let offset = member.bit_offset / 8;
    let layout = of(object, types, &member.ty, depth + 1);
    let bits = member.bits.map(|width| Bits { offset: (member.bit_offset % 8) as u8, width });
    Field { offset, layout, bits }
}

/// Gives every timestamp within `layout` the formats of the script.
pub(super) fn set_formats(layout: &mut Layout, all: &[String]) {
    match layout {
        Layout::Timestamp { formats } => *formats = all.to_vec(),
        Layout::Array { of, .. } => set_formats(of, all),
        Layout::Tuple { fields, .. } | Layout::Record { fields, .. } => {
            fields.iter_mut().for_each(|field| set_formats(&mut field.layout, all));
        }
        Layout::None
        | Layout::Int { .. }
        | Layout::Bool
        | Layout::Enum { .. }
        | Layout::Pointer
        | Layout::String { .. }
        | Layout::Buffer { .. }
        | Layout::Inet
        | Layout::Mac
        | Layout::Ksym
        | Layout::Usym
        | Layout::Username
        | Layout::CgroupPath
        | Layout::Kstack { .. }
        | Layout::Ustack { .. } => {}
    }
}
