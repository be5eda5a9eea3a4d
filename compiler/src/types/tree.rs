//! The typed tree: what `types` produces and `lower` reads.
//!
//! Ensures  every expression has its final type; every conversion is an explicit `Cast`; every name is
//!          bound; predicates are `If`; the program type-checks, so `lower` reports no script errors
//!          but resource limits.

use crate::builtins::Builtin;
use crate::fields::{Composite, Member};
use crate::resolve::Target;
use crate::syntax::ast::Span;
use crate::types::Ty;

/// The whole script.
#[derive(Debug)]
pub struct Program {
    /// One per program in the object: a probe with several attach points appears once for each.
    pub probes: Vec<Probe>,
    /// Maps in byte order of their names.
    pub maps: Vec<Map>,
    /// `getopt` and positional parameters in use.
    pub parameters: Vec<Parameter>,
}

/// One attach point with its body.
#[derive(Debug)]
pub struct Probe {
    /// Where it attaches, with the arguments it offers.
    pub target: Target,
    /// What `probe` yields.
    pub name: String,
    /// Body, predicate included.
    pub body: Block,
    /// Scratch variables, by `VarId`.
    pub vars: Vec<Var>,
    /// The attach point in the script.
    pub span: Span,
}

/// Index into [`Probe::vars`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VarId(pub u32);

/// Index into [`Program::maps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MapId(pub u32);

/// A scratch variable; zero-initialised.
#[derive(Debug)]
pub struct Var {
    /// With the `$`.
    pub name: String,
    /// Final type.
    pub ty: Ty,
}

/// A map.
#[derive(Debug)]
pub struct Map {
    /// With the `@`.
    pub name: String,
    /// Key type; `None` for a scalar map. `@m[a, b]` has a tuple.
    pub key: Option<Ty>,
    /// Value type, `Ty::Agg` for aggregations.
    pub value: Ty,
    /// From `let @m = kind(n)`.
    pub declared: Option<MapDecl>,
}

/// `let @m = lruhash(10)`.
#[derive(Debug, Clone, Copy)]
pub struct MapDecl {
    /// Least recently used entries make room.
    pub lru: bool,
    /// One value per CPU.
    pub percpu: bool,
    /// Entries.
    pub max_entries: u32,
}

/// A parameter the script uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter(pub manifest::GlobalRole);

/// Index into [`Program::parameters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamId(pub u32);

/// Statements, then possibly a value.
#[derive(Debug)]
pub struct Block {
    /// In order.
    pub stmts: Vec<Stmt>,
    /// Value of a block expression.
    pub value: Option<Box<Expr>>,
}

/// A statement.
#[derive(Debug)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// Where it stands.
    pub span: Span,
}

/// Statements.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is the construct of its name")]
pub enum StmtKind {
    /// Evaluated for its effect; the value is dropped.
    Expr(Expr),
    AssignVar {
        var: VarId,
        value: Expr,
    },
    /// `@m[k] = v` for plain values.
    AssignMap {
        map: MapId,
        key: Option<Expr>,
        value: Expr,
    },
    /// `@m[k] = count()` and its like. `args` are the call's evaluated arguments (none for count,
    /// the number for the others; bounds are in the map's type).
    Aggregate {
        map: MapId,
        key: Option<Expr>,
        agg: crate::types::Agg,
        args: Vec<Expr>,
    },
    If {
        cond: Expr,
        then: Block,
        otherwise: Block,
    },
    While {
        cond: Expr,
        body: Block,
    },
    Unroll {
        times: u32,
        body: Block,
    },
    ForRange {
        var: VarId,
        from: Expr,
        to: Expr,
        body: Block,
    },
    ForMap {
        var: VarId,
        map: MapId,
        body: Block,
    },
    Break,
    Continue,
    Return(Option<Expr>),
    Block(Block),
}

/// An expression.
#[derive(Debug)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// Type of the value.
    pub ty: Ty,
    /// Where it stands.
    pub span: Span,
}

impl Expr {
    /// An expression of these parts.
    pub fn new(kind: ExprKind, ty: Ty, span: Span) -> Expr {
        Expr { kind, ty, span }
    }

