//! Functions of modules, over two synthetic ones.

use super::*;
use crate::fields::NotFound;
use crate::kernel::Kernel;
use crate::syntax::parse;
use crate::types::Space;
use btf::{Btf, Builder, IntEncoding, Linkage, Member, Param, TypeId};
use std::sync::Arc;

fn member(name: &str, ty: TypeId, bit_offset: u32) -> Member<'_> {
    Member { name, ty, bit_offset, bitfield_bits: None }
}

/// vmlinux with `struct common`, modules `a` and `b` that both have `f` and a `struct own` of their own.
fn kernel() -> Kernel {
    let (vmlinux, modules) = files();
    Kernel::from_bytes(vmlinux, modules).expect("just written")
}

fn files() -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let mut b = Builder::new();
    let int = b.add_int("int", 4, IntEncoding { signed: true, ..IntEncoding::default() });
    b.add_struct("common", 4, &[member("x", int, 0)]);
    let proto = b.add_func_proto(int, &[]);
    b.add_func("built_in", proto, Linkage::Static);
    b.add_func("built_too", proto, Linkage::Static);
    b.add_func("only_a", proto, Linkage::Static);
    // One name, two prototypes; and two that only name their parameter differently.
    let one = |ty| [Param { name: "p", ty }];
    let by_int = b.add_func_proto(int, &one(int));
    let by_ptr = b.add_ptr(int);
    let by_ptr = b.add_func_proto(int, &one(by_ptr));
    let renamed = b.add_func_proto(int, &[Param { name: "q", ty: int }]);
    for (name, proto) in [("dup", by_int), ("dup", by_ptr), ("dup_same", by_int), ("dup_same", renamed)] {
        b.add_func(name, proto, Linkage::Static);
    }
    // What the kernel's trampolines cannot pass on.
    let big = b.add_struct("big", 24, &[member("x", int, 0)]);
    let variadic =
        b.add_func_proto(int, &[Param { name: "p", ty: int }, Param { name: "", ty: TypeId::VOID }]);
    let many = vec![Param { name: "p", ty: int }; 13];
    let many = b.add_func_proto(int, &many);
    let in_memory = b.add_func_proto(int, &one(big));
    let returns = b.add_func_proto(big, &one(int));
    let all =
        [("no_variadic", variadic), ("no_many", many), ("no_memory", in_memory), ("no_struct", returns)];
    for (name, proto) in all {
        b.add_func(name, proto, Linkage::Static);
    }
    b.add_func("no_problem", by_int, Linkage::Static);
    let vmlinux = b.finish().expect("small");
    let base = Arc::new(Btf::from_vec(vmlinux.clone()).expect("just written"));
    let module = |field: &str, only: &str| {
        let mut m = Builder::split(Arc::clone(&base));
        let own = m.add_struct("own", 8, &[member(field, int, 32)]);
        let own = m.add_ptr(own);
        let proto =
            m.add_func_proto(TypeId::VOID, &[Param { name: "own", ty: own }, Param { name: "n", ty: int }]);
        m.add_func("f", proto, Linkage::Static);
        m.add_func(only, proto, Linkage::Static);
        m.finish().expect("small")
    };
    let modules = vec![
        ("a".to_owned(), module("in_a", "only_a")),
        ("b".to_owned(), module("in_b", "only_b")),
        ("broken".to_owned(), vec![1, 2, 3]),
    ];
    (vmlinux, modules)
}

/// Names of the targets, then the diagnostics and their help.
fn resolved(point: &str, missing: MissingProbes) -> Vec<String> {
    resolved_by(point, missing, true)
}

fn targets(point: &str, missing: MissingProbes, by_type: bool) -> (Vec<Target>, Vec<Diag>) {
    let kernel = kernel();
    let fields = Fields::new(&kernel, None);
    let (script, diags) = parse("a.bt", &format!("{point} {{ }}"));
    assert!(diags.is_empty(), "{diags:?}");
    let cx = Resolver { fields: &fields, missing, by_name: false, uses_args: false, by_type };
    let mut diags = Vec::new();
    let targets = resolve(&script.probes[0].attach_points[0], &cx, &mut diags);
    (targets, diags)
}

