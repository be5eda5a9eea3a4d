//! The script's C definitions, and its headers', as a BTF that continues vmlinux's.
//!
//! Input    the preamble, laid out
//! Output   a split BTF; kernel types that the preamble names are vmlinux's own
//! Ensures  a definition replaces the kernel's type of the same name, with one exception: a struct of a
//!          header that looks exactly like the kernel's (see `same.rs`) is the kernel's, so that accesses to
//!          it are relocated to the kernel they run on

use super::names::KernelNames;
use super::same::Same;
use crate::diag::{Diag, codes};
use crate::expand::c::{CIntKind, CType, Preamble, TagIdx};
use crate::syntax::ast::{Span, Tag};
use btf::{Btf, Builder, Enumerator, IntEncoding, Member, TypeId};
use std::sync::Arc;

/// The definitions as BTF; absent if there are none or they are too many.
pub fn preamble_btf(preamble: &Preamble, kernel: &KernelNames<'_>) -> (Option<Btf>, Vec<Diag>) {
    if preamble.is_empty() {
        return (None, Vec::new());
    }
    let base = Arc::clone(kernel.base());
    let out = Builder::split(Arc::clone(&base));
    let mut writer =
        Writer { preamble, kernel, out, composites: Vec::new(), enums: Vec::new(), typedefs: Vec::new() };
    writer.write();
    let written = writer.out.finish().map_err(|error| error.to_string());
    let read = written.and_then(|bytes| {
        Btf::parse_split(Arc::new(bytes), Arc::clone(&base)).map_err(|error| error.to_string())
    });
    match read {
        Ok(btf) => (Some(btf), Vec::new()),
        Err(why) => {
            let message = "the C definitions are too many for BTF";
            (None, vec![Diag::error(&codes::TOO_DEEP, message, Span::default(), "").note(why)])
        }
    }
}

struct Writer<'a> {
    preamble: &'a Preamble,
    kernel: &'a KernelNames<'a>,
    out: Builder,
    /// By `CompositeIdx`: reserved, or the kernel's.
    composites: Vec<TypeId>,
    /// By `EnumIdx`.
    enums: Vec<TypeId>,
    /// By `TypedefIdx`.
    typedefs: Vec<TypeId>,
}

