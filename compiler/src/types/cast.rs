//! Casts (LANGUAGE §2.4), `sizeof`, `offsetof`.

use super::check::{Check, Checked};
use super::tree::{Expr, ExprKind};
use super::{Int, Space, Ty, codes};
use crate::diag::Diag;
use crate::fields::{Composite, Member, NotFound};
use crate::syntax::ast::{self, Span, TypeSpecKind};
use crate::syntax::path::PathPart;

impl Check<'_> {
    /// `(T)expr`.
    pub(super) fn cast(&mut self, spec: &ast::TypeSpec, expr: &ast::Expr, span: Span) -> Checked<Expr> {
        let value = self.value(expr);
        let space = match value.as_ref().map(|value| &value.ty) {
            Ok(Ty::Ptr(_, space)) => *space,
            _ => self.space(),
        };
        let to = match (&spec.kind, &value) {
            // `T[]`: as many as the value has bytes for.
            (TypeSpecKind::Array(elem, None), Ok(value)) => {
                let elem = self.spec(elem, space)?;
                let len = value.ty.size().checked_div(elem.size()).unwrap_or_default();
                Ty::Array(Box::new(elem), len)
            }
            _ => self.spec(spec, space)?,
        };
        let mut value = value?;
        let to = retype(to, &value.ty);
        if value.ty == to && !matches!(value.kind, ExprKind::Int(_)) {
            let message = format!("the expression is already {}", self.describe(&to));
            self.warn(Diag::warning(&codes::UNNECESSARY_CAST, message, spec.span, "changes nothing"));
            return Ok(value);
        }
        self.check_cast(&mut value, &to, span)?;
        Ok(self.cast_to(value, to, span))
    }

    fn cast_to(&self, mut value: Expr, to: Ty, span: Span) -> Expr {
        if let (ExprKind::Int(bits), Ty::Int(int)) = (&value.kind, &to)
            && !matches!(value.ty, Ty::Bool)
        {
            // As the machine would truncate and extend.
            let bits = truncate(*bits, *int);
            return Expr::new(ExprKind::Int(bits), to, span);
        }
        // A literal is not only retyped: a cast gives it a type that does not bend.
        if value.ty == to {
            value.span = span;
            return value;
        }
        Expr::new(ExprKind::Cast(Box::new(value)), to, span)
    }

    fn check_cast(&mut self, value: &mut Expr, to: &Ty, span: Span) -> Checked<()> {
        let scalar = |ty: &Ty| {
            matches!(ty, Ty::Bool | Ty::Int(_) | Ty::Enum(..) | Ty::Ptr(..) | Ty::Ksym | Ty::Username)
        };
        let possible = match (&value.ty, to) {
            (Ty::Struct(_), _) => false,
            (from, Ty::Bool | Ty::Int(_) | Ty::Enum(..) | Ty::Ptr(..)) if scalar(from) => true,
            (Ty::String(_), Ty::Bool) => true,
            (Ty::Int(_) | Ty::Enum(..) | Ty::Bool, Ty::Username) => true,
            (Ty::Int(_) | Ty::Enum(..), Ty::Ksym) => true,
            (Ty::String(from), Ty::String(to)) => from <= to,
            (Ty::Int(_) | Ty::Bool, Ty::Array(_, _)) => {
                // A literal is as large as the array wants, up to 8 bytes.
                if value.literal().is_some() && to.size() <= 8 && to.size() > value.ty.size() {
                    let size = to.size().next_power_of_two() as u8;
                    let signed = matches!(value.ty, Ty::Int(Int { signed: true, .. }));
                    self.convert(value, &Ty::Int(Int { size, signed }));
                }
                value.ty.size() == to.size()
            }
            (Ty::String(_) | Ty::Array(..), Ty::Array(..)) => value.ty.size() == to.size(),
            (Ty::Array(..), Ty::Int(_)) => value.ty.size() == to.size(),
            (Ty::String(_), Ty::Int(_)) => value.ty.size() == to.size() && value.text().is_none(),
            (Ty::Tuple(_), Ty::Tuple(_)) => true,
            (from, to) => from == to,
        };
        if possible {
            return self.check_enumerator(value, to, span);
        }
        let message = format!("{} cannot be cast to `{}`", self.describe(&value.ty), self.fields.show(to));
        let diag = Diag::error(&codes::BAD_CAST, message, span, "");
        let diag = diag.also(value.span, self.describe(&value.ty));
        Err(self.fail(match (&value.ty, to) {
            (Ty::Array(..) | Ty::Int(_) | Ty::String(_), Ty::Array(..) | Ty::Int(_)) => {
                diag.note(format!("their sizes differ: {} and {} bytes", value.ty.size(), to.size()))
            }
            (_, Ty::Struct(_)) => diag.help("cast to a pointer: `(struct NAME *)address`"),
            _ => diag,
        }))
    }

    /// A literal is one of the enum's values.
    fn check_enumerator(&mut self, value: &Expr, to: &Ty, span: Span) -> Checked<()> {
        let (Ty::Enum(_, of), Some(number)) = (to, value.literal()) else { return Ok(()) };
        let bits = number as u64;
        if value.ty == *to || self.fields.has_value(*of, bits) {
            return Ok(());
        }
        let message = format!("`{}` has no value {number}", self.fields.show(to));
        Err(self.fail(Diag::error(&codes::BAD_CAST, message, span, "")))
    }

    /// `sizeof(T)`, `sizeof(expr)`.
    pub(super) fn sizeof(&mut self, operand: &ast::TypeOrExpr, span: Span) -> Checked<Expr> {
        let ty = match self.enumerator_type(operand) {
            Some(ty) => ty,
            None => self.operand_type(operand)?,
        };
        if let Ty::Struct(composite) = ty {
            let composite = self.defined(composite, span)?;
            return Ok(Expr::new(ExprKind::SizeOf(composite), Ty::U64, span));
        }
        Ok(Expr::new(ExprKind::Int(ty.size().into()), Ty::U64, span))
    }

    /// The type of an enumerator, whose name looks like a type's here.
    fn enumerator_type(&self, operand: &ast::TypeOrExpr) -> Option<Ty> {
        let ast::TypeOrExpr::Type(spec) = operand else { return None };
        let TypeSpecKind::Named { tag: None, name } = &spec.kind else { return None };
        if super::spec::is_builtin(name) || self.fields.find(None, name).is_ok() {
            return None;
        }
        self.fields.enumerator(name).ok().map(|found| Ty::Enum(Int { size: 8, signed: false }, found.of))
    }

    /// `offsetof(T, a.b[1])`.
    pub(super) fn offsetof(
        &mut self,
        base: &ast::TypeOrExpr,
        path: &[PathPart],
        span: Span,
    ) -> Checked<Expr> {
        let mut ty = self.operand_type(base)?;
        while let Ty::Ptr(to, _) = ty {
            ty = *to;
        }
        self.offset_in(ty, path, span)
    }

    /// Bytes from the start of a struct to what a path leads to.
    pub(super) fn offset_in(&mut self, ty: Ty, path: &[PathPart], span: Span) -> Checked<Expr> {
        let Ty::Struct(of) = ty else {
            let message = format!("{} has no fields", self.describe(&ty));
            return Err(self.fail(Diag::error(&codes::NOT_A_POINTER, message, span, "")));
        };
        let of = self.defined(of, span)?;
        let (mut at, mut bytes, mut steps, mut text) = (Ty::Struct(of), 0u32, Vec::new(), String::new());
        for part in path {
            let (ty, start) = match part {
                PathPart::Member(name) => {
                    let member = self.path_member(&at, name)?;
                    steps.extend(&member.path);
                    let dot = if text.is_empty() { "" } else { "." };
                    text += &format!("{dot}{}", name.text);
                    (member.ty, member.bit_offset / 8)
                }
                PathPart::Element(index, span) => {
                    let (elem, index) = self.path_element(&at, *index, *span)?;
                    steps.push(index);
                    text += &format!("[{index}]");
                    let start = elem.size().saturating_mul(index);
                    (elem, start)
                }
            };
            (at, bytes) = (ty, bytes.saturating_add(start));
        }
        Ok(Expr::new(ExprKind::OffsetOf { of, path: steps, bytes, text }, Ty::U64, span))
    }

    /// The struct whose member a pointer points at.
    pub fn container_of(
        &mut self,
        pointer: &ast::Expr,
        of: &ast::TypeSpec,
        path: &[PathPart],
        span: Span,
    ) -> Checked<Expr> {
        let mut pointer = self.value(pointer)?;
        let space = match pointer.ty {
            // What lies around a typed member, the verifier does not know.
            Ty::Ptr(_, Space::Typed) => Space::Kernel,
            Ty::Ptr(_, space) => space,
            Ty::Int(_) => self.space(),
            _ => {
                let label = format!("this is {}", self.describe(&pointer.ty));
                let message = "`container_of` wants a pointer";
                return Err(self.fail(Diag::error(&codes::ARGUMENT_KIND, message, pointer.span, label)));
            }
        };
        let of = self.spec(of, space)?;
        let offset = self.offset_in(of.clone(), path, span)?;
        if matches!(pointer.ty, Ty::Int(_)) {
            self.convert(&mut pointer, &Ty::U64);
        }
        self.convert(&mut pointer, &Ty::Ptr(Box::new(Ty::Void), space));
        let start = self.pointer_sum(ast::BinOp::Sub, span, pointer, offset);
        Ok(Expr::new(ExprKind::Cast(Box::new(start)), Ty::Ptr(Box::new(of), space), span))
    }

    fn path_member(&mut self, of: &Ty, name: &ast::Name) -> Checked<Member> {
        let Ty::Struct(composite) = *of else {
            let message = format!("{} has no fields", self.describe(of));
            return Err(self.fail(Diag::error(&codes::NOT_A_POINTER, message, name.span, "")));
        };
        let Some(member) = self.fields.member(composite, &name.text, Space::Kernel) else {
            let message = format!("`{}` has no field `{}`", self.fields.show(of), name.text);
            let diag = Diag::error(&codes::UNKNOWN_FIELD, message, name.span, "unknown field");
            let names = self.fields.member_names(composite);
            return Err(match super::nearest(&name.text, names.iter().map(String::as_str)) {
                Some(near) => self.fail(diag.help(format!("did you mean `{near}`?"))),
                None => self.fail(diag),
            });
        };
        if member.bits.is_some() {
            let message = format!("bit-field `{}` has no offset in bytes", name.text);
            return Err(self.fail(Diag::error(&codes::BAD_OPERAND, message, name.span, "")));
        }
        Ok(member)
    }

    fn path_element(&mut self, of: &Ty, index: u64, span: Span) -> Checked<(Ty, u32)> {
        let (elem, len) = match of {
            Ty::Array(elem, len) => ((**elem).clone(), *len),
            Ty::String(len) => (Ty::Int(Int { size: 1, signed: true }), *len),
            _ => {
                let message = format!("{} has no elements", self.describe(of));
                return Err(self.fail(Diag::error(&codes::NOT_A_POINTER, message, span, "")));
            }
        };
        // A length of 0 is C's way to say that it is not known.
        match u32::try_from(index) {
            Ok(index) if len == 0 || index < len => Ok((elem, index)),
            _ => {
                let message = format!("index {index} is out of bounds");
                let label = format!("there are {len} elements");
                Err(self.fail(Diag::error(&codes::BAD_CONSTANT, message, span, label)))
            }
        }
    }

    /// The struct with its members, if it is only declared where it was found.
    pub(super) fn defined(&mut self, composite: Composite, span: Span) -> Checked<Composite> {
        self.fields.complete(composite).map_err(|why| {
            let shown = self.fields.show(&Ty::Struct(composite));
            self.fail(match why {
                NotFound::Ambiguous(found) => self.fields.ambiguous(&shown, &found, span),
                NotFound::Unknown => {
                    let message = format!("`{shown}` is only declared");
                    Diag::error(&codes::UNKNOWN_TYPE, message, span, "its members are not known")
                        .note("neither vmlinux nor a module of the kernel description defines it")
                }
            })
        })
    }
}

/// A pointer the verifier knows the type of stays one only as long as it points at that type.
fn retype(to: Ty, from: &Ty) -> Ty {
    match (to, from) {
        (Ty::Ptr(to, Space::Typed), Ty::Ptr(from, Space::Typed)) if to != *from => Ty::Ptr(to, Space::Kernel),
        (to, _) => to,
    }
}

/// The low bytes of a value, extended again by the type's sign.
fn truncate(bits: u64, int: Int) -> u64 {
    let shift = 64 - u32::from(int.size) * 8;
    let top = bits << shift;
    if int.signed { (top.cast_signed() >> shift).cast_unsigned() } else { top >> shift }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation() {
        let int = |size, signed| Int { size, signed };
        assert_eq!(truncate(0x1ff, int(1, false)), 0xff);
        assert_eq!(truncate(0xff, int(1, true)), u64::MAX);
        assert_eq!(truncate(u64::MAX, int(8, true)), u64::MAX);
    }
}