    /// The value of an integer literal, read by the sign of its type.
    pub fn literal(&self) -> Option<i128> {
        match (&self.kind, &self.ty) {
            (ExprKind::Int(bits), Ty::Int(int) | Ty::Enum(int, _)) if int.signed => {
                Some(i128::from(bits.cast_signed()))
            }
            (ExprKind::Int(bits), _) => Some(i128::from(*bits)),
            _ => None,
        }
    }

    /// The bytes of a string literal.
    pub fn text(&self) -> Option<&[u8]> {
        match &self.kind {
            ExprKind::Str(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// Expressions.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is the construct of its name")]
pub enum ExprKind {
    /// The 64 bits; `ty` says how many count, and their sign.
    Int(u64),
    /// Bytes without the NUL. `ty` is `String` of at least one more.
    Str(Vec<u8>),
    /// No value.
    Unit,
    Var(VarId),
    /// Reads a plain value; a missing key gives zeroes. For aggregations the value is reduced
    /// over all CPUs, and `ty` is an integer.
    Map {
        map: MapId,
        key: Option<Box<Expr>>,
    },
    /// The map itself, as a function's argument.
    MapRef(MapId),
    /// A kernel enumerator, by name: a CO-RE relocation. The `u64` is its value on the build kernel.
    Enumerator {
        of: crate::fields::EnumRef,
        name: String,
        value: u64,
    },
    Param(ParamId),
    /// Bytes of a struct or union: a CO-RE relocation if it is the kernel's.
    SizeOf(Composite),
    /// Bytes from the start of a struct to something within it: steps of the access path, the bytes on the
    /// build kernel, the path as text.
    OffsetOf {
        of: Composite,
        path: Vec<u32>,
        bytes: u32,
        text: String,
    },
    Unary {
        op: Unary,
        operand: Box<Expr>,
    },
    /// Both operands are scalars of the same width, already converted, except for pointer
    /// arithmetic, where the right side is an integer counted in pointees.
    Binary {
        op: Binary,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// Strings, arrays, tuples, records, buffers: equal or (`negated`) not.
    Equal {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    /// Short-circuit; operands are scalars.
    And(Box<Expr>, Box<Expr>),
    /// Short-circuit; operands are scalars.
    Or(Box<Expr>, Box<Expr>),
    /// Both sides have this expression's type, or `None`.
    If {
        cond: Box<Expr>,
        then: Block,
        otherwise: Block,
    },
    Block(Block),
    /// To `ty`, between scalars (by the operand's sign), strings of other capacity, tuples
    /// fieldwise, integers and arrays of the same size.
    Cast(Box<Expr>),
    /// Member of a struct in memory: `base` has type `Struct`.
    Field {
        base: Box<Expr>,
        member: Member,
    },
    /// What a pointer points at: memory if `ty` is a struct or array, else the value read.
    Deref(Box<Expr>),
    /// Element of an array in memory, or of a string (`int8`).
    Index {
        base: Box<Expr>,
        index: Box<Expr>,
    },
    /// Field `index` of a tuple or record.
    TupleField {
        base: Box<Expr>,
        index: u32,
    },
    Tuple(Vec<Expr>),
    Record(Vec<Expr>),
    /// Argument `index` of `Target::args`.
    Arg(u32),
    /// Return value of a fexit probe, typed.
    RetVal,
    Call {
        builtin: &'static Builtin,
        args: Vec<Expr>,
    },
    /// `++x`, `x--`: of a variable or map entry. The value is the old one if `postfix`. `by` counts
    /// pointees if it is a pointer.
    Increment {
        place: Place,
        by: i64,
        postfix: bool,
    },
    /// `&$v` or `&@m`.
    AddressOf(Place),
}

/// Something that can be assigned.
#[derive(Debug)]
pub enum Place {
    /// A scratch variable.
    Var(VarId),
    /// A map entry.
    Map(MapId, Option<Box<Expr>>),
}

/// Unary operators on scalars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the operators")]
pub enum Unary {
    Neg,
    /// Logical, gives `Bool`.
    Not,
    /// Bitwise.
    BitNot,
}

/// Binary operators on scalars. Division and modulo are unsigned, the right shift is logical
/// (LANGUAGE §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the operators")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    BitAnd,
    BitOr,
    BitXor,
    Shl,
    Shr,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}
