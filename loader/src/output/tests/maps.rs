use super::*;
use manifest::MapValue;

const I64: Layout = Layout::Int { size: 8, signed: true };
const U64: Layout = Layout::Int { size: 8, signed: false };

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// The two formats of `print(@m, top, div)`.
fn printed(map: Map, entries: Entries, top: u64, div: u64) -> (String, String) {
    let manifest =
        Manifest { maps: vec![map], events: vec![Event::PrintMap { map: 0, top, div }], ..empty() };
    let shown = |format| {
        let mut host = FakeHost { entries: vec![entries.clone()], ..FakeHost::default() };
        let (out, err) = outputs(&manifest, options(format), |output| {
            output.event(&event_record(&[]), &mut host).map(drop)
        });
        assert_eq!(err, "");
        out
    };
    (shown(Format::Text), shown(Format::Json))
}

fn keyed<const N: usize>(key: Layout, value: MapValue, entries: [(Vec<u8>, Vec<u8>); N]) -> (Map, Entries) {
    (map("@m", Some(key), value), entries.to_vec())
}

fn le<const N: usize>(words: [i64; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Entries with `i64` keys and cells of words.
fn by_int<const N: usize>(value: MapValue, entries: &[(i64, [i64; N])]) -> (Map, Entries) {
    let entries = entries.iter().map(|(key, cells)| (le([*key]), le(*cells))).collect();
    (map("@m", Some(I64), value), entries)
}

fn check((map, entries): (Map, Entries), top: u64, div: u64, text: &str, json: &str) {
    let (got_text, got_json) = printed(map, entries, top, div);
    assert_eq!(got_text, text);
    assert_eq!(got_json, json);
}

/// The lines of keyed `@m`, from pairs.
fn lines(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(key, value)| format!("@m[{key}]: {value}\n")).collect()
}

#[test]
fn integers_by_value() {
    let plain = |layout| MapValue::Plain(layout);
    let values = || by_int(plain(I64), &[(3, [500]), (1, [9]), (2, [-4]), (5, [9]), (4, [9])]);
    check(
        values(),
        0,
        0,
        &lines(&[("2", "-4"), ("1", "9"), ("4", "9"), ("5", "9"), ("3", "500")]),
        "{\"type\": \"map\", \"data\": {\"@m\": {\"2\": -4, \"1\": 9, \"4\": 9, \"5\": 9, \"3\": 500}}}\n",
    );
    check(values(), 1, 4, &lines(&[("3", "125")]), "{\"type\": \"map\", \"data\": {\"@m\": {\"3\": 125}}}\n");
    let text = |case, top, div| {
        let (map, entries) = case;
        printed(map, entries, top, div).0
    };
    let unsigned = by_int(plain(U64), &[(3, [-2]), (1, [9]), (2, [4])]);
    assert_eq!(text(unsigned, 0, 2), lines(&[("2", "2"), ("1", "4"), ("3", "9223372036854775807")]));
    // Not bpftrace's order, which is that of storage for narrow integers.
    let narrow = keyed(
        I64,
        plain(Layout::Int { size: 1, signed: true }),
        [(le([1]), vec![255]), (le([2]), vec![3]), (le([3]), vec![1])],
    );
    assert_eq!(text(narrow, 0, 0), lines(&[("1", "-1"), ("3", "1"), ("2", "3")]));
    let enums = keyed(
        I64,
        plain(Layout::Enum { size: 8, id: 0 }),
        [(le([1]), le([3])), (le([2]), le([2])), (le([0]), le([300]))],
    );
    assert_eq!(text(enums, 0, 2), lines(&[("2", "RED"), ("1", "GREEN"), ("0", "BLUE")]));
    let pointers = by_int(plain(Layout::Pointer), &[(2, [4]), (1, [64]), (0, [16])]);
    assert_eq!(text(pointers, 0, 2), lines(&[("0", "0x10"), ("1", "0x40"), ("2", "0x4")]));
}

#[test]
fn other_values_by_key() {
    let text = || MapValue::Plain(Layout::String { size: 2 });
    let case = |args: &[(Arg, &str)]| {
        let key = args[0].0.0.clone();
        let entries = args.iter().map(|((_, key), value)| (key.clone(), [value.as_bytes(), b"\0"].concat()));
        printed(map("@m", Some(key), text()), entries.collect(), 0, 0)
    };
    let wide = |text: &str| {
        (Layout::String { size: 8 }, {
            let mut bytes = text.as_bytes().to_vec();
            bytes.resize(8, 0);
            bytes
        })
    };
    assert_eq!(
        case(&[(wide("b"), "x"), (wide("a"), "z"), (wide("aa"), "y"), (wide("B"), "w")]).0,
        lines(&[("B", "w"), ("a", "z"), ("aa", "y"), ("b", "x")])
    );
    assert_eq!(
        case(&[(signed(1, -5), "a"), (signed(1, 3), "b"), (signed(1, 127), "c"), (signed(1, -128), "d")]).0,
        lines(&[("-128", "d"), ("-5", "a"), ("3", "b"), ("127", "c")])
    );
    assert_eq!(
        case(&[(unsigned(8, 255), "c"), (unsigned(8, 3), "b"), (unsigned(8, u64::MAX), "a")]).0,
        lines(&[("18446744073709551615", "a"), ("3", "b"), ("255", "c")])
    );
    assert_eq!(
        case(&[(pointer(8), "b"), (pointer(0xffff_ffff_0000_0000), "a")]).0,
        lines(&[("0xffffffff00000000", "a"), ("0x8", "b")])
    );
    let pair = |a, b| tuple(&[int(a), string(b)]);
    let (out, json) =
        case(&[(pair(2, "b"), "1"), (pair(1, "c"), "2"), (pair(1, "a"), "3"), (pair(-1, "a"), "4")]);
    assert_eq!(out, lines(&[("-1, a", "4"), ("1, a", "3"), ("1, c", "2"), ("2, b", "1")]));
    assert_eq!(
        json,
        "{\"type\": \"map\", \"data\": {\"@m\": {\"-1,a\": \"4\", \"1,a\": \"3\", \"1,c\": \"2\", \"2,b\": \"1\"}}}\n"
    );
    let (out, json) = case(&[(string("(x)"), "1")]);
    assert_eq!(out, lines(&[("x", "1")]));
    assert_eq!(json, "{\"type\": \"map\", \"data\": {\"@m\": {\"x\": \"1\"}}}\n");
    assert!(case(&[(string("  a  b"), "1")]).1.contains("{\"ab\": \"1\"}"));
    assert_eq!(
        case(&[(tuple(&[int(1), tuple(&[int(2), string("x")])]), "y")]).0,
        lines(&[("1, (2, x)", "y")])
    );
    let rec = record(&["a", "b"], &[int(2), string("x")]);
    let (out, json) = case(&[(rec, "a")]);
    assert_eq!(out, lines(&[("{ .a = 2, .b = x }", "a")]));
    assert!(json.contains("{\"{.a=2,.b=x}\": \"a\"}"));
}

#[test]
fn aggregations() {
    // Two CPUs; the second cell of each pair is empty.
    for (value, entries, expected) in [
        (MapValue::Count, [(3, [1, 0]), (1, [1, 1]), (2, [2, 1])], [("3", "1"), ("1", "2"), ("2", "3")]),
        (
            MapValue::Sum { signed: true },
            [(1, [5, 0]), (2, [-5, 2]), (3, [0, 0])],
            [("2", "-3"), ("3", "0"), ("1", "5")],
        ),
        (
            MapValue::Sum { signed: false },
            [(1, [-1, 0]), (2, [1, 2]), (3, [0, 0])],
            [("3", "0"), ("2", "3"), ("1", "18446744073709551615")],
        ),
    ] {
        let (map, entries) = by_int(value, &entries);
        assert_eq!(printed(map, entries, 0, 0).0, lines(&expected));
    }
    for (value, entries, expected) in [
        (
            MapValue::Min { signed: true },
            [(1, [5, 1, 9, 1]), (2, [7, 0, -3, 1]), (3, [0, 0, 0, 0])],
            [("3", "0"), ("1", "5"), ("2", "-3")],
        ),
        (
            MapValue::Max { signed: true },
            [(1, [5, 1, -9, 1]), (2, [7, 0, -3, 1]), (3, [-1, 0, 0, 1])],
            [("3", "0"), ("1", "5"), ("2", "-3")],
        ),
        (
            MapValue::Max { signed: false },
            [(1, [5, 1, -9, 1]), (2, [7, 1, 3, 1]), (3, [0, 0, 0, 1])],
            [("3", "0"), ("2", "7"), ("1", "18446744073709551607")],
        ),
        (
            MapValue::Avg { signed: true },
            [(1, [5, 1, 0, 0]), (2, [-3, 1, -4, 1]), (3, [0, 1, 0, 0])],
            [("2", "-3"), ("3", "0"), ("1", "5")],
        ),
        (
            MapValue::Avg { signed: false },
            [(1, [-1, 1, 0, 0]), (2, [3, 1, 4, 1]), (3, [0, 0, 0, 0])],
            [("3", "0"), ("2", "3"), ("1", "18446744073709551615")],
        ),
        (
            MapValue::Stats { signed: true },
            [(1, [5, 1, 0, 0]), (2, [-3, 1, -4, 1]), (3, [0, 1, 0, 0])],
            [
                ("2", "{ .count = 2, .average = -3, .total = -7 }"),
                ("3", "{ .count = 1, .average = 0, .total = 0 }"),
                ("1", "{ .count = 1, .average = 5, .total = 5 }"),
            ],
        ),
    ] {
        let (map, entries) = by_int(value, &entries);
        assert_eq!(printed(map, entries, 0, 0).0, lines(&expected));
    }
}

#[test]
fn top_and_div() {
    let avg = || by_int(MapValue::Avg { signed: true }, &[(1, [5, 1]), (2, [-7, 2]), (3, [0, 1])]);
    check(
        avg(),
        2,
        2,
        &lines(&[("3", "0"), ("1", "2")]),
        "{\"type\": \"stats\", \"data\": {\"@m\": {\"3\": 0, \"1\": 2}}}\n",
    );
    let stats = || by_int(MapValue::Stats { signed: true }, &[(1, [820, 82]), (2, [1640, 82])]);
    check(
        stats(),
        1,
        3,
        &lines(&[("2", "{ .count = 82, .average = 6, .total = 1640 }")]),
        "{\"type\": \"stats\", \"data\": {\"@m\": {\"2\": {\"count\": 82, \"average\": 6, \"total\": 1640}}}}\n",
    );
    let min = by_int(MapValue::Min { signed: true }, &[(1, [5, 1]), (2, [-3, 1]), (3, [0, 1])]);
    assert_eq!(printed(min.0, min.1, 0, 2).0, lines(&[("3", "0"), ("1", "2"), ("2", "-1")]));
    let (nested, bytes) = tuple(&[int(10), tuple(&[int(20), string("x")])]);
    let nested = keyed(I64, MapValue::Plain(nested), [(le([1]), bytes)]);
    assert_eq!(printed(nested.0, nested.1, 0, 5).0, lines(&[("1", "(2, (4, x))")]));
}

#[test]
fn scalars() {
    let scalar = |value| map("@m", None, value);
    let one = |bytes: Vec<u8>| vec![(le([0]), bytes)];
    let cases = [
        (MapValue::Plain(I64), one(le([7])), "7", "7"),
        (MapValue::Plain(Layout::String { size: 4 }), one(b"hey\0".to_vec()), "hey", "\"hey\""),
        (MapValue::Count, one(le([1, 1])), "2", "2"),
        (MapValue::Plain(I64), vec![], "0", "0"),
        (MapValue::Plain(Layout::String { size: 4 }), vec![], "", "\"\""),
        (MapValue::Count, vec![], "0", "0"),
        (MapValue::Min { signed: true }, vec![], "0", "0"),
    ];
    for (value, entries, text, json) in cases {
        let (got_text, got_json) = printed(scalar(value), entries, 5, 0);
        assert_eq!(got_text, format!("@m: {text}\n"));
        assert_eq!(got_json, format!("{{\"type\": \"map\", \"data\": {{\"@m\": {json}}}}}\n"));
    }
    let (text, json) = printed(scalar(MapValue::Stats { signed: true }), vec![], 0, 0);
    assert_eq!(text, "@m: { .count = 0, .average = 0, .total = 0 }\n");
    assert_eq!(
        json,
        "{\"type\": \"stats\", \"data\": {\"@m\": {\"count\": 0, \"average\": 0, \"total\": 0}}}\n"
    );
    let (text, json) = printed(scalar(MapValue::Hist { bits: 0 }), vec![], 0, 0);
    assert_eq!((text.as_str(), json.as_str()), ("", ""));
    let (text, json) = printed(map("@m", Some(I64), MapValue::Count), vec![], 0, 0);
    assert_eq!((text.as_str(), json.as_str()), ("", ""));
    let (text, json) = printed(map("@m", Some(I64), MapValue::Avg { signed: true }), vec![], 0, 0);
    assert_eq!(text, "");
    assert_eq!(json, "{\"type\": \"stats\", \"data\": {\"@m\": {}}}\n");
}

fn hist(scale: MapValue, buckets: &[(u64, i64)], div: u64) -> (String, String) {
    let entries = buckets.iter().map(|(bucket, count)| (le([0, *bucket as i64]), le([*count, 0]))).collect();
    printed(map("@h", None, scale), entries, 0, div)
}

/// Labels of the rows, without the text around them.
fn labels(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| Some(line.split_once(" |")?.0.split("  ").next()?.to_owned())).collect()
}

