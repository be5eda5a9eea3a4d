//! E0900: known to the language, not to this compiler.

use super::Code;

/// Raised through `Diag::unsupported`.
pub const UNSUPPORTED: Code = Code {
    id: "E0900",
    what: "a part of the language is not supported yet",
    why: "refusing it is better than compiling it to something else",
    example: "import \"lib.bpf.c\";",
    remedy: "do without it; the message names what is missing",
};
