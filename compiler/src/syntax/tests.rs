//! Scripts and the trees or messages they give.

use super::parse::parse_counting;
use super::*;
use crate::diag::{Colour, Sources, render};

/// The printed tree with single blanks, then the diagnostics by code and message.
fn shown(text: &str) -> String {
    let (script, diags) = parse("a.bt", text);
    let words: Vec<String> = print_script(&script).split_whitespace().map(str::to_owned).collect();
    let diags = diags.iter().map(|d| format!("\n{} {}", d.code.id, d.message));
    words.join(" ") + &diags.collect::<String>()
}

fn check(text: &str, expected: &str) {
    assert_eq!(shown(text), expected, "{text}");
}

/// Statements of a probe.
fn check_body(body: &str, expected: &str) {
    check(&format!("begin {{ {body} }}"), &format!("(probe (at begin) (do {expected}))"));
}

/// An expression.
fn check_expr(expr: &str, expected: &str) {
    check_body(&format!("_ = {expr};"), &format!("(discard {expected})"));
}

fn check_err(text: &str, expected: &[&str]) {
    let shown = shown(text);
    let diags: Vec<&str> = shown.lines().filter(|l| l.starts_with(['E', 'W'])).collect();
    assert_eq!(diags, expected, "{text}\n{shown}");
}

#[test]
fn precedence() {
    check_expr("1 + 2 * 3 - 4", "(- (+ 1 (* 2 3)) 4)");
    check_expr("$a || $b && $c | $d ^ $e & $f", "(|| $a (&& $b (| $c (^ $d (& $e $f)))))");
    check_expr("1 == 2 < 3 << 4 + 5 % 6", "(== 1 (< 2 (<< 3 (+ 4 (% 5 6)))))");
    check_expr("!$a == ~-$b", "(== (! $a) (~ (- $b)))");
    check_expr("*$p.x", "(* (. $p x))");
    check_expr("$a ? 1 : $b ? 2 : 3", "(? $a 1 (? $b 2 3))");
    check_expr("$a ?: $b ?: 1", "(?: $a (?: $b 1))");
    check_expr("(uint8)1 + 2", "(+ (cast uint8 1) 2)");
    check_expr("(1 + 2) * 3", "(* (+ 1 2) 3)");
}

#[test]
fn operands() {
    check_expr("args->a.b[1]->c", "(. (index (. (. args a) b) 1) c)");
    check_expr("$t.1.0", "(. (. $t 1) 0)");
    check_expr("@", "@");
    check_expr("@m[1, tid][2]", "(index (@m 1 tid) 2)");
    check_expr("f(1, \"a\\n\", typeof(int8))", "(call f 1 \"a\\n\" typeof(int8))");
    check_expr("$1 + $# + $12", "(+ (+ $1 $#) $12)");
    check_expr("1e6 + 0x1F + 017 + 5ms + 1_000", "(+ (+ (+ (+ 1000000 31) 15) 5000000) 1000)");
    check_expr("true && false", "(&& true false)");
    check_expr(
        "sizeof(struct a *) + sizeof($x) + sizeof(pid)",
        "(+ (+ (sizeof (type struct a*)) (sizeof $x)) (sizeof pid))",
    );
    check_expr(
        "offsetof(struct a, b.c) + offsetof($x, x)",
        "(+ (offsetof (type struct a) b.c) (offsetof $x x))",
    );
    check_expr("typeinfo(string[4])", "(typeinfo (type string[4]))");
    check_expr(
        "comptime typeinfo($x).base_type == \"int\"",
        "(== (comptime (. (typeinfo $x) base_type)) \"int\")",
    );
    check_expr("&$x == &@m", "(== (address $x) (address @m))");
    check_expr("++$x + --@m[1] - $y++", "(- (+ (++_ $x) (--_ (@m 1))) (_++ $y))");
    check_expr("{ let $a = 1; $a + 1 }", "(block (let $a 1) (value (+ $a 1)))");
    check_expr(
        "if ($c) { 1 } else if $d { 2 } else { 3 }",
        "(if $c (do (value 1)) (else (if $d (do (value 2)) (else (block (value 3))))))",
    );
    check_expr("if !$c { 1 } else { 2 } + 3", "(+ (if (! $c) (do (value 1)) (else (block (value 2)))) 3)");
}

