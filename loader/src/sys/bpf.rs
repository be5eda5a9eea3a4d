//! `bpf(2)`.
//!
//! Each command has its own view of `union bpf_attr`, as long as the newest field used. Older kernels
//! accept a longer attribute whose unknown tail is zero (`bpf_check_uarg_tail_zero`).

use super::{SysError, checked, owned};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const MAP_CREATE: u32 = 0;
const MAP_LOOKUP_ELEM: u32 = 1;
const MAP_UPDATE_ELEM: u32 = 2;
const MAP_DELETE_ELEM: u32 = 3;
const MAP_GET_NEXT_KEY: u32 = 4;
const PROG_LOAD: u32 = 5;
const PROG_TEST_RUN: u32 = 10;
const OBJ_GET_INFO_BY_FD: u32 = 15;
const RAW_TRACEPOINT_OPEN: u32 = 17;
const BTF_LOAD: u32 = 18;
const BTF_GET_FD_BY_ID: u32 = 19;
const MAP_FREEZE: u32 = 22;
const BTF_GET_NEXT_ID: u32 = 23;
const MAP_LOOKUP_BATCH: u32 = 24;
const LINK_CREATE: u32 = 28;

/// `struct bpf_insn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Insn {
    /// Opcode.
    pub code: u8,
    /// Destination register in the low four bits, source in the high.
    pub regs: u8,
    /// Offset.
    pub off: i16,
    /// Immediate.
    pub imm: i32,
}

impl Insn {
    /// From the 8 bytes of an object.
    pub fn from_bytes(b: [u8; 8]) -> Self {
        let [code, regs, o0, o1, i0, i1, i2, i3] = b;
        Self { code, regs, off: i16::from_le_bytes([o0, o1]), imm: i32::from_le_bytes([i0, i1, i2, i3]) }
    }

    /// As the kernel takes it.
    pub fn to_bytes(self) -> [u8; 8] {
        let [o0, o1] = self.off.to_le_bytes();
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        [self.code, self.regs, o0, o1, i0, i1, i2, i3]
    }

    /// Source register, or the pseudo source of `ld_imm64` and calls.
    pub fn src(self) -> u8 {
        self.regs >> 4
    }

    /// The same with another source.
    pub fn with_src(self, src: u8) -> Self {
        Self { regs: self.regs & 0xf | src << 4, ..self }
    }
}

/// `struct bpf_func_info`, in instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct FuncInfo {
    /// First instruction.
    pub insn: u32,
    /// Type of the function.
    pub type_id: u32,
}

/// `struct bpf_line_info`, in instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct LineInfo {
    /// First instruction.
    pub insn: u32,
    /// File name, an offset into the BTF's strings.
    pub file: u32,
    /// Text of the line, the same.
    pub text: u32,
    /// Line in the high 22 bits, column in the low 10.
    pub line_col: u32,
}

fn bpf<T>(command: u32, attr: &mut T) -> libc::c_long {
    // SAFETY: `attr` is a live `repr(C)` value of the length given; the pointers within it are made by the
    // functions below from slices that outlive the call.
    unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) }
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

fn address_mut<T>(slice: &mut [T]) -> u64 {
    slice.as_mut_ptr() as u64
}

