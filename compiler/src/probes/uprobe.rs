//! uprobe and uretprobe: the context is the CPU's registers, as of a kprobe.

use manifest::AttachPoint;

use super::Record;
use crate::resolve::Uprobe;

pub(super) fn entry(uprobe: &Uprobe) -> Record {
    let Uprobe { path, function, offset, .. } = uprobe;
    let place = match (function, offset) {
        (Some(function), 0) => function.clone(),
        (Some(function), offset) => format!("{function}+{offset:#x}"),
        (None, address) => format!("{address:#x}"),
    };
    let (path, function) = (path.clone(), function.clone());
    let section = format!("uprobe/{path}:{place}");
    Record { section, at: AttachPoint::Uprobe { path, function, offset: *offset, build_id: None } }
}

pub(super) fn exit(uprobe: &Uprobe) -> Record {
    let (path, function) = (uprobe.path.clone(), uprobe.function.clone().unwrap_or_default());
    let section = format!("uretprobe/{path}:{function}");
    Record { section, at: AttachPoint::Uretprobe { path, function } }
}
