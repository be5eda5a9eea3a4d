//! Registers for virtual registers, and machine instructions for operations.
//!
//! Input    `VCode`
//! Output   `Mir`, and the bytes of stack that spills take
//! Requires split critical edges
//! Ensures  no virtual register is left; r10 is never written

use regalloc2::{
    Allocation, Edit, InstOrEdit, MachineEnv, Operand, OperandConstraint, OperandKind, PRegSet,
    RegallocOptions, VReg,
};

use crate::frame::Frame;
use crate::insn::{AluOp, AtomicOp, Insn, Reference, Reg, Size, Src, Width, pseudo};
use crate::isel::vcode::{self, Address, Callee, Op, Other, VCode, VInst, preg};
use crate::mir::{Block, End, Line, Mir, Test, What};
use crate::module::CoreRelo;

/// Allocates registers and makes machine code. The second result: bytes of all spill slots.
pub(crate) fn allocate(mut vcode: VCode, frame: &Frame, core_relos: &[CoreRelo]) -> (Mir, u32) {
    free_fixed_registers(&mut vcode);
    let options = RegallocOptions { validate_ssa: cfg!(debug_assertions), ..RegallocOptions::default() };
    let output = regalloc2::run(&vcode, &environment(), &options)
        .unwrap_or_else(|error| panic!("register allocation failed, please report: {error}"));
    let spilled = output.num_spillslots as u32 * 8;

    let mut mir = Mir::default();
    for (index, vblock) in vcode.blocks.iter().enumerate() {
        let mut writer = Writer { lines: Vec::new(), frame, core_relos, loc: Default::default() };
        let mut end = None;
        for step in output.block_insts_and_edits(&vcode, regalloc2::Block::new(index)) {
            match step {
                InstOrEdit::Edit(Edit::Move { from, to }) => writer.edit(*from, *to),
                InstOrEdit::Inst(inst) => {
                    let vinst = &vcode.insts[inst.index()];
                    writer.loc = vinst.loc;
                    end = writer.inst(vinst, output.inst_allocs(inst), &vblock.succs);
                }
            }
        }
        let end = end.expect("the last instruction of a block ends it");
        mir.blocks.push(Block { body: writer.lines, end, end_loc: writer.loc, cold: vblock.cold });
    }
    (mir, spilled)
}

/// r6 to r9 survive calls but must be saved by nobody: BPF functions have private ones. They come
/// second only because what does not live across a call should leave them to what does.
fn environment() -> MachineEnv {
    let set =
        |range: std::ops::RangeInclusive<u8>| range.fold(PRegSet::empty(), |set, r| set.with(preg(Reg(r))));
    MachineEnv {
        preferred_regs_by_class: [set(0..=5), PRegSet::empty(), PRegSet::empty()],
        non_preferred_regs_by_class: [set(6..=9), PRegSet::empty(), PRegSet::empty()],
        scratch_by_class: [None; 3],
        fixed_stack_slots: Vec::new(),
    }
}

/// A value that is born in a fixed register and lives across a call gets a move right behind its
/// birth; otherwise the allocator tends to spill it first and reload it later. For the same reason
/// what descends from such a value gets one before the function returns it.
fn free_fixed_registers(vcode: &mut VCode) {
    let across = live_across_calls(vcode);
    let family_across = families_across_calls(vcode, &across);
    let insts = std::mem::take(&mut vcode.insts);
    let mut moved_to = Vec::with_capacity(insts.len() + 1);
    for mut inst in insts {
        moved_to.push(vcode.insts.len());
        let (mut before, mut behind) = (Vec::new(), Vec::new());
        let (loc, returns) = (inst.loc, inst.op == Op::Exit);
        let mov = |from, to| VInst {
            op: Op::Mov,
            operands: vec![Operand::reg_use(from), Operand::reg_def(to)],
            clobbers: PRegSet::empty(),
            loc,
        };
        for operand in &mut inst.operands {
            let home = operand.vreg();
            let born = operand.kind() == OperandKind::Def && across[home.vreg()];
            let returned = returns && family_across[home.vreg()];
            if matches!(operand.constraint(), OperandConstraint::FixedReg(_)) && (born || returned) {
                let fixed = vcode.new_vreg();
                *operand = Operand::new(fixed, operand.constraint(), operand.kind(), operand.pos());
                if born {
                    behind.push(mov(fixed, home));
                } else {
                    before.push(mov(home, fixed));
                }
            }
        }
        vcode.insts.extend(before);
        vcode.insts.push(inst);
        vcode.insts.extend(behind);
    }
    moved_to.push(vcode.insts.len());
    for block in &mut vcode.blocks {
        block.insts = moved_to[block.insts.start]..moved_to[block.insts.end];
    }
}