fn resolved_by(point: &str, missing: MissingProbes, by_type: bool) -> Vec<String> {
    let (targets, diags) = targets(point, missing, by_type);
    let mut shown: Vec<_> = targets.into_iter().map(|target| target.name).collect();
    for diag in diags {
        shown.push(format!("{} {}", diag.code.id, diag.message));
        shown.extend(diag.notes.into_iter().filter_map(|note| match note {
            crate::diag::Note::Help(text) => Some(text),
            crate::diag::Note::Note(_) => None,
        }));
    }
    shown
}

#[track_caller]
fn check(point: &str, expected: &[&str]) {
    assert_eq!(resolved(point, MissingProbes::Error), expected, "{point}");
}

#[test]
fn functions_of_modules() {
    check("fentry:only_b", &["fentry:b:only_b"]);
    // Where vmlinux has the function, that one is meant.
    check("fentry:only_a", &["fentry:vmlinux:only_a"]);
    check("fentry:a:only_a", &["fentry:a:only_a"]);
    check("fexit:a:f", &["fexit:a:f"]);
    check("fentry:built_in", &["fentry:vmlinux:built_in"]);
    check("fentry:built*", &["fentry:vmlinux:built_in", "fentry:vmlinux:built_too"]);
    check("fentry:*:only_*", &["fentry:vmlinux:only_a", "fentry:a:only_a", "fentry:b:only_b"]);
    check("fentry:only_*", &["fentry:vmlinux:only_a", "fentry:a:only_a", "fentry:b:only_b"]);
    check("fexit:*:only_a", &["fexit:vmlinux:only_a", "fexit:a:only_a"]);
    check("kfunc:b:*", &["fentry:b:f", "fentry:b:only_b"]);
    check("kretfunc:vmlinux:built*", &["fexit:vmlinux:built_in", "fexit:vmlinux:built_too"]);
    check(
        "fentry:f",
        &["E0104 several modules have a function `f`", "name the module: `fentry:a:f`, `fentry:b:f`"],
    );
    let softer = "or set `missing_probes = warn` in the `config` block";
    check(
        "fentry:a:only_b",
        &["E0103 there is no function `only_b` in `a`", "did you mean `fentry:b:only_b`?", softer],
    );
    check(
        "fentry:a:only_x",
        &["E0103 there is no function `only_x` in `a`", "did you mean `only_a`?", softer],
    );
    check(
        "fentry:absent:f",
        &[
            "E0106 there is no BTF of module `absent`",
            "put it beside vmlinux's, in the folder given with `--btf`",
            softer,
        ],
    );
    check("fentry:broken:f", &["E0106 the BTF of `broken` is broken"]);
}

#[test]
fn one_name_with_several_prototypes() {
    let kprobe = "use `kprobe:dup` with `arg0`, `arg1`, …, whose types the script decides";
    check("fentry:dup", &["E0104 `vmlinux` has several functions `dup`", kprobe]);
    check("fentry:dup_same", &["fentry:vmlinux:dup_same"]);
    check("fentry:dup*", &["fentry:vmlinux:dup_same"]);
    // Without arguments their types do not matter.
    let both = ["fentry:vmlinux:dup", "fentry:vmlinux:dup_same"];
    assert_eq!(resolved_by("fentry:dup*", MissingProbes::Error, false), both);
    assert_eq!(resolved_by("fentry:dup", MissingProbes::Error, false), both[..1]);
}

#[test]
fn patterns_leave_out_what_the_kernel_refuses() {
    check("fentry:no_*", &["fentry:vmlinux:no_problem"]);
    check(
        "fexit:no_variadic",
        &["E0108 fexit cannot attach to `no_variadic`", "use `kretprobe:no_variadic`"],
    );
    for function in ["no_many", "no_memory", "no_struct"] {
        assert_eq!(resolved(&format!("fentry:{function}"), MissingProbes::Ignore).len(), 2);
    }
}

#[test]
fn matches_know_their_pattern() {
    for (point, pattern) in [
        ("kfunc:vmlinux:built_*", Some("fentry:vmlinux:built_*")),
        ("fexit:built_*", Some("fexit:built_*")),
        ("fentry:built_in", None),
        // The loader expands it.
        ("kprobe:built_*", None),
    ] {
        let (targets, _) = targets(point, MissingProbes::Error, false);
        assert!(!targets.is_empty(), "{point}");
        assert!(targets.iter().all(|target| target.pattern.as_deref() == pattern), "{point}");
    }
}

