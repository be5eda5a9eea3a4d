use super::*;
use manifest::{Bits, StackMode};

#[test]
fn scalars() {
    for (arg, text, json) in [
        (pointer(16), "0x10", "16"),
        (pointer(0), "0x0", "0"),
        (signed(1, -3), "-3", "-3"),
        (unsigned(1, 200), "200", "200"),
        (signed(2, -2), "-2", "-2"),
        (unsigned(4, u64::from(u32::MAX)), "4294967295", "4294967295"),
        (unsigned(8, u64::MAX), "18446744073709551615", "\"18446744073709551615\""),
        (int(i64::MAX), "9223372036854775807", "\"9223372036854775807\""),
        (int(i64::MIN), "-9223372036854775808", "-9223372036854775808"),
        (boolean(true), "true", "true"),
        (hue(2), "RED", "2"),
        (hue(300), "BLUE", "300"),
        (hue(7), "7", "7"),
        ((Layout::None, vec![]), "null", "null"),
        (words(Layout::Username, &[0]), "root", "\"root\""),
        (words(Layout::Username, &[4242]), "", "\"\""),
        (words(Layout::Ksym, &[DO_EXIT]), "do_exit", "\"do_exit\""),
        (words(Layout::Ksym, &[DO_EXIT + 5]), "do_exit", "\"do_exit\""),
        (words(Layout::Ksym, &[12]), "0xc", "\"0xc\""),
        (words(Layout::Ksym, &[0]), "0", "\"0\""),
        (words(Layout::Usym, &[0x4001, 7]), "main\x1b[2J", "\"main\\u001b[2J\""),
        (words(Layout::Usym, &[12, 8]), "0xc", "\"0xc\""),
        (words(Layout::Usym, &[0, 8]), "0", "\"0\""),
        (words(Layout::CgroupPath, &[1]), "unified:/", "\"unified:/\""),
        (words(Layout::CgroupPath, &[99999]), "", "\"\""),
        ((Layout::Mac, vec![8, 0, 0xab, 1, 2, 3]), "08:00:AB:01:02:03", "\"08:00:AB:01:02:03\""),
    ] {
        check_value(arg, text, json);
    }
}

#[test]
fn strings() {
    let cut = (Layout::String { size: 3 }, b"abc".to_vec());
    check_value(cut, "abc..", "\"abc..\"");
    check_value((Layout::String { size: 3 }, b"a\0c".to_vec()), "a", "\"a\"");
    // A flexible array has no NUL, either.
    check_value((Layout::String { size: 0 }, vec![]), "..", "\"..\"");
    check_value(
        string("a\tb\nc\x01\x7fé\"q\\"),
        "a\tb\nc\x01\x7fé\"q\\",
        "\"a\\tb\\nc\\u0001\x7fé\\\"q\\\\\"",
    );
}

#[test]
fn bytes_that_are_no_text() {
    let arg = (Layout::String { size: 4 }, b"\xffa\0\0".to_vec());
    check_value(arg, "\u{fffd}a", "\"\u{fffd}a\"");
}

#[test]
fn composites() {
    check_value(tuple(&[int(1)]), "(1)", "[1]");
    check_value(tuple(&[]), "()", "[]");
    check_value(record(&[], &[]), "{}", "{}");
    check_value(
        tuple(&[string("s"), hue(2), boolean(true), pointer(0)]),
        "(s, RED, true, 0x0)",
        "[\"s\",2,true,0]",
    );
    let inner = record(&["a", "b"], &[int(1), int(2)]);
    check_value(
        record(&["n", "s", "t", "r"], &[int(3), string("x"), tuple(&[int(1), int(2)]), inner]),
        "{ .n = 3, .s = x, .t = (1, 2), .r = { .a = 1, .b = 2 } }",
        "{\"n\": 3, \"s\": \"x\", \"t\": [1,2], \"r\": {\"a\": 1, \"b\": 2}}",
    );
    check_value(buffer(b"Az\n\\\"\x80\x7f"), "Az\\x0a\\\"\\x80\\x7f", "[65,122,10,92,34,-128,127]");
    check_value(tuple(&[buffer(b"ab"), int(1)]), "(ab, 1)", "[[97,98],1]");
    let byte = Layout::Int { size: 1, signed: true };
    let (row, rows) = array(byte, &[&[5], &[6]]);
    assert_eq!(rows, [5, 6]);
    check_value(array(row, &[&[5, 6], &[7, 8]]), "[[5,6],[7,8]]", "[[5,6],[7,8]]");
}

