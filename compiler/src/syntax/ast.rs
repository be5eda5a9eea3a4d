//! The tree of one script as it is written, before any name has a meaning.
//!
//! Every node knows where it stands (`Span`), every expression and assignable place has an
//! `ExprId`. Later passes keep what they learn in side tables indexed by that id; nobody adds
//! fields here. Sugar stays visible (`@m[a, b]`, `x ?: y`, `p->f`), with three exceptions the
//! parser settles: the last expression of a probe or loop body is a statement, `string[N]` is a
//! size and not an array, and numbers are plain values.

/// A half-open range of byte offsets into the loaded sources (see `diag::Sources`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end`.
    pub fn new(start: u32, end: u32) -> Span {
        Span { start, end }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Span) -> Span {
        Span::new(self.start.min(other.start), self.end.max(other.end))
    }
}

/// Identifies an expression or place: unique in a script, expansions included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExprId(pub u32);

/// A name and where it stands. Sigils are not part of it: `@start` is `start`, `$x` is `x`, and
/// the bare map `@` is the empty name. A variable that a macro makes for itself is called `x#7`
/// after expansion; messages show it through `shown_name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name without `@` or `$`.
    pub text: String,
    /// Where it stands, sigil included.
    pub span: Span,
}

/// The name as the script's author wrote it.
pub fn shown_name(name: &str) -> &str {
    name.split_once('#').map_or(name, |(written, _)| written)
}

/// A whole script, its items by kind and each kind in source order.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The name diagnostics show.
    pub file: String,
    /// Preprocessor lines and C definitions of the preamble.
    pub c_items: Vec<CItem>,
    /// The `config = { … }` block.
    pub config: Option<ConfigBlock>,
    /// Root imports.
    pub imports: Vec<Import>,
    /// `macro` definitions; empty after `expand::expand`.
    pub macros: Vec<MacroDef>,
    /// `let @m = kind(n);` declarations.
    pub map_decls: Vec<MapDecl>,
    /// `fn` subprograms.
    pub subprograms: Vec<Subprogram>,
    /// The probes.
    pub probes: Vec<Probe>,
    /// Which expressions come out of a macro or `#define`; filled by `expand::expand`.
    pub expansions: Vec<Expansion>,
    /// Every `ExprId` of the script is below this.
    pub next_expr_id: u32,
}

impl Script {
    /// The innermost expansion that made the expression, if one did.
    pub fn expansion_of(&self, id: ExprId) -> Option<&Expansion> {
        let holds = |e: &&Expansion| (e.first_id.0..e.end_id.0).contains(&id.0);
        self.expansions.iter().filter(holds).min_by_key(|e| e.end_id.0 - e.first_id.0)
    }
}

/// One use of a macro or `#define`. The expressions it made have the ids `first_id..end_id`. Their
/// spans lie in the definition, but the outermost one has the span of the use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// The macro's name.
    pub name: String,
    /// Where it was used.
    pub call: Span,
    /// The first id made by this expansion.
    pub first_id: ExprId,
    /// The first id not made by it.
    pub end_id: ExprId,
}

/// One item of the C preamble, verbatim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CItem {
    /// What it is.
    pub kind: CItemKind,
    /// The text as written.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// The two sorts of C item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CItemKind {
    /// A preprocessor line, from `#` to the end of the line.
    Directive,
    /// A `struct`, `union`, `enum` or `typedef`.
    Definition,
}

/// `config = { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigBlock {
    /// The assignments in order.
    pub items: Vec<ConfigItem>,
    /// The whole block.
    pub span: Span,
}

/// `name = value` inside `config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigItem {
    /// The option as written, possibly with `BPFTRACE_`.
    pub name: Name,
    /// Its value.
    pub value: ConfigValue,
    /// Where the value stands.
    pub value_span: Span,
}

/// The value of a config option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigValue {
    /// A quoted string.
    Str(Vec<u8>),
    /// An integer.
    Int(u64),
    /// `true` or `false`.
    Bool(bool),
    /// A bare word such as `warn`.
    Word(String),
}

/// `import "path";`, at the root or in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The text between the quotes.
    pub path: Vec<u8>,
    /// The whole item.
    pub span: Span,
}

/// `macro name(params) { … }`.
#[derive(Clone, Debug)]
pub struct MacroDef {
    /// Its name.
    pub name: Name,
    /// Its parameters.
    pub params: Vec<MacroParam>,
    /// The body; its value is the tail.
    pub body: Block,
    /// The whole item.
    pub span: Span,
}

