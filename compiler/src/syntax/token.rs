//! The tokens between lexer and grammar.

use super::ast::{AttachPoint, IntLit, Span};

macro_rules! symbols {
    ($($variant:ident $text:literal,)*) => {
        /// Keywords and signs. Brackets whose meaning the grammar cannot tell by one token of
        /// lookahead have several variants; `classify` picks one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum Sym { $($variant,)* }

        impl Sym {
            /// As it is written.
            pub(super) fn text(self) -> &'static str {
                match self { $(Sym::$variant => $text,)* }
            }
        }
    };
}

symbols! {
    // Heads of items, recognised at the root only.
    Config "config", Macro "macro", Fn "fn",
    Import "import", Let "let",
    Break "break", Comptime "comptime", Continue "continue", Else "else", False "false", For "for",
    If "if", Offsetof "offsetof", Return "return", Sizeof "sizeof", True "true",
    Typeinfo "typeinfo", Typeof "typeof", Unroll "unroll", While "while",
    Struct "struct", Union "union", Enum "enum",
    // The slashes around a predicate.
    PredOpen "/", PredClose "/",
    // `(`: grouping or tuple, arguments, cast, record, condition, operand that is a type.
    Paren "(", CallParen "(", CastParen "(", RecordParen "(", CondParen "(", TypeParen "(",
    CloseParen ")",
    // `[`: index, and keys right behind a map.
    Bracket "[", KeyBracket "[", CloseBracket "]",
    Brace "{", CloseBrace "}",
    // `if` and `{` that start a statement as operands of an operator behind their last `}`.
    OperandIf "if", OperandBrace "{",
    Semi ";", Comma ",", Colon ":", Question "?", Dot ".", DotDot "..", Arrow "->",
    Underscore "_",
    Assign "=", AddAssign "+=", SubAssign "-=", MulAssign "*=", DivAssign "/=", RemAssign "%=",
    AndAssign "&=", OrAssign "|=", XorAssign "^=", ShlAssign "<<=", ShrAssign ">>=",
    Inc "++", Dec "--",
    OrOr "||", AndAnd "&&", Or "|", Xor "^", And "&", EqEq "==", Ne "!=", Lt "<", Gt ">",
    Le "<=", Ge ">=", Shl "<<", Shr ">>", Plus "+", Minus "-", Star "*", Slash "/", Percent "%",
    Not "!", Tilde "~",
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tok {
    /// A keyword or sign.
    Sym(Sym),
    /// A word.
    Ident(String),
    /// `$v`.
    Var(String),
    /// `@m`.
    Map(String),
    /// `$1`.
    Param(u64),
    /// `$#`.
    ParamCount,
    /// A number.
    Int(IntLit),
    /// A string.
    Str(Vec<u8>),
    /// A whole attach point.
    AttachPoint(Box<AttachPoint>),
    /// Stands for a statement that was given up; never made by the lexer.
    BadStmt,
    /// Stands for a literal that was diagnosed already.
    BadExpr,
}

impl Tok {
    /// How a message names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Tok::Sym(sym) => format!("`{}`", sym.text()),
            Tok::Ident(name) => format!("`{name}`"),
            Tok::Var(name) => format!("`${name}`"),
            Tok::Map(name) => format!("`@{name}`"),
            Tok::Param(n) => format!("`${n}`"),
            Tok::ParamCount => "`$#`".to_owned(),
            Tok::Int(_) => "number".to_owned(),
            Tok::Str(_) => "string".to_owned(),
            Tok::AttachPoint(point) => format!("attach point `{}`", point.text),
            Tok::BadStmt | Tok::BadExpr => "unreadable part".to_owned(),
        }
    }

    /// Whether an expression can end here, so that `{` behind it starts a body.
    pub(super) fn ends_operand(&self) -> bool {
        match self {
            Tok::Sym(sym) => {
                matches!(sym, Sym::CloseParen | Sym::CloseBracket | Sym::CloseBrace | Sym::True | Sym::False)
            }
            _ => true,
        }
    }
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) tok: Tok,
    pub(super) span: Span,
}

impl Token {
    pub(super) fn is(&self, sym: Sym) -> bool {
        self.tok == Tok::Sym(sym)
    }
}

/// The keyword a word is inside a block or predicate. `config`, `macro` and `fn` are words there.
pub(super) fn keyword(word: &str) -> Option<Sym> {
    Some(match word {
        "break" => Sym::Break,
        "comptime" => Sym::Comptime,
        "continue" => Sym::Continue,
        "else" => Sym::Else,
        "enum" => Sym::Enum,
        "false" => Sym::False,
        "for" => Sym::For,
        "if" => Sym::If,
        "let" => Sym::Let,
        "offsetof" => Sym::Offsetof,
        "return" => Sym::Return,
        "sizeof" => Sym::Sizeof,
        "struct" => Sym::Struct,
        "true" => Sym::True,
        "typeinfo" => Sym::Typeinfo,
        "typeof" => Sym::Typeof,
        "union" => Sym::Union,
        "unroll" => Sym::Unroll,
        "while" => Sym::While,
        "_" => Sym::Underscore,
        _ => return None,
    })
}

/// Names the grammar takes for builtins, so that they are never types or record fields.
pub(super) fn is_parser_builtin(word: &str) -> bool {
    let numbered = |prefix: &str| {
        let digits = word.strip_prefix(prefix);
        digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
    };
    matches!(word, "args" | "ctx" | "kstack" | "nsecs" | "pid" | "tid" | "ustack")
        || word.starts_with("__builtin_")
        || numbered("arg")
        || numbered("sarg")
}
