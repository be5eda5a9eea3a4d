//! E015x: names within a probe. E02xx: types. W02xx: warnings of the checker.

use crate::diag::Code;

/// Function or identifier nobody knows.
pub const UNKNOWN_NAME: Code = Code {
    id: "E0150",
    what: "a name is no builtin, function, enumerator, macro or constant",
    why: "every name must have a meaning before the script can run",
    example: "begin { prinf(\"hi\"); }",
    remedy: "check the spelling; variables start with `$`, maps with `@`",
};

/// Variable that was never assigned.
pub const UNDEFINED_VARIABLE: Code = Code {
    id: "E0151",
    what: "a scratch variable is used where it has no value",
    why: "a variable lives in the block of its first assignment and in the blocks inside",
    example: "begin { if (1) { $a = 1; } print($a); }",
    remedy: "declare it with `let` in the outer block",
};

/// Map without any assignment.
pub const UNDEFINED_MAP: Code = Code {
    id: "E0152",
    what: "a map is used but never assigned to",
    why: "the type of a map comes from its assignments",
    example: "begin { print(@a); }",
    remedy: "assign to the map in some probe, or correct the name",
};

/// Type that does not exist.
pub const UNKNOWN_TYPE: Code = Code {
    id: "E0153",
    what: "a type is neither in the kernel's BTF nor in the script",
    why: "sizes and members come from there",
    example: "begin { $a = (struct no_such_thing *)0; }",
    remedy: "check the name with `sondec list 'struct *name*'`, or define the struct in the script",
};

/// Field that does not exist.
pub const UNKNOWN_FIELD: Code = Code {
    id: "E0154",
    what: "a struct, union, record or argument list has no field of that name",
    why: "the layout comes from the kernel's BTF, where fields are renamed now and then",
    example: "begin { print(curtask.no_such_field); }",
    remedy: "list the fields with `sondec list -v 'struct NAME'`",
};

/// Name with several definitions.
pub const AMBIGUOUS_TYPE: Code = Code {
    id: "E0155",
    what: "a name has different definitions, and nothing says which is meant",
    why: "modules, and files of the kernel, may use one name for different types",
    example: "begin { print(sizeof(struct console)); }",
    remedy: "name the module in the attach point, or define the struct in the script",
};

/// Operator on types it is not for.
pub const BAD_OPERAND: Code = Code {
    id: "E0201",
    what: "an operator is applied to a type it has no meaning for",
    why: "arithmetic is for integers; strings, tuples and arrays only compare for equality",
    example: "begin { $a = \"x\" * 2; }",
    remedy: "convert the operand with a cast, or compare with `==`",
};

/// Condition that is no truth value.
pub const BAD_CONDITION: Code = Code {
    id: "E0202",
    what: "a condition is no integer, pointer or bool",
    why: "only those are zero or not",
    example: "begin { if (comm) { } }",
    remedy: "compare with something, for example `comm == \"bash\"`",
};

/// Cast that cannot be done.
pub const BAD_CAST: Code = Code {
    id: "E0203",
    what: "a value cannot be converted to the type",
    why: "only scalars, and arrays of equal size, convert into each other",
    example: "begin { $a = (int32)kstack; }",
    remedy: "cast a part of the value instead",
};

/// Wrong number of arguments.
pub const ARGUMENT_COUNT: Code = Code {
    id: "E0204",
    what: "a function is called with too few or too many arguments",
    why: "each function has a fixed range",
    example: "begin { print(); }",
    remedy: "see the function's description for its arguments",
};

/// Argument of the wrong kind.
pub const ARGUMENT_KIND: Code = Code {
    id: "E0205",
    what: "an argument has a type the function cannot use",
    why: "each function works on certain types only",
    example: "begin { @a = sum(\"x\"); }",
    remedy: "pass a value of the type the message names",
};

/// Literal wanted.
pub const NOT_LITERAL: Code = Code {
    id: "E0206",
    what: "an argument must be known at compile time",
    why: "it decides sizes or formats of the object",
    example: "begin { $n = 3; @a = lhist(1, 0, $n, 1); }",
    remedy: "write the value itself, or use a `#define`",
};

/// Format and arguments disagree.
pub const BAD_FORMAT: Code = Code {
    id: "E0207",
    what: "a format and its arguments do not fit together",
    why: "each verb takes one argument of certain types",
    example: "begin { printf(\"%d\\n\", \"x\"); }",
    remedy: "use `%s` for strings, `%d` for integers, and one argument for each verb",
};

/// Builtin in the wrong probe.
pub const NOT_HERE: Code = Code {
    id: "E0208",
    what: "a builtin has no meaning in this kind of probe",
    why: "arguments and return values exist where the kernel provides them",
    example: "begin { print(retval); }",
    remedy: "use it in one of the probes the message names",
};

/// Aggregation in the middle of an expression.
pub const NOT_ASSIGNED: Code = Code {
    id: "E0209",
    what: "an aggregating function stands elsewhere than directly on the right of `@map =`",
    why: "it updates the map in place and has no value of its own",
    example: "begin { print(count()); }",
    remedy: "assign it to a map: `@m = count();`",
};

/// Constant out of range.
pub const BAD_CONSTANT: Code = Code {
    id: "E0210",
    what: "a constant is out of range, or a constant expression has no value",
    why: "it would silently wrap around",
    example: "begin { $a = 1 / 0; }",
    remedy: "use a value in the range the message gives",
};

