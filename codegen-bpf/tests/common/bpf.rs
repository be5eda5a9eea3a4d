//! A BPF interpreter for what this crate emits: the oracle of the random tests.

use codegen_bpf::encode::decode;
use codegen_bpf::insn::{AluOp, AtomicOp, Cond, Insn, Reg, Size, Src, Width};

const STACK: u64 = 0x7000_0000;
const STACK_BYTES: usize = 512;
/// Where the memory given to a program starts.
pub(crate) const MEMORY: u64 = 0x1000_0000;

/// Runs `code` with `args` in r1 and up and `memory` at [`MEMORY`]. Helpers return a hash of their
/// id and arguments. `None`: too many steps.
pub(crate) fn run(code: &[u8], args: &[u64], memory: &mut [u8]) -> Option<u64> {
    let mut vm = Vm { regs: [0xdead_beef_dead_beef; 11], stack: [0xa5; STACK_BYTES], memory };
    vm.regs[1..=args.len()].copy_from_slice(args);
    vm.regs[10] = STACK + STACK_BYTES as u64;
    let mut pc = 0;
    for _ in 0..100_000 {
        let (insn, slots) = decode(&code[pc * 8..]).expect("the compiler's own instruction");
        pc += slots;
        match insn {
            Insn::Exit => return Some(vm.regs[0]),
            Insn::Jump { off } => pc = (pc as i64 + i64::from(off)) as usize,
            Insn::Branch { cond, width, dst, src, off } => {
                if vm.holds(cond, width, dst, src) {
                    pc = (pc as i64 + i64::from(off)) as usize;
                }
            }
            Insn::Call { imm, .. } => vm.call(imm as u32),
            other => vm.step(other),
        }
    }
    None
}

/// What the helper `id` returns for `args`.
pub(crate) fn helper(id: u32, args: &[u64]) -> u64 {
    args.iter().fold(u64::from(id) ^ 0x9e37_79b9_7f4a_7c15, |hash, arg| {
        (hash ^ arg).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(23)
    })
}

struct Vm<'m> {
    regs: [u64; 11],
    stack: [u8; STACK_BYTES],
    memory: &'m mut [u8],
}

