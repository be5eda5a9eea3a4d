//! What the verifier says, turned into a message about the script.
//!
//! Input    the verifier's log, the program's line records and poisoned instructions, the script's text
//! Output   [`Refusal`]
//! Ensures  the script's line is shown if the log and the line records lead to one; a field, type or function this
//!          kernel lacks is named as such

use crate::place::{At, Place};
use crate::relocate::Linked;
use crate::relocate::link::Poisoned;
use crate::sys::SysError;
use manifest::{Probe, Source};
use std::fmt;

/// Lines of the log that are worth reading.
const TAIL_LINES: usize = 6;

/// How the log starts if the kernel refuses what the program attaches to (`bpf_check_attach_target`,
/// `btf_distill_func_proto`). That is looked at before the first instruction.
const OF_TARGET: [&str; 4] = ["attach_btf_id ", "Attaching ", "The address of function ", "The function "];

/// A program that the verifier refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    program: String,
    probe: String,
    source: SysError,
    kernel: String,
    missing: Option<Poisoned>,
    place: Option<Place>,
    tail: Vec<String>,
    log: String,
}

impl Refusal {
    /// Reads the log.
    pub fn new(
        probe: &Probe,
        linked: &Linked,
        script: &Source,
        kernel: &str,
        source: SysError,
        log: String,
    ) -> Self {
        let insn = last_insn(&log);
        let poisoned = insn.and_then(|insn| linked.poisoned.iter().find(|poisoned| poisoned.insn == insn));
        Self {
            program: probe.program.clone(),
            probe: probe.name.clone(),
            source,
            kernel: kernel.into(),
            missing: poisoned.cloned(),
            place: insn.and_then(|insn| Place::find(&linked.line_info, script, insn)),
            tail: tail(&log),
            log,
        }
    }

    /// Whether the kernel lacks something that the program needs; else the program is wrong.
    pub fn is_missing(&self) -> bool {
        self.missing.is_some()
    }

    /// What the kernel says of the attach point, if it refuses that and not the program.
    pub fn of_target(&self) -> Option<String> {
        if last_insn(&self.log).is_some() {
            return None;
        }
        match self.tail.last() {
            // Some functions are denied without a word.
            None => Some(self.source.to_string()),
            Some(last) => OF_TARGET.iter().any(|start| last.starts_with(start)).then(|| last.clone()),
        }
    }

    /// The whole log.
    pub fn log(&self) -> &str {
        &self.log
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (&self.missing, self.tail.last()) {
            (Some(Poisoned { what, why, .. }), _) => {
                format!("{what} does not exist on this kernel ({}): {why}", self.kernel)
            }
            (None, Some(last)) => format!("the verifier refuses this: {last}"),
            (None, None) => "the verifier refuses the program without a reason".to_owned(),
        };
        write!(f, "{}", At(self.place.as_ref(), &what))?;
        if self.missing.is_some() {
            let (program, probe) = (&self.program, &self.probe);
            return write!(
                f,
                "\nprogram `{program}` for {probe}\nHINT: the object was built against a kernel that has it; rebuild it with this kernel's types (`sondec build` here, or `--btf`)"
            );
        }
        write!(f, "\nprogram `{}` for {}: {}", self.program, self.probe, self.source)?;
        self.tail.iter().try_for_each(|line| write!(f, "\n  | {line}"))
    }
}

/// The instruction that the log ends at: the last line of the form `12: (85) call ...`.
fn last_insn(log: &str) -> Option<usize> {
    log.lines().rev().find_map(|line| {
        let (number, rest) = line.split_once(": (")?;
        rest.get(2..3).filter(|&close| close == ")")?;
        number.trim().parse().ok()
    })
}

fn tail(log: &str) -> Vec<String> {
    let noise = |line: &str| {
        line.is_empty()
            || line.starts_with("processed ")
            || line.starts_with("verification time")
            || line.starts_with("stack depth")
            || line.starts_with("max_states")
    };
    let mut lines: Vec<String> = log
        .lines()
        .rev()
        .map(str::trim_end)
        .filter(|line| !noise(line))
        .take(TAIL_LINES)
        .map(str::to_owned)
        .collect();
    lines.reverse();
    // The log repeats the source line before its instructions: what comes before belongs to others.
    if let Some(start) = lines.iter().rposition(|line| line.starts_with("; ")) {
        lines.drain(..start);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::bpf::LineInfo;
    use manifest::AttachPoint;

    fn refusal(log: &str, poisoned: Vec<Poisoned>) -> Refusal {
        let probe = Probe {
            program: "p1".into(),
            name: "begin".into(),
            at: AttachPoint::Begin,
            line: 1,
            prototype: None,
            pattern: None,
        };
        let line =
            |insn, line: u32, column: u32| LineInfo { insn, file: 0, text: 0, line_col: line << 10 | column };
        let linked = Linked { line_info: vec![line(0, 1, 1), line(3, 2, 3)], poisoned, ..Linked::default() };
        let script = Source { name: "a.bt".into(), text: "begin {\n  $x = 1;\n}\n".into() };
        let source = SysError { call: "BPF_PROG_LOAD", errno: libc::EINVAL };
        Refusal::new(&probe, &linked, &script, "6.1", source, log.into())
    }

    #[test]
    fn the_line_of_the_script_is_shown() {
        let log = "0: (b7) r0 = 0\n4: (61) r1 = *(u32 *)(r0 +0)\nR0 invalid mem access 'scalar'\nprocessed 5 insns\n";
        let text = refusal(log, vec![]).to_string();
        assert!(text.starts_with(
            "a.bt:2:3: the verifier refuses this: R0 invalid mem access 'scalar'\n  $x = 1;\n  ~\nprogram `p1`"
        ));
    }

    #[test]
    fn the_attach_point_is_told_from_the_program() {
        for (log, of_target) in [
            ("The address of function f cannot be found\nprocessed 0 insns\n", true),
            ("The function f has 13 arguments. Too many.\n", true),
            ("Attaching tracing programs to function 'f' is rejected.\n", true),
            ("processed 0 insns\n", true),
            ("jump out of range from insn 3 to 9\n", false),
            ("0: (b7) r0 = 0\nThe function f\n", false),
        ] {
            assert_eq!(refusal(log, vec![]).of_target().is_some(), of_target, "{log}");
        }
    }

    #[test]
    fn poison_is_explained() {
        let what = "field `struct task_struct.gone`".into();
        let why = "vmlinux has `struct task_struct` without `gone`".into();
        let text = refusal(
            "4: (85) call unknown#195896080\ninvalid func unknown#195896080\n",
            vec![Poisoned { insn: 4, what, why }],
        )
        .to_string();
        assert!(text.starts_with(
            "a.bt:2:3: field `struct task_struct.gone` does not exist on this kernel (6.1): vmlinux has `struct task_struct` without `gone`\n  $x = 1;\n  ~\nprogram `p1` for begin\nHINT: "
        ));
        assert!(!text.contains("195896080"));
    }
}
