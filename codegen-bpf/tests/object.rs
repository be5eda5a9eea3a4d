//! The object's container, read back with another reader than the one that wrote it.

mod common;

use btf::{Btf, ext::Ext};
use codegen_bpf::{Error, Object, Options, SourceFile, compile};
use goblin::elf::{Elf, header, section_header, sym};

/// Two programs of one section, two subprograms, all kinds of references, and source lines.
const EVERYTHING: &str = "
    function %prog_a(i64) -> i64 system_v {
        gv0 = symbol u2:0
        gv1 = symbol u3:0
        gv2 = symbol u4:0
        gv3 = symbol u6:0
        ss0 = explicit_slot 8
        sig0 = (i64, i64) -> i64 system_v
        sig1 = (i64) system_v
        sig2 = (i64, i64, i64, i64) -> i64 system_v
        fn0 = u0:2 sig0
        fn1 = u6:1 sig1
        fn2 = u1:181 sig2
        fn3 = u0:3 sig0
    block0(v0: i64):
        v1 = symbol_value.i64 gv0
        @0801 v2 = symbol_value.i64 gv1
        @0801 v3 = uload32.i64 notrap v2
        v4 = symbol_value.i64 gv2
        v5 = iadd v0, v4
        @0c05 v6 = load.i64 notrap v5
        v7 = symbol_value.i64 gv3
        @0c05 v8 = call fn0(v3, v6)
        call fn1(v7)
        v9 = func_addr.i64 fn3
        v10 = stack_addr.i64 ss0
        store notrap v8, v10
        v11 = call fn2(v8, v9, v10, v1)
        return v11
    }
    function %prog_b(i64) -> i64 system_v {
    block0(v0: i64):
        v1 = iconst.i64 0
        return v1
    }
    function %sub(i64, i64) -> i64 system_v {
    block0(v0: i64, v1: i64):
        v2 = iadd v0, v1
        return v2
    }
    function %callback(i64, i64) -> i64 system_v {
    block0(v0: i64, v1: i64):
        @1001 v2 = iconst.i64 1
        return v2
    }";

fn everything() -> Object {
    let mut module = common::module(EVERYTHING);
    let text = "first\n  second\nthird\nfourth\n".to_owned();
    module.source = Some(SourceFile { name: "a.bt".into(), text });
    module.extra_sections.push((".manifest".into(), b"{}".to_vec()));
    compile(module, &Options::default()).expect("compiles")
}

fn section<'a>(elf: &'a Elf<'_>, name: &str) -> &'a section_header::SectionHeader {
    let named = |s: &&section_header::SectionHeader| elf.shdr_strtab.get_at(s.sh_name) == Some(name);
    elf.section_headers.iter().find(named).unwrap_or_else(|| panic!("no section {name}"))
}

fn contents<'a>(object: &'a Object, elf: &Elf<'_>, name: &str) -> &'a [u8] {
    &object.bytes[section(elf, name).file_range().expect("has contents")]
}

fn symbol(elf: &Elf<'_>, name: &str) -> sym::Sym {
    let named = |s: &sym::Sym| elf.strtab.get_at(s.st_name) == Some(name);
    elf.syms.iter().find(named).unwrap_or_else(|| panic!("no symbol {name}"))
}

#[test]
fn header_and_sections() {
    let object = everything();
    let elf = Elf::parse(&object.bytes).expect("ELF");
    assert!(elf.is_64 && elf.little_endian);
    assert_eq!((elf.header.e_type, elf.header.e_machine), (header::ET_REL, header::EM_BPF));
    let (alloc, write, code) = (
        u64::from(section_header::SHF_ALLOC),
        u64::from(section_header::SHF_WRITE),
        u64::from(section_header::SHF_EXECINSTR),
    );
    for (name, kind, flags) in [
        ("tp/sched/sched_switch", section_header::SHT_PROGBITS, alloc | code),
        (".text", section_header::SHT_PROGBITS, alloc | code),
        ("license", section_header::SHT_PROGBITS, alloc | write),
        (".maps", section_header::SHT_PROGBITS, alloc | write),
        (".rodata", section_header::SHT_PROGBITS, alloc),
        (".bss", section_header::SHT_NOBITS, alloc | write),
        (".manifest", section_header::SHT_PROGBITS, 0),
    ] {
        let header = section(&elf, name);
        assert_eq!((header.sh_type, header.sh_flags), (kind, flags), "{name}");
        assert!(header.sh_addralign.is_power_of_two());
    }
    assert_eq!(contents(&object, &elf, "license"), b"GPL\0");
    assert!(contents(&object, &elf, ".maps").iter().all(|byte| *byte == 0));
    let symtab = section(&elf, ".symtab");
    let locals = elf.syms.iter().take_while(|s| s.st_bind() == sym::STB_LOCAL).count();
    assert_eq!(symtab.sh_info as usize, locals, "locals come first");
    assert!(elf.syms.iter().skip(locals).all(|s| s.st_bind() != sym::STB_LOCAL));
}