impl Writer<'_> {
    fn write(&mut self) {
        let mut same = Same::new(self.preamble, self.kernel);
        let mut own = Vec::new();
        for (index, composite) in self.preamble.composites.iter().enumerate() {
            let name = composite.name.as_ref().map_or("", |name| name.text.as_str());
            let kernels = (composite.in_header && !name.is_empty())
                .then(|| self.kernel.find(Some(composite.tag), name))
                .flatten()
                .filter(|id| same.composite(index, *id));
            let id = kernels.unwrap_or_else(|| {
                own.push(index);
                match composite.tag {
                    Tag::Union => self.out.reserve_union(name),
                    Tag::Struct | Tag::Enum => self.out.reserve_struct(name),
                }
            });
            self.composites.push(id);
        }
        for e in &self.preamble.enums {
            let name = e.name.as_ref().map_or("", |name| name.text.as_str());
            let values: Vec<_> =
                e.values.iter().map(|v| Enumerator { name: &v.name.text, value: bits_of(v.value) }).collect();
            let id = if e.bytes > 4 {
                self.out.add_enum64(name, e.bytes, e.signed, &values)
            } else {
                self.out.add_enum(name, e.bytes, e.signed, &values)
            };
            self.enums.push(id);
        }
        for typedef in &self.preamble.typedefs {
            let to = self.ty(&typedef.ty);
            let id = self.out.add_typedef(&typedef.name.text, to);
            self.typedefs.push(id);
        }
        for index in own {
            self.composite(index);
        }
    }

    fn composite(&mut self, index: usize) {
        let composite = &self.preamble.composites[index];
        let types: Vec<TypeId> = composite.members.iter().map(|member| self.ty(&member.ty)).collect();
        let members: Vec<Member<'_>> = composite
            .members
            .iter()
            .zip(types)
            .map(|(member, ty)| Member {
                name: member.name.as_ref().map_or("", |name| name.text.as_str()),
                ty,
                bit_offset: member.bit_offset,
                bitfield_bits: member.bits,
            })
            .collect();
        let id = self.composites[index];
        let name = composite.name.as_ref().map_or("", |name| name.text.as_str());
        match composite.tag {
            Tag::Union => self.out.set_union(id, name, composite.extent.bytes, &members),
            Tag::Struct | Tag::Enum => self.out.set_struct(id, name, composite.extent.bytes, &members),
        }
    }

    fn ty(&mut self, ty: &CType) -> TypeId {
        match ty {
            CType::Void | CType::Function(_) => TypeId::VOID,
            CType::Bool => {
                let encoding = IntEncoding { bool: true, ..IntEncoding::default() };
                self.out.add_int("_Bool", 1, encoding)
            }
            CType::Int(int) => self.int(int),
            CType::Opaque(extent) => {
                let unit = extent.align.clamp(1, 16);
                let float = self.out.add_float("double", unit);
                match extent.bytes / unit {
                    1 => float,
                    len => self.array(float, len),
                }
            }
            // Typedefs refer to earlier ones only.
            CType::Typedef(idx) => self.typedefs.get(idx.0).copied().unwrap_or(TypeId::VOID),
            CType::Kernel(name) => self.kernel.find(None, name).unwrap_or(TypeId::VOID),
            CType::Tagged(tag, name) => self.tagged(*tag, name),
            CType::Composite(idx) => self.composites.get(idx.0).copied().unwrap_or(TypeId::VOID),
            CType::Enum(idx) => self.enums.get(idx.0).copied().unwrap_or(TypeId::VOID),
            CType::Pointer(to) => {
                let to = self.pointee(to);
                self.out.add_ptr(to)
            }
            CType::Array(of, len) => {
                let of = self.ty(of);
                self.array(of, len.unwrap_or(0))
            }
        }
    }

    fn array(&mut self, of: TypeId, len: u32) -> TypeId {
        let index = self.out.add_int("unsigned int", 4, IntEncoding::default());
        self.out.add_array(of, index, len)
    }

    fn int(&mut self, int: &CIntKind) -> TypeId {
        let encoding = IntEncoding { signed: int.signed, char: int.bytes == 1, bool: false };
        self.out.add_int(int.name, int.bytes, encoding)
    }

    /// What a pointer points at may be defined later.
    fn pointee(&mut self, to: &CType) -> TypeId {
        match to {
            CType::Tagged(tag, name) => match self.preamble.tagged(*tag, name) {
                Some(TagIdx::Composite(idx)) => self.composites.get(idx.0).copied().unwrap_or(TypeId::VOID),
                Some(TagIdx::Enum(idx)) => self.enums.get(idx.0).copied().unwrap_or(TypeId::VOID),
                None => self.tagged(*tag, name),
            },
            other => self.ty(other),
        }
    }

    /// The kernel's, or a mere declaration.
    fn tagged(&mut self, tag: Tag, name: &str) -> TypeId {
        self.kernel.find(Some(tag), name).unwrap_or_else(|| match tag {
            Tag::Enum => self.out.add_int("unsigned int", 4, IntEncoding::default()),
            Tag::Struct | Tag::Union => self.out.add_fwd(name, tag == Tag::Union),
        })
    }
}