#[test]
fn log2_histograms() {
    let (text, json) = hist(MapValue::Hist { bits: 0 }, &[(4, 3), (5, 1), (6, 2), (7, 1)], 0);
    assert_eq!(
        text,
        "@h:\n\
         [4, 8)                 3 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n\
         [8, 16)                1 |@@@@@@@@@@@@@@@@@                                   |\n\
         [16, 32)               2 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@                  |\n\
         [32, 64)               1 |@@@@@@@@@@@@@@@@@                                   |\n\n"
    );
    assert_eq!(
        json,
        "{\"type\": \"hist\", \"data\": {\"@h\": [{\"min\": 4, \"max\": 7, \"count\": 3},\
         {\"min\": 8, \"max\": 15, \"count\": 1},{\"min\": 16, \"max\": 31, \"count\": 2},\
         {\"min\": 32, \"max\": 63, \"count\": 1}]}}\n"
    );
    let all: Vec<(u64, i64)> = (0..13).map(|bucket| (bucket, 1)).collect();
    assert_eq!(
        labels(&hist(MapValue::Hist { bits: 0 }, &all, 0).0),
        [
            "(..., 0)",
            "[0]",
            "[1]",
            "[2, 4)",
            "[4, 8)",
            "[8, 16)",
            "[16, 32)",
            "[32, 64)",
            "[64, 128)",
            "[128, 256)",
            "[256, 512)",
            "[512, 1K)",
            "[1K, 2K)"
        ]
    );
    let (text, json) = hist(MapValue::Hist { bits: 0 }, &[(0, 1), (2, 1)], 0);
    assert_eq!(labels(&text), ["(..., 0)", "[0]", "[1]"]);
    assert!(json.contains("[{\"max\": -1, \"count\": 1},{\"min\": 0, \"max\": 0, \"count\": 0},"));
    let (text, json) = hist(MapValue::Hist { bits: 0 }, &[(64, 1)], 0);
    assert_eq!(labels(&text), ["[4E, 8E)"]);
    assert!(json.contains("{\"min\": 4611686018427387904, \"max\": \"9223372036854775807\", \"count\": 1}"));
}