/// A macro parameter: `$p`, `@p` or `p`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacroParam {
    /// How the argument is bound.
    pub kind: MacroParamKind,
    /// Its name.
    pub name: Name,
}

/// How a macro argument is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacroParamKind {
    /// `$p`: a scratch variable by reference.
    Var,
    /// `@p`: a map by reference.
    Map,
    /// `p`: any expression, evaluated at every use.
    Expr,
}

/// `let @name = kind(max_entries);`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapDecl {
    /// The map.
    pub name: Name,
    /// `hash`, `lruhash`, `percpuhash`, `percpulruhash` or anything the user wrote there.
    pub kind: Name,
    /// Its capacity.
    pub max_entries: u64,
    /// The whole item.
    pub span: Span,
}

/// `fn name($a: T, …): T { … }`.
#[derive(Clone, Debug)]
pub struct Subprogram {
    /// Its name.
    pub name: Name,
    /// Its parameters.
    pub params: Vec<(Name, TypeSpec)>,
    /// Its result type.
    pub ret: TypeSpec,
    /// The body, without a tail.
    pub body: Block,
    /// The whole item.
    pub span: Span,
}

/// `attach, points /predicate/ { body }`.
#[derive(Clone, Debug)]
pub struct Probe {
    /// At least one, empty ones left out.
    pub attach_points: Vec<AttachPoint>,
    /// The expression between the slashes.
    pub predicate: Option<Expr>,
    /// The body, without a tail.
    pub body: Block,
    /// The whole item.
    pub span: Span,
}

/// One attach point, cut into parts but not interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachPoint {
    /// `name=` in front of the provider.
    pub name: Option<Name>,
    /// The provider first. An unquoted `@` is a part of its own.
    pub parts: Vec<ApPart>,
    /// The text as written, without the user's name.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

impl AttachPoint {
    /// The text of part `index` if it exists and needs no script parameter.
    pub fn part(&self, index: usize) -> Option<String> {
        self.parts.get(index).and_then(ApPart::text)
    }

    /// Whether the text depends on `$1` and the like.
    pub fn has_params(&self) -> bool {
        self.parts.iter().any(|p| p.text().is_none())
    }
}

/// One part of an attach point. A parameter is replaced as text *before* the point is cut at `:`,
/// so a part with one may turn into several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApPart {
    /// Its pieces in order; empty for an empty part.
    pub pieces: Vec<ApPiece>,
    /// Where it stands, quotes included.
    pub span: Span,
}

impl ApPart {
    /// The text with quotes removed, if no piece is a parameter.
    pub fn text(&self) -> Option<String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                ApPiece::Plain(s) | ApPiece::Quoted(s) => text.push_str(s),
                ApPiece::Param(_) => return None,
            }
        }
        Some(text)
    }

    /// Whether any piece was quoted. Wildcards and `+` keep their meaning in quotes; only the cut
    /// at `:` and `@` is switched off.
    pub fn is_quoted(&self) -> bool {
        self.pieces.iter().any(|p| matches!(p, ApPiece::Quoted(_)))
    }

    /// Whether this is the unquoted `@` between a binary and a source file.
    pub fn is_at(&self) -> bool {
        matches!(self.pieces.as_slice(), [ApPiece::Plain(s)] if s == "@")
    }
}

/// A piece of an attach point part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApPiece {
    /// Text outside quotes.
    Plain(String),
    /// Text that stood in quotes, escapes resolved.
    Quoted(String),
    /// `$N`.
    Param(u64),
}

/// `{ statements; tail }`.
#[derive(Clone, Debug)]
pub struct Block {
    /// The statements.
    pub stmts: Vec<Stmt>,
    /// The last expression if no `;` follows: the value of the block. Always absent in the bodies
    /// of probes, loops and subprograms.
    pub tail: Option<Box<Expr>>,
    /// The block with its braces.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// Where it stands.
    pub span: Span,
}

