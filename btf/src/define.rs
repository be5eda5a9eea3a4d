//! Definitions of structs and unions as C text; see `decl.rs`.
//!
//! Input    a struct or union
//! Output   its members, and what a compiler needs to be told to lay them out at the same offsets
//! Ensures  as `decl.rs`
//!
//! The rules for padding and `packed` are those of libbpf's `btf_dump.c`
//! (`btf_dump_emit_bit_padding`, `btf_is_struct_packed`).

use crate::decl::Writer;
use crate::{Btf, Composite, TypeId};

/// Types that padding is written with, widest first, and their bits.
const PADS: [(&str, u64); 4] = [("long", 64), ("int", 32), ("short", 16), ("char", 8)];

/// Between the end of one member and the start of the next, in bits.
struct Gap {
    from: u64,
    to: u64,
    /// Of what comes next, in bytes.
    align: u64,
    /// Bit-fields on both sides: the compiler would close the gap.
    between_bitfields: bool,
}

impl Writer<'_> {
    /// `struct name {…}`.
    pub(crate) fn composite(&mut self, id: TypeId, keyword: &str, composite: Composite<'_>, level: usize) {
        let is_struct = keyword == "struct";
        let packed = is_struct && is_packed(self.btf, composite);
        let align = |ty| u64::from(self.btf.align_of(ty).unwrap_or(1));
        let end =
            Gap { from: 0, to: bits(composite.size().into()), align: align(id), between_bitfields: false };
        self.put(format_args!("{keyword}{}{} {{", space_before(composite.name()), composite.name()));
        let (mut at, mut was_bitfield) = (0, false);
        for member in composite.members() {
            if self.is_full() {
                self.text.push_str("...");
                break;
            }
            let align = if packed { 1 } else { u64::from(self.btf.align_of(member.ty).unwrap_or(1)) };
            let from = u64::from(member.bit_offset);
            let between_bitfields = was_bitfield && member.bitfield_bits.is_some();
            self.pad(Gap { from: at, to: from, align, between_bitfields }, level + 1);
            self.line(level + 1);
            self.declare(member.ty, member.name, level + 1);
            if let Some(width) = member.bitfield_bits {
                self.put(format_args!(": {width}"));
            }
            self.text.push(';');
            let width = member.bitfield_bits.map(u64::from);
            at = from + width.unwrap_or_else(|| bits(self.btf.size_of(member.ty).unwrap_or(0)));
            was_bitfield = width.is_some();
        }
        if is_struct {
            self.pad(Gap { from: at, ..end }, level + 1);
        }
        if !composite.is_empty() || composite.size() > 0 {
            self.line(level);
        }
        self.text.push_str(if packed { "} __attribute__((packed))" } else { "}" });
    }

    /// Members without a name that fill a gap, unless alignment does.
    fn pad(&mut self, gap: Gap, level: usize) {
        let mut at = gap.from;
        if at >= gap.to {
            return;
        }
        let fits = |&&(_, bits): &&(&str, u64)| at.next_multiple_of(bits) <= gap.to;
        let (mut name, mut width) = *PADS.iter().find(fits).unwrap_or(&PADS[3]);
        let aligned = at.next_multiple_of(width);
        if aligned > at && aligned <= gap.to {
            let by_itself = at.next_multiple_of(bits(gap.align.max(1))) == aligned;
            let hidden = aligned != gap.to && gap.to - aligned <= aligned - at;
            if gap.between_bitfields || aligned == gap.to && !by_itself || hidden {
                self.line(level);
                let bits = if gap.between_bitfields { aligned - at } else { 0 };
                self.put(format_args!("{name}: {bits};"));
            }
            at = aligned;
        }
        while at < gap.to && !self.is_full() {
            let bits = width.min(gap.to - at);
            if bits < width {
                (name, width) = *PADS.iter().rev().find(|pad| pad.1 >= bits).unwrap_or(&PADS[0]);
            }
            self.line(level);
            self.put(format_args!("{name}: {bits};"));
            at += bits;
        }
    }
}

fn space_before(name: &str) -> &'static str {
    if name.is_empty() { "" } else { " " }
}

