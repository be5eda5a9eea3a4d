//! Scripts and their types, over a small synthetic kernel.

use super::{Settings, check as check_types, print, resolve};
use crate::diag::Sources;
use crate::expand::{World, expand};
use crate::fields::{Fields, KernelNames, preamble_btf};
use crate::kernel::Kernel;
use crate::syntax::ast::Tag;
use crate::syntax::parse;
use btf::{Builder, IntEncoding, Linkage, Member, Param, TypeId};
use std::collections::BTreeMap;

/// `struct sock`, `struct task_struct`, the function `f(struct sock *sk, unsigned int n, char __user *s)`,
/// the tracepoint `sched:sched_switch` and the system call `openat`.
fn kernel() -> Kernel {
    let mut b = Builder::new();
    let encoding = |signed| IntEncoding { signed, ..IntEncoding::default() };
    let (int, uint) = (b.add_int("int", 4, encoding(true)), b.add_int("unsigned int", 4, encoding(false)));
    let (long, ulong) =
        (b.add_int("long", 8, encoding(true)), b.add_int("unsigned long", 8, encoding(false)));
    let char = b.add_int("char", 1, IntEncoding { signed: true, char: true, bool: false });
    let member = |name, ty: TypeId, bit_offset| Member { name, ty, bit_offset, bitfield_bits: None };
    let comm = b.add_array(char, uint, 16);

    let sock = b.reserve_struct("sock");
    let sock_pointer = b.add_ptr(sock);
    let bits = Member { name: "flag", ty: uint, bit_offset: 32, bitfield_bits: Some(3) };
    b.set_struct(sock, "sock", 16, &[member("port", uint, 0), bits, member("next", sock_pointer, 64)]);

    let task = b.reserve_struct("task_struct");
    let task_pointer = b.add_ptr(task);
    let members = [
        member("pid", int, 0),
        member("tgid", int, 32),
        member("comm", comm, 64),
        member("real_parent", task_pointer, 192),
    ];
    b.set_struct(task, "task_struct", 32, &members);

    let tagged = b.add_type_tag("user", char);
    let text = b.add_ptr(tagged);
    let param = |name, ty| Param { name, ty };
    let proto = b.add_func_proto(int, &[param("sk", sock_pointer), param("n", uint), param("s", text)]);
    b.add_func("f", proto, Linkage::Static);
    let nothing = b.add_func_proto(TypeId::VOID, &[]);
    b.add_func("g", nothing, Linkage::Static);
    b.add_func("__x64_sys_openat", nothing, Linkage::Static);

    let traced = b.add_func_proto(TypeId::VOID, &[param("", task_pointer), param("", task_pointer)]);
    let traced = b.add_ptr(traced);
    b.add_typedef("btf_trace_sched_switch", traced);
    let named = b.add_func_proto(TypeId::VOID, &[param("__data", task_pointer), param("prev", task_pointer)]);
    b.add_func("__bpf_trace_sched_switch", named, Linkage::Static);
    let record =
        [member("ent", long, 0), member("prev_comm", comm, 64), member("__data_loc_name", uint, 192)];
    b.add_struct("trace_event_raw_sched_switch", 28, &record);
    let args = b.add_array(ulong, uint, 6);
    b.add_struct(
        "trace_event_raw_sys_enter",
        64,
        &[member("ent", long, 0), member("id", long, 64), member("args", args, 128)],
    );
    b.add_struct(
        "trace_event_raw_sys_exit",
        24,
        &[member("ent", long, 0), member("id", long, 64), member("ret", long, 128)],
    );
    b.add_enum("level", 4, false, &[btf::Enumerator { name: "LOW", value: 1 }]);
    Kernel::from_bytes(b.finish().expect("small"), Vec::new()).expect("just written")
}