#[test]
fn log2_histograms_with_bits() {
    let few: Vec<(u64, i64)> = [1, 4, 5, 8, 45].map(|bucket| (bucket, 1)).to_vec();
    let labels_of = |bits, buckets: &[(u64, i64)]| labels(&hist(MapValue::Hist { bits }, buckets, 0).0);
    let rows = labels_of(2, &few);
    assert_eq!(rows[..10], ["[0]", "[1]", "[2]", "[3]", "[4]", "[5]", "[6]", "[7]", "[8, 10)", "[10, 12)"]);
    assert_eq!(
        rows[35..],
        [
            "[896, 1024)",
            "[1024, 1280)",
            "[1280, 1536)",
            "[1536, 1792)",
            "[1792, 2048)",
            "[2048, 2560)",
            "[2560, 3072)",
            "[3072, 3584)",
            "[3584, 4K)",
            "[4K, 5K)"
        ]
    );
    let all: Vec<(u64, i64)> = (0..25).map(|bucket| (bucket, 1)).collect();
    assert_eq!(
        labels_of(1, &all)[19..],
        ["[512, 768)", "[768, 1024)", "[1024, 1536)", "[1536, 2K)", "[2K, 3K)", "[3K, 4K)"]
    );
    let last = 1 + (57 << 5) + (1 << 5) + 31;
    let (text, json) = hist(MapValue::Hist { bits: 5 }, &[(last, 1)], 0);
    assert_eq!(labels(&text), ["[8064P, 8192P)"]);
    assert!(json.contains("\"min\": 9079256848778919936, \"max\": \"9223372036854775807\""));
}