fn bits_of(value: i128) -> u64 {
    u64::try_from(value).unwrap_or_else(|_| i64::try_from(value).unwrap_or(i64::MIN).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sources;
    use crate::expand::{Expanded, Headers, World, expand};
    use crate::fields::Fields;
    use crate::kernel::{BtfId, Kernel};
    use crate::types::{Space, Ty};
    use std::collections::BTreeMap;

    fn kernel() -> Kernel {
        let mut b = Builder::new();
        let int = b.add_int("int", 4, IntEncoding { signed: true, ..IntEncoding::default() });
        b.add_struct("sock", 4, &[Member { name: "n", ty: int, bit_offset: 0, bitfield_bits: None }]);
        b.add_typedef("pid_t", int);
        Kernel::from_bytes(b.finish().expect("small"), Vec::new()).expect("just written")
    }

    fn expanded(text: &str, kernel: &Kernel, headers: &BTreeMap<String, &str>) -> Expanded {
        let (script, diags) = crate::syntax::parse("a.bt", text);
        assert!(diags.is_empty(), "{diags:?}");
        let read = |path: &str| headers.get(path).map(|text| text.as_bytes().to_vec());
        let headers = Headers { read: &read, ..Headers::NONE };
        let names = KernelNames::new(kernel);
        let known = |tag: Option<Tag>, name: &str| names.extent(tag, name);
        let world = World { headers, kernel: &known };
        let mut sources = Sources::of("a.bt", text);
        let (expanded, diags) = expand(script, &BTreeMap::new(), &world, &mut sources);
        assert!(diags.is_empty(), "{diags:?}");
        expanded
    }

    #[test]
    fn a_header_that_says_what_the_kernel_says_changes_nothing() {
        let kernel = kernel();
        let found = |header: &str, script: &str| {
            let headers = BTreeMap::from([("a.h".to_owned(), header)]);
            let text = format!("#include \"a.h\"\n{script}\nstruct x {{ int a; }}; begin {{ }}");
            let (btf, diags) =
                preamble_btf(&expanded(&text, &kernel, &headers).preamble, &KernelNames::new(&kernel));
            assert!(diags.is_empty(), "{diags:?}");
            Fields::new(&kernel, btf).find_struct("sock").map(|c| c.btf)
        };
        assert_eq!(found("struct sock { int n; };", ""), Ok(BtfId::VMLINUX));
        assert_eq!(found("struct sock { unsigned n; };", ""), Ok(BtfId::SCRIPT));
        assert_eq!(found("struct sock { int n; int m; };", ""), Ok(BtfId::SCRIPT));
        assert_eq!(found("struct sock { int m; };", ""), Ok(BtfId::SCRIPT));
        assert_eq!(found("", "struct sock { int n; };"), Ok(BtfId::SCRIPT));
    }

    #[test]
    fn layout_of_definitions() {
        let text = "struct in { char kind; int len; };\n\
            struct out { char name[5]; struct in in; struct sock *sk; struct unknown *u; pid_t pid; \
            unsigned a:3, b:30; uint8_t mac[6]; };\n\
            struct small { char c; int i; } __attribute__((packed));\n\
            enum level { LOW = 1, HIGH = 9 };\nbegin { }";
        let kernel = kernel();
        let expanded = expanded(text, &kernel, &BTreeMap::new());
        let (btf, diags) = preamble_btf(&expanded.preamble, &KernelNames::new(&kernel));
        assert!(diags.is_empty(), "{diags:?}");
        let fields = Fields::new(&kernel, btf);
        let out = fields.find_struct("out").expect("defined");
        let member = |name| fields.member(out, name, Space::Kernel).expect("defined");
        assert_eq!((member("name").ty, member("in").bit_offset), (Ty::String(6), 64));
        assert_eq!((member("sk").bit_offset, member("pid").bit_offset), (128, 256));
        assert_eq!((member("a").bit_offset, member("b").bit_offset, member("b").bits), (288, 320, Some(30)));
        assert_eq!(fields.show(&member("mac").ty), "uint8[6]");
        assert_eq!(fields.show(&member("sk").ty), "struct sock *");
        assert_eq!(out.size, 56);
        assert_eq!(fields.find_struct("small").map(|c| c.size), Ok(5));
        assert_eq!(fields.enumerator("HIGH").map(|e| e.value), Ok(9));
    }
}
