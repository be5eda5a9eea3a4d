//! One type for two values (LANGUAGE §2.2): assignments to one place, branches, keys, range bounds.
//!
//! Input    two types, and which of their integers are literals that adopt the other's sign
//! Output   the type that holds both, or `None`
//! Ensures  the order of the two does not matter, and promoting with a part changes nothing

use super::tree::{Expr, ExprKind};
use super::{Agg, Int, Space, Ty};

/// Which integers of a value are sign-flexible: non-negative literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flex {
    No,
    Yes,
    /// Of a tuple's or record's fields.
    Each(Vec<Flex>),
}

impl Flex {
    /// Of an expression's value.
    pub(super) fn of(expr: &Expr) -> Flex {
        match (&expr.kind, &expr.ty) {
            // A cast gives a literal a type that does not bend.
            (ExprKind::Int(bits), Ty::Int(int))
                if int.signed
                    && bits.cast_signed() >= 0
                    && literal_type(bits.cast_signed().into()) == expr.ty =>
            {
                Flex::Yes
            }
            (ExprKind::Tuple(fields) | ExprKind::Record(fields), _) => {
                Flex::Each(fields.iter().map(Flex::of).collect())
            }
            _ => Flex::No,
        }
    }

    fn field(&self, index: usize) -> &Flex {
        match self {
            Flex::Each(fields) => fields.get(index).unwrap_or(&Flex::No),
            Flex::No | Flex::Yes => &Flex::No,
        }
    }
}

/// A type with its flexibility.
pub(super) type Typed<'a> = (&'a Ty, &'a Flex);

/// The type that holds values of both.
pub(super) fn promote((a, a_flex): Typed<'_>, (b, b_flex): Typed<'_>) -> Option<(Ty, Flex)> {
    let rigid = |ty: Ty| Some((ty, Flex::No));
    match (a, b) {
        (Ty::Int(x), Ty::Int(y)) => {
            let flexible = |flex: &Flex| *flex == Flex::Yes;
            let int = promote_int(*x, flexible(a_flex), *y, flexible(b_flex));
            let both = flexible(a_flex) && flexible(b_flex);
            Some((Ty::Int(int), if both { Flex::Yes } else { Flex::No }))
        }
        (Ty::Enum(_, x), Ty::Enum(_, y)) if x == y => {
            rigid(if a.size() >= b.size() { a.clone() } else { b.clone() })
        }
        (Ty::Enum(int, _), Ty::Int(_) | Ty::Enum(..)) => promote((&Ty::Int(*int), a_flex), (b, b_flex)),
        (Ty::Int(_), Ty::Enum(int, _)) => promote((a, a_flex), (&Ty::Int(*int), b_flex)),
        (Ty::Bool, Ty::Int(_) | Ty::Enum(..)) => Some((b.clone(), b_flex.clone())),
        (Ty::Int(_) | Ty::Enum(..), Ty::Bool) => Some((a.clone(), a_flex.clone())),
        (Ty::Ptr(x, s), Ty::Ptr(y, t)) if same(x, y) => rigid(Ty::Ptr(x.clone(), join(*s, *t))),
        (Ty::String(x), Ty::String(y)) => rigid(Ty::String(*x.max(y))),
        (Ty::Buffer(x), Ty::Buffer(y)) => rigid(Ty::Buffer(*x.max(y))),
        (Ty::Tuple(x), Ty::Tuple(y)) if x.len() == y.len() => {
            let (fields, flexes) = promote_fields((x.iter(), a_flex), (y.iter(), b_flex))?;
            Some((Ty::Tuple(fields), flexes))
        }
        (Ty::Record(x), Ty::Record(y)) if x.iter().map(|f| &f.0).eq(y.iter().map(|f| &f.0)) => {
            let types = |fields: &'_ [(String, Ty)]| fields.iter().map(|f| f.1.clone()).collect::<Vec<_>>();
            let (xs, ys) = (types(x), types(y));
            let (fields, flexes) = promote_fields((xs.iter(), a_flex), (ys.iter(), b_flex))?;
            Some((Ty::Record(x.iter().map(|f| f.0.clone()).zip(fields).collect()), flexes))
        }
        (Ty::Agg(x), Ty::Agg(y)) => promote_agg(*x, *y).and_then(|agg| rigid(Ty::Agg(agg))),
        (Ty::None, _) | (_, Ty::None) => None,
        (a, b) if a == b => rigid(a.clone()),
        _ => None,
    }
}

