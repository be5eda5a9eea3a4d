//! BPF instructions after register allocation, as `instruction-set.rst` of the kernel names them.
//!
//! Target: little-endian BPF with 32-bit ALU and jumps and atomics (what clang calls cpu v3);
//! no sign-extending loads or moves, no signed division, no 32-bit jump offsets (v4).

/// A machine register, r0 to r10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(pub u8);

impl Reg {
    /// Result of calls and of the function itself.
    pub const R0: Self = Self(0);
    /// Frame pointer, read-only.
    pub const FP: Self = Self(10);

    /// The register of argument `index`.
    pub fn arg(index: usize) -> Self {
        Self(index as u8 + 1)
    }
}

/// Whether an operation reads and writes 64 bits, or 32 bits with the upper half cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Width {
    /// BPF_ALU, BPF_JMP32.
    W32,
    /// BPF_ALU64, BPF_JMP.
    W64,
}

/// Size of a memory access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Size {
    /// 1 byte.
    B,
    /// 2 bytes.
    H,
    /// 4 bytes.
    W,
    /// 8 bytes.
    DW,
}

impl Size {
    /// The size of an access of so many bytes.
    pub fn from_bytes(bytes: u32) -> Option<Self> {
        Some(match bytes {
            1 => Self::B,
            2 => Self::H,
            4 => Self::W,
            8 => Self::DW,
            _ => return None,
        })
    }

    /// How many bits it has.
    pub fn bits(self) -> u32 {
        8 << self as u32
    }
}

/// Arithmetic with two operands, the first of them also the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it all
pub enum AluOp {
    Add = 0x00,
    Sub = 0x10,
    Mul = 0x20,
    /// Unsigned; x / 0 is 0.
    Div = 0x30,
    Or = 0x40,
    And = 0x50,
    Lsh = 0x60,
    Rsh = 0x70,
    /// Unsigned; x % 0 is x.
    Mod = 0x90,
    Xor = 0xa0,
    Mov = 0xb0,
    Arsh = 0xc0,
}

/// Condition of a jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it all
pub enum Cond {
    Eq = 0x10,
    Ugt = 0x20,
    Uge = 0x30,
    /// Some bit is set in both.
    Set = 0x40,
    Ne = 0x50,
    Sgt = 0x60,
    Sge = 0x70,
    Ult = 0xa0,
    Ule = 0xb0,
    Slt = 0xc0,
    Sle = 0xd0,
}

impl Cond {
    /// The condition that holds exactly when this one does not. `Set` has none.
    pub fn inverse(self) -> Option<Self> {
        Some(match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Ugt => Self::Ule,
            Self::Ule => Self::Ugt,
            Self::Uge => Self::Ult,
            Self::Ult => Self::Uge,
            Self::Sgt => Self::Sle,
            Self::Sle => Self::Sgt,
            Self::Sge => Self::Slt,
            Self::Slt => Self::Sge,
            Self::Set => return None,
        })
    }

    /// The condition that means the same with the operands exchanged.
    pub fn swapped(self) -> Self {
        match self {
            Self::Eq | Self::Ne | Self::Set => self,
            Self::Ugt => Self::Ult,
            Self::Ult => Self::Ugt,
            Self::Uge => Self::Ule,
            Self::Ule => Self::Uge,
            Self::Sgt => Self::Slt,
            Self::Slt => Self::Sgt,
            Self::Sge => Self::Sle,
            Self::Sle => Self::Sge,
        }
    }
}

/// Atomic read-modify-write operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it all
pub enum AtomicOp {
    Add = 0x00,
    Or = 0x40,
    And = 0x50,
    Xor = 0xa0,
    Xchg = 0xe0,
    /// Compares with r0, which receives the old value.
    Cmpxchg = 0xf0,
}

/// The second operand: a register or a number, sign-extended to the operation's width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it all
pub enum Src {
    Reg(Reg),
    Imm(i32),
}

/// The `src_reg` field of `ld_imm64` and `call`.
pub mod pseudo {
    /// `ld_imm64`: the address of a callback in this program.
    pub const FUNC: u8 = 4;
    /// `call`: a subprogram, not a helper.
    pub const CALL: u8 = 1;
}

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it all
pub enum Insn {
    Alu {
        op: AluOp,
        width: Width,
        dst: Reg,
        src: Src,
    },
    Neg {
        width: Width,
        dst: Reg,
    },
    /// Reverses the lowest `bits` and clears the rest.
    Swap {
        bits: u8,
        dst: Reg,
    },
    /// Two slots.
    LdImm64 {
        dst: Reg,
        pseudo: u8,
        imm: i64,
    },
    Load {
        size: Size,
        dst: Reg,
        base: Reg,
        off: i16,
    },
    Store {
        size: Size,
        base: Reg,
        off: i16,
        src: Src,
    },
    /// `fetch`: `src` receives the old value (`Cmpxchg`: r0 does).
    Atomic {
        op: AtomicOp,
        fetch: bool,
        size: Size,
        base: Reg,
        off: i16,
        src: Reg,
    },
    Call {
        pseudo: u8,
        imm: i32,
    },
    /// Distances count from the next instruction, in slots.
    Jump {
        off: i16,
    },
    Branch {
        cond: Cond,
        width: Width,
        dst: Reg,
        src: Src,
        off: i16,
    },
    Exit,
}

impl Insn {
    /// A 64-bit move between registers.
    pub const fn mov(dst: Reg, src: Reg) -> Self {
        Self::Alu { op: AluOp::Mov, width: Width::W64, dst, src: Src::Reg(src) }
    }

    /// How many 8-byte slots it takes.
    pub fn slots(&self) -> usize {
        match self {
            Self::LdImm64 { .. } => 2,
            _ => 1,
        }
    }
}

/// What an instruction refers to outside its function; indices are those of the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// `ld_imm64` of a map.
    Map(u32),
    /// `ld_imm64` of a variable; the immediate is the offset in it.
    Data(u32),
    /// `ld_imm64` of a kernel symbol.
    Extern(u32),
    /// A call of a kernel function.
    Kfunc(u32),
    /// A call of a subprogram.
    Call(u32),
    /// `ld_imm64` of a callback.
    FuncAddr(u32),
    /// An immediate or an offset that is settled by a CO-RE relocation.
    Core(u32),
}
