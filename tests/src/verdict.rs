//! Whether a job did what its case asks.

use crate::case::{Case, Compare};
use crate::job::Outcome;
use crate::shape::shape;
use crate::{Failure, pattern};

/// Checks status, trigger and expected files.
pub fn against_files(case: &Case, outcome: &Outcome) -> Result<(), Failure> {
    ran(case, outcome)?;
    if let Some(want) = &case.out {
        let same = match case.compare {
            Compare::Exact => pattern::check(want, &outcome.out),
            Compare::Shape => pattern::check(&shape(want, &case.keep), &shape(&outcome.out, &case.keep)),
        };
        same.map_err(|e| format!("standard output: {e}\n{}", context(outcome)))?;
    }
    if let Some(want) = &case.err {
        pattern::check(want, &outcome.err).map_err(|e| format!("standard error: {e}"))?;
    }
    Ok(())
}

/// Checks that two tracers said the same.
pub fn against_oracle(case: &Case, outcome: &Outcome, oracle: &Outcome) -> Result<(), Failure> {
    ran(case, oracle).map_err(|e| format!("the oracle itself: {e}"))?;
    ran(case, outcome)?;
    let (want, got) = match case.compare {
        Compare::Exact => (oracle.out.clone(), outcome.out.clone()),
        Compare::Shape => (shape(&oracle.out, &case.keep), shape(&outcome.out, &case.keep)),
    };
    if want.trim().is_empty() && case.out.is_none() {
        return Err(format!("the oracle's output has nothing to compare\n{}", context(oracle)));
    }
    if want == got {
        return Ok(());
    }
    Err(format!("differs from bpftrace: {}\n{}", pattern::explain(&want, &got), context(outcome)))
}

/// Checks that the job ended as the case says.
pub fn ran(case: &Case, outcome: &Outcome) -> Result<(), Failure> {
    if outcome.timed_out {
        return Err(format!("killed at its time limit\n{}", context(outcome)));
    }
    if outcome.status != case.exit {
        return Err(format!("exit status {}, expected {}\n{}", outcome.status, case.exit, context(outcome)));
    }
    if outcome.trigger_status != 0 {
        return Err(format!("the trigger failed\n{}", context(outcome)));
    }
    Ok(())
}

/// Everything the job printed.
pub fn context(outcome: &Outcome) -> String {
    let part = |name: &str, text: &str| {
        let text = if text.len() > 4000 { &text[..text.floor_char_boundary(4000)] } else { text };
        format!("--- {name}\n{text}\n")
    };
    part("stdout", &outcome.out) + &part("stderr", &outcome.err) + &part("trigger", &outcome.trigger_log)
}

/// Checks which BTF files the loader opened, from strace's log.
pub fn opened_btf(log: &str, want: &[String]) -> Result<(), Failure> {
    let mut opened: Vec<&str> = log
        .lines()
        .filter(|line| !line.contains("ENOENT"))
        .filter_map(|line| line.split_once("/sys/kernel/btf/")?.1.split('"').next())
        .collect();
    opened.sort_unstable();
    opened.dedup();
    let mut want: Vec<&str> = want.iter().map(String::as_str).collect();
    want.sort_unstable();
    if opened == want {
        return Ok(());
    }
    Err(format!("BTF files opened: {opened:?}, expected {want:?}\n{log}"))
}
