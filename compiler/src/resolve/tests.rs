//! Functions of modules, over two synthetic ones.

use super::*;
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
    let mut b = Builder::new();
    let int = b.add_int("int", 4, IntEncoding { signed: true, ..IntEncoding::default() });
    b.add_struct("common", 4, &[member("x", int, 0)]);
    let proto = b.add_func_proto(int, &[]);
    b.add_func("built_in", proto, Linkage::Static);
    b.add_func("built_too", proto, Linkage::Static);
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
    Kernel::from_bytes(vmlinux, modules).expect("just written")
}

/// Names of the targets, then the diagnostics and their help.
fn resolved(point: &str, missing: MissingProbes) -> Vec<String> {
    let kernel = kernel();
    let fields = Fields::new(&kernel, None);
    let (script, diags) = parse("a.bt", &format!("{point} {{ }}"));
    assert!(diags.is_empty(), "{diags:?}");
    let cx = Resolver { fields: &fields, missing, by_name: false, uses_args: false };
    let mut diags = Vec::new();
    let point = &script.probes[0].attach_points[0];
    let mut shown: Vec<_> = resolve(point, &cx, &mut diags).into_iter().map(|target| target.name).collect();
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
    check("fexit:a:f", &["fexit:a:f"]);
    check("fentry:built_in", &["fentry:vmlinux:built_in"]);
    check("fentry:built*", &["fentry:vmlinux:built_in", "fentry:vmlinux:built_too"]);
    check("fentry:*:only_*", &["fentry:a:only_a", "fentry:b:only_b"]);
    check(
        "fentry:f",
        &["E0104 several modules have a function `f`", "name the module: `fentry:a:f`, `fentry:b:f`"],
    );
    let softer = "or set `missing_probes = warn` in the `config` block";
    check(
        "fentry:a:only_b",
        &["E0103 there is no function `only_b` in `a`", "did you mean `only_a`?", softer],
    );
    check("fentry:broken:f", &["E0106 the BTF of `broken` is broken"]);
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
        fields.prefer(file);
        let own = fields.find_struct("own").expect("each module has one");
        assert_eq!(fields.file_name(own.btf), module);
        assert!(fields.member(own, field, Space::Kernel).is_some());
    }
    let common = fields.find_struct("common").expect("vmlinux has it");
    assert_eq!(common.btf, BtfId::VMLINUX);
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