fn count<T>(slice: &[T]) -> u32 {
    u32::try_from(slice.len()).unwrap_or(u32::MAX)
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

fn raw_opt(fd: Option<BorrowedFd<'_>>) -> u32 {
    fd.map_or(0, raw)
}

/// What the kernel takes for a name: at most 15 of `[A-Za-z0-9_.]`; the rest become `_`.
fn object_name(name: &str) -> [u8; 16] {
    let mut out = [0; 16];
    for (to, byte) in out.iter_mut().take(15).zip(name.bytes()) {
        *to = if byte.is_ascii_alphanumeric() || byte == b'.' { byte } else { b'_' };
    }
    out
}

/// A map to create.
#[derive(Debug, Clone, Copy, Default)]
pub struct MapSpec<'a> {
    /// Name, shortened as need be.
    pub name: &'a str,
    /// `BPF_MAP_TYPE_*`.
    pub map_type: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Entries, or bytes of a ring buffer.
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// Meaning depends on the type.
    pub extra: u64,
    /// Types of key and value.
    pub btf: Option<(BorrowedFd<'a>, u32, u32)>,
}

/// `BPF_MAP_CREATE`.
pub fn map_create(spec: &MapSpec<'_>) -> Result<OwnedFd, SysError> {
    #[repr(C)]
    struct Attr {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        inner_map_fd: u32,
        numa_node: u32,
        map_name: [u8; 16],
        map_ifindex: u32,
        btf_fd: u32,
        btf_key_type_id: u32,
        btf_value_type_id: u32,
        btf_vmlinux_value_type_id: u32,
        map_extra: u64,
    }
    let (btf_fd, btf_key_type_id, btf_value_type_id) =
        spec.btf.map_or((0, 0, 0), |(fd, key, value)| (raw(fd), key, value));
    let mut attr = Attr {
        map_type: spec.map_type,
        key_size: spec.key_size,
        value_size: spec.value_size,
        max_entries: spec.max_entries,
        map_flags: spec.flags,
        inner_map_fd: 0,
        numa_node: 0,
        map_name: object_name(spec.name),
        map_ifindex: 0,
        btf_fd,
        btf_key_type_id,
        btf_value_type_id,
        btf_vmlinux_value_type_id: 0,
        map_extra: spec.extra,
    };
    owned("BPF_MAP_CREATE", bpf(MAP_CREATE, &mut attr))
}

#[repr(C)]
struct ElemAttr {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

fn elem(command: u32, call: &'static str, map: BorrowedFd<'_>, key: u64, value: u64) -> Result<(), SysError> {
    let mut attr = ElemAttr { map_fd: raw(map), pad: 0, key, value, flags: 0 };
    checked(call, bpf(command, &mut attr)).map(drop)
}

/// Geometry that the element calls need: the kernel copies these many bytes, whatever the slices hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElemSize {
    /// Bytes of a key.
    pub key: usize,
    /// Bytes of a value as the call sees it: for per-CPU maps all CPUs' cells, each rounded up to 8.
    pub value: usize,
}

impl ElemSize {
    fn check(self, key: usize, value: usize) {
        assert!(
            self.key == key && self.value == value,
            "element of {key}/{value} bytes for a map of {self:?}"
        );
    }
}

/// `BPF_MAP_LOOKUP_ELEM`; false if there is no such key.
pub fn map_lookup(
    map: BorrowedFd<'_>,
    size: ElemSize,
    key: &[u8],
    value: &mut [u8],
) -> Result<bool, SysError> {
    size.check(key.len(), value.len());
    found(elem(MAP_LOOKUP_ELEM, "BPF_MAP_LOOKUP_ELEM", map, address(key), address_mut(value)))
}

/// `BPF_MAP_UPDATE_ELEM`.
pub fn map_update(map: BorrowedFd<'_>, size: ElemSize, key: &[u8], value: &[u8]) -> Result<(), SysError> {
    size.check(key.len(), value.len());
    elem(MAP_UPDATE_ELEM, "BPF_MAP_UPDATE_ELEM", map, address(key), address(value))
}

/// `BPF_MAP_DELETE_ELEM`; false if there is no such key.
pub fn map_delete(map: BorrowedFd<'_>, size: ElemSize, key: &[u8]) -> Result<bool, SysError> {
    size.check(key.len(), size.value);
    found(elem(MAP_DELETE_ELEM, "BPF_MAP_DELETE_ELEM", map, address(key), 0))
}

/// `BPF_MAP_GET_NEXT_KEY`; false after the last key. Without a key, gives the first.
pub fn map_next_key(
    map: BorrowedFd<'_>,
    size: ElemSize,
    key: Option<&[u8]>,
    next: &mut [u8],
) -> Result<bool, SysError> {
    size.check(key.map_or(size.key, <[u8]>::len), size.value);
    size.check(next.len(), size.value);
    let key = key.map_or(0, address);
    found(elem(MAP_GET_NEXT_KEY, "BPF_MAP_GET_NEXT_KEY", map, key, address_mut(next)))
}

fn found(result: Result<(), SysError>) -> Result<bool, SysError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.errno == libc::ENOENT => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where a batched walk of a map has got to.
#[derive(Debug, Clone, Default)]
pub struct BatchCursor {
    position: Option<Vec<u8>>,
    /// Set once the whole map has been read.
    pub done: bool,
}

/// `BPF_MAP_LOOKUP_BATCH`: fills `keys` and `values` and returns how many elements were read.
/// `ENOSPC` asks for larger buffers.
pub fn map_lookup_batch(
    map: BorrowedFd<'_>,
    size: ElemSize,
    cursor: &mut BatchCursor,
    keys: &mut [u8],
    values: &mut [u8],
) -> Result<usize, SysError> {
    #[repr(C)]
    struct Attr {
        in_batch: u64,
        out_batch: u64,
        keys: u64,
        values: u64,
        count: u32,
        map_fd: u32,
        elem_flags: u64,
        flags: u64,
    }
    let room = (keys.len() / size.key.max(1)).min(values.len() / size.value.max(1));
    // Hash maps store a u32 bucket here, arrays and others a key (`generic_map_lookup_batch`).
    let mut next = vec![0; size.key.max(4)];
    let mut attr = Attr {
        in_batch: cursor.position.as_ref().map_or(0, |position| address(position)),
        out_batch: address_mut(&mut next),
        keys: address_mut(keys),
        values: address_mut(values),
        count: u32::try_from(room).unwrap_or(u32::MAX),
        map_fd: raw(map),
        elem_flags: 0,
        flags: 0,
    };
    let result = checked("BPF_MAP_LOOKUP_BATCH", bpf(MAP_LOOKUP_BATCH, &mut attr));
    match result {
        Ok(_) => {}
        // The end: `count` elements were still filled in.
        Err(error) if error.errno == libc::ENOENT => cursor.done = true,
        Err(error) => return Err(error),
    }
    cursor.position = Some(next);
    Ok((attr.count as usize).min(room))
}

/// `BPF_MAP_FREEZE`: from here on user space can no longer write.
pub fn map_freeze(map: BorrowedFd<'_>) -> Result<(), SysError> {
    let mut attr = ElemAttr { map_fd: raw(map), pad: 0, key: 0, value: 0, flags: 0 };
    checked("BPF_MAP_FREEZE", bpf(MAP_FREEZE, &mut attr)).map(drop)
}

/// `BPF_BTF_LOAD`; on failure the log holds the kernel's reason.
pub fn btf_load(btf: &[u8], log: Option<&mut [u8]>) -> Result<OwnedFd, SysError> {
    #[repr(C)]
    struct Attr {
        btf: u64,
        log_buf: u64,
        btf_size: u32,
        log_size: u32,
        log_level: u32,
        pad: u32,
    }
    let mut attr =
        Attr { btf: address(btf), log_buf: 0, btf_size: count(btf), log_size: 0, log_level: 0, pad: 0 };
    if let Some(log) = log {
        attr.log_size = count(log);
        attr.log_buf = address_mut(log);
        attr.log_level = 1;
    }
    owned("BPF_BTF_LOAD", bpf(BTF_LOAD, &mut attr))
}

/// A program to load.
#[derive(Debug, Clone, Copy)]
pub struct ProgSpec<'a> {
    /// Name, shortened as need be.
    pub name: &'a str,
    /// `BPF_PROG_TYPE_*`.
    pub prog_type: u32,
    /// `BPF_TRACE_*`, or 0.
    pub attach_type: u32,
    /// Instructions.
    pub insns: &'a [Insn],
    /// Licence text.
    pub license: &'a CStr,
    /// The object's BTF.
    pub btf: Option<BorrowedFd<'a>>,
    /// Functions, sorted.
    pub func_info: &'a [FuncInfo],
    /// Lines, sorted.
    pub line_info: &'a [LineInfo],
    /// Type id of the function or raw tracepoint to attach to.
    pub attach_btf_id: u32,
    /// BTF of the module that has it; none means vmlinux.
    pub attach_btf: Option<BorrowedFd<'a>>,
    /// Descriptors that kfunc calls index; the first is unused.
    pub fd_array: &'a [i32],
}