#[test]
fn linear_histograms() {
    let lhist = |min, max, step, buckets: &[u64]| {
        let buckets: Vec<(u64, i64)> = buckets.iter().map(|bucket| (*bucket, 1)).collect();
        let (text, json) = hist(MapValue::Lhist { min, max, step }, &buckets, 7);
        (labels(&text).join(" "), json)
    };
    for ((min, max, step), buckets, expected) in [
        ((0, 10, 2), &[0, 2, 5, 6][..], "(..., 0) [0, 2) [2, 4) [4, 6) [6, 8) [8, 10) [10, ...)"),
        ((0, 10, 1), &[4, 6], "[3] [4] [5]"),
        ((0, 10240, 1024), &[9, 10, 11], "[8K, 9K) [9K, 10K) [10K, ...)"),
        ((0, 4096, 1024), &[0, 1], "(..., 0) [0, 1K)"),
        ((0, 8 << 20, 1 << 20), &[1, 2], "[0, 1M) [1M, 2M)"),
        ((100, 100_000, 1024), &[0, 1, 2], "(..., 100) [100, 1124) [1124, 2148)"),
        ((0, 4096, 512), &[3, 4], "[1024, 1536) [1536, 2048)"),
        ((0, 2_048_000, 2048), &[513, 514], "[1M, 1026K) [1026K, 1028K)"),
        ((0, 10, 4), &[2, 3], "[4, 8) [8, ...)"),
        ((0, 10, 3), &[3, 4], "[6, 9) [9, ...)"),
        ((0, 10_000, 1000), &[4], "[3000, 4000)"),
    ] {
        assert_eq!(lhist(min, max, step, buckets).0, expected, "{min} {max} {step}");
    }
    let (_, json) = lhist(0, 10, 2, &[0, 1, 6]);
    assert!(json.contains("[{\"max\": -1, \"count\": 1},{\"min\": 0, \"max\": 1, \"count\": 1},"));
    assert!(json.ends_with("{\"min\": 10, \"count\": 1}]}}\n"));
}

