//! Calls of builtins.

use super::check::{Check, Checked};
use super::tree::{Expr, ExprKind};
use super::{Ty, codes};
use crate::builtins::{self, Builtin, ByRef, Call};
use crate::diag::Diag;
use crate::syntax::ast::{self, Span};

/// Builtins that read the probe's context.
const CONTEXT: &[&str] = &["argN", "args", "retval", "ctx"];

impl Check<'_> {
    /// `name(args)`, or a bare `name`.
    pub(super) fn call(&mut self, name: &ast::Name, args: &[ast::Arg], span: Span) -> Checked<Expr> {
        let Some(builtin) = builtins::find(&name.text) else {
            if builtins::is_later(&name.text) {
                return Err(self.fail(Diag::unsupported(&format!("`{}` is", name.text), name.span)));
            }
            return Err(self.unknown_name(&name.text, name.span));
        };
        if let Some(form) = builtin.form {
            self.check_arity(builtin, args.len(), span)?;
            return form(self, args, span);
        }
        let args: Vec<_> = args.iter().map(|arg| self.arg_expr(arg, builtin)).collect();
        let args: Vec<&ast::Expr> = args.into_iter().collect::<Checked<_>>()?;
        // `delete(@m[k])` counts as two.
        let typed = self.arguments(builtin, &args);
        self.check_arity(builtin, typed.as_ref().map_or(args.len(), Vec::len), span)?;
        self.call_builtin(builtin, typed?, span)
    }

    fn arg_expr<'e>(&mut self, arg: &'e ast::Arg, builtin: &Builtin) -> Checked<&'e ast::Expr> {
        match arg {
            ast::Arg::Expr(expr) => Ok(expr),
            ast::Arg::Type(ty) => {
                let message = format!("`{}` takes no types", builtin.name);
                Err(self.fail(Diag::error(&codes::ARGUMENT_KIND, message, ty.span, "a type")))
            }
        }
    }

    fn check_arity(&mut self, builtin: &Builtin, given: usize, span: Span) -> Checked<()> {
        let (min, max) = builtin.arity;
        if (min..=max).contains(&given) {
            return Ok(());
        }
        let count = |n: usize| match n {
            0 => "no arguments".to_owned(),
            1 => "1 argument".to_owned(),
            n => format!("{n} arguments"),
        };
        let wanted = match (min, max) {
            (min, max) if min == max => count(min),
            (_, max) if given > max => format!("at most {}", count(max)),
            (min, _) => format!("at least {}", count(min)),
        };
        let message = format!("`{}` takes {wanted}", builtin.name);
        let label = if given == 1 { "1 is given".to_owned() } else { format!("{given} are given") };
        Err(self.fail(Diag::error(&codes::ARGUMENT_COUNT, message, span, label)))
    }

    fn arguments(&mut self, builtin: &Builtin, args: &[&ast::Expr]) -> Checked<Vec<Expr>> {
        let mut typed = Vec::new();
        let mut failed = None;
        for (index, arg) in args.iter().enumerate() {
            let result = match (&arg.kind, index) {
                (ast::ExprKind::Ident(word), _) if builtin.words.contains(&word.as_str()) => {
                    let size = u32::try_from(word.len() + 1).expect("words are short");
                    let kind = ExprKind::Str(word.as_bytes().to_vec());
                    Ok(vec![Expr::new(kind, Ty::String(size), arg.span)])
                }
                (ast::ExprKind::Map(access), 0) if self.is_by_ref(builtin, access) => {
                    self.map_argument(access, arg.span)
                }
                _ => self.value(arg).map(|value| vec![value]),
            };
            match result {
                Ok(values) => typed.extend(values),
                Err(reported) => failed = Some(reported),
            }
        }
        failed.map_or(Ok(typed), Err)
    }

    fn is_by_ref(&self, builtin: &Builtin, access: &ast::MapAccess) -> bool {
        match builtin.by_ref {
            ByRef::No => false,
            ByRef::Map => access.keys.is_empty(),
            ByRef::Entry => true,
        }
    }

    /// The map, and the key that old scripts write at it.
    fn map_argument(&mut self, access: &ast::MapAccess, span: Span) -> Checked<Vec<Expr>> {
        let map = self.map_id(&access.name.text);
        if self.map_state(map).keyed.is_none() && access.keys.is_empty() && self.map_value(map).is_none() {
            // Known by the first pass that sees an assignment; else nobody ever assigns.
            return self.map_type(map, span).map(|_| Vec::new());
        }
        let mut args = vec![Expr::new(ExprKind::MapRef(map), Ty::None, access.name.span)];
        if !access.keys.is_empty() {
            args.extend(self.map_access(map, access)?);
        }
        Ok(args)
    }

    /// The call of a builtin with typed arguments.
    pub(super) fn call_builtin(
        &mut self,
        builtin: &'static Builtin,
        args: Vec<Expr>,
        span: Span,
    ) -> Checked<Expr> {
        if CONTEXT.contains(&builtin.name) {
            self.check_context(builtin.name, span)?;
        }
        for arg in &args {
            if arg.ty == Ty::None && !matches!(arg.kind, ExprKind::MapRef(_)) {
                let message = format!("an argument of `{}` has no value", builtin.name);
                return Err(self.fail(Diag::error(&codes::ARGUMENT_KIND, message, arg.span, "no value")));
            }
        }
        let mut call = Call { name: builtin.name, args, span, becomes: None };
        let ty = (builtin.check)(self, &mut call);
        let ty = self.report(ty)?;
        let kind = call.becomes.unwrap_or(ExprKind::Call { builtin, args: call.args });
        Ok(Expr::new(kind, ty, span))
    }
}
