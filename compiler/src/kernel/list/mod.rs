//! `sondec list`: probes and types of a kernel description, as `bpftrace -l` shows them.
//!
//! Input    a pattern: `kprobe:vfs_*`, `vfs_*`, `struct file`; several separated by commas
//! Output   one line per probe or type, sorted; with `verbose` the parameters or the definition below
//! Ensures  modules are opened only if the pattern asks for them
//!
//! | file | holds |
//! | --- | --- |
//! | `probes.rs` | what there is of each kind of probe |
//! | `parameters.rs` | the lines below a probe |
//! | `types.rs` | structs, unions and enums |

mod parameters;
mod probes;
mod types;

use super::Kernel;
use super::pattern::{is_pattern, matches};
use parameters::Tables;
use probes::{LISTERS, Place, Wanted};
use std::fmt::Write as _;

/// The listing as text, every line with its line break.
pub fn list(kernel: &Kernel, pattern: Option<&str>, verbose: bool) -> String {
    let pattern = pattern.unwrap_or("*");
    if let Some(text) = types::list(kernel, pattern, verbose) {
        return text;
    }
    let mut out = String::new();
    let mut tables = Tables::new(kernel);
    for lister in LISTERS {
        let mut places = Vec::new();
        for pattern in pattern.split(',') {
            let (provider, rest) = split(pattern);
            let named = provider.is_some_and(|name| lister.name == name || lister.aliases.contains(&name));
            let by_pattern = provider.is_none_or(|p| is_pattern(p) && matches(p, lister.name));
            if named || by_pattern && !lister.named_only {
                let (group, name) =
                    rest.split_once(':').map_or((None, rest), |(group, name)| (Some(group), name));
                let name = if name.is_empty() { "*" } else { name };
                (lister.find)(kernel, &Wanted { group, name }, &mut places);
            }
        }
        // What the kernel split off a function is no function to the script.
        places.retain(|place| !place.name.contains(".part."));
        places.sort_by(Place::order);
        places.dedup_by(|a, b| a.order(b).is_eq());
        for place in places {
            let glue = if place.group.is_empty() { "" } else { ":" };
            // Writing to a `String` cannot fail.
            let _ = writeln!(out, "{}:{}{glue}{}", lister.name, place.group, place.name);
            if verbose {
                for line in (lister.parameters)(&mut tables, &place) {
                    let _ = writeln!(out, "    {line}");
                }
            }
        }
    }
    out
}