#[test]
fn keyed_histograms() {
    let case = |zeroed: bool| {
        let cell = |n: i64| le([if zeroed { 0 } else { n }]);
        let key = |key: i64, bucket: i64| le([key, bucket]);
        let entries = vec![(key(1, 4), cell(250)), (key(2, 2), cell(125)), (key(0, 3), cell(400))];
        (map("@m", Some(I64), MapValue::Hist { bits: 0 }), entries)
    };
    let bar = "@".repeat(52);
    check(
        case(false),
        2,
        5,
        &format!("@m[1]:\n[4, 8)                50 |{bar}|\n\n@m[0]:\n[2, 4)                80 |{bar}|\n\n"),
        "{\"type\": \"hist\", \"data\": {\"@m\": {\"1\": [{\"min\": 4, \"max\": 7, \"count\": 50}], \
         \"0\": [{\"min\": 2, \"max\": 3, \"count\": 80}]}}}\n",
    );
    check(case(true), 1, 0, "@m[2]:\n\n", "{\"type\": \"hist\", \"data\": {\"@m\": {\"2\": []}}}\n");
}

#[test]
fn a_divided_histogram_keeps_its_rows() {
    let (text, _) = hist(MapValue::Hist { bits: 0 }, &[(0, 1), (2, 1)], 2);
    let blank = " ".repeat(52);
    assert_eq!(
        text,
        format!(
            "@h:\n(..., 0)               0 |{blank}|\n[0]                    0 |{blank}|\n\
             [1]                    0 |{blank}|\n\n"
        )
    );
}
