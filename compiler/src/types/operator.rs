//! Infix operators (LANGUAGE §2.3).

use super::check::{Check, Checked};
use super::expr::int_literal;
use super::promote::{Flex, literal_type};
use super::tree::{Binary, Expr, ExprKind};
use super::{Int, Space, Ty, codes};
use crate::diag::Diag;
use crate::syntax::ast::{BinOp, Span};

const BITS: i128 = 64;

/// What an operator computes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Logic,
    Equality,
    Order,
    Arithmetic,
}

fn class(op: BinOp) -> Class {
    match op {
        BinOp::Or | BinOp::And => Class::Logic,
        BinOp::Eq | BinOp::Ne => Class::Equality,
        BinOp::Lt | BinOp::Gt | BinOp::Le | BinOp::Ge => Class::Order,
        BinOp::BitOr
        | BinOp::BitXor
        | BinOp::BitAnd
        | BinOp::Shl
        | BinOp::Shr
        | BinOp::Add
        | BinOp::Sub
        | BinOp::Mul
        | BinOp::Div
        | BinOp::Rem => Class::Arithmetic,
    }
}

fn lowered(op: BinOp) -> Binary {
    match op {
        BinOp::Or | BinOp::BitOr => Binary::BitOr,
        BinOp::And | BinOp::BitAnd => Binary::BitAnd,
        BinOp::BitXor => Binary::BitXor,
        BinOp::Eq => Binary::Eq,
        BinOp::Ne => Binary::Ne,
        BinOp::Lt => Binary::Lt,
        BinOp::Gt => Binary::Gt,
        BinOp::Le => Binary::Le,
        BinOp::Ge => Binary::Ge,
        BinOp::Shl => Binary::Shl,
        BinOp::Shr => Binary::Shr,
        BinOp::Add => Binary::Add,
        BinOp::Sub => Binary::Sub,
        BinOp::Mul => Binary::Mul,
        BinOp::Div => Binary::Div,
        BinOp::Rem => Binary::Mod,
    }
}

/// Integers, and what counts as one.
fn as_int(ty: &Ty) -> Option<Int> {
    match ty {
        Ty::Int(int) | Ty::Enum(int, _) => Some(*int),
        Ty::Bool => Some(Int { size: 1, signed: false }),
        _ => None,
    }
}

/// Literals as they are compared: nothing holds every `int64` and every `uint64`, so casts to both are
/// compared as `int64`.
fn compared((x, x_ty): (i128, &Ty), (y, y_ty): (i128, &Ty)) -> (i128, i128) {
    let is_bare = *x_ty == literal_type(x) && *y_ty == literal_type(y);
    let bits = |value: i128| i128::from(value as i64);
    match (as_int(x_ty), as_int(y_ty)) {
        (Some(a), Some(b)) if !is_bare && a.signed != b.signed && a.size.max(b.size) == 8 => {
            (bits(x), bits(y))
        }
        _ => (x, y),
    }
}

/// A text literal and a count of its bytes, in either order.
fn text_and_number<'e>(left: &'e Expr, right: &'e Expr) -> Option<(&'e [u8], usize)> {
    let (text, number) = left.text().map(|text| (text, right)).or_else(|| Some((right.text()?, left)))?;
    let number = number.literal().filter(|_| matches!(number.ty, Ty::Int(_)))?;
    Some((text, usize::try_from(number).ok()?))
}

fn wide(signed: bool) -> Ty {
    if signed { Ty::I64 } else { Ty::U64 }
}

