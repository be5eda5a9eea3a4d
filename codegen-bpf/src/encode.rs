//! Instructions to bytes (`instruction-set.rst`, "Instruction encoding").

use crate::insn::{AluOp, AtomicOp, Insn, Reg, Size, Src, Width};

const LD: u8 = 0x00;
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
const ALU: u8 = 0x04;
const JMP: u8 = 0x05;
const JMP32: u8 = 0x06;
const ALU64: u8 = 0x07;

const IMM: u8 = 0x00;
const MEM: u8 = 0x60;
const ATOMIC: u8 = 0xc0;

const SRC_REG: u8 = 0x08;
const NEG: u8 = 0x80;
const END: u8 = 0xd0;
const TO_BE: u8 = 0x08;
const JA: u8 = 0x00;
const CALL: u8 = 0x80;
const EXIT: u8 = 0x90;
const FETCH: i32 = 1;

/// Appends the 8 or 16 bytes of `insn`.
pub fn encode(insn: &Insn, out: &mut Vec<u8>) {
    match *insn {
        Insn::Alu { op, width, dst, src } => with_src(out, op as u8 | alu_class(width), dst, 0, src),
        Insn::Neg { width, dst } => slot(out, NEG | alu_class(width), dst.0, 0, 0, 0),
        // On a little-endian machine "to big endian" is the byte swap.
        Insn::Swap { bits, dst } => slot(out, ALU | END | TO_BE, dst.0, 0, 0, bits.into()),
        Insn::LdImm64 { dst, pseudo, imm } => {
            slot(out, LD | IMM | size_bits(Size::DW), dst.0, pseudo, 0, imm as i32);
            slot(out, 0, 0, 0, 0, (imm >> 32) as i32);
        }
        Insn::Load { size, dst, base, off } => slot(out, LDX | MEM | size_bits(size), dst.0, base.0, off, 0),
        Insn::Store { size, base, off, src: Src::Reg(src) } => {
            slot(out, STX | MEM | size_bits(size), base.0, src.0, off, 0);
        }
        Insn::Store { size, base, off, src: Src::Imm(imm) } => {
            slot(out, ST | MEM | size_bits(size), base.0, 0, off, imm);
        }
        Insn::Atomic { op, fetch, size, base, off, src } => {
            let imm = op as i32 | if fetch { FETCH } else { 0 };
            slot(out, STX | ATOMIC | size_bits(size), base.0, src.0, off, imm);
        }
        Insn::Call { pseudo, imm } => slot(out, JMP | CALL, 0, pseudo, 0, imm),
        Insn::Jump { off } => slot(out, JMP | JA, 0, 0, off, 0),
        Insn::Branch { cond, width, dst, src, off } => {
            let class = match width {
                Width::W32 => JMP32,
                Width::W64 => JMP,
            };
            with_src(out, cond as u8 | class, dst, off, src);
        }
        Insn::Exit => slot(out, JMP | EXIT, 0, 0, 0, 0),
    }
}

fn alu_class(width: Width) -> u8 {
    match width {
        Width::W32 => ALU,
        Width::W64 => ALU64,
    }
}

fn size_bits(size: Size) -> u8 {
    match size {
        Size::W => 0x00,
        Size::H => 0x08,
        Size::B => 0x10,
        Size::DW => 0x18,
    }
}

fn with_src(out: &mut Vec<u8>, opcode: u8, dst: Reg, off: i16, src: Src) {
    match src {
        Src::Reg(src) => slot(out, opcode | SRC_REG, dst.0, src.0, off, 0),
        Src::Imm(imm) => slot(out, opcode, dst.0, 0, off, imm),
    }
}

fn slot(out: &mut Vec<u8>, opcode: u8, dst: u8, src: u8, off: i16, imm: i32) {
    out.extend([opcode, src << 4 | dst]);
    out.extend(off.to_le_bytes());
    out.extend(imm.to_le_bytes());
}

/// Reads one instruction back, with the number of slots it takes. `None` for bytes this crate
/// does not produce.
pub fn decode(bytes: &[u8]) -> Option<(Insn, usize)> {
    let (head, _) = bytes.split_first_chunk::<8>()?;
    let [opcode, regs, o0, o1, i0, i1, i2, i3] = *head;
    let (dst, src) = (Reg(regs & 15), Reg(regs >> 4));
    let off = i16::from_le_bytes([o0, o1]);
    let imm = i32::from_le_bytes([i0, i1, i2, i3]);
    let operand = if opcode & SRC_REG != 0 { Src::Reg(src) } else { Src::Imm(imm) };
    let width = if matches!(opcode & 7, ALU64 | JMP) { Width::W64 } else { Width::W32 };
    let insn = match opcode & 7 {
        LD if opcode == (LD | IMM | 0x18) => {
            let (second, _) = bytes.get(8..)?.split_first_chunk::<8>()?;
            let high = i32::from_le_bytes([second[4], second[5], second[6], second[7]]);
            let imm = i64::from(high) << 32 | i64::from(imm as u32);
            return Some((Insn::LdImm64 { dst, pseudo: src.0, imm }, 2));
        }
        LDX if opcode & 0xe0 == MEM => Insn::Load { size: decode_size(opcode), dst, base: src, off },
        ST if opcode & 0xe0 == MEM => {
            Insn::Store { size: decode_size(opcode), base: dst, off, src: Src::Imm(imm) }
        }
        STX if opcode & 0xe0 == MEM => {
            Insn::Store { size: decode_size(opcode), base: dst, off, src: Src::Reg(src) }
        }
        STX if opcode & 0xe0 == ATOMIC => Insn::Atomic {
            op: decode_atomic(imm & !FETCH)?,
            fetch: imm & FETCH != 0,
            size: decode_size(opcode),
            base: dst,
            off,
            src,
        },
        ALU | ALU64 => match opcode & 0xf0 {
            NEG => Insn::Neg { width, dst },
            END => Insn::Swap { bits: imm as u8, dst },
            op => Insn::Alu { op: decode_alu(op)?, width, dst, src: operand },
        },
        JMP | JMP32 => match opcode & 0xf0 {
            JA => Insn::Jump { off },
            CALL => Insn::Call { pseudo: src.0, imm },
            EXIT => Insn::Exit,
            op => Insn::Branch { cond: decode_cond(op)?, width, dst, src: operand, off },
        },
        _ => return None,
    };
    Some((insn, 1))
}

