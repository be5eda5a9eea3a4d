//! Instructions as the kernel's verifier prints them, with names instead of numbers where the
//! object has a name.

use std::fmt::Write as _;

use crate::insn::{AluOp, AtomicOp, Cond, Insn, Reference, Reg, Size, Src, Width, pseudo};
use crate::module::Module;

/// One instruction without names: `r1 = *(u32 *)(r2 + 16)`.
pub fn text(insn: &Insn) -> String {
    match *insn {
        Insn::Alu { op, width, dst, src } => {
            format!("{} {} {}", reg(width, dst), alu_sign(op), operand(width, src))
        }
        Insn::Neg { width, dst } => format!("{0} = -{0}", reg(width, dst)),
        Insn::Swap { bits, dst } => format!("r{0} = be{bits} r{0}", dst.0),
        Insn::LdImm64 { dst, pseudo: 0, imm } => format!("r{} = {imm:#x} ll", dst.0),
        Insn::LdImm64 { dst, pseudo, imm } => format!("r{} = pseudo {pseudo} {imm:#x} ll", dst.0),
        Insn::Load { size, dst, base, off } => format!("r{} = {}", dst.0, memory(size, base, off)),
        Insn::Store { size, base, off, src } => {
            format!("{} = {}", memory(size, base, off), operand(Width::W64, src))
        }
        Insn::Atomic { op, fetch, size, base, off, src } => atomic(op, fetch, size, base, off, src),
        Insn::Call { pseudo: pseudo::CALL, imm } => format!("call pc{imm:+}"),
        Insn::Call { imm, .. } => format!("call {imm}"),
        Insn::Jump { off } => format!("goto {off:+}"),
        Insn::Branch { cond, width, dst, src, off } => {
            let (dst, src) = (reg(width, dst), operand(width, src));
            format!("if {dst} {} {src} goto {off:+}", cond_sign(cond))
        }
        Insn::Exit => "exit".to_owned(),
    }
}

/// One instruction, its reference resolved to a name of `module`.
pub fn text_with_names(insn: &Insn, reference: Option<Reference>, module: &Module) -> String {
    let Some(reference) = reference else { return text(insn) };
    match (*insn, reference) {
        (Insn::LdImm64 { dst, imm, .. }, Reference::Map(_) | Reference::Data(_) | Reference::Extern(_)) => {
            let offset = if imm == 0 { String::new() } else { format!("{imm:+}") };
            format!("r{} = {}{offset}", dst.0, name(reference, module))
        }
        (Insn::LdImm64 { dst, .. }, Reference::FuncAddr(_)) => {
            format!("r{} = {}", dst.0, name(reference, module))
        }
        (Insn::Call { .. }, _) => format!("call {}", name(reference, module)),
        _ => format!("{} ; {}", text(insn), name(reference, module)),
    }
}

/// A whole function: numbered slots, one instruction per line, each line ended.
pub fn listing<'a>(
    insns: impl IntoIterator<Item = (&'a Insn, Option<Reference>)>,
    module: &Module,
) -> String {
    let mut out = String::new();
    let mut slot = 0;
    for (insn, reference) in insns {
        let _ = writeln!(out, "{slot:4}: {}", text_with_names(insn, reference, module));
        slot += insn.slots();
    }
    out
}

fn name(reference: Reference, module: &Module) -> String {
    match reference {
        Reference::Map(i) => format!("map[{}]", module.maps[i as usize].name),
        Reference::Data(i) => format!("data[{}]", module.data[i as usize].name),
        Reference::Extern(i) => format!("ksym[{}]", module.externs[i as usize].name),
        Reference::Kfunc(i) => module.externs[i as usize].name.clone(),
        Reference::Call(i) => module.functions[i as usize].name.clone(),
        Reference::FuncAddr(i) => format!("func[{}]", module.functions[i as usize].name),
        Reference::Core(i) => {
            let relo = &module.core_relos[i as usize];
            format!("core {:?} type {} {}", relo.kind, relo.root.0, relo.access)
        }
    }
}

fn reg(width: Width, r: Reg) -> String {
    match width {
        Width::W32 => format!("w{}", r.0),
        Width::W64 => format!("r{}", r.0),
    }
}

fn operand(width: Width, src: Src) -> String {
    match src {
        Src::Reg(r) => reg(width, r),
        Src::Imm(imm) => imm.to_string(),
    }
}

fn memory(size: Size, base: Reg, off: i16) -> String {
    let (sign, off) = if off < 0 { ('-', -i32::from(off)) } else { ('+', i32::from(off)) };
    format!("*(u{} *)(r{} {sign} {off})", size.bits(), base.0)
}

fn atomic(op: AtomicOp, fetch: bool, size: Size, base: Reg, off: i16, src: Reg) -> String {
    let place = memory(size, base, off);
    let place = place.strip_prefix('*').unwrap_or(&place);
    let verb = match op {
        AtomicOp::Add => "add",
        AtomicOp::Or => "or",
        AtomicOp::And => "and",
        AtomicOp::Xor => "xor",
        AtomicOp::Xchg => return format!("r{0} = atomic_xchg({place}, r{0})", src.0),
        AtomicOp::Cmpxchg => return format!("r0 = atomic_cmpxchg({place}, r0, r{})", src.0),
    };
    match fetch {
        true => format!("r{0} = atomic_fetch_{verb}({place}, r{0})", src.0),
        false => format!("lock *{place} {}= r{}", sign_of_atomic(op), src.0),
    }
}

fn sign_of_atomic(op: AtomicOp) -> &'static str {
    match op {
        AtomicOp::Add => "+",
        AtomicOp::Or => "|",
        AtomicOp::And => "&",
        AtomicOp::Xor => "^",
        AtomicOp::Xchg | AtomicOp::Cmpxchg => unreachable!("they always fetch"),
    }
}

fn alu_sign(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+=",
        AluOp::Sub => "-=",
        AluOp::Mul => "*=",
        AluOp::Div => "/=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Mod => "%=",
        AluOp::Xor => "^=",
        AluOp::Mov => "=",
        AluOp::Arsh => "s>>=",
    }
}

fn cond_sign(cond: Cond) -> &'static str {
    match cond {
        Cond::Eq => "==",
        Cond::Ugt => ">",
        Cond::Uge => ">=",
        Cond::Set => "&",
        Cond::Ne => "!=",
        Cond::Sgt => "s>",
        Cond::Sge => "s>=",
        Cond::Ult => "<",
        Cond::Ule => "<=",
        Cond::Slt => "s<",
        Cond::Sle => "s<=",
    }
}
