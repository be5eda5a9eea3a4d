//! `container_of`: the struct that a member's address lies in.

use super::Builtin;
use crate::diag::Diag;
use crate::syntax::ast::{Arg, Expr, ExprKind, Field, Name, Span};
use crate::syntax::path::PathPart;
use crate::types::{Check, Checked, codes, tree};

/// `container_of(pointer, typeof(struct T), member.path)`.
pub(super) static CONTAINER_OF: Builtin = Builtin {
    form: Some(form),
    ..Builtin::new("container_of", (3, 3), |cx, call| Err(call.wrong(cx, 1, "a type")))
};

fn form(cx: &mut Check<'_>, args: &[Arg], span: Span) -> Checked<tree::Expr> {
    if let [Arg::Expr(pointer), Arg::Type(of), Arg::Expr(member)] = args
        && let Some(path) = path_of(member)
    {
        return cx.container_of(pointer, of, &path, span);
    }
    let message = "`container_of` wants a pointer, a type and a member";
    let diag = Diag::error(&codes::ARGUMENT_KIND, message, span, "");
    cx.report(Err(diag.help("write `container_of(pointer, typeof(struct NAME), member)`")))
}

/// `a.b[1]` as a path.
fn path_of(member: &Expr) -> Option<Vec<PathPart>> {
    let name = |text: &str, span| PathPart::Member(Name { text: text.to_owned(), span });
    let (mut path, part) = match &member.kind {
        ExprKind::Ident(text) => (Vec::new(), name(text, member.span)),
        ExprKind::Field { base, field: Field::Name(text), field_span, .. } => {
            (path_of(base)?, name(text, *field_span))
        }
        ExprKind::Index { base, index } => match &index.kind {
            ExprKind::Int(literal) => (path_of(base)?, PathPart::Element(literal.value, index.span)),
            _ => return None,
        },
        _ => return None,
    };
    path.push(part);
    Some(path)
}
