use super::*;
use manifest::{MapValue, Place, RuntimeError};

const SCRIPT: &str = "let @full = hash(1);\nbegin {\n\t@full[1] = 1; @full[2] = 2;   $z = 0;\n\
                      \t$d = (int64)10 / (int64)$z;\t\tdelete(@full, 99);\n}\n";

fn place(line: u32, column: u32, end_column: u32) -> Place {
    Place { line, column, end_column }
}

/// Both streams of one event of the script above.
fn run(options: Options, event: Event, payload: &[u8]) -> (String, String) {
    let source = Source { name: "c1.bt".into(), text: SCRIPT.into() };
    let manifest = Manifest { events: vec![event], source, ..empty() };
    let mut host = FakeHost::default();
    outputs(&manifest, options, |output| output.event(&event_record(payload), &mut host).map(drop))
}

fn error(error: RuntimeError, place: Place, retcode: Option<u32>) -> Event {
    Event::RuntimeError { error, place, retcode }
}

const MAP_FULL: &str = "c1.bt:3:16-28: WARNING: Map full; can't update element. Try increasing max_map_keys \
config or manually setting the max entries in a map declaration e.g. `let @a = hash(5000)`
Additional Info - helper: map_update_elem, retcode: -7
    @full[1] = 1; @full[2] = 2;   $z = 0;
                  ~~~~~~~~~~~~
";
const DIVISION: &str = "c1.bt:4:7-28: WARNING: Divide or modulo by 0 detected. This can lead to unexpected \
results. 1 is being used as the result.
    $d = (int64)10 / (int64)$z;        delete(@full, 99);
         ~~~~~~~~~~~~~~~~~~~~~
";

#[test]
fn runtime_errors() {
    let full = error(RuntimeError::MapFull, place(3, 16, 28), Some(8));
    let retcode = (-7i64).to_le_bytes();
    assert_eq!(run(options(Format::Text), full.clone(), &retcode), (String::new(), MAP_FULL.into()));
    assert_eq!(
        run(options(Format::Json), full, &retcode).0,
        "{\"type\": \"helper_error\", \"msg\": \"Argument list too long\", \"helper\": \"map_update_elem\", \
         \"retcode\": -7, \"filename\": \"c1.bt\", \"line\": 3, \"col\": 16}\n"
    );
    let division = error(RuntimeError::DivideByZero, place(4, 7, 28), None);
    assert_eq!(run(options(Format::Text), division.clone(), &[]).1, DIVISION);
    assert_eq!(
        run(options(Format::Json), division.clone(), &[]).0,
        "{\"type\": \"runtime_error\", \"msg\": \"Divide or modulo by 0 detected. This can lead to unexpected \
         results. 1 is being used as the result.\", \"filename\": \"c1.bt\", \"line\": 4, \"col\": 7}\n"
    );
    let silent = Options { warnings: Warnings::None, ..Options::default() };
    assert_eq!(run(silent, division.clone(), &[]), (String::new(), String::new()));
    let colour = Options { colour: true, ..Options::default() };
    let coloured = run(colour, division, &[]).1;
    assert!(coloured.starts_with("\x1b[33mc1.bt:4:7-28: WARNING: Divide"), "{coloured:?}");
    assert!(coloured.contains("as the result.\x1b[0m\n    $d"), "{coloured:?}");
}

#[test]
fn errors_only_with_k() {
    let all = Options { warnings: Warnings::All, ..Options::default() };
    for (kind, retcode, message, json) in [
        (
            RuntimeError::LookupMissing,
            0i64,
            "Can't lookup map element because it does not exist.\nAdditional Info - helper: map_lookup_elem, retcode: 0",
            "\"msg\": \"Success\", \"helper\": \"map_lookup_elem\", \"retcode\": 0,",
        ),
        (
            RuntimeError::Helper("probe_read_kernel".into()),
            -34,
            "Numerical result out of range\nAdditional Info - helper: probe_read_kernel, retcode: -34",
            "\"msg\": \"Numerical result out of range\", \"helper\": \"probe_read_kernel\", \"retcode\": -34,",
        ),
        (
            RuntimeError::Helper("bpf_probe_read_user_str".into()),
            -14,
            "Bad address\nAdditional Info - helper: probe_read_user_str, retcode: -14",
            "\"msg\": \"Bad address\", \"helper\": \"probe_read_user_str\", \"retcode\": -14,",
        ),
    ] {
        let event = error(kind, place(2, 1, 6), Some(8));
        let payload = retcode.to_le_bytes();
        let text = format!("c1.bt:2:1-6: WARNING: {message}\nbegin {{\n~~~~~\n");
        assert_eq!(run(all, event.clone(), &payload), (String::new(), text));
        assert_eq!(run(Options::default(), event.clone(), &payload), (String::new(), String::new()));
        let object = run(Options { format: Format::Json, ..all }, event, &payload).0;
        assert!(object.contains(json), "{object}");
    }
}