#[test]
fn functions_are_packed() {
    let object = everything();
    let elf = Elf::parse(&object.bytes).expect("ELF");
    let (a, b) = (symbol(&elf, "prog_a"), symbol(&elf, "prog_b"));
    assert_eq!((a.st_value, a.st_type(), a.st_bind()), (0, sym::STT_FUNC, sym::STB_GLOBAL));
    assert_eq!(b.st_value, a.st_size);
    assert_eq!(section(&elf, "tp/sched/sched_switch").sh_size, a.st_size + b.st_size);
    let (sub, callback) = (symbol(&elf, "sub"), symbol(&elf, "callback"));
    assert_eq!(callback.st_value, sub.st_size);
    assert_eq!(
        object.programs.iter().map(|p| p.insns as u64 * 8).collect::<Vec<_>>(),
        [a.st_size, b.st_size, sub.st_size, callback.st_size]
    );
}

#[test]
fn relocations_name_what_they_should() {
    let object = everything();
    let elf = Elf::parse(&object.bytes).expect("ELF");
    let [(index, relocations)] = &elf.shdr_relocs[..] else { panic!("one relocation section") };
    assert_eq!(
        elf.shdr_strtab.get_at(elf.section_headers[*index].sh_name),
        Some(".reltp/sched/sched_switch")
    );
    let found: Vec<(u32, String)> = relocations
        .iter()
        .map(|r| {
            assert_eq!(r.r_offset % 8, 0);
            let symbol = elf.syms.get(r.r_sym).expect("in range");
            let name = match symbol.st_type() {
                sym::STT_SECTION => elf.shdr_strtab.get_at(elf.section_headers[symbol.st_shndx].sh_name),
                _ => elf.strtab.get_at(symbol.st_name),
            };
            (r.r_type, name.expect("named").to_owned())
        })
        .collect();
    let (address, call) = (1, 10);
    let expected = [
        (address, "limit"),
        (call, ".text"),
        (address, "vfs_read"),
        (call, "bpf_task_release"),
        (address, ".text"),
        (address, "counts"),
    ];
    let mut found: Vec<(u32, &str)> = found.iter().map(|(kind, name)| (*kind, name.as_str())).collect();
    let mut expected = expected.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn btf_describes_everything() {
    let object = everything();
    let elf = Elf::parse(&object.bytes).expect("ELF");
    let btf = Btf::from_vec(contents(&object, &elf, ".BTF").to_vec()).expect("BTF");
    let names: Vec<String> = btf.ids().map(|id| btf.ty(id).expect("type").name().to_owned()).collect();
    for name in ["counts", "events", ".maps", "limit", ".rodata", "total", ".bss", ".ksyms", "prog_a", "sub"]
    {
        assert_eq!(names.iter().filter(|n| *n == name).count(), 1, "{name}");
    }
    let ext = contents(&object, &elf, ".BTF.ext");
    let ext = Ext::parse(ext).expect(".BTF.ext");
    let starts: Vec<Vec<u32>> = ext.funcs().map(|s| s.records().map(|r| r.insn.0).collect()).collect();
    let a = symbol(&elf, "prog_a").st_size as u32;
    let sub = symbol(&elf, "sub").st_size as u32;
    assert_eq!(starts, [[0, a], [0, sub]]);
    let relos: Vec<u32> =
        ext.relos().flat_map(|s| s.records().collect::<Vec<_>>()).map(|r| r.insn.0).collect();
    assert_eq!(relos.len(), 1);
    for (section, starts) in ext.lines().zip(&starts) {
        let lines: Vec<_> = section.records().collect();
        assert!(lines.is_sorted_by(|a, b| a.insn < b.insn));
        for start in starts {
            assert!(
                lines.iter().any(|line| line.insn.0 == *start),
                "the function at {start} has a first line"
            );
        }
    }
    let first = ext.lines().next().expect("lines").records().next().expect("a line");
    assert_eq!((first.line, first.column), (2, 1));
    assert_eq!(
        (btf.name(first.file).expect("file"), btf.name(first.text).expect("text")),
        ("a.bt", "  second")
    );
}

#[test]
fn same_module_same_bytes() {
    assert_eq!(everything().bytes, everything().bytes);
}

fn error_of(clif: &str) -> Error {
    compile(common::module(clif), &Options::default()).expect_err("is refused")
}

#[test]
fn what_is_refused() {
    let stack = error_of(
        "function %prog() -> i64 system_v {
             ss0 = explicit_slot 520
         block0:
             v0 = stack_addr.i64 ss0
             v1 = iconst.i64 1
             store v1, v0
             v2 = load.i64 v0
             return v2
         }",
    );
    assert_eq!(stack.to_string(), "function `prog` needs 520 bytes of stack, the kernel allows 512");
    let float =
        error_of("function %prog(f64) -> f64 system_v { block0(v0: f64): v1 = fadd v0, v0 return v1 }");
    assert_eq!(float.to_string(), "function `prog`: `v1 = fadd.f64 v0, v0` has no BPF equivalent");
    let unknown = error_of(
        "function %prog() -> i64 system_v { gv0 = symbol u2:9 block0: v0 = symbol_value.i64 gv0 return v0 }",
    );
    assert_eq!(unknown.to_string(), "function `prog` refers to u2:9, which the module does not have");
    let malformed = error_of("function %prog(i64) -> i64 system_v { block0(v0: i64): return }");
    assert!(matches!(malformed, Error::Clif { .. }), "{malformed}");
    let mut module = common::module("function %limit() system_v { block0: return }");
    module.license = "GPL".into();
    let twice = compile(module, &Options::default()).expect_err("is refused");
    assert_eq!(twice.to_string(), "the name `limit` is given twice");
}
