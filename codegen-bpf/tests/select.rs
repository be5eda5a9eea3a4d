//! What each operation becomes: textual CLIF on the left, disassembly on the right.

mod common;

use common::disasm;

/// `body` computes v9 from the arguments v0 and v1 (i64); v9 is returned.
fn clif(body: &str) -> String {
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

const CASES: &[(&str,&str,&str)] = &[
("add_registers", "v9 = iadd v0, v1", ""),
("add_number", "v2 = iconst.i64 -8\n v9 = iadd v2, v0", ""),
("sub_number", "v2 = iconst.i64 8\n v9 = isub v0, v2", ""),
("sub_from_number", "v2 = iconst.i64 8\n v9 = isub v2, v0", ""),
("mul32", "v2 = ireduce.i32 v0\n v3 = ireduce.i32 v1\n v4 = imul v2, v3\n v9 = uextend.i64 v4", ""),
("add8", "v2 = ireduce.i8 v0\n v3 = ireduce.i8 v1\n v4 = iadd v2, v3\n v9 = uextend.i64 v4", ""),
("mask32", "v2 = iconst.i64 0xffff_ffff\n v9 = band v0, v2", ""),
("maskbig", "v2 = iconst.i64 0xff00_0000_0000_00ff\n v9 = band v0, v2", ""),
("mask_u32_high", "v2 = iconst.i64 0xf000_0000\n v9 = band v0, v2", ""),
("shl_by_register", "v9 = ishl v0, v1", ""),
("shl_by_too_much", "v2 = iconst.i64 65\n v9 = ishl v0, v2", ""),
("sshr16", "v2 = ireduce.i16 v0\n v3 = sshr v2, v1\n v9 = uextend.i64 v3", ""),
("not", "v9 = bnot v0", ""),
("not16", "v2 = ireduce.i16 v0\n v3 = bnot v2\n v9 = uextend.i64 v3", ""),
("neg", "v9 = ineg v0", ""),
("bswap16", "v2 = ireduce.i16 v0\n v3 = bswap v2\n v9 = uextend.i64 v3", ""),
("sextend8", "v2 = ireduce.i8 v0\n v9 = sextend.i64 v2", ""),
("abs", "v9 = iabs v0", ""),
("umin_number", "v2 = iconst.i64 64\n v9 = umin v0, v2", ""),
("smax", "v9 = smax v0, v1", ""),
("compare_value", "v2 = icmp ult v0, v1\n v9 = uextend.i64 v2", ""),
("select_number", "v2 = iconst.i64 7\n v3 = icmp eq v0, v2\n v4 = iconst.i64 0\n v9 = select v3, v4, v1", ""),
("select_register", "v3 = icmp sgt v0, v1\n v9 = select v3, v0, v1", ""),
("udiv_opaque", "v2 = symbol_value.i64 gv50\n v9 = udiv v0, v2", ""),
("sdiv", "v9 = sdiv v0, v1", ""),
("sdiv_number", "v2 = iconst.i64 -10\n v9 = sdiv v0, v2", ""),
("srem_number", "v2 = iconst.i64 10\n v9 = srem v0, v2", ""),
("rotl_number", "v2 = iconst.i64 13\n v9 = rotl v0, v2", ""),
("rotr8", "v2 = ireduce.i8 v0\n v3 = rotr v2, v1\n v9 = uextend.i64 v3", ""),
("bmask", "v9 = bmask.i64 v0", ""),
("load_offset", "v2 = iconst.i64 16\n v3 = iadd v0, v2\n v9 = load.i64 notrap v3+8", ""),
("load_signed", "v9 = sload32.i64 notrap v0+4", ""),
("load8", "v2 = load.i8 notrap v0\n v9 = uextend.i64 v2", ""),
("load_far", "v9 = load.i64 notrap v0+40000", ""),
("store_number", "v2 = iconst.i32 -1\n store notrap v2, v0+4\n v9 = iconst.i64 0", ""),
("store_low", "v2 = ireduce.i8 v1\n store notrap v2, v0\n v9 = iconst.i64 0", ""),
("store_slot", "v2 = stack_addr.i64 ss0\n v3 = iconst.i64 0x1122_3344_5566_7788\n store notrap v3, v2+8\n v9 = iconst.i64 0", ""),
("slot_address", "v2 = stack_addr.i64 ss0\n v3 = iconst.i64 4\n v9 = iadd v2, v3", ""),
("core_load", "v2 = symbol_value.i64 gv40\n v3 = iadd v0, v2\n v9 = load.i64 notrap v3", ""),
("core_load_offset", "v2 = symbol_value.i64 gv40\n v3 = iadd v0, v2\n v9 = load.i64 notrap v3+8", ""),
("core_add", "v2 = symbol_value.i64 gv40\n v9 = iadd v0, v2", ""),
("core_value", "v9 = symbol_value.i64 gv41", ""),
("core_wide", "v9 = symbol_value.i64 gv43", ""),
("core_shift", "v2 = symbol_value.i64 gv41\n v9 = ishl v0, v2", ""),
("map", "v9 = symbol_value.i64 gv2", ""),
("data", "v2 = symbol_value.i64 gv3\n v9 = uload32.i64 notrap v2", ""),
("atomic_add", "v2 = atomic_rmw.i64 add v0, v1\n v9 = iconst.i64 0", ""),
("atomic_fetch", "v9 = atomic_rmw.i64 add v0, v1", ""),
("atomic_sub", "v2 = atomic_rmw.i64 sub v0, v1\n v9 = iconst.i64 0", ""),
("atomic_xchg", "v2 = atomic_rmw.i64 xchg v0, v1\n v9 = iconst.i64 0", ""),
("cas", "v2 = iconst.i64 1\n v9 = atomic_cas.i64 v0, v1, v2", ""),
("barrier", "v2 = cls v0\n v9 = iadd v2, v1", ""),
("dead", "v2 = load.i64 v0\n v3 = udiv v0, v1\n v9 = iconst.i64 1", ""),
("number_u32", "v9 = iconst.i64 0xffff_ffff", ""),
("number_big", "v9 = iconst.i64 0x1_0000_0000", ""),
];
#[test]
fn tmp() { for (n,b,_) in CASES { println!("== {n}: {b}"); let clif=clif(b); println!("{}", disasm(&clif,false)); } }
