//! C items and headers: see `compiler::expand::c::fuzzing::preamble`.
#![no_main]

use std::sync::LazyLock;

use compiler::kernel::Kernel;

static KERNEL: LazyLock<Kernel> = LazyLock::new(|| {
    let mut b = btf::Builder::new();
    let int = b.add_int("int", 4, btf::IntEncoding::default());
    b.add_struct("sock", 4, &[btf::Member { name: "n", ty: int, bit_offset: 0, bitfield_bits: None }]);
    b.add_typedef("pid_t", int);
    Kernel::from_bytes(b.finish().expect("small"), Vec::new()).expect("just written")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| compiler::expand::c::fuzzing::preamble(&KERNEL, data));
