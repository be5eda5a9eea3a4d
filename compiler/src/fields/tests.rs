//! Over a small synthetic kernel.

use super::*;
use crate::types::{Int, Space};
use btf::{Builder, IntEncoding, Member as M};

/// `struct s { int a; union { u8 mac[6]; struct { unsigned b:3; int c:5; }; }; struct t *next;
/// char __user *text; float f; }`, `struct t` only declared.
fn kernel() -> Kernel {
    let mut b = Builder::new();
    let signed = IntEncoding { signed: true, ..IntEncoding::default() };
    let int = b.add_int("int", 4, signed);
    let uint = b.add_int("unsigned int", 4, IntEncoding::default());
    let u8 = b.add_int("unsigned char", 1, IntEncoding::default());
    let char = b.add_int("char", 1, IntEncoding { char: true, ..signed });
    let float = b.add_float("float", 4);
    let mac = b.add_array(u8, uint, 6);
    let plain = |name, ty, bits| M { name, ty, bit_offset: bits, bitfield_bits: None };
    let bits = |name, ty, at, width| M { name, ty, bit_offset: at, bitfield_bits: Some(width) };
    let inner = b.add_struct("", 4, &[bits("b", uint, 0, 3), bits("c", int, 3, 5)]);
    let union = b.add_union("", 8, &[plain("mac", mac, 0), plain("", inner, 0)]);
    let fwd = b.add_fwd("t", false);
    let next = b.add_ptr(fwd);
    let tagged = b.add_type_tag("user", char);
    let text = b.add_ptr(tagged);
    b.add_struct(
        "s",
        40,
        &[
            plain("a", int, 0),
            plain("", union, 32),
            plain("next", next, 128),
            plain("text", text, 192),
            plain("f", float, 256),
        ],
    );
    b.add_enum("e", 4, false, &[btf::Enumerator { name: "RED", value: 2 }]);
    let bytes = b.finish().expect("small");
    let base = Arc::new(btf::Btf::from_vec(bytes.clone()).expect("just written"));
    let mut module = Builder::split(base);
    module.add_struct("t", 4, &[plain("x", int, 0)]);
    let module = module.finish().expect("small");
    Kernel::from_bytes(bytes, vec![("mod".to_owned(), module)]).expect("just written")
}

use std::sync::Arc;

#[test]
fn members_through_anonymous_ones() {
    let kernel = kernel();
    let fields = Fields::new(&kernel, None);
    let s = fields.find_struct("s").expect("defined");
    assert_eq!(s.size, 40);
    let member = |name| fields.member(s, name, Space::Typed).expect("defined");

    let mac = member("mac");
    assert_eq!((mac.path, mac.bit_offset, mac.ty), (vec![1, 0], 32, Ty::String(6)));
    let c = member("c");
    assert_eq!((c.path, c.bit_offset, c.bits, c.signed), (vec![1, 1, 1], 35, Some(5), true));
    assert_eq!(member("f").ty, Ty::None);
    assert_eq!(fields.show(&member("text").ty), "int8 *");
    assert!(matches!(member("text").ty, Ty::Ptr(_, Space::User)));
    assert!(fields.member(s, "nope", Space::Typed).is_none());
    assert_eq!(fields.member_names(s), ["a", "mac", "b", "c", "next", "text", "f"]);
}

#[test]
fn declarations_are_completed_from_modules() {
    let kernel = kernel();
    let fields = Fields::new(&kernel, None);
    let s = fields.find_struct("s").expect("defined");
    let Ty::Ptr(next, Space::Kernel) = fields.member(s, "next", Space::Typed).expect("defined").ty else {
        panic!("a plain pointer, for the verifier does not know the struct");
    };
    let Ty::Struct(declared) = *next else { panic!("to a struct") };
    let defined = fields.complete(declared).expect("the module has it");
    assert_eq!(fields.file_name(defined.btf), "mod");
    let x = fields.member(defined, "x", Space::Kernel).expect("defined");
    assert_eq!(x.ty, Ty::Int(Int { size: 4, signed: true }));
}

#[test]
fn enumerators() {
    let kernel = kernel();
    let fields = Fields::new(&kernel, None);
    assert_eq!(fields.enumerator("RED").map(|e| e.value), Ok(2));
    assert_eq!(fields.enumerator("BLUE"), Err(NotFound::Unknown));
}

/// Two modules with a `struct pair { int a; struct file *f; }` each, the second's changed by `change`.
fn pairs(change: impl FnOnce(&mut Builder, [TypeId; 2]) -> TypeId) -> Kernel {
    let mut b = Builder::new();
    let int = b.add_int("int", 4, IntEncoding { signed: true, ..IntEncoding::default() });
    let long = b.add_int("long", 8, IntEncoding { signed: true, ..IntEncoding::default() });
    let bytes = b.finish().expect("small");
    let base = Arc::new(btf::Btf::from_vec(bytes.clone()).expect("just written"));
    let member = |name, ty, bit_offset| M { name, ty, bit_offset, bitfield_bits: None };
    let mut one = Builder::split(Arc::clone(&base));
    let file = one.add_struct("file", 8, &[member("pos", long, 0)]);
    let file = one.add_ptr(file);
    one.add_struct("pair", 16, &[member("a", int, 0), member("f", file, 64)]);
    let mut two = Builder::split(base);
    change(&mut two, [int, long]);
    let modules = [("one", one), ("two", two)].map(|(name, b)| (name.to_owned(), b.finish().expect("small")));
    Kernel::from_bytes(bytes, modules.into()).expect("just written")
}

