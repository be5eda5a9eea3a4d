//! What one job of a batch is and what came of it; written and read on both sides of the share.

use serde::{Deserialize, Serialize};
use std::path::Path;

/// Both tracers print this line once everything is attached, when the variable of the same name is set.
pub const ATTACHED: &str = "__BPFTRACE_NOTIFY_PROBES_ATTACHED";

/// One command to run in the guest, with what happens around it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Job {
    /// Names the result files in the share.
    pub id: String,
    /// Shell text run before the command starts.
    pub before: String,
    /// The command, found through `PATH`; paths are the guest's.
    pub argv: Vec<String>,
    /// Shell text run once the command says it is attached (at once if `is_tracer` is unset).
    pub trigger: String,
    /// Shell text run after the command has ended.
    pub after: String,
    /// The command announces its attachment.
    pub is_tracer: bool,
    /// A tracer is ended by SIGINT this long after the trigger; `None`: it ends by itself.
    pub interrupt_after_ms: Option<u64>,
    /// Seconds until the command is killed and the job counts as timed out.
    pub limit_s: u64,
}

/// How a job ended. Output is beside it in the share (`Job::id` + `.out`, `.err`, `.trigger`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Exit status; 128 + n for signal n, as a shell would say.
    pub status: i32,
    /// Killed by the limit.
    pub timed_out: bool,
    /// From exec to the attached line.
    pub attached_ns: Option<u64>,
    /// From exec to the end.
    pub wall_ns: u64,
    /// Peak resident set of the command.
    pub rss_kib_max: u64,
    /// Exit status of the trigger.
    pub trigger_status: i32,
    /// Standard output without the attached line.
    #[serde(skip)]
    pub out: String,
    /// Standard error.
    #[serde(skip)]
    pub err: String,
    /// What `before`, the trigger and `after` printed.
    #[serde(skip)]
    pub trigger_log: String,
}

impl Outcome {
    /// The result of job `id`, once the guest has written it.
    pub fn try_read(share: &Path, id: &str) -> Option<Outcome> {
        let text = std::fs::read_to_string(share.join(format!("{id}.json"))).ok()?;
        let mut outcome: Outcome = serde_json::from_str(&text).ok()?;
        let read = |kind: &str| {
            let bytes = std::fs::read(share.join(format!("{id}.{kind}"))).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        outcome.out = read("out").replace(&format!("{ATTACHED}\n"), "");
        outcome.err = read("err");
        outcome.trigger_log = read("trigger");
        Some(outcome)
    }
}
