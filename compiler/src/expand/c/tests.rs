//! The reader from texts to definitions.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::*;
use crate::syntax::ast::Name;

fn show(preamble: &Preamble, ty: &CType) -> String {
    match ty {
        CType::Void => "void".to_owned(),
        CType::Bool => "_Bool".to_owned(),
        CType::Int(kind) => kind.name.to_owned(),
        CType::Opaque(extent) => format!("opaque{}", extent.bytes),
        CType::Typedef(idx) => preamble.typedefs[idx.0].name.text.clone(),
        CType::Kernel(name) => format!("kernel {name}"),
        CType::Tagged(tag, name) => format!("{} {name}", tag.keyword()),
        CType::Composite(idx) => {
            let composite = &preamble.composites[idx.0];
            let name = composite.name.as_ref().map_or(format!("#{}", idx.0), |name| name.text.clone());
            format!("{} {name}", composite.tag.keyword())
        }
        CType::Enum(idx) => format!("enum#{}", idx.0),
        CType::Pointer(to) => format!("ptr({})", show(preamble, to)),
        CType::Array(of, Some(len)) => format!("array({}, {len})", show(preamble, of)),
        CType::Array(of, None) => format!("array({})", show(preamble, of)),
        CType::Function(ret) => format!("fn({})", show(preamble, ret)),
    }
}

/// The definitions of a preamble, then its diagnostics; `headers` are files by path.
fn read_with(text: &str, headers: &[(&str, &str)]) -> (String, Vec<(String, Option<Constant>)>) {
    let files: BTreeMap<&str, &str> = headers.iter().copied().collect();
    let read = |path: &str| files.get(path).map(|text| text.as_bytes().to_vec());
    let system = ["/inc".to_owned(), "/sys".to_owned()];
    let kernel = |tag: Option<Tag>, name: &str| {
        matches!((tag, name), (None, "u8" | "pid_t") | (Some(_), "sock"))
            .then_some(Extent { bytes: 4, align: 4 })
    };
    let headers = Headers { system: &system, read: &read, ..Headers::NONE };
    let mut sources = Sources::of("a.bt", text);
    let (script, mut diags) = crate::syntax::parse("a.bt", text);
    let world = World { headers, kernel: &kernel };
    let (preamble, definitions) = read_preamble(&script.c_items, &world, &mut sources, &mut diags);
    let name = |n: &Option<Name>| n.as_ref().map_or("_".to_owned(), |n| n.text.clone());
    let mut out = String::new();
    for c in &preamble.composites {
        let _ = write!(out, "{} {} {}", c.tag.keyword(), name(&c.name), c.extent.bytes);
        for m in &c.members {
            let bits = m.bits.map_or(String::new(), |b| format!(":{b}"));
            let at = m.bit_offset;
            let at = if at % 8 == 0 { format!("{}", at / 8) } else { format!("{}.{}", at / 8, at % 8) };
            let _ = write!(out, " | {at} {}{bits} {}", name(&m.name), show(&preamble, &m.ty));
        }
        out.push('\n');
    }
    for e in &preamble.enums {
        let values = e.values.iter().map(|v| format!(" {}={}", v.name.text, v.value));
        let _ = writeln!(out, "enum {}{}", name(&e.name), values.collect::<String>());
    }
    for t in &preamble.typedefs {
        let _ = writeln!(out, "typedef {} {}", t.name.text, show(&preamble, &t.ty));
    }
    for (name, diag) in &preamble.unreadable {
        let _ = writeln!(out, "unreadable {name}: {}", diag.message);
    }
    for d in &diags {
        let _ = writeln!(out, "{} {}", d.code.id, d.message);
    }
    let constants = definitions.names().into_iter().map(|name| {
        let value = definitions.constant(&name);
        (name, value)
    });
    (out.trim_end().to_owned(), constants.collect())
}

use crate::syntax::ast::Tag;

fn check(text: &str, expected: &str) {
    assert_eq!(read_with(text, &[]).0, expected, "{text}");
}

/// What a macro of the preamble amounts to.
fn constant(text: &str, name: &str) -> Option<Constant> {
    let (shown, constants) = read_with(text, &[]);
    assert!(!shown.contains("E0"), "{text}: {shown}");
    constants.into_iter().find(|(known, _)| known == name).and_then(|(_, value)| value)
}

