//! The checker's state, and what a builtin may ask of it.

use super::infer::Settings;
use super::maps::MapState;
use super::tree::{Expr, ExprKind, ParamId, Parameter};
use super::vars::{Scope, Vars};
use super::{Int, Space, Ty, codes};
use crate::builtins::Call;
use crate::diag::Diag;
use crate::fields::Fields;
use crate::resolve::{Kind, Target};
use crate::syntax::ast::Span;
use manifest::{GlobalRole, StackMode};

/// The failure of a rule whose diagnostic has been reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported;

/// What a rule gives if it held.
pub type Checked<T> = Result<T, Reported>;

/// Checks one script; builtins see it in their `check`.
pub struct Check<'a> {
    pub(super) fields: &'a Fields<'a>,
    pub(super) settings: &'a Settings,
    pub(super) target: &'a Target,
    pub(super) diags: Vec<Diag>,
    /// In byte order of their names, but for those found in this pass.
    pub(super) maps: Vec<MapState>,
    /// Of the program at hand.
    pub(super) vars: Vars,
    pub(super) scopes: Vec<Scope>,
    pub(super) params: Vec<(Parameter, usize)>,
    /// Loops around the statement at hand.
    pub(super) loops: u32,
    /// `for` loops among them: their bodies do not see the context.
    pub(super) for_loops: u32,
    /// Something was learnt in this pass.
    pub(super) changed: bool,
}

