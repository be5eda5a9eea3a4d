//! `begin`, `end`, `self`: run by the loader, not by an event.

use super::{Kind, Parts, Resolver, Target, Targets};

/// The one signal that belongs to scripts.
const SIGNAL: &str = "SIGUSR1";

pub(super) fn begin(parts: &Parts<'_>, _: &Resolver<'_>) -> Targets {
    alone(parts, Kind::Begin)
}

pub(super) fn end(parts: &Parts<'_>, _: &Resolver<'_>) -> Targets {
    alone(parts, Kind::End)
}

fn alone(parts: &Parts<'_>, kind: Kind) -> Targets {
    match parts.rest()[..] {
        [] | ["*"] => Ok(vec![Target::new(kind, parts.provider)]),
        _ => Err(parts.bad(&format!("`{}`", parts.provider)).into()),
    }
}

pub(super) fn own_signal(parts: &Parts<'_>, _: &Resolver<'_>) -> Targets {
    match parts.rest()[..] {
        ["signal", SIGNAL] => {
            let kind = Kind::SelfSignal(SIGNAL.to_owned());
            Ok(vec![Target::new(kind, format!("self:signal:{SIGNAL}"))])
        }
        _ => Err(parts.bad("`self:signal:SIGUSR1`").into()),
    }
}