#[test]
fn bit_fields_and_fields_of_no_type() {
    // struct { char c; short s; unsigned a:3; int b:5; unsigned long big:33; } with all bits set
    let int = |size| Layout::Int { size, signed: true };
    let bits = |offset, width| Some(Bits { offset, width });
    let fields = [
        ("c", 0, int(1), None),
        ("s", 2, int(2), None),
        ("a", 4, Layout::Int { size: 4, signed: false }, bits(0, 3)),
        ("b", 4, int(4), bits(3, 5)),
        ("big", 8, Layout::Int { size: 8, signed: false }, bits(7, 33)),
        ("f", 0, Layout::None, None),
    ];
    let layout = Layout::Record {
        size: 16,
        names: fields.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        fields: fields.map(|(_, offset, layout, bits)| Field { offset, layout, bits }).to_vec(),
    };
    check_value(
        (layout, vec![0xff; 16]),
        "{ .c = -1, .s = -1, .a = 7, .b = 31, .big = 8589934591, .f = null }",
        "{\"c\": -1, \"s\": -1, \"a\": 7, \"b\": 31, \"big\": 8589934591, \"f\": null}",
    );
}

#[test]
fn addresses() {
    let v6 = |octets: [u8; 16]| [&10u64.to_le_bytes()[..], &octets].concat();
    let octets = |first: &[u8], last: &[u8]| {
        let mut octets = [0; 16];
        octets[..first.len()].copy_from_slice(first);
        octets[16 - last.len()..].copy_from_slice(last);
        v6(octets)
    };
    let mut v4 = [2u64.to_le_bytes().to_vec(), vec![127, 0, 0, 1]].concat();
    v4.resize(24, 0);
    for (bytes, expected) in [
        (v4, "127.0.0.1"),
        (octets(&[], &[1]), "::1"),
        (octets(&[], &[]), "::"),
        (octets(&[0xfe, 0x80], &[0, 1, 0, 2]), "fe80::1:2"),
        (octets(&[0, 1, 0, 0, 0, 0, 0, 2], &[0, 3]), "1:0:0:2::3"),
        (octets(&[0x20, 1, 0xd, 0xb8], &[0, 1, 0, 0, 0, 0, 0, 1]), "2001:db8::1:0:0:1"),
        (octets(&[], &[0xff, 0xff, 1, 2, 3, 4]), "::ffff:1.2.3.4"),
        // glibc's, by its source.
        (octets(&[], &[1, 2, 3, 4]), "::1.2.3.4"),
        (octets(&[], &[3, 4]), "::304"),
    ] {
        check_value((Layout::Inet, bytes), expected, &format!("\"{expected}\""));
    }
}

#[test]
fn timestamps() {
    let formats = ["%M:%S.%f", "%l %k %%", "", "%q"].map(str::to_owned).to_vec();
    let at = |format| words(Layout::Timestamp { formats: formats.clone() }, &[format, 123_456_789]);
    check_value(at(0), "06:05.123456", "\"06:05.123456\"");
    check_value(at(1), "123 123456789 %", "\"123 123456789 %\"");
    check_value(at(2), "(?)", "\"(?)\"");
    check_value(at(9), "(?)", "\"(?)\"");
}

#[test]
fn stacks() {
    let kernel = |mode| words(Layout::Kstack { mode, limit: 3 }, &[2, DO_EXIT + 15, 12, 99]);
    for (mode, expected) in [
        (StackMode::Bpftrace, "\n        do_exit+15\n        0xc\n"),
        (StackMode::Perf, "\n\tffffffff8100000f do_exit+15\n\tc 0xc ([unknown])\n"),
        (StackMode::Raw, "\nffffffff8100000f\nc\n"),
    ] {
        check_value(kernel(mode), expected, &format!("{expected:?}"));
    }
    let user = |mode| words(Layout::Ustack { mode, limit: 2 }, &[7, 2, 0x4009, 0x55b5_35c4_dce8]);
    for (mode, expected) in [
        (StackMode::Bpftrace, "\n        main\x1b[2J+9\n        0x55b535c4dce8\n"),
        (StackMode::Perf, "\n\t4009 main\x1b[2J+9 (/bin/app)\n\t55b535c4dce8 0x55b535c4dce8 ([unknown])\n"),
        (StackMode::Raw, "\n4009\n55b535c4dce8\n"),
    ] {
        let json = format!("{expected:?}").replace("\\u{1b}", "\\u001b");
        check_value(user(mode), expected, &json);
    }
    let empty = words(Layout::Kstack { mode: StackMode::Perf, limit: 1 }, &[0, 0]);
    check_value(empty, "\n", "\"\\n\"");
    let lying = words(Layout::Kstack { mode: StackMode::Raw, limit: 1 }, &[u64::MAX, 5]);
    check_value(lying, "\n5\n", "\"\\n5\\n\"");
}
