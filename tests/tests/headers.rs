//! The reader of C declarations against gcc, for every header of glibc and Linux.
//!
//! Ensures  of each header that gcc accepts alone: macros are the same, every struct, union and enum has the
//!          same members at the same places, every constant the same value and type. `HEADERS=net/` takes a
//!          part of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use btf::{Btf, Kind, Type, TypeId};
use compiler::diag::{Colour, Diag, Sources, render};
use compiler::expand::c::{CComposite, CType, Constant, Headers, Preamble, TagIdx, World, read_preamble};
use compiler::syntax::ast::Tag;

const SYSTEM: [&str; 3] = ["/usr/local/include", "/usr/include/x86_64-linux-gnu", "/usr/include"];
const OWN: [&str; 6] = ["float", "limits", "stdarg", "stdbool", "stddef", "stdint"];
const PACKAGES: [&str; 2] = ["libc6-dev", "linux-libc-dev"];

/// Lines that gcc and we need not agree on.
fn is_known(finding: &str) -> bool {
    // The kernel's own headers of these names define them.
    const KNOWN: &[&str] = &["linux/sched.h: macro TASK_", "linux/socket.h: macro AF_"];
    KNOWN.iter().any(|known| finding.contains(known))
}

#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    types: usize,
    members: usize,
    constants: usize,
    reading: Duration,
    slowest: (Duration, String),
    findings: Vec<String>,
    /// What gcc has confirmed already.
    facts: HashSet<String>,
}

#[test]
fn every_header_reads_as_gcc_reads_it() {
    let part = std::env::var("HEADERS").unwrap_or_default();
    let headers: Vec<String> = installed().into_iter().filter(|name| name.starts_with(&part)).collect();
    assert!(!headers.is_empty(), "no headers: install {PACKAGES:?}");
    let mut predefined = macro_names("");
    // The compiler's own headers are not the libraries'.
    predefined.extend(macro_names(&OWN.map(|name| format!("#include <{name}.h>\n")).concat()));
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(name) = headers.get(next.fetch_add(1, Ordering::Relaxed)) {
                    compare(name, &predefined, &tally);
                }
            });
        }
    });
    let tally = tally.into_inner().expect("no thread failed");
    println!(
        "{} headers ({} refused by gcc), {} types, {} members, {} constants; read in {:?}, slowest {} in {:?}",
        tally.accepted,
        tally.refused,
        tally.types,
        tally.members,
        tally.constants,
        tally.reading,
        tally.slowest.1,
        tally.slowest.0
    );
    let findings: Vec<_> = tally.findings.iter().filter(|finding| !is_known(finding)).collect();
    for finding in &findings {
        println!("{finding}");
    }
    assert!(findings.is_empty(), "{} findings", findings.len());
}

/// The headers of the packages as they are included.
fn installed() -> BTreeSet<String> {
    let out = Command::new("dpkg-query").arg("-L").args(PACKAGES).output().expect("Debian has dpkg-query");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let files = text.lines().filter(|path| path.ends_with(".h") && Path::new(path).is_file());
    files
        .filter_map(|path| SYSTEM.iter().find_map(|dir| path.strip_prefix(dir)?.strip_prefix('/')))
        .map(str::to_owned)
        .collect()
}

fn gcc(args: &[&str], input: &str) -> Output {
    let mut child = Command::new("gcc")
        .args(["-x", "c", "-w", "-fdiagnostics-plain-output"])
        .args(args)
        .arg("-")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tests/setup installs gcc");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    // gcc reads its input before it writes anything.
    stdin.write_all(input.as_bytes()).expect("gcc reads its input");
    drop(stdin);
    child.wait_with_output().expect("gcc ends")
}

/// The macros without parameters that gcc knows behind these lines.
fn macro_names(text: &str) -> BTreeSet<String> {
    let out = gcc(&["-E", "-dM"], text);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let name = |line: &str| {
        let name = line.strip_prefix("#define ")?.split(' ').next()?;
        (!name.contains('(')).then(|| name.to_owned())
    };
    text.lines().filter_map(name).collect()
}

