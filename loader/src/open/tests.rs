//! Objects that open, objects that do not, and objects that are garbage.

use super::*;
use crate::object::Target;
use crate::sample;
use manifest::{AttachPoint, GlobalRole};
use std::time::{Duration, Instant};

fn refused(change: impl FnOnce(&mut Manifest)) -> String {
    let mut manifest = sample::manifest();
    change(&mut manifest);
    let error = parse(&sample::object_with(&manifest)).expect_err("accepted");
    crate::error::chain(&error)
}

#[test]
fn everything_is_found() {
    let object = parse(&sample::object()).expect("opens");
    let names: Vec<&str> = object.code.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, [".text", "raw_tp/begin", "fentry/f"]);
    let targets: Vec<Target> = object.code[1].relocs.iter().map(|reloc| reloc.target).collect();
    let expected =
        [Target::Map(0), Target::Data { section: 0, offset: 4 }, Target::Function(1), Target::Function(0)];
    assert_eq!(targets, expected);
    assert_eq!(object.code[2].relocs[0].target, Target::Extern(0));
    assert_eq!(object.externs[0].kind, ExternKind::Address);
    assert!(object.externs[0].weak);
    assert_eq!((object.maps[0].map_type, object.maps[0].key_size, object.maps[0].max_entries), (5, 8, 64));
    assert_eq!((object.events, object.script_maps.as_slice()), (Some(1), [0].as_slice()));
    assert_eq!(object.globals[0].size, 8);
    assert_eq!(object.lost_events.map(|place| place.offset), Some(8));
    assert_eq!(object.code[2].core_relos.len(), 1);
}

#[test]
fn refusals_say_what_and_where() {
    assert_eq!(
        parse(b"hello").expect_err("text").to_string(),
        "not an ELF file: expected an object built by `sondec build`"
    );
    assert!(
        parse(&sample::build(None))
            .expect_err("no manifest")
            .to_string()
            .starts_with("section `sonde` is missing")
    );
    for (text, expected) in [
        (
            refused(|m| m.probes[0].program = "nope".into()),
            "manifest probe `begin`: the object has no program `nope`",
        ),
        (
            refused(|m| m.probes[1].program = "p_begin".into()),
            "manifest probe `fentry:m:f`: program `p_begin` belongs to another probe",
        ),
        (
            refused(|m| m.probes[0].at = AttachPoint::Tracepoint { category: "a".into(), event: "b".into() }),
            "manifest probe `begin`: program `p_begin` is in section `raw_tp/begin`, of another kind",
        ),
        (refused(|m| m.maps[0].symbol = "x".into()), "manifest map `@c`: the object has no map `x`"),
        (
            refused(|m| m.maps[0].value = manifest::MapValue::Avg { signed: false }),
            "manifest map `@c`: `AT_c` has keys of 8 and values of 8 bytes, 0 and 16 are needed",
        ),
        (
            refused(|m| m.globals[0].symbol = "sonde_lost".into()),
            "manifest global `sonde_lost`: is not in .rodata",
        ),
        (
            refused(|m| m.globals[0].role = GlobalRole::PositionalStr { index: 1, size: 64 }),
            "manifest global `ncpus`: has another size than its role",
        ),
    ] {
        assert_eq!(text, expected);
    }
}

/// The fuzz entry of this module is `parse`: damaged objects end in an error or open, never in a panic.
#[test]
fn damaged_objects_do_no_harm() {
    let good = sample::object();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let until = Instant::now() + Duration::from_secs(1);
    let mut opened = 0;
    while Instant::now() < until {
        let mut bytes = good.clone();
        for _ in 0..=random() % 6 {
            let at = random() as usize % bytes.len();
            match random() % 4 {
                0 => bytes[at] ^= 1 << (random() % 8),
                1 => bytes[at] = [0, 0xff, 0x7f, 0x80][random() as usize % 4],
                2 => bytes.truncate(at.max(1)),
                _ => {
                    let word = [0u32, u32::MAX, 0x7fff_ffff, 0x8000_0000, 8][random() as usize % 5];
                    let end = (at + 4).min(bytes.len());
                    bytes[at..end].copy_from_slice(&word.to_le_bytes()[..end - at]);
                }
            }
        }
        if let Ok(object) = parse(&bytes) {
            opened += 1;
            for program in &object.programs {
                let linked = crate::relocate::link_program(&object, program, &[]);
                assert!(!linked.insns.is_empty());
            }
            let _ = crate::object_types::kernel_btf(object.btf.as_bytes(), crate::object_types::Level::Old);
            let _ = crate::inspect::Description(&object).to_string();
        }
    }
    assert!(opened > 0, "the mutations are too wild to test anything behind the ELF header");
}