/// Provider and the rest; a pattern without a colon is for functions of all kinds.
fn split(pattern: &str) -> (Option<&str>, &str) {
    pattern.split_once(':').map_or((None, pattern), |(provider, rest)| (Some(provider), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use btf::{Builder, IntEncoding, Linkage, Member, Param};
    use std::sync::Arc;

    fn member(name: &str, ty: btf::TypeId, bit_offset: u32) -> Member<'_> {
        Member { name, ty, bit_offset, bitfield_bits: None }
    }

    fn vmlinux() -> Vec<u8> {
        let mut b = Builder::new();
        let int = b.add_int("int", 4, IntEncoding { signed: true, ..IntEncoding::default() });
        let inner = b.add_union("", 4, &[member("b", int, 0), member("c", int, 0)]);
        let s = b.add_struct("s", 8, &[member("a", int, 0), member("", inner, 32)]);
        let pointer = b.add_ptr(s);
        let params = [Param { name: "x", ty: pointer }, Param { name: "n", ty: int }];
        let proto = b.add_func_proto(int, &params);
        b.add_func("do_it", proto, Linkage::Static);
        let none = b.add_func_proto(btf::TypeId::VOID, &[]);
        b.add_func("do_none", none, Linkage::Static);
        let many = b.add_func_proto(int, &[Param { name: "n", ty: int }; 7]);
        b.add_func("do_many", many, Linkage::Static);
        let variadic = [Param { name: "n", ty: int }, Param { name: "", ty: btf::TypeId::VOID }];
        let variadic = b.add_func_proto(int, &variadic);
        b.add_func("say", variadic, Linkage::Static);
        let traced = b.add_ptr(proto);
        b.add_typedef("btf_trace_sched_switch", traced);
        b.add_struct(
            "trace_event_raw_sched_switch",
            8,
            &[member("ent", int, 0), member("prev_pid", int, 32)],
        );
        b.add_enum("level", 4, false, &[btf::Enumerator { name: "LOW", value: 1 }]);
        b.finish().expect("small")
    }

    /// A module with its own `struct s`, and one of the same layout as vmlinux's.
    fn kernel() -> Kernel {
        let base = Arc::new(btf::Btf::from_vec(vmlinux()).expect("just written"));
        let mut b = Builder::split(Arc::clone(&base));
        let int = base.find("int", btf::Kind::Int).next().expect("it is there");
        let s = b.add_struct("s", 4, &[member("own", int, 0)]);
        b.add_struct("t", 4, &[member("own", int, 0)]);
        b.add_enum("level", 4, false, &[btf::Enumerator { name: "LOW", value: 1 }]);
        let proto = b.add_func_proto(int, &[Param { name: "s", ty: s }]);
        b.add_func("do_it", proto, Linkage::Static);
        let module = b.finish().expect("small");
        Kernel::from_bytes(vmlinux(), vec![("mod".to_owned(), module)]).expect("just written")
    }

    #[track_caller]
    fn check(pattern: &str, verbose: bool, expected: &str) {
        assert_eq!(list(&kernel(), Some(pattern), verbose), expected, "{pattern}");
    }

    #[test]
    fn probes() {
        check("fentry:vmlinux:do*", false, "fentry:vmlinux:do_it\nfentry:vmlinux:do_none\n");
        check("fentry:do_it", false, "fentry:mod:do_it\nfentry:vmlinux:do_it\n");
        check("do_i*", false, "fentry:mod:do_it\nfentry:vmlinux:do_it\nkprobe:do_it\n");
        check("k:vmlinux:do_it", false, "kprobe:vmlinux:do_it\n");
        check("t:*switch", false, "tracepoint:sched:sched_switch\n");
        check("nothing_like_this", false, "");
        check("kprobe:mod:*,kretprobe:mod:*", false, "kprobe:mod:do_it\nkretprobe:mod:do_it\n");
    }

    #[test]
    fn parameters() {
        let do_it = "    struct s * x\n    int n\n";
        check("fentry:vmlinux:do_it", true, &format!("fentry:vmlinux:do_it\n{do_it}"));
        check("fexit:vmlinux:do_it", true, &format!("fexit:vmlinux:do_it\n{do_it}    int retval\n"));
        check("fentry:do_none", true, "fentry:vmlinux:do_none\n");
        check("fentry:say", true, "fentry:vmlinux:say\n    int n\n    void \n");
        check("k:do_it", true, "kprobe:do_it\n    struct s * arg0\n    int arg1\n");
        check("k:mod:do_it", true, "kprobe:mod:do_it\n    struct s arg0\n");
        check("kr:do_it", true, "kretprobe:do_it\n    int retval\n");
        check("kr:do_none", true, "kretprobe:do_none\n    void\n");
        check("t:*switch", true, "tracepoint:sched:sched_switch\n    int prev_pid\n");
        check("rt:*", true, "rawtracepoint:vmlinux:sched_switch\n    int n\n");
    }

    #[test]
    fn types() {
        check("struct *", false, "struct s\nstruct t\nstruct trace_event_raw_sched_switch\n");
        let theirs = "vmlinux: struct s {\n\tint a;\n\tunion {\n\t\tint b;\n\t\tint c;\n\t};\n};\n\n";
        let own = "mod: struct s {\n\tint own;\n};\n\n";
        check("struct s", true, &format!("{theirs}{own}"));
        check("enum level", true, "vmlinux: enum level {\n\tLOW = 1,\n};\n\n");
        check("union s", false, "");
    }
}
