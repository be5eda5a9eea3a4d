//! Keys as text, to tell whether two look-ups are of the same element.

use crate::types::tree::{Binary, Expr, ExprKind, VarId};

/// How [`key_text`] spells a variable.
pub(crate) fn var_text(var: VarId) -> String {
    format!("${};", var.0)
}

/// Text that two keys share only if they are the same pure expression; `None` if the value may
/// change from one evaluation to the next.
pub(crate) fn key_text(key: Option<&Expr>) -> Option<String> {
    let mut text = String::new();
    match key {
        Some(key) => spell(key, &mut text)?,
        None => text.push('0'),
    }
    Some(text)
}

fn spell(e: &Expr, out: &mut String) -> Option<()> {
    use std::fmt::Write as _;
    match &e.kind {
        ExprKind::Int(value) => write!(out, "{value}").ok()?,
        ExprKind::Str(bytes) => write!(out, "{bytes:?}").ok()?,
        ExprKind::Var(var) => out.push_str(&var_text(*var)),
        ExprKind::Arg(index) => write!(out, "arg{index};").ok()?,
        ExprKind::RetVal => out.push_str("retval;"),
        ExprKind::Param(param) => write!(out, "param{};", param.0).ok()?,
        ExprKind::Cast(of) => {
            write!(out, "({:?})", e.ty).ok()?;
            spell(of, out)?;
        }
        ExprKind::Tuple(fields) | ExprKind::Record(fields) => {
            out.push('[');
            for field in fields {
                spell(field, out)?;
                out.push(',');
            }
            out.push(']');
        }
        ExprKind::TupleField { base, index } => {
            spell(base, out)?;
            write!(out, ".{index}").ok()?;
        }
        ExprKind::Binary { op, left, right } if !matches!(op, Binary::Div | Binary::Mod) => {
            write!(out, "{op:?}(").ok()?;
            spell(left, out)?;
            out.push(',');
            spell(right, out)?;
            out.push(')');
        }
        ExprKind::Call { builtin, args } if PURE.contains(&builtin.name) => {
            out.push_str(builtin.name);
            out.push('(');
            args.iter().try_for_each(|arg| spell(arg, out))?;
            out.push(')');
        }
        _ => return None,
    }
    Some(())
}

/// Builtins whose value stays the same while a program runs.
const PURE: &[&str] = &["argN", "comm", "cpid", "cpu", "func", "gid", "pid", "probe", "retval", "tid", "uid"];
