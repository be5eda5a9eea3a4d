use super::*;

fn printf(format: &str, args: &[Arg]) -> String {
    printf_with(options(Format::Text), format, args)
}

fn printf_with(options: Options, format: &str, args: &[Arg]) -> String {
    let (args, payload) = fields(args, 8);
    shown(options, Event::Printf { format: format.into(), args }, &payload).0
}

#[test]
fn integers() {
    const X: i64 = 0x1234_5678_90ab_cdef;
    for (format, arg, expected) in [
        ("%d", int(X), "-1867788817"),
        ("%i", int(X), "-1867788817"),
        ("%u", int(X), "2427178479"),
        ("%o", int(X), "22052746757"),
        ("%x", int(X), "90abcdef"),
        ("%X", int(X), "90ABCDEF"),
        ("%ld", int(X), "1311768467294899695"),
        ("%lo", int(X), "110642547422052746757"),
        ("%llx", int(X), "1234567890abcdef"),
        ("%zx", int(X), "1234567890abcdef"),
        ("%jx", int(X), "1234567890abcdef"),
        ("%tX", int(X), "1234567890ABCDEF"),
        ("%hhd", int(0x1ff), "-1"),
        ("%hd", int(0x1ffff), "-1"),
        ("%hhx", signed(1, -1), "ff"),
        ("%hu", signed(1, -1), "65535"),
        ("%u", signed(1, -1), "4294967295"),
        ("%lu", signed(1, -1), "18446744073709551615"),
        ("%lu", unsigned(1, 255), "255"),
        ("%o", signed(1, -1), "37777777777"),
        ("%d", unsigned(8, u64::MAX - 1), "-2"),
        ("%lu", unsigned(8, u64::MAX - 1), "18446744073709551614"),
        ("%d", unsigned(2, 60000), "60000"),
        ("%d", boolean(true), "1"),
        ("%x", boolean(false), "0"),
        ("%d", hue(2), "2"),
        ("%x", pointer(0x0123_4567_89ab), "456789ab"),
        ("%lx", pointer(0x0123_4567_89ab), "123456789ab"),
        ("%d", pointer(0x0123_4567_89ab), "1164413355"),
        ("%zd", int(-8), "-8"),
    ] {
        assert_eq!(printf(format, &[arg]), expected, "{format}");
    }
}

#[test]
fn flags_and_widths() {
    for (format, arg, expected) in [
        ("%#x", int(255), "0xff"),
        ("%#o", int(8), "010"),
        ("%#X", int(255), "0XFF"),
        ("%#x", int(0), "0"),
        ("%#lx", signed(2, -2), "0xfffffffffffffffe"),
        ("%5d|", int(42), "   42|"),
        ("%-5d|", int(42), "42   |"),
        ("%05d|", int(42), "00042|"),
        ("%05d|", int(-5), "000-5|"),
        ("%+d|", int(42), "+42|"),
        ("% d|", int(42), "42|"),
        ("%- d|", int(4), "4|"),
        ("%+ d|", int(5), "+5|"),
        ("%+5d|", int(42), "  +42|"),
        ("%-+5d|", int(42), "+42  |"),
        ("%010d|", int(-42), "0000000-42|"),
        ("%-010d|", int(-42), "-420000000|"),
        ("%+u|", int(42), "42|"),
        ("%010x|", int(255), "00000000ff|"),
        ("%#010x|", int(255), "0000000xff|"),
        ("%.5d|", int(42), "42|"),
        ("%8.3d|", int(7), "       7|"),
        ("%.3x|", int(10), "a|"),
        ("%c", int(0x141), "A"),
        ("%5c|", int(66), "    B|"),
        ("%-5c|", int(67), "C    |"),
        ("%05c|", int(65), "0000A|"),
        ("%.3c|", int(65), "A|"),
        ("%+5c|", int(66), "    B|"),
        ("%lc", int(66), "B"),
        ("%p", int(0), "0"),
        ("%p", int(16), "0x10"),
        ("%10p|", int(0), "         0|"),
        ("%-10p|", int(0), "0         |"),
        ("%20p|", int(16), "                0x10|"),
        ("%05p|", int(1), "000x1|"),
        ("%#p|", int(1), "0x1|"),
        ("%+p|", int(1), "0x1|"),
        ("%p|", pointer(0x0123_4567_89ab), "0x123456789ab|"),
    ] {
        assert_eq!(printf(format, &[arg]), expected, "{format}");
    }
}

#[test]
fn any_value() {
    let pair = || tuple(&[int(1), string("x")]);
    let struct_of_two = || record(&["n", "s"], &[int(3), string("x")]);
    let ab = || array(Layout::Int { size: 1, signed: true }, &[b"a", b"b", b"\0"]);
    for (format, arg, expected) in [
        ("%s", string("abcdef"), "abcdef"),
        ("%10s|", string("abc"), "       abc|"),
        ("%-10s|", string("abc"), "abc       |"),
        ("%.2s|", string("abcdef"), "abcdef|"),
        ("%10.2s|", string("abcdef"), "    abcdef|"),
        ("%-10.10s|", string("abcdefghijklm"), "abcdefghijklm|"),
        ("%hs", string("a"), "a"),
        ("%ls", string("b"), "b"),
        ("%05s", string("e"), "0000e"),
        ("%-010s|", string("ab"), "ab00000000|"),
        ("%s", int(5), "5"),
        ("%s", signed(1, -128), "-128"),
        ("%05s", int(5), "00005"),
        ("%+s", int(5), "+5"),
        ("%+s", int(-5), "-5"),
        ("%#s", int(5), "5"),
        ("%10s|", boolean(true), "      true|"),
        ("%s", hue(3), "GREEN"),
        ("%-5s|", hue(2), "RED  |"),
        ("%s", pointer(0), "0x0"),
        ("%5s|", pointer(16), " 0x10|"),
        ("%s", pair(), "(1, x)"),
        ("%10s|", pair(), "         (1, x)|"),
        ("%-10s|", pair(), "(         1, x)|"),
        ("%+s", tuple(&[int(1), int(2)]), "(+1, +2)"),
        ("%10s|", struct_of_two(), "        { .n = 3, .s = x }|"),
        ("%-12s|", struct_of_two(), "{           .n = 3, .s = x }|"),
        ("%s", ab(), "[97,98,0]"),
        ("%5s|", ab(), "    [97,98,0]|"),
        ("%s", words(Layout::Ksym, &[DO_EXIT]), "do_exit"),
        ("%20s|", words(Layout::Ksym, &[DO_EXIT]), "             do_exit|"),
    ] {
        assert_eq!(printf(format, &[arg]), expected, "{format}");
    }
}

