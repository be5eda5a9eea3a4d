//! E0040–E0049 and W0040: the `config` block and the environment.

use super::Code;

/// A name that is no option.
pub const UNKNOWN_OPTION: Code = Code {
    id: "E0040",
    what: "a configuration option does not exist",
    why: "a misspelled option would silently keep its default",
    example: "config = { max_strln = 64 }",
    remedy: "use the name the help suggests",
};

/// A value outside the option's set.
pub const BAD_OPTION: Code = Code {
    id: "E0041",
    what: "a configuration option has a value it cannot take",
    why: "every option is an unsigned number, a truth value, a text or one of a few words",
    example: "config = { missing_probes = maybe }",
    remedy: "use one of the values listed",
};

/// An option that only the environment may set.
pub const ENV_ONLY: Code = Code {
    id: "E0042",
    what: "an option belongs to the environment and not to the script",
    why: "it describes the machine that compiles, not the script",
    example: "config = { BPFTRACE_BTF = \"/x\" }",
    remedy: "set it as an environment variable",
};

/// An option with an old name or without effect.
pub const OLD_OPTION: Code = Code {
    id: "W0040",
    what: "a configuration option was renamed or has no effect any more",
    why: "old scripts keep working",
    example: "config = { strlen = 64 }",
    remedy: "use the new name, or remove the line",
};