#[test]
fn errorf_and_warnf() {
    let (args, payload) = fields(&[int(5)], 8);
    let errorf =
        |format: &str| Event::Errorf { format: format.into(), args: args.clone(), place: place(58, 3, 24) };
    let warnf =
        |format: &str| Event::Warnf { format: format.into(), args: args.clone(), place: place(59, 3, 27) };
    for (event, text, json) in [
        (errorf("bad %d\n"), "58:3-24: ERROR: bad 5\n", "{\"type\": \"errorf\", \"msg\": \"bad 5\\n\", "),
        (
            errorf("a\n\nb\n\n"),
            "58:3-24: ERROR: a\n\nb\n\n",
            "{\"type\": \"errorf\", \"msg\": \"a\\n\\nb\\n\\n\", ",
        ),
        (warnf("careful"), "59:3-27: WARNING: careful\n", "{\"type\": \"warnf\", \"msg\": \"careful\", "),
        (warnf(""), "59:3-27: WARNING: \n", "{\"type\": \"warnf\", \"msg\": \"\", "),
    ] {
        let (out, err) = run(options(Format::Text), event.clone(), &payload);
        assert_eq!((out.as_str(), err), ("", format!("c1.bt:{text}")));
        let (out, err) = run(options(Format::Json), event, &payload);
        let line = if json.contains("warnf") { 59 } else { 58 };
        assert_eq!(out, format!("{json}\"filename\": \"c1.bt\", \"line\": {line}, \"col\": 3}}\n"));
        assert_eq!(err, "");
    }
    let colour = Options { colour: true, ..Options::default() };
    assert_eq!(run(colour, errorf("x"), &payload).1, "\x1b[31mc1.bt:58:3-24: ERROR: x\x1b[0m\n");
    let silent = Options { warnings: Warnings::None, ..Options::default() };
    assert_eq!(run(silent, warnf("x"), &payload), (String::new(), String::new()));
}

#[test]
fn cat_system_time_join() {
    let (args, payload) = fields(&[int(5)], 8);
    let cat = |format: &str| Event::Cat { format: format.into(), args: args.clone() };
    let system = |format: &str| Event::System { format: format.into(), args: vec![] };
    let time = |format: &str| Event::Time { format: format.into() };
    for (event, text, json, err) in [
        (cat("/proc/sys/kernel/ostype"), "Linux\n", "{\"type\": \"cat\", \"data\": \"Linux\\n\"}\n", ""),
        (cat("/nonexist%d"), "", "", "ERROR: failed to open file '/nonexist5' (No such file or directory)\n"),
        (system("echo hi"), "hi\n\n", "{\"type\": \"syscall\", \"data\": \"hi\\n\"}\n", ""),
        // bpftrace appends an unrelated `(No such file or directory)`.
        (system("exit 3"), "", "", "ERROR: command exited with code 3\n"),
        (time("%M:%S\n"), "06:05\n", "{\"type\": \"time\", \"data\": \"06:05\\n\"}\n", ""),
        (time(""), "", "", "ERROR: strftime returned zero\n"),
    ] {
        assert_eq!(run(options(Format::Text), event.clone(), &payload), (text.into(), err.into()));
        assert_eq!(run(options(Format::Json), event, &payload), (json.into(), err.into()));
    }
    let join = Event::Join { separator: ", ".into(), offset: 8, stride: 4 };
    for (count, strings, expected) in
        [(3u64, &b"ls\0\0-l\0\0file"[..], "ls, -l, file"), (3, b"ls\0\0\0\0\0\0x\0\0\0", "ls"), (0, b"", "")]
    {
        let payload = [&count.to_le_bytes(), strings].concat();
        assert_eq!(run(options(Format::Text), join.clone(), &payload).0, format!("{expected}\n"));
        let object = format!("{{\"type\": \"join\", \"data\": \"{expected}\"}}\n");
        assert_eq!(run(options(Format::Json), join.clone(), &payload).0, object);
    }
}

#[test]
fn exit_clear_zero() {
    let events = vec![Event::Exit { offset: 8 }, Event::Clear { map: 0 }, Event::Zero { map: 0 }];
    let manifest = Manifest { events, maps: vec![map("@m", None, MapValue::Count)], ..empty() };
    let mut host = FakeHost::default();
    let (_, err) = outputs(&manifest, Options::default(), |output| {
        for (event, expected) in [(0u64, Flow::Exit(9)), (1, Flow::Continue), (2, Flow::Continue)] {
            let record = [event.to_le_bytes(), (256 + 9u64).to_le_bytes()].concat();
            assert_eq!(output.event(&record, &mut host)?, expected);
        }
        Ok(())
    });
    assert_eq!(host.calls, ["clear 0"]);
    assert_eq!(err, "ERROR: cannot zero map `@m`: Operation not permitted\n");
}

