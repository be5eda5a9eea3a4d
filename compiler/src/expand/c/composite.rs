//! Bodies of structs, unions and enums.

use std::collections::HashMap;

use super::constant::{Read, Value};
use super::declare::{Meaning, Reader};
use super::layout::{Layout, Placed};
use super::specifier::{Attributes, Spec};
use super::types::*;
use crate::diag::{Diag, codes};
use crate::syntax::ast::{Name, Span, Tag};

/// Types are smaller than this: BTF counts bits with 32 bits.
const BYTES_MAX: u64 = 1 << 28;

impl Reader<'_> {
    /// `struct`, `union` or `enum` behind its keyword, with or without a body.
    pub(super) fn tagged(&mut self, tag: Tag) -> Read<CType> {
        let start = self.tokens.get(self.at.saturating_sub(1)).map_or(self.end, |t| t.span);
        let before = self.attributes()?;
        let name = self.name();
        if !self.is("{") {
            let name = name.ok_or_else(|| self.unexpected("a name or `{`"))?;
            return Ok(match self.out.tagged(tag, &name.text) {
                Some(TagIdx::Composite(idx)) => CType::Composite(idx),
                Some(TagIdx::Enum(idx)) => CType::Enum(idx),
                None => CType::Tagged(tag, name.text),
            });
        }
        if let Some(name) = &name
            && let Some(first) = self.out.tagged(tag, &name.text)
        {
            return self.again(first, name, tag);
        }
        let key = name.as_ref().map(|name| (tag, name.text.clone()));
        self.enter()?;
        let in_header = self.pp.in_header(start);
        let idx = if tag == Tag::Enum {
            let values = self.enumerators()?;
            let after = self.attributes()?;
            let packed = before.packed || after.packed;
            let (bytes, signed) = enum_type(&values, packed);
            self.out.enums.push(CEnum { name, values, bytes, signed, in_header });
            TagIdx::Enum(EnumIdx(self.out.enums.len() - 1))
        } else {
            let composite = self.composite(tag, name, before, start)?;
            self.out.composites.push(CComposite { in_header, ..composite });
            TagIdx::Composite(CompositeIdx(self.out.composites.len() - 1))
        };
        self.depth -= 1;
        if let Some(key) = key {
            self.out.tags.insert(key, idx);
        }
        Ok(match idx {
            TagIdx::Composite(idx) => CType::Composite(idx),
            TagIdx::Enum(idx) => CType::Enum(idx),
        })
    }

    /// A second definition: an error in the script, of no consequence in a header.
    fn again(&mut self, first: TagIdx, name: &Name, tag: Tag) -> Read<CType> {
        if self.pp.in_header(name.span) {
            self.skip_balanced();
            self.attributes()?;
            return Ok(match first {
                TagIdx::Composite(idx) => CType::Composite(idx),
                TagIdx::Enum(idx) => CType::Enum(idx),
            });
        }
        let first = match first {
            TagIdx::Composite(idx) => self.out.composites[idx.0].name.as_ref(),
            TagIdx::Enum(idx) => self.out.enums[idx.0].name.as_ref(),
        };
        let first = first.map_or(Span::default(), |name| name.span);
        Err(redefined(&format!("{} {}", tag.keyword(), name.text), name.span, first))
    }

    fn enumerators(&mut self) -> Read<Vec<CEnumerator>> {
        self.expect("{")?;
        let mut values = Vec::new();
        let mut next = Value::int(0);
        while !self.eat("}") {
            let name = self.name().ok_or_else(|| self.unexpected("an enumerator"))?;
            self.attributes()?;
            if self.eat("=") {
                next = self.constant()?;
            }
            let sym = self.pp.names.add(&name.text);
            if let Some(Meaning::Enumerator(_, first)) = self.meanings.get(&sym) {
                return Err(redefined(&name.text, name.span, *first));
            }
            next = enumerator_type(next.value);
            self.meanings.insert(sym, Meaning::Enumerator(next, name.span));
            values.push(CEnumerator { name, value: next.value });
            next.value += 1;
            if !self.eat(",") && !self.is("}") {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
        Ok(values)
    }

    /// The body of a struct or union and the attributes behind it.
    fn composite(
        &mut self,
        tag: Tag,
        name: Option<Name>,
        before: Attributes,
        start: Span,
    ) -> Read<CComposite> {
        let raw = self.members()?;
        let attributes = before.and(self.attributes()?);
        let pack = self.pack.last().copied().flatten();
        let mut layout = Layout::new(tag == Tag::Union, attributes.packed, pack);
        let mut members: Vec<CMember> = Vec::with_capacity(raw.len());
        let mut seen: HashMap<String, Span> = HashMap::new();
        let span = start.to(self.tokens.get(self.at.saturating_sub(1)).map_or(self.end, |t| t.span));
        for (member, placed, at) in raw {
            let bit_offset = layout.place(placed);
            let bit_offset = u32::try_from(bit_offset).ok().filter(|_| bit_offset / 8 < BYTES_MAX);
            let bit_offset = bit_offset.ok_or_else(|| self.too_large(at))?;
            let Some(name) = &member.name else {
                // Padding is nobody's member.
                if member.bits.is_none() {
                    members.push(CMember { bit_offset, ..member });
                }
                continue;
            };
            if let Some(first) = seen.insert(name.text.clone(), name.span) {
                return Err(redefined(&name.text, name.span, first));
            }
            members.push(CMember { bit_offset, ..member });
        }
        let (bytes, align) = layout.finish(attributes.aligned);
        let bytes = u32::try_from(bytes).ok().filter(|b| u64::from(*b) < BYTES_MAX);
        let extent = Extent { bytes: bytes.ok_or_else(|| self.too_large(span))?, align };
        Ok(CComposite { tag, name, members, extent, in_header: false, span })
    }

    fn too_large(&self, span: Span) -> Box<Diag> {
        self.error(&codes::BAD_DEFINITION, "this type is too large", span)
    }

    /// The members between braces, what to place for each, and where it stands.
    fn members(&mut self) -> Read<Vec<(CMember, Placed, Span)>> {
        self.expect("{")?;
        let mut members = Vec::new();
        while !self.eat("}") {
            if self.eat(";") {
                continue;
            }
            if self.peek_word() == "_Static_assert" {
                while !self.is(";") && self.at < self.tokens.len() {
                    self.at += 1;
                }
                continue;
            }
            let start = self.span();
            let spec = self.specifier()?;
            if self.is(";") {
                // A tag without a declarator declares a type and no member.
                match &spec.ty {
                    CType::Composite(idx) if self.out.composites[idx.0].name.is_none() => {}
                    CType::Composite(_) | CType::Enum(_) | CType::Tagged(..) => continue,
                    _ => return Err(self.unexpected("the member's name")),
                }
            }
            loop {
                members.push(self.member(start, &spec)?);
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(";")?;
        }
        Ok(members)
    }

    /// `start` is where the member is said to stand if it has no name.
    fn member(&mut self, start: Span, spec: &Spec) -> Read<(CMember, Placed, Span)> {
        let (name, ty, mut attributes) = self.declarator(spec.ty.clone())?;
        let span = name.as_ref().map_or(start, |n| n.span);
        let mut bits = None;
        if self.eat(":") {
            let at = self.span();
            let value = self.constant()?;
            let width = u8::try_from(value.value).ok().filter(|w| *w <= 64);
            bits = Some(width.ok_or_else(|| self.error(&codes::BAD_CONSTANT, "not a bit width", at))?);
            attributes = attributes.and(self.attributes()?);
        }
        if name.is_none() && bits.is_none() && !matches!(ty, CType::Composite(_)) {
            return Err(self.unexpected("the member's name"));
        }
        let attributes = spec.attributes.and(attributes);
        let ty = self.with_mode(ty, &attributes, span)?;
        let extent = self.extent(&ty, span)?;
        if bits.is_some_and(|bits| u32::from(bits) > extent.bytes.saturating_mul(8)) {
            return Err(self.error(&codes::BAD_CONSTANT, "not a bit width of this type", span));
        }
        let placed = Placed { extent, bits, named: name.is_some(), wish: attributes.wish() };
        Ok((CMember { name, ty, bit_offset: 0, bits }, placed, span))
    }
}

/// GCC's choice of an enum's size and sign.
fn enum_type(values: &[CEnumerator], packed: bool) -> (u32, bool) {
    let signed = values.iter().any(|v| v.value < 0);
    let fits =
        |bytes: u32| values.iter().all(|v| Value::wrapped(v.value, bytes as u8, signed).value == v.value);
    let sizes: &[u32] = if packed { &[1, 2, 4] } else { &[4] };
    (sizes.iter().copied().find(|&bytes| fits(bytes)).unwrap_or(8), signed)
}

/// The type of an enumerator: `int` if that holds it.
fn enumerator_type(value: i128) -> Value {
    let types = [(4, true), (4, false), (8, true)];
    let fits = |&(bytes, signed): &(u8, bool)| Value::wrapped(value, bytes, signed).value == value;
    let (bytes, signed) = types.into_iter().find(fits).unwrap_or((8, false));
    Value::wrapped(value, bytes, signed)
}

fn redefined(what: &str, span: Span, first: Span) -> Box<Diag> {
    let diag =
        Diag::error(&codes::REDEFINED, format!("`{what}` is defined twice"), span, "second definition");
    Box::new(diag.also(first, "first definition"))
}
