//! Tables of expected bytes. All texts were printed by bpftrace 0.27.1 unless a comment says otherwise.

mod events;
mod maps;
mod mutation;
mod printf;
mod values;

use super::*;
use manifest::{Config, Enum, Field, Layout, Map, MissingProbes, Source, VERSION};
use std::cell::RefCell;
use std::rc::Rc;

/// A layout and bytes of it.
type Arg = (Layout, Vec<u8>);

fn signed(size: u8, number: i64) -> Arg {
    (Layout::Int { size, signed: true }, number.to_le_bytes()[..size as usize].to_vec())
}

fn unsigned(size: u8, number: u64) -> Arg {
    (Layout::Int { size, signed: false }, number.to_le_bytes()[..size as usize].to_vec())
}

fn int(number: i64) -> Arg {
    signed(8, number)
}

fn pointer(addr: u64) -> Arg {
    (Layout::Pointer, addr.to_le_bytes().to_vec())
}

fn boolean(truth: bool) -> Arg {
    (Layout::Bool, vec![u8::from(truth)])
}

/// A string with room for its NUL.
fn string(text: &str) -> Arg {
    (Layout::String { size: text.len() as u32 + 1 }, [text.as_bytes(), b"\0"].concat())
}

fn buffer(bytes: &[u8]) -> Arg {
    let len = bytes.len() as u32;
    (Layout::Buffer { size: len }, [&len.to_le_bytes(), bytes].concat())
}

/// `enum hue { RED = 2, GREEN = 3, BLUE = 300 }`
fn hue(number: u64) -> Arg {
    (Layout::Enum { size: 4, id: 0 }, number.to_le_bytes()[..4].to_vec())
}

fn words(layout: Layout, words: &[u64]) -> Arg {
    (layout, words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

/// Fields one after the other, 8-aligned, from an offset.
fn fields(args: &[Arg], start: u32) -> (Vec<Field>, Vec<u8>) {
    let (mut fields, mut bytes) = (Vec::new(), Vec::new());
    for (layout, value) in args {
        fields.push(Field { offset: start + bytes.len() as u32, layout: layout.clone(), bits: None });
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    (fields, bytes)
}

fn tuple(args: &[Arg]) -> Arg {
    let (fields, bytes) = fields(args, 0);
    (Layout::Tuple { size: bytes.len() as u32, fields }, bytes)
}

fn record(names: &[&str], args: &[Arg]) -> Arg {
    let (fields, bytes) = fields(args, 0);
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    (Layout::Record { size: bytes.len() as u32, names, fields }, bytes)
}

fn array(of: Layout, elements: &[&[u8]]) -> Arg {
    let stride = of.size() as u32;
    (Layout::Array { of: Box::new(of), stride, len: elements.len() as u32 }, elements.concat())
}

fn empty() -> Manifest {
    let hue = [(2, "RED"), (3, "GREEN"), (300, "BLUE")];
    Manifest {
        version: VERSION,
        producer: "test".into(),
        source: Source { name: "stdin".into(), text: String::new() },
        config: Config {
            missing_probes: MissingProbes::Error,
            print_maps_on_exit: true,
            perf_rb_pages: 0,
            str_trunc_trailer: "..".into(),
            max_cat_bytes: 10240,
            max_probes: 1024,
            cpp_demangle: true,
        },
        probes: vec![],
        maps: vec![],
        events: vec![],
        enums: vec![Enum { name: "hue".into(), values: hue.map(|(n, s)| (n, s.to_owned())).to_vec() }],
        globals: vec![],
        types: vec![],
        needs_unsafe: false,
    }
}

/// A record of event 0 with a payload.
fn event_record(payload: &[u8]) -> Vec<u8> {
    [&0u64.to_le_bytes(), payload].concat()
}

/// A running system of a few names.
#[derive(Default)]
struct FakeHost {
    entries: Vec<Vec<(Vec<u8>, Vec<u8>)>>,
    calls: Vec<String>,
}

/// Start of the kernel's only function, `do_exit`.
const DO_EXIT: u64 = 0xffff_ffff_8100_0000;

impl Host for FakeHost {
    fn map_entries(&mut self, map: usize) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.entries.get(map).cloned().ok_or_else(|| io::Error::from_raw_os_error(libc::EPERM))
    }
    fn clear_map(&mut self, map: usize) -> io::Result<()> {
        self.calls.push(format!("clear {map}"));
        Ok(())
    }
    fn zero_map(&mut self, _map: usize) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EPERM))
    }
    fn symbols(&mut self) -> &mut dyn Symbols {
        self
    }
    fn wall_ns(&mut self) -> i64 {
        1_787_987_165_123_456_789
    }
    fn boot_offset_ns(&mut self) -> i64 {
        1_787_987_165_000_000_000
    }
    fn read_file(&mut self, path: &str, max: u64) -> io::Result<Vec<u8>> {
        match path {
            "/proc/sys/kernel/ostype" => Ok(b"Linux\n"[..(max as usize).min(6)].to_vec()),
            _ => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        }
    }
    fn run_shell(&mut self, command: &str) -> io::Result<Vec<u8>> {
        match command {
            "echo hi" => Ok(b"hi\n".to_vec()),
            _ => Err(io::Error::other("command exited with code 3")),
        }
    }
}