impl Check<'_> {
    /// `left op right`, of values.
    pub(super) fn binary(
        &mut self,
        op: BinOp,
        op_span: Span,
        mut left: Expr,
        mut right: Expr,
    ) -> Checked<Expr> {
        let span = left.span.to(right.span);
        if class(op) == Class::Logic {
            return self.logic(op, span, left, right);
        }
        if matches!(right.ty, Ty::String(_)) {
            self.text_parameter(&mut left);
        }
        if matches!(left.ty, Ty::String(_)) {
            self.text_parameter(&mut right);
        }
        if let (Some(a), Some(b)) = (left.text(), right.text())
            && op == BinOp::Add
        {
            return self.string(&[a, b].concat(), span);
        }
        if op == BinOp::Add
            && let Some((text, skipped)) = text_and_number(&left, &right)
        {
            return self.tail(text, skipped, span);
        }
        match (as_int(&left.ty), as_int(&right.ty)) {
            (Some(a), Some(b)) => self.integers(op, op_span, span, (left, a), (right, b)),
            _ if matches!(left.ty, Ty::Ptr(..)) || matches!(right.ty, Ty::Ptr(..)) => {
                self.pointers(op, op_span, span, left, right)
            }
            _ if class(op) == Class::Equality => self.equality(op, op_span, span, left, right),
            _ => Err(self.bad_operands(op, op_span, &left, &right)),
        }
    }

    /// `"text" + 2`: what is left of a literal, as of a C pointer to it.
    fn tail(&mut self, text: &[u8], skipped: usize, span: Span) -> Checked<Expr> {
        if skipped > text.len() {
            let message = format!("the literal has only {} bytes", text.len());
            self.warn(Diag::warning(&codes::PAST_END, message, span, "always empty"));
        }
        self.string(text.get(skipped..).unwrap_or_default(), span)
    }

    fn bad_operands(
        &mut self,
        op: BinOp,
        op_span: Span,
        left: &Expr,
        right: &Expr,
    ) -> super::check::Reported {
        let symbol = op.symbol();
        let (a, b) = (self.describe(&left.ty), self.describe(&right.ty));
        let message = format!("`{symbol}` has no meaning for {a} and {b}");
        let diag =
            Diag::error(&codes::BAD_OPERAND, message, op_span, "").also(left.span, a).also(right.span, b);
        self.fail(diag)
    }

    fn logic(&mut self, op: BinOp, span: Span, left: Expr, right: Expr) -> Checked<Expr> {
        let checked = (self.check_condition(&left), self.check_condition(&right));
        checked.0.and(checked.1)?;
        let (left, right) = (Box::new(left), Box::new(right));
        let kind = if op == BinOp::And { ExprKind::And(left, right) } else { ExprKind::Or(left, right) };
        Ok(Expr::new(kind, Ty::Bool, span))
    }

    fn integers(
        &mut self,
        op: BinOp,
        op_span: Span,
        span: Span,
        (mut left, a): (Expr, Int),
        (mut right, b): (Expr, Int),
    ) -> Checked<Expr> {
        if let (Some(x), Some(y)) = (left.literal(), right.literal()) {
            return self.fold(op, op_span, span, (x, &left.ty), (y, &right.ty));
        }
        if class(op) != Class::Arithmetic {
            // Both extended by the sign of the type that holds both.
            let ty = match self.common(&left, &right).as_ref().and_then(as_int) {
                Some(int) => wide(int.signed),
                None => Ty::I64,
            };
            self.convert(&mut left, &ty);
            self.convert(&mut right, &ty);
            return Ok(binary(op, left, right, Ty::Bool, span));
        }
        if (&left.ty, &right.ty) == (&Ty::Bool, &Ty::Bool) {
            return Ok(bools(op, left, right, span));
        }
        if matches!(op, BinOp::Div | BinOp::Rem) {
            self.check_division(op, op_span, &left, &right)?;
        }
        // A literal takes the sign of the other side.
        let flexible = |expr: &Expr| Flex::of(expr) == Flex::Yes;
        let signs = match (flexible(&left), flexible(&right)) {
            (true, false) => (b.signed, b.signed),
            (false, true) => (a.signed, a.signed),
            _ => (a.signed, b.signed),
        };
        let signed = signs.0 || signs.1 || op == BinOp::Sub;
        self.convert(&mut left, &wide(signs.0));
        self.convert(&mut right, &wide(signs.1));
        Ok(binary(op, left, right, wide(signed), span))
    }

    fn check_division(&mut self, op: BinOp, op_span: Span, left: &Expr, right: &Expr) -> Checked<()> {
        if right.literal() == Some(0) {
            return Err(self.zero_divisor(op, op_span, right.span));
        }
        // The difference of two unsigned numbers has a signed type only in name.
        let is_signed = |expr: &Expr| {
            let difference = matches!(&expr.kind, ExprKind::Binary { op: Binary::Sub, left, right }
                if !is_signed(left) && !is_signed(right));
            is_signed(expr) && expr.literal().is_none() && !difference
        };
        if is_signed(left) || is_signed(right) {
            let symbol = op.symbol();
            let message = format!("`{symbol}` treats signed operands as unsigned");
            self.warn(
                Diag::warning(&codes::SIGNED_DIVISION, message, op_span, "")
                    .help("cast the operands to `uint64` if they are never negative"),
            );
        }
        Ok(())
    }

    fn zero_divisor(&mut self, op: BinOp, op_span: Span, span: Span) -> super::check::Reported {
        let message = format!("the right side of `{}` is zero", op.symbol());
        self.fail(Diag::error(&codes::BAD_CONSTANT, message, span, "division by zero").also(op_span, ""))
    }

    /// Literals are computed with C's signed rules; what does not fit is an error.
    fn fold(
        &mut self,
        op: BinOp,
        op_span: Span,
        span: Span,
        (x, x_ty): (i128, &Ty),
        (y, y_ty): (i128, &Ty),
    ) -> Checked<Expr> {
        let truth = |value: bool| Ok(Expr::new(ExprKind::Int(u64::from(value)), Ty::Bool, span));
        let (x, y) = if class(op) == Class::Arithmetic { (x, y) } else { compared((x, x_ty), (y, y_ty)) };
        let shift = |y: i128| (0..BITS).contains(&y);
        let value = match op {
            BinOp::Eq => return truth(x == y),
            BinOp::Ne => return truth(x != y),
            BinOp::Lt => return truth(x < y),
            BinOp::Gt => return truth(x > y),
            BinOp::Le => return truth(x <= y),
            BinOp::Ge => return truth(x >= y),
            BinOp::Div | BinOp::Rem if y == 0 => return Err(self.zero_divisor(op, op_span, span)),
            BinOp::Shl | BinOp::Shr if !shift(y) => {
                let message = format!("a shift by {y} is out of range");
                let label = "0 to 63 is possible";
                return Err(self.fail(Diag::error(&codes::BAD_CONSTANT, message, span, label)));
            }
            BinOp::Add => Some(x + y),
            BinOp::Sub => Some(x - y),
            BinOp::Mul => x.checked_mul(y),
            BinOp::Div => Some(x / y),
            BinOp::Rem => Some(x % y),
            BinOp::BitAnd | BinOp::And => Some(x & y),
            BinOp::BitOr | BinOp::Or => Some(x | y),
            BinOp::BitXor => Some(x ^ y),
            BinOp::Shl => Some(x << y),
            BinOp::Shr => Some(x >> y),
        };
        let fits = |value: &i128| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(value);
        let Some(value) = value.filter(fits) else {
            let message = format!("the result of `{}` does not fit in 64 bits", op.symbol());
            return Err(self.fail(Diag::error(&codes::BAD_CONSTANT, message, span, "overflows")));
        };
        if (x_ty, y_ty) == (&Ty::Bool, &Ty::Bool) {
            return truth(value != 0);
        }
        let mut folded = int_literal(value, span);
        // Operands that a cast gave a type are no mere literals: the result is as wide as at run time.
        if *x_ty != literal_type(x) || *y_ty != literal_type(y) {
            let is_signed = |ty: &Ty| as_int(ty).is_none_or(|int| int.signed);
            // A non-negative literal takes the sign of the other side.
            let signed = match (is_signed(x_ty), is_signed(y_ty)) {
                (true, false) => x < 0,
                (false, true) => y < 0,
                (both, _) => both,
            };
            folded.ty = wide(signed || op == BinOp::Sub);
        }
        Ok(folded)
    }

    fn pointers(
        &mut self,
        op: BinOp,
        op_span: Span,
        span: Span,
        mut left: Expr,
        mut right: Expr,
    ) -> Checked<Expr> {
        match (&left.ty, &right.ty) {
            (Ty::Ptr(a, _), Ty::Ptr(b, _)) if class(op) != Class::Arithmetic => {
                if a != b && **a != Ty::Void && **b != Ty::Void && !self.same_struct(a, b) {
                    let message = "pointers to different types are compared";
                    let (x, y) = (self.describe(&left.ty), self.describe(&right.ty));
                    self.warn(
                        Diag::warning(&codes::DISTINCT_POINTERS, message, op_span, "")
                            .also(left.span, x)
                            .also(right.span, y),
                    );
                }
                Ok(binary(op, left, right, Ty::Bool, span))
            }
            (Ty::Ptr(..), _) | (_, Ty::Ptr(..)) if class(op) != Class::Arithmetic => {
                if as_int(&left.ty).is_none() && as_int(&right.ty).is_none() {
                    return Err(self.bad_operands(op, op_span, &left, &right));
                }
                self.convert(&mut left, &Ty::U64);
                self.convert(&mut right, &Ty::U64);
                Ok(binary(op, left, right, Ty::Bool, span))
            }
            (Ty::Ptr(..), ty) if as_int(ty).is_some() && matches!(op, BinOp::Add | BinOp::Sub) => {
                Ok(self.pointer_sum(op, span, left, right))
            }
            (ty, Ty::Ptr(..)) if as_int(ty).is_some() && op == BinOp::Add => {
                Ok(self.pointer_sum(op, span, right, left))
            }
            _ => Err(self.bad_operands(op, op_span, &left, &right)),
        }
    }

    fn same_struct(&self, a: &Ty, b: &Ty) -> bool {
        match (a, b) {
            (Ty::Struct(a), Ty::Struct(b)) => self.fields.complete(*a) == self.fields.complete(*b),
            _ => false,
        }
    }

    /// A pointer some pointees further. The verifier no longer knows what is there.
    pub(super) fn pointer_sum(&mut self, op: BinOp, span: Span, pointer: Expr, mut count: Expr) -> Expr {
        let signed = as_int(&count.ty).is_some_and(|int| int.signed);
        self.convert(&mut count, &wide(signed));
        let ty = match &pointer.ty {
            Ty::Ptr(to, space) => {
                let to = match **to {
                    Ty::Struct(composite) => Ty::Struct(self.fields.complete(composite).unwrap_or(composite)),
                    ref ty => ty.clone(),
                };
                let space = if *space == Space::Typed { Space::Kernel } else { *space };
                Ty::Ptr(Box::new(to), space)
            }
            ty => ty.clone(),
        };
        binary(op, pointer, count, ty, span)
    }

    /// Strings, arrays, tuples and so on: equal or not.
    fn equality(
        &mut self,
        op: BinOp,
        op_span: Span,
        span: Span,
        mut left: Expr,
        mut right: Expr,
    ) -> Checked<Expr> {
        let comparable = match (&left.ty, &right.ty) {
            // Of different capacity too: the comparison stops at the first NUL.
            (Ty::String(_), Ty::String(_)) | (Ty::Buffer(_), Ty::Buffer(_)) => true,
            (Ty::Tuple(_), Ty::Tuple(_)) | (Ty::Record(_), Ty::Record(_)) => {
                match self.common(&left, &right) {
                    Some(ty) => {
                        self.convert(&mut left, &ty);
                        self.convert(&mut right, &ty);
                        true
                    }
                    None => false,
                }
            }
            (a, b) if a.is_scalar() && a == b => return Ok(binary(op, left, right, Ty::Bool, span)),
            (Ty::Ksym | Ty::Username, b) if as_int(b).is_some() => {
                self.convert(&mut left, &Ty::U64);
                self.convert(&mut right, &Ty::U64);
                return Ok(binary(op, left, right, Ty::Bool, span));
            }
            (Ty::None | Ty::Void | Ty::Struct(_), _) => false,
            (a, b) => a == b,
        };
        if !comparable {
            return Err(self.bad_operands(op, op_span, &left, &right));
        }
        let kind = ExprKind::Equal { left: Box::new(left), right: Box::new(right), negated: op == BinOp::Ne };
        Ok(Expr::new(kind, Ty::Bool, span))
    }
}

fn is_signed(expr: &Expr) -> bool {
    as_int(&expr.ty).is_some_and(|int| int.signed)
}

/// Arithmetic on truth values gives one: whether the result is not zero.
fn bools(op: BinOp, left: Expr, right: Expr, span: Span) -> Expr {
    if matches!(op, BinOp::BitAnd | BinOp::BitOr | BinOp::BitXor) {
        return binary(op, left, right, Ty::Bool, span);
    }
    let widen = |expr: Expr| {
        let span = expr.span;
        Expr::new(ExprKind::Cast(Box::new(expr)), Ty::U64, span)
    };
    let number = binary(op, widen(left), widen(right), Ty::U64, span);
    Expr::new(ExprKind::Cast(Box::new(number)), Ty::Bool, span)
}

fn binary(op: BinOp, left: Expr, right: Expr, ty: Ty, span: Span) -> Expr {
    let kind = ExprKind::Binary { op: lowered(op), left: Box::new(left), right: Box::new(right) };
    Expr::new(kind, ty, span)
}
