//! What is known of maps so far.

use super::check::{Check, Checked, Reported};
use super::promote::{Flex, promote, untyped};
use super::tree::{Expr, MapId};
use super::{Agg, Ty, codes};
use crate::diag::Diag;
use crate::syntax::ast::{self, Span};

/// A type as known so far, and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    pub(super) ty: Ty,
    pub(super) flex: Flex,
    /// Where it was first used.
    pub(super) first: Span,
}

/// A map as known so far.
#[derive(Debug)]
pub(super) struct MapState {
    /// Without the `@`.
    pub(super) name: String,
    /// Whether it has keys, and where that was first seen.
    pub(super) keyed: Option<(bool, Span)>,
    pub(super) key: Option<Slot>,
    pub(super) value: Option<Slot>,
    pub(super) declared: Option<ast::MapDecl>,
    /// An assignment was wrong; uses are not reported as well.
    pub(super) poisoned: bool,
}

impl MapState {
    /// A map nothing is known of.
    pub(super) fn new(name: String, declared: Option<ast::MapDecl>) -> MapState {
        MapState { name, keyed: None, key: None, value: None, declared, poisoned: false }
    }
}

impl Check<'_> {
    /// The map of this name.
    pub(super) fn map_id(&mut self, name: &str) -> MapId {
        let at = self.maps.iter().position(|map| map.name == name).unwrap_or_else(|| {
            self.changed = true;
            self.maps.push(MapState::new(name.to_owned(), None));
            self.maps.len() - 1
        });
        MapId(u32::try_from(at).expect("a script has fewer maps than bytes"))
    }

    fn state(&mut self, map: MapId) -> &mut MapState {
        &mut self.maps[map.0 as usize]
    }

    pub(super) fn map_state(&self, map: MapId) -> &MapState {
        &self.maps[map.0 as usize]
    }

    /// What is known of the map's values; an aggregation has [`Ty::Agg`].
    pub fn map_value(&self, map: MapId) -> Option<&Ty> {
        self.map_state(map).value.as_ref().map(|slot| &slot.ty)
    }

    /// Whether the map is known to have no keys.
    pub fn map_is_scalar(&self, map: MapId) -> bool {
        matches!(self.map_state(map).keyed, Some((false, _)))
    }

    /// The map is used without a key.
    pub fn map_scalar(&mut self, map: MapId, span: Span) -> Result<(), Diag> {
        self.use_keyed(map, false, span)
    }

    fn use_keyed(&mut self, map: MapId, keyed: bool, span: Span) -> Result<(), Diag> {
        let state = self.state(map);
        let Some((before, first)) = state.keyed else {
            state.keyed = Some((keyed, span));
            self.changed = true;
            return Ok(());
        };
        if before == keyed {
            return Ok(());
        }
        let with = |keyed| if keyed { "with a key" } else { "without a key" };
        let name = &state.name;
        Err(Diag::error(
            &codes::SCALAR_OR_KEYED,
            format!("map `@{name}` is used with and without a key"),
            span,
            format!("{} here", with(keyed)),
        )
        .also(first, format!("{} here", with(before))))
    }

    /// The map is used with this key, which is converted to the map's key type.
    pub fn map_key(&mut self, map: MapId, key: &mut Expr, span: Span) -> Result<(), Diag> {
        self.use_keyed(map, true, span)?;
        self.check_key_type(key)?;
        let slot = Slot { ty: untyped(&key.ty), flex: Flex::of(key), first: key.span };
        let known = self.map_state(map).key.clone();
        let merged = match &known {
            None => slot,
            Some(known) => match promote((&known.ty, &known.flex), (&slot.ty, &slot.flex)) {
                Some((ty, flex)) => Slot { ty, flex, first: known.first },
                None => {
                    let name = &self.map_state(map).name;
                    return Err(Diag::error(
                        &codes::MAP_KEY_TYPE,
                        format!("map `@{name}` has keys of {}", self.describe(&known.ty)),
                        key.span,
                        format!("{} here", self.describe(&key.ty)),
                    )
                    .also(known.first, format!("{} here", self.describe(&known.ty))));
                }
            },
        };
        let ty = merged.ty.clone();
        if known.as_ref() != Some(&merged) {
            self.state(map).key = Some(merged);
            self.changed = true;
        }
        self.convert(key, &ty);
        Ok(())
    }

    fn check_key_type(&self, key: &Expr) -> Result<(), Diag> {
        match key.ty {
            Ty::None | Ty::Void | Ty::Args | Ty::Agg(_) => Err(Diag::error(
                &codes::MAP_KEY_TYPE,
                format!("{} cannot be a key", self.describe(&key.ty)),
                key.span,
                "",
            )),
            _ => Ok(()),
        }
    }

    /// The map is assigned a value of this type. Gives the type all values are converted to.
    pub(super) fn map_assign(&mut self, map: MapId, ty: &Ty, flex: Flex, span: Span) -> Result<Ty, Diag> {
        let slot = Slot { ty: untyped(ty), flex, first: span };
        let known = self.map_state(map).value.clone();
        let merged = match &known {
            None => slot,
            Some(known) => match promote((&known.ty, &known.flex), (&slot.ty, &slot.flex)) {
                Some((ty, flex)) => Slot { ty, flex, first: known.first },
                None => return Err(self.value_mismatch(map, known, ty, span)),
            },
        };
        let ty = merged.ty.clone();
        if known.as_ref() != Some(&merged) {
            self.state(map).value = Some(merged);
            self.changed = true;
        }
        Ok(ty)
    }

    fn value_mismatch(&self, map: MapId, known: &Slot, ty: &Ty, span: Span) -> Diag {
        let name = &self.map_state(map).name;
        let (old, new) = (self.fields().show(&known.ty), self.fields().show(ty));
        if let (Ty::Agg(Agg::Lhist { .. }), Ty::Agg(Agg::Lhist { .. })) = (&known.ty, ty) {
            return Diag::error(
                &codes::MAP_VALUE_TYPE,
                format!("map `@{name}` has different `lhist` bounds"),
                span,
                "other bounds here",
            )
            .also(known.first, "first used here");
        }
        let diag = Diag::error(
            &codes::MAP_VALUE_TYPE,
            format!("map `@{name}` holds both `{old}` and `{new}`"),
            span,
            format!("`{new}` assigned here"),
        );
        diag.also(known.first, format!("first used as `{old}` here")).help("use a second map")
    }

    /// Notes that the map may have no type because an assignment was wrong.
    pub(super) fn poison_map(&mut self, map: MapId) {
        self.state(map).poisoned = true;
    }

    /// The type of a value read from the map, or a report why there is none.
    pub(super) fn map_type(&mut self, map: MapId, span: Span) -> Checked<Ty> {
        let state = self.map_state(map);
        if state.value.is_none() && state.poisoned {
            return Err(Reported);
        }
        let read = self.map_read(map, span);
        self.report(read)
    }

    /// The type of a value read from the map: aggregations give integers.
    fn map_read(&self, map: MapId, span: Span) -> Result<Ty, Diag> {
        let state = self.map_state(map);
        let name = &state.name;
        let Some(slot) = &state.value else {
            let diag = Diag::error(
                &codes::UNDEFINED_MAP,
                format!("map `@{name}` is never assigned to"),
                span,
                "has no type",
            );
            let others = self.maps.iter().filter(|map| map.value.is_some()).map(|map| map.name.as_str());
            return Err(match super::nearest(name, others) {
                Some(near) => diag.help(format!("did you mean `@{near}`?")),
                None => diag,
            });
        };
        match &slot.ty {
            Ty::Agg(agg) => agg_value(*agg).ok_or_else(|| {
                let message = format!("a single value of map `@{name}` cannot be read");
                let shown = self.fields().show(&slot.ty);
                Diag::error(&codes::BAD_OPERAND, message, span, "")
                    .also(slot.first, format!("`{shown}` here"))
                    .help(format!("print the whole map: `print(@{name})`"))
            }),
            ty => Ok(ty.clone()),
        }
    }
}

/// The integer that an aggregation is reduced to.
fn agg_value(agg: Agg) -> Option<Ty> {
    let by_sign = |signed| Some(if signed { Ty::I64 } else { Ty::U64 });
    match agg {
        Agg::Count => Some(Ty::U64),
        Agg::Sum { signed } | Agg::Min { signed } | Agg::Max { signed } | Agg::Avg { signed } => {
            by_sign(signed)
        }
        Agg::Stats { .. } | Agg::Hist { .. } | Agg::Lhist { .. } => None,
    }
}