/// `BPF_PROG_LOAD`. With a log, the verifier writes its reasons there (NUL-terminated).
pub fn prog_load(spec: &ProgSpec<'_>, log: Option<&mut [u8]>) -> Result<OwnedFd, SysError> {
    #[repr(C)]
    struct Attr {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; 16],
        prog_ifindex: u32,
        expected_attach_type: u32,
        prog_btf_fd: u32,
        func_info_rec_size: u32,
        func_info: u64,
        func_info_cnt: u32,
        line_info_rec_size: u32,
        line_info: u64,
        line_info_cnt: u32,
        attach_btf_id: u32,
        attach_btf_obj_fd: u32,
        core_relo_cnt: u32,
        fd_array: u64,
    }
    let record = |has: bool, bytes: usize| if has { u32::try_from(bytes).unwrap_or(0) } else { 0 };
    let mut attr = Attr {
        prog_type: spec.prog_type,
        insn_cnt: count(spec.insns),
        insns: address(spec.insns),
        license: spec.license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name: object_name(spec.name),
        prog_ifindex: 0,
        expected_attach_type: spec.attach_type,
        prog_btf_fd: raw_opt(spec.btf),
        func_info_rec_size: record(!spec.func_info.is_empty(), size_of::<FuncInfo>()),
        func_info: address(spec.func_info),
        func_info_cnt: count(spec.func_info),
        line_info_rec_size: record(!spec.line_info.is_empty(), size_of::<LineInfo>()),
        line_info: address(spec.line_info),
        line_info_cnt: count(spec.line_info),
        attach_btf_id: spec.attach_btf_id,
        attach_btf_obj_fd: raw_opt(spec.attach_btf),
        core_relo_cnt: 0,
        fd_array: if spec.fd_array.is_empty() { 0 } else { address(spec.fd_array) },
    };
    if let Some(log) = log {
        attr.log_size = count(log);
        attr.log_buf = address_mut(log);
        attr.log_level = 1;
    }
    owned("BPF_PROG_LOAD", bpf(PROG_LOAD, &mut attr))
}

