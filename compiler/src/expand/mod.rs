//! Turns the tree as written into one without preamble, config, macros and constants.
//!
//! Input    `Script`    as parsed
//! Output   `Expanded`  no macro, `#define` or config block left, the C definitions read
//! Ensures  every name that remains is a builtin, an enumerator or a mistake for later passes
//! Breaks   nothing: spans stay, `Script::expansions` tells where copied expressions come from

pub mod c;
pub mod config;
mod macros;
mod replace;

use std::collections::BTreeMap;

pub use c::{Headers, Preamble, World};
pub use config::Config;

use crate::diag::{Diag, Sources};
use crate::syntax::ast::*;
use crate::syntax::visit::*;

/// A script after expansion.
#[derive(Clone, Debug)]
pub struct Expanded {
    /// Without macros, config, imports, subprograms and C items.
    pub script: Script,
    /// The options in force.
    pub config: Config,
    /// The C types the script defines.
    pub preamble: Preamble,
}

/// Expands a script. `env` holds the environment's `BPFTRACE_…` variables, which win over `config`;
/// `sources` has the script and gets the headers it includes.
pub fn expand(
    mut script: Script,
    env: &BTreeMap<String, String>,
    world: &World<'_>,
    sources: &mut Sources,
) -> (Expanded, Vec<Diag>) {
    let mut diags = Vec::new();
    let config = config::read_config(script.config.take().as_ref(), env, &mut diags);
    let mut c_items = std::mem::take(&mut script.c_items);
    for import in std::mem::take(&mut script.imports) {
        match header_import(&import) {
            Some(item) => c_items.push(item),
            None => diags.push(Diag::unsupported("`import` of scripts, C sources and objects", import.span)),
        }
    }
    for subprogram in std::mem::take(&mut script.subprograms) {
        diags.push(Diag::unsupported("`fn`", subprogram.name.span).help("use a `macro`"));
    }
    let (preamble, defines) = c::read_preamble(&c_items, world, sources, &mut diags);
    macros::expand_macros(&mut script, &defines, &mut diags);
    drop(defines);
    check_unreadable(&script, &preamble, &mut diags);
    (Expanded { script, config, preamble }, diags)
}

/// `import "x.h";` as the `#include` it means.
fn header_import(import: &Import) -> Option<CItem> {
    let path = std::str::from_utf8(&import.path).ok()?;
    let plain = path.ends_with(".h") && !path.contains(['"', '\\', '\n']);
    let text = format!("#include \"{path}\"");
    plain.then_some(CItem { kind: CItemKind::Directive, text, span: import.span })
}

