//! Types as they are spelled.

use super::check::{Check, Checked};
use super::{Int, Space, Ty, codes};
use crate::diag::Diag;
use crate::fields::NotFound;
use crate::syntax::ast::{self, Span, Tag, TypeSpecKind};
use manifest::StackMode;

impl Check<'_> {
    /// The type that is spelled; pointers in it point into `space`.
    pub(super) fn spec(&mut self, spec: &ast::TypeSpec, space: Space) -> Checked<Ty> {
        match &spec.kind {
            TypeSpecKind::Named { tag, name } => self.named(*tag, name, space, spec.span),
            TypeSpecKind::Sized { name, size } => self.sized(name, *size, spec.span),
            TypeSpecKind::Pointer(to) => {
                let to = self.pointee(to, beyond(space))?;
                // Only pointers to structs have types that the verifier knows.
                let space = if matches!(to, Ty::Struct(_)) { space } else { beyond(space) };
                Ok(Ty::Ptr(Box::new(to), space))
            }
            TypeSpecKind::Array(of, len) => {
                let of = self.pointee(of, space)?;
                let Some(len) = len.and_then(|len| u32::try_from(len).ok()) else {
                    let message = "an array here needs a length";
                    return Err(self.fail(Diag::error(
                        &codes::UNKNOWN_TYPE,
                        message,
                        spec.span,
                        "how many?",
                    )));
                };
                let array = Ty::Array(Box::new(of), len);
                self.check_size(&array, spec.span)?;
                Ok(array)
            }
            TypeSpecKind::Typeof(operand) => self.operand_type(operand),
        }
    }

    /// A type as it lies in memory.
    fn pointee(&mut self, spec: &ast::TypeSpec, space: Space) -> Checked<Ty> {
        if let TypeSpecKind::Named { tag, name } = &spec.kind
            && let Ok(found) = self.fields.find(*tag, name)
            && let ty @ Ty::Enum(..) = self.fields.ty(found.btf, found.id, space)
        {
            return Ok(ty);
        }
        self.spec(spec, space)
    }

    /// The type of `sizeof`'s and `typeof`'s operand. An expression is checked, not evaluated.
    pub(super) fn operand_type(&mut self, operand: &ast::TypeOrExpr) -> Checked<Ty> {
        match operand {
            ast::TypeOrExpr::Type(spec) => self.spec(spec, self.space()),
            ast::TypeOrExpr::Expr(expr) => Ok(self.value(expr)?.ty),
        }
    }

    fn named(&mut self, tag: Option<Tag>, name: &str, space: Space, span: Span) -> Checked<Ty> {
        if let (None, Some(ty)) = (tag, builtin(name)) {
            return Ok(ty);
        }
        let found = self.fields.find(tag, name).map(|found| self.fields.ty(found.btf, found.id, space));
        match found {
            // A value of an enum is as wide as its enumerators; members and pointees keep their size.
            Ok(Ty::Enum(int, of)) => Ok(Ty::Enum(Int { size: 8, ..int }, of)),
            Ok(Ty::None) => Err(self.fail(Diag::unsupported(&format!("type `{name}` is"), span))),
            Ok(ty) => Ok(ty),
            Err(NotFound::Unknown) => Err(self.unknown_type(tag, name, span)),
            Err(NotFound::Ambiguous(found)) => {
                let spelled = spelled(tag, name);
                Err(self.fail(self.fields.ambiguous(&spelled, &found, span)))
            }
        }
    }

    fn unknown_type(&mut self, tag: Option<Tag>, name: &str, span: Span) -> super::check::Reported {
        let message = format!("unknown type `{}`", spelled(tag, name));
        let diag = Diag::error(&codes::UNKNOWN_TYPE, message, span, "");
        let other = [Tag::Struct, Tag::Union, Tag::Enum]
            .into_iter()
            .find(|other| Some(*other) != tag && self.fields.find(Some(*other), name).is_ok());
        let untagged = tag.is_some() && self.fields.find(None, name).is_ok();
        self.fail(match (other, super::nearest(name, BUILTIN.iter().map(|(name, _)| *name))) {
            (Some(other), _) => diag.help(format!("did you mean `{} {name}`?", other.keyword())),
            (None, _) if untagged => diag.help(format!("did you mean `{name}`?")),
            (None, Some(near)) if tag.is_none() => diag.help(format!("did you mean `{near}`?")),
            _ => diag.note("it is neither in the kernel's BTF nor defined in the script"),
        })
    }

    fn sized(&mut self, name: &str, size: Option<u64>, span: Span) -> Checked<Ty> {
        let size = size.map(|size| u32::try_from(size).unwrap_or(u32::MAX));
        let ty = match (name, size) {
            ("string", size) => Ty::String(size.unwrap_or(self.settings.max_strlen)),
            ("buffer", size) => Ty::Buffer(size.unwrap_or(self.settings.max_strlen)),
            ("inet", _) => Ty::Inet,
            _ => {
                let message = format!("unknown type `{name}`");
                return Err(self.fail(Diag::error(&codes::UNKNOWN_TYPE, message, span, "")));
            }
        };
        self.check_size(&ty, span)?;
        Ok(ty)
    }

    fn check_size(&mut self, ty: &Ty, span: Span) -> Checked<()> {
        if ty.size() <= BYTES_MAX {
            return Ok(());
        }
        let message = format!("`{}` is too large", self.fields.show(ty));
        Err(self.fail(Diag::error(&codes::BAD_CONSTANT, message, span, format!("at most {BYTES_MAX} bytes"))))
    }

    /// Refuses a tuple or record of too many parts: a line that pairs a value with itself doubles them.
    pub(super) fn check_parts(&mut self, ty: &Ty, span: Span) -> Checked<()> {
        if parts(ty) <= PARTS_MAX {
            return Ok(());
        }
        let message = "the tuple has too many parts";
        let label = format!("at most {PARTS_MAX}, with those of its fields");
        let diag = Diag::error(&codes::BAD_CONSTANT, message, span, label);
        Err(self.fail(diag.help("keep the parts in variables or maps of their own")))
    }
}

