//! BTF for tests, from a few lines of text.
//!
//! ```text
//! struct inner 8: x int 0, y u32 32
//! union .anon 4: a int 0                     a name with a dot is left out of the BTF
//! struct s 24: .anon 0, p * 64, b u32 128:3  bit-field of three bits
//! enum e 4: A=1, B=-2                        also enum64
//! fwd f
//! typedef name type
//! ```
//! Types: `int u8 u16 u32 u64 s8 * float`, a name from an earlier line, and `T[n]`.

use std::collections::HashMap;

use crate::{Btf, Builder, Enumerator, Error, IntEncoding, Member, TypeId};

struct Sample {
    builder: Builder,
    types: HashMap<String, TypeId>,
}

/// The BTF that the lines describe.
pub(crate) fn sample(lines: &str) -> Result<Btf, Error> {
    let mut builder = Builder::new();
    let mut types = HashMap::new();
    let ints = [("int", 4, true), ("s8", 1, true), ("u8", 1, false), ("u16", 2, false), ("u32", 4, false)];
    for (name, size, signed) in ints.into_iter().chain([("u64", 8, false)]) {
        let encoding = IntEncoding { signed, ..Default::default() };
        types.insert(name.to_owned(), builder.add_int(name, size, encoding));
    }
    types.insert("*".to_owned(), builder.add_ptr(TypeId::VOID));
    types.insert("float".to_owned(), builder.add_float("float", 4));
    let mut sample = Sample { builder, types };
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| sample.add(line));
    Btf::from_vec(sample.builder.finish()?)
}

impl Sample {
    fn add(&mut self, line: &str) {
        let (head, list) = line.split_once(':').unwrap_or((line, ""));
        let head: Vec<&str> = head.split_whitespace().collect();
        let list: Vec<&str> = list.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        let [keyword, name, rest @ ..] = head.as_slice() else { panic!("short line: {line}") };
        let tag = if name.starts_with('.') { "" } else { name };
        let size = rest.first().and_then(|size| size.parse().ok()).unwrap_or(0);
        let id = match *keyword {
            "struct" | "union" => {
                let members: Vec<_> = list.iter().map(|item| self.member(item)).collect();
                match *keyword {
                    "struct" => self.builder.add_struct(tag, size, &members),
                    _ => self.builder.add_union(tag, size, &members),
                }
            }
            "enum" | "enum64" => {
                let values: Vec<_> = list.iter().map(|item| value(item)).collect();
                let signed = values.iter().any(|value| value.value.cast_signed() < 0);
                match *keyword {
                    "enum" => self.builder.add_enum(tag, size, signed, &values),
                    _ => self.builder.add_enum64(tag, size, signed, &values),
                }
            }
            "fwd" => self.builder.add_fwd(tag, false),
            "typedef" => {
                let ty = self.ty(rest.first().expect("a typedef names its type"));
                self.builder.add_typedef(tag, ty)
            }
            other => panic!("unknown keyword {other}"),
        };
        self.types.insert((*name).to_owned(), id);
    }

    fn ty(&mut self, text: &str) -> TypeId {
        match text.strip_suffix(']').and_then(|text| text.rsplit_once('[')) {
            Some((elem, len)) => {
                let elem = self.ty(elem);
                let index = self.ty("u32");
                self.builder.add_array(elem, index, len.parse().expect("a length"))
            }
            None => *self.types.get(text).unwrap_or_else(|| panic!("unknown type {text}")),
        }
    }

    fn member<'a>(&mut self, item: &'a str) -> Member<'a> {
        let words: Vec<&str> = item.split_whitespace().collect();
        let (name, ty, at) = match words.as_slice() {
            [ty, at] => ("", *ty, *at),
            [name, ty, at] => (*name, *ty, *at),
            _ => panic!("not a member: {item}"),
        };
        let (at, bits) = at.split_once(':').unwrap_or((at, ""));
        let bit_offset = at.parse().expect("an offset in bits");
        Member { name, ty: self.ty(ty), bit_offset, bitfield_bits: bits.parse().ok() }
    }
}

fn value(item: &str) -> Enumerator<'_> {
    let (name, value) = item.split_once('=').expect("NAME=VALUE");
    Enumerator { name, value: value.parse::<i64>().expect("a number").cast_unsigned() }
}