#[test]
fn missing_targets_are_what_the_script_says() {
    assert_eq!(resolved("fentry:nope", MissingProbes::Ignore), [""; 0]);
    assert_eq!(resolved("fentry:nope", MissingProbes::Warn), ["W0101 there is no function `nope`; skipped"]);
}

#[test]
fn a_modules_types_are_its_own() {
    let kernel = kernel();
    let fields = Fields::new(&kernel, None);
    for (module, field) in [("a", "in_a"), ("b", "in_b")] {
        let file = kernel.find(module).expect("readable");
        fields.prefer(file.map_or(Near::Nowhere, Near::File));
        let own = fields.find_struct("own").expect("each module has one");
        assert_eq!(fields.file_name(own.btf), module);
        assert!(fields.member(own, field, Space::Kernel).is_some());
    }
    let common = fields.find_struct("common").expect("vmlinux has it");
    assert_eq!(common.btf, BtfId::VMLINUX);
}

#[test]
fn the_function_of_a_kprobe_decides_which_types() {
    let kernel = kernel();
    let fields = Fields::new(&kernel, None);
    let function = |module: Option<&str>, name: &str| Near::Function {
        module: module.map(str::to_owned),
        name: name.to_owned(),
    };
    for (near, expected) in [
        (function(Some("a"), "only_a"), Some("a")),
        (function(None, "only_b.isra.0"), Some("b")),
        (function(Some("b"), "f"), Some("b")),
        // In both modules, in vmlinux, nowhere: nothing decides.
        (function(None, "f"), None),
        (function(None, "built_in"), None),
        (function(None, "nope"), None),
        (Near::Nowhere, None),
    ] {
        fields.prefer(near.clone());
        match (fields.find_struct("own"), expected) {
            (Ok(own), Some(module)) => assert_eq!(fields.file_name(own.btf), module, "{near:?}"),
            (Err(NotFound::Ambiguous(found)), None) => assert_eq!(found.len(), 2, "{near:?}"),
            (found, _) => panic!("{near:?}: {found:?}"),
        }
    }
}

#[test]
fn only_files_that_are_needed_are_read() {
    let folder = std::env::temp_dir().join(format!("sondec-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("temporary files can be written");
    let (vmlinux, modules) = files();
    for (name, bytes) in modules.iter().chain([&("vmlinux".to_owned(), vmlinux)]) {
        std::fs::write(folder.join(name), bytes).expect("temporary files can be written");
    }
    for (script, expected) in [
        ("fentry:built_in { print(retval); }", &[][..]),
        ("fexit:vmlinux:built_in { print(retval); }", &[]),
        ("fentry:vmlinux:built* { print(1); }", &[]),
        ("kprobe:built_in { print(((struct common *)arg0)->x); }", &[]),
        ("fentry:b:f { print(args.own->in_b); }", &["b"]),
        ("fentry:a:only_* { print(args.own->in_a); }", &["a"]),
        ("kprobe:a:f { print(((struct own *)arg0)->in_a); }", &["a"]),
        ("kprobe:a:f { print(arg0); }", &[]),
        ("kprobe:only_b { print(arg0); }", &[]),
        ("kprobe:only_b { print(((struct own *)arg0)->in_b); }", &["a", "b", "broken"]),
    ] {
        let kernel = Kernel::from_path(&folder).expect("just written");
        let env = std::collections::BTreeMap::new();
        let request = crate::pipeline::Request {
            name: "a.bt",
            text: script,
            env: &env,
            kernel: &kernel,
            headers: crate::expand::c::Headers::NONE,
            debug_folders: &[],
            stage: Some(crate::pipeline::Stage::Typed),
            allow_unsafe: false,
        };
        let (_, diags, _) = crate::pipeline::compile(&request);
        let read: Vec<_> = kernel.read_modules().collect();
        assert_eq!(read, expected, "{script}: {diags:?}");
    }
    std::fs::remove_dir_all(&folder).expect("just written");
}

#[test]
fn forms() {
    check("kprobe:a:f", &["kprobe:a:f"]);
    check("kprobe:f+0x10", &["kprobe:f+16"]);
    check("kprobe:f_*", &["kprobe:f_*"]);
    check("BEGIN", &["begin"]);
    check("self:signal:SIGUSR1", &["self:signal:SIGUSR1"]);
    check("profile:us:100", &["profile:us:100"]);
    check("interval:10ms", &["interval:us:10000"]);
}