/// The typed tree as text, then the diagnostics, one a line.
fn typed(text: &str) -> String {
    let kernel = kernel();
    let (script, diags) = parse("a.bt", text);
    assert!(diags.is_empty(), "{diags:?}");
    let names = KernelNames::new(&kernel);
    let extent = |tag: Option<Tag>, name: &str| names.extent(tag, name);
    let world = World { kernel: &extent, ..World::NONE };
    let mut sources = Sources::of("a.bt", text);
    let (expanded, mut diags) = expand(script, &BTreeMap::new(), &world, &mut sources);
    let (script_btf, more) = preamble_btf(&expanded.preamble, &names);
    diags.extend(more);
    let fields = Fields::new(&kernel, script_btf);
    let settings = Settings::default();
    let (resolved, more) = resolve(&expanded.script, &fields, &settings);
    diags.extend(more);
    let (program, more) = check_types(&expanded.script, resolved, &fields, &settings);
    diags.extend(more);
    let mut out = program.map_or(String::new(), |program| print(&program, &fields));
    for diag in diags {
        out += &format!("{} {}\n", diag.code.id, diag.message);
    }
    out
}

/// The last lines of the tree and all diagnostics.
#[track_caller]
fn check(script: &str, expected: &[&str]) {
    let shown = typed(script);
    let lines: Vec<_> = shown.lines().map(str::trim).collect();
    let from = lines.len().saturating_sub(expected.len());
    assert_eq!(lines[from..], *expected, "{script}\n{shown}");
}

/// In `begin { … }`.
#[track_caller]
fn check_body(body: &str, expected: &[&str]) {
    check(&format!("begin {{ {body} }}"), expected);
}

/// No tree, and these diagnostics.
#[track_caller]
fn check_err(script: &str, expected: &[&str]) {
    assert_eq!(typed(script).lines().collect::<Vec<_>>(), expected, "{script}");
}

#[track_caller]
fn check_body_err(body: &str, expected: &[&str]) {
    check_err(&format!("begin {{ {body} }}"), expected);
}

#[test]
fn variables_widen_over_the_whole_program() {
    check_body("$a = 1; $a = (uint32)7;", &["$a = 1:uint32", "$a = 7:uint32"]);
    check_body("$a = \"x\"; $a = \"longer\";", &["$a = \"x\":string[7]", "$a = \"longer\":string[7]"]);
    check_body("$a = 0; $a++;", &["$a = 0:int64", "$a++:int64"]);
    check_body("let $a: uint8 = 3; $a++;", &["$a = 3:uint8", "$a++:uint8"]);
    check_body(
        "$a = (1, \"x\"); $a = (300, \"abc\");",
        &[
            "$a = (1:int16, \"x\":string[4]):(int16,string[4])",
            "$a = (300:int16, \"abc\":string[4]):(int16,string[4])",
        ],
    );
}

#[test]
fn tuples_of_tuples_stay_small() {
    for first in ["(1, 2)", "()", "(a = 1, b = 2)"] {
        let doubled: String = (1..40).map(|i| format!("$x{i} = ($x{}, $x{});", i - 1, i - 1)).collect();
        let shown = typed(&format!("begin {{ $x0 = {first}; {doubled} }}"));
        assert!(shown.contains("E0210 the tuple has too many parts"), "{shown}");
    }
}

#[test]
fn variables_wrong() {
    check_body_err("$a = 1; $a = \"x\";", &["E0213 variable `$a` holds both `int8` and `string[2]`"]);
    check_body_err("if (1) { $a = 1; } print($a);", &["E0151 undefined variable `$a`"]);
    check_body_err("$a = 1; let $a = 2;", &["E0212 variable `$a` is declared twice"]);
    check_body_err("let $a: uint8 = 300;", &["E0210 300 does not fit in `uint8`"]);
    check_body("let $a;", &["probe begin", "var $a: none", "W0205 variable `$a` is never assigned to"]);
}

#[test]
fn long_literals() {
    let long = "x".repeat(1024);
    check_body_err(&format!("$a = \"{long}\";"), &["E0210 a string of 1025 bytes is too long"]);
    assert!(typed(&format!("begin {{ printf(\"{long}\"); }}")).starts_with("probe begin"));
}

#[test]
fn maps() {
    check_body("@a[1] = 1; @a[(uint64)2] = 300;", &["@a[1:uint64] = 1:int16", "@a[2:uint64] = 300:int16"]);
    check_body(
        "@x++; @y += 1;",
        &["map @x: int64", "map @y: int64", "probe begin", "@x++:int64", "@y = (@y:int64 + 1:int64):int64"],
    );
    check_body(
        "@a[1, \"x\"] = 1; delete(@a[1, \"x\"]);",
        &[
            "@a[(1:int8, \"x\":string[2]):(int8,string[2])] = 1:int8",
            "delete(@a, (1:int8, \"x\":string[2]):(int8,string[2])):bool",
        ],
    );
    check_body(
        "for ($kv : @a) { print($kv.0); } @a[1] = count();",
        &["for $kv in @a {", "print($kv:(int8,uint64).0:int8)", "}", "@a[1:int8] <- Count()"],
    );
}

