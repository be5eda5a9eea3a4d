//! A small object for tests: two programs, two subprograms, a callback, maps, globals, a CO-RE relocation.

use crate::kinds;
use btf::core::RelocKind;
use btf::ext::{self, ByteOff};
use btf::{Builder, Enumerator, IntEncoding, Linkage, Member, Param, SecVar, StrOff, TypeId};
use manifest::{
    AttachPoint, Config, Event, Global, GlobalRole, Manifest, Map, MapValue, MissingProbes, Probe, Source,
};

const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHT_NOBITS: u32 = 8;
const SHT_REL: u32 = 9;
const ALLOC: u64 = 2;
const EXEC: u64 = 4;

struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    bytes: Vec<u8>,
    link: u32,
    info: u32,
    entsize: u64,
}

fn section(name: &'static str, kind: u32, flags: u64, bytes: Vec<u8>) -> Section {
    Section { name, kind, flags, bytes, link: 0, info: 0, entsize: 0 }
}

fn insn(code: u8, regs: u8, imm: i32) -> [u8; 8] {
    let [a, b, c, d] = imm.to_le_bytes();
    [code, regs, 0, 0, a, b, c, d]
}

const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];
const HALF: [u8; 8] = [0; 8];

/// Section indices, as in `sections` below.
const TEXT: u16 = 1;
const BEGIN: u16 = 2;
const FENTRY: u16 = 3;
const MAPS: u16 = 4;
const RODATA: u16 = 5;
const BSS: u16 = 6;
const SYMTAB: u32 = 7;

/// Symbol numbers, as in `symbols` below.
const SYM_TEXT: u32 = 1;
const SYM_SUB: u32 = 2;
const SYM_MAP: u32 = 5;
const SYM_EVENTS: u32 = 6;
const SYM_COUNT: u32 = 7;
const SYM_LOST: u32 = 8;
const SYM_JIFFIES: u32 = 9;

fn code() -> [Vec<u8>; 3] {
    // `leaf` at 0, `sub` at 2: calls leaf without a relocation.
    let text = [insn(0xb7, 0, 1), EXIT, insn(kinds::CALL, 0x10, -3), EXIT];
    let begin = [
        insn(kinds::LD_IMM64, 1, 0), // the map
        HALF,
        insn(kinds::LD_IMM64, 1, 4), // 4 bytes into .rodata
        HALF,
        insn(kinds::CALL, 0x10, -1), // sub
        insn(kinds::LD_IMM64, 2, 0), // address of leaf, by the section symbol
        HALF,
        EXIT,
    ];
    let fentry = [
        insn(0x79, 0x11, 0),
        insn(0xb7, 2, 8), // CO-RE: offset of thing.b
        insn(kinds::LD_IMM64, 3, 0),
        HALF, // jiffies
        insn(kinds::CALL, 0, 14),
        EXIT,
    ];
    [text.concat(), begin.concat(), fentry.concat()]
}

fn symbols() -> Vec<(&'static str, u8, u16, u64, u64)> {
    const FUNC: u8 = 0x12;
    const OBJECT: u8 = 0x11;
    vec![
        ("", 0, 0, 0, 0),
        ("", 0x03, TEXT, 0, 0),
        ("sub", FUNC, TEXT, 16, 16),
        ("leaf", FUNC, TEXT, 0, 16),
        ("p_begin", FUNC, BEGIN, 0, 64),
        ("AT_c", OBJECT, MAPS, 0, 32),
        ("sonde_events", OBJECT, MAPS, 32, 16),
        ("ncpus", OBJECT, RODATA, 0, 8),
        ("sonde_lost", OBJECT, BSS, 8, 8),
        ("jiffies", 0x20, 0, 0, 0),
        ("p_fentry", FUNC, FENTRY, 0, 48),
    ]
}