#[test]
fn definitions() {
    check("struct s { char kind; int len; } __attribute__((packed))", "struct s 5 | 0 kind char | 1 len int");
    check(
        "struct s { unsigned long long a, *b; long unsigned c[2][3]; };",
        "struct s 64 | 0 a long long unsigned int | 8 b ptr(long long unsigned int) | 16 c array(array(long unsigned int, 3), 2)",
    );
    check(
        "union u { u8 a:3, :2; const struct x *p; };",
        "union u 8 | 0 a:3 unsigned char | 0 p ptr(struct x)",
    );
    check(
        "struct s { void (*f)(int, char *); int (*g[4])(void); };",
        "struct s 40 | 0 f ptr(fn(void)) | 8 g array(ptr(fn(int)), 4)",
    );
    check(
        "struct s { struct { int a; }; union { int b; } u; struct t { int c; } t; enum { A } e; };",
        "struct _ 4 | 0 a int\nunion _ 4 | 0 b int\nstruct t 4 | 0 c int\n\
         struct s 16 | 0 _ struct #0 | 4 u union #1 | 8 t struct t | 12 e enum#0\nenum _ A=0",
    );
    check(
        "enum level { LOW = 1, HIGH = LOW << 3, NEXT, NEG = -1 };",
        "enum level LOW=1 HIGH=8 NEXT=9 NEG=-1",
    );
    check(
        "typedef struct { int a; } s_t, *s_p;",
        "struct _ 4 | 0 a int\ntypedef s_t struct #0\ntypedef s_p ptr(struct #0)",
    );
    check(
        "#define N (1 << M)\n#define M 3\nenum { K = 2 };\nstruct s { char c[N + K]; int f[]; };",
        "struct s 12 | 0 c array(char, 10) | 12 f array(int)\nenum _ K=2",
    );
    check("struct fwd;", "");
    check(
        "struct s { struct sock s; pid_t p; struct sock *q; };",
        "struct s 16 | 0 s struct sock | 4 p kernel pid_t | 8 q ptr(struct sock)",
    );
}

#[test]
fn sizes() {
    for (text, bytes) in [
        ("char a; long b;", 16),
        ("char a; double b; float c;", 24),
        ("unsigned a:3; unsigned b:30;", 8),
        ("char a; int :0; char b;", 5),
        ("unsigned long a:40; unsigned b:20; char c:4;", 8),
        ("int a; long :4;", 8),
        ("char a; int b __attribute__((aligned(16)));", 32),
        ("char a; int b __attribute__((packed));", 5),
        ("char a; __int128 b;", 32),
        ("char a[sizeof(long) * 2 + _Alignof(int)];", 20),
        ("struct { char x; } a[0]; int b[];", 0),
        ("long double a; _Complex double b; _Bool c;", 48),
        ("typeof(long) a; __typeof__(((struct q *)0)->y) b;", 16),
        ("_Alignas(8) char a; void (*(*f)(int))(char);", 16),
        ("int a __attribute__((mode(DI))); float v __attribute__((vector_size(32)));", 64),
    ] {
        let text = format!("struct q {{ int x; short y; }}; struct s {{ {text} }};");
        let (shown, _) = read_with(&text, &[]);
        let line = shown.lines().find(|line| line.starts_with("struct s ")).unwrap_or(&shown);
        assert_eq!(line.split(' ').nth(2), Some(bytes.to_string().as_str()), "{text}\n{shown}");
    }
}

#[test]
fn branches() {
    let text = |condition: &str| format!("{condition}\nenum a {{ A }};\n#else\nenum b {{ B }};\n#endif");
    for condition in [
        "#ifdef BPFTRACE_HAVE_BTF",
        "#if defined(BPFTRACE_HAVE_BTF) && !defined X",
        "#if 1 + 2 * 3 == 7 // seven",
        "#ifndef X",
        "#if X\n#elif (4 >> 1) == 2",
        "#define X 2\n#if X > 1",
        "#define F(x) x > 1\n#if F(2)",
        "#if -1 > 0u",
        "#if 0 && 1 / 0\n#elif 'A' == 65 && !__has_include(<no.h>)",
        "#if __x86_64__ && __LP64__ \\\n && 1",
    ] {
        check(&text(condition), "enum a A=0");
    }
    for condition in ["#if 0", "#ifndef BPFTRACE_HAVE_BTF", "#ifdef X", "#define Y\n#undef Y\n#ifdef Y"] {
        check(&text(condition), "enum b B=0");
    }
    check("#if 0\n#include <nowhere.h>\n#error don't\n#if 1\nstruct x { bad };\n#endif\n#endif", "");
    check("#include <linux/sched.h>\n#include <net/sock.h>\n#pragma once", "");
}