/// The statements.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// `f(x);`, `if …`, `$x++;`.
    Expr(Expr),
    /// `_ = e;`.
    Discard(Expr),
    /// `let $v: T = e;`.
    Let {
        /// The variable.
        var: Name,
        /// Its declared type.
        ty: Option<TypeSpec>,
        /// Its first value.
        init: Option<Expr>,
    },
    /// `place = e;` or `place op= e;`.
    Assign {
        /// What is assigned to.
        place: Place,
        /// The operator of `op=`.
        op: Option<BinOp>,
        /// The right-hand side.
        value: Expr,
    },
    /// `while (cond) { … }`.
    While {
        /// The condition.
        cond: Expr,
        /// The body.
        body: Block,
    },
    /// `unroll (count) { … }`.
    Unroll {
        /// How often.
        count: Expr,
        /// The body.
        body: Block,
    },
    /// `for ($v : …) { … }`.
    For {
        /// The loop variable.
        var: Name,
        /// What it runs over.
        iter: ForIter,
        /// The body.
        body: Block,
    },
    /// `break;`.
    Break,
    /// `continue;`.
    Continue,
    /// `return e;`.
    Return(Option<Expr>),
    /// `import "path";` inside a block.
    Import(Import),
    /// A statement that could not be read; a diagnostic exists.
    Error,
}

/// What a `for` runs over.
#[derive(Clone, Debug)]
pub enum ForIter {
    /// The entries of a map.
    Map(Name),
    /// `start..end`, half-open.
    Range {
        /// The first value.
        start: Expr,
        /// The value behind the last.
        end: Expr,
    },
}

/// Something that can be assigned to: `$v`, `@m` or `@m[k]`.
#[derive(Clone, Debug)]
pub struct Place {
    /// The id of the place; it shares the space of expression ids.
    pub id: ExprId,
    /// Which place.
    pub kind: PlaceKind,
    /// Where it stands.
    pub span: Span,
}

/// The assignable places.
#[derive(Clone, Debug)]
pub enum PlaceKind {
    /// `$v`.
    Var(Name),
    /// `@m` or `@m[k]`.
    Map(MapAccess),
}

/// `@m`, `@m[k]` or `@m[a, b]`, which means `@m[(a, b)]`.
#[derive(Clone, Debug)]
pub struct MapAccess {
    /// The map.
    pub name: Name,
    /// The keys; empty for `@m`.
    pub keys: Vec<Expr>,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Its identity in side tables.
    pub id: ExprId,
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `42`, `0x2a`, `5ms`.
    Int(IntLit),
    /// `"text"`, escapes resolved.
    Str(Vec<u8>),
    /// `true`, `false`.
    Bool(bool),
    /// A bare name: builtin, macro without arguments, enumerator or constant.
    Ident(String),
    /// `f(a, b)`.
    Call {
        /// The function.
        name: Name,
        /// Its arguments.
        args: Vec<Arg>,
    },
    /// `$v`, without the `$`.
    Var(String),
    /// `@m`, `@m[k]`.
    Map(MapAccess),
    /// `$1`.
    Param(u64),
    /// `$#`.
    ParamCount,
    /// `-x`, `!x`, `~x`, `*x`.
    Unary {
        /// The operator.
        op: UnaryOp,
        /// Its operand.
        expr: Box<Expr>,
    },
    /// `++x`, `x--`.
    IncDec {
        /// What changes.
        place: Box<Place>,
        /// Up or down.
        step: Step,
        /// Which value the expression has.
        fix: Fix,
    },
    /// `&$v`, `&@m`.
    AddressOf(Box<Place>),
    /// `a + b`.
    Binary {
        /// The operator.
        op: BinOp,
        /// Where the operator stands.
        op_span: Span,
        /// Left.
        lhs: Box<Expr>,
        /// Right.
        rhs: Box<Expr>,
    },
    /// `c ? a : b`; without `a` it is `c ? c : b`.
    Ternary {
        /// The condition.
        cond: Box<Expr>,
        /// The middle.
        then: Option<Box<Expr>>,
        /// The rest.
        otherwise: Box<Expr>,
    },
    /// `e.f`, `e->f`, `t.1`.
    Field {
        /// The aggregate or a pointer to it.
        base: Box<Expr>,
        /// Which field.
        field: Field,
        /// Where the field's name stands.
        field_span: Span,
        /// Whether `->` was written; it means the same.
        arrow: bool,
    },
    /// `e[i]`.
    Index {
        /// The array, pointer, string or tuple.
        base: Box<Expr>,
        /// Which element.
        index: Box<Expr>,
    },
    /// `(T)e`.
    Cast {
        /// The target.
        ty: TypeSpec,
        /// The operand.
        expr: Box<Expr>,
    },
    /// `()`, `(a,)`, `(a, b)`.
    Tuple(Vec<Expr>),
    /// `(x = 1, y = 2)`.
    Record(Vec<(Name, Expr)>),
    /// `if c { … } else …`.
    If {
        /// The condition; `if comptime (c)` has a `Comptime` here.
        cond: Box<Expr>,
        /// Taken when it holds.
        then: Block,
        /// A `Block` or an `If`.
        otherwise: Option<Box<Expr>>,
    },
    /// `{ … }`.
    Block(Block),
    /// `sizeof(T)`, `sizeof(e)`.
    Sizeof(Box<TypeOrExpr>),
    /// `offsetof(T, a.b)`.
    Offsetof {
        /// The aggregate.
        base: Box<TypeOrExpr>,
        /// The path, never empty; it starts with a name.
        path: Vec<super::path::PathPart>,
    },
    /// `typeinfo(T)`, `typeinfo(e)`.
    Typeinfo(Box<TypeOrExpr>),
    /// `comptime e`.
    Comptime(Box<Expr>),
    /// An expression that could not be read; a diagnostic exists.
    Error,
}