/// The allocator tries to give one register to a block parameter and its arguments, and to the two
/// ends of a two-address operation. Which virtual registers are such relatives of one that lives
/// across a call, but do not themselves?
fn families_across_calls(vcode: &VCode, across: &[bool]) -> Vec<bool> {
    let mut family: Vec<usize> = (0..vcode.vregs).collect();
    fn head(family: &mut [usize], mut vreg: usize) -> usize {
        while family[vreg] != vreg {
            family[vreg] = family[family[vreg]];
            vreg = family[vreg];
        }
        vreg
    }
    let mut join = |a: VReg, b: VReg| {
        let (a, b) = (head(&mut family, a.vreg()), head(&mut family, b.vreg()));
        family[a] = b;
    };
    for block in &vcode.blocks {
        for (succ, args) in block.succs.iter().zip(&block.args) {
            let params = &vcode.blocks[succ.index()].params;
            args.iter().zip(params).for_each(|(arg, param)| join(*arg, *param));
        }
    }
    for inst in &vcode.insts {
        for operand in &inst.operands {
            if let OperandConstraint::Reuse(index) = operand.constraint() {
                join(operand.vreg(), inst.operands[index].vreg());
            }
        }
    }
    let mut lives = vec![false; vcode.vregs];
    for vreg in (0..vcode.vregs).filter(|vreg| across[*vreg]) {
        let head = head(&mut family, vreg);
        lives[head] = true;
    }
    (0..vcode.vregs).map(|vreg| !across[vreg] && lives[head(&mut family, vreg)]).collect()
}

/// A set of virtual registers.
#[derive(Clone, PartialEq)]
struct VRegs(Vec<u64>);

impl VRegs {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, vreg: VReg, member: bool) {
        let (word, bit) = (vreg.vreg() / 64, vreg.vreg() % 64);
        self.0[word] = self.0[word] & !(1 << bit) | u64::from(member) << bit;
    }

    fn add(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            changed |= theirs & !*mine != 0;
            *mine |= theirs;
        }
        changed
    }
}

fn live_across_calls(vcode: &VCode) -> Vec<bool> {
    let mut across = VRegs::new(vcode.vregs);
    let mut live_in = vec![VRegs::new(vcode.vregs); vcode.blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for (index, block) in vcode.blocks.iter().enumerate().rev() {
            let mut live = VRegs::new(vcode.vregs);
            for (succ, args) in block.succs.iter().zip(&block.args) {
                live.add(&live_in[succ.index()]);
                args.iter().for_each(|arg| live.set(*arg, true));
            }
            for inst in vcode.insts[block.insts.clone()].iter().rev() {
                let of_kind = |kind| inst.operands.iter().filter(move |o| o.kind() == kind);
                of_kind(OperandKind::Def).for_each(|o| live.set(o.vreg(), false));
                if matches!(inst.op, Op::Call(_)) {
                    across.add(&live);
                }
                of_kind(OperandKind::Use).for_each(|o| live.set(o.vreg(), true));
            }
            block.params.iter().for_each(|param| live.set(*param, false));
            changed |= live_in[index].add(&live);
        }
    }
    (0..vcode.vregs).map(|v| across.0[v / 64] >> (v % 64) & 1 == 1).collect()
}