#[test]
fn macros_expand_as_in_c() {
    // The examples of C17 6.10.3.5, as members.
    let defs = "#define x 3\n#define f(a) f(x * (a))\n#undef x\n#define x 2\n#define g f\n#define z z[0]\n\
        #define h g(~\n#define m(a) a(w)\n#define w 0,1\n#define t(a) a\n#define str(s) # s\n\
        #define cat(a, b) a ## b\n#define xcat(a, b) cat(a, b)\n#define p() int\n#define q(x) x\n\
        #define v(a, ...) cat(a, __VA_ARGS__)\n#define gnu(a, r...) f2(a, ## r)\n#define f2(...) __VA_ARGS__\n\
        #define self self\n#define EMPTY\n";
    for (text, expected) in [
        ("p() q(a);", "| 0 a int"),
        ("int cat(a, 1), xcat(c, x);", "| 0 a1 int | 4 c2 int"),
        ("int v(a, b), (*t(t))(int);", "| 0 ab int | 8 t ptr(fn(int))"),
        ("int a[sizeof(str(a \"b\" 'c'))];", "| 0 a array(int, 10)"),
        ("int gnu(a), gnu(b, c);", "| 0 a int | 4 b int | 8 c int"),
        ("int self, cat(EMPTY, n), cat(n2, );", "| 0 self int | 4 EMPTYn int | 8 n2 int"),
    ] {
        let (shown, _) = read_with(&format!("{defs}struct s {{ {text} }};"), &[]);
        assert_eq!(
            shown
                .split_once(' ')
                .map_or("", |(_, rest)| rest.split_once(" |").map_or(rest, |(_, r)| r))
                .trim(),
            expected.trim_start_matches("| "),
            "{text}"
        );
    }
}

#[test]
fn constants() {
    let int = |value: i128, bytes, signed| Some(Constant::Int(Value { value, bytes, signed }));
    for (text, expected) in [
        ("#define A 1 << 31", int(-0x8000_0000, 4, true)),
        ("#define A ~0UL", int(u64::MAX.into(), 8, false)),
        ("#define A ((unsigned char)-1)", int(255, 1, false)),
        ("#define A _IO('T', 3)\n#define _IO(a, b) (((a) << 8) | (b))", int(0x5403, 4, true)),
        ("#define A sizeof(struct s)", int(8, 8, false)),
        ("#define A __builtin_offsetof(struct s, b)", int(4, 8, false)),
        ("#define A (K ? -K : 1U)", int(0xffff_fffd, 4, false)),
        ("#define A \"a\" B\n#define B \"\\x62\"", Some(Constant::Text(b"ab".to_vec()))),
        ("#define A __builtin_bswap16(0x1234)", int(0x3412, 2, false)),
        ("#define A (__builtin_constant_p(1) ? 2 : f(1, (2)))", int(2, 4, true)),
        ("#define A ((long)&((struct s *)0)->b)", int(4, 8, true)),
        ("#define A", None),
        ("#define A 1.5", None),
        ("#define A A", None),
        ("#define A(x) x", None),
        ("#define A do { } while (0)", None),
    ] {
        let text = format!("{text}\nenum {{ K = 3 }};\nstruct s {{ char a; int b; }};");
        assert_eq!(constant(&text, "A"), expected, "{text}");
    }
}