#[test]
fn maps_wrong() {
    check_body_err("@a = 1; @a = \"x\";", &["E0214 map `@a` holds both `int8` and `string[2]`"]);
    check_body_err("@a = 1; @a[1] = 1;", &["E0216 map `@a` is used with and without a key"]);
    check_body_err("@a[1] = 1; @a[\"x\"] = 1;", &["E0215 map `@a` has keys of an `int8`"]);
    check_body_err("print(@nope);", &["E0152 map `@nope` is never assigned to"]);
    check_body_err("@a = hist(1); $b = @a;", &["E0201 a single value of map `@a` cannot be read"]);
    check_body_err("$a = count();", &["E0209 `count` must be assigned directly to a map"]);
    check_body_err("has_key(@a, 1); @a = 1;", &["E0216 map `@a` is used with and without a key"]);
    check_err("let @a = hash(10); begin { @a[1] = count(); }", &["E0217 map `@a` cannot be a `hash`"]);
    check_err("let @a = hash(0); begin { @a[1] = 1; }", &["E0217 map `@a` cannot have 0 entries"]);
    check_err("begin { @a[()] = 1; }", &["E0214 map `@a` cannot hold an empty tuple"]);
    check_err("begin { @a = (); }", &["E0214 map `@a` cannot hold an empty tuple"]);
}

#[test]
fn operators() {
    check_body("$a = cpu - 1;", &["$a = (cpu():uint64 - 1:uint64):int64"]);
    check_body("$a = pid + 1;", &["$a = (cast(pid():uint32):uint64 + 1:uint64):uint64"]);
    check_body("$a = pid == -1;", &["$a = (cast(pid():uint32):int64 == -1:int64):bool"]);
    check_body("$a = 1 << 4 | 3;", &["$a = 19:int8"]);
    check_body("$a = comm == \"x\";", &["$a = (comm():string[16] == \"x\":string[2]):bool"]);
    check_body("$a = 1 ? 2 : 300;", &["$a = if 1:int8 {2:int16} else {300:int16}:int16"]);
    check_body(
        "$p = (int32 *)16; $p += 2;",
        &["$p = cast(16:int8):int32 *", "$p = ($p:int32 * + 2:int64):int32 *"],
    );
    check_body("$a = (uint8)1 + 1; $b = ~1;", &["$a = 2:uint64", "$b = 18446744073709551614:uint64"]);
    check_body("$a = \"/\"[0];", &["$a = 47:int8"]);
    check_body("$a = \"a\" + \"b\";", &["$a = \"ab\":string[3]"]);
    check_body("$a = \"text\" + 2; $b = 4 + \"text\";", &["$a = \"xt\":string[3]", "$b = \"\":string[1]"]);
    check_body("$a = \"x\" + 2;", &["$a = \"\":string[1]", "W0210 the literal has only 1 bytes"]);
    // Without sign, the complement stays within the operand's bits.
    check_body("$a = ~pid;", &["$a = cast(~(pid():uint32):uint32):uint64"]);
    check_body("$a = ~(uint8)1; $b = -(uint16)1;", &["$a = 254:int16", "$b = 65535:int32"]);
    check_body("$a = -9223372036854775808;", &["$a = -9223372036854775808:int64"]);
    // Nothing holds all of `int64` and `uint64`: they compare as `int64`.
    check_body("$a = (int64)-1 == (uint64)-1;", &["$a = 1:bool"]);
}

