//! E0030–E0039: the C preamble.

use super::Code;

/// A preprocessor line that cannot be followed.
pub const BAD_DIRECTIVE: Code = Code {
    id: "E0030",
    what: "a preprocessor line is malformed, unknown or unbalanced",
    why: "the preamble understands define, undef, include, if, ifdef, ifndef, elif, else, endif, error",
    example: "#ifdef A\nbegin { }",
    remedy: "balance `#if` and `#endif`; spell the directive as in C",
};

/// A C definition that cannot be read.
pub const BAD_DEFINITION: Code = Code {
    id: "E0031",
    what: "a C definition cannot be read",
    why: "the preamble reads struct, union, enum and typedef, without functions or variables",
    example: "struct s { int };",
    remedy: "write each member as `type name;`",
};

/// Two definitions of one C name.
pub const REDEFINED: Code = Code {
    id: "E0032",
    what: "a C type, member or enumerator is defined twice",
    why: "a name has one meaning in the script",
    example: "enum a { X }; enum b { X };",
    remedy: "rename or remove one of the two",
};

/// A constant expression that has no value.
pub const BAD_CONSTANT: Code = Code {
    id: "E0033",
    what: "a constant expression of the preamble has no value",
    why: "array lengths, bit widths, enumerators and `#if` need an integer at compile time",
    example: "struct s { int a[N]; };",
    remedy: "define the constant before its use",
};

/// A `#define` whose text is no expression.
pub const BAD_DEFINE: Code = Code {
    id: "E0034",
    what: "a `#define` used in the script does not stand for an expression",
    why: "its text is read as an expression of the script where the name is used",
    example: "#define N (1 +\nbegin { print(N); }",
    remedy: "define the name as one complete expression, or use a `macro`",
};

/// `#error` or a `#define` that needs itself.
pub const RECURSIVE_DEFINE: Code = Code {
    id: "E0035",
    what: "a `#define` stands for itself",
    why: "replacing it would never end",
    example: "#define A B\n#define B A\nbegin { print(A); }",
    remedy: "break the circle",
};

/// `#error` in a live branch.
pub const HASH_ERROR: Code = Code {
    id: "E0036",
    what: "the preamble asks to stop with `#error`",
    why: "its author wants this branch never to be compiled",
    example: "#error needs BTF",
    remedy: "follow the text of the line",
};

/// A header that is not there.
pub const NO_HEADER: Code = Code {
    id: "E0037",
    what: "an included header cannot be found",
    why: "definitions may be missing without it; headers of the kernel itself need not exist",
    example: "#include <nowhere.h>\nbegin { }",
    remedy: "install it, name its folder with `-I DIR`, or write its definitions into the preamble",
};

/// A member of a type that nobody defines.
pub const UNKNOWN_C_TYPE: Code = Code {
    id: "E0038",
    what: "a C definition needs a type that is not known",
    why: "the size of a struct depends on its members'",
    example: "struct s { struct nowhere n; };\nbegin { }",
    remedy: "define the type before its use or include its header",
};
