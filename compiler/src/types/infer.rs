//! The passes: bodies are checked again until types of maps and variables stay.

use super::check::Check;
use super::maps::{MapState, Slot};
use super::promote::Flex;
use super::tree::{Map, MapDecl, Probe, Program, Var};
use super::vars::Vars;
use super::{Ty, codes, tree};
use crate::builtins;
use crate::diag::Diag;
use crate::fields::Fields;
use crate::resolve::{Resolver, Target};
use crate::syntax::ast::{self, ExprKind, Script, Span};
use crate::syntax::visit::{self, Visit};
use manifest::{MissingProbes, StackMode};

/// Types only widen, and no widening takes more steps than this; a script that needs more is taken
/// to be settled.
const PASSES_MAX: usize = 64;

/// Settings of the script that types depend on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `max_strlen`.
    pub max_strlen: u32,
    /// `stack_mode`.
    pub stack_mode: StackMode,
    /// `missing_probes`.
    pub missing_probes: MissingProbes,
    /// `max_bpf_progs`.
    pub max_bpf_progs: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            max_strlen: 1024,
            stack_mode: StackMode::Bpftrace,
            missing_probes: MissingProbes::Error,
            max_bpf_progs: 1024,
        }
    }
}

/// One program to be: an attach point with the probe it belongs to.
#[derive(Debug)]
pub struct Resolved {
    /// Index into the script's probes.
    pub probe: usize,
    /// Where it attaches.
    pub target: Target,
    /// The attach point in the script.
    pub span: Span,
}

/// Resolves all attach points of a script, in source order.
pub fn resolve(script: &Script, fields: &Fields<'_>, settings: &Settings) -> (Vec<Resolved>, Vec<Diag>) {
    let (mut resolved, mut diags) = (Vec::new(), Vec::new());
    for (probe, item) in script.probes.iter().enumerate() {
        let uses = Uses::of(item);
        let cx = Resolver {
            fields,
            missing: settings.missing_probes,
            by_name: uses.probe,
            uses_args: uses.args,
            by_type: uses.args || uses.retval,
        };
        for point in &item.attach_points {
            let targets = crate::resolve::resolve(point, &cx, &mut diags);
            resolved.extend(targets.into_iter().map(|target| Resolved { probe, target, span: point.span }));
            let found = resolved.len();
            if found as u64 > settings.max_bpf_progs {
                diags.push(crate::resolve::too_many(point, found, settings.max_bpf_progs));
                return (Vec::new(), diags);
            }
        }
        if settings.missing_probes == MissingProbes::Warn
            && !resolved.iter().any(|one| one.probe == probe)
            && !diags.iter().any(Diag::is_error)
        {
            diags.extend(item.attach_points.first().map(crate::resolve::removed));
        }
    }
    (resolved, diags)
}

/// What a body asks for of the things that depend on its attach point.
#[derive(Default)]
struct Uses {
    probe: bool,
    args: bool,
    retval: bool,
}

impl Uses {
    fn of(probe: &ast::Probe) -> Uses {
        let mut uses = Uses::default();
        if let Some(predicate) = &probe.predicate {
            uses.visit_expr(predicate);
        }
        uses.visit_block(&probe.body);
        uses
    }
}

impl Visit for Uses {
    fn visit_expr(&mut self, expr: &ast::Expr) {
        let name = match &expr.kind {
            ExprKind::Ident(name) => name,
            ExprKind::Call { name, .. } => &name.text,
            _ => return visit::walk_expr(self, expr),
        };
        match builtins::find(name).map(|builtin| builtin.name) {
            Some("probe") => self.probe = true,
            Some("args") => self.args = true,
            Some("retval") => self.retval = true,
            _ => {}
        }
        visit::walk_expr(self, expr);
    }
}