/// `.BTF` and `.BTF.ext`.
fn types() -> (Vec<u8>, Vec<u8>) {
    let mut b = Builder::new();
    let unsigned = IntEncoding::default();
    let int = b.add_int("int", 4, IntEncoding { signed: true, ..unsigned });
    let long = b.add_int("unsigned long", 8, unsigned);
    let number = |b: &mut Builder, n: u32| {
        let array = b.add_array(int, int, n);
        b.add_ptr(array)
    };
    let (n5, n27, n64, n256k) =
        (number(&mut b, 5), number(&mut b, 27), number(&mut b, 64), number(&mut b, 262_144));
    let long_ptr = b.add_ptr(long);
    let member = |name, ty, at: u32| Member { name, ty, bit_offset: at * 64, bitfield_bits: None };
    let fields = [
        member("type", n5, 0),
        member("max_entries", n64, 1),
        member("key", long_ptr, 2),
        member("value", long_ptr, 3),
    ];
    let hash = b.add_struct("", 32, &fields);
    let ring = b.add_struct("", 16, &[member("type", n27, 0), member("max_entries", n256k, 1)]);
    let global = Linkage::Global;
    let at_c = b.add_var("AT_c", hash, global);
    let events = b.add_var("sonde_events", ring, global);
    let ncpus = b.add_var("ncpus", long, global);
    let lost = b.add_var("sonde_lost", long, global);
    let jiffies = b.add_var("jiffies", TypeId::VOID, Linkage::Extern);
    let var = |ty, offset, size| SecVar { ty, offset, size };
    b.add_datasec(".maps", 48, &[var(at_c, 0, 32), var(events, 32, 16)]);
    b.add_datasec(".rodata", 16, &[var(ncpus, 0, 8)]);
    b.add_datasec(".bss", 16, &[var(lost, 8, 8)]);
    b.add_datasec(".ksyms", 0, &[var(jiffies, 0, 0)]);
    b.add_enum("letters", 4, false, &[Enumerator { name: "A", value: 0 }]);
    let thing = b.add_struct("thing", 16, &[member("a", long, 0), member("b", long, 1)]);
    let proto = b.add_func_proto(int, &[Param { name: "ctx", ty: long_ptr }]);
    let mut functions = ["leaf", "sub", "p_begin", "p_fentry"].map(|name| b.add_func(name, proto, global));
    functions.sort();
    let [leaf, sub, begin, fentry] = functions;

    let mut e = ext::ExtBuilder::new();
    let names = [".text", "raw_tp/begin", "fentry/f"].map(|name| b.str_off(name));
    let [text, begin_name, fentry_name] = names;
    let (file, line) = (b.str_off("a.bt"), b.str_off("begin { }"));
    let records: [(StrOff, u32, TypeId); 4] =
        [(text, 0, leaf), (text, 16, sub), (begin_name, 0, begin), (fentry_name, 0, fentry)];
    for (section, at, ty) in records {
        e.add_func(section, ext::FuncInfo { insn: ByteOff(at), ty });
        e.add_line(section, ext::LineInfo { insn: ByteOff(at), file, text: line, line: 1, column: 1 });
    }
    let access = b.str_off("0:1");
    let kind = RelocKind::FieldByteOffset;
    e.add_relo(fentry_name, ext::CoreRelo { insn: ByteOff(8), ty: thing, access, kind });
    (b.finish().expect("small"), e.finish())
}

/// The manifest of [`object`].
pub(crate) fn manifest() -> Manifest {
    let probe = |program: &str, name: &str, at| Probe {
        program: program.into(),
        name: name.into(),
        at,
        line: 1,
        prototype: None,
        pattern: None,
    };
    let fentry = AttachPoint::Fentry { module: "m".into(), function: "f".into() };
    Manifest {
        version: manifest::VERSION,
        producer: "test".into(),
        source: Source { name: "a.bt".into(), text: "begin { }\n".into() },
        config: Config {
            missing_probes: MissingProbes::Error,
            print_maps_on_exit: true,
            perf_rb_pages: 0,
            str_trunc_trailer: "..".into(),
            max_cat_bytes: 10240,
            max_probes: 1024,
            cpp_demangle: true,
        },
        probes: vec![probe("p_begin", "begin", AttachPoint::Begin), probe("p_fentry", "fentry:m:f", fentry)],
        maps: vec![Map { name: "@c".into(), symbol: "AT_c".into(), key: None, value: MapValue::Count }],
        events: vec![Event::Exit { offset: 8 }],
        enums: vec![],
        globals: vec![Global { symbol: "ncpus".into(), role: GlobalRole::Ncpus }],
        types: vec![],
        needs_unsafe: false,
    }
}

/// An object with this manifest.
pub(crate) fn object_with(manifest: &Manifest) -> Vec<u8> {
    build(Some(manifest.to_bytes()))
}

/// An object that opens.
pub(crate) fn object() -> Vec<u8> {
    object_with(&manifest())
}