/// `break` outside a loop and the like.
pub const BAD_JUMP: Code = Code {
    id: "E0211",
    what: "`break` or `continue` stands outside of a loop, or `return` has a value it cannot have",
    why: "there is nothing to leave or continue",
    example: "begin { break; }",
    remedy: "move it into a loop, or use `return`",
};

/// Variable declared twice.
pub const REDECLARED: Code = Code {
    id: "E0212",
    what: "a variable is declared although one of its name is visible",
    why: "variables do not shadow each other",
    example: "begin { $a = 1; let $a = 2; }",
    remedy: "use another name",
};

/// Variable of two types.
pub const VARIABLE_TYPE: Code = Code {
    id: "E0213",
    what: "a variable is assigned values of types that do not go together",
    why: "a variable has one type in all its life",
    example: "begin { $a = 1; $a = \"x\"; }",
    remedy: "use a second variable",
};

/// Map of two value types.
pub const MAP_VALUE_TYPE: Code = Code {
    id: "E0214",
    what: "a map is assigned values of types that do not go together",
    why: "all values of a map have one type",
    example: "begin { @a = 1; @a = \"x\"; }",
    remedy: "use a second map",
};

/// Map of two key types.
pub const MAP_KEY_TYPE: Code = Code {
    id: "E0215",
    what: "a map is used with keys of types that do not go together",
    why: "all keys of a map have one type",
    example: "begin { @a[1] = 1; @a[\"x\"] = 1; }",
    remedy: "use a second map, or convert the key",
};

/// Map with and without keys.
pub const SCALAR_OR_KEYED: Code = Code {
    id: "E0216",
    what: "a map is used both with and without a key",
    why: "a scalar map has one value, a keyed one many",
    example: "begin { @a = 1; @a[1] = 1; }",
    remedy: "give every use a key, or none",
};

/// `let @m = kind(n)` that does not fit.
pub const MAP_DECLARATION: Code = Code {
    id: "E0217",
    what: "a map declaration names an unknown kind or does not fit the map's values",
    why: "aggregations need a kind with one value per CPU, other values one without",
    example: "let @a = hash(10); begin { @a[1] = count(); }",
    remedy: "use `hash` or `lruhash` for plain values, `percpuhash` or `percpulruhash` for aggregations",
};

/// Dereference of something that is no pointer.
pub const NOT_A_POINTER: Code = Code {
    id: "E0218",
    what: "a field or element is taken of something that has none",
    why: "only structs, records, tuples, arrays and pointers to them have parts",
    example: "begin { print(pid.x); }",
    remedy: "cast the value to a pointer to a struct first",
};

/// Result unused.
pub const DISCARDED: Code = Code {
    id: "W0201",
    what: "the value of an expression is not used",
    why: "a statement without effect is often a mistake",
    example: "begin { pid; }",
    remedy: "remove the statement, or write `_ = expression;`",
};

/// Lossy implicit conversion.
pub const LOSSY: Code = Code {
    id: "W0202",
    what: "an implicit conversion may change the value",
    why: "the target cannot hold all values of the source",
    example: "begin { $a = cpu; $a = (int64)2; }",
    remedy: "write the cast to show that it is meant",
};

/// Division of signed numbers.
pub const SIGNED_DIVISION: Code = Code {
    id: "W0203",
    what: "signed operands are divided",
    why: "BPF divides without sign: negative operands give surprising results",
    example: "begin { $a = (int64)pid / 2; }",
    remedy: "cast the operands to `uint64`",
};

/// Statement that is never reached.
pub const UNREACHABLE: Code = Code {
    id: "W0204",
    what: "a statement can never run",
    why: "the statement before it leaves the probe or the loop",
    example: "begin { exit(); print(1); }",
    remedy: "remove it or move it up",
};

/// Declared but never used.
pub const UNUSED: Code = Code {
    id: "W0205",
    what: "a variable or map is declared but not used",
    why: "it is often a misspelled name",
    example: "begin { let $a; }",
    remedy: "remove the declaration",
};

/// `while` with an unknown number of turns.
pub const WHILE_DEPRECATED: Code = Code {
    id: "W0206",
    what: "`while` is used",
    why: "the verifier must see that the loop ends, which it rarely can",
    example: "begin { while ($i < 5) { $i++; } }",
    remedy: "use `for ($i : 0..5) { }`",
};

/// Cast to the same type.
pub const UNNECESSARY_CAST: Code = Code {
    id: "W0207",
    what: "a cast changes nothing",
    why: "the value already has the type",
    example: "begin { $a = (uint32)pid; }",
    remedy: "remove the cast",
};

/// Pointers of two types compared.
pub const DISTINCT_POINTERS: Code = Code {
    id: "W0208",
    what: "pointers to different types are compared",
    why: "they rarely point at the same thing",
    example: "begin { $a = (int8 *)0; $b = (int64 *)0; print($a == $b); }",
    remedy: "cast one of them",
};

/// Argument without effect or clamped.
pub const USELESS_ARGUMENT: Code = Code {
    id: "W0209",
    what: "an argument is larger than possible or has no effect",
    why: "the configured limit holds",
    example: "begin { print(str(0, 99999)); }",
    remedy: "raise the limit in the `config` block, or remove the argument",
};

/// Text literal skipped to its end.
pub const PAST_END: Code = Code {
    id: "W0210",
    what: "more bytes of a text literal are skipped than it has",
    why: "nothing is left of it",
    example: "begin { print(\"ab\" + 3); }",
    remedy: "skip fewer bytes",
};