impl Symbols for FakeHost {
    fn ksym(&mut self, addr: u64) -> Option<(String, u64)> {
        Some(("do_exit".into(), addr.checked_sub(DO_EXIT)?))
    }
    fn usym(&mut self, pid: u32, addr: u64) -> Option<UserSymbol> {
        let symbol = UserSymbol { name: "main\x1b[2J".into(), offset: addr % 16, module: "/bin/app".into() };
        (pid == 7 && addr < 0x5000).then_some(symbol)
    }
    fn username(&mut self, uid: u32) -> Option<String> {
        (uid == 0).then(|| "root".into())
    }
    fn cgroup_path(&mut self, id: u64) -> Option<String> {
        (id == 1).then(|| "unified:/".into())
    }
}

#[derive(Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

/// Runs `act` with an output; what it wrote to both streams. JSON output must parse line by line.
fn outputs(
    manifest: &Manifest,
    options: Options,
    act: impl FnOnce(&mut Output) -> io::Result<()>,
) -> (String, String) {
    let (out, err) = (Sink::default(), Sink::default());
    let manifest = Manifest::from_bytes(&manifest.to_bytes()).expect("tests write good manifests");
    let mut output = Output::new(Arc::new(manifest), options, Box::new(out.clone()), Box::new(err.clone()));
    act(&mut output).expect("sinks take everything");
    if options.format == Format::Json {
        for line in out.text().lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        }
    }
    (out.text(), err.text())
}

/// What one event with these arguments writes to both streams.
fn shown(options: Options, event: Event, payload: &[u8]) -> (String, String) {
    let manifest = Manifest { events: vec![event], ..empty() };
    let mut host = FakeHost::default();
    outputs(&manifest, options, |output| output.event(&event_record(payload), &mut host).map(drop))
}

fn options(format: Format) -> Options {
    Options { format, ..Options::default() }
}

/// `print(value)` in both formats.
fn check_value(arg: Arg, text: &str, json: &str) {
    let (mut fields, payload) = fields(&[arg], 8);
    let event = Event::Value(fields.remove(0));
    assert_eq!(shown(options(Format::Text), event.clone(), &payload).0, format!("{text}\n"));
    let object = format!("{{\"type\": \"value\", \"data\": {json}}}\n");
    assert_eq!(shown(options(Format::Json), event, &payload).0, object);
}

fn map(name: &str, key: Option<Layout>, value: manifest::MapValue) -> Map {
    Map { name: name.into(), symbol: "m".into(), key, value }
}
