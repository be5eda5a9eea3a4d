//! Operators and conversions of scalars.
//!
//! Requires operands extended to 64 bits by the sign of their type
//! Ensures  results are, too

use cranelift_codegen::ir::{self, InstBuilder as _, condcodes::IntCC, types};
use manifest::RuntimeError;

use super::Lower;
use super::memory::repr;
use crate::syntax::ast::Span;
use crate::types::tree::{Binary, Expr, Unary};
use crate::types::{Int, Ty};

impl Binary {
    /// True for operators that yield `bool`.
    pub(crate) fn is_comparison(self) -> bool {
        match self {
            Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => true,
            Binary::Add
            | Binary::Sub
            | Binary::Mul
            | Binary::Div
            | Binary::Mod
            | Binary::BitAnd
            | Binary::BitOr
            | Binary::BitXor
            | Binary::Shl
            | Binary::Shr => false,
        }
    }
}

impl Lower<'_> {
    pub(crate) fn lower_unary(&mut self, op: Unary, operand: &Expr, ty: &Ty) -> ir::Value {
        let value = self.lower_scalar(operand);
        let result = match op {
            Unary::Neg => self.b.ins().ineg(value),
            Unary::BitNot => self.b.ins().bnot(value),
            Unary::Not => {
                let cond = self.b.ins().icmp_imm_s(IntCC::Equal, value, 0);
                return self.widen_bool(cond);
            }
        };
        self.extend(result, repr(ty))
    }

    pub(crate) fn lower_binary(&mut self, op: Binary, left: &Expr, right: &Expr, whole: &Expr) -> ir::Value {
        if op.is_comparison() {
            let cond = self.lower_comparison(op, left, right);
            return self.widen_bool(cond);
        }
        let a = self.lower_scalar(left);
        let mut b = self.lower_scalar(right);
        if let Ty::Ptr(pointee, _) = &left.ty
            && !matches!(right.ty, Ty::Ptr(..))
        {
            b = self.scale_by(b, pointee);
        }
        let ins = self.b.ins();
        let result = match op {
            Binary::Add => ins.iadd(a, b),
            Binary::Sub => ins.isub(a, b),
            Binary::Mul => ins.imul(a, b),
            Binary::BitAnd => ins.band(a, b),
            Binary::BitOr => ins.bor(a, b),
            Binary::BitXor => ins.bxor(a, b),
            Binary::Shl => ins.ishl(a, b),
            Binary::Shr => ins.ushr(a, b),
            Binary::Div => self.divide(a, b, self.literal(right), false, whole.span),
            Binary::Mod => self.divide(a, b, self.literal(right), true, whole.span),
            Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => {
                unreachable!("comparisons are handled above")
            }
        };
        self.extend(result, repr(&whole.ty))
    }

    /// The comparison's result, one byte.
    pub(crate) fn lower_comparison(&mut self, op: Binary, left: &Expr, right: &Expr) -> ir::Value {
        let a = self.lower_scalar(left);
        let b = self.lower_scalar(right);
        let signed = repr(&left.ty).signed;
        let cc = match (op, signed) {
            (Binary::Eq, _) => IntCC::Equal,
            (Binary::Lt, true) => IntCC::SignedLessThan,
            (Binary::Lt, false) => IntCC::UnsignedLessThan,
            (Binary::Le, true) => IntCC::SignedLessThanOrEqual,
            (Binary::Le, false) => IntCC::UnsignedLessThanOrEqual,
            (Binary::Gt, true) => IntCC::SignedGreaterThan,
            (Binary::Gt, false) => IntCC::UnsignedGreaterThan,
            (Binary::Ge, true) => IntCC::SignedGreaterThanOrEqual,
            (Binary::Ge, false) => IntCC::UnsignedGreaterThanOrEqual,
            _ => IntCC::NotEqual,
        };
        self.b.ins().icmp(cc, a, b)
    }

    /// `value` times the bytes of a type, on the running kernel.
    pub(crate) fn scale_by(&mut self, value: ir::Value, ty: &Ty) -> ir::Value {
        match *ty {
            Ty::Struct(of) if self.is_relocatable(of) => {
                let bytes = self.size_of(of);
                self.b.ins().imul(value, bytes)
            }
            _ => self.scale(value, ty.size().max(1)),
        }
    }

    /// `value` times a size in bytes.
    pub(crate) fn scale(&mut self, value: ir::Value, size: u32) -> ir::Value {
        match size {
            1 => value,
            _ if size.is_power_of_two() => self.b.ins().ishl_imm_s(value, i64::from(size.trailing_zeros())),
            _ => self.b.ins().imul_imm_s(value, i64::from(size)),
        }
    }

    /// Unsigned division. By a constant, the divisor must stay a division: the mid-end would make a
    /// high multiplication of it, which BPF lacks. By zero, the result is 1 and an event says so.
    pub(crate) fn divide(
        &mut self,
        a: ir::Value,
        b: ir::Value,
        constant: Option<u64>,
        modulo: bool,
        span: Span,
    ) -> ir::Value {
        match constant {
            Some(n) if n.is_power_of_two() && modulo => return self.b.ins().band_imm_s(a, (n - 1) as i64),
            Some(n) if n.is_power_of_two() => {
                return self.b.ins().ushr_imm_s(a, i64::from(n.trailing_zeros()));
            }
            Some(n) if n != 0 => {
                let n = self.opaque(n as i64);
                return if modulo { self.b.ins().urem(a, n) } else { self.b.ins().udiv(a, n) };
            }
            _ => {}
        }
        let result = self.result();
        self.if_nonzero(
            b,
            |l| {
                let value = if modulo { l.b.ins().urem(a, b) } else { l.b.ins().udiv(a, b) };
                l.b.def_var(result, value);
            },
            |l| {
                l.runtime_error(RuntimeError::DivideByZero, span, None);
                let one = l.iconst(1);
                l.b.def_var(result, one);
            },
        );
        self.b.use_var(result)
    }

    /// The low bytes of `value` as an `int`, extended to 64 bits again.
    pub(crate) fn extend(&mut self, value: ir::Value, int: Int) -> ir::Value {
        let narrow = match int.size {
            1 => types::I8,
            2 => types::I16,
            4 => types::I32,
            _ => return value,
        };
        let value = self.b.ins().ireduce(narrow, value);
        if int.signed {
            self.b.ins().sextend(types::I64, value)
        } else {
            self.b.ins().uextend(types::I64, value)
        }
    }
}