fn promote_fields<'a>(
    (a, a_flex): (impl Iterator<Item = &'a Ty>, &Flex),
    (b, b_flex): (impl Iterator<Item = &'a Ty>, &Flex),
) -> Option<(Vec<Ty>, Flex)> {
    let fields = a.zip(b).enumerate().map(|(i, (x, y))| promote((x, a_flex.field(i)), (y, b_flex.field(i))));
    let (types, flexes) = fields.collect::<Option<Vec<_>>>()?.into_iter().unzip();
    Some((types, Flex::Each(flexes)))
}

fn promote_int(a: Int, a_flexible: bool, b: Int, b_flexible: bool) -> Int {
    let size = a.size.max(b.size);
    if a.signed == b.signed {
        return Int { size, signed: a.signed };
    }
    match (a_flexible, b_flexible) {
        (true, _) => return Int { size, signed: b.signed },
        (_, true) => return Int { size, signed: a.signed },
        (false, false) => {}
    }
    let (signed, unsigned) = if a.signed { (a, b) } else { (b, a) };
    let size = if signed.size > unsigned.size { signed.size } else { (unsigned.size * 2).min(8) };
    Int { size, signed: true }
}

fn promote_agg(a: Agg, b: Agg) -> Option<Agg> {
    Some(match (a, b) {
        (Agg::Sum { signed: x }, Agg::Sum { signed: y }) => Agg::Sum { signed: x | y },
        (Agg::Min { signed: x }, Agg::Min { signed: y }) => Agg::Min { signed: x | y },
        (Agg::Max { signed: x }, Agg::Max { signed: y }) => Agg::Max { signed: x | y },
        (Agg::Avg { signed: x }, Agg::Avg { signed: y }) => Agg::Avg { signed: x | y },
        (Agg::Stats { signed: x }, Agg::Stats { signed: y }) => Agg::Stats { signed: x | y },
        (a, b) if a == b => a,
        _ => return None,
    })
}

/// Whether two pointees are one type; a declared struct is the one it declares only if it is the
/// same handle.
fn same(a: &Ty, b: &Ty) -> bool {
    match (a, b) {
        (Ty::Ptr(x, _), Ty::Ptr(y, _)) => same(x, y),
        (a, b) => a == b,
    }
}

/// The space that both pointers are in.
pub(super) fn join(a: Space, b: Space) -> Space {
    match (a, b) {
        (a, b) if a == b => a,
        (Space::None, other) | (other, Space::None) => other,
        (Space::Typed, Space::Kernel) | (Space::Kernel, Space::Typed) => Space::Kernel,
        _ => Space::None,
    }
}

/// The type as memory that the verifier does not follow keeps it: maps, keys, tuples.
pub(super) fn untyped(ty: &Ty) -> Ty {
    match ty {
        Ty::Ptr(to, Space::Typed) => Ty::Ptr(to.clone(), Space::Kernel),
        Ty::Tuple(fields) => Ty::Tuple(fields.iter().map(untyped).collect()),
        Ty::Record(fields) => Ty::Record(fields.iter().map(|(n, ty)| (n.clone(), untyped(ty))).collect()),
        ty => ty.clone(),
    }
}

/// The smallest signed type that holds a literal, or `uint64`.
pub(super) fn literal_type(value: i128) -> Ty {
    let fits = |size: u8| {
        let bound = 1i128 << (u32::from(size) * 8 - 1);
        (-bound..bound).contains(&value)
    };
    let size = [1u8, 2, 4, 8].into_iter().find(|size| fits(*size));
    size.map_or(Ty::U64, |size| Ty::Int(Int { size, signed: true }))
}

/// Whether the integer type holds the value.
pub(super) fn holds(int: Int, value: i128) -> bool {
    let bits = u32::from(int.size) * 8;
    if int.signed {
        let bound = 1i128 << (bits - 1);
        (-bound..bound).contains(&value)
    } else {
        (0..1i128 << bits).contains(&value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(name: &str) -> Ty {
        let (signed, bits) = match name.strip_prefix('u') {
            Some(bits) => (false, bits),
            None => (true, &name[1..]),
        };
        Ty::Int(Int { size: bits.parse::<u8>().expect("a width") / 8, signed })
    }

    #[track_caller]
    fn check(a: &str, b: &str, expected: &str) {
        // A trailing `~` marks a flexible literal.
        let side = |text: &str| {
            let flex = if text.ends_with('~') { Flex::Yes } else { Flex::No };
            (int(text.trim_end_matches('~')), flex)
        };
        let ((x, xf), (y, yf)) = (side(a), side(b));
        for promoted in [promote((&x, &xf), (&y, &yf)), promote((&y, &yf), (&x, &xf))] {
            assert_eq!(promoted.map(|p| p.0), Some(int(expected)), "{a} {b}");
        }
    }

    #[test]
    fn integers() {
        check("i8", "i32", "i32");
        check("u8", "u16", "u16");
        check("i8~", "u32", "u32");
        check("i16~", "u8", "u16");
        check("i32", "u8", "i32");
        check("i8", "u8", "i16");
        check("i32", "u32", "i64");
        check("i64", "u64", "i64");
        check("u64", "i8", "i64");
    }

    #[test]
    fn composites() {
        let flexible = (Ty::Tuple(vec![int("i8"), Ty::String(3)]), Flex::Each(vec![Flex::Yes, Flex::No]));
        let rigid = (Ty::Tuple(vec![int("u64"), Ty::String(2)]), Flex::No);
        let promoted = promote((&flexible.0, &flexible.1), (&rigid.0, &rigid.1));
        assert_eq!(promoted.map(|p| p.0), Some(Ty::Tuple(vec![int("u64"), Ty::String(3)])));
        assert_eq!(promote((&Ty::String(1), &Flex::No), (&Ty::I64, &Flex::No)), None);
        let signs = [Agg::Sum { signed: false }, Agg::Sum { signed: true }].map(Ty::Agg);
        assert_eq!(
            promote((&signs[0], &Flex::No), (&signs[1], &Flex::No)).map(|p| p.0),
            Some(signs[1].clone())
        );
    }

    #[test]
    fn literals() {
        for (value, expected) in [(0, "i8"), (127, "i8"), (128, "i16"), (-129, "i16"), (1 << 40, "i64")] {
            assert_eq!(literal_type(value), int(expected), "{value}");
        }
        assert_eq!(literal_type(i128::from(u64::MAX)), Ty::U64);
    }
}