/// A number. How it was spelled has no effect on its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntLit {
    /// The value, durations in nanoseconds.
    pub value: u64,
    /// Whether a duration suffix was written.
    pub duration: bool,
}

/// An argument of a call.
#[derive(Clone, Debug)]
pub enum Arg {
    /// A value.
    Expr(Expr),
    /// `typeof(…)`, for macros.
    Type(TypeSpec),
}

/// A field of a struct, record or tuple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// By name.
    Name(String),
    /// By position in a tuple.
    Index(u64),
}

/// Up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `++`.
    Inc,
    /// `--`.
    Dec,
}

/// Before or after the operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fix {
    /// `++x`: the new value.
    Prefix,
    /// `x++`: the old value.
    Postfix,
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`.
    Neg,
    /// `!`.
    Not,
    /// `~`.
    BitNot,
    /// `*`.
    Deref,
}

impl UnaryOp {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            UnaryOp::Neg => "-",
            UnaryOp::Not => "!",
            UnaryOp::BitNot => "~",
            UnaryOp::Deref => "*",
        }
    }
}

/// Infix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are spelled out by `symbol`")]
pub enum BinOp {
    Or,
    And,
    BitOr,
    BitXor,
    BitAnd,
    Eq,
    Ne,
    Lt,
    Gt,
    Le,
    Ge,
    Shl,
    Shr,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl BinOp {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinOp::Or => "||",
            BinOp::And => "&&",
            BinOp::BitOr => "|",
            BinOp::BitXor => "^",
            BinOp::BitAnd => "&",
            BinOp::Eq => "==",
            BinOp::Ne => "!=",
            BinOp::Lt => "<",
            BinOp::Gt => ">",
            BinOp::Le => "<=",
            BinOp::Ge => ">=",
            BinOp::Shl => "<<",
            BinOp::Shr => ">>",
            BinOp::Add => "+",
            BinOp::Sub => "-",
            BinOp::Mul => "*",
            BinOp::Div => "/",
            BinOp::Rem => "%",
        }
    }
}

/// A type as it is spelled.
#[derive(Clone, Debug)]
pub struct TypeSpec {
    /// Which type.
    pub kind: TypeSpecKind,
    /// Where it stands.
    pub span: Span,
}

/// The spellings of types.
#[derive(Clone, Debug)]
pub enum TypeSpecKind {
    /// `uint32`, `pid_t`, `struct task_struct`.
    Named {
        /// The word in front.
        tag: Option<Tag>,
        /// The name itself.
        name: String,
    },
    /// `string[N]`, `buffer[N]`, `inet[N]`; the count is missing in `string[]`.
    Sized {
        /// `string`, `buffer` or `inet`.
        name: String,
        /// The size parameter.
        size: Option<u64>,
    },
    /// `T *`.
    Pointer(Box<TypeSpec>),
    /// `T[N]`, `T[]`.
    Array(Box<TypeSpec>, Option<u64>),
    /// `typeof(…)`.
    Typeof(Box<TypeOrExpr>),
}

/// The word in front of a C type's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag {
    /// `struct`.
    Struct,
    /// `union`.
    Union,
    /// `enum`.
    Enum,
}

impl Tag {
    /// As it is written.
    pub fn keyword(self) -> &'static str {
        match self {
            Tag::Struct => "struct",
            Tag::Union => "union",
            Tag::Enum => "enum",
        }
    }
}

/// The operand of `sizeof` and its relatives. A bare name is always taken as a type.
#[derive(Clone, Debug)]
pub enum TypeOrExpr {
    /// A type.
    Type(TypeSpec),
    /// A value whose type is meant.
    Expr(Expr),
}
