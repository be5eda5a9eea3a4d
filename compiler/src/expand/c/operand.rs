//! What expressions ask of names and types: enumerators, casts, `sizeof`, offsets.

use super::constant::{Cast, Names, Read, Value};
use super::declare::{Meaning, Reader};
use super::specifier::char_type;
use super::token::{Kind, Sym};
use super::types::*;
use crate::diag::codes;
use crate::syntax::ast::Span;

impl Reader<'_> {
    /// The type that `sizeof` or `typeof` asks about: a type, `((T *)0)->member`, a string or a number.
    pub(super) fn operand_type(&mut self) -> Read<CType> {
        if self.is_type_start(self.at) {
            return self.type_name();
        }
        let (start, span) = (self.at, self.span());
        if let Some((ty, _)) = self.member_of_null()? {
            return Ok(ty);
        }
        self.at = start;
        if let Some(Kind::Str(sym)) = self.tokens.get(self.at).map(|t| t.kind) {
            self.at += 1;
            let len = super::text_of(self.pp.names.text(sym)).map_or(0, |text: Vec<u8>| text.len() + 1);
            let len = u32::try_from(len).ok();
            return Ok(CType::Array(Box::new(char_type()), len));
        }
        if !self.word_at(start).is_empty() && (self.kernel)(None, self.word_at(start)).is_some() {
            return self.type_name();
        }
        let value = self.constant()?;
        let kind = CIntKind::sized(value.bytes.into(), value.signed);
        kind.map(CType::Int).ok_or_else(|| self.error(&codes::BAD_CONSTANT, "unknown operand", span))
    }

    /// `((T *)0)->a.b[c]` and its offset in bits; nothing if the text is something else.
    fn member_of_null(&mut self) -> Read<Option<(CType, u64)>> {
        let mut open = 0;
        while self.is("(") && !self.is_type_start(self.at + 1) && open < 8 {
            self.at += 1;
            open += 1;
        }
        if !self.eat("(") || !self.is_type_start(self.at) {
            return Ok(None);
        }
        let CType::Pointer(to) = self.type_name()? else { return Ok(None) };
        self.expect(")")?;
        self.constant()?;
        while open > 0 && self.eat(")") {
            open -= 1;
        }
        if !self.eat("->") {
            return Ok(None);
        }
        let found = self.path(*to)?;
        while open > 0 && self.eat(")") {
            open -= 1;
        }
        Ok((open == 0).then_some(found))
    }

    /// `a.b[c]` in a type: what is there and its offset in bits.
    fn path(&mut self, of: CType) -> Read<(CType, u64)> {
        let (mut ty, mut offset) = (of, 0u64);
        loop {
            let Some(name) = self.name() else { return Err(self.unexpected("a member")) };
            if let CType::Composite(idx) = self.real(ty.clone()) {
                let members = self.out.composites[idx.0].members.len();
                self.pp.count(members as u32 / 16, name.span);
            }
            let found = self.member_of(&ty, &name.text);
            let none = || self.error(&codes::BAD_CONSTANT, format!("no member `{}`", name.text), name.span);
            let (member, at) = found.ok_or_else(none)?;
            (ty, offset) = (member, offset + at);
            while self.eat("[") {
                let index = u64::try_from(self.constant()?.value).unwrap_or(0);
                self.expect("]")?;
                let CType::Array(of, _) = self.real(ty) else { return Err(self.unexpected("a member")) };
                ty = *of;
                let bits = u64::from(self.extent(&ty, name.span)?.bytes) * 8;
                offset = offset.saturating_add(index.saturating_mul(bits));
            }
            if !self.eat(".") {
                return Ok((ty, offset));
            }
        }
    }

    /// The type behind typedefs.
    pub(super) fn real(&self, mut ty: CType) -> CType {
        // Typedefs refer to earlier ones only.
        while let CType::Typedef(idx) = ty {
            ty = self.out.typedefs[idx.0].ty.clone();
        }
        match ty {
            CType::Tagged(tag, name) => match self.out.tagged(tag, &name) {
                Some(TagIdx::Composite(idx)) => CType::Composite(idx),
                Some(TagIdx::Enum(idx)) => CType::Enum(idx),
                None => CType::Tagged(tag, name),
            },
            other => other,
        }
    }

    /// A member, also of anonymous members, and its offset in bits.
    fn member_of(&self, of: &CType, name: &str) -> Option<(CType, u64)> {
        let CType::Composite(idx) = self.real(of.clone()) else { return None };
        self.out.composites[idx.0].members.iter().find_map(|member| match &member.name {
            Some(known) if known.text == name => Some((member.ty.clone(), u64::from(member.bit_offset))),
            Some(_) => None,
            // Composites nest as deep as the text did: within limits.
            None => {
                let (ty, at) = self.member_of(&member.ty, name)?;
                Some((ty, at + u64::from(member.bit_offset)))
            }
        })
    }
}

