//! Files of a kernel's size: one we make, always; the running kernel's, where it has one.

use std::sync::Arc;
use std::time::Instant;

use btf::core::{RelocKind, Spec, find_candidates, resolve};
use btf::{
    Btf, Builder, IntEncoding, Kind, KindSet, Linkage, Member, NameIndex, Param, Type, TypeId, fuzzing,
};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Many structs that point to each other and hold each other, and functions that take them.
fn synthetic(structs: u32) -> Result<Btf, btf::Error> {
    let mut b = Builder::new();
    let long = b.add_int("long", 8, IntEncoding { signed: true, ..Default::default() });
    let ids: Vec<TypeId> = (0..structs).map(|n| b.reserve_struct(&format!("s{n}"))).collect();
    for (n, &id) in (0_u32..).zip(&ids) {
        let peer = ids[(n as usize * 7 + 1) % ids.len()];
        let peer = b.add_ptr(peer);
        let names = ["a", "b", "c", "next"].map(|name| format!("{name}{}", n % 50));
        let members: Vec<Member<'_>> = (0_u32..)
            .zip(&names)
            .map(|(i, name)| {
                let ty = if i == 3 { peer } else { long };
                Member { name, ty, bit_offset: i * 64, bitfield_bits: None }
            })
            .collect();
        b.set_struct(id, &format!("s{n}"), 32, &members);
        let ptr = b.add_ptr(id);
        let proto = b.add_func_proto(long, &[Param { name: "s", ty: ptr }]);
        b.add_func(&format!("use_s{n}"), proto, Linkage::Static);
    }
    Btf::from_vec(b.finish()?)
}

/// Every type answers, every name is found, and every path leads to itself.
fn check(btf: &Btf) {
    fuzzing::walk(btf);
    let index = NameIndex::new(btf, KindSet::COMPOSITE);
    let mut fields = 0;
    for id in btf.ids() {
        let ty = btf.ty(id).expect("every id has a type");
        let Some(composite) = ty.composite().filter(|c| !c.name().is_empty()) else { continue };
        assert!(index.find(btf, composite.name()).any(|found| found == id));
        assert_eq!(btf.size_of(id), Ok(composite.size().into()));
        for index in 0..composite.len() {
            let spec = Spec::parse(btf, id, &format!("0:{index}"), RelocKind::FieldByteOffset);
            spec.and_then(|spec| spec.local_value()).expect("every member has an offset");
            fields += 1;
        }
    }
    assert!(fields > 1000, "a kernel has many fields, this file has {fields}");
}

#[test]
fn a_synthetic_kernel() -> Result<(), btf::Error> {
    let btf = synthetic(3000)?;
    check(&btf);
    assert_eq!(btf.find("s2999", Kind::Struct).count(), 1);
    assert_eq!(btf.find_funcs_matching(|name| name.ends_with("99")).count(), 30);
    Ok(())
}

#[test]
fn the_running_kernel() -> Result<(), Box<dyn std::error::Error>> {
    let data = match std::fs::read(VMLINUX) {
        Ok(data) => data,
        // The synthetic kernel above is the main case; say that this one did not run.
        Err(error) => {
            eprintln!("not run: {VMLINUX}: {error}");
            return Ok(());
        }
    };
    let started = Instant::now();
    let btf = Btf::parse(Arc::new(data))?;
    let parsed = started.elapsed();
    let task = btf.find("task_struct", Kind::Struct).next().ok_or("no task_struct")?;
    let found = started.elapsed() - parsed;
    eprintln!("{} types: parse {parsed:?}, find {found:?}", btf.len());
    check(&btf);

    let Type::Struct(fields) = btf.ty(task)? else { return Err("task_struct is no struct".into()) };
    let pid = fields.members().position(|member| member.name == "pid").ok_or("no pid")?;
    let spec = Spec::parse(&btf, task, &format!("0:{pid}"), RelocKind::FieldByteOffset)?;
    let outcome = resolve(&spec, &find_candidates(&spec, &[&btf])?)?.outcome;
    assert_eq!((outcome.value, outcome.poison), (outcome.local, false));
    let func = btf.find("vfs_read", Kind::Func).next().ok_or("no vfs_read")?;
    assert_eq!(
        btf.decl(func, ""),
        "ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)"
    );
    Ok(())
}