fn compare(name: &str, predefined: &BTreeSet<String>, tally: &Mutex<Tally>) {
    let text = format!("#include <{name}>\n");
    let Some(theirs) = types_of_gcc(&text) else {
        tally.lock().expect("no thread failed").refused += 1;
        return;
    };
    let system = SYSTEM.map(str::to_owned);
    let read = |path: &str| std::fs::read(path).ok();
    let headers = Headers { system: &system, read: &read, ..Headers::NONE };
    let mut sources = Sources::of("a.bt", &text);
    let (script, mut diags) = compiler::syntax::parse("a.bt", &text);
    let start = Instant::now();
    let world = World { headers, ..World::NONE };
    let (preamble, definitions) = read_preamble(&script.c_items, &world, &mut sources, &mut diags);
    let elapsed = start.elapsed();
    let mut found = Findings { name, list: Vec::new(), types: 0, members: 0 };
    found.types(&preamble, &theirs);
    let names: BTreeSet<String> = definitions.names().into_iter().collect();
    let values: BTreeMap<&String, Option<Constant>> =
        names.iter().map(|name| (name, definitions.constant(name))).collect();
    drop(definitions);
    found.unread(&preamble, &diags, &sources);
    let known = macro_names(&text);
    for missing in known.difference(&names).filter(|name| !predefined.contains(*name)) {
        found.add(format!("macro {missing} is missing"));
    }
    let is_ours = |name: &&String| {
        !known.contains(*name)
            && !predefined.contains(*name)
            && !name.starts_with("__")
            && *name != "BPFTRACE_HAVE_BTF"
    };
    for extra in names.iter().filter(is_ours) {
        found.add(format!("macro {extra} is too much"));
    }
    let facts = facts(
        &preamble,
        values.iter().filter(|(name, _)| known.contains(**name)).map(|(n, v)| (n.as_str(), v)),
    );
    let new: Vec<String> = {
        let tally = tally.lock().expect("no thread failed");
        facts.into_iter().filter(|fact| !tally.facts.contains(fact)).collect()
    };
    found.facts(&text, &new);
    let mut tally = tally.lock().expect("no thread failed");
    tally.accepted += 1;
    tally.types += found.types;
    tally.members += found.members;
    tally.constants += new.iter().filter(|fact| tally.facts.insert((*fact).clone())).count();
    tally.reading += elapsed;
    if elapsed > tally.slowest.0 {
        tally.slowest = (elapsed, name.to_owned());
    }
    tally.findings.append(&mut found.list);
}

/// The types of these lines as gcc lays them out; none if it refuses them.
fn types_of_gcc(text: &str) -> Option<Btf> {
    let object = tempfile::NamedTempFile::new().expect("the temporary folder can be written");
    let path = object.path().to_str().expect("temporary names are plain");
    let out = gcc(&["-gbtf", "-fno-eliminate-unused-debug-types", "-c", "-o", path], text);
    if !out.status.success() {
        return None;
    }
    let bytes = std::fs::read(path).expect("gcc has written it");
    let elf = goblin::elf::Elf::parse(&bytes).expect("gcc writes ELF");
    let section = elf.section_headers.iter().find(|s| elf.shdr_strtab.get_at(s.sh_name) == Some(".BTF"));
    let range = section.and_then(|section| section.file_range());
    // Of a header without types it writes no strings, which is no BTF. Types of ours would show.
    let read = range.and_then(|range| Btf::from_vec(bytes[range].to_vec()).ok());
    let empty = || Btf::from_vec(btf::Builder::new().finish().expect("it is small")).expect("just written");
    Some(read.unwrap_or_else(empty))
}

/// What disagrees in one header.
struct Findings<'a> {
    name: &'a str,
    list: Vec<String>,
    types: usize,
    members: usize,
}

