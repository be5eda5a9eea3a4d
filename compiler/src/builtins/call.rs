//! What a builtin's `check` sees of its call.

use crate::diag::Diag;
use crate::syntax::ast::Span;
use crate::types::tree::{Expr, ExprKind, MapId};
use crate::types::{Check, Ty, codes};

/// A call: arguments typed, to be converted in place.
pub struct Call {
    /// The builtin's name.
    pub name: &'static str,
    /// Arguments; a map passed by reference is a `MapRef`.
    pub args: Vec<Expr>,
    /// The whole call.
    pub span: Span,
    /// If a `check` sets it, this takes the place of the call.
    pub becomes: Option<ExprKind>,
}

impl Call {
    /// Argument `index` is not what the function can use.
    pub fn wrong(&self, cx: &Check<'_>, index: usize, wanted: &str) -> Diag {
        let arg = &self.args[index];
        let name = self.name;
        Diag::error(
            &codes::ARGUMENT_KIND,
            format!("`{name}` wants {wanted}"),
            arg.span,
            format!("this is {}", cx.describe(&arg.ty)),
        )
    }

    /// Requires an integer, and widens it to 64 bits by its sign.
    pub fn integer(&mut self, cx: &mut Check<'_>, index: usize) -> Result<(), Diag> {
        let wide = match &self.args[index].ty {
            Ty::Int(int) | Ty::Enum(int, _) if int.signed => Ty::I64,
            Ty::Int(_) | Ty::Enum(..) | Ty::Bool => Ty::U64,
            _ => return Err(self.wrong(cx, index, "an integer")),
        };
        cx.convert(&mut self.args[index], &wide);
        Ok(())
    }

    /// Requires an address: an integer or a pointer.
    pub fn address(&mut self, cx: &mut Check<'_>, index: usize) -> Result<(), Diag> {
        match &self.args[index].ty {
            Ty::Ptr(..) => Ok(()),
            Ty::Int(_) | Ty::Enum(..) => self.integer(cx, index),
            _ => Err(self.wrong(cx, index, "an address")),
        }
    }

    /// Requires an integer literal in a range.
    pub fn literal(&self, index: usize, range: std::ops::RangeInclusive<i128>) -> Result<i128, Diag> {
        let arg = &self.args[index];
        let name = self.name;
        let Some(value) = arg.literal() else {
            let message = format!("`{name}` wants an integer literal");
            return Err(Diag::error(&codes::NOT_LITERAL, message, arg.span, "not known at compile time"));
        };
        if !range.contains(&value) {
            let message = format!("`{name}` wants {} to {} here", range.start(), range.end());
            return Err(Diag::error(&codes::BAD_CONSTANT, message, arg.span, format!("this is {value}")));
        }
        Ok(value)
    }

    /// Requires a string literal.
    pub fn literal_text(&self, index: usize) -> Result<&[u8], Diag> {
        let arg = &self.args[index];
        let name = self.name;
        arg.text().ok_or_else(|| {
            let message = format!("`{name}` wants a string literal");
            Diag::error(&codes::NOT_LITERAL, message, arg.span, "not known at compile time")
        })
    }

    /// Requires a map.
    pub fn map(&self, cx: &Check<'_>, index: usize) -> Result<MapId, Diag> {
        match self.args[index].kind {
            ExprKind::MapRef(map) => Ok(map),
            _ => Err(self.wrong(cx, index, "a map")),
        }
    }
}
