//! A module around textual CLIF, and the pieces tests share.
#![allow(dead_code)] // each test binary uses its own part

pub(crate) mod bpf;
pub(crate) mod clif;
pub(crate) mod random;

use btf::{Builder, IntEncoding, Member, Param, TypeId};
use codegen_bpf::{
    CoreRelo, Data, DataInit, Extern, ExternKind, Function, KeyOrSize, Linkage, Map, MapDef, Module, Object,
    Options, RelocKind, compile,
};

/// What every test module offers to CLIF, by namespace and index:
/// maps 2:0 `counts` (hash, u64 → u64), 2:1 `events` (ring buffer); data 3:0 `limit` (.rodata, u32),
/// 3:1 `total` (.bss, u64); CO-RE 4:0 field offset 24, 4:1 size 4, 4:2 existence 1, 4:3 a large enumerator;
/// constants 5:0 = 1000, 5:1 = -7; externs 6:0 `vfs_read`, 6:1 kfunc `bpf_task_release`.
pub(crate) fn module(clif: &str) -> Module {
    let mut btf = Builder::new();
    let u32_ty = btf.add_int("unsigned int", 4, IntEncoding::default());
    let u64_ty = btf.add_int("unsigned long long", 8, IntEncoding::default());
    let int = btf.add_int("int", 4, IntEncoding { signed: true, ..Default::default() });
    let member = Member { name: "pid", ty: int, bit_offset: 192, bitfield_bits: None };
    let task = btf.add_struct("task_struct", 32, &[member]);
    let ptr = btf.add_ptr(TypeId::VOID);
    let names = ["ctx", "b", "c", "d", "e"];
    let task_ptr = btf.add_ptr(task);
    let kfunc = btf.add_func_proto(TypeId::VOID, &[Param { name: "p", ty: task_ptr }]);
    let relo =
        |access: &str, kind, local_value| CoreRelo { root: task, access: access.into(), kind, local_value };
    let functions = cranelift_reader::parse_functions(clif).expect("test CLIF parses");
    let functions = functions.into_iter().map(|clif| {
        let name = clif.name.to_string().trim_start_matches('%').to_owned();
        let is_program = name.starts_with("prog");
        let params: Vec<Param<'_>> = names[..clif.signature.params.len()]
            .iter()
            .enumerate()
            .map(|(i, name)| Param { name, ty: if i == 0 && is_program { ptr } else { u64_ty } })
            .collect();
        let proto = btf.add_func_proto(int, &params);
        let section = if is_program { "tp/sched/sched_switch" } else { ".text" };
        let linkage = if is_program { Linkage::Global } else { Linkage::Static };
        Function { name, section: section.into(), clif, proto, linkage }
    });
    let functions = functions.collect();
    Module {
        maps: vec![
            Map {
                name: "counts".into(),
                def: MapDef {
                    map_type: 1,
                    max_entries: 64,
                    key: KeyOrSize::Type(u64_ty),
                    value: KeyOrSize::Type(u64_ty),
                    ..MapDef::default()
                },
            },
            Map {
                name: "events".into(),
                def: MapDef { map_type: 27, max_entries: 4096, ..MapDef::default() },
            },
        ],
        data: vec![
            Data {
                name: "limit".into(),
                section: ".rodata".into(),
                init: DataInit::Bytes(vec![5, 0, 0, 0]),
                align: 4,
                ty: u32_ty,
            },
            Data {
                name: "total".into(),
                section: ".bss".into(),
                init: DataInit::Zero(8),
                align: 8,
                ty: u64_ty,
            },
        ],
        core_relos: vec![
            relo("0:0", RelocKind::FieldByteOffset, 24),
            relo("0:0", RelocKind::FieldByteSize, 4),
            relo("0:0", RelocKind::FieldExists, 1),
            relo("0:0", RelocKind::FieldByteOffset, 0x1_0000_0001),
        ],
        constants: vec![1000, -7],
        externs: vec![
            Extern { name: "vfs_read".into(), weak: false, kind: ExternKind::Ksym, ty: TypeId::VOID },
            Extern { name: "bpf_task_release".into(), weak: true, kind: ExternKind::Kfunc, ty: kfunc },
        ],
        functions,
        ..Module::new("GPL", btf)
    }
}

/// Compiles all functions of `clif`.
pub(crate) fn build(clif: &str, opt: bool) -> Object {
    compile(module(clif), &Options { opt }).unwrap_or_else(|error| panic!("{error}\n{clif}"))
}

/// The first function's disassembly, without numbers.
pub(crate) fn disasm(clif: &str, opt: bool) -> String {
    let object = build(clif, opt);
    let lines = object.programs[0].disasm.lines();
    let lines: Vec<&str> = lines.map(|line| line.split_once(": ").map_or(line, |(_, text)| text)).collect();
    lines.join("\n")
}
