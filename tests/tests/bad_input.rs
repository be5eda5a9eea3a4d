//! Damaged and hostile objects are refused: a message, an exit status, nothing loaded, nothing attached.
//!
//! Each damage is one case; all run in one guest, where strace shows that no program reached the kernel.

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use std::process::ExitCode;
use std::sync::Arc;
use tests::job::{Job, Outcome};
use tests::vm::{self, Batch};
use tests::{Failure, image, kernel_btf, lab, objects, verdict};

/// Statuses of the script below, beyond what the loader itself can return.
const LEFT_SOMETHING: i32 = 99;
const REACHED_THE_KERNEL: i32 = 98;

/// Runs the loader on `$O` and watches what it does to the kernel.
const WATCHED_RUN: &str = r#"
count() { bpftool prog list; bpftool link list; bpftool map list; }
before=$(count | grep -c '^[0-9]')
timeout -s INT -k 5 20 strace -f -qq -o /tmp/calls -e trace=bpf,perf_event_open sonde run "$O"
status=$?
after=$(count | grep -c '^[0-9]')
[ "$before" = "$after" ] || { echo "$before before, $after after"; exit 99; }
grep -E 'BPF_PROG_LOAD|BPF_LINK_CREATE|BPF_RAW_TRACEPOINT_OPEN|perf_event_open\(' /tmp/calls && exit 98
exit $status
"#;

