//! Scripts and what they lower to, over the pinned kernel types of `golden/`.

use std::collections::BTreeMap;
use std::path::Path;

use codegen_bpf::{RelocKind, namespace};
use cranelift_codegen::ir::{self, ExternalName, InstructionData};
use manifest::{Event, Layout, Manifest, RuntimeError};

use super::{Input, Lowered, Settings, lower};
use crate::diag::Sources;
use crate::expand::{Headers, World, expand};
use crate::fields::{Fields, KernelNames, preamble_btf};
use crate::kernel::Kernel;
use crate::syntax::ast::Tag;
use crate::{syntax, types};

fn lowered(text: &str) -> Lowered {
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/kernel");
    let kernel = Kernel::from_path(&kernel).expect("golden/kernel is part of the tree");
    let (script, _) = syntax::parse("a.bt", text);
    let names = KernelNames::new(&kernel);
    let extent = |tag: Option<Tag>, name: &str| names.extent(tag, name);
    let world = World { kernel: &extent, ..World::NONE };
    let mut sources = Sources::of("a.bt", text);
    let (expanded, _) = expand(script, &BTreeMap::new(), &world, &mut sources);
    let (preamble, _) = preamble_btf(&expanded.preamble, &names);
    let fields = Fields::new(&kernel, preamble);
    let settings = types::Settings::default();
    let (resolved, _) = types::resolve(&expanded.script, &fields, &settings);
    let (program, diags) = types::check(&expanded.script, resolved, &fields, &settings);
    let program = program.unwrap_or_else(|| panic!("{text}: {diags:?}"));
    let run = manifest::Config {
        missing_probes: manifest::MissingProbes::Error,
        print_maps_on_exit: true,
        perf_rb_pages: 0,
        str_trunc_trailer: "..".into(),
        max_cat_bytes: 10_240,
        max_probes: 1024,
        cpp_demangle: true,
    };
    let settings = Settings {
        name: "a.bt".into(),
        text: text.into(),
        license: "GPL".into(),
        max_map_keys: 4096,
        on_stack_limit: 32,
        run,
    };
    let sources = Sources::of("a.bt", text);
    let input = Input { program: &program, fields: &fields, sources: &sources, settings: &settings };
    lower(input).unwrap_or_else(|diags| panic!("{text}: {diags:?}"))
}

fn manifest(text: &str) -> Manifest {
    let lowered = lowered(text);
    // What the loader reads is what we meant, and passes its checks.
    let read = Manifest::from_bytes(&lowered.manifest.to_bytes()).expect("manifests pass their own checks");
    assert_eq!(read, lowered.manifest);
    read
}

/// Helpers a function calls, in the order of its blocks; `-1` for a subprogram.
fn calls(func: &ir::Function) -> Vec<i64> {
    let mut calls = Vec::new();
    for block in func.layout.blocks() {
        for inst in func.layout.block_insts(block) {
            let InstructionData::Call { func_ref, .. } = func.dfg.insts[inst] else { continue };
            let ExternalName::User(name) = func.dfg.ext_funcs[func_ref].name else { continue };
            let name = &func.params.user_named_funcs()[name];
            calls.push(if name.namespace == namespace::HELPER { name.index.into() } else { -1 });
        }
    }
    calls
}

#[track_caller]
fn check_calls(script: &str, expected: &[i64]) {
    let lowered = lowered(script);
    assert_eq!(calls(&lowered.module.functions[0].clif), expected, "{script}");
}

#[test]
fn helpers_called() {
    // A scalar map cannot be full: one look-up, one update, no report.
    check_calls("kprobe:vfs_read { @ = count(); }", &[1, 2]);
    // A keyed one can.
    check_calls("kprobe:vfs_read { @[comm] = count(); }", &[16, 1, 2, -1]);
    // What the predicate found is not looked up again, nor is the pid asked for again.
    check_calls("kprobe:vfs_read /@a[tid]/ { @b = @a[tid]; @a[pid] = 1; }", &[14, 1, 2, 2, -1]);
    // But after a change it is.
    check_calls("kprobe:vfs_read /@a/ { @a = 1; @b = @a; }", &[1, 2, 1, 2]);
    // A record is filled in place.
    check_calls(
        "tracepoint:syscalls:sys_enter_openat { printf(\"%d %s %s\", pid, comm, str(args.filename)); }",
        &[131, 14, 16, 114, 132],
    );
    // Typed pointers are followed by loads, others by the helper.
    check_calls("fentry:vfs_read { @ = args.file->f_inode->i_ino; }", &[2]);
    check_calls("kprobe:vfs_read { @ = ((struct file *)arg0)->f_inode->i_ino; }", &[113, 113, 2]);
    check_calls("fentry:vfs_read { @f = args.file; @ = @f->f_flags; }", &[2, 1, 113, 2]);
    // The right side of `&&` runs only if the left holds; nothing is computed as a number.
    check_calls("kprobe:vfs_read /uid == 0 && pid == 1/ { @ = 1; }", &[15, 14, 2]);
    // Division by a variable is guarded; by a constant it is not.
    check_calls("kprobe:vfs_read { @ = arg0 / arg1; }", &[-1, 2]);
    check_calls("kprobe:vfs_read { @ = arg0 / 10 + arg1 % 8; }", &[2]);
    // A large object: scratch memory, once.
    check_calls("kprobe:vfs_read { $a = str(arg1); @x[1] = $a; }", &[1, 115, 2, -1]);
}

