//! E0100–E0149 and W01xx: attach points.

use crate::diag::Code;

/// First word of an attach point that is no kind of probe.
pub const UNKNOWN_PROVIDER: Code = Code {
    id: "E0101",
    what: "an attach point does not start with a kind of probe",
    why: "the kind decides what the rest means",
    example: "kprob:vfs_read { }",
    remedy: "use begin, end, self, kprobe, kretprobe, fentry, fexit, tracepoint, rawtracepoint, profile or interval",
};

/// Wrong number or form of parts.
pub const BAD_PARTS: Code = Code {
    id: "E0102",
    what: "an attach point has too few, too many or unusable parts",
    why: "each kind of probe has its own parts, separated by colons",
    example: "tracepoint:sched_switch { }",
    remedy: "follow the form the message gives",
};

/// Function that does not exist.
pub const NO_FUNCTION: Code = Code {
    id: "E0103",
    what: "no function of that name is in the kernel's BTF",
    why: "fentry and fexit need the function's prototype; functions that were inlined have none",
    example: "fentry:no_such_function { }",
    remedy: "look for it with `sondec list 'fentry:*name*'`, or use a kprobe",
};

/// Function that several modules have.
pub const AMBIGUOUS: Code = Code {
    id: "E0104",
    what: "several functions have that name, in several modules or in one",
    why: "their prototypes may differ",
    example: "fentry:init_once { }",
    remedy: "name the module: `fentry:MODULE:FUNCTION`; in one module use a kprobe",
};

/// Tracepoint that does not exist.
pub const NO_TRACEPOINT: Code = Code {
    id: "E0105",
    what: "the kernel has no such tracepoint",
    why: "tracepoints come and go with kernels and their configuration",
    example: "tracepoint:sched:no_such_event { }",
    remedy: "look for it with `sondec list 'tracepoint:*name*'`",
};

/// Module that does not exist or cannot be read.
pub const NO_MODULE: Code = Code {
    id: "E0106",
    what: "a module is not in the kernel description, or its BTF cannot be used",
    why: "types of modules come from their BTF",
    example: "fentry:no_such_module:f { }",
    remedy: "load the module, or compile against a kernel that has it",
};

/// Rate of a timer that cannot be.
pub const BAD_PERIOD: Code = Code {
    id: "E0107",
    what: "the rate of a timed probe is no number, too small or in an unknown unit",
    why: "the kernel's timers need at least a microsecond",
    example: "interval:s:0 { }",
    remedy: "write `interval:s:1`, `profile:hz:99` or `interval:10ms`",
};

/// Function that programs cannot be attached to by BTF.
pub const REFUSED: Code = Code {
    id: "E0108",
    what: "the kernel attaches no fentry or fexit program to functions of this prototype",
    why: "its trampoline cannot pass on such arguments",
    example: "fentry:_printk { }",
    remedy: "use a kprobe",
};

/// More programs than allowed.
pub const TOO_MANY: Code = Code {
    id: "E0109",
    what: "a pattern matches more functions than there may be programs",
    why: "each takes time to compile and load, and a pattern may match more than was meant",
    example: "fentry:vmlinux:* { }",
    remedy: "narrow the pattern, or raise `max_bpf_progs`",
};

/// Target that is missing although the script allows it.
pub const MISSING: Code = Code {
    id: "W0101",
    what: "an attach point matches nothing and is left out",
    why: "the script sets `missing_probes = warn`",
    example: "config = { missing_probes = warn } fentry:no_such_function { }",
    remedy: "remove the attach point, or set `missing_probes = ignore`",
};

/// Debug information of a user program that is missing or has two meanings.
pub const DEBUG_INFO: Code = Code {
    id: "W0102",
    what: "debug information of a user program is incomplete or ambiguous",
    why: "types are taken from what there is",
    example: "uprobe:/bin/app:f { print(args.p->x); }",
    remedy: "install the missing file, or define the struct in the script",
};