/// Types the script. The program is absent if there are errors.
pub fn check(
    script: &Script,
    resolved: Vec<Resolved>,
    fields: &Fields<'_>,
    settings: &Settings,
) -> (Option<Program>, Vec<Diag>) {
    let mut maps = Vec::new();
    let mut params = Vec::new();
    let mut vars: Vec<Vars> = resolved.iter().map(|_| Vars::default()).collect();
    let mut passes = 0;
    loop {
        passes += 1;
        let mut pass = Pass { fields, settings, maps, params, diags: Vec::new(), changed: false };
        pass.declare_maps(script);
        let bodies: Vec<_> =
            resolved.iter().zip(&mut vars).map(|(one, vars)| pass.program(script, one, vars)).collect();
        let Pass { maps: new_maps, params: new_params, mut diags, changed, .. } = pass;
        (maps, params) = (new_maps, new_params);
        if (changed || !is_compact(&params)) && passes < PASSES_MAX {
            maps.sort_by(|a, b| a.name.cmp(&b.name));
            params.retain(|(_, uses)| *uses > 0);
            for (_, uses) in &mut params {
                *uses = 0;
            }
            continue;
        }
        finish_maps(&maps, &mut diags);
        dedup(&mut diags);
        if diags.iter().any(Diag::is_error) {
            return (None, diags);
        }
        let parameters = params.into_iter().filter(|(_, uses)| *uses > 0).map(|(param, _)| param).collect();
        let probes = resolved.into_iter().zip(bodies).zip(vars);
        let probes = probes.map(|((one, body), vars)| finish_probe(one, body, vars)).collect();
        return (
            Some(Program { probes, maps: maps.into_iter().map(finish_map).collect(), parameters }),
            diags,
        );
    }
}

/// Whether the parameters in use come before those that a builtin turned into text, so that their
/// ids hold without the others.
fn is_compact(params: &[(tree::Parameter, usize)]) -> bool {
    params.iter().skip_while(|(_, uses)| *uses > 0).all(|(_, uses)| *uses == 0)
}

/// Several programs of one probe find the same things wrong.
fn dedup(diags: &mut Vec<Diag>) {
    let mut kept: Vec<Diag> = Vec::new();
    for diag in diags.drain(..) {
        if !kept.contains(&diag) {
            kept.push(diag);
        }
    }
    *diags = kept;
}

fn finish_probe(one: Resolved, body: tree::Block, vars: Vars) -> Probe {
    let vars = vars
        .all
        .into_iter()
        .map(|var| Var { name: format!("${}", var.name), ty: var.slot.map_or(Ty::None, |slot| slot.ty) });
    Probe { name: one.target.name.clone(), target: one.target, body, vars: vars.collect(), span: one.span }
}

fn finish_map(map: MapState) -> Map {
    let key = map.key.filter(|_| matches!(map.keyed, Some((true, _)))).map(|slot| slot.ty);
    Map {
        name: format!("@{}", map.name),
        key,
        value: map.value.map_or(Ty::None, |slot| slot.ty),
        declared: map.declared.as_ref().and_then(decl_kind),
    }
}

/// `hash`, `lruhash`, `percpuhash`, `percpulruhash`.
fn decl_kind(decl: &ast::MapDecl) -> Option<MapDecl> {
    let (percpu, kind) = match decl.kind.text.strip_prefix("percpu") {
        Some(kind) => (true, kind),
        None => (false, decl.kind.text.as_str()),
    };
    let lru = match kind {
        "hash" => false,
        "lruhash" => true,
        _ => return None,
    };
    let max_entries = u32::try_from(decl.max_entries).ok().filter(|&n| n > 0)?;
    Some(MapDecl { lru, percpu, max_entries })
}