#[test]
fn operators_wrong() {
    check_body_err("$a = comm * 2;", &["E0201 `*` has no meaning for a `string[16]` and an `int8`"]);
    check_body_err("if (comm) { }", &["E0202 a `string[16]` is no condition"]);
    check_body_err("$a = \"text\" + -1;", &["E0201 `+` has no meaning for a `string[5]` and an `int8`"]);
    check_body_err("$a = 1 / 0;", &["E0210 the right side of `/` is zero"]);
    check_body_err("$a = 9223372036854775807 * 4;", &["E0210 the result of `*` does not fit in 64 bits"]);
    check_body_err("$a = kstack; $b = (int32)$a;", &["E0203 a `kstack` cannot be cast to `int32`"]);
    check_body_err("$a = 1; $b = $a.x;", &["E0218 an `int8` has no such fields"]);
    check_body(
        "$a = (int64)cpu / 2;",
        &["$a = (cast(cpu():uint64):int64 / 2:int64):int64", "W0203 `/` treats signed operands as unsigned"],
    );
}

#[test]
fn fields_of_kernel_types() {
    check(
        "fentry:f { print(args.sk.next.port); print(args.n); print(str(args.s)); }",
        &[
            "print(*(*(args[0]:struct sock *):struct sock.next:struct sock *):struct sock.port:uint32)",
            "print(args[1]:uint32)",
            "print(str(args[2]:int8 *):string[1024])",
        ],
    );
    // What may be zero is no pointer the verifier knows.
    check(
        "fentry:f { let $s; if (args.n) { $s = args.sk; } print($s.port); }",
        &[
            "if args[1]:uint32 {",
            "$s = cast(args[0]:struct sock *):struct sock *",
            "}",
            "print(*($s:struct sock *):struct sock.port:uint32)",
        ],
    );
    check("fexit:f { print(retval); }", &["probe fexit:vmlinux:f", "print(retval:int32)"]);
    check(
        "kprobe:f { $s = (struct sock *)arg0; print($s->flag); }",
        &[
            "$s = cast(argN(0:int8):uint64):struct sock *",
            "print(*($s:struct sock *):struct sock.flag:uint32)",
        ],
    );
    check_body(
        "print(ppid); print(pcomm);",
        &[
            "print(*(*(curtask():struct task_struct *):struct task_struct.real_parent:struct task_struct *):struct task_struct.tgid:int32)",
            "print(*(*(curtask():struct task_struct *):struct task_struct.real_parent:struct task_struct *):struct task_struct.comm:string[16])",
        ],
    );
    check_body(
        "print(sizeof(struct sock)); print(offsetof(struct sock, next)); print(LOW);",
        &[
            "print(sizeof(struct sock):uint64)",
            "print(offsetof(struct sock, next):uint64)",
            "print(LOW:enum level)",
        ],
    );
    check(
        "fentry:f { print(args); }",
        &["print((cast(args[0]:struct sock *):struct sock *, args[1]:uint32, args[2]:int8 *)\
         :record { .sk = struct sock *, .n = uint32, .s = int8 * })"],
    );
}

#[test]
fn fields_wrong() {
    check_err("fentry:f { print(args.sk.prt); }", &["E0154 `struct sock` has no field `prt`"]);
    check_err("fentry:f { print(args.skk); }", &["E0154 `args of fentry:vmlinux:f` has no field `skk`"]);
    check_err("fexit:g { print(retval); }", &["E0208 `fexit:vmlinux:g` returns nothing"]);
    check_err("kprobe:f { print(args.sk); }", &["E0208 `args` has no meaning in a kprobe probe"]);
    check_body_err("$a = (struct nope *)0;", &["E0153 unknown type `struct nope`"]);
}

#[test]
fn tracepoints() {
    check(
        "tracepoint:sched:sched_switch { print(args.prev_comm); print(str(args.name)); }",
        &["print(args[0]:string[16])", "print(str(args[1]:int64):string[1024])"],
    );
    check(
        "tracepoint:syscalls:sys_enter_openat { print(str(args.filename)); print(args.flags); }",
        &["print(str(args[2]:int8 *):string[1024])", "print(args[3]:uint64)"],
    );
    check(
        "t:syscalls:sys_exit_openat /args.ret < 0/ { exit(); }",
        &["if (args[1]:int64 < 0:int64):bool {", "exit()", "}"],
    );
    check(
        "rt:sched_switch { print(args.prev.comm); }",
        &[
            "probe rawtracepoint:vmlinux:sched_switch",
            "print(*(args[0]:struct task_struct *):struct task_struct.comm:string[16])",
        ],
    );
}

