//! Loads an object's types and programs into the kernel.
//!
//! Input    bytes of types; linked and bound programs
//! Output   descriptors
//! Ensures  a refusal comes with the kernel's reason: the log is asked for in a second attempt, for most programs
//!          load and logging costs

use crate::attach::Kind;
use crate::error::Error;
use crate::object::Object;
use crate::object_types::{Level, kernel_btf};
use crate::relocate::Linked;
use crate::sys::bpf::{self, ProgSpec};
use crate::sys::host;
use crate::verifier::Refusal;
use btf::TypeId;
use manifest::Probe;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes of the verifier's log at first and at the most.
const LOG_BYTES: (usize, usize) = (64 << 10, 16 << 20);

/// Loads the object's types.
pub fn load_types(object: &Object) -> Result<OwnedFd, Error> {
    let mut first = None;
    for level in [Level::Full, Level::Old] {
        let Some(bytes) = kernel_btf(object.btf.as_bytes(), level) else { break };
        match bpf::btf_load(&bytes, None) {
            Ok(fd) => return Ok(fd),
            Err(error) if error.errno == libc::EPERM && host::lift_memlock_limit().is_ok() => {
                if let Ok(fd) = bpf::btf_load(&bytes, None) {
                    return Ok(fd);
                }
                first.get_or_insert((error, bytes));
            }
            Err(error) => drop(first.get_or_insert((error, bytes))),
        }
    }
    let (source, bytes) =
        first.unwrap_or((crate::sys::SysError { call: "BPF_BTF_LOAD", errno: libc::EINVAL }, Vec::new()));
    let mut log = vec![0; LOG_BYTES.0];
    let log = match bpf::btf_load(&bytes, Some(&mut log)) {
        Ok(fd) => return Ok(fd),
        Err(_) => text(&log),
    };
    Err(Error::TypesRefused { error: source, log })
}

/// What a program attaches to by type id.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prototype<'a> {
    /// Type id of the function or raw tracepoint; void for other kinds.
    pub id: TypeId,
    /// BTF of the module that has it.
    pub module: Option<BorrowedFd<'a>>,
}

/// Loads one program.
pub fn load_program(
    object: &Object,
    probe: &Probe,
    kind: &Kind,
    prototype: Prototype<'_>,
    linked: &Linked,
    btf: BorrowedFd<'_>,
) -> Result<OwnedFd, Error> {
    let spec = ProgSpec {
        name: &probe.program,
        prog_type: kind.prog_type,
        attach_type: kind.attach_type,
        insns: &linked.insns,
        license: &object.license,
        btf: Some(btf.as_fd()),
        func_info: &linked.func_info,
        line_info: &linked.line_info,
        attach_btf_id: prototype.id.0,
        attach_btf: prototype.module,
        fd_array: &[],
    };
    let first = match bpf::prog_load(&spec, None) {
        Ok(fd) => return Ok(fd),
        Err(error) if error.errno == libc::EPERM && host::lift_memlock_limit().is_ok() => {
            match bpf::prog_load(&spec, None) {
                Ok(fd) => return Ok(fd),
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    let mut size = LOG_BYTES.0;
    loop {
        let mut log = vec![0; size];
        match bpf::prog_load(&spec, Some(&mut log)) {
            Ok(fd) => return Ok(fd),
            Err(error) if error.errno == libc::ENOSPC && size < LOG_BYTES.1 => size *= 4,
            Err(_) => {
                let log = text(&log);
                if log.trim().is_empty() {
                    let (program, probe) = (probe.program.clone(), probe.name.clone());
                    return Err(Error::Load { program, probe, error: first });
                }
                let (release, _) = host::kernel();
                let script = &object.manifest.source;
                let refusal = Refusal::new(probe, linked, script, &release, first, log);
                return Err(Error::Verifier(Box::new(refusal)));
            }
        }
    }
}

/// A log up to its NUL.
fn text(log: &[u8]) -> String {
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    String::from_utf8_lossy(log.get(..end).unwrap_or_default()).into_owned()
}
