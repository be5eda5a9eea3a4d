//! E03xx: what a well-typed script asks for and BPF does not give.

use crate::diag::Code;

/// Something is larger than BPF allows.
pub const LIMIT: Code = Code {
    id: "E0300",
    what: "a program exceeds a limit of BPF",
    why: "the kernel allows 512 bytes of stack, and jumps of 32767 instructions",
    example: "begin { $a = (1, 2, 3, 4); }",
    remedy: "keep large values in maps, or split the probe",
};

/// No probe is left.
pub const NO_PROBES: Code = Code {
    id: "E0301",
    what: "no probe of the script can be attached",
    why: "every attach point was left out because its target does not exist",
    example: "config = { missing_probes = warn } kprobe:no_such_function { }",
    remedy: "check the names with `sondec list`",
};

/// `--unsafe` is missing.
pub const NEEDS_UNSAFE: Code = Code {
    id: "E0302",
    what: "the script uses functions that change the system",
    why: "observing must not change what is observed unless it is asked for",
    example: "begin { system(\"reboot\"); }",
    remedy: "compile with `--unsafe`",
};
