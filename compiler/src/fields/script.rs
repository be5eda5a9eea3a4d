//! The script's C definitions as a BTF that continues vmlinux's.
//!
//! Input    the preamble as read, without layout
//! Output   a split BTF; kernel types that the preamble names are vmlinux's own
//! Ensures  sizes and offsets follow the System V ABI of 64-bit machines

use crate::diag::Diag;
use crate::expand::c::{CComposite, CIntKind, CMember, CType, Preamble};
use crate::kernel::Kernel;
use crate::syntax::ast::{Span, Tag};
use crate::types::codes::UNKNOWN_TYPE;
use btf::{Btf, Builder, Enumerator, IntEncoding, Kind, Member, TypeId};
use std::sync::Arc;

/// A type with its layout in bytes.
#[derive(Clone, Copy)]
struct Laid {
    id: TypeId,
    size: u32,
    align: u32,
}

/// The definitions as BTF; absent if there are none or they are wrong.
pub fn preamble_btf(preamble: &Preamble, kernel: &Kernel) -> (Option<Btf>, Vec<Diag>) {
    if preamble.is_empty() {
        return (None, Vec::new());
    }
    let base = Arc::clone(kernel.vmlinux());
    let mut writer = Writer {
        preamble,
        base: &base,
        out: Builder::split(Arc::clone(&base)),
        composites: Vec::new(),
        enums: Vec::new(),
        diags: Vec::new(),
    };
    writer.write();
    if !writer.diags.is_empty() {
        return (None, writer.diags);
    }
    let bytes = writer.out.finish().expect("a preamble stays within the limits of BTF");
    let btf = Btf::parse_split(Arc::new(bytes), base).expect("what the builder writes can be read");
    (Some(btf), Vec::new())
}

struct Writer<'a> {
    preamble: &'a Preamble,
    base: &'a Arc<Btf>,
    out: Builder,
    /// By `CompositeIdx`; sizes are 0 until the definition is complete.
    composites: Vec<Laid>,
    /// By `EnumIdx`.
    enums: Vec<Laid>,
    diags: Vec<Diag>,
}

