//! E0050–E0059: macros of the script.

use super::Code;

/// No definition fits the arguments.
pub const NO_MATCH: Code = Code {
    id: "E0050",
    what: "a macro is called with arguments none of its definitions accepts",
    why: "definitions are chosen by the number and kind of their parameters: `$v`, `@m` or expression",
    example: "macro m(@a) { } begin { m(1); }",
    remedy: "pass a map for `@p` and a variable for `$p`",
};

/// Macros that expand themselves.
pub const RECURSIVE_MACRO: Code = Code {
    id: "E0051",
    what: "a macro expands itself",
    why: "macros are replaced by their bodies before anything runs, so it would never end",
    example: "macro m() { m() } begin { m(); }",
    remedy: "use a loop",
};

/// Maps or variables from outside.
pub const UNHYGIENIC: Code = Code {
    id: "E0052",
    what: "a macro uses a map or variable it was not given",
    why: "a macro only touches what its call shows",
    example: "macro m() { @a = 1; } begin { m(); }",
    remedy: "add a parameter `@a` and pass the map",
};

/// Two macros with one signature.
pub const DUPLICATE_MACRO: Code = Code {
    id: "E0053",
    what: "two macros have the same name and the same kinds of parameters, or one has a parameter twice",
    why: "a call could mean either",
    example: "macro m(a) { a } macro m(b) { b }",
    remedy: "rename one of them",
};

/// A jump that would leave the macro.
pub const JUMP_IN_MACRO: Code = Code {
    id: "E0054",
    what: "`return`, or `break` or `continue` outside of a loop, stands in a macro",
    why: "a macro is part of an expression and must reach its end",
    example: "macro m() { return; }",
    remedy: "use `if`, or `exit()`",
};

/// Expansion past the limit.
pub const TOO_LARGE: Code = Code {
    id: "E0055",
    what: "expanding macros and constants makes the script too large or too deep",
    why: "every use copies the definition with all its arguments",
    example: "macro a(x) { x + x } macro b(x) { a(a(a(a(x)))) } …",
    remedy: "keep an argument in a variable: `let $v = x;`",
};