/// Bits of so many bytes.
fn bits(bytes: u64) -> u64 {
    bytes.saturating_mul(8).min(1 << 60)
}

/// Whether members are not where their alignment puts them, or the size is not what it asks for.
fn is_packed(btf: &Btf, composite: Composite<'_>) -> bool {
    let mut max = 1;
    for member in composite.members() {
        let align = btf.align_of(member.ty).unwrap_or(0);
        if align != 0 && member.bitfield_bits.is_none() && !member.bit_offset.is_multiple_of(8 * align) {
            return true;
        }
        max = max.max(align);
    }
    !composite.size().is_multiple_of(max)
}

#[cfg(test)]
mod tests {
    use crate::{Btf, Builder, Enumerator, IntEncoding, Member, TypeId};

    fn check(expected: &str, build: impl FnOnce(&mut Builder, [TypeId; 3]) -> TypeId) {
        let mut b = Builder::new();
        let char = b.add_int("char", 1, IntEncoding::default());
        let int = b.add_int("int", 4, IntEncoding { signed: true, ..IntEncoding::default() });
        let long = b.add_int("long", 8, IntEncoding::default());
        let id = build(&mut b, [char, int, long]);
        let text = b.finish().and_then(Btf::from_vec).map(|btf| btf.definition(id));
        assert_eq!(text.as_deref(), Ok(expected));
    }

    fn at(name: &str, ty: TypeId, bit_offset: u32) -> Member<'_> {
        Member { name, ty, bit_offset, bitfield_bits: None }
    }

    fn bits(name: &str, ty: TypeId, bit_offset: u32, width: u8) -> Member<'_> {
        Member { name, ty, bit_offset, bitfield_bits: Some(width) }
    }

    #[test]
    fn members_stand_at_their_offsets() {
        check("struct s {\n\tchar a;\n\tlong b;\n}", |b, [char, _, long]| {
            b.add_struct("s", 16, &[at("a", char, 0), at("b", long, 64)])
        });
        check("struct s {\n\tint a;\n\tlong: 0;\n\tint b;\n}", |b, [_, int, _]| {
            b.add_struct("s", 12, &[at("a", int, 0), at("b", int, 64)])
        });
        check(
            "struct s {\n\tint a: 3;\n\tlong: 29;\n\tint b: 2;\n\tlong: 30;\n\tlong: 64;\n}"
                .replace("long: 29", "int: 29")
                .replace("\tlong: 30;\n", "")
                .as_str(),
            |b, [_, int, _]| b.add_struct("s", 16, &[bits("a", int, 0, 3), bits("b", int, 32, 2)]),
        );
        check("struct s {\n\tchar a;\n\tint b;\n} __attribute__((packed))", |b, [char, int, _]| {
            b.add_struct("s", 5, &[at("a", char, 0), at("b", int, 8)])
        });
        check("struct empty {}", |b, _| b.add_struct("empty", 0, &[]));
        check("struct pad {\n\tlong: 64;\n\tlong: 64;\n}", |b, _| b.add_struct("pad", 16, &[]));
    }

    #[test]
    fn types_without_a_name_stand_inside() {
        check("struct s {\n\tunion {\n\t\tint b;\n\t\tchar c;\n\t};\n\tint d;\n}", |b, [char, int, _]| {
            let inner = b.add_union("", 4, &[at("b", int, 0), at("c", char, 0)]);
            b.add_struct("s", 8, &[at("", inner, 0), at("d", int, 32)])
        });
    }

    #[test]
    fn enums_tell_their_size() {
        let low = Enumerator { name: "LOW", value: u64::MAX };
        check("enum e {\n\tLOW = -1,\n}", |b, _| b.add_enum("e", 4, true, &[low]));
        let one = Enumerator { name: "ONE", value: 1 };
        check("enum e {\n\tONE = 1,\n} __attribute__((mode(byte)))", |b, _| {
            b.add_enum("e", 1, false, &[one])
        });
        check("enum e {\n\tONE = 1ULL,\n} __attribute__((mode(word)))", |b, _| {
            b.add_enum64("e", 8, false, &[one])
        });
    }
}