#[test]
fn headers() {
    let files = [
        ("/inc/a.h", "#ifndef A_H\n#define A_H\n#include <b.h>\nstruct a { struct b b; };\n#endif"),
        (
            "/inc/b.h",
            "#pragma once\n#include_next <b.h>\n#pragma pack(push, 1)\nstruct b { char c; bb_t d; };\n#pragma pack(pop)",
        ),
        (
            "/sys/b.h",
            "typedef int bb_t; extern bb_t f(int (*)(void)); static inline int g(void) { struct { int; } x; return 1; }\n",
        ),
        (
            "/sys/bad.h",
            "struct bad { wrong_t x; }; typedef struct { int y[UNKNOWN]; } bad_t; struct good { int z; };",
        ),
        ("/sys/loop.h", "#include \"loop.h\""),
        ("/sys/err.h", "#include <deep.h>\n"),
        ("/sys/deep.h", "#error never alone\n"),
        ("local.h", "struct local { int x; };\n#include \"dir/sub.h\""),
        ("dir/sub.h", "#include \"near.h\""),
        ("dir/near.h", "typedef char near_t;"),
    ];
    let a = "struct b 5 | 0 c char | 1 d bb_t\nstruct a 5 | 0 b struct b\ntypedef bb_t int";
    for (text, expected) in [
        ("#include <a.h>\n#include <a.h>\n#include <b.h>", a),
        ("#define H <a.h>\n#include H", a),
        ("#include \"local.h\"", "struct local 4 | 0 x int\ntypedef near_t char"),
        (
            "#include <bad.h>",
            "struct good 4 | 0 z int\nunreadable bad: unknown type `wrong_t`\nunreadable bad_t: `UNKNOWN` is not a known constant",
        ),
        ("#include <no.h>", "E0037 cannot find the header `<no.h>`"),
        ("#include <loop.h>", "E0009 headers include each other too deeply"),
        ("#include <err.h>", "E0036 a header stops with an error: never alone"),
        (
            "#include <stdint.h>\n#include <stddef.h>\nstruct s { uint16_t a; size_t b; };",
            "struct s 16 | 0 a uint16_t | 8 b size_t",
        ),
    ] {
        let (shown, _) = read_with(text, &files);
        let shown: Vec<&str> = shown
            .lines()
            .filter(|line| !line.contains("max_align_t") && !line.contains("__max_align"))
            .collect();
        let shown = shown.join("\n");
        let shown =
            if text.contains("stdint") { shown.lines().next().unwrap_or("").to_owned() } else { shown };
        assert_eq!(shown, expected, "{text}");
    }
}

#[test]
fn err_preamble() {
    check("#include \"a.h\"", "E0037 cannot find the header `\"a.h\"`");
    check("#if 1", "E0030 `#if` without `#endif`");
    check("#endif", "E0030 `#endif` without `#if`");
    check("#else", "E0030 `#else` or `#elif` without `#if`");
    check("#defin X", "E0030 unknown directive `#defin`");
    check("#error no BTF", "E0036 the preamble stops with an error: no BTF");
    check("#define A B\n#define B A\nstruct s { int x[A]; };", "E0033 `A` is not a known constant");
    check("struct s { int };", "E0031 unexpected `}` in a C definition");
    check("struct s { int a[X]; };", "E0033 `X` is not a known constant");
    check("struct s { int a[-1]; };", "E0033 not an array length");
    check("struct s { int a; long a; };", "E0032 `a` is defined twice");
    check(
        "struct s { int a; };\nstruct s { int b; };",
        "struct s 4 | 0 a int\nE0032 `struct s` is defined twice",
    );
    check("enum a { X };\nenum b { X };", "enum a X=0\nE0032 `X` is defined twice");
    check("struct s { unsigned float f; };", "E0031 `unsigned float` is not a type");
    check("struct s { struct nowhere n; };", "E0038 unknown type `struct nowhere`");
    check("#if 1 / 0\n#endif", "E0033 constant expression has no value");
    check(
        "#define F(a) a\nstruct s { int F(1, 2); };",
        "E0030 the macro `F` is used with a wrong number of arguments\nE0031 unexpected `;` in a C definition",
    );
}

#[test]
fn err_hostile_texts_end() {
    let doubling: String = (1..64).map(|i| format!("#define D{i} D{0} D{0}\n", i - 1)).collect();
    let nested = "F(".repeat(10_000) + &")".repeat(10_000);
    let chain: String = (1..20_000).map(|i| format!("#define D{i} D{}\n", i - 1)).collect();
    for text in [
        format!("#define D0 int\n{doubling}struct s {{ D63 x; }};"),
        format!("#define F(x) x x\nstruct s {{ int a[{nested}]; }};"),
        format!("#define F(x) x\n#if {nested}\n#endif"),
        format!("#define D0 1\n{chain}struct s {{ int x[D19999]; }};"),
        format!("struct s {{ int x[{}1{}]; }};", "(".repeat(50_000), ")".repeat(50_000)),
        format!("struct s {{ int {}x{}; }};", "(".repeat(50_000), ")".repeat(50_000)),
        "struct s { ".repeat(10_000) + &"}".repeat(10_000),
        format!(
            "typedef int t0; {}",
            (1..20_000).map(|i| format!("typedef t{} t{i};\n", i - 1)).collect::<String>()
        ),
        format!(
            "typedef int t0; {}",
            (1..20_000).map(|i| format!("typedef t{} *t{i};\n", i - 1)).collect::<String>()
        ),
        "struct s { int a[0x7fffffff][0x7fffffff][4]; };".to_owned(),
        "#define F(x) #x x##x\nF(F(F))\n#if F(".to_owned(),
    ] {
        read_with(&text, &[]);
    }
}