#[test]
fn attach_points() {
    check(
        "kprobe:f, kretprobe:f { print(func); }",
        &["probe kprobe:f", "print(func():ksym_t)", "probe kretprobe:f", "print(func():ksym_t)"],
    );
    check(
        "interval:1s { } profile:hz:99 { } kprobe:vfs_* { }",
        &["probe interval:us:1000000", "probe profile:hz:99", "probe kprobe:vfs_*"],
    );
    check("k:? { } a=fentry:g { print(probe); }", &["probe kprobe:?", "probe a", "print(\"a\":string[2])"]);
    check_err("fentry:ff { }", &["E0103 there is no function `ff`"]);
    check_err("fentry:no_module:f { }", &["E0106 there is no BTF of module `no_module`"]);
    check_err("tracepoint:net:sched_switch { }", &["E0105 there is no tracepoint `net:sched_switch`"]);
    check_err("tracepoint:sched:nope { }", &["E0105 there is no tracepoint `sched:nope`"]);
    check_err("usdt:/bin/sh:a:b { }", &["E0900 `usdt` probes are not supported yet"]);
    check_err("kprob:f { }", &["E0101 there are no `kprob` probes"]);
    check_err("interval:s:0 { }", &["E0107 the interval of 0 ns is too short"]);
}

#[test]
fn calls() {
    check_body(
        "printf(\"%d %s %r\", pid, comm, buf(comm, 4));",
        &["printf(\"%d %s %r\":string[9], pid():uint32, comm():string[16], \
         buf(comm():string[16], 4:int64):buffer[4])"],
    );
    check_body(
        "@ = lhist(pid, 0, 100, 10);",
        &["@ <- Lhist { min: 0, max: 100, step: 10 }(cast(pid():uint32):uint64)"],
    );
    check_body(
        "print(kstack(perf, 3)); print(nsecs(monotonic));",
        &[
            "print(kstack(\"perf\":string[5], 3:int8):kstack)",
            "print(nsecs(\"monotonic\":string[10]):uint64)",
        ],
    );
    check_body(
        "print(str($1)); print($2 + 1);",
        &["print(parameter(0):string[1024])", "print((parameter(1):int64 + 1:int64):int64)"],
    );
    check_body(
        "if (getopt(\"x\", false)) { print(str(0, 64)); }",
        &["if parameter(0):bool {", "print(str(0:int64, 64:int64):string[65])", "}"],
    );
}

#[test]
fn calls_wrong() {
    check_body_err("prinft(1);", &["E0150 unknown name `prinft`"]);
    check_body_err("print();", &["E0204 `print` takes at least 1 argument"]);
    check_body_err("printf(\"%d\", \"s\");", &["E0207 `%d` cannot print a `string[2]`"]);
    check_body_err(
        "printf(\"%d %d\", 1);",
        &["E0207 the format of `printf` wants 2 arguments, but 1 is given"],
    );
    check_body_err(
        "@ = lhist(1, 0, 100000, 1);",
        &["E0210 `lhist` has 100000 buckets, at most 1000 are possible"],
    );
    check_body_err("unroll(0) { }", &["E0210 `unroll` repeats 1 to 100 times"]);
    check_body_err("break;", &["E0211 `break` outside of a loop"]);
    check_body_err("print(retval);", &["E0208 `retval` has no meaning in a begin probe"]);
    check_body_err("$p = path(1);", &["E0900 `path` is not supported yet"]);
    check_body("exit(); print(1);", &["exit()", "print(1:int8)", "W0204 unreachable statement"]);
    check_body("pid;", &["pid():uint32", "W0201 return value discarded"]);
}

#[test]
fn one_mistake_is_reported_once() {
    check_body_err("$a = nosuch(1); $b = $a + 1; print($b);", &["E0150 unknown name `nosuch`"]);
    check_body_err("@a = nosuch(1); print(@a); $b = @a + 1;", &["E0150 unknown name `nosuch`"]);
    check_body_err("let $a = nosuch; print($a);", &["E0150 unknown name `nosuch`"]);
}

#[test]
fn answers_at_compile_time() {
    check_body(
        "if comptime (is_str(comm)) { print(1); } else { print(nosuch); }",
        &["block {", "print(1:int8)", "}"],
    );
    check_body("print(strcap(comm)); print(cpid);", &["print(16:int64)", "print(parameter(0):uint64)"]);
}