#[test]
fn parentheses() {
    check_expr("()", "(tuple)");
    check_expr("(1,)", "(tuple 1)");
    check_expr("(1, (2, 3),)", "(tuple 1 (tuple 2 3))");
    check_expr("(a = 1, b = (c = 2))", "(record (a 1) (b (record (c 2))))");
    check_expr("(a == 1)", "(== a 1)");
    check_expr("(pid) * 2", "(* pid 2)");
    check_expr("(foo) * $x", "(cast foo (* $x))");
    check_expr("(foo) / 2", "(/ foo 2)");
    check_expr("(foo) -1", "(cast foo (- 1))");
    check_expr("(foo)", "foo");
    check_expr("(foo[4]) + 1", "(+ (index foo 4) 1)");
    check_expr("(int8[])\"ab\"", "(cast int8[] \"ab\")");
    check_expr("(int32*[4])$x", "(cast int32*[4] $x)");
    check_expr("(string[5][2])$x", "(cast string[5][2] $x)");
    check_expr("(struct a *)$x.y", "(cast struct a* (. $x y))");
    check_expr("(enum e)1", "(cast enum e 1)");
    check_expr("(typeof($x) *)$y", "(cast typeof($x)* $y)");
    check_expr("(uint64)(uint8)f(1)", "(cast uint64 (cast uint8 (call f 1)))");
    check_expr("sizeof((x[1]))", "(sizeof (index x 1))");
    check_expr("sizeof(x[1])", "(sizeof (type x[1]))");
    check_expr("sizeof(f())", "(sizeof (call f))");
    check_body("if (foo) { }", "(if foo (do))");
    check_body("while ($x == 1) { }", "(while (== $x 1) (do))");
}

#[test]
fn statements() {
    check_body("$a = 1; @b[1] += 2; @ <<= 3", "(= $a 1) (+= (@b 1) 2) (<<= @ 3)");
    check_body(
        "let $a; let $b: uint8; let $c: string[5] = \"x\";",
        "(let $a) (let $b : uint8) (let $c : string[5] \"x\")",
    );
    check_body(
        "for ($i : 0..5) { } for $i : (-3)..@n { }",
        "(for $i (.. 0 5) (do)) (for $i (.. (- 3) @n) (do))",
    );
    check_body(
        "for ($kv : @m) { break; continue } unroll(3) { f(); }",
        "(for $kv @m (do (break) (continue))) (unroll 3 (do (call f)))",
    );
    check_body("if 1 { } ++$x; return", "(if 1 (do)) (++_ $x) (return)");
    check_body(
        "if 1 { 2 } else if 3 { 4 } else { 5 } + 6; { 7 } * 8",
        "(+ (if 1 (do (value 2)) (else (if 3 (do (value 4)) (else (block (value 5)))))) 6) (* (block (value 7)) 8)",
    );
    check_body("if $a { f() } else { 2 };", "(if $a (do (value (call f))) (else (block (value 2))))");
    check_body("{ f(); } ; ; return 1;", "(block (call f)) (return 1)");
    check_body("_ = { if 1 { 2 } };", "(discard (block (value (if 1 (do (value 2))))))");
    check_body("_ = { if 1 { 2 }; };", "(discard (block (if 1 (do (value 2)))))");
    check_body("import \"x\"; import;", "(import \"x\") import");
    check_body("$c ? f(\"y\") : g();", "(? $c (call f \"y\") (call g))");
    check_body("/* x */ f(); // y\n", "(call f)");
}

#[test]
fn items() {
    check("#!/usr/bin/env bpftrace\nBEGIN{}", "(probe (at BEGIN) (do))");
    check(
        "kprobe:a,\nkprobe:b, /pid == 1/ { 1 }",
        "(probe (at kprobe a) (at kprobe b) (when (== pid 1)) (do 1))",
    );
    check("kprobe:a / arg2 / 4 > 10 / { }", "(probe (at kprobe a) (when (> (/ arg2 4) 10)) (do))");
    check("kprobe:a /1/ /* c */ { }", "(probe (at kprobe a) (when 1) (do))");
    check(
        "kprobe:a /if $x { 1 } else { 0 }/ { }",
        "(probe (at kprobe a) (when (if $x (do (value 1)) (else (block (value 0))))) (do))",
    );
    check("mine=uprobe:/a/b:\"x y\" { }", "(probe (at mine= uprobe /a/b \"x y\") (do))");
    check(
        "config = { max_strlen = 64; missing_probes = warn; x = \"y\" }",
        "(config (max_strlen 64) (missing_probes warn) (x \"y\"))",
    );
    check(
        "import \"a\"; let @m = lruhash(10); let @n = hash(1)",
        "(import \"a\") (map @m lruhash 10) (map @n hash 1)",
    );
    check("macro m($a, @b, c) { c }", "(macro m ($a @b c) (do (value c)))");
    check(
        "fn add($a: int64, $b: struct s *): int64 { return 1; }",
        "(fn add ($a: int64 $b: struct s*) int64 (do (return 1)))",
    );
    check(
        "struct a { int b; } __attribute__((packed))\n#define X 1\nenum e { A };\nbegin { }",
        "(c \"struct a { int b; } __attribute__((packed))\") (c \"#define X 1\") (c \"enum e { A };\") \
         (probe (at begin) (do))",
    );
    check("", "");
}

