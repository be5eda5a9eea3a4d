//! Types from debug information, in all the places that compilers and distributions put it. The programs
//! are those of `tests/programs`, compiled here.

use compiler::diag::{Diag, Sources};
use compiler::expand::c::Headers;
use compiler::kernel::Kernel;
use compiler::pipeline::{Output, Request, Stage, compile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the programs are; none if this host has no C compiler.
fn programs() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/build");
        let built = Command::new(script).arg(&folder).status().is_ok_and(|status| status.success());
        assert!(built || std::env::var_os("CI").is_none(), "tests/programs/build fails");
        built.then_some(folder)
    };
    BUILT.get_or_init(build).as_deref()
}

/// The typed tree of a script, or what is wrong with it; `PROGRAM` stands for the program.
fn typed(program: &Path, text: &str, debug_folders: &[PathBuf]) -> (String, Vec<Diag>, Sources) {
    let mut vmlinux = btf::Builder::new();
    vmlinux.add_int("int", 4, btf::IntEncoding::default());
    let kernel = Kernel::from_bytes(vmlinux.finish().expect("small"), Vec::new()).expect("just written");
    let text = text.replace("PROGRAM", &program.display().to_string());
    let request = Request {
        name: "stdin",
        text: &text,
        env: &BTreeMap::new(),
        kernel: &kernel,
        headers: Headers::NONE,
        stage: Some(Stage::Typed),
        allow_unsafe: false,
        debug_folders,
    };
    let (output, diags, sources) = compile(&request);
    let text = match output {
        Some(Output::Text(text)) => text.replace(&program.display().to_string(), "PROGRAM"),
        _ => String::new(),
    };
    (text, diags, sources)
}

const SCRIPT: &str = "uprobe:PROGRAM:look {
  $n = (struct node *)arg0;
  print(args.n->next->in.c); print(args.c); print(args.n->un.i); print(args.n->in.mac); print($n->grid);
  print(args.n->y); print($n->bytes); print($n->little); print(sizeof(struct node)); print(args.s);
}
uprobe:PROGRAM:places { print(args.p.y); print(args.b.c); print(args.h); print(args.eighth); }
uprobe:PROGRAM:hidden { print(args.k); }";

#[test]
fn the_same_wherever_it_is() {
    let Some(programs) = programs() else { return };
    let folders = [programs.join("debug")];
    let (expected, diags, _) = typed(&programs.join("types"), SCRIPT, &[]);
    assert!(diags.is_empty() && expected.contains("enum color"), "{expected} {diags:?}");
    for other in ["dwarf4", "units", "zlib", "zstd", "split", "split4", "packed", "linked", "by-id"] {
        let (found, diags, _) = typed(&programs.join(format!("types-{other}")), SCRIPT, &folders);
        assert!(diags.is_empty(), "{other}: {diags:?}");
        assert_eq!(found, expected, "{other}");
    }
}

#[test]
fn what_is_missing_is_said() {
    let Some(programs) = programs() else { return };
    let said = |program: &str, text: &str| {
        let (_, diags, _) = typed(&programs.join(program), text, &[]);
        diags
            .into_iter()
            .map(|diag| format!("{} {:?}", diag.message, diag.notes))
            .collect::<Vec<_>>()
            .join("; ")
    };
    for (program, text, expected) in [
        ("types-by-id", "uprobe:PROGRAM:look { print(args.i); }", "has no debug information"),
        ("calls-stripped", "uprobe:PROGRAM:add { print(args.a); }", "has no debug information"),
        ("types", "uprobe:PROGRAM:nope { print(args.i); }", "there is no function `nope`"),
        ("types", "uprobe:PROGRAM:look { print(args.nope); }", "has no field `nope`"),
        ("types", "uprobe:PROGRAM:look { print(args.d); }", "the type of `args.d` is"),
        ("types", "uprobe:PROGRAM:places { print(args.m.n); }", "the type of `args.m` is"),
        ("types", "uprobe:PROGRAM:look { print(args.n->unseen->x); }", "is only declared"),
        ("types", "uretprobe:PROGRAM:look { print(args.n); }", "`args` has no meaning"),
        ("types", "uprobe:PROGRAM:_start { print(args.n); }", "does not describe `_start`"),
        ("no-such-file", "uprobe:PROGRAM:f { print(args.n); }", "there is no file"),
    ] {
        let said = said(program, text);
        assert!(said.contains(expected), "{program}: {text}: {said}");
    }
}

