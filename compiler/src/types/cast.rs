//! Casts (LANGUAGE §2.4), `sizeof`, `offsetof`.

use super::check::{Check, Checked};
use super::tree::{Expr, ExprKind};
use super::{Int, Space, Ty, codes};
use crate::diag::Diag;
use crate::fields::{Composite, NotFound};
use crate::syntax::ast::{self, Span, TypeSpecKind};

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
            return Ok(());
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

    /// `sizeof(T)`, `sizeof(expr)`.
    pub(super) fn sizeof(&mut self, operand: &ast::TypeOrExpr, span: Span) -> Checked<Expr> {
        let ty = self.operand_type(operand)?;
        if let Ty::Struct(composite) = ty {
            let composite = self.defined(composite, span)?;
            return Ok(Expr::new(ExprKind::SizeOf(composite), Ty::U64, span));
        }
        Ok(Expr::new(ExprKind::Int(ty.size().into()), Ty::U64, span))
    }

    /// `offsetof(T, a.b)`.
    pub(super) fn offsetof(
        &mut self,
        base: &ast::TypeOrExpr,
        path: &[ast::Name],
        span: Span,
    ) -> Checked<Expr> {
        let mut ty = self.operand_type(base)?;
        while let Ty::Ptr(to, _) = ty {
            ty = *to;
        }
        let Ty::Struct(of) = ty else {
            let message = format!("{} has no fields", self.describe(&ty));
            return Err(self.fail(Diag::error(&codes::NOT_A_POINTER, message, span, "")));
        };
        let of = self.defined(of, span)?;
        let (mut at, mut members) = (of, Vec::new());
        for (index, name) in path.iter().enumerate() {
            let Some(member) = self.fields.member(at, &name.text, Space::Kernel) else {
                let message = format!("`{}` has no field `{}`", self.fields.show(&Ty::Struct(at)), name.text);
                let diag = Diag::error(&codes::UNKNOWN_FIELD, message, name.span, "unknown field");
                let names = self.fields.member_names(at);
                return Err(match super::nearest(&name.text, names.iter().map(String::as_str)) {
                    Some(near) => self.fail(diag.help(format!("did you mean `{near}`?"))),
                    None => self.fail(diag),
                });
            };
            if member.bits.is_some() {
                let message = format!("bit-field `{}` has no offset in bytes", name.text);
                return Err(self.fail(Diag::error(&codes::BAD_OPERAND, message, name.span, "")));
            }
            match member.ty {
                Ty::Struct(inner) => at = inner,
                _ if index + 1 < path.len() => {
                    let message = format!("field `{}` has no fields of its own", name.text);
                    return Err(self.fail(Diag::error(&codes::NOT_A_POINTER, message, name.span, "")));
                }
                _ => {}
            }
            members.push(member);
        }
        Ok(Expr::new(ExprKind::OffsetOf { of, path: members }, Ty::U64, span))
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
