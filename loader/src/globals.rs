//! Fills in the read-only globals that the loader decides.
//!
//! Input    an object's data sections, the script's parameters, facts of the host
//! Output   the same sections, with each of the manifest's globals written
//! Ensures  a symbol or cgroup that does not exist is an error, so a script never runs on a made-up value

use crate::error::Error;
use crate::kernel::{cpus, functions};
use crate::object::Object;
use crate::params::Params;
use crate::sys::host::{Clock, now_ns};
use manifest::GlobalRole;
use std::os::unix::fs::MetadataExt;

/// Processes that the run is about; 0 for none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pids {
    /// `-p`.
    pub target: u32,
    /// Of `-c`.
    pub child: u32,
}

/// Contents of the data sections, in the object's order.
pub fn fill_globals(object: &Object, params: &Params, pids: Pids) -> Result<Vec<Vec<u8>>, Error> {
    let mut sections: Vec<Vec<u8>> = object.data.iter().map(|section| section.bytes.clone()).collect();
    for (global, place) in object.manifest.globals.iter().zip(&object.globals) {
        let bytes = value(&global.role, params, pids)?;
        let range = place.offset..place.offset + place.size;
        let to = sections.get_mut(place.section).and_then(|section| section.get_mut(range));
        // `open/promises.rs` has checked place and size.
        if let Some(to) = to.filter(|to| to.len() == bytes.len()) {
            to.copy_from_slice(&bytes);
        }
    }
    Ok(sections)
}

fn value(role: &GlobalRole, params: &Params, pids: Pids) -> Result<Vec<u8>, Error> {
    let number = match role {
        GlobalRole::Ncpus => cpus::online()?.len() as u64,
        GlobalRole::MaxCpuId => cpus::possible()?.last().copied().unwrap_or(0).into(),
        GlobalRole::ChildPid => pids.child.into(),
        GlobalRole::StartNs => now_ns(Clock::Boot),
        GlobalRole::TaiOffset => now_ns(Clock::Tai).wrapping_sub(now_ns(Clock::Boot)),
        GlobalRole::KernelSymbol(name) => {
            let error = |source| Error::Io { what: "/proc/kallsyms".into(), source };
            let found = functions::address(None, name).map_err(error)?;
            match found {
                Some(0) => return Err(Error::HiddenSymbol(name.clone())),
                found => found.ok_or_else(|| Error::KernelSymbol(name.clone()))?,
            }
        }
        // The id of a cgroup is its inode number (`cgroup_id()`, 64-bit kernels).
        GlobalRole::CgroupId(path) => {
            let error = |source| Error::Io { what: format!("cgroup `{path}`"), source };
            std::fs::metadata(path).map_err(error)?.ino()
        }
        GlobalRole::PositionalCount => params.positional.len() as u64,
        GlobalRole::PositionalInt(index) => return Ok(params.int(*index)?.to_vec()),
        GlobalRole::PositionalStr { index, size } => return params.text(*index, *size),
        GlobalRole::Named(parameter) => return params.named(parameter),
    };
    Ok(number.to_le_bytes().to_vec())
}