#[test]
fn notes() {
    let notes = |options| {
        outputs(&empty(), options, |output| {
            output.attached(1)?;
            output.attached(2)?;
            output.lost(0)?;
            output.lost(5)?;
            output.lost(2)?;
            output.total_lost()
        })
    };
    assert_eq!(
        notes(options(Format::Text)),
        (
            String::new(),
            "Attached 1 probe\nAttached 2 probes\nLost 5 events\nLost 2 events\nWARNING: Total lost event count: 7\n"
                .into()
        )
    );
    let (out, err) = notes(options(Format::Json));
    assert_eq!(
        out,
        "{\"type\": \"attached_probes\", \"count\": 1, \"data\": {\"probes\": 1}}\n\
         {\"type\": \"attached_probes\", \"count\": 2, \"data\": {\"probes\": 2}}\n\
         {\"type\": \"lost_events\", \"count\": 5, \"data\": {\"events\": 5}}\n\
         {\"type\": \"lost_events\", \"count\": 2, \"data\": {\"events\": 2}}\n"
    );
    assert_eq!(err, "WARNING: Total lost event count: 7\n");
    assert!(!notes(Options { quiet: true, ..Options::default() }).1.contains("Attached"));
}

#[test]
fn maps_at_exit() {
    let scalar = |name| map(name, None, MapValue::Count);
    let maps = vec![scalar("@a"), scalar("@empty"), scalar("@z"), scalar("@unreadable")];
    let manifest = Manifest { maps, ..empty() };
    let cell = |n: u64| vec![(vec![0; 8], n.to_le_bytes().to_vec())];
    let mut host = FakeHost { entries: vec![cell(1), vec![], cell(2)], ..FakeHost::default() };
    let (out, err) = outputs(&manifest, Options::default(), |output| output.maps_at_exit(&mut host));
    assert_eq!(out, "\n\n@a: 1\n@z: 2\n");
    assert_eq!(err, "ERROR: cannot read map `@unreadable`: Operation not permitted\n");
    let mut manifest = manifest;
    manifest.config.print_maps_on_exit = false;
    let (out, _) = outputs(&manifest, Options::default(), |output| output.maps_at_exit(&mut host));
    assert_eq!(out, "\n\n");
    let (out, _) = outputs(&manifest, options(Format::Json), |output| output.maps_at_exit(&mut host));
    assert_eq!(out, "");
}

#[test]
fn bad_records_are_counted_and_reported_once() {
    let (args, _) = fields(&[int(5), string("abc")], 8);
    let events = vec![Event::Printf { format: "%d\n".into(), args }, Event::Exit { offset: 8 }];
    let manifest = Manifest { events, ..empty() };
    let mut host = FakeHost::default();
    let (out, err) = outputs(&manifest, Options::default(), |output| {
        let number = |n: u64| n.to_le_bytes().to_vec();
        for record in [vec![1, 2], number(0), number(0), number(1), number(7), vec![]] {
            assert_eq!(output.event(&record, &mut host)?, Flow::Continue);
        }
        assert_eq!(output.bad_records(), 6);
        Ok(())
    });
    assert_eq!(out, "");
    assert_eq!(
        err,
        "ERROR: event is shorter than its number\n\
         ERROR: event 0 cannot be read: 0 bytes where 8 are needed\n\
         ERROR: event 1 cannot be read: 8 bytes where 16 are needed\n\
         ERROR: event 7 has an unknown number\n"
    );
}

/// A sink that tells writes from flushes.
#[derive(Clone, Default)]
struct Flushes(Sink);

impl Write for Flushes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.write_all(b"|")
    }
}

#[test]
fn buffering() {
    for (buffering, expected) in
        [(Buffering::None, "a|b\n|c|"), (Buffering::Line, "ab\n|c"), (Buffering::Full, "ab\nc")]
    {
        let printf = |format: &str| Event::Printf { format: format.into(), args: vec![] };
        let manifest = Manifest { events: ["a", "b\n", "c", ""].map(printf).to_vec(), ..empty() };
        let (sink, mut host) = (Flushes::default(), FakeHost::default());
        let options = Options { buffering, ..Options::default() };
        let mut output =
            Output::new(Arc::new(manifest), options, Box::new(sink.clone()), Box::new(io::sink()));
        for event in 0..4u64 {
            output.event(&event.to_le_bytes(), &mut host).expect("sinks take everything");
        }
        assert_eq!(sink.0.text(), expected, "{buffering:?}");
    }
}