/// `BPF_PROG_TEST_RUN` of a raw tracepoint program with this context; returns the program's result.
pub fn prog_run(program: BorrowedFd<'_>, context: &[u64]) -> Result<u32, SysError> {
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        retval: u32,
        data_size_in: u32,
        data_size_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        duration: u32,
        ctx_size_in: u32,
        ctx_size_out: u32,
        ctx_in: u64,
        ctx_out: u64,
        flags: u32,
        cpu: u32,
    }
    let mut attr = Attr {
        prog_fd: raw(program),
        retval: 0,
        data_size_in: 0,
        data_size_out: 0,
        data_in: 0,
        data_out: 0,
        repeat: 0,
        duration: 0,
        ctx_size_in: count(context) * 8,
        ctx_size_out: 0,
        ctx_in: address(context),
        ctx_out: 0,
        flags: 0,
        cpu: 0,
    };
    checked("BPF_PROG_TEST_RUN", bpf(PROG_TEST_RUN, &mut attr))?;
    Ok(attr.retval)
}

/// `BPF_RAW_TRACEPOINT_OPEN` for a program that knows its target (fentry, fexit, `tp_btf`).
pub fn trampoline_open(program: BorrowedFd<'_>) -> Result<OwnedFd, SysError> {
    #[repr(C)]
    struct Attr {
        name: u64,
        prog_fd: u32,
        pad: u32,
    }
    let mut attr = Attr { name: 0, prog_fd: raw(program), pad: 0 };
    owned("BPF_RAW_TRACEPOINT_OPEN", bpf(RAW_TRACEPOINT_OPEN, &mut attr))
}

/// `BPF_LINK_CREATE` of a program and a perf event (Linux 5.15).
pub fn link_perf_event(program: BorrowedFd<'_>, event: BorrowedFd<'_>) -> Result<OwnedFd, SysError> {
    const BPF_PERF_EVENT: u32 = 41;
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        target_fd: u32,
        attach_type: u32,
        flags: u32,
        bpf_cookie: u64,
    }
    let mut attr = Attr {
        prog_fd: raw(program),
        target_fd: raw(event),
        attach_type: BPF_PERF_EVENT,
        flags: 0,
        bpf_cookie: 0,
    };
    owned("BPF_LINK_CREATE", bpf(LINK_CREATE, &mut attr))
}

