//! The kinds of probe by name.

use super::{
    Missing, Parts, Resolver, Targets, codes, function, raw, special, timer, tracepoint, typed, uprobe,
};
use crate::diag::Diag;
use crate::syntax::ast::{AttachPoint, Span};

/// A kind of probe as attach points name it.
pub(super) struct Provider {
    /// Long name, compared without case.
    name: &'static str,
    /// Short and old names, compared exactly.
    aliases: &'static [&'static str],
    /// What its parts stand for.
    pub(super) targets: fn(&Parts<'_>, &Resolver<'_>) -> Targets,
}

const PROVIDERS: &[Provider] = &[
    Provider { name: "begin", aliases: &[], targets: special::begin },
    Provider { name: "end", aliases: &[], targets: special::end },
    Provider { name: "self", aliases: &[], targets: special::own_signal },
    Provider { name: "kprobe", aliases: &["k"], targets: function::kprobe },
    Provider { name: "kretprobe", aliases: &["kr"], targets: function::kretprobe },
    Provider { name: "fentry", aliases: &["f", "kfunc"], targets: typed::fentry },
    Provider { name: "fexit", aliases: &["fr", "kretfunc"], targets: typed::fexit },
    Provider { name: "tracepoint", aliases: &["t"], targets: tracepoint::tracepoint },
    Provider { name: "rawtracepoint", aliases: &["rt"], targets: raw::rawtracepoint },
    Provider { name: "profile", aliases: &["p"], targets: timer::profile },
    Provider { name: "interval", aliases: &["i"], targets: timer::interval },
    Provider { name: "uprobe", aliases: &["u"], targets: uprobe::uprobe },
    Provider { name: "uretprobe", aliases: &["ur"], targets: uprobe::uretprobe },
    Provider { name: "usdt", aliases: &["U"], targets: later },
    Provider { name: "software", aliases: &["s"], targets: later },
    Provider { name: "hardware", aliases: &["h"], targets: later },
    Provider { name: "watchpoint", aliases: &["w"], targets: later },
    Provider { name: "iter", aliases: &["it"], targets: later },
    Provider { name: "test", aliases: &[], targets: later },
    Provider { name: "bench", aliases: &[], targets: later },
];

fn later(parts: &Parts<'_>, _: &Resolver<'_>) -> Targets {
    Err(Diag::unsupported(&format!("`{}` probes are", parts.provider), parts.span).into())
}

fn find(name: &str) -> Option<&'static Provider> {
    let exact = PROVIDERS.iter().find(|p| p.name == name || p.aliases.contains(&name));
    exact.or_else(|| {
        let lower = name.to_lowercase();
        PROVIDERS.iter().find(|p| p.name == lower || p.aliases.iter().any(|alias| *alias == lower))
    })
}

/// Finds the provider and the text of the other parts.
pub(super) fn parse(point: &AttachPoint) -> Result<(&'static Provider, Parts<'_>), Missing> {
    if point.has_params() {
        return Err(Diag::unsupported("a script parameter in an attach point is", point.span).into());
    }
    let texts: Vec<String> = (0..point.parts.len()).filter_map(|index| point.part(index)).collect();
    let (name, rest) = texts.split_first().ok_or_else(|| unknown("", point.span))?;
    let span = point.parts.first().map_or(point.span, |part| part.span);
    let provider = find(name).ok_or_else(|| unknown(name, span))?;
    let parts = Parts { provider: provider.name, rest: rest.to_vec(), span: point.span, text: &point.text };
    Ok((provider, parts))
}

fn unknown(name: &str, span: Span) -> Diag {
    if name.contains('*') {
        return Diag::unsupported("a wildcard for the kind of probe is", span);
    }
    let diag = Diag::error(&codes::UNKNOWN_PROVIDER, format!("there are no `{name}` probes"), span, "");
    match crate::types::nearest(name, PROVIDERS.iter().map(|provider| provider.name)) {
        Some(near) => diag.help(format!("did you mean `{near}`?")),
        None => diag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_exactly_then_long_names_in_any_case() {
        for (name, long) in [
            ("k", "kprobe"),
            ("BEGIN", "begin"),
            ("Kprobe", "kprobe"),
            ("u", "uprobe"),
            ("U", "usdt"),
            ("kfunc", "fentry"),
        ] {
            assert_eq!(find(name).map(|p| p.name), Some(long), "{name}");
        }
        assert!(find("nope").is_none());
    }
}
