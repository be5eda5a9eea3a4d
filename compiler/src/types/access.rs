//! Parts of values: fields, elements, what pointers point at.

use super::check::{Check, Checked};
use super::expr::int_literal;
use super::tree::{Expr, ExprKind};
use super::{Int, Space, Ty, codes};
use crate::diag::Diag;
use crate::fields::{Composite, Member};
use crate::syntax::ast::{self, BinOp, Span};

impl Check<'_> {
    /// `base.field`, of a value or through pointers to it.
    pub(super) fn field(
        &mut self,
        base: Expr,
        field: &ast::Field,
        field_span: Span,
        span: Span,
    ) -> Checked<Expr> {
        if base.ty == Ty::Args {
            return self.arg_field(field, field_span, span);
        }
        let base = self.deref_all(base)?;
        match (&base.ty, field) {
            (Ty::Struct(_), ast::Field::Name(name)) => self.struct_field(base, name, field_span, span),
            (Ty::Record(fields), ast::Field::Name(name)) => match fields.iter().position(|f| f.0 == *name) {
                Some(at) => Ok(part(base, at, span)),
                None => {
                    let shown = self.fields.show(&base.ty);
                    let names: Vec<String> = fields.iter().map(|field| field.0.clone()).collect();
                    Err(self.unknown_field(&shown, name, &names, field_span))
                }
            },
            (Ty::Tuple(fields), ast::Field::Index(index)) => {
                let found = usize::try_from(*index).ok().filter(|at| *at < fields.len());
                match found {
                    Some(at) => Ok(part(base, at, span)),
                    None => {
                        let message = format!("the tuple has no field {index}");
                        let label = format!("it has {} fields", fields.len());
                        Err(self.fail(Diag::error(&codes::UNKNOWN_FIELD, message, field_span, label)))
                    }
                }
            }
            _ => {
                let message = format!("{} has no such fields", self.describe(&base.ty));
                let diag = Diag::error(&codes::NOT_A_POINTER, message, field_span, "")
                    .also(base.span, self.describe(&base.ty));
                Err(self.fail(match base.ty {
                    Ty::Int(_) => diag.help("cast it to a pointer first: `((struct NAME *)value).field`"),
                    Ty::Tuple(_) => diag.help("fields of tuples have numbers: `value.0`"),
                    _ => diag,
                }))
            }
        }
    }

    fn arg_field(&mut self, field: &ast::Field, field_span: Span, span: Span) -> Checked<Expr> {
        self.check_context("args", span)?;
        let ast::Field::Name(name) = field else {
            let message = "arguments have names";
            return Err(self.fail(Diag::error(&codes::UNKNOWN_FIELD, message, field_span, "not a number")));
        };
        let target = self.target;
        let Some(index) = target.args.iter().position(|arg| arg.name == *name) else {
            if name.starts_with("common_") {
                let message = format!("`{name}` cannot be read");
                let label = "BPF does not show the common fields of tracepoints";
                return Err(self.fail(Diag::error(&codes::UNKNOWN_FIELD, message, field_span, label)));
            }
            let names: Vec<String> = target.args.iter().map(|arg| arg.name.clone()).collect();
            return Err(self.unknown_field(&format!("args of {}", target.name), name, &names, field_span));
        };
        let ty = target.args[index].ty.clone();
        if ty == Ty::None {
            return Err(self.fail(Diag::unsupported(&format!("the type of `args.{name}` is"), field_span)));
        }
        let index = u32::try_from(index).expect("functions have few parameters");
        Ok(Expr::new(ExprKind::Arg(index), ty, span))
    }

    /// Inside a `for` the body is a function of its own, without the probe's context.
    pub(super) fn check_context(&mut self, what: &str, span: Span) -> Checked<()> {
        if self.for_loops == 0 {
            return Ok(());
        }
        let message = format!("`{what}` cannot be read inside a `for` loop");
        Err(self.fail(
            Diag::error(&codes::NOT_HERE, message, span, "the loop's body does not see the probe's context")
                .help("keep what you need in a variable in front of the loop"),
        ))
    }

    fn unknown_field(
        &mut self,
        of: &str,
        name: &str,
        names: &[String],
        span: Span,
    ) -> super::check::Reported {
        let message = format!("`{of}` has no field `{name}`");
        let diag = Diag::error(&codes::UNKNOWN_FIELD, message, span, "unknown field");
        let diag = match super::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => diag.help(format!("did you mean `{near}`?")),
            None if names.is_empty() => diag.note("it has no fields"),
            None if names.len() <= 12 => diag.note(format!("its fields are `{}`", names.join("`, `"))),
            None => diag,
        };
        self.fail(diag)
    }

    /// A member by name, through pointers: for builtins that stand for such a path.
    pub fn member(&mut self, base: Expr, name: &str, span: Span) -> Result<Expr, Diag> {
        let reported = self.diags.len();
        match self.field(base, &ast::Field::Name(name.to_owned()), span, span) {
            Ok(expr) => Ok(expr),
            Err(_) => {
                let diag = self.diags.drain(reported..).next_back();
                Err(diag.unwrap_or_else(|| Diag::unsupported(&format!("`{name}` is"), span)))
            }
        }
    }

    fn struct_field(&mut self, base: Expr, name: &str, field_span: Span, span: Span) -> Checked<Expr> {
        let composite = self.complete(&base, field_span)?;
        let space = self.space_of(&base);
        let Some(member) = self.fields.member(composite, name, space) else {
            let shown = self.fields.show(&base.ty);
            let names = self.fields.member_names(composite);
            return Err(self.unknown_field(&shown, name, &names, field_span));
        };
        self.check_member(composite, &member, field_span)?;
        let ty = member.ty.clone();
        Ok(Expr::new(ExprKind::Field { base: Box::new(base), member }, ty, span))
    }

    /// The definition of the struct that a value has.
    fn complete(&mut self, base: &Expr, span: Span) -> Checked<Composite> {
        let Ty::Struct(composite) = base.ty else { unreachable!("only asked of structs") };
        self.defined(composite, span)
    }

    fn check_member(&mut self, composite: Composite, member: &Member, span: Span) -> Checked<()> {
        let name = &member.name;
        if member.ty == Ty::None {
            return Err(self.fail(Diag::unsupported(&format!("the type of field `{name}` is"), span)));
        }
        match self.fields.pointer_tag(composite.btf, member.id) {
            None | Some("user" | "rcu") => Ok(()),
            Some(tag) => {
                let message = format!("field `{name}` points into `{tag}` memory");
                let label = "cannot be followed";
                Err(self.fail(Diag::error(&codes::NOT_A_POINTER, message, span, label)))
            }
        }
    }

    /// Follows pointers until there is something else.
    fn deref_all(&mut self, mut base: Expr) -> Checked<Expr> {
        while matches!(base.ty, Ty::Ptr(..)) {
            let span = base.span;
            base = self.deref(base, span)?;
        }
        Ok(base)
    }

    /// `*operand`: of a pointer what it points at, of an integer the `uint64` at that address.
    pub(super) fn deref(&mut self, mut operand: Expr, span: Span) -> Checked<Expr> {
        // Old scripts write `*args`.
        if operand.ty == Ty::Args {
            return Ok(operand);
        }
        if matches!(operand.ty, Ty::Int(_)) {
            let pointer = Ty::Ptr(Box::new(Ty::U64), self.space());
            self.convert(&mut operand, &Ty::U64);
            self.convert(&mut operand, &pointer);
        }
        let Ty::Ptr(to, _) = &operand.ty else {
            let message = format!("{} cannot be dereferenced", self.describe(&operand.ty));
            return Err(self.fail(Diag::error(&codes::NOT_A_POINTER, message, operand.span, "no pointer")));
        };
        let ty = match &**to {
            Ty::Void | Ty::None => {
                let message = "a pointer to `void` cannot be dereferenced";
                return Err(self.fail(
                    Diag::error(&codes::NOT_A_POINTER, message, operand.span, "to what?")
                        .help("cast it first: `*(uint64 *)pointer`"),
                ));
            }
            Ty::Struct(composite) => Ty::Struct(self.fields.complete(*composite).unwrap_or(*composite)),
            ty => ty.clone(),
        };
        Ok(Expr::new(ExprKind::Deref(Box::new(operand)), ty, span))
    }

    /// `base[index]`.
    pub(super) fn index(&mut self, base: &ast::Expr, index: &ast::Expr, span: Span) -> Checked<Expr> {
        let (base, index) = (self.value(base), self.value(index));
        let (base, mut index) = (base?, index?);
        if !matches!(index.ty, Ty::Int(_) | Ty::Enum(..) | Ty::Bool) {
            let message = "an index is an integer";
            let label = format!("this is {}", self.describe(&index.ty));
            return Err(self.fail(Diag::error(&codes::BAD_OPERAND, message, index.span, label)));
        }
        if let (Ty::Tuple(_), Some(at)) = (&base.ty, index.literal()) {
            let at = u64::try_from(at).unwrap_or(u64::MAX);
            return self.field(base, &ast::Field::Index(at), index.span, span);
        }
        let (len, elem) = match &base.ty {
            Ty::Array(elem, len) => (*len, (**elem).clone()),
            Ty::String(len) => (*len, Ty::Int(Int { size: 1, signed: true })),
            Ty::Ptr(..) => {
                let sum = self.pointer_sum(BinOp::Add, span, base, index);
                return self.deref(sum, span);
            }
            _ => {
                let message = format!("{} has no elements", self.describe(&base.ty));
                return Err(self.fail(Diag::error(&codes::NOT_A_POINTER, message, base.span, "")));
            }
        };
        if let Some(at) = index.literal() {
            // A length of 0 is C's way to say that it is not known.
            if at < 0 || len > 0 && at >= i128::from(len) {
                let message = format!("index {at} is out of bounds");
                let label = format!("there are {len} elements");
                return Err(self.fail(Diag::error(&codes::BAD_CONSTANT, message, index.span, label)));
            }
            if let (Some(text), Ok(at)) = (base.text(), usize::try_from(at)) {
                let byte = text.get(at).copied().unwrap_or(0).cast_signed();
                return Ok(Expr::new(ExprKind::Int(i64::from(byte).cast_unsigned()), elem, span));
            }
            index = int_literal(at, index.span);
        }
        self.convert(&mut index, &Ty::U64);
        let kind = ExprKind::Index { base: Box::new(base), index: Box::new(index) };
        Ok(Expr::new(kind, elem, span))
    }
}

fn part(base: Expr, at: usize, span: Span) -> Expr {
    let ty = match &base.ty {
        Ty::Record(fields) => fields[at].1.clone(),
        Ty::Tuple(fields) => fields[at].clone(),
        _ => unreachable!("only records and tuples have numbered parts"),
    };
    let index = u32::try_from(at).expect("tuples are written out");
    Expr::new(ExprKind::TupleField { base: Box::new(base), index }, ty, span)
}

impl Check<'_> {
    /// Which memory a value lies in: that of the pointer it was reached by.
    fn space_of(&self, expr: &Expr) -> Space {
        match &expr.kind {
            ExprKind::Deref(pointer) => match pointer.ty {
                Ty::Ptr(_, space) => space,
                _ => Space::Kernel,
            },
            ExprKind::Field { base, .. } | ExprKind::Index { base, .. } => self.space_of(base),
            // A struct that is passed by value points where its caller lives.
            ExprKind::Arg(_) => self.space(),
            _ => Space::Kernel,
        }
    }
}