/// Functions for [`link_kprobe_multi`].
#[derive(Debug, Clone, Copy)]
pub enum Functions<'a> {
    /// By name; each must exist once.
    Names(&'a [&'a CStr]),
    /// By address.
    Addresses(&'a [u64]),
}

/// `BPF_LINK_CREATE` of a program and many functions (Linux 5.18).
pub fn link_kprobe_multi(
    program: BorrowedFd<'_>,
    functions: Functions<'_>,
    is_return: bool,
) -> Result<OwnedFd, SysError> {
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        target_fd: u32,
        attach_type: u32,
        flags: u32,
        multi_flags: u32,
        cnt: u32,
        syms: u64,
        addrs: u64,
        cookies: u64,
    }
    let pointers: Vec<*const libc::c_char>;
    let (cnt, syms, addrs) = match functions {
        Functions::Names(names) => {
            pointers = names.iter().map(|name| name.as_ptr()).collect();
            (count(&pointers), address(&pointers), 0)
        }
        Functions::Addresses(addresses) => (count(addresses), 0, address(addresses)),
    };
    let mut attr = Attr {
        prog_fd: raw(program),
        target_fd: 0,
        attach_type: crate::kinds::TRACE_KPROBE_MULTI,
        flags: 0,
        multi_flags: u32::from(is_return),
        cnt,
        syms,
        addrs,
        cookies: 0,
    };
    owned("BPF_LINK_CREATE", bpf(LINK_CREATE, &mut attr))
}

/// The kernel's BTF object of a loaded module, found by name. Needs `CAP_SYS_ADMIN`.
pub fn module_btf(module: &str) -> Result<Option<OwnedFd>, SysError> {
    #[repr(C)]
    struct IdAttr {
        id: u32,
        next_id: u32,
        open_flags: u32,
    }
    let mut last = 0;
    loop {
        let mut attr = IdAttr { id: last, next_id: 0, open_flags: 0 };
        match checked("BPF_BTF_GET_NEXT_ID", bpf(BTF_GET_NEXT_ID, &mut attr)) {
            Ok(_) => last = attr.next_id,
            Err(error) if error.errno == libc::ENOENT => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut attr = IdAttr { id: last, next_id: 0, open_flags: 0 };
        let fd = match owned("BPF_BTF_GET_FD_BY_ID", bpf(BTF_GET_FD_BY_ID, &mut attr)) {
            Ok(fd) => fd,
            // Unloaded between the two calls.
            Err(error) if error.errno == libc::ENOENT => continue,
            Err(error) => return Err(error),
        };
        if kernel_btf_name(fd.as_fd())?.as_deref() == Some(module) {
            return Ok(Some(fd));
        }
    }
}

/// Name of a BTF object if it is the kernel's own.
fn kernel_btf_name(btf: BorrowedFd<'_>) -> Result<Option<String>, SysError> {
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        btf: u64,
        btf_size: u32,
        id: u32,
        name: u64,
        name_len: u32,
        kernel_btf: u32,
    }
    #[repr(C)]
    struct Attr {
        bpf_fd: u32,
        info_len: u32,
        info: u64,
    }
    // MODULE_NAME_LEN is 56 or 64.
    let mut name = [0u8; 64];
    let mut info = Info { name: address_mut(&mut name), name_len: count(&name), ..Info::default() };
    let mut attr = Attr {
        bpf_fd: raw(btf),
        info_len: u32::try_from(size_of::<Info>()).unwrap_or(0),
        info: std::ptr::from_mut(&mut info) as u64,
    };
    checked("BPF_OBJ_GET_INFO_BY_FD", bpf(OBJ_GET_INFO_BY_FD, &mut attr))?;
    if info.kernel_btf == 0 {
        return Ok(None);
    }
    let text = CStr::from_bytes_until_nul(&name).unwrap_or_default();
    Ok(Some(text.to_string_lossy().into_owned()))
}