#[test]
fn access_strings_count_only_members_used() {
    let lowered =
        lowered("fentry:vfs_read { @ = args.file->f_flags; @b = args.file->f_path.dentry->d_name.name; }");
    let relos: Vec<_> = lowered.module.core_relos.iter().map(|r| (r.access.as_str(), r.kind)).collect();
    let offset = RelocKind::FieldByteOffset;
    // The first says which argument is read.
    assert_eq!(relos, [("0", offset), ("0:0", offset), ("0:1:0", offset), ("0:0:0", offset)]);
}

#[test]
fn bit_fields_relocate_position_and_width() {
    let lowered = lowered("fentry:tcp_sendmsg { @ = args.sk->__sk_common.skc_reuse; }");
    let kinds: Vec<_> = lowered.module.core_relos.iter().map(|r| r.kind).collect();
    // The first says which argument is read.
    let expected = [
        RelocKind::FieldByteOffset,
        RelocKind::FieldByteOffset,
        RelocKind::FieldLshiftU64,
        RelocKind::FieldRshiftU64,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn types_of_modules_say_so() {
    let m = manifest("fentry:nf_tables:nf_tables_newtable { @ = args.info->nfmsg->nfgen_family; }");
    let origins: Vec<_> = m.types.iter().map(|t| (t.name.as_str(), t.module.as_str())).collect();
    assert_eq!(origins, [("nfnl_info", "nf_tables"), ("nfgenmsg", "nf_tables")]);
}

#[test]
fn records_are_laid_out_naturally() {
    let m = manifest("begin { printf(\"%d %s %d\", (uint8)1, \"abc\", (int64)2); }");
    let Event::Printf { args, .. } = &m.events[0] else { panic!("{:?}", m.events) };
    let places: Vec<_> = args.iter().map(|field| (field.offset, &field.layout)).collect();
    let int = |size, signed| Layout::Int { size, signed };
    assert_eq!(places, [(8, &int(1, false)), (9, &Layout::String { size: 4 }), (16, &int(8, true))]);
}

#[test]
fn equal_events_share_a_number() {
    let m = manifest("begin { print(1); print(1); print(2 > 1); exit(); } end { exit(); }");
    assert_eq!(m.events.len(), 3);
}

#[test]
fn errors_name_their_place() {
    let m = manifest("kprobe:vfs_read { @[1] = 10 / arg0; }");
    let errors: Vec<_> = m
        .events
        .iter()
        .filter_map(|event| match event {
            Event::RuntimeError { error, place, retcode } => {
                Some((error.clone(), place.column, place.end_column, *retcode))
            }
            _ => None,
        })
        .collect();
    let expected = [(RuntimeError::DivideByZero, 26, 35, None), (RuntimeError::MapFull, 19, 36, Some(8))];
    assert_eq!(errors, expected);
}

#[test]
fn unrolled_loops_end() {
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/kernel");
    let kernel = Kernel::from_path(&kernel).expect("golden/kernel is part of the tree");
    let text = "begin { unroll (100) { unroll (100) { unroll (100) { unroll (100) { @ = nsecs; } } } } }";
    let (name, env, stage, allow_unsafe) = ("a.bt", &BTreeMap::new(), None, false);
    let headers = Headers::NONE;
    let request = crate::pipeline::Request {
        name,
        text,
        env,
        kernel: &kernel,
        headers,
        stage,
        allow_unsafe,
        debug_folders: &[],
    };
    let (output, diags, _) = crate::pipeline::compile(&request);
    let codes: Vec<_> = diags.iter().map(|diag| diag.code.id).collect();
    assert!(output.is_none() && codes == ["E0300"], "{diags:?}");
}

#[test]
fn histograms_append_the_bucket_to_the_key() {
    let lowered = lowered("kprobe:vfs_read { @[comm, cpu] = hist(arg2); }");
    let map = &lowered.module.maps[0];
    assert_eq!((map.name.as_str(), map.def.map_type, map.def.max_entries), ("AT_", 5, 4096));
    // 16 of comm, 8 of cpu, 8 of the bucket.
    let codegen_bpf::KeyOrSize::Type(key) = map.def.key else { panic!("{map:?}") };
    let bytes = lowered.module.btf.clone().finish().expect("small");
    let btf = btf::Btf::from_vec(bytes).expect("just written");
    assert_eq!(btf.size_of(key), Ok(32));
}

#[test]
fn loops_are_callbacks_that_share_a_frame() {
    let lowered = lowered("begin { $n = 0; for ($i : 0..4) { $n += $i; } print($n); }");
    let names: Vec<_> =
        lowered.module.functions.iter().map(|f| (f.name.as_str(), f.section.as_str())).collect();
    assert_eq!(names, [("begin", "raw_tp/begin"), ("begin_loop1", ".text")]);
    assert_eq!(calls(&lowered.module.functions[0].clif), [181, 131, 132]);
}

#[test]
fn same_script_same_bytes() {
    let compile = || {
        let script =
            "kprobe:vfs_* { @[func, comm] = hist(arg2); } fentry:vfs_read { print(args.file->f_flags); }";
        let lowered = lowered(script);
        codegen_bpf::compile(lowered.module, &codegen_bpf::Options::default()).expect("compiles").bytes
    };
    assert_eq!(compile(), compile());
}

#[test]
fn changing_the_system_is_noticed() {
    assert!(lowered("begin { system(\"true\"); }").changes_system.is_some());
    assert!(lowered("begin { print(1); }").changes_system.is_none());
}