/// Writes the machine instructions of one block.
struct Writer<'a> {
    lines: Vec<Line>,
    frame: &'a Frame,
    core_relos: &'a [CoreRelo],
    loc: cranelift_codegen::ir::SourceLoc,
}

impl Writer<'_> {
    fn push(&mut self, what: What, reference: Option<Reference>) {
        self.lines.push(Line { what, reference, loc: self.loc });
    }

    fn plain(&mut self, insn: Insn) {
        self.push(What::Plain(insn), None);
    }

    fn edit(&mut self, from: Allocation, to: Allocation) {
        let place = |slot: regalloc2::SpillSlot| {
            let depth = self.frame.bytes as usize + 8 * (slot.index() + 1);
            i16::try_from(depth).map_or(i16::MIN, |depth| -depth) // over 512 anyway, and refused
        };
        let insn = match (from.as_reg(), to.as_reg(), from.as_stack(), to.as_stack()) {
            (Some(from), Some(to), ..) => Insn::mov(vcode::reg(to), vcode::reg(from)),
            (Some(from), _, _, Some(to)) => {
                Insn::Store { size: Size::DW, base: Reg::FP, off: place(to), src: Src::Reg(vcode::reg(from)) }
            }
            (_, Some(to), Some(from), _) => {
                Insn::Load { size: Size::DW, dst: vcode::reg(to), base: Reg::FP, off: place(from) }
            }
            _ => unreachable!("the allocator moves nothing from stack to stack"),
        };
        self.plain(insn);
    }

    fn number(&mut self, dst: Reg, imm: i64, reference: Option<Reference>) {
        let mov = |width, imm| Insn::Alu { op: AluOp::Mov, width, dst, src: Src::Imm(imm) };
        let insn = match (i32::try_from(imm), u32::try_from(imm)) {
            (Ok(imm), _) => mov(Width::W64, imm),
            (_, Ok(imm)) if reference.is_none() => mov(Width::W32, imm as i32),
            _ => Insn::LdImm64 { dst, pseudo: 0, imm },
        };
        self.push(What::Plain(insn), reference);
    }

    /// The base register and offset of an access, and how many operands that took.
    fn address(&self, at: &Address, regs: &[Reg]) -> (Reg, i16, usize) {
        match at.slot {
            Some(slot) => (Reg::FP, (self.frame.offsets[slot] + i32::from(at.offset)) as i16, 0),
            None => (regs[0], at.offset, 1),
        }
    }

    /// Writes one operation; those that end a block give its end.
    fn inst(&mut self, inst: &VInst, allocs: &[Allocation], succs: &[regalloc2::Block]) -> Option<End> {
        let regs: Vec<Reg> = allocs
            .iter()
            .map(|alloc| vcode::reg(alloc.as_reg().expect("every operand wants a register")))
            .collect();
        match inst.op {
            Op::Args => {}
            Op::Mov => self.plain(Insn::mov(regs[1], regs[0])),
            Op::Zext32 => self.plain(Insn::Alu {
                op: AluOp::Mov,
                width: Width::W32,
                dst: regs[1],
                src: Src::Reg(regs[0]),
            }),
            Op::Imm(imm) => self.number(regs[0], imm, None),
            Op::CoreImm(relo) => {
                let value = self.core_relos[relo as usize].local_value;
                self.number(regs[0], value, Some(Reference::Core(relo)));
            }
            Op::Symbol { reference, offset } => {
                let pseudo = if matches!(reference, Reference::FuncAddr(_)) { pseudo::FUNC } else { 0 };
                let insn = Insn::LdImm64 { dst: regs[0], pseudo, imm: offset };
                self.push(What::Plain(insn), Some(reference));
            }
            Op::StackAddr { slot, offset } => {
                self.plain(Insn::mov(regs[0], Reg::FP));
                let imm = self.frame.offsets[slot] + offset;
                self.alu(AluOp::Add, Width::W64, regs[0], Src::Imm(imm));
            }
            Op::Alu { op, width } => self.alu(op, width, regs[0], Src::Reg(regs[1])),
            Op::AluImm { op, width, imm, core } => {
                let insn = Insn::Alu { op, width, dst: regs[0], src: Src::Imm(imm) };
                self.push(What::Plain(insn), core.map(Reference::Core));
            }
            Op::Neg(width) => self.plain(Insn::Neg { width, dst: regs[0] }),
            Op::Swap(bits) => self.plain(Insn::Swap { bits, dst: regs[0] }),
            Op::Load { size, at } => {
                let (base, off, used) = self.address(&at, &regs);
                let insn = Insn::Load { size, dst: regs[used], base, off };
                self.push(What::Plain(insn), at.core.map(Reference::Core));
            }
            Op::Store { size, at, imm } => {
                let (base, off, used) = self.address(&at, &regs);
                let src = imm.map_or_else(|| Src::Reg(regs[used]), Src::Imm);
                let insn = Insn::Store { size, base, off, src };
                self.push(What::Plain(insn), at.core.map(Reference::Core));
            }
            Op::Atomic { op, fetch, size, at } => {
                let (base, off, used) = self.address(&at, &regs);
                let fetch = fetch || op == AtomicOp::Cmpxchg;
                let insn = Insn::Atomic { op, fetch, size, base, off, src: regs[used] };
                self.push(What::Plain(insn), at.core.map(Reference::Core));
            }
            Op::Choose { test, first, other } => self.choose(test, first, other, inst, &regs),
            Op::Call(callee) => {
                let args = inst.operands.iter().filter(|o| o.kind() == OperandKind::Use).count() as u8;
                let (insn, reference) = match callee {
                    Callee::Helper(id) => (Insn::Call { pseudo: 0, imm: id as i32 }, None),
                    Callee::Function(index) => {
                        (Insn::Call { pseudo: pseudo::CALL, imm: -1 }, Some(Reference::Call(index)))
                    }
                    Callee::Kfunc(index) => {
                        (Insn::Call { pseudo: pseudo::CALL, imm: -1 }, Some(Reference::Kfunc(index)))
                    }
                };
                self.push(What::Call(insn, args), reference);
            }
            Op::Jump => return Some(End::Jump(succs[0].index())),
            Op::Branch { test, negated } => {
                let (test, _) = machine_test(test, &regs);
                let (yes, no) = (succs[0].index(), succs[1].index());
                let (yes, no) = if negated { (no, yes) } else { (yes, no) };
                return Some(End::Branch { test, yes, no });
            }
            Op::Exit => return Some(End::Exit { returns: !regs.is_empty() }),
        }
        None
    }

    fn alu(&mut self, op: AluOp, width: Width, dst: Reg, src: Src) {
        self.plain(Insn::Alu { op, width, dst, src });
    }

    fn choose(&mut self, test: vcode::Test, first: Option<i32>, other: Other, inst: &VInst, regs: &[Reg]) {
        let dst = *regs.last().expect("the def comes last");
        let (mut test, used) = machine_test(test, regs);
        if first.is_none() && inst.operands[0].vreg() == inst.operands[used].vreg() {
            // The verifier shall learn about the register that goes on, not about a copy.
            test.left = dst;
        }
        if let Some(first) = first {
            self.number(dst, first.into(), None);
        }
        let mov = |src| Insn::Alu { op: AluOp::Mov, width: Width::W64, dst, src };
        let then = match other {
            Other::Reg => mov(Src::Reg(regs[used + usize::from(first.is_none())])),
            Other::Imm(imm) => mov(Src::Imm(imm)),
            Other::Negated(width) => Insn::Neg { width, dst },
        };
        self.push(What::Unless { test, then }, None);
    }
}

/// A comparison of the leading operands, and how many it took.
fn machine_test(test: vcode::Test, regs: &[Reg]) -> (Test, usize) {
    let (right, used) = match test.imm {
        Some(imm) => (Src::Imm(imm), 1),
        None => (Src::Reg(regs[1]), 2),
    };
    (Test { cond: test.cond, width: test.width, left: regs[0], right }, used)
}