impl Writer<'_> {
    fn write(&mut self) {
        for composite in &self.preamble.composites {
            let name = composite.name.as_ref().map_or("", |name| name.text.as_str());
            let id = match composite.tag {
                Tag::Union => self.out.reserve_union(name),
                Tag::Struct | Tag::Enum => self.out.reserve_struct(name),
            };
            self.composites.push(Laid { id, size: 0, align: 1 });
        }
        for e in &self.preamble.enums {
            let signed = e.values.iter().any(|value| value.value < 0);
            let wide =
                e.values.iter().any(|v| i32::try_from(v.value).is_err() && u32::try_from(v.value).is_err());
            let name = e.name.as_ref().map_or("", |name| name.text.as_str());
            let values: Vec<_> =
                e.values.iter().map(|v| Enumerator { name: &v.name.text, value: bits_of(v.value) }).collect();
            let size = if wide { 8 } else { 4 };
            let id = if wide {
                self.out.add_enum64(name, size, signed, &values)
            } else {
                self.out.add_enum(name, size, signed, &values)
            };
            self.enums.push(Laid { id, size, align: size });
        }
        for (index, composite) in self.preamble.composites.iter().enumerate() {
            self.composite(index, composite);
        }
        for typedef in &self.preamble.typedefs {
            if let Some(laid) = self.ty(&typedef.ty, typedef.name.span) {
                self.out.add_typedef(&typedef.name.text, laid.id);
            }
        }
    }

    fn composite(&mut self, index: usize, composite: &CComposite) {
        let mut layout = Layout { union: composite.tag == Tag::Union, bits: 0, size_bits: 0, align: 1 };
        let mut members = Vec::new();
        for member in &composite.members {
            let Some(laid) = self.ty(&member.ty, member.span) else { continue };
            let bit_offset = layout.place(composite, member, laid);
            if member.name.is_none() && member.bits.is_some() {
                continue;
            }
            let name = member.name.as_ref().map_or("", |name| name.text.as_str());
            let bitfield_bits = member.bits.map(|bits| u8::try_from(bits).unwrap_or(u8::MAX));
            members.push(Member { name, ty: laid.id, bit_offset, bitfield_bits });
        }
        let align = layout.align.max(composite.aligned.unwrap_or(1));
        let size = layout.size_bits.div_ceil(8).next_multiple_of(align);
        let id = self.composites[index].id;
        self.composites[index] = Laid { id, size, align };
        let name = composite.name.as_ref().map_or("", |name| name.text.as_str());
        match composite.tag {
            Tag::Union => self.out.set_union(id, name, size, &members),
            Tag::Struct | Tag::Enum => self.out.set_struct(id, name, size, &members),
        }
    }

    fn ty(&mut self, ty: &CType, span: Span) -> Option<Laid> {
        let laid = |id, size| Some(Laid { id, size, align: size.clamp(1, 8) });
        match ty {
            CType::Void => laid(TypeId::VOID, 0),
            CType::Bool => {
                let encoding = IntEncoding { bool: true, ..IntEncoding::default() };
                laid(self.out.add_int("_Bool", 1, encoding), 1)
            }
            CType::Int(int) => laid(self.int(int), int.bytes),
            CType::Float(size) => laid(self.out.add_float("double", *size), *size),
            CType::Named(name) => self.named(name, span),
            CType::Tagged(tag, name) => self.tagged(*tag, name, span),
            CType::Composite(index) => self.composites.get(index.0).copied(),
            CType::Enum(index) => self.enums.get(index.0).copied(),
            CType::Pointer(to) => {
                let to = self.pointee(to, span)?;
                laid(self.out.add_ptr(to), 8)
            }
            CType::Array(of, len) => {
                let of = self.ty(of, span)?;
                let index = self.out.add_int("unsigned int", 4, IntEncoding::default());
                let len = u32::try_from(len.unwrap_or(0)).unwrap_or(u32::MAX);
                let id = self.out.add_array(of.id, index, len);
                Some(Laid { id, size: of.size.saturating_mul(len), align: of.align })
            }
            CType::Function(_) => laid(TypeId::VOID, 0),
        }
    }

    fn int(&mut self, int: &CIntKind) -> TypeId {
        let encoding = IntEncoding { signed: int.signed, char: int.bytes == 1, bool: false };
        self.out.add_int(int.name, int.bytes, encoding)
    }

    /// What a pointer points at need not be defined.
    fn pointee(&mut self, to: &CType, span: Span) -> Option<TypeId> {
        if let CType::Tagged(tag @ (Tag::Struct | Tag::Union), name) = to
            && self.own(*tag, name).is_none()
            && self.kernel(Some(*tag), name).is_none()
        {
            return Some(self.out.add_fwd(name, *tag == Tag::Union));
        }
        self.ty(to, span).map(|laid| laid.id)
    }

    fn own(&self, tag: Tag, name: &str) -> Option<Laid> {
        let named = |known: &Option<crate::syntax::ast::Name>| known.as_ref().is_some_and(|n| n.text == name);
        match tag {
            Tag::Enum => self.enums.get(self.preamble.enums.iter().position(|e| named(&e.name))?).copied(),
            Tag::Struct | Tag::Union => {
                let at = self.preamble.composites.iter().position(|c| c.tag == tag && named(&c.name))?;
                self.composites.get(at).copied()
            }
        }
    }

    fn kernel(&self, tag: Option<Tag>, name: &str) -> Option<Laid> {
        let kinds = match tag {
            Some(Tag::Struct) => Kind::Struct.into(),
            Some(Tag::Union) => Kind::Union.into(),
            Some(Tag::Enum) => btf::KindSet::ENUM,
            None => Kind::Typedef.into(),
        };
        let id = self.base.find(name, kinds).next()?;
        let size = u32::try_from(self.base.size_of(id).unwrap_or(0)).unwrap_or(u32::MAX);
        Some(Laid { id, size, align: self.base.align_of(id).unwrap_or(1) })
    }

    fn tagged(&mut self, tag: Tag, name: &str, span: Span) -> Option<Laid> {
        self.own(tag, name).or_else(|| self.kernel(Some(tag), name)).or_else(|| {
            let message = format!("unknown type `{} {name}`", tag.keyword());
            self.diags.push(
                Diag::error(&UNKNOWN_TYPE, message, span, "its size is not known")
                    .note("it is neither in the kernel's BTF nor defined above"),
            );
            None
        })
    }

    fn named(&mut self, name: &str, span: Span) -> Option<Laid> {
        if let Some(typedef) = self.preamble.typedefs.iter().find(|t| t.name.text == name) {
            return self.ty(&typedef.ty, span);
        }
        if let Some((bytes, signed)) = fixed_width(name) {
            let encoding = IntEncoding { signed, ..IntEncoding::default() };
            return Some(Laid { id: self.out.add_int(name, bytes, encoding), size: bytes, align: bytes });
        }
        self.kernel(None, name).or_else(|| {
            let message = format!("unknown type `{name}`");
            self.diags.push(Diag::error(&UNKNOWN_TYPE, message, span, "its size is not known"));
            None
        })
    }
}