/// Reports what a header failed to define, if the script names it.
fn check_unreadable(script: &Script, preamble: &Preamble, diags: &mut Vec<Diag>) {
    struct Used<'a>(&'a Preamble, BTreeMap<String, Diag>);
    impl Used<'_> {
        fn name(&mut self, name: &str) {
            if let Some(diag) = self.0.unreadable.get(name) {
                self.1.insert(name.to_owned(), diag.clone());
            }
        }
    }
    impl Visit for Used<'_> {
        fn visit_type(&mut self, ty: &TypeSpec) {
            if let TypeSpecKind::Named { name, .. } = &ty.kind {
                self.name(name);
            }
            walk_type(self, ty);
        }

        fn visit_expr(&mut self, expr: &Expr) {
            if let ExprKind::Ident(name) = &expr.kind {
                self.name(name);
            }
            walk_expr(self, expr);
        }
    }
    if preamble.unreadable.is_empty() {
        return;
    }
    let mut used = Used(preamble, BTreeMap::new());
    for probe in &script.probes {
        probe.predicate.iter().for_each(|predicate| used.visit_expr(predicate));
        used.visit_block(&probe.body);
    }
    diags.extend(used.1.into_values());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{parse, print_script};

    /// The expanded script on one line, then the diagnostics.
    fn expanded(text: &str) -> String {
        let (script, mut diags) = parse("a.bt", text);
        let mut sources = Sources::of("a.bt", text);
        let (expanded, more) = expand(script, &BTreeMap::new(), &World::NONE, &mut sources);
        diags.extend(more);
        let words: Vec<String> =
            print_script(&expanded.script).split_whitespace().map(str::to_owned).collect();
        let diags = diags.iter().map(|d| format!("\n{} {}", d.code.id, d.message));
        words.join(" ") + &diags.collect::<String>()
    }

    fn check(text: &str, body: &str) {
        let text = format!("{text} begin {{ BODY }}");
        let (items, uses) = text.split_once(" => ").expect("definitions => use");
        let text = format!("{items} begin {{ {} }}", uses.replace(" begin { BODY }", ""));
        assert_eq!(expanded(&text), format!("(probe (at begin) (do {body}))"), "{text}");
    }

    fn check_err(text: &str, expected: &[&str]) {
        let shown = expanded(text);
        assert_eq!(shown.lines().skip(1).collect::<Vec<_>>(), expected, "{text}\n{shown}");
    }

    #[test]
    fn macros() {
        check("macro one() { 1 } => print(one + one());", "(call print (+ 1 1))");
        check("macro add(a, b) { a + b } => $x = add(1, add(2, 3));", "(= $x (+ 1 (+ 2 3)))");
        check(
            "macro clamp(v, hi) { let $c = v; $c > hi ? hi : $c } => $x = clamp(5, 3);",
            "(= $x (block (let $c#1 5) (value (? (> $c#1 3) 3 $c#1))))",
        );
        check("macro bump(@m, k) { @m[k] += 1; } => bump(@a, tid);", "(block (+= (@a tid) 1))");
        check("macro inc($v) { $v += 1; } => $x = 1; inc($x);", "(= $x 1) (block (+= $x 1))");
        check("macro out($v) { set($v); } macro set($v) { $v = 1; } => out($x);", "(block (block (= $x 1)))");
        check(
            "macro mine() { set($v); $v } macro set($v) { $v = 1; } => mine();",
            "(block (block (= $v#1 1)) (value $v#1))",
        );
    }

    #[test]
    fn hygiene() {
        check(
            "macro m(a) { let $x = a; $x } => $x = 1; m($x);",
            "(= $x 1) (block (let $x#1 $x) (value $x#1))",
        );
        check("macro m() { let $x = 1; } => m(); m();", "(block (let $x#1 1)) (block (let $x#2 1))");
        check(
            "macro sum(@m) { for ($kv : @m) { print($kv.1); } } => sum(@a);",
            "(block (for $kv#1 @a (do (call print (. $kv#1 1)))))",
        );
        check("macro one() { 1 } macro m(one) { one } => m(2);", "2");
    }

    #[test]
    fn overloads() {
        let defs = "macro m($v) { 1 } macro m(@v) { 2 } macro m(v) { 3 } macro m(a, b) { 4 }";
        check(&format!("{defs} => $x = m($x) + m(@x) + m(@x[1]) + m(x, 1);"), "(= $x (+ (+ (+ 1 2) 3) 4))");
    }

    #[test]
    fn types() {
        check(
            "macro size(T) { sizeof(T) } => size(typeof(uint8)); size(1 + 2);",
            "(sizeof (type typeof(uint8))) (sizeof (+ 1 2))",
        );
        check("macro to(T, v) { (T)v } => to(typeof(uint8), 5);", "(cast typeof(uint8) 5)");
    }

    #[test]
    fn defines() {
        check(
            "#define N (1 << M)\n#define M 3 /* three */\n => print(N + M);",
            "(call print (+ (<< 1 3) 3))",
        );
        check("#define F(x) x\n => print(F);", "(call print F)");
        check("#include <sys/socket.h>\n => print(AF_INET6);", "(call print 10)");
        check("#define NOW nsecs\nmacro now() { NOW } => print(now);", "(call print nsecs)");
    }

    #[test]
    fn err_macros() {
        check_err(
            "macro m(@a) { } begin { m(1); m(); }",
            &[
                "E0050 call of `m` has arguments that match none of its definitions",
                "E0050 call of `m` has arguments that match none of its definitions",
            ],
        );
        check_err("macro a() { b() } macro b() { a() } begin { a(); }", &["E0051 macro `a` expands itself"]);
        check_err(
            "macro m() { @a = 1; $b++; } begin { }",
            &[
                "E0052 macro uses the map `@a` without being given it",
                "E0052 macro uses the variable `$b` without being given it",
            ],
        );
        check_err(
            "macro m(a) { } macro m(b) { } macro n(a, a) { } begin { }",
            &["E0053 macro `m(b)` is defined twice", "E0053 macro `n` has two parameters of one name"],
        );
        check_err(
            "macro m() { while (1) { break; } break; return; } begin { }",
            &["E0054 `break` would leave the macro", "E0054 `return` would leave the macro"],
        );
        check_err(
            "#define A (1 +\nbegin { print(A); print(A); }",
            &["E0034 `#define A` does not stand for an expression"],
        );
        check_err("#define A B\n#define B A\nbegin { print(A); }", &["E0035 `#define` `A` expands itself"]);
        check_err(
            "import \"x\"; fn f(): int64 { } begin { }",
            &[
                "E0900 `import` of scripts, C sources and objects not supported yet",
                "E0900 `fn` not supported yet",
            ],
        );
    }

    #[test]
    fn err_expansion_is_bounded() {
        let too_large = ["E0055 the script is too large or too deep with its macros expanded"];
        let nested = |times: usize| format!("{}1{}", "m(".repeat(times), ")".repeat(times));
        check_err(&format!("macro m(x) {{ x + x }} begin {{ print({}); }}", nested(40)), &too_large);
        check_err(
            &format!("macro m(x) {{ ----x }} begin {{ print({}); }}", nested(100)),
            &["E0008 a builtin or constant cannot be stepped"],
        );
        check_err(&format!("macro m(x) {{ -(-(-(-x))) }} begin {{ print({}); }}", nested(100)), &too_large);
        let chain: String = (1..300).map(|i| format!("macro m{i}(x) {{ m{}(-x) }} ", i - 1)).collect();
        check_err(&format!("macro m0(x) {{ x }} {chain} begin {{ m299(1); }}"), &too_large);
        let defines: String = (1..40).map(|i| format!("#define D{i} (D{} + D{})\n", i - 1, i - 1)).collect();
        check_err(&format!("#define D0 1\n{defines}begin {{ print(D39); }}"), &too_large);
    }

    #[test]
    fn ids_are_unique_and_expansions_known() {
        let text = "macro m(x) { let $y = x; $y + x } begin { print(m(m(nsecs + 1))); }";
        let mut sources = Sources::of("a.bt", text);
        let (expanded, diags) = expand(parse("a.bt", text).0, &BTreeMap::new(), &World::NONE, &mut sources);
        assert!(diags.is_empty());
        struct Ids(Vec<u32>);
        impl crate::syntax::visit::Visit for Ids {
            fn visit_expr(&mut self, expr: &crate::syntax::ast::Expr) {
                self.0.push(expr.id.0);
                crate::syntax::visit::walk_expr(self, expr);
            }
        }
        let mut ids = Ids(Vec::new());
        crate::syntax::visit::Visit::visit_block(&mut ids, &expanded.script.probes[0].body);
        let count = ids.0.len();
        ids.0.sort_unstable();
        ids.0.dedup();
        assert_eq!(ids.0.len(), count);
        assert!(ids.0.iter().all(|&id| id < expanded.script.next_expr_id));
        let last = crate::syntax::ast::ExprId(*ids.0.last().expect("there are expressions"));
        assert_eq!(expanded.script.expansion_of(last).map(|e| e.name.as_str()), Some("m"));
    }
}