impl Findings<'_> {
    fn add(&mut self, finding: String) {
        self.list.push(format!("{}: {finding}", self.name));
    }

    /// What we say is wrong with it.
    fn unread(&mut self, preamble: &Preamble, diags: &[Diag], sources: &Sources) {
        let unreadable: Vec<Diag> = preamble.unreadable.values().cloned().collect();
        for diag in diags.iter().chain(&unreadable) {
            let shown = render(std::slice::from_ref(diag), sources, Colour::Never);
            self.add(shown);
        }
    }

    /// Structs, unions and typedefs by name, both ways.
    fn types(&mut self, ours: &Preamble, theirs: &Btf) {
        for id in theirs.ids() {
            let (tag, composite) = match theirs.ty(id) {
                Ok(Type::Struct(composite)) => (Tag::Struct, composite),
                Ok(Type::Union(composite)) => (Tag::Union, composite),
                Ok(Type::Typedef { name, .. }) => {
                    let known = ours.typedefs.iter().find(|typedef| typedef.name.text == name);
                    match known {
                        // The compiler's own, which no header declares.
                        None if name.starts_with("__builtin") || name == "__gnuc_va_list" => {}
                        None => self.add(format!("typedef {name} is missing")),
                        Some(known) => {
                            self.types += 1;
                            self.same(ours, &known.ty, theirs, id, &format!("typedef {name}"));
                        }
                    }
                    continue;
                }
                _ => continue,
            };
            let name = composite.name();
            if name.is_empty() || name.starts_with("__va_list") {
                continue;
            }
            let Some(TagIdx::Composite(idx)) = ours.tagged(tag, name) else {
                self.add(format!("{} {name} is missing", tag.keyword()));
                continue;
            };
            let own = &ours.composites[idx.0];
            self.types += 1;
            self.composite(ours, own, theirs, composite, name);
        }
        for (own, name) in ours.composites.iter().filter_map(|own| Some((own, own.name.as_ref()?))) {
            let kind: btf::KindSet = if own.tag == Tag::Union { Kind::Union } else { Kind::Struct }.into();
            if theirs.find(&name.text, kind).next().is_none() {
                self.add(format!("{} {} is too much", own.tag.keyword(), name.text));
            }
        }
    }

    fn composite(
        &mut self,
        preamble: &Preamble,
        own: &CComposite,
        theirs: &Btf,
        other: btf::Composite<'_>,
        path: &str,
    ) {
        // gcc lists padding, too.
        let members: Vec<btf::Member<'_>> =
            other.members().filter(|m| !m.name.is_empty() || is_composite(theirs, m.ty)).collect();
        if own.extent.bytes != other.size() || own.members.len() != members.len() {
            let (bytes, count) = (own.extent.bytes, own.members.len());
            self.add(format!(
                "{path}: {bytes} bytes, {count} members; gcc {}, {}",
                other.size(),
                members.len()
            ));
            return;
        }
        for (own, other) in own.members.iter().zip(members) {
            self.members += 1;
            let name = own.name.as_ref().map_or("", |name| name.text.as_str());
            let path = format!("{path}.{}", other.name);
            if name != other.name
                || own.bit_offset != other.bit_offset
                || own.bits.unwrap_or(0) != other.bitfield_bits.unwrap_or(0)
            {
                self.add(format!("{path}: we have {name} at {} {:?}", own.bit_offset, own.bits));
            }
            self.same(preamble, &own.ty, theirs, other.ty, &path);
        }
    }

    /// A type of ours and one of gcc's.
    fn same(&mut self, preamble: &Preamble, own: &CType, theirs: &Btf, id: TypeId, path: &str) {
        let mut own = own;
        while let CType::Typedef(idx) = own {
            own = &preamble.typedefs[idx.0].ty;
        }
        let Ok(other) = theirs.resolve(id).and_then(|id| theirs.ty(id)) else { return };
        let same = match (own, &other) {
            (CType::Void, Type::Void) | (CType::Function(_), Type::FuncProto(_)) => true,
            (CType::Bool, Type::Int { encoding, .. }) => encoding.bool,
            (CType::Int(int), Type::Int { size, encoding, .. }) => {
                int.bytes == *size && int.signed == encoding.signed
            }
            (CType::Opaque(extent), Type::Float { size, .. } | Type::Int { size, .. }) => {
                extent.bytes == *size
            }
            (CType::Opaque(_), Type::Struct(_) | Type::Array { .. } | Type::Void) => true,
            (CType::Enum(idx), Type::Enum(other)) => preamble.enums[idx.0].bytes == other.size(),
            // An enum of 64 bits is beyond this gcc's BTF.
            (CType::Enum(idx), _) => preamble.enums[idx.0].bytes == 8,
            (CType::Tagged(_, name), other) => match preamble.tagged(Tag::Struct, name) {
                Some(_) => true,
                None => other.name() == name,
            },
            (CType::Composite(idx), Type::Struct(other) | Type::Union(other)) => {
                let own = &preamble.composites[idx.0];
                match &own.name {
                    Some(name) => name.text == other.name(),
                    None => {
                        self.composite(preamble, own, theirs, *other, path);
                        true
                    }
                }
            }
            (CType::Pointer(own), Type::Ptr(to)) => {
                self.same(preamble, own, theirs, *to, path);
                true
            }
            (CType::Array(..), Type::Array { .. }) => {
                // This gcc writes the dimensions in the wrong order.
                let (own, len) = flat(preamble, own);
                let (other, other_len) = flat_btf(theirs, id);
                self.same(preamble, own, theirs, other, path);
                len == other_len
            }
            _ => false,
        };
        if !same {
            self.add(format!("{path}: we have {own:?}, gcc {:?} {}", other.kind(), other.name()));
        }
    }

    /// Lets gcc judge values, a line each: `=` lines must hold, `?` lines must be no constants.
    fn facts(&mut self, text: &str, facts: &[String]) {
        let mut source = text.to_owned();
        for fact in facts {
            let _ = writeln!(source, "_Static_assert({}, \"\");", &fact[1..]);
        }
        let out = gcc(&["-fsyntax-only", "-fmax-errors=0"], &source);
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        let line = |error: &str| {
            let (line, rest) = error.strip_prefix("<stdin>:")?.split_once(':')?;
            rest.contains("error:").then_some(line.parse::<usize>().ok()?)
        };
        let wrong: BTreeSet<usize> = errors.lines().filter_map(line).collect();
        for (index, fact) in facts.iter().enumerate() {
            let refused = wrong.contains(&(index + 2));
            if fact.starts_with('=') == refused {
                self.add(format!("{} {fact}", if refused { "not so:" } else { "a constant to gcc:" }));
            }
        }
    }
}