/// Every map has a value, and a declaration that suits it.
fn finish_maps(maps: &[MapState], diags: &mut Vec<Diag>) {
    for map in maps {
        let name = &map.name;
        diags
            .extend([&map.key, &map.value].into_iter().flatten().filter_map(|slot| refuse_empty(name, slot)));
        let Some(decl) = &map.declared else {
            if let (None, Some((_, first))) = (&map.value, map.keyed)
                && !diags.iter().any(|diag| diag.is_error())
            {
                let message = format!("map `@{name}` is never assigned to");
                diags.push(Diag::error(&codes::UNDEFINED_MAP, message, first, "has no type"));
            }
            continue;
        };
        let Some(kind) = decl_kind(decl) else {
            let diag = if !(1..=u64::from(u32::MAX)).contains(&decl.max_entries) {
                let message = format!("map `@{name}` cannot have {} entries", decl.max_entries);
                Diag::error(&codes::MAP_DECLARATION, message, decl.span, "1 to 4294967295 are possible")
            } else {
                let message = format!("there is no map kind `{}`", decl.kind.text);
                Diag::error(&codes::MAP_DECLARATION, message, decl.kind.span, "")
                    .help("the kinds are `hash`, `lruhash`, `percpuhash` and `percpulruhash`")
            };
            diags.push(diag);
            continue;
        };
        match &map.value {
            None => {
                let message = format!("map `@{name}` is not used");
                diags.push(Diag::warning(&codes::UNUSED, message, decl.span, ""));
            }
            Some(slot) if matches!(slot.ty, Ty::Agg(_)) != kind.percpu => {
                let message = format!("map `@{name}` cannot be a `{}`", decl.kind.text);
                let (is, wanted) =
                    if kind.percpu { ("plain values", "hash") } else { ("aggregations", "percpuhash") };
                let diag = Diag::error(&codes::MAP_DECLARATION, message, decl.kind.span, "");
                diags.push(
                    diag.also(slot.first, format!("it holds {is}")).help(format!("declare it as `{wanted}`")),
                );
            }
            Some(_) => {}
        }
    }
}

/// The kernel has no maps of nothing.
fn refuse_empty(map: &str, slot: &Slot) -> Option<Diag> {
    let empty = matches!(slot.ty, Ty::Tuple(_) | Ty::Record(_)) && slot.ty.size() == 0;
    let message = || format!("map `@{map}` cannot hold an empty tuple");
    empty.then(|| Diag::error(&codes::MAP_VALUE_TYPE, message(), slot.first, "has no bytes"))
}

/// One pass over all bodies.
struct Pass<'a> {
    fields: &'a Fields<'a>,
    settings: &'a Settings,
    maps: Vec<MapState>,
    params: Vec<(tree::Parameter, usize)>,
    diags: Vec<Diag>,
    changed: bool,
}

impl<'a> Pass<'a> {
    fn declare_maps(&mut self, script: &Script) {
        for decl in &script.map_decls {
            if let Some(map) = self.maps.iter_mut().find(|map| map.name == decl.name.text) {
                map.declared = Some(decl.clone());
                continue;
            }
            self.maps.push(MapState::new(decl.name.text.clone(), Some(decl.clone())));
            self.changed = true;
        }
    }

    fn program(&mut self, script: &Script, one: &'a Resolved, vars: &mut Vars) -> tree::Block {
        self.fields.prefer(one.target.near());
        let mut check = Check {
            fields: self.fields,
            settings: self.settings,
            target: &one.target,
            diags: std::mem::take(&mut self.diags),
            maps: std::mem::take(&mut self.maps),
            vars: std::mem::take(vars),
            scopes: vec![super::vars::Scope::new()],
            params: std::mem::take(&mut self.params),
            loops: 0,
            for_loops: 0,
            changed: self.changed,
        };
        let body = check.probe(&script.probes[one.probe]);
        self.diags = check.diags;
        self.maps = check.maps;
        self.params = check.params;
        self.changed = check.changed;
        *vars = check.vars;
        body
    }
}

/// A type nobody has assigned yet, for `@x++`: it grows from here.
pub(super) fn counter() -> (Ty, Flex) {
    (super::promote::literal_type(0), Flex::Yes)
}
