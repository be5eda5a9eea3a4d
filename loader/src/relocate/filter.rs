//! `-p PID`: instructions in front of a program that leave it for every other process.
//!
//! Objects carry no test of the pid: a run without `-p` pays nothing for it.

use crate::kinds;
use crate::sys::bpf::Insn;
use manifest::AttachPoint;

const GET_CURRENT_PID_TGID: i32 = 14;
/// Opcodes (`instruction-set.rst`): 64-bit register move, immediate move, right shift, jump if equal, exit.
const MOV_X: u8 = 0xbf;
const MOV_K: u8 = 0xb7;
const RSH_K: u8 = 0x77;
const JEQ_K: u8 = 0x15;
const EXIT: u8 = 0x95;

/// The test, for the kinds of probes that fire for every process (LANGUAGE: `-p PID`). Timers and
/// the like attach to the process instead or are not about one.
pub fn prologue(at: &AttachPoint, pid: Option<u32>) -> Vec<Insn> {
    let fires_for_all = match at {
        AttachPoint::Kprobe { .. }
        | AttachPoint::Kretprobe { .. }
        | AttachPoint::Fentry { .. }
        | AttachPoint::Fexit { .. }
        | AttachPoint::Tracepoint { .. }
        | AttachPoint::RawTracepoint { .. } => true,
        AttachPoint::Begin
        | AttachPoint::End
        | AttachPoint::SelfSignal(_)
        | AttachPoint::Uprobe { .. }
        | AttachPoint::Uretprobe { .. }
        | AttachPoint::Profile(_)
        | AttachPoint::Interval(_) => false,
    };
    match pid.filter(|_| fires_for_all) {
        // Pids are below 2^22 (`PID_MAX_LIMIT`), so the comparison's sign extension does not matter.
        Some(pid) => test(pid.cast_signed()),
        None => Vec::new(),
    }
}

fn test(pid: i32) -> Vec<Insn> {
    let insn = |code, dst: u8, src: u8, off, imm| Insn { code, regs: dst | src << 4, off, imm };
    vec![
        insn(MOV_X, 6, 1, 0, 0),
        insn(kinds::CALL, 0, 0, 0, GET_CURRENT_PID_TGID),
        insn(RSH_K, 0, 0, 0, 32),
        insn(JEQ_K, 0, 0, 2, pid),
        insn(MOV_K, 0, 0, 0, 0),
        insn(EXIT, 0, 0, 0, 0),
        insn(MOV_X, 1, 6, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kinds_that_fire_for_every_process() {
        let kprobe = AttachPoint::Kretprobe { module: None, function: "f".into() };
        assert_eq!(prologue(&kprobe, None), []);
        assert_eq!(prologue(&AttachPoint::Begin, Some(7)), []);
        let test = prologue(&kprobe, Some(7));
        assert_eq!((test.len(), test[3].imm), (7, 7));
        // The jump leads behind the exit.
        assert_eq!(test[3 + 1 + 2].code, MOV_X);
    }
}
