//! What each operation becomes: CLIF on the left, disassembly on the right.
//!
//! `v9` is computed from the arguments `v0` and `v1` (i64) and returned; the final `exit` is left
//! out. See `common::module` for what the global values stand for.

mod common;

use common::disasm;

fn clif(body: &str) -> String {
    let body = body.replace("; ", "\n");
    format!(
        "function %prog(i64, i64) -> i64 system_v {{
             gv2 = symbol u2:0
             gv3 = symbol u3:0
             gv40 = symbol u4:0
             gv41 = symbol u4:1
             gv43 = symbol u4:3
             gv50 = symbol u5:0
             ss0 = explicit_slot 16
         block0(v0: i64, v1: i64):
             {body}
             return v9
         }}"
    )
}

#[rustfmt::skip] // one case, one line
const TABLE: &[(&str, &str)] = &[
    // Arithmetic.
    ("v9 = iadd v0, v1", "r0 = r1; r0 += r2"),
    ("v2 = iconst.i64 -8; v9 = iadd v2, v0", "r0 = r1; r0 += -8"),
    ("v2 = iconst.i64 8; v9 = isub v0, v2", "r0 = r1; r0 += -8"),
    ("v2 = iconst.i64 8; v9 = isub v2, v0", "r0 = 8; r0 -= r1"),
    ("v2 = ireduce.i32 v0; v3 = ireduce.i32 v1; v4 = imul v2, v3; v9 = uextend.i64 v4", "r0 = r1; w0 *= w2"),
    ("v2 = ireduce.i8 v0; v3 = ireduce.i8 v1; v4 = iadd v2, v3; v9 = uextend.i64 v4", "w1 += w2; r0 = r1; r0 &= 255"),
    // Masks.
    ("v2 = iconst.i64 0xffff_ffff; v9 = band v0, v2", "w0 = w1"),
    ("v2 = iconst.i64 0xff00_0000_0000_00ff; v9 = band v0, v2", "r3 = 0xff000000000000ff ll; r0 = r1; r0 &= r3"),
    ("v2 = iconst.i64 0xf000_0000; v9 = band v0, v2", "r0 = r1; w0 &= -268435456"),
    // Shifts.
    ("v9 = ishl v0, v1", "r0 = r1; r0 <<= r2"),
    ("v2 = iconst.i64 65; v9 = ishl v0, v2", "r0 = r1; r0 <<= 1"),
    ("v2 = ireduce.i16 v0; v3 = sshr v2, v1; v9 = uextend.i64 v3", "w1 <<= 16; w1 s>>= 16; r2 &= 15; w1 s>>= w2; r0 = r1; r0 &= 65535"),
    // One operand.
    ("v9 = bnot v0", "r0 = r1; r0 ^= -1"),
    ("v2 = ireduce.i16 v0; v3 = bnot v2; v9 = uextend.i64 v3", "r1 &= 65535; r0 = r1; w0 ^= 65535"),
    ("v9 = ineg v0", "r0 = r1; r0 = -r0"),
    ("v2 = ireduce.i16 v0; v3 = bswap v2; v9 = uextend.i64 v3", "r0 = r1; r0 = be16 r0"),
    ("v2 = ireduce.i8 v0; v9 = sextend.i64 v2", "r1 <<= 56; r0 = r1; r0 s>>= 56"),
    ("v9 = iabs v0", "r0 = r1; if r0 s> -1 goto +1; r0 = -r0"),
    // Choices.
    ("v2 = iconst.i64 64; v9 = umin v0, v2", "r0 = r1; if r0 <= 64 goto +1; r0 = 64"),
    ("v9 = smax v0, v1", "r0 = r1; if r0 s>= r2 goto +1; r0 = r2"),
    ("v2 = icmp ult v0, v1; v9 = uextend.i64 v2", "r0 = 1; if r1 < r2 goto +1; r0 = 0"),
    ("v2 = iconst.i64 7; v3 = icmp eq v0, v2; v4 = iconst.i64 0; v9 = select v3, v4, v1", "r0 = r2; if r1 != 7 goto +1; r0 = 0"),
    ("v3 = icmp sgt v0, v1; v9 = select v3, v0, v1", "r0 = r1; if r0 s> r2 goto +1; r0 = r2"),
    // Division.
    ("v2 = symbol_value.i64 gv50; v9 = udiv v0, v2", "r0 = r1; r0 /= 1000"),
    ("v9 = sdiv v0, v1", "r0 = r1; if r0 s> -1 goto +1; r0 = -r0; r3 = r2; if r3 s> -1 goto +1; r3 = -r3; r0 /= r3; r1 ^= r2; if r1 s>= 0 goto +1; r0 = -r0"),
    ("v2 = iconst.i64 -10; v9 = sdiv v0, v2", "r0 = r1; if r0 s> -1 goto +1; r0 = -r0; r0 /= 10; if r1 s< 0 goto +1; r0 = -r0"),
    ("v2 = iconst.i64 10; v9 = srem v0, v2", "r0 = r1; if r0 s> -1 goto +1; r0 = -r0; r0 %= 10; if r1 s>= 0 goto +1; r0 = -r0"),
    // Expansions.
    ("v2 = iconst.i64 13; v9 = rotl v0, v2", "r0 = r1; r0 <<= 13; r1 >>= 51; r0 |= r1"),
    ("v2 = ireduce.i8 v0; v3 = rotr v2, v1; v9 = uextend.i64 v3", "r1 &= 255; r2 &= 7; r3 = r2; w3 = -w3; r3 &= 7; r0 = r1; w0 <<= w3; w1 >>= w2; w0 |= w1; r0 &= 255"),
    ("v9 = bmask.i64 v0", "r0 = -1; if r1 != 0 goto +1; r0 = 0"),
    // Memory.
    ("v2 = iconst.i64 16; v3 = iadd v0, v2; v9 = load.i64 notrap v3+8", "r0 = *(u64 *)(r1 + 24)"),
    ("v9 = sload32.i64 notrap v0+4", "r0 = *(u32 *)(r1 + 4); r0 <<= 32; r0 s>>= 32"),
    ("v2 = load.i8 notrap v0; v9 = uextend.i64 v2", "r0 = *(u8 *)(r1 + 0)"),
    ("v9 = load.i64 notrap v0+40000", "r1 += 40000; r0 = *(u64 *)(r1 + 0)"),
    ("v2 = iconst.i32 -1; store notrap v2, v0+4; v9 = iconst.i64 0", "*(u32 *)(r1 + 4) = -1; r0 = 0"),
    ("v2 = ireduce.i8 v1; store notrap v2, v0; v9 = iconst.i64 0", "*(u8 *)(r1 + 0) = r2; r0 = 0"),
    ("v2 = stack_addr.i64 ss0; v3 = iconst.i64 0x1122_3344_5566_7788; store notrap v3, v2+8; v9 = iconst.i64 0", "*(u32 *)(r10 - 8) = 1432778632; *(u32 *)(r10 - 4) = 287454020; r0 = 0"),
    ("v2 = stack_addr.i64 ss0; v3 = iconst.i64 4; v9 = iadd v2, v3", "r0 = r10; r0 += -12"),
    // Relocated numbers and addresses.
    ("v2 = symbol_value.i64 gv40; v3 = iadd v0, v2; v9 = load.i64 notrap v3", "r0 = *(u64 *)(r1 + 24) ; core FieldByteOffset type 4 0:0"),
    ("v2 = symbol_value.i64 gv40; v3 = iadd v0, v2; v9 = load.i64 notrap v3+8", "r1 += 24 ; core FieldByteOffset type 4 0:0; r0 = *(u64 *)(r1 + 8)"),
    ("v2 = symbol_value.i64 gv40; v9 = iadd v0, v2", "r0 = r1; r0 += 24 ; core FieldByteOffset type 4 0:0"),
    ("v9 = symbol_value.i64 gv41", "r0 = 4 ; core FieldByteSize type 4 0:0"),
    ("v9 = symbol_value.i64 gv43", "r0 = 0x100000001 ll ; core FieldByteOffset type 4 0:0"),
    ("v2 = symbol_value.i64 gv41; v9 = ishl v0, v2", "r0 = r1; r0 <<= 4 ; core FieldByteSize type 4 0:0"),
    ("v9 = symbol_value.i64 gv2", "r0 = map[counts]"),
    ("v2 = symbol_value.i64 gv3; v9 = uload32.i64 notrap v2", "r2 = data[limit]; r0 = *(u32 *)(r2 + 0)"),
    // Atomics.
    ("v2 = atomic_rmw.i64 add v0, v1; v9 = iconst.i64 0", "lock *(u64 *)(r1 + 0) += r2; r0 = 0"),
    ("v9 = atomic_rmw.i64 add v0, v1", "r0 = r2; r0 = atomic_fetch_add((u64 *)(r1 + 0), r0)"),
    ("v2 = atomic_rmw.i64 sub v0, v1; v9 = iconst.i64 0", "r2 = -r2; lock *(u64 *)(r1 + 0) += r2; r0 = 0"),
    ("v2 = atomic_rmw.i64 xchg v0, v1; v9 = iconst.i64 0", "r2 = atomic_xchg((u64 *)(r1 + 0), r2); r0 = 0"),
    ("v2 = iconst.i64 1; v9 = atomic_cas.i64 v0, v1, v2", "r4 = 1; r0 = r2; r0 = atomic_cmpxchg((u64 *)(r1 + 0), r0, r4)"),
    // The rest.
    ("v2 = cls v0; v9 = iadd v2, v1", "r0 = r1; r0 += r2"),
    ("v2 = load.i64 v0; v3 = udiv v0, v1; v9 = iconst.i64 1", "r0 = 1"),
    ("v9 = iconst.i64 0xffff_ffff", "w0 = -1"),
    ("v9 = iconst.i64 0x1_0000_0000", "r0 = 0x100000000 ll"),
];

#[test]
fn operations() {
    for (body, expected) in TABLE {
        let text = disasm(&clif(body), false).replace('\n', "; ");
        assert_eq!(text, format!("{expected}; exit"), "\n{body}");
    }
}

/// The verifier must learn from a check about the very register that is used behind it.
#[test]
fn checks_speak_of_what_is_used() {
    let clif = "function %prog(i64) -> i64 system_v {
        block0(v0: i64):
            v1 = sload32.i64 notrap v0
            v2 = iconst.i64 0
            v3 = icmp slt v1, v2
            brif v3, block2, block1
        block1:
            return v1
        block2:
            return v2
        }";
    let expected = "r0 = *(u32 *)(r1 + 0)
r0 <<= 32
r0 s>>= 32
if r0 s>= 0 goto +1
r0 = 0
exit";
    assert_eq!(disasm(clif, true), expected);
}