#[test]
fn copies_of_a_type_are_one_type() {
    let member = |name, ty, bit_offset| M { name, ty, bit_offset, bitfield_bits: None };
    let ambiguous = |kernel: Kernel| {
        let fields = Fields::new(&kernel, None);
        match fields.find_struct("pair") {
            Ok(found) => {
                assert_eq!(fields.file_name(found.btf), "one");
                false
            }
            Err(NotFound::Ambiguous(found)) => {
                let diag = fields.ambiguous("struct pair", &found, crate::syntax::ast::Span::default());
                assert!(matches!(&diag.notes[0], crate::diag::Note::Note(text) if text.contains("`one`")
                    && text.contains("`two`")));
                true
            }
            Err(NotFound::Unknown) => panic!("both modules have it"),
        }
    };
    // The pointee is only declared, a typedef is in between.
    assert!(!ambiguous(pairs(|b, [int, _]| {
        let file = b.add_fwd("file", false);
        let file = b.add_ptr(file);
        let word = b.add_typedef("word", int);
        b.add_struct("pair", 16, &[member("a", word, 0), member("f", file, 64)])
    })));
    // Another name, place, size, pointee.
    for (name, at, size, pointee) in
        [("b", 0, 16, "file"), ("a", 32, 16, "file"), ("a", 0, 24, "file"), ("a", 0, 16, "dir")]
    {
        assert!(ambiguous(pairs(|b, [int, _]| {
            let file = b.add_fwd(pointee, false);
            let file = b.add_ptr(file);
            b.add_struct("pair", size, &[member(name, int, at), member("f", file, 64)])
        })));
    }
    // Another type of a member.
    assert!(ambiguous(pairs(|b, [_, long]| {
        let file = b.add_fwd("file", false);
        let file = b.add_ptr(file);
        b.add_struct("pair", 16, &[member("a", long, 0), member("f", file, 64)])
    })));
}

#[test]
fn enumerators_with_different_values_are_ambiguous() {
    for (value, expected) in [(2, Ok(2)), (3, Err(2))] {
        let kernel = {
            let mut b = Builder::new();
            b.add_int("int", 4, IntEncoding::default());
            let bytes = b.finish().expect("small");
            let base = Arc::new(btf::Btf::from_vec(bytes.clone()).expect("just written"));
            let modules = [("one", 2), ("two", value)].map(|(name, value)| {
                let mut b = Builder::split(Arc::clone(&base));
                b.add_enum("colour", 4, false, &[btf::Enumerator { name: "GREEN", value }]);
                (name.to_owned(), b.finish().expect("small"))
            });
            Kernel::from_bytes(bytes, modules.into()).expect("just written")
        };
        let fields = Fields::new(&kernel, None);
        let found = fields.enumerator("GREEN").map(|e| e.value).map_err(|e| match e {
            NotFound::Ambiguous(found) => found.len(),
            NotFound::Unknown => 0,
        });
        assert_eq!(found, expected);
        fields.prefer(Near::File(kernel.find("two").expect("readable").expect("there")));
        assert_eq!(fields.enumerator("GREEN").map(|e| e.value), Ok(value));
    }
}

#[test]
fn parts_of_a_value() {
    let kernel = kernel();
    let fields = Fields::new(&kernel, None);
    let s = fields.find_struct("s").expect("defined");
    let parts: Vec<_> = fields
        .leaves(&Ty::Struct(s))
        .expect("a struct")
        .into_iter()
        .map(|l| (l.path, l.bit_offset, l.shape))
        .collect();
    let scalar = |bytes, signed| Shape::Scalar { bytes, signed };
    assert_eq!(
        parts,
        [
            (vec![0], 0, scalar(4, true)),
            // The union as a whole, by its first member.
            (vec![1, 0], 32, Shape::Bytes { bytes: 8, is_whole: false }),
            (vec![2], 128, scalar(8, false)),
            (vec![3], 192, scalar(8, false)),
            (vec![4], 256, Shape::Bytes { bytes: 4, is_whole: true }),
        ]
    );
    let two = fields.leaves(&Ty::Array(Box::new(Ty::Struct(s)), 2)).expect("structs");
    assert_eq!((two.len(), two[5].path.clone(), two[5].bit_offset), (10, vec![1, 0], 320));
    assert_eq!(fields.leaves(&Ty::String(4)), None);
}
