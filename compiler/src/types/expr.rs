//! Expressions: literals, names, places.

use super::check::{Check, Checked};
use super::promote::{Flex, literal_type, promote};
use super::tree::{Expr, ExprKind, MapId, Place, Unary};
use super::vars::plain;
use super::{Int, Space, Ty, codes};
use crate::builtins;
use crate::diag::Diag;
use crate::fields::NotFound;
use crate::syntax::ast::{self, Span};
use manifest::GlobalRole;

impl Check<'_> {
    /// An expression whose value is used: `args` is a record of the arguments, aggregations are errors.
    pub(super) fn value(&mut self, expr: &ast::Expr) -> Checked<Expr> {
        let raw = self.raw(expr)?;
        self.settle(raw)
    }

    /// Makes a value of what may stand only in certain places.
    pub(super) fn settle(&mut self, expr: Expr) -> Checked<Expr> {
        match &expr.ty {
            Ty::Args => Ok(self.args_record(expr.span)),
            Ty::Agg(_) => {
                let name = match &expr.kind {
                    ExprKind::Call { builtin, .. } => builtin.name,
                    _ => "aggregation",
                };
                let message = format!("`{name}` must be assigned directly to a map");
                Err(self.fail(
                    Diag::error(&codes::NOT_ASSIGNED, message, expr.span, "has no value of its own")
                        .help(format!("`@m = {name}(…);`")),
                ))
            }
            _ => Ok(expr),
        }
    }

    fn args_record(&self, span: Span) -> Expr {
        let usable = self.target.args.iter().enumerate().filter(|(_, arg)| arg.ty != Ty::None);
        let (mut types, mut fields) = (Vec::new(), Vec::new());
        for (index, arg) in usable {
            let index = u32::try_from(index).expect("functions have few parameters");
            types.push((arg.name.clone(), super::promote::untyped(&arg.ty)));
            let mut field = Expr::new(ExprKind::Arg(index), arg.ty.clone(), span);
            self.convert(&mut field, &super::promote::untyped(&arg.ty));
            fields.push(field);
        }
        Expr::new(ExprKind::Record(fields), Ty::Record(types), span)
    }

    /// An expression as it is.
    pub(super) fn raw(&mut self, expr: &ast::Expr) -> Checked<Expr> {
        let span = expr.span;
        match &expr.kind {
            ast::ExprKind::Int(literal) => Ok(int_literal(i128::from(literal.value), span)),
            ast::ExprKind::Str(bytes) => self.string(bytes, span),
            ast::ExprKind::Bool(value) => Ok(Expr::new(ExprKind::Int(u64::from(*value)), Ty::Bool, span)),
            ast::ExprKind::Ident(name) => self.ident(name, span),
            ast::ExprKind::Call { name, args } => self.call(name, args, span),
            ast::ExprKind::Var(name) => self.variable(name, span),
            ast::ExprKind::Map(access) => self.map_value_of(access, span),
            ast::ExprKind::Param(index) => {
                let index = u32::try_from(*index).unwrap_or(u32::MAX);
                let id = self.parameter(GlobalRole::PositionalInt(index));
                Ok(Expr::new(ExprKind::Param(id), Ty::I64, span))
            }
            ast::ExprKind::ParamCount => {
                let id = self.parameter(GlobalRole::PositionalCount);
                Ok(Expr::new(ExprKind::Param(id), Ty::U64, span))
            }
            ast::ExprKind::Unary { op, expr } => self.unary(*op, expr, span),
            ast::ExprKind::IncDec { place, step, fix } => self.step(place, *step, *fix, span),
            ast::ExprKind::AddressOf(place) => self.address_of(place, span),
            ast::ExprKind::Binary { op, op_span, lhs, rhs } => {
                let (left, right) = (self.value(lhs), self.value(rhs));
                self.binary(*op, *op_span, left?, right?)
            }
            ast::ExprKind::Ternary { cond, then, otherwise } => {
                self.ternary(span, cond, then.as_deref(), otherwise)
            }
            ast::ExprKind::Field { base, field, field_span, arrow: _ } => {
                let base = self.raw(base)?;
                self.field(base, field, *field_span, span)
            }
            ast::ExprKind::Index { base, index } => self.index(base, index, span),
            ast::ExprKind::Cast { ty, expr } => self.cast(ty, expr, span),
            ast::ExprKind::Tuple(fields) => self.tuple(fields, span),
            ast::ExprKind::Record(fields) => self.record(fields, span),
            ast::ExprKind::If { cond, then, otherwise } => {
                self.if_expr(span, cond, then, otherwise.as_deref())
            }
            ast::ExprKind::Block(block) => self.block_value(block, span),
            ast::ExprKind::Sizeof(operand) => self.sizeof(operand, span),
            ast::ExprKind::Offsetof { base, path } => self.offsetof(base, path, span),
            ast::ExprKind::Typeinfo(_) => Err(self.fail(Diag::unsupported("`typeinfo` is", span))),
            ast::ExprKind::Comptime(inner) => self.comptime_value(inner),
            ast::ExprKind::Error => Err(super::check::Reported),
        }
    }

    fn tuple(&mut self, fields: &[ast::Expr], span: Span) -> Checked<Expr> {
        let fields = self.fields_of(fields.iter())?;
        let ty = Ty::Tuple(fields.iter().map(|field| field.ty.clone()).collect());
        self.check_parts(&ty, span)?;
        Ok(Expr::new(ExprKind::Tuple(fields), ty, span))
    }

    fn record(&mut self, fields: &[(ast::Name, ast::Expr)], span: Span) -> Checked<Expr> {
        let names = fields.iter().map(|(name, _)| name.text.clone());
        let values = self.fields_of(fields.iter().map(|(_, value)| value))?;
        let ty = Ty::Record(names.zip(&values).map(|(name, value)| (name, value.ty.clone())).collect());
        self.check_parts(&ty, span)?;
        Ok(Expr::new(ExprKind::Record(values), ty, span))
    }

    fn comptime_value(&mut self, expr: &ast::Expr) -> Checked<Expr> {
        let value = self.value(expr)?;
        if value.literal().is_some() || value.text().is_some() {
            return Ok(value);
        }
        let message = "the expression is not known at compile time";
        Err(self.fail(Diag::error(&codes::NOT_LITERAL, message, expr.span, "")))
    }

    /// Fields of a tuple or record: every one is checked, and values the verifier follows lose that.
    fn fields_of<'e>(&mut self, fields: impl Iterator<Item = &'e ast::Expr>) -> Checked<Vec<Expr>> {
        let fields: Vec<_> = fields.map(|field| self.value(field)).collect();
        let mut fields: Vec<Expr> = fields.into_iter().collect::<Checked<_>>()?;
        for field in &mut fields {
            self.check_value(field)?;
            let untyped = super::promote::untyped(&field.ty);
            self.convert(field, &untyped);
        }
        Ok(fields)
    }

    pub(super) fn string(&mut self, bytes: &[u8], span: Span) -> Checked<Expr> {
        // Longer ones are fine as formats; what would be stored is bounded where it is stored.
        let size = u32::try_from(bytes.len() + 1).unwrap_or(u32::MAX);
        Ok(Expr::new(ExprKind::Str(bytes.to_vec()), Ty::String(size), span))
    }

    fn ident(&mut self, name: &str, span: Span) -> Checked<Expr> {
        if let Some(index) = arg_number(name) {
            return self.argument(index, span);
        }
        if builtins::find(name).is_some() || builtins::is_later(name) {
            return self.call(&ast::Name { text: name.to_owned(), span }, &[], span);
        }
        match self.fields.enumerator(name) {
            Ok(found) => {
                let signed = self.fields.is_signed(found.of);
                let ty = Ty::Enum(Int { size: 8, signed }, found.of);
                let kind = ExprKind::Enumerator { of: found.of, name: name.to_owned(), value: found.value };
                Ok(Expr::new(kind, ty, span))
            }
            Err(NotFound::Unknown) => Err(self.unknown_name(name, span)),
            Err(NotFound::Ambiguous(found)) => Err(self.fail(self.fields.ambiguous(name, &found, span))),
        }
    }

    pub(super) fn unknown_name(&mut self, name: &str, span: Span) -> super::check::Reported {
        let diag = Diag::error(&codes::UNKNOWN_NAME, format!("unknown name `{name}`"), span, "");
        let diag = match super::nearest(name, builtins::names()) {
            Some(near) => diag.help(format!("did you mean `{near}`?")),
            None if self.lookup(name).is_some() => diag.help(format!("did you mean `${name}`?")),
            None if name.starts_with("sarg") => {
                diag.help("arguments on the stack: `*(reg(\"sp\") + offset)`")
            }
            None => diag,
        };
        self.fail(diag)
    }

    fn argument(&mut self, index: u64, span: Span) -> Checked<Expr> {
        let literal = int_literal(i128::from(index), span);
        self.call_builtin(&builtins::ARG, vec![literal], span)
    }

    fn variable(&mut self, name: &str, span: Span) -> Checked<Expr> {
        let Some(id) = self.lookup(name) else {
            let shown = plain(name);
            let message = format!("undefined variable `${shown}`");
            let diag = Diag::error(&codes::UNDEFINED_VARIABLE, message, span, "has no value here");
            let visible: Vec<String> = self.scopes.iter().flat_map(|scope| scope.keys().cloned()).collect();
            return Err(match super::nearest(name, visible.iter().map(String::as_str)) {
                Some(near) => self.fail(diag.help(format!("did you mean `${}`?", plain(near)))),
                None if self.vars.all.iter().any(|var| var.name == name) => self.fail(
                    diag.note("it exists only in the block of its first assignment")
                        .help(format!("declare it in the outer block: `let ${shown};`")),
                ),
                None => self.fail(diag),
            });
        };
        match &self.var(id).slot {
            Some(slot) => Ok(Expr::new(ExprKind::Var(id), slot.ty.clone(), span)),
            None if self.var(id).poisoned => Err(super::check::Reported),
            None => {
                let message = format!("variable `${}` is used before it has a value", plain(name));
                Err(self.fail(Diag::error(&codes::UNDEFINED_VARIABLE, message, span, "has no type yet")))
            }
        }
    }

    /// The key of `@m[k]`, converted; `None` for `@m`.
    pub(super) fn map_access(&mut self, map: MapId, access: &ast::MapAccess) -> Checked<Option<Expr>> {
        let span = access.name.span;
        let mut key = match &access.keys[..] {
            [] => {
                let used = self.map_scalar(map, span);
                return self.report(used).map(|()| None);
            }
            [key] => self.value(key)?,
            keys => {
                let whole = keys.first().zip(keys.last()).map_or(span, |(a, b)| a.span.to(b.span));
                self.tuple(keys, whole)?
            }
        };
        let used = self.map_key(map, &mut key, span);
        self.report(used)?;
        Ok(Some(key))
    }

    fn map_value_of(&mut self, access: &ast::MapAccess, span: Span) -> Checked<Expr> {
        let map = self.map_id(&access.name.text);
        let key = self.map_access(map, access);
        let ty = self.map_type(map, span)?;
        Ok(Expr::new(ExprKind::Map { map, key: key?.map(Box::new) }, ty, span))
    }

    /// The value of a place.
    pub(super) fn read_place(&mut self, place: &ast::Place) -> Checked<Expr> {
        match &place.kind {
            ast::PlaceKind::Var(name) => self.variable(&name.text, place.span),
            ast::PlaceKind::Map(access) => self.map_value_of(access, place.span),
        }
    }

    /// `++x`, `x--`: integers become 64 bits wide, by their sign.
    fn step(&mut self, place: &ast::Place, step: ast::Step, fix: ast::Fix, span: Span) -> Checked<Expr> {
        let by = match step {
            ast::Step::Inc => 1,
            ast::Step::Dec => -1,
        };
        let (place, ty) = match &place.kind {
            ast::PlaceKind::Var(name) => {
                let value = self.variable(&name.text, place.span)?;
                let ExprKind::Var(id) = value.kind else { unreachable!("a variable") };
                let fixed = self.var(id).fixed;
                let stepped = self.stepped(&value.ty, place.span)?;
                let ty = if fixed {
                    value.ty
                } else {
                    let widened = self.widen(id, &stepped, Flex::No, place.span);
                    self.report(widened)?
                };
                (Place::Var(id), ty)
            }
            ast::PlaceKind::Map(access) => {
                let map = self.map_id(&access.name.text);
                let key = self.map_access(map, access);
                let known = self.map_value(map).cloned();
                let stepped = match &known {
                    Some(Ty::Agg(_)) => {
                        let message = "an aggregation cannot be stepped";
                        return Err(self.fail(Diag::error(&codes::BAD_OPERAND, message, place.span, "")));
                    }
                    Some(ty) => self.stepped(&ty.clone(), place.span)?,
                    None => Ty::I64,
                };
                let assigned = self.map_assign(map, &stepped, Flex::No, place.span);
                let ty = self.report(assigned)?;
                (Place::Map(map, key?.map(Box::new)), ty)
            }
        };
        let postfix = fix == ast::Fix::Postfix;
        Ok(Expr::new(ExprKind::Increment { place, by, postfix }, ty, span))
    }

    fn stepped(&mut self, ty: &Ty, span: Span) -> Checked<Ty> {
        match ty {
            Ty::Int(int) | Ty::Enum(int, _) if int.signed => Ok(Ty::I64),
            Ty::Int(_) | Ty::Enum(..) => Ok(Ty::U64),
            Ty::Ptr(to, space) => {
                Ok(Ty::Ptr(to.clone(), if *space == Space::Typed { Space::Kernel } else { *space }))
            }
            _ => {
                let message = format!("{} cannot be stepped", self.describe(ty));
                Err(self.fail(Diag::error(&codes::BAD_OPERAND, message, span, "no integer and no pointer")))
            }
        }
    }

    fn address_of(&mut self, place: &ast::Place, span: Span) -> Checked<Expr> {
        let (place, ty) = match &place.kind {
            ast::PlaceKind::Var(name) => {
                let value = self.variable(&name.text, place.span)?;
                let ExprKind::Var(id) = value.kind else { unreachable!("a variable") };
                (Place::Var(id), value.ty)
            }
            ast::PlaceKind::Map(access) => {
                let map = self.map_id(&access.name.text);
                let key = self.map_access(map, access)?;
                let ty = self.map_value(map).cloned().unwrap_or(Ty::Void);
                (Place::Map(map, key.map(Box::new)), ty)
            }
        };
        Ok(Expr::new(ExprKind::AddressOf(place), Ty::Ptr(Box::new(ty), Space::Kernel), span))
    }

    fn unary(&mut self, op: ast::UnaryOp, operand: &ast::Expr, span: Span) -> Checked<Expr> {
        if op == ast::UnaryOp::Deref {
            let operand = self.raw(operand)?;
            return self.deref(operand, span);
        }
        let is_number = matches!(operand.kind, ast::ExprKind::Int(_));
        let mut operand = self.value(operand)?;
        if op == ast::UnaryOp::Not {
            self.check_condition(&operand)?;
            if let Some(value) = operand.literal() {
                return Ok(Expr::new(ExprKind::Int(u64::from(value == 0)), Ty::Bool, span));
            }
            let kind = ExprKind::Unary { op: Unary::Not, operand: Box::new(operand) };
            return Ok(Expr::new(kind, Ty::Bool, span));
        }
        let symbol = op.symbol();
        let wide = match &operand.ty {
            Ty::Int(int) | Ty::Enum(int, _) if int.signed => Ty::I64,
            Ty::Int(_) | Ty::Enum(..) | Ty::Bool => Ty::U64,
            _ => {
                let message = format!("`{symbol}` wants an integer");
                let label = format!("this is {}", self.describe(&operand.ty));
                return Err(self.fail(Diag::error(&codes::BAD_OPERAND, message, operand.span, label)));
            }
        };
        if let Some(value) = operand.literal() {
            let folded = if op == ast::UnaryOp::Neg { -value } else { !value };
            if folded < i128::from(i64::MIN) {
                let message = format!("`-{value}` does not fit in 64 bits");
                return Err(self.fail(Diag::error(
                    &codes::BAD_CONSTANT,
                    message,
                    span,
                    "below the smallest `int64`",
                )));
            }
            // The complement of a literal is a number without sign, and a number behind `-` a negative one.
            let complement = match op {
                ast::UnaryOp::BitNot => folded < 0 || wide == Ty::U64,
                _ => wide == Ty::U64 && !is_number,
            };
            let bits = if wide == Ty::U64 { 8 * operand.ty.size() } else { 64 };
            let folded = if complement { folded & (i128::from(u64::MAX) >> (64 - bits)) } else { folded };
            return Ok(int_literal(folded, span));
        }
        // The complement has the operand's bits and zeroes above them, whatever the sign: `~` of an
        // `int8` 7 is 248, as bpftrace has it. So has `-` of a number without sign.
        let complement = op == ast::UnaryOp::BitNot && matches!(operand.ty, Ty::Int(_));
        if (wide == Ty::I64 && !complement) || operand.ty == Ty::Bool {
            self.convert(&mut operand, &wide);
        }
        let narrow = match operand.ty {
            Ty::Int(int) => Ty::Int(Int { signed: int.signed && !complement, ..int }),
            _ => wide.clone(),
        };
        let op = if op == ast::UnaryOp::Neg { Unary::Neg } else { Unary::BitNot };
        let mut result = Expr::new(ExprKind::Unary { op, operand: Box::new(operand) }, narrow, span);
        self.convert(&mut result, &wide);
        Ok(result)
    }

    /// The type both have when compared.
    pub(super) fn common(&self, a: &Expr, b: &Expr) -> Option<Ty> {
        promote((&a.ty, &Flex::of(a)), (&b.ty, &Flex::of(b))).map(|(ty, _)| ty)
    }
}

/// A literal of the smallest type.
pub(super) fn int_literal(value: i128, span: Span) -> Expr {
    // The callers stay within 64 bits of either sign.
    let bits =
        u64::try_from(value).unwrap_or_else(|_| i64::try_from(value).unwrap_or(i64::MIN).cast_unsigned());
    Expr::new(ExprKind::Int(bits), literal_type(value), span)
}

/// `arg0`, `arg1`, …
fn arg_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("arg")?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