#[test]
fn long_lists_are_broken_over_lines() {
    let (script, _) = parse(
        "a.bt",
        "begin { print((nsecs, pid, tid, comm, cpu, kstack, ustack, args, retval, func, probe, rand, ctx, elapsed)); }",
    );
    let expected = "\
(probe
  (at begin)
  (do
    (call print
      (tuple nsecs pid tid comm cpu kstack ustack args retval func probe rand ctx elapsed))))
";
    assert_eq!(print_script(&script), expected);
}

#[test]
fn err_several_in_one_script() {
    let text = "begin {\n  $a = 1\n  $b = (2;\n  args.x = 3;\n  $c = 4;\n}\nend { if $a > 1 { } }\n";
    let (script, diags) = parse("three.bt", text);
    let expected = "\
error[E0001]: missing `;` after a statement
  ┌─ three.bt:2:9
  │
2 │   $a = 1
  │         ^ expected `;`

error[E0002]: unclosed `(`
  ┌─ three.bt:3:8
  │
3 │   $b = (2;
  │        ^ - expected `)` before this

error[E0008]: a field cannot be assigned to
  ┌─ three.bt:4:3
  │
4 │   args.x = 3;
  │   ^^^^^^ not a variable or map entry
  │
  = note: tuples, records and memory of the traced program cannot be changed

error[E0001]: unexpected `>`
  ┌─ three.bt:7:13
  │
7 │ end { if $a > 1 { } }
  │             ^ expected `{`
  │
  = note: without parentheses a condition ends at the first operator
  = help: put the whole condition in parentheses: `if (…) {`

";
    assert_eq!(render(&diags, &Sources::of("three.bt", text), Colour::Never), expected);
    let words: Vec<String> = print_script(&script).split_whitespace().map(str::to_owned).collect();
    assert_eq!(
        words.join(" "),
        "(probe (at begin) (do (= $a 1) (= $b 2) (error) (= $c 4))) (probe (at end) (do (error)))"
    );
}

#[test]
fn err_statements() {
    check_err("begin { foo bar; f(); }", &["E0001 unexpected `bar`"]);
    check_err("begin { f(1 2); }", &["E0001 unexpected number"]);
    check_err(
        "begin { $x = ; $y = ); }",
        &["E0001 unexpected `;`", "E0002 `)` without `(`", "E0001 unexpected `;`"],
    );
    check_err("begin { $x = $y = 1; }", &["E0001 unexpected `=`"]);
    check_err(
        "begin { 1 = 2; f()++; &1; &@m[1]; }",
        &[
            "E0008 a number cannot be assigned to",
            "E0008 the result of a call cannot be stepped",
            "E0008 `&` needs a variable or a whole map",
            "E0008 `&` needs a variable or a whole map",
        ],
    );
    check_err(
        "begin { for ($x : 5) { } for ($x : @m[1]) { } }",
        &["E0008 cannot loop over a number", "E0008 cannot loop over a map entry"],
    );
    check_err("begin { if (1) { } else f(); }", &["E0001 unexpected `f`"]);
    check_err("begin { $x = if $a { 1 } else { 2 } 3; }", &["E0001 unexpected number"]);
    check_err("begin { f(", &["E0002 unclosed `(`"]);
    check_err("begin { if (1) { f(); } end { g(); }", &["E0002 unclosed `{`"]);
    check_err("begin { } }", &["E0002 `}` without `{`"]);
}

#[test]
fn err_tokens() {
    check_err(
        "begin { $0; $99999999999999999999; }",
        &["E0011 parameter `$0` is out of range", "E0011 parameter `$99999999999999999999` is out of range"],
    );
    check_err(
        "begin { 12abc; \"a\\q\"; \"open\n }",
        &[
            "E0005 integer `12abc` has the invalid suffix `abc`",
            "E0004 unknown escape `\\q`",
            "E0003 unterminated string",
        ],
    );
    check_err(
        "begin { 'x'; é; \\ }",
        &[
            "E0006 single quotes do not make a string or character",
            "E0006 unexpected character `\\u{e9}`",
            "E0006 unexpected character `\\\\`",
        ],
    );
}

#[test]
fn err_items() {
    check_err(
        "begin { } struct a { int b; };",
        &["E0007 C definitions must appear before probes and functions"],
    );
    check_err("begin { } config = { }", &["E0007 config must appear before probes and functions"]);
    check_err("config = { } config = { }", &["E0007 duplicate config block"]);
    check_err("begin { } import \"x\";", &["E0007 root imports must appear before probes and functions"]);
    check_err("let $x = 1;", &["E0012 only map declarations are allowed at the root"]);
    check_err("print(1);\nbegin { }", &["E0012 statement outside of a probe"]);
    check_err("{ }", &["E0012 probe without an attach point"]);
    check_err("begin", &["E0001 attach point without a body"]);
    check_err("begin foo { }", &["E0001 attach point without a body"]);
    check_err("kprobe:f /1 { }", &["E0001 predicate not closed before the body"]);
    check_err("kprobe:f /1 + 2", &["E0002 unclosed predicate"]);
    check_err("kprobe:f$x { }", &["E0010 `$x` is not a script parameter"]);
    check_err("struct a { int", &["E0002 unfinished C definition"]);
    check_err("macro m(1) { }", &["E0001 unexpected number"]);
    check_err("import \"x\" begin { }", &["E0001 the script ends inside an item"]);
    check_err("let @m = 5;", &["E0001 unexpected number"]);
}

#[test]
fn err_nesting_is_bounded() {
    let wrap = |open: &str, inner: &str, close: &str, n: usize| {
        format!("begin {{ $x = {}{inner}{}; }}", open.repeat(n), close.repeat(n))
    };
    let brackets = ["E0009 more than 128 brackets inside each other"];
    let levels = ["E0009 expression nested more than 256 levels deep"];
    check_err(&wrap("(", "1", ")", 100_000), &brackets);
    check_err(&wrap("{", "1", "}", 100_000), &brackets);
    check_err(&wrap("- ", "1", "", 5_000), &levels);
    check_err(&wrap("1 + ", "1", "", 5_000), &levels);
    check_err(&wrap("1 ? 2 : ", "1", "", 5_000), &levels);
    check_err(&wrap("", "$y", ".a", 5_000), &levels);
    check_err(&wrap("if 1 { 2 } else ", "{ 3 }", "", 5_000), &levels);
    check_err(&format!("begin {{ $x = (int{})1; }}", "*".repeat(5_000)), &levels);
    assert_eq!(shown(&wrap("(", "1", ")", 120)), "(probe (at begin) (do (= $x 1)))");
}

#[test]
fn errors_are_limited() {
    let (_, diags) = parse("a.bt", &"begin { foo bar; }\n".repeat(500));
    assert!(diags.len() <= 21, "{}", diags.len());
    let (_, diags) = parse("a.bt", &"\u{7f} ".repeat(5_000));
    assert!(diags.len() <= 21, "{}", diags.len());
}

/// The work of a parse is the number of tokens it feeds to the grammar.
#[test]
fn work_is_linear() {
    let shapes: [fn(usize) -> String; 6] = [
        |n| "kprobe:f /pid == 1/ { @[tid] = (uint64)nsecs; }\n".repeat(n),
        |n| format!("begin {{ {} }}", "$x = ((foo) * 2, (a = 1)); ".repeat(n)),
        |n| format!("begin {{ {} }}", "foo bar; ".repeat(n)),
        |n| format!("begin {{ {} }}", "if (1) { f(); } else { g(; } ".repeat(n)),
        |n| format!("begin {{ {}", "{ ".repeat(n.min(100))),
        |n| format!("macro m(a) {{ {} }}", "f(typeof(typeof(a))); ".repeat(n)),
    ];
    for shape in shapes {
        let work = |n: usize| parse_counting("a.bt", &shape(n), Origin::default()).2;
        let (one, two) = (work(2_000), work(4_000));
        assert!(two <= 2 * one + 1_000, "{}: {one} then {two}", shape(1));
    }
}

/// Every script with one byte changed, left out, put in or cut behind gives an answer.
#[test]
fn changed_bytes_do_not_panic() {
    let snippets = [
        "#define N (1 << 2)\nstruct a { int b:3; char c[N]; };\nconfig = { max_strlen = 64 }\nbegin { }",
        "macro m($a, @b, c) { let $t = c; @b[$t] += $a; $t }\nbegin { $x = 1; m($x, @y, N); }",
        "u:/bin/x:\"a b\"+$1, i=kprobe:f@g /pid == 1 / 2/ { if ($1) { 1 } else { 2 } }",
        "end { for ($i : 0..5) { @a[(x = 1), \"\\x41\"] = (uint8)*$p->b.c[1]; } return 1e3; }",
    ];
    for snippet in snippets {
        for at in 0..=snippet.len() {
            let (before, after) = snippet.split_at(at);
            let rest = after.get(1..).unwrap_or("");
            let mut texts = vec![format!("{before}{rest}"), before.to_owned()];
            for put in ["(", "}", "{", "\"", "/", "$", "é", "\n"] {
                texts.push(format!("{before}{put}{after}"));
                texts.push(format!("{before}{put}{rest}"));
            }
            for text in texts {
                let (script, mut diags) = parse("a.bt", &text);
                let mut sources = Sources::of("a.bt", &text);
                let world = crate::expand::World::NONE;
                let (_, more) = crate::expand::expand(script, &Default::default(), &world, &mut sources);
                diags.extend(more);
                render(&diags, &sources, Colour::Never);
            }
        }
    }
}
