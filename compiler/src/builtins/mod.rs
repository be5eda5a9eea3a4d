//! Builtins: one record each, with everything the compiler knows of it.
//!
//! | file | holds |
//! | --- | --- |
//! | `call.rs` | [`Call`]: what a `check` sees, and the questions most of them ask |
//! | `format.rs` | the verbs of `printf` |
//! | `later.rs` | names that exist in the language but not here yet |
//! | others | the builtins |

mod aggregate;
mod args;
mod buf;
mod call;
mod cgroup;
mod clock;
mod comm;
mod container_of;
mod cpu;
mod exit;
mod files;
pub mod format;
mod func;
mod ids;
mod later;
mod maps;
mod names;
mod net;
mod parameters;
mod percpu;
mod pointers;
mod predicates;
mod print;
mod printf;
mod probe;
mod random;
mod signal;
mod stack;
mod str;
mod strings;
mod symbols;
mod task;
mod time;

pub use args::{ARG, ARGS};
pub use call::Call;

use crate::diag::Diag;
use crate::lower::{Lower, Value};
use crate::syntax::ast;
use crate::types::{Check, Checked, Ty, tree::Expr};

/// What a call with these arguments stands for.
pub type Form = fn(&mut Check<'_>, &[ast::Arg], ast::Span) -> Checked<Expr>;

/// A function or variable of the language.
pub struct Builtin {
    /// Name in the script.
    pub name: &'static str,
    /// Fewest and most arguments.
    pub arity: (usize, usize),
    /// Bare words it takes as arguments, such as `monotonic`; they arrive as string literals.
    pub words: &'static [&'static str],
    /// Whether a map as first argument is itself meant.
    pub by_ref: ByRef,
    /// What the kind of argument and the rest of the script decide.
    pub check: fn(&mut Check<'_>, &mut Call) -> Result<Ty, Diag>,
    /// CLIF for it, and the value it yields.
    pub lower: fn(&mut Lower<'_>, &Expr, &[Expr]) -> Value,
    /// Set if its arguments are not all values: checks the call as it is written.
    pub form: Option<Form>,
    /// True if it changes the system and needs `--unsafe`.
    pub changes_system: bool,
}

/// How a map in the place of the first argument is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByRef {
    /// Its value is read.
    No,
    /// `@m` is the map; `@m[k]` is a value.
    Map,
    /// `@m` is the map; `f(@m[k])` means `f(@m, k)`.
    Entry,
}

impl Builtin {
    /// The common case; the rest is given with `..`.
    const fn new(
        name: &'static str,
        arity: (usize, usize),
        check: fn(&mut Check<'_>, &mut Call) -> Result<Ty, Diag>,
    ) -> Builtin {
        Builtin {
            name,
            arity,
            words: &[],
            by_ref: ByRef::No,
            check,
            lower: crate::lower::unsupported,
            form: None,
            changes_system: false,
        }
    }

    /// The builtin with its CLIF.
    const fn lowered(self, lower: fn(&mut Lower<'_>, &Expr, &[Expr]) -> Value) -> Builtin {
        Builtin { lower, ..self }
    }
}

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Every builtin that a script can name, sorted.
pub static ALL: &[&Builtin] = &[
    &args::ARGS,
    &aggregate::AVG,
    &net::BSWAP,
    &buf::BUF,
    &files::CAT,
    &cgroup::CGROUP,
    &cgroup::CGROUP_PATH,
    &cgroup::CGROUPID,
    &maps::CLEAR,
    &comm::COMM,
    &container_of::CONTAINER_OF,
    &aggregate::COUNT,
    &parameters::CPID,
    &cpu::CPU,
    &args::CTX,
    &task::CURTASK,
    &maps::DELETE,
    &clock::ELAPSED,
    &printf::ERRORF,
    &exit::EXIT,
    &func::FUNC,
    &parameters::GETOPT,
    &ids::GID,
    &parameters::HAS_CPID,
    &maps::HAS_KEY,
    &aggregate::HIST,
    &predicates::IS_ARRAY,
    &pointers::IS_ERR,
    &predicates::IS_INTEGER,
    &predicates::IS_LITERAL,
    &predicates::IS_PTR,
    &predicates::IS_STR,
    &predicates::IS_UNSIGNED_INTEGER,
    &clock::JIFFIES,
    &files::JOIN,
    &symbols::KADDR,
    &pointers::KPTR,
    &stack::KSTACK,
    &symbols::KSYM,
    &task::LEADER_COMM,
    &task::LEADER_TID,
    &maps::LEN,
    &aggregate::LHIST,
    &net::MACADDR,
    &aggregate::MAX,
    &aggregate::MIN,
    &cpu::NCPUS,
    &clock::NSECS,
    &net::NTOP,
    &cpu::NUMAID,
    &task::PCOMM,
    &percpu::PERCPU_KADDR,
    &ids::PID,
    &task::PPID,
    &print::PRINT,
    &printf::PRINTF,
    &probe::PROBE,
    &probe::PROBETYPE,
    &random::RAND,
    &args::REG,
    &args::RETVAL,
    &signal::SIGNAL,
    &names::SIGNAL_NAME,
    &signal::SIGNAL_THREAD,
    &aggregate::STATS,
    &str::STR,
    &predicates::STRCAP,
    &strings::STRCONTAINS,
    &names::STRERROR,
    &time::STRFTIME,
    &strings::STRLEN,
    &strings::STRNCMP,
    &strings::STRSTR,
    &aggregate::SUM,
    &names::SYSCALL_NAME,
    &files::SYSTEM,
    &ids::TID,
    &time::TIME,
    &ids::UID,
    &pointers::UPTR,
    &ids::USERNAME,
    &stack::USTACK,
    &symbols::USYM,
    &printf::WARNF,
    &maps::ZERO,
];

/// The builtin of this name; `__builtin_` in front changes nothing.
pub fn find(name: &str) -> Option<&'static Builtin> {
    let name = name.strip_prefix("__builtin_").unwrap_or(name);
    ALL.iter().copied().find(|builtin| builtin.name == name)
}

/// Whether the language has this function but we do not.
pub fn is_later(name: &str) -> bool {
    later::NAMES.contains(&name.strip_prefix("__builtin_").unwrap_or(name))
}

/// All names, for suggestions.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|builtin| builtin.name).chain(later::NAMES.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sorted() {
        for pair in ALL.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
        }
        assert!(ALL.iter().all(|builtin| !is_later(builtin.name)));
    }

    #[test]
    fn found_by_name() {
        assert_eq!(find("pid").map(|b| b.arity), Some((0, 1)));
        assert_eq!(find("__builtin_comm").map(|b| b.name), Some("comm"));
        assert!(find("nope").is_none());
    }
}
