//! What each operation becomes: textual CLIF on the left, disassembly on the right.

mod common;

use common::disasm;

/// `body` computes v9 from the arguments v0 and v1 (i64); v9 is returned.
fn check(body: &str, expected: &str) {
    let clif = format!(
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
    );
    assert_eq!(disasm(&clif, false), expected.trim(), "\n{body}");
}

#[test]
fn tmp() {
    check("v9 = iadd v0, v1", "");
}