/// The element of an array of arrays and how many there are.
fn flat<'t>(preamble: &'t Preamble, ty: &'t CType) -> (&'t CType, u64) {
    match ty {
        CType::Typedef(idx) => flat(preamble, &preamble.typedefs[idx.0].ty),
        CType::Array(of, len) => {
            let (element, count) = flat(preamble, of);
            (element, count * u64::from(len.unwrap_or(0)))
        }
        other => (other, 1),
    }
}

fn flat_btf(types: &Btf, id: TypeId) -> (TypeId, u64) {
    match types.resolve(id).and_then(|id| types.ty(id)) {
        Ok(Type::Array { elem, len, .. }) => {
            let (element, count) = flat_btf(types, elem);
            (element, count * u64::from(len))
        }
        _ => (id, 1),
    }
}

fn is_composite(types: &Btf, id: TypeId) -> bool {
    matches!(types.resolve(id).and_then(|id| types.ty(id)), Ok(Type::Struct(_) | Type::Union(_)))
}

/// What is to hold of alignments, enumerators and macros.
fn facts<'a>(
    preamble: &Preamble,
    macros: impl Iterator<Item = (&'a str, &'a Option<Constant>)>,
) -> Vec<String> {
    let mut facts = Vec::new();
    for own in &preamble.composites {
        if let Some(name) = &own.name {
            let (ty, extent) = (format!("{} {}", own.tag.keyword(), name.text), own.extent);
            facts.push(format!("=_Alignof({ty}) == {} && sizeof({ty}) == {}", extent.align, extent.bytes));
        }
    }
    let macros: Vec<_> = macros.collect();
    let hidden = |name: &str| macros.iter().any(|(known, _)| *known == name);
    for value in preamble.enums.iter().flat_map(|e| &e.values).filter(|v| !hidden(&v.name.text)) {
        facts.push(format!("={} == {}", value.name.text, spelled(value.value)));
    }
    for (name, value) in macros {
        match value {
            Some(Constant::Int(value)) => {
                let (bytes, sign) =
                    (value.bytes.max(4), if value.signed || value.bytes < 4 { "<" } else { ">" });
                facts.push(format!(
                    "=({name}) == {} && sizeof(({name}) + 0) == {bytes} && (__typeof__(({name}) + 0))-1 {sign} 0",
                    spelled(value.value)
                ));
            }
            Some(Constant::Text(_)) => {}
            // Of floats, half is not nothing; of pointers and functions there is none.
            None => {
                facts.push(format!("?__builtin_constant_p({name}) && (__typeof__(({name}) + 0))3 / 2 == 1"))
            }
        }
    }
    facts
}

fn spelled(value: i128) -> String {
    match i64::try_from(value) {
        Ok(i64::MIN) => "(-0x7fffffffffffffffLL - 1)".to_owned(),
        Ok(value) => format!("{value}LL"),
        Err(_) => format!("{value}ULL"),
    }
}