#[test]
fn a_script_without_debug_information_needs_no_file() {
    let (text, diags, _) = typed(Path::new("/no/such/file"), "uprobe:PROGRAM:f { print(arg0); }", &[]);
    assert!(diags.is_empty() && text.contains("uprobe:PROGRAM:f"), "{text} {diags:?}");
}

#[test]
fn listed_as_bpftrace_does() {
    let Some(programs) = programs() else { return };
    let mut vmlinux = btf::Builder::new();
    vmlinux.add_int("int", 4, btf::IntEncoding::default());
    let kernel = Kernel::from_bytes(vmlinux.finish().expect("small"), Vec::new()).expect("just written");
    let path = programs.join("types").display().to_string();
    let listed = compiler::kernel::list::list(&kernel, Some(&format!("uprobe:{path}:look")), true);
    let expected = "uprobe:PATH:look\n    struct node* n\n    int i\n    const char* s\n    double d\n    enum color c\n";
    assert_eq!(listed.replace(&path, "PATH"), expected);
}

/// Numbers that are the same every time: `xorshift64` of Marsaglia's "Xorshift RNGs".
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// Where the sections of debug information are in a file: found by reading each byte's section once.
fn debug_sections(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let elf = goblin::elf::Elf::parse(bytes).expect("a program");
    let named = |header: &&goblin::elf::SectionHeader| {
        elf.shdr_strtab.get_at(header.sh_name).is_some_and(|name| name.starts_with(".debug"))
    };
    elf.section_headers.iter().filter(named).filter_map(goblin::elf::SectionHeader::file_range).collect()
}

/// Damaged debug information costs an answer, never a panic or much time. `SONDE_FUZZ_SECONDS` makes it
/// last; `compiler/fuzz` has the same body for a fuzzer that learns.
#[test]
fn damaged_debug_information() {
    let Some(programs) = programs() else { return };
    let seconds = std::env::var("SONDE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let samples: Vec<Vec<u8>> = ["types", "types-dwarf4", "types-units", "types-zlib", "classes", "calls"]
        .iter()
        .filter_map(|name| std::fs::read(programs.join(name)).ok())
        .collect();
    let seed = std::env::var("SONDE_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (mut numbers, start, mut runs) = (Numbers(seed), std::time::Instant::now(), 0u64);
    let mut slowest = std::time::Duration::ZERO;
    while start.elapsed().as_secs() < seconds {
        let mut bytes = samples[numbers.next(samples.len())].clone();
        let sections = debug_sections(&bytes);
        for _ in 0..=numbers.next(8) {
            // Mostly the sections, and sometimes the headers in front of and behind them.
            let everywhere = 0..bytes.len();
            let range = match numbers.next(8) {
                0 => &everywhere,
                _ => sections.get(numbers.next(sections.len())).unwrap_or(&everywhere),
            };
            let at = range.start + numbers.next(range.len());
            let value = [0, 1, 0x7f, 0x80, 0xff, numbers.next(256) as u8][numbers.next(6)];
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        let one = std::time::Instant::now();
        compiler::user::fuzzing::program(&bytes);
        slowest = slowest.max(one.elapsed());
        runs += 1;
    }
    println!("{runs} damaged programs in {seconds} s, the slowest took {slowest:?}");
    assert!(slowest.as_secs() < 20, "a damaged program took {slowest:?}");
}