/// `uint32_t`, `int8`, `u64`, `__s16`: bytes and sign.
fn fixed_width(name: &str) -> Option<(u32, bool)> {
    let name = name.trim_start_matches('_');
    let (signed, rest) = match name.strip_prefix("uint").or_else(|| name.strip_prefix('u')) {
        Some(rest) => (false, rest),
        None => (true, name.strip_prefix("int").or_else(|| name.strip_prefix('s'))?),
    };
    match rest.strip_suffix("_t").unwrap_or(rest) {
        "8" => Some((1, signed)),
        "16" => Some((2, signed)),
        "32" => Some((4, signed)),
        "64" => Some((8, signed)),
        _ => None,
    }
}

fn bits_of(value: i128) -> u64 {
    u64::try_from(value).unwrap_or_else(|_| i64::try_from(value).unwrap_or(i64::MIN).cast_unsigned())
}

/// Where the next member goes.
struct Layout {
    union: bool,
    bits: u32,
    size_bits: u32,
    align: u32,
}

impl Layout {
    /// The member's offset in bits.
    fn place(&mut self, composite: &CComposite, member: &CMember, laid: Laid) -> u32 {
        let packed = composite.packed || member.packed;
        let align = if packed { 1 } else { laid.align }.max(member.aligned.unwrap_or(1));
        let at = if self.union { 0 } else { self.bits };
        let (start, width) = match member.bits {
            None => (at.next_multiple_of(align * 8), laid.size.saturating_mul(8)),
            // A bit-field of no width ends the storage unit.
            Some(0) => (at.next_multiple_of(laid.align * 8), 0),
            Some(width) => {
                let unit = laid.size.max(1) * 8;
                let crosses = at % unit + width > unit;
                (if crosses && !packed { at.next_multiple_of(unit) } else { at }, width)
            }
        };
        self.bits = start.saturating_add(width);
        self.size_bits = self.size_bits.max(self.bits);
        self.align = self.align.max(align);
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::expand;
    use crate::fields::Fields;
    use crate::types::{Space, Ty};
    use std::collections::BTreeMap;

    fn kernel() -> Kernel {
        let mut b = Builder::new();
        let int = b.add_int("int", 4, IntEncoding { signed: true, ..IntEncoding::default() });
        b.add_struct("sock", 4, &[Member { name: "n", ty: int, bit_offset: 0, bitfield_bits: None }]);
        b.add_typedef("pid_t", int);
        Kernel::from_bytes(b.finish().expect("small"), Vec::new()).expect("just written")
    }

    #[test]
    fn layout_of_definitions() {
        let text = "struct in { char kind; int len; };\n\
            struct out { char name[5]; struct in in; struct sock *sk; struct unknown *u; pid_t pid; \
            unsigned a:3, b:30; uint8_t mac[6]; };\n\
            struct small { char c; int i; } __attribute__((packed));\n\
            enum level { LOW = 1, HIGH = 9 };\nbegin { }";
        let (script, diags) = crate::syntax::parse("a.bt", text);
        assert!(diags.is_empty(), "{diags:?}");
        let (expanded, diags) = expand(script, &BTreeMap::new());
        assert!(diags.is_empty(), "{diags:?}");
        let kernel = kernel();
        let (btf, diags) = preamble_btf(&expanded.preamble, &kernel);
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
        assert_eq!(fields.find_struct("small").map(|c| c.size), Some(5));
        assert_eq!(fields.enumerator("HIGH").map(|e| e.value), Some(9));
    }
}
