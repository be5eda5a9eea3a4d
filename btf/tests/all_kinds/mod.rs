//! Small files with a type of every kind.

use std::sync::Arc;

use btf::{Btf, Builder, Enumerator, IntEncoding, Linkage, Member, Param, SecVar, TypeId};

const SIGNED: IntEncoding = IntEncoding { signed: true, char: false, bool: false };

fn member(name: &str, ty: TypeId, bit_offset: u32, bitfield_bits: Option<u8>) -> Member<'_> {
    Member { name, ty, bit_offset, bitfield_bits }
}

fn fill(b: &mut Builder) {
    let int = b.add_int("int", 4, SIGNED);
    let char = b.add_int("char", 1, IntEncoding { char: true, ..SIGNED });
    let node = b.reserve_struct("node");
    let ptr = b.add_ptr(node);
    let array = b.add_array(char, int, 16);
    let inner = b.add_union("", 8, &[member("next", ptr, 0, None), member("raw", int, 0, None)]);
    let members = [
        member("", inner, 0, None),
        member("comm", array, 64, None),
        member("low", int, 192, Some(3)),
        member("high", int, 195, Some(9)),
    ];
    b.set_struct(node, "node", 32, &members);
    let values = [Enumerator { name: "A", value: 1 }, Enumerator { name: "B", value: u64::MAX }];
    b.add_enum("state", 4, true, &values);
    b.add_enum64("wide", 8, false, &values);
    b.add_fwd("file", false);
    b.add_fwd("any", true);
    let typedef = b.add_typedef("node_t", node);
    let constant = b.add_const(typedef);
    let volatile = b.add_volatile(constant);
    let pointer = b.add_ptr(volatile);
    let restrict = b.add_restrict(pointer);
    let user = b.add_type_tag("user", restrict);
    let params = [Param { name: "n", ty: user }, Param { name: "", ty: TypeId::VOID }];
    let proto = b.add_func_proto(int, &params);
    let func = b.add_func("run", proto, Linkage::Global);
    b.add_decl_tag("hot", func, Some(0));
    let var = b.add_var("head", ptr, Linkage::Static);
    b.add_datasec(".data", 8, &[SecVar { ty: var, offset: 0, size: 8 }]);
    b.add_float("double", 8);
}

/// A whole file.
pub(crate) fn whole() -> Vec<u8> {
    let mut b = Builder::new();
    fill(&mut b);
    b.finish().expect("within all limits")
}

/// The length of a distilled base, the base, and a file split from it.
pub(crate) fn base_and_split() -> Vec<u8> {
    let (base, split) = distilled();
    let len = u16::try_from(base.len()).expect("a small file");
    [len.to_le_bytes().as_slice(), &base, &split].concat()
}

/// The lengths of a distilled base and of a kernel's file, these two, and a file split from the base.
pub(crate) fn base_kernel_and_split() -> Vec<u8> {
    let (base, split) = distilled();
    let mut b = Builder::new();
    let long = b.add_int("long", 8, SIGNED);
    let int = b.add_int("int", 4, SIGNED);
    b.add_struct("file", 8, &[member("n", int, 0, None)]);
    b.add_struct("list", 16, &[member("next", long, 0, None)]);
    let kernel = b.finish().expect("within all limits");
    let lens = [&base, &kernel].map(|file| u16::try_from(file.len()).expect("a small file").to_le_bytes());
    [lens.as_flattened(), &base, &kernel, &split].concat()
}

/// A distilled base, and a file split from it.
fn distilled() -> (Vec<u8>, Vec<u8>) {
    let mut b = Builder::new();
    let int = b.add_int("int", 4, SIGNED);
    let list = b.add_struct("list", 16, &[]);
    let file = b.add_fwd("file", false);
    let base = b.finish().expect("within all limits");
    let parsed = Arc::new(Btf::from_vec(base.clone()).expect("it was just written"));
    let mut b = Builder::split(parsed);
    let file = b.add_ptr(file);
    let members =
        [member("list", list, 0, None), member("file", file, 128, None), member("n", int, 192, None)];
    b.add_struct("mine", 32, &members);
    fill(&mut b);
    let split = b.finish().expect("within all limits");
    (base, split)
}