fn decode_size(opcode: u8) -> Size {
    match opcode & 0x18 {
        0x00 => Size::W,
        0x08 => Size::H,
        0x10 => Size::B,
        _ => Size::DW,
    }
}

fn decode_alu(op: u8) -> Option<AluOp> {
    use AluOp::*;
    [Add, Sub, Mul, Div, Or, And, Lsh, Rsh, Mod, Xor, Mov, Arsh].into_iter().find(|o| *o as u8 == op)
}

fn decode_cond(op: u8) -> Option<crate::insn::Cond> {
    use crate::insn::Cond::*;
    [Eq, Ugt, Uge, Set, Ne, Sgt, Sge, Ult, Ule, Slt, Sle].into_iter().find(|c| *c as u8 == op)
}

fn decode_atomic(op: i32) -> Option<AtomicOp> {
    use AtomicOp::*;
    [Add, Or, And, Xor, Xchg, Cmpxchg].into_iter().find(|o| *o as i32 == op)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insn::Cond;

    const R1: Reg = Reg(1);
    const R2: Reg = Reg(2);

    // Left: what we mean. Right: the bytes llvm-mc gives for it.
    const TABLE: &[(Insn, &[u8])] = &[
        (Insn::mov(R1, R2), &[0xbf, 0x21, 0, 0, 0, 0, 0, 0]),
        (
            Insn::Alu { op: AluOp::Add, width: Width::W64, dst: R1, src: Src::Imm(-8) },
            &[0x07, 0x01, 0, 0, 0xf8, 0xff, 0xff, 0xff],
        ),
        (
            Insn::Alu { op: AluOp::Mul, width: Width::W32, dst: R1, src: Src::Reg(R2) },
            &[0x2c, 0x21, 0, 0, 0, 0, 0, 0],
        ),
        (Insn::Neg { width: Width::W64, dst: R1 }, &[0x87, 0x01, 0, 0, 0, 0, 0, 0]),
        (Insn::Swap { bits: 16, dst: R1 }, &[0xdc, 0x01, 0, 0, 16, 0, 0, 0]),
        (
            Insn::LdImm64 { dst: R1, pseudo: 0, imm: 0x1122_3344_5566_7788 },
            &[0x18, 1, 0, 0, 0x88, 0x77, 0x66, 0x55, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11],
        ),
        (Insn::Load { size: Size::W, dst: R1, base: R2, off: 16 }, &[0x61, 0x21, 16, 0, 0, 0, 0, 0]),
        (
            Insn::Store { size: Size::DW, base: Reg::FP, off: -8, src: Src::Imm(1) },
            &[0x7a, 0x0a, 0xf8, 0xff, 1, 0, 0, 0],
        ),
        (
            Insn::Store { size: Size::B, base: Reg::FP, off: -8, src: Src::Reg(R1) },
            &[0x73, 0x1a, 0xf8, 0xff, 0, 0, 0, 0],
        ),
        (
            Insn::Atomic { op: AtomicOp::Add, fetch: true, size: Size::DW, base: R1, off: 0, src: R2 },
            &[0xdb, 0x21, 0, 0, 1, 0, 0, 0],
        ),
        (Insn::Call { pseudo: 0, imm: 14 }, &[0x85, 0, 0, 0, 14, 0, 0, 0]),
        (Insn::Jump { off: -2 }, &[0x05, 0, 0xfe, 0xff, 0, 0, 0, 0]),
        (
            Insn::Branch { cond: Cond::Slt, width: Width::W32, dst: R1, src: Src::Imm(3), off: 1 },
            &[0xc6, 0x01, 1, 0, 3, 0, 0, 0],
        ),
        (Insn::Exit, &[0x95, 0, 0, 0, 0, 0, 0, 0]),
    ];

    #[test]
    fn encodes_and_reads_back() {
        for (insn, bytes) in TABLE {
            let mut out = Vec::new();
            encode(insn, &mut out);
            assert_eq!(&out, bytes, "{insn:?}");
            assert_eq!(decode(&out), Some((*insn, insn.slots())));
        }
    }

    #[test]
    fn truncated_is_refused() {
        assert_eq!(decode(&[0x95; 7]), None);
        assert_eq!(decode(&[0x18, 1, 0, 0, 0, 0, 0, 0]), None);
    }
}
