//! E0001–E0019: the text does not follow the grammar.

use super::Code;

/// A token the grammar does not allow at its place.
pub const UNEXPECTED: Code = Code {
    id: "E0001",
    what: "a word or sign stands where the grammar has no place for it",
    why: "the statement cannot be read any other way",
    example: "begin { $a = 1 $b = 2; }",
    remedy: "put what the label asks for in front of the marked text, often a `;`",
};

/// A bracket without its partner.
pub const UNBALANCED: Code = Code {
    id: "E0002",
    what: "a bracket is not closed, or closes nothing",
    why: "everything up to the end of the file would belong to it",
    example: "begin { printf(\"x\"; }",
    remedy: "close the bracket that is marked",
};

/// A string that runs into the end of its line.
pub const UNTERMINATED_STRING: Code = Code {
    id: "E0003",
    what: "a string has no closing quote on its line",
    why: "strings do not span lines",
    example: "begin { printf(\"hello); }",
    remedy: "close the string; write a line break as `\\n`",
};

/// A backslash followed by something that is no escape.
pub const BAD_ESCAPE: Code = Code {
    id: "E0004",
    what: "an escape sequence does not exist or is out of range",
    why: "only \\n \\t \\r \\\" \\\\, octal up to \\377 and \\xHH stand for a byte",
    example: "begin { printf(\"\\q\"); }",
    remedy: "write a backslash as `\\\\`",
};

/// A number that cannot be read or does not fit.
pub const BAD_INTEGER: Code = Code {
    id: "E0005",
    what: "an integer literal is malformed or too large",
    why: "integers have 64 bits; suffixes are u l ll ul ull ns us ms s m h d",
    example: "begin { $a = 12abc; }",
    remedy: "use a known suffix and a value that fits",
};

/// A character outside the language.
pub const BAD_CHARACTER: Code = Code {
    id: "E0006",
    what: "a character has no meaning in the language",
    why: "single quotes, backslashes and non-ASCII text only occur in strings and comments",
    example: "begin { $a = 'x'; }",
    remedy: "remove it; a character constant is written `\"x\"[0]`",
};

/// A section that comes too late.
pub const SECTION_ORDER: Code = Code {
    id: "E0007",
    what: "C definitions, `config` or an import follow a probe",
    why: "a script is C definitions, then `config` and imports, then probes and macros",
    example: "begin { } config = { max_strlen = 64; }",
    remedy: "move the item in front of the first probe, macro or map declaration",
};

/// A target that cannot be assigned to.
pub const BAD_TARGET: Code = Code {
    id: "E0008",
    what: "something other than a variable or map entry is assigned to, stepped or looped over",
    why: "memory of the traced program and members of tuples, records and structs are read-only",
    example: "begin { $t = (1, 2); $t.0 = 3; }",
    remedy: "assign to a `$variable` or a `@map[key]`",
};

/// Nesting past the limit.
pub const TOO_DEEP: Code = Code {
    id: "E0009",
    what: "brackets, operators or blocks are nested too deeply",
    why: "the compiler bounds nesting so that no input can exhaust its stack",
    example: "begin { $a = ((((…)))); }",
    remedy: "give parts of the expression to variables",
};

/// Attach point text that cannot be cut into parts.
pub const BAD_ATTACH_POINT: Code = Code {
    id: "E0010",
    what: "the text of an attach point is malformed",
    why: "it ends at a space, comma or brace; `$` stands for a script parameter unless quoted",
    example: "uprobe:/bin/x:a$b { }",
    remedy: "put the part in double quotes",
};

/// A parameter number that is zero or too large.
pub const BAD_PARAM: Code = Code {
    id: "E0011",
    what: "the number of a script parameter is out of range",
    why: "parameters are counted from 1; `$#` is their number",
    example: "begin { print($0); }",
    remedy: "use `$1` for the first parameter",
};

/// Something at the root that is no item.
pub const BAD_ITEM: Code = Code {
    id: "E0012",
    what: "an item at the root of the script is malformed",
    why: "the root holds probes, macros, `fn` and map declarations only",
    example: "let $x = 1;",
    remedy: "move statements into a probe, for example `begin { … }`",
};