#[test]
fn buffers() {
    for (format, bytes, expected) in [
        ("%r", &b"Az\n\\\x80 "[..], "Az\\x0a\\\\x80 "),
        ("%rx", b"Az\n", "\\x41\\x7a\\x0a"),
        ("%rh", b"Az\n\xff", "41 7a 0a ff"),
        ("%20r|", b"Az\n", "              Az\\x0a|"),
        ("%20rx|", b"Az\n", "        \\x41\\x7a\\x0a|"),
        ("%20rh|", b"Az\n", "            41 7a 0a|"),
        ("%-20r|", b"Az\n", "Az\\x0a              |"),
        ("%10s|", b"A\n", "     A\\x0a|"),
        ("%.2r", b"abcdef", "abcdef"),
    ] {
        assert_eq!(printf(format, &[buffer(bytes)]), expected, "{format}");
    }
}

#[test]
fn gfp_flags() {
    for (flags, expected) in [
        (0, "0"),
        (0xcc0, "GFP_KERNEL"),
        (0x40_0cc0, "GFP_KERNEL_ACCOUNT"),
        (0x50_0cc0, "GFP_USER|__GFP_ACCOUNT"),
        (0x820, "GFP_ATOMIC"),
        (0x2a20, "GFP_ATOMIC|__GFP_NOWARN|0x200"),
        (0x1, "GFP_DMA"),
        (0x80_0000_0000, "0x8000000000"),
        (0x60_00c0, "__GFP_IO|__GFP_FS|__GFP_THISNODE|__GFP_ACCOUNT"),
        (0x14_00ca, "__GFP_HIGHMEM|__GFP_IO|__GFP_FS|__GFP_COMP|__GFP_HARDWALL|0x8"),
        (0x210_0cca, "GFP_HIGHUSER_MOVABLE"),
        (0x21c_20ca, "GFP_TRANSHUGE_LIGHT"),
        (
            -1,
            "GFP_TRANSHUGE|GFP_ATOMIC|GFP_DMA|GFP_DMA32|__GFP_ZERO|__GFP_WRITE|__GFP_RETRY_MAYFAIL|\
             __GFP_NOFAIL|__GFP_NORETRY|__GFP_MEMALLOC|__GFP_THISNODE|__GFP_ACCOUNT|__GFP_ZEROTAGS|\
             __GFP_SKIP_ZERO|__GFP_NO_OBJ_EXT|0xfffffffff8000210",
        ),
    ] {
        assert_eq!(printf("%gr", &[int(flags)]), expected, "{flags:x}");
    }
    assert_eq!(printf("%-20gr|", &[int(0x820)]), "GFP_ATOMIC          |");
}

#[test]
fn what_is_no_conversion_is_copied() {
    for (format, expected) in [
        ("%%|%5%|%-5%|%y|% |%\n", "%|%|%|%y|% |%\n"),
        ("%1$d\n", "%1$d\n"),
        // Not bpftrace's: it refuses these when it compiles.
        ("%f %e|%#-d", "%f %e|%#-d"),
    ] {
        assert_eq!(printf(format, &[]), expected);
    }
}

// What follows the compiler never emits.

#[test]
fn missing_and_unfit_arguments() {
    assert_eq!(printf("%d %s|", &[int(1)]), "1 |");
    assert_eq!(printf("%d|%p|%r|%gr", &[string("a"), string("b"), int(3), string("c")]), "a|b|3|c");
    assert_eq!(printf("%99999999999999999999d", &[int(1)]).len(), 1 << 16);
}

#[test]
fn characters_for_terminals() {
    let terminal = Options { terminal: true, ..Options::default() };
    let args = [string("a\x1b[2J\tb\n\u{9b}é"), int(27), int(10), buffer(b"\x1b")];
    assert_eq!(
        printf_with(terminal, "\x1b[1m%s%c%c%r", &args),
        "\x1b[1ma\\x1b[2J\tb\n\\xc2\\x9bé\\x1b\n\\x1b"
    );
    let piped = printf_with(options(Format::Text), "%s", &args[..1]);
    assert_eq!(piped, "a\x1b[2J\tb\n\u{9b}é");
}

#[test]
fn json_is_one_string() {
    assert_eq!(
        printf_with(options(Format::Json), "%s \"x\"\n", &[string("a\\\x01\té")]),
        "{\"type\": \"printf\", \"data\": \"a\\\\\\u0001\\té \\\"x\\\"\\n\"}\n"
    );
}