impl<'a> Check<'a> {
    /// The program's attach point.
    pub fn target(&self) -> &'a Target {
        self.target
    }

    /// What `probe` yields.
    pub fn probe_name(&self) -> &'a str {
        &self.target.name
    }

    /// Types of the kernel and the script.
    pub fn fields(&self) -> &'a Fields<'a> {
        self.fields
    }

    /// Capacity of strings unless the script says otherwise.
    pub fn max_strlen(&self) -> u32 {
        self.settings.max_strlen
    }

    /// How stacks print unless the script says otherwise.
    pub fn stack_mode(&self) -> StackMode {
        self.settings.stack_mode
    }

    /// Reports a warning.
    pub fn warn(&mut self, diag: Diag) {
        self.diags.push(diag);
    }

    /// Reports an error.
    pub(super) fn fail(&mut self, diag: Diag) -> Reported {
        self.diags.push(diag);
        Reported
    }

    /// Reports the error of a rule that gave a diagnostic.
    pub fn report<T>(&mut self, result: Result<T, Diag>) -> Checked<T> {
        result.map_err(|diag| self.fail(diag))
    }

    /// The type with its article: ``a `string[16]` ``.
    pub fn describe(&self, ty: &Ty) -> String {
        match ty {
            Ty::None => "no value".to_owned(),
            ty => {
                let shown = self.fields.show(ty);
                let article = if shown.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
                format!("{article} `{shown}`")
            }
        }
    }

    /// The builtin cannot be used in this kind of probe.
    pub fn not_here(&self, call: &Call, places: &str) -> Diag {
        let name = match call.args.first().and_then(Expr::literal) {
            Some(index) if call.name == crate::builtins::ARG.name => format!("arg{index}"),
            _ => call.name.to_owned(),
        };
        let message = format!("`{name}` has no meaning in a {} probe", self.provider());
        Diag::error(&codes::NOT_HERE, message, call.span, "").note(format!("it exists in {places} probes"))
    }

    /// The provider's name, spelled out.
    pub(crate) fn provider(&self) -> &'static str {
        match self.target.kind {
            Kind::Begin => "begin",
            Kind::End => "end",
            Kind::SelfSignal(_) => "self",
            Kind::Kprobe(_) => "kprobe",
            Kind::Kretprobe(_) => "kretprobe",
            Kind::Uprobe(_) => "uprobe",
            Kind::Uretprobe(_) => "uretprobe",
            Kind::Fentry(_) => "fentry",
            Kind::Fexit(_) => "fexit",
            Kind::Tracepoint { .. } => "tracepoint",
            Kind::RawTracepoint(_) => "rawtracepoint",
            Kind::Profile(_) => "profile",
            Kind::Interval(_) => "interval",
        }
    }

    /// The kernel lacks a struct that a builtin needs.
    pub fn unknown_struct(&self, name: &str, span: Span) -> Diag {
        let message = format!("the kernel's BTF has no `struct {name}`");
        Diag::error(&codes::UNKNOWN_TYPE, message, span, "needs it")
    }

    /// What an address of unknown origin points into (LANGUAGE §2.6).
    pub fn space(&self) -> Space {
        match self.target.kind {
            Kind::Kprobe(_)
            | Kind::Kretprobe(_)
            | Kind::Fentry(_)
            | Kind::Fexit(_)
            | Kind::RawTracepoint(_)
            | Kind::Tracepoint { .. } => Space::Kernel,
            Kind::Uprobe(_) | Kind::Uretprobe(_) => Space::User,
            Kind::Begin | Kind::End | Kind::SelfSignal(_) | Kind::Profile(_) | Kind::Interval(_) => {
                Space::None
            }
        }
    }

    /// Converts in place to a type that the value is known to convert to.
    pub fn convert(&self, expr: &mut Expr, ty: &Ty) {
        if expr.ty == *ty {
            return;
        }
        match (&mut expr.kind, ty) {
            // Literals take the type themselves.
            (ExprKind::Int(_), Ty::Int(_)) | (ExprKind::Str(_), Ty::String(_)) => expr.ty = ty.clone(),
            (ExprKind::Tuple(fields), Ty::Tuple(types)) => {
                for (field, ty) in fields.iter_mut().zip(types) {
                    self.convert(field, ty);
                }
                expr.ty = ty.clone();
            }
            (ExprKind::Record(fields), Ty::Record(types)) => {
                for (field, (_, ty)) in fields.iter_mut().zip(types) {
                    self.convert(field, ty);
                }
                expr.ty = ty.clone();
            }
            _ => {
                let inner = Expr {
                    kind: std::mem::replace(&mut expr.kind, ExprKind::Unit),
                    ty: std::mem::replace(&mut expr.ty, ty.clone()),
                    span: expr.span,
                };
                expr.kind = ExprKind::Cast(Box::new(inner));
            }
        }
    }

    /// Converts, and warns if values may change by it.
    pub(super) fn convert_warning(&mut self, expr: &mut Expr, ty: &Ty) {
        if let (Ty::Int(from), Ty::Int(to)) = (&expr.ty, ty)
            && expr.literal().is_none()
            && is_lossy(*from, *to)
        {
            let (from, to) = (self.fields.show(&expr.ty), self.fields.show(ty));
            let message = format!("`{from}` is converted to `{to}`");
            self.warn(
                Diag::warning(&codes::LOSSY, message, expr.span, "may change its value")
                    .help(format!("write `({to})` in front to show that it is meant")),
            );
        }
        self.convert(expr, ty);
    }

    /// Turns a positional parameter from a number into text. True if it was one.
    pub fn text_parameter(&mut self, expr: &mut Expr) -> bool {
        let ExprKind::Param(id) = expr.kind else { return false };
        let Some((Parameter(GlobalRole::PositionalInt(index)), uses)) = self.params.get_mut(id.0 as usize)
        else {
            return matches!(expr.ty, Ty::String(_));
        };
        *uses -= 1;
        let index = *index;
        let size = self.settings.max_strlen;
        let id = self.parameter(GlobalRole::PositionalStr { index, size });
        *expr = Expr::new(ExprKind::Param(id), Ty::String(size), expr.span);
        true
    }

    /// The parameter with this role, used once more.
    pub fn parameter(&mut self, role: GlobalRole) -> ParamId {
        let known = self.params.iter().position(|(known, _)| known.0 == role);
        let at = known.unwrap_or_else(|| {
            self.params.push((Parameter(role), 0));
            self.params.len() - 1
        });
        self.params[at].1 += 1;
        ParamId(u32::try_from(at).expect("a script has fewer parameters than bytes"))
    }

    /// The named parameter, which is the same wherever it is used.
    pub fn named_parameter(&mut self, role: GlobalRole, span: Span) -> Result<ParamId, Diag> {
        let GlobalRole::Named(new) = &role else { return Ok(self.parameter(role)) };
        let other = self.params.iter().find_map(|(known, uses)| match &known.0 {
            GlobalRole::Named(old) if *uses > 0 && old.name == new.name && old != new => Some(old),
            _ => None,
        });
        match other {
            None => Ok(self.parameter(role)),
            Some(old) => {
                let message = format!("parameter `{}` has two defaults or descriptions", old.name);
                Err(Diag::error(&codes::ARGUMENT_KIND, message, span, "differs from an earlier `getopt`"))
            }
        }
    }
}

/// Whether the second type lacks values of the first.
fn is_lossy(from: Int, to: Int) -> bool {
    match (from.signed, to.signed) {
        (true, true) | (false, false) => to.size < from.size,
        (false, true) => to.size <= from.size,
        (true, false) => true,
    }
}
