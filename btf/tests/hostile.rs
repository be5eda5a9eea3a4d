//! Every reader survives damaged files, for about a second each; `fuzz/` runs the same for hours.

mod all_kinds;

use btf::ext::{ByteOff, CoreRelo, ExtBuilder, FuncInfo, LineInfo};
use btf::{StrOff, TypeId, core::RelocKind, fuzzing};
use proptest::prelude::*;

/// Where to write what, as fractions of the file, and where to cut it.
fn damage() -> impl Strategy<Value = (Vec<(u16, u8)>, u16)> {
    let bytes = prop_oneof![any::<u8>(), Just(0), Just(1), Just(0xff), Just(0x80)];
    (prop::collection::vec((any::<u16>(), bytes), 0..6), any::<u16>())
}

fn apply(good: &[u8], (edits, cut): &(Vec<(u16, u8)>, u16)) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for &(at, value) in edits {
        let at = usize::from(at) * bytes.len() / 0x1_0000;
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
    }
    // Most cases keep the whole file: a cut one is refused early.
    if *cut > 0xe000 {
        bytes.truncate(usize::from(*cut) * bytes.len() / 0x1_0000);
    }
    bytes
}

fn sample_ext() -> Vec<u8> {
    let mut b = ExtBuilder::new();
    for n in 0..4 {
        let insn = ByteOff(n * 8);
        b.add_func(StrOff(n % 2), FuncInfo { insn, ty: TypeId(n) });
        b.add_line(StrOff(1), LineInfo { insn, file: StrOff(1), text: StrOff(2), line: n, column: n });
        b.add_relo(StrOff(1), CoreRelo { insn, ty: TypeId(n), access: StrOff(3), kind: RelocKind::TypeSize });
    }
    b.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whole(damage in damage()) {
        fuzzing::whole(&apply(&all_kinds::whole(), &damage));
    }

    #[test]
    fn split(damage in damage()) {
        fuzzing::split(&apply(&all_kinds::base_and_split(), &damage));
    }

    #[test]
    fn distilled(damage in damage()) {
        fuzzing::distilled(&apply(&all_kinds::base_kernel_and_split(), &damage));
    }

    #[test]
    fn ext(damage in damage()) {
        fuzzing::ext(&apply(&sample_ext(), &damage));
    }
}

#[test]
fn each_single_byte() {
    let good = all_kinds::whole();
    for at in 0..good.len() {
        for value in [0, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = value;
            fuzzing::whole(&bytes);
        }
    }
}

#[test]
fn the_samples_themselves_are_good() {
    let btf = btf::Btf::from_vec(all_kinds::whole()).expect("the sample parses");
    let kinds: std::collections::BTreeSet<_> =
        btf.ids().filter_map(|id| btf.ty(id).ok()?.kind()).map(|kind| kind as u8).collect();
    assert_eq!(kinds, (1..=19).collect(), "all kinds are in the sample");
    fuzzing::walk(&btf);
    fuzzing::split(&all_kinds::base_and_split());
    fuzzing::distilled(&all_kinds::base_kernel_and_split());
    fuzzing::ext(&sample_ext());
}