#[test]
fn the_scripts_own_types() {
    check(
        "struct pair { int a; char name[3]; }; begin { $p = (struct pair *)16; print($p.name); }",
        &["$p = cast(16:int8):struct pair *", "print(*($p:struct pair *):struct pair.name:string[4])"],
    );
    check(
        "enum hue { RED = 2 }; begin { $a = RED; $b = RED + 1; }",
        &["$a = RED:enum hue", "$b = (cast(RED:enum hue):uint64 + 1:uint64):uint64"],
    );
}

#[test]
fn several_errors_in_one_run() {
    check_err(
        "kprobe:f { $x = nosuch(1); @a = 1; @a[\"k\"] = 2; printf(\"%d\"); }",
        &[
            "E0150 unknown name `nosuch`",
            "E0216 map `@a` is used with and without a key",
            "E0207 the format of `printf` wants 1 argument, but 0 are given",
        ],
    );
}

/// Every code's example raises it.
#[test]
fn examples_of_codes() {
    use super::codes::*;
    use crate::resolve::codes::*;
    let codes = [
        &UNKNOWN_NAME,
        &UNDEFINED_VARIABLE,
        &UNDEFINED_MAP,
        &UNKNOWN_TYPE,
        &UNKNOWN_FIELD,
        &BAD_OPERAND,
        &BAD_CONDITION,
        &BAD_CAST,
        &ARGUMENT_COUNT,
        &ARGUMENT_KIND,
        &NOT_LITERAL,
        &BAD_FORMAT,
        &NOT_HERE,
        &NOT_ASSIGNED,
        &BAD_CONSTANT,
        &BAD_JUMP,
        &REDECLARED,
        &VARIABLE_TYPE,
        &MAP_VALUE_TYPE,
        &MAP_KEY_TYPE,
        &SCALAR_OR_KEYED,
        &MAP_DECLARATION,
        &NOT_A_POINTER,
        &DISCARDED,
        &LOSSY,
        &SIGNED_DIVISION,
        &UNREACHABLE,
        &UNUSED,
        &WHILE_DEPRECATED,
        &UNNECESSARY_CAST,
        &DISTINCT_POINTERS,
        &USELESS_ARGUMENT,
        &PAST_END,
        &UNKNOWN_PROVIDER,
        &BAD_PARTS,
        &NO_FUNCTION,
        &NO_TRACEPOINT,
        &NO_MODULE,
        &BAD_PERIOD,
    ];
    for code in codes {
        let shown = typed(code.example);
        assert!(
            shown.lines().any(|line| line.starts_with(code.id)),
            "{}: {}\n{shown}",
            code.id,
            code.example
        );
    }
}

/// The figures and tools of a real kernel, where there is one; CI has one.
#[test]
fn host() {
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() && std::env::var_os("CI").is_none() {
        return;
    }
    let kernel = Kernel::live().expect("Linux hosts have BTF");
    for text in [
        "fentry:vfs_open { printf(\"%s %lu\", str(args.path.dentry.d_name.name), args.path.dentry.d_inode.i_ino); }",
        "kprobe:tcp_connect { $sk = (struct sock *)arg0; print(ntop($sk.__sk_common.skc_daddr)); }",
        "t:sched:sched_wakeup { @q[args.pid] = nsecs; } t:sched:sched_switch { print(args.prev_state); }",
        "t:syscalls:sys_enter_exec* { join(args.argv); }",
        "rt:sched_switch { print(args.prev.pid); } fexit:vfs_read { @ = hist(retval); }",
    ] {
        let (script, _) = parse("a.bt", text);
        let mut sources = Sources::of("a.bt", text);
        let (expanded, _) = expand(script, &BTreeMap::new(), &World::NONE, &mut sources);
        let fields = Fields::new(&kernel, None);
        let (resolved, mut diags) = resolve(&expanded.script, &fields, &Settings::default());
        let (program, more) = check_types(&expanded.script, resolved, &fields, &Settings::default());
        diags.extend(more);
        assert!(program.is_some_and(|program| !program.probes.is_empty()), "{text}\n{diags:?}");
    }
}