impl Vm<'_> {
    fn get(&self, reg: Reg) -> u64 {
        self.regs[usize::from(reg.0)]
    }

    fn set(&mut self, reg: Reg, value: u64) {
        assert!(reg.0 < 10, "r10 is read-only");
        self.regs[usize::from(reg.0)] = value;
    }

    fn src(&self, src: Src) -> u64 {
        match src {
            Src::Reg(reg) => self.get(reg),
            Src::Imm(imm) => i64::from(imm) as u64,
        }
    }

    /// Helper ids tell their number of arguments: id / 1000.
    fn call(&mut self, id: u32) {
        let count = (id / 1000) as usize;
        self.regs[0] = helper(id, &self.regs[1..=count]);
        for clobbered in 1..=5 {
            self.regs[clobbered] = 0xbad0_bad0_bad0_bad0 + clobbered as u64;
        }
    }

    fn step(&mut self, insn: Insn) {
        match insn {
            Insn::Alu { op, width, dst, src } => {
                if let (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Src::Imm(by)) = (op, src) {
                    let bits = if width == Width::W64 { 64 } else { 32 };
                    assert!((0..bits).contains(&by), "the verifier refuses a shift by {by}");
                }
                let value = match width {
                    Width::W64 => alu64(op, self.get(dst), self.src(src)),
                    Width::W32 => u64::from(alu32(op, self.get(dst) as u32, self.src(src) as u32)),
                };
                self.set(dst, value);
            }
            Insn::Neg { width: Width::W64, dst } => self.set(dst, self.get(dst).wrapping_neg()),
            Insn::Neg { width: Width::W32, dst } => {
                self.set(dst, u64::from((self.get(dst) as u32).wrapping_neg()));
            }
            Insn::Swap { bits, dst } => {
                let value = self.get(dst);
                self.set(
                    dst,
                    match bits {
                        16 => u64::from((value as u16).swap_bytes()),
                        32 => u64::from((value as u32).swap_bytes()),
                        _ => value.swap_bytes(),
                    },
                );
            }
            Insn::LdImm64 { dst, imm, .. } => self.set(dst, imm as u64),
            Insn::Load { size, dst, base, off } => {
                let value = self.load(size, self.address(base, off));
                self.set(dst, value);
            }
            Insn::Store { size, base, off, src } => {
                let (address, value) = (self.address(base, off), self.src(src));
                self.store(size, address, value);
            }
            Insn::Atomic { op, fetch, size, base, off, src } => self.atomic(op, fetch, size, base, off, src),
            Insn::Call { .. } | Insn::Jump { .. } | Insn::Branch { .. } | Insn::Exit => unreachable!(),
        }
    }

    fn atomic(&mut self, op: AtomicOp, fetch: bool, size: Size, base: Reg, off: i16, src: Reg) {
        let address = self.address(base, off);
        let (old, operand) = (self.load(size, address), self.get(src));
        let new = match op {
            AtomicOp::Add => old.wrapping_add(operand),
            AtomicOp::Or => old | operand,
            AtomicOp::And => old & operand,
            AtomicOp::Xor => old ^ operand,
            AtomicOp::Xchg => operand,
            AtomicOp::Cmpxchg => {
                let expected = if size == Size::W { self.regs[0] & 0xffff_ffff } else { self.regs[0] };
                self.regs[0] = old;
                if old == expected { operand } else { old }
            }
        };
        self.store(size, address, new);
        if fetch && op != AtomicOp::Cmpxchg {
            self.set(src, old);
        }
    }

    fn holds(&self, cond: Cond, width: Width, dst: Reg, src: Src) -> bool {
        let (mut a, mut b) = (self.get(dst), self.src(src));
        let (mut sa, mut sb) = (a as i64, b as i64);
        if width == Width::W32 {
            (sa, sb) = (i64::from(a as i32), i64::from(b as i32));
            (a, b) = (a & 0xffff_ffff, b & 0xffff_ffff);
        }
        match cond {
            Cond::Eq => a == b,
            Cond::Ne => a != b,
            Cond::Set => a & b != 0,
            Cond::Ugt => a > b,
            Cond::Uge => a >= b,
            Cond::Ult => a < b,
            Cond::Ule => a <= b,
            Cond::Sgt => sa > sb,
            Cond::Sge => sa >= sb,
            Cond::Slt => sa < sb,
            Cond::Sle => sa <= sb,
        }
    }

    fn address(&self, base: Reg, off: i16) -> u64 {
        self.get(base).wrapping_add(off as u64)
    }

    fn place(&mut self, size: Size, address: u64) -> &mut [u8] {
        let bytes = size.bits() as usize / 8;
        if (STACK..STACK + STACK_BYTES as u64).contains(&address) {
            assert_eq!(address % bytes as u64, 0, "the verifier refuses misaligned stack accesses");
            let at = (address - STACK) as usize;
            &mut self.stack[at..at + bytes]
        } else {
            let at = address.wrapping_sub(MEMORY) as usize;
            &mut self.memory[at..at + bytes]
        }
    }

    fn load(&mut self, size: Size, address: u64) -> u64 {
        let mut bytes = [0; 8];
        let place = self.place(size, address);
        bytes[..place.len()].copy_from_slice(place);
        u64::from_le_bytes(bytes)
    }

    fn store(&mut self, size: Size, address: u64, value: u64) {
        let place = self.place(size, address);
        let bytes = value.to_le_bytes();
        place.copy_from_slice(&bytes[..place.len()]);
    }
}

fn alu64(op: AluOp, a: u64, b: u64) -> u64 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Lsh => a.wrapping_shl(b as u32),
        AluOp::Rsh => a.wrapping_shr(b as u32),
        AluOp::Arsh => (a as i64).wrapping_shr(b as u32) as u64,
    }
}

fn alu32(op: AluOp, a: u32, b: u32) -> u32 {
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Lsh => a.wrapping_shl(b),
        AluOp::Rsh => a.wrapping_shr(b),
        AluOp::Arsh => (a as i32).wrapping_shr(b) as u32,
    }
}
