//! bpftrace's environment variables that shape a run; they win over the script's `config`.

use crate::error::Error;
use manifest::{Config, MissingProbes};

/// Applies `BPFTRACE_*` variables, as `get` gives them.
pub fn apply(config: &mut Config, get: impl Fn(&str) -> Option<String>) -> Result<(), Error> {
    let bad = |name: &str, value: &str| Error::Usage(format!("Invalid value for {name}: {value}"));
    let with = |name: &'static str| get(name).map(|value| (name, value));
    let number = |(name, value): (&str, String)| value.parse::<u64>().map_err(|_| bad(name, &value));
    let boolean = |(name, value): (&str, String)| match value.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(bad(name, &value)),
    };
    if let Some((name, value)) = with("BPFTRACE_MISSING_PROBES") {
        config.missing_probes = match value.as_str() {
            "error" => MissingProbes::Error,
            "warn" => MissingProbes::Warn,
            "ignore" => MissingProbes::Ignore,
            _ => return Err(bad(name, &value)),
        };
    }
    if let Some(given) = with("BPFTRACE_PRINT_MAPS_ON_EXIT") {
        config.print_maps_on_exit = boolean(given)?;
    }
    if let Some(given) = with("BPFTRACE_CPP_DEMANGLE") {
        config.cpp_demangle = boolean(given)?;
    }
    if let Some(given) = with("BPFTRACE_PERF_RB_PAGES") {
        config.perf_rb_pages = u32::try_from(number(given)?).unwrap_or(u32::MAX);
    }
    if let Some(given) = with("BPFTRACE_MAX_CAT_BYTES") {
        config.max_cat_bytes = number(given)?;
    }
    if let Some(given) = with("BPFTRACE_MAX_PROBES") {
        config.max_probes = number(given)?;
    }
    if let Some((_, value)) = with("BPFTRACE_STR_TRUNC_TRAILER") {
        config.str_trunc_trailer = value;
    }
    Ok(())
}