impl Names for Reader<'_> {
    fn text(&self, sym: Sym) -> &str {
        self.pp.names.text(sym)
    }

    fn name(&mut self, name: Sym, span: Span) -> Read<Value> {
        match self.meanings.get(&name) {
            Some(Meaning::Enumerator(value, _)) => Ok(*value),
            _ => {
                let message = format!("`{}` is not a known constant", self.pp.names.text(name));
                Err(self.error(&codes::BAD_CONSTANT, message, span))
            }
        }
    }

    fn cast(&mut self, at: usize) -> Read<Option<(Cast, usize)>> {
        if !self.is_type_start(at) {
            return Ok(None);
        }
        let before = std::mem::replace(&mut self.at, at);
        let (ty, span) = (self.type_name()?, self.span());
        self.expect(")")?;
        let behind = std::mem::replace(&mut self.at, before);
        let cast = match self.real(ty) {
            CType::Bool => Cast::Bool,
            CType::Int(int) if int.bytes <= 8 => Cast::Int { bytes: int.bytes as u8, signed: int.signed },
            CType::Enum(idx) => {
                let of = &self.out.enums[idx.0];
                Cast::Int { bytes: of.bytes as u8, signed: of.signed }
            }
            CType::Pointer(_) => Cast::Int { bytes: 8, signed: false },
            _ => return Err(self.error(&codes::BAD_CONSTANT, "not a cast to an integer", span)),
        };
        Ok(Some((cast, behind)))
    }

    fn type_query(&mut self, word: Sym, at: usize) -> Read<Option<(Value, usize)>> {
        let text = self.pp.names.text(word).to_owned();
        let before = std::mem::replace(&mut self.at, at);
        let value = self.nested(|reader| reader.query(&text));
        let behind = std::mem::replace(&mut self.at, before);
        Ok(value?.map(|value| (value, behind)))
    }

    fn address(&mut self, at: usize) -> Read<Option<(Value, usize)>> {
        let before = std::mem::replace(&mut self.at, at);
        let found = self.nested(Reader::member_of_null);
        let behind = std::mem::replace(&mut self.at, before);
        let value = |bits: u64| Value { value: (bits / 8).into(), bytes: 8, signed: false };
        Ok(found?.map(|(_, bits)| (value(bits), behind)))
    }
}

impl Reader<'_> {
    fn query(&mut self, word: &str) -> Read<Option<Value>> {
        let size = |bytes: u64| Value { value: bytes.into(), bytes: 8, signed: false };
        let value = match word {
            "sizeof" | "_Alignof" | "__alignof__" | "__alignof" => {
                let span = self.span();
                // `sizeof x` is only asked of expressions.
                let parenthesised = self.eat("(");
                let ty = self.operand_type()?;
                if parenthesised {
                    self.expect(")")?;
                }
                let extent = self.extent(&ty, span)?;
                size(if word == "sizeof" { extent.bytes } else { extent.align }.into())
            }
            "__builtin_offsetof" => {
                self.expect("(")?;
                let of = self.type_name()?;
                self.expect(",")?;
                let (_, bits) = self.path(of)?;
                self.expect(")")?;
                size(bits / 8)
            }
            "__builtin_constant_p" => {
                // Whoever asks is reading a constant.
                self.skip_balanced();
                Value::int(1)
            }
            "__builtin_choose_expr" => {
                self.expect("(")?;
                let condition = self.constant()?;
                self.expect(",")?;
                let then = self.constant()?;
                self.expect(",")?;
                let otherwise = self.constant()?;
                self.expect(")")?;
                if condition.value != 0 { then } else { otherwise }
            }
            "__builtin_bswap16" | "__builtin_bswap32" | "__builtin_bswap64" => {
                self.expect("(")?;
                let value = self.constant()?.value;
                self.expect(")")?;
                let bytes: u8 = match word {
                    "__builtin_bswap16" => 2,
                    "__builtin_bswap32" => 4,
                    _ => 8,
                };
                let low = Value::wrapped(value, 8, false).value as u64;
                let swapped = low.swap_bytes() >> (64 - 8 * u32::from(bytes));
                Value { value: swapped.into(), bytes, signed: false }
            }
            _ => return Ok(None),
        };
        Ok(Some(value))
    }
}