struct Damage {
    name: String,
    object: Vec<u8>,
}

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let trials = if args.list { Ok(Vec::new()) } else { trials() };
    match trials {
        Ok(trials) => libtest_mimic::run(&args, trials).exit_code(),
        Err(why) => {
            eprintln!("bad_input: {why}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>, Failure> {
    lab::set_up()?;
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let script = lab::tree().join("tests/cases/modules/nf_tables.bt");
    let object = dir.path().join("good.bpf.o");
    objects::build(&script, &object, &kernel_btf::directory(lab::BUILD_KERNEL, &["nf_tables"])?)?;
    let damages = damages(&std::fs::read(&object).map_err(|e| e.to_string())?)?;

    let mut batch = Batch::new(lab::BUILD_KERNEL)?;
    batch.need_modules(&["nf_tables".to_owned()]);
    batch.put(&objects::sonde()?, "bin/sonde")?;
    for damage in &damages {
        let file = dir.path().join("damaged");
        std::fs::write(&file, &damage.object).map_err(|e| e.to_string())?;
        let guest = batch.put(&file, &format!("objects/{}", damage.name))?;
        let argv = ["sh", "-c", &format!("O={guest}\n{WATCHED_RUN}")].map(str::to_owned).to_vec();
        batch.jobs.push(Job { id: damage.name.clone(), argv, limit_s: 60, ..Job::default() });
    }
    let batch = Arc::new(batch);
    vm::start(std::slice::from_ref(&batch));
    Ok(damages
        .into_iter()
        .map(|damage| {
            let batch = Arc::clone(&batch);
            Trial::test(damage.name.clone(), move || {
                batch.wait(&damage.name).and_then(|outcome| refused(&outcome)).map_err(Failed::from)
            })
        })
        .collect())
}

fn refused(outcome: &Outcome) -> Result<(), Failure> {
    let why = match outcome.status {
        0 => "the object was accepted",
        LEFT_SOMETHING => "programs, maps or links were left in the kernel",
        REACHED_THE_KERNEL => "a program was loaded or attached before the refusal",
        124 => "the loader ran on until it was interrupted",
        128.. => "the loader died of a signal",
        _ if outcome.timed_out => "the loader hung",
        _ if outcome.err.contains("panicked") => "the loader panicked",
        _ if outcome.err.trim().is_empty() => "no message",
        _ => return Ok(()),
    };
    Err(format!("{why}\n{}", verdict::context(outcome)))
}

fn damages(good: &[u8]) -> Result<Vec<Damage>, Failure> {
    let mut all = Vec::new();
    let mut add = |name: &str, object: Vec<u8>| all.push(Damage { name: name.to_owned(), object });
    add("empty", Vec::new());
    add("not_elf", b"#!/bin/sh\necho no\n".to_vec());
    for (name, keep) in
        [("in_header", 40), ("after_header", 64), ("half", good.len() / 2), ("last_byte", good.len() - 1)]
    {
        add(&format!("truncated_{name}"), good[..keep].to_vec());
    }
    let patch = |section: &str, at: usize, bytes: &[u8]| -> Result<Vec<u8>, Failure> {
        let mut object = good.to_vec();
        let start = image::section(good, section)?.start + at;
        object[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(object)
    };
    // struct btf_header: magic u16, version u8, flags u8, hdr_len, type_off, type_len, str_off, str_len.
    add("btf_magic", patch(".BTF", 0, &[0, 0])?);
    add("btf_version", patch(".BTF", 2, &[77])?);
    add("btf_hdr_len_huge", patch(".BTF", 4, &u32::MAX.to_le_bytes())?);
    add("btf_hdr_len_short", patch(".BTF", 4, &4u32.to_le_bytes())?);
    add("btf_type_len_huge", patch(".BTF", 12, &u32::MAX.to_le_bytes())?);
    add("btf_str_off_huge", patch(".BTF", 16, &0x7fff_ffffu32.to_le_bytes())?);
    add("btf_empty", image::with_section(good, ".BTF", b"")?);
    add("btf_ext_magic", patch(".BTF.ext", 0, &[0, 0])?);
    add("btf_ext_hdr_len", patch(".BTF.ext", 4, &u32::MAX.to_le_bytes())?);
    add("btf_ext_core_len", patch(".BTF.ext", 28, &u32::MAX.to_le_bytes())?);
    for (name, manifest) in hostile_manifests(&good[image::section(good, manifest::SECTION)?])? {
        add(&format!("manifest_{name}"), image::with_section(good, manifest::SECTION, &manifest)?);
    }
    Ok(all)
}

fn hostile_manifests(good: &[u8]) -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
    let value: Value = serde_json::from_slice(good).map_err(|e| format!("the manifest: {e}"))?;
    let text = |value: &Value| value.to_string().into_bytes();
    let deep = [b"[".repeat(200_000), b"]".repeat(200_000)].concat();
    let mut version = value.clone();
    if let Some(v) = version.get_mut("version") {
        *v = Value::from(u32::MAX);
    }
    let mut huge = value.clone();
    numbers(&mut huge, &|_| Value::from(u32::MAX));
    let mut off_by_many = value.clone();
    numbers(&mut off_by_many, &|n| Value::from(n + 1000));
    let mut names = value.clone();
    strings(&mut names, &|_| Value::from("../../../../proc/self/mem\u{1b}[2J"));
    Ok(vec![
        ("empty", Vec::new()),
        ("not_json", b"\x00\xff\xfe{".to_vec()),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("wrong_shape", b"[1, 2, 3]".to_vec()),
        ("deep", deep),
        ("version", text(&version)),
        ("huge_numbers", text(&huge)),
        ("wrong_indexes", text(&off_by_many)),
        ("hostile_names", text(&names)),
    ])
}

fn numbers(value: &mut Value, change: &dyn Fn(u64) -> Value) {
    match value {
        Value::Number(n) => *value = change(n.as_u64().unwrap_or(0)),
        Value::Array(items) => items.iter_mut().for_each(|v| numbers(v, change)),
        // The version is a damage of its own.
        Value::Object(fields) => {
            fields.iter_mut().filter(|(k, _)| *k != "version").for_each(|(_, v)| numbers(v, change));
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn strings(value: &mut Value, change: &dyn Fn(&str) -> Value) {
    match value {
        Value::String(s) => *value = change(s),
        Value::Array(items) => items.iter_mut().for_each(|v| strings(v, change)),
        Value::Object(fields) => fields.iter_mut().for_each(|(_, v)| strings(v, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