/// An object, perhaps without a manifest.
pub(crate) fn build(manifest: Option<Vec<u8>>) -> Vec<u8> {
    let [text, begin, fentry] = code();
    let (btf, ext) = types();
    let rel = |name, info: u16, list: &[(u64, u32, u32)]| {
        let words = list.iter().map(|&(at, symbol, kind)| [at, u64::from(symbol) << 32 | u64::from(kind)]);
        let bytes = words.flatten().flat_map(u64::to_le_bytes).collect();
        let section = section(name, SHT_REL, 0, bytes);
        Section { link: SYMTAB, info: info.into(), entsize: 16, ..section }
    };
    let mut strings = vec![0];
    let mut table = Vec::new();
    for (name, info, home, value, size) in symbols() {
        let name_off = if name.is_empty() { 0 } else { strings.len() as u32 };
        strings.extend(name.bytes().chain([0]).skip(usize::from(name.is_empty())));
        table.extend(name_off.to_le_bytes());
        table.extend([info, 0]);
        table.extend(home.to_le_bytes());
        table.extend(value.to_le_bytes());
        table.extend(size.to_le_bytes());
    }
    let code = ALLOC | EXEC;
    let mut sections = vec![
        section("", 0, 0, vec![]),
        section(".text", SHT_PROGBITS, code, text),
        section("raw_tp/begin", SHT_PROGBITS, code, begin),
        section("fentry/f", SHT_PROGBITS, code, fentry),
        section(".maps", SHT_PROGBITS, ALLOC | 1, vec![0; 48]),
        section(".rodata", SHT_PROGBITS, ALLOC, vec![7; 16]),
        section(".bss", SHT_NOBITS, ALLOC | 1, vec![0; 16]),
        Section { link: 8, info: 1, entsize: 24, ..section(".symtab", SHT_SYMTAB, 0, table) },
        section(".strtab", SHT_STRTAB, 0, strings),
        rel(
            ".relraw_tp/begin",
            BEGIN,
            &[(0, SYM_MAP, 1), (16, SYM_COUNT, 1), (32, SYM_SUB, 10), (40, SYM_TEXT, 1)],
        ),
        rel(".relfentry/f", FENTRY, &[(16, SYM_JIFFIES, 1)]),
        section("license", SHT_PROGBITS, ALLOC, b"GPL\0".to_vec()),
        section(".BTF", SHT_PROGBITS, 0, btf),
        section(".BTF.ext", SHT_PROGBITS, 0, ext),
    ];
    let _ = (SYM_EVENTS, SYM_LOST);
    sections.extend(manifest.map(|bytes| section(manifest::SECTION, SHT_PROGBITS, 0, bytes)));
    write(sections)
}

fn write(mut sections: Vec<Section>) -> Vec<u8> {
    sections.push(section(".shstrtab", SHT_STRTAB, 0, Vec::new()));
    let mut names = vec![0];
    let mut offsets = Vec::new();
    for section in &sections {
        offsets.push(if section.name.is_empty() { 0 } else { names.len() as u32 });
        names.extend(section.name.bytes().chain([0]));
    }
    sections.last_mut().expect("just pushed").bytes = names;
    let mut out = vec![0; 64];
    let mut headers = Vec::new();
    for (section, name) in sections.iter().zip(offsets) {
        out.resize(out.len().next_multiple_of(8), 0);
        let offset = out.len() as u64;
        if section.kind != SHT_NOBITS {
            out.extend(&section.bytes);
        }
        headers.extend(name.to_le_bytes());
        headers.extend(section.kind.to_le_bytes());
        for word in [section.flags, 0, offset, section.bytes.len() as u64] {
            headers.extend(word.to_le_bytes());
        }
        headers.extend(section.link.to_le_bytes());
        headers.extend(section.info.to_le_bytes());
        headers.extend(8u64.to_le_bytes());
        headers.extend(section.entsize.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(8), 0);
    let table = out.len() as u64;
    out.extend(headers);
    let count = sections.len() as u16;
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(16, 0);
    head.extend([1u16.to_le_bytes(), 247u16.to_le_bytes()].concat());
    head.extend(1u32.to_le_bytes());
    head.extend([0u64.to_le_bytes(), 0u64.to_le_bytes(), table.to_le_bytes()].concat());
    head.extend(0u32.to_le_bytes());
    for half in [64u16, 0, 0, 64, count, count - 1] {
        head.extend(half.to_le_bytes());
    }
    out[..64].copy_from_slice(&head);
    out
}
