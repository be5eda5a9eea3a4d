//! `uprobe`, `uretprobe`: functions of user programs and libraries. The context is `struct pt_regs`.
//!
//! The object names file and function; which bytes these are is this host's to say. Every place is a
//! perf event of its own.

use super::{Attached, Failure, Host, Kind, Order, Point, attach_event};
use crate::kinds;
use crate::sys::SysError;
use crate::sys::perf::{self, ProbePmu, Scope};
use manifest::AttachPoint;
use std::ffi::CString;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use userelf::{Image, Symbol, Symbols};

/// Entry of a function, or an instruction in it.
pub const UPROBE: Kind = Kind {
    name: "uprobe",
    prog_type: kinds::PROG_KPROBE,
    attach_type: 0,
    since: "4.17",
    order: Order::Reverse,
};

/// Return of a function.
pub const URETPROBE: Kind = Kind { name: "uretprobe", order: Order::Forward, ..UPROBE };

/// Places in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    path: CString,
    /// Bytes from the file's start.
    offsets: Vec<u64>,
    scope: Scope,
}

impl Target {
    /// How many places.
    pub fn count(&self) -> usize {
        self.offsets.len()
    }
}

/// What the script asks for.
struct Wanted<'a> {
    function: Option<&'a str>,
    offset: u64,
    allow_unsafe: bool,
}

/// Finds the file and the places in it; the error says what is missing.
pub fn find(
    at: &AttachPoint,
    host: &Host<'_>,
    warn: &mut dyn FnMut(&str),
) -> Result<(&'static Kind, Point), String> {
    let (kind, path, function, offset, build_id) = match at {
        AttachPoint::Uprobe { path, function, offset, build_id } => {
            (&UPROBE, path, function.as_deref(), *offset, build_id.as_deref())
        }
        AttachPoint::Uretprobe { path, function } => (&URETPROBE, path, Some(function.as_str()), 0, None),
        _ => return Err("it is no probe of a user program".into()),
    };
    let root = host.asked.pid.map_or_else(|| PathBuf::from("/"), |pid| format!("/proc/{pid}/root").into());
    let search = std::env::var("PATH").ok();
    let file = userelf::find::target(path, &root, search.as_deref());
    let file = file.ok_or_else(|| format!("there is no file `{path}` here"))?;
    let image = Image::open(&file).map_err(|error| format!("`{path}`: {}", crate::error::chain(&error)))?;
    if let Some(built) = build_id
        && image.build_id().is_none_or(|here| here.to_string() != built)
    {
        warn(&format!(
            "`{path}` is not the file whose debug information the script was compiled with: arguments and structs may be read wrongly. Compile it against this file."
        ));
    }
    let wanted = Wanted { function, offset, allow_unsafe: host.asked.allow_unsafe };
    let mut offsets = places(&image, &file, &wanted)?;
    offsets.sort_unstable();
    offsets.dedup();
    let path = CString::new(file.as_os_str().as_bytes()).map_err(|_| format!("`{path}` is no path"))?;
    let scope = host.asked.pid.map_or(Scope::Cpu(0), Scope::Pid);
    Ok((kind, Point::Uprobe(Target { path, offsets, scope })))
}

/// Offsets in the file.
fn places(image: &Image, file: &Path, wanted: &Wanted<'_>) -> Result<Vec<u64>, String> {
    let in_file = |address: u64| {
        image.file_offset(address).ok_or_else(|| format!("address {address:#x} is no code of the file"))
    };
    let Some(function) = wanted.function else { return Ok(vec![in_file(wanted.offset)?]) };
    let symbols = image.symbols().map_err(|error| format!("its symbols: {}", crate::error::chain(&error)))?;
    let mut addresses = addresses(&symbols, function, wanted)?;
    if addresses.is_empty() {
        // A stripped file's own functions are in its debug file only.
        for debug in userelf::debug::files(image, file, &[userelf::debug::FOLDER.into()]) {
            let Ok(symbols) = Image::open(&debug).and_then(|image| image.symbols()) else { continue };
            addresses.extend(self::addresses(&symbols, function, wanted)?);
        }
    }
    match (addresses.is_empty(), symbols.is_empty()) {
        (true, true) => Err("the file is stripped: its debug symbols are not installed".into()),
        (true, false) => Err("the file has no such function, or it was inlined".into()),
        (false, _) => addresses.into_iter().map(in_file).collect(),
    }
}

fn addresses(symbols: &Symbols, function: &str, wanted: &Wanted<'_>) -> Result<Vec<u64>, String> {
    if function.contains('*') {
        // What has no size is no function a compiler wrote.
        let found = symbols.matching(|name| crate::kernel::functions::matches(function, name));
        let known = found.into_iter().filter(|symbol| symbol.size > 0 || wanted.allow_unsafe);
        return Ok(known.map(|symbol| symbol.address).collect());
    }
    symbols.named(function).into_iter().map(|symbol| within(&symbol, wanted)).collect()
}

/// The address of the instruction meant; bpftrace's rules and texts.
fn within(symbol: &Symbol<'_>, wanted: &Wanted<'_>) -> Result<u64, String> {
    let &Symbol { name, address, size } = symbol;
    if !wanted.allow_unsafe {
        if size == 0 && wanted.offset == 0 {
            return Err(format!(
                "Could not determine boundary for {name} (symbol has size 0). Use --unsafe to force attachment"
            ));
        }
        if wanted.offset >= size {
            return Err(format!("Offset outside the function bounds ('{name}' size is {size})"));
        }
    }
    address.checked_add(wanted.offset).ok_or_else(|| "the offset is too large".into())
}

/// Attaches a program to all places.
pub fn attach(at: &AttachPoint, target: &Target, program: BorrowedFd<'_>) -> Result<Attached, Failure> {
    let is_return = matches!(at, AttachPoint::Uretprobe { .. });
    let pmu = ProbePmu::uprobe().ok_or(SysError { call: "uprobe PMU", errno: libc::ENOENT })?;
    let mut links = Vec::new();
    for &offset in &target.offsets {
        let event = perf::uprobe(pmu, &target.path, offset, is_return, target.scope).map_err(explain)?;
        links.extend(attach_event(event, program)?);
    }
    Ok(Attached { links, count: target.count() })
}

fn explain(source: SysError) -> Failure {
    let hint = match source.errno {
        libc::EINVAL | libc::EILSEQ | libc::EOPNOTSUPP => {
            ". The kernel cannot probe this instruction, or the offset is in the middle of one"
        }
        libc::ESRCH => ". The process has ended",
        _ => "",
    };
    Failure { source, missing: false, hint }
}