/// Values in a value, with itself, each counted as often as it is there.
fn parts(ty: &Ty) -> usize {
    match ty {
        Ty::Tuple(fields) => 1 + fields.iter().map(parts).sum::<usize>(),
        Ty::Record(fields) => 1 + fields.iter().map(|(_, ty)| parts(ty)).sum::<usize>(),
        _ => 1,
    }
}

/// A type as the script spells it.
fn spelled(tag: Option<Tag>, name: &str) -> String {
    tag.map_or(name.to_owned(), |tag| format!("{} {name}", tag.keyword()))
}

/// What a pointer inside memory of this space points into.
fn beyond(space: Space) -> Space {
    if space == Space::Typed { Space::Kernel } else { space }
}

const fn int(size: u8, signed: bool) -> Ty {
    Ty::Int(Int { size, signed })
}

/// No value of a script is larger, so that sums of sizes stay far from the limits of 32 bits.
const BYTES_MAX: u32 = 1 << 20;

/// No tuple of a script has more values in it: types are trees, and cost time and memory by their parts.
const PARTS_MAX: usize = 4096;

/// Frames of a stack whose number is not given.
const STACK_LIMIT: u32 = 127;

/// The language's own types.
const BUILTIN: &[(&str, Ty)] = &[
    ("bool", Ty::Bool),
    ("cgroup_path_t", Ty::CgroupPath),
    ("inet", Ty::Inet),
    ("int16", int(2, true)),
    ("int32", int(4, true)),
    ("int64", int(8, true)),
    ("int8", int(1, true)),
    ("kstack", Ty::Kstack(StackMode::Bpftrace, STACK_LIMIT)),
    ("ksym_t", Ty::Ksym),
    ("macaddr_t", Ty::Mac),
    ("timestamp", Ty::Timestamp),
    ("uint16", int(2, false)),
    ("uint32", int(4, false)),
    ("uint64", int(8, false)),
    ("uint8", int(1, false)),
    ("username_t", Ty::Username),
    ("ustack", Ty::Ustack(StackMode::Bpftrace, STACK_LIMIT)),
    ("usym_t", Ty::Usym),
    ("void", Ty::Void),
    // C's names that BTF need not have.
    ("char", int(1, true)),
    ("int", int(4, true)),
    ("int16_t", int(2, true)),
    ("int32_t", int(4, true)),
    ("int64_t", int(8, true)),
    ("int8_t", int(1, true)),
    ("long", int(8, true)),
    ("short", int(2, true)),
    ("size_t", int(8, false)),
    ("uint16_t", int(2, false)),
    ("uint32_t", int(4, false)),
    ("uint64_t", int(8, false)),
    ("uint8_t", int(1, false)),
    ("unsigned", int(4, false)),
];

/// Whether the language has a type of this name.
pub(super) fn is_builtin(name: &str) -> bool {
    builtin(name).is_some()
}

fn builtin(name: &str) -> Option<Ty> {
    BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, ty)| ty.clone())
}
