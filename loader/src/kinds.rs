//! Numbers of the kernel's interface that more than one phase uses, as `include/uapi/linux/bpf.h` has them.

/// `BPF_MAP_TYPE_HASH`.
pub const MAP_HASH: u32 = 1;
/// `BPF_MAP_TYPE_ARRAY`.
pub const MAP_ARRAY: u32 = 2;
/// `BPF_MAP_TYPE_PERCPU_HASH`.
pub const MAP_PERCPU_HASH: u32 = 5;
/// `BPF_MAP_TYPE_PERCPU_ARRAY`.
pub const MAP_PERCPU_ARRAY: u32 = 6;
/// `BPF_MAP_TYPE_STACK_TRACE`.
pub const MAP_STACK_TRACE: u32 = 7;
/// `BPF_MAP_TYPE_LRU_HASH`.
pub const MAP_LRU_HASH: u32 = 9;
/// `BPF_MAP_TYPE_LRU_PERCPU_HASH`.
pub const MAP_LRU_PERCPU_HASH: u32 = 10;
/// `BPF_MAP_TYPE_RINGBUF`.
pub const MAP_RINGBUF: u32 = 27;

/// `BPF_F_RDONLY_PROG`.
pub const MAP_RDONLY_PROG: u32 = 1 << 7;

/// `BPF_PROG_TYPE_KPROBE`.
pub const PROG_KPROBE: u32 = 2;
/// `BPF_PROG_TYPE_TRACEPOINT`.
pub const PROG_TRACEPOINT: u32 = 5;
/// `BPF_PROG_TYPE_PERF_EVENT`.
pub const PROG_PERF_EVENT: u32 = 7;
/// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
pub const PROG_RAW_TRACEPOINT: u32 = 17;
/// `BPF_PROG_TYPE_TRACING`.
pub const PROG_TRACING: u32 = 26;

/// `BPF_TRACE_RAW_TP`.
pub const TRACE_RAW_TP: u32 = 23;
/// `BPF_TRACE_FENTRY`.
pub const TRACE_FENTRY: u32 = 24;
/// `BPF_TRACE_FEXIT`.
pub const TRACE_FEXIT: u32 = 25;
/// `BPF_TRACE_KPROBE_MULTI`.
pub const TRACE_KPROBE_MULTI: u32 = 42;

/// Opcode of `ld_imm64`.
pub const LD_IMM64: u8 = 0x18;
/// Opcode of a call.
pub const CALL: u8 = 0x85;

/// `BPF_PSEUDO_MAP_FD`: `ld_imm64` of a map.
pub const PSEUDO_MAP_FD: u8 = 1;
/// `BPF_PSEUDO_MAP_VALUE`: `ld_imm64` of a place in a map's only value.
pub const PSEUDO_MAP_VALUE: u8 = 2;
/// `BPF_PSEUDO_BTF_ID`: `ld_imm64` of a kernel variable.
pub const PSEUDO_BTF_ID: u8 = 3;
/// `BPF_PSEUDO_FUNC`: `ld_imm64` of a subprogram, for callbacks.
pub const PSEUDO_FUNC: u8 = 4;
/// `BPF_PSEUDO_CALL`: call of a subprogram.
pub const PSEUDO_CALL: u8 = 1;
/// `BPF_PSEUDO_KFUNC_CALL`: call of a kernel function by type id.
pub const PSEUDO_KFUNC_CALL: u8 = 2;

/// Whether a map keeps a value for each CPU.
pub fn is_percpu(map_type: u32) -> bool {
    matches!(map_type, MAP_PERCPU_HASH | MAP_PERCPU_ARRAY | MAP_LRU_PERCPU_HASH)
}

/// Whether a map is an array: its keys cannot be deleted.
pub fn is_array(map_type: u32) -> bool {
    matches!(map_type, MAP_ARRAY | MAP_PERCPU_ARRAY)
}
