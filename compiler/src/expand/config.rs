//! The options of a script: defaults, `config = { … }`, and the environment, which wins.

use std::collections::BTreeMap;

use crate::diag::{Diag, codes};
use crate::syntax::ast::{ConfigBlock, ConfigValue, Span};

/// All options with their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Keep symbol tables per process or program; depends on the way the tracer is started.
    pub cache_user_symbols: Option<CacheUserSymbols>,
    /// Demangle C++ names in stacks.
    pub cpp_demangle: bool,
    /// Load symbols on demand.
    pub lazy_symbolication: bool,
    /// Licence of the program.
    pub license: String,
    /// Bytes of verifier log.
    pub log_size: u64,
    /// Limit of generated programs.
    pub max_bpf_progs: u64,
    /// Bytes `cat` prints.
    pub max_cat_bytes: u64,
    /// Entries of keyed maps without a declaration.
    pub max_map_keys: u64,
    /// Limit of attached functions.
    pub max_probes: u64,
    /// Size of strings from `str` and its kind.
    pub max_strlen: u64,
    /// What to do about targets that do not exist.
    pub missing_probes: MissingProbes,
    /// Larger objects leave the stack.
    pub on_stack_limit: u64,
    /// Pages of the ring buffer, 0 for automatic.
    pub perf_rb_pages: u64,
    /// Print maps at the end.
    pub print_maps_on_exit: bool,
    /// Files and lines in stacks.
    pub show_debug_info: bool,
    /// How stacks look.
    pub stack_mode: StackMode,
    /// Behind strings that were cut.
    pub str_trunc_trailer: String,
    /// Which symboliser.
    pub use_blazesym: bool,
    /// `import` in blocks.
    pub unstable_import_statement: Unstable,
    /// `tseries`.
    pub unstable_tseries: Unstable,
    /// `typeinfo`.
    pub unstable_typeinfo: Unstable,
    /// DWARF stacks.
    pub unstable_dw_ustack: Unstable,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            cache_user_symbols: None,
            cpp_demangle: true,
            lazy_symbolication: true,
            license: "GPL".to_owned(),
            log_size: 1_000_000,
            max_bpf_progs: 1024,
            max_cat_bytes: 10_240,
            max_map_keys: 4096,
            max_probes: 1024,
            max_strlen: 1024,
            missing_probes: MissingProbes::Error,
            on_stack_limit: 32,
            perf_rb_pages: 0,
            print_maps_on_exit: true,
            show_debug_info: true,
            stack_mode: StackMode::Bpftrace,
            str_trunc_trailer: "..".to_owned(),
            use_blazesym: true,
            unstable_import_statement: Unstable::Error,
            unstable_tseries: Unstable::Warn,
            unstable_typeinfo: Unstable::Error,
            unstable_dw_ustack: Unstable::Warn,
        }
    }
}

/// An option whose value is one of a few words.
trait Words: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl Words for $name {
            const WORDS: &'static [(&'static str, $name)] = &[$(($word, $name::$variant),)*];
        }
    };
}

words! {
    /// Whose symbol table is kept.
    CacheUserSymbols {
        /// One for each process.
        PerPid "PER_PID",
        /// One for each program.
        PerProgram "PER_PROGRAM",
        /// None.
        None "NONE",
    }
}

words! {
    /// What to do about attach points that match nothing.
    MissingProbes {
        /// Refuse the script.
        Error "error",
        /// Leave the probe out and say so.
        Warn "warn",
        /// Leave the probe out.
        Ignore "ignore",
    }
}

words! {
    /// How stacks are shown.
    StackMode {
        /// Symbol and offset.
        Bpftrace "bpftrace",
        /// Address, symbol and binary.
        Perf "perf",
        /// Addresses.
        Raw "raw",
        /// Build id and offset.
        BuildId "build_id",
    }
}

words! {
    /// What to do about a feature that may change.
    Unstable {
        /// Accept it.
        Enable "enable",
        /// Accept it and say so.
        Warn "warn",
        /// Refuse it.
        Error "error",
    }
}

/// The value of an option as text or number, wherever it comes from.
struct Value {
    text: String,
    /// Only strings from quotes keep blanks and may be any text.
    number: Option<u64>,
}

type Set = fn(&mut Config, &Value) -> Result<(), String>;

const OPTIONS: [(&str, Set); 22] = [
    ("cache_user_symbols", |c, v| word(v).map(|w| c.cache_user_symbols = Some(w))),
    ("cpp_demangle", |c, v| truth(v).map(|b| c.cpp_demangle = b)),
    ("lazy_symbolication", |c, v| truth(v).map(|b| c.lazy_symbolication = b)),
    ("license", |c, v| license(v).map(|l| c.license = l)),
    ("log_size", |c, v| number(v).map(|n| c.log_size = n)),
    ("max_bpf_progs", |c, v| number(v).map(|n| c.max_bpf_progs = n)),
    ("max_cat_bytes", |c, v| number(v).map(|n| c.max_cat_bytes = n)),
    ("max_map_keys", |c, v| positive(v).map(|n| c.max_map_keys = n)),
    ("max_probes", |c, v| number(v).map(|n| c.max_probes = n)),
    ("max_strlen", |c, v| number(v).map(|n| c.max_strlen = n)),
    ("missing_probes", |c, v| word(v).map(|w| c.missing_probes = w)),
    ("on_stack_limit", |c, v| number(v).map(|n| c.on_stack_limit = n)),
    ("perf_rb_pages", |c, v| number(v).map(|n| c.perf_rb_pages = n)),
    ("print_maps_on_exit", |c, v| truth(v).map(|b| c.print_maps_on_exit = b)),
    ("show_debug_info", |c, v| truth(v).map(|b| c.show_debug_info = b)),
    ("stack_mode", |c, v| word(v).map(|w| c.stack_mode = w)),
    ("str_trunc_trailer", |c, v| {
        c.str_trunc_trailer.clone_from(&v.text);
        Ok(())
    }),
    ("use_blazesym", |c, v| truth(v).map(|b| c.use_blazesym = b)),
    ("unstable_import_statement", |c, v| word(v).map(|w| c.unstable_import_statement = w)),
    ("unstable_tseries", |c, v| word(v).map(|w| c.unstable_tseries = w)),
    ("unstable_typeinfo", |c, v| word(v).map(|w| c.unstable_typeinfo = w)),
    ("unstable_dw_ustack", |c, v| word(v).map(|w| c.unstable_dw_ustack = w)),
];

const RENAMED: [(&str, &str, Set); 4] = [
    ("strlen", "max_strlen", |c, v| number(v).map(|n| c.max_strlen = n)),
    ("no_cpp_demangle", "cpp_demangle", |c, v| truth(v).map(|b| c.cpp_demangle = !b)),
    ("cat_bytes_max", "max_cat_bytes", |c, v| number(v).map(|n| c.max_cat_bytes = n)),
    ("map_keys_max", "max_map_keys", |c, v| positive(v).map(|n| c.max_map_keys = n)),
];

const IGNORED: [&str; 6] = [
    "symbol_source",
    "max_type_res_iterations",
    "unstable_addr",
    "unstable_import",
    "unstable_macro",
    "unstable_map_decl",
];

const ENV_ONLY: [&str; 5] = ["btf", "kernel_source", "kernel_build", "vmlinux", "color"];

const LICENSES: [&str; 6] =
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

fn number(v: &Value) -> Result<u64, String> {
    v.number.ok_or_else(|| "an unsigned number".to_owned())
}

fn positive(v: &Value) -> Result<u64, String> {
    number(v).ok().filter(|&n| n > 0).ok_or_else(|| "a number of at least 1".to_owned())
}

fn truth(v: &Value) -> Result<bool, String> {
    match v.text.as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("`true` or `false`".to_owned()),
    }
}

fn word<T: Words>(v: &Value) -> Result<T, String> {
    let found = T::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(&v.text));
    found.map(|&(_, value)| value).ok_or_else(|| one_of(T::WORDS.iter().map(|(word, _)| *word)))
}

fn license(v: &Value) -> Result<String, String> {
    match LICENSES.contains(&v.text.as_str()) {
        true => Ok(v.text.clone()),
        false => Err(one_of(LICENSES.into_iter())),
    }
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("one of {}", words.map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "))
}

/// The name of the option: lower case, without `BPFTRACE_`.
fn normal_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("bpftrace_").map_or(name.clone(), str::to_owned)
}

/// Reads the block, then the environment.
pub(super) fn read_config(
    block: Option<&ConfigBlock>,
    env: &BTreeMap<String, String>,
    diags: &mut Vec<Diag>,
) -> Config {
    let mut config = Config::default();
    for item in block.map_or(&[][..], |b| &b.items) {
        let value = match &item.value {
            ConfigValue::Str(s) => text_value(&String::from_utf8_lossy(s)),
            ConfigValue::Int(n) => text_value(&n.to_string()),
            ConfigValue::Bool(b) => text_value(if *b { "true" } else { "false" }),
            ConfigValue::Word(w) => text_value(w),
        };
        set(&mut config, &item.name.text, &value, item.name.span, item.value_span, diags);
    }
    let span = block.map_or(Span::default(), |b| b.span);
    for (name, text) in env.iter().filter(|(name, _)| name.starts_with("BPFTRACE_")) {
        // Variables of other programs and those read elsewhere are none of our business.
        if OPTIONS.iter().any(|(option, _)| *option == normal_name(name))
            || RENAMED.iter().any(|(old, ..)| *old == normal_name(name))
        {
            let first = diags.len();
            set(&mut config, name, &text_value(text), span, span, diags);
            let note = || format!("the environment sets {name}={text}");
            let new = diags.split_off(first);
            diags.extend(new.into_iter().map(|d| Diag { primary: d.primary.clone(), ..d }.note(note())));
        }
    }
    config
}

fn text_value(text: &str) -> Value {
    Value { text: text.to_owned(), number: text.parse().ok() }
}

fn set(config: &mut Config, name: &str, value: &Value, at: Span, value_at: Span, diags: &mut Vec<Diag>) {
    let option = normal_name(name);
    let current = OPTIONS.iter().find(|(known, _)| *known == option).map(|&(_, set)| set);
    let renamed = RENAMED.iter().find(|(old, ..)| *old == option);
    if let Some((old, new, _)) = renamed {
        let message = format!("option `{old}` is now called `{new}`");
        diags.push(Diag::warning(&codes::OLD_OPTION, message, at, ""));
    }
    let Some(set) = current.or(renamed.map(|&(.., set)| set)) else {
        diags.push(unknown(&option, at));
        return;
    };
    if let Err(wanted) = set(config, value) {
        let message = format!("invalid value for `{option}`");
        diags.push(Diag::error(&codes::BAD_OPTION, message, value_at, format!("expected {wanted}")));
    }
}

fn unknown(option: &str, at: Span) -> Diag {
    if IGNORED.contains(&option) {
        let message = format!("option `{option}` has no effect any more");
        return Diag::warning(&codes::OLD_OPTION, message, at, "");
    }
    if ENV_ONLY.contains(&option) {
        let message = format!("`{option}` can only be set as an environment variable");
        let variable = option.to_ascii_uppercase();
        return Diag::error(&codes::ENV_ONLY, message, at, "").help(format!("set BPFTRACE_{variable}"));
    }
    let message = format!("`{option}` is not a known configuration option");
    let diag = Diag::error(&codes::UNKNOWN_OPTION, message, at, "");
    let near = OPTIONS.iter().map(|(name, _)| (distance(name, option), name)).min();
    match near {
        Some((away, name)) if away <= 3 => diag.help(format!("did you mean `{name}`?")),
        _ => diag,
    }
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, env: &[(&str, &str)]) -> (Config, Vec<String>) {
        let (script, _) = crate::syntax::parse("a.bt", text);
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut diags = Vec::new();
        let config = read_config(script.config.as_ref(), &env, &mut diags);
        (config, diags.into_iter().map(|d| format!("{} {}", d.code.id, d.message)).collect())
    }

    #[test]
    fn block_and_environment() {
        let text = "config = { max_strlen = 64; BPFTRACE_MISSING_PROBES = warn; license = \"GPL v2\" }";
        let (config, diags) = read(text, &[("BPFTRACE_MAX_STRLEN", "128"), ("BPFTRACE_BTF", "/x")]);
        assert_eq!(diags, [""; 0]);
        let expected = Config {
            max_strlen: 128,
            missing_probes: MissingProbes::Warn,
            license: "GPL v2".to_owned(),
            ..Config::default()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn old_names() {
        let (config, diags) =
            read("config = { strlen = 9; no_cpp_demangle = 1; unstable_macro = warn }", &[]);
        assert_eq!((config.max_strlen, config.cpp_demangle), (9, false));
        let expected = [
            "W0040 option `strlen` is now called `max_strlen`",
            "W0040 option `no_cpp_demangle` is now called `cpp_demangle`",
            "W0040 option `unstable_macro` has no effect any more",
        ];
        assert_eq!(diags, expected);
    }

    #[test]
    fn err_names_and_values() {
        let text =
            "config = { max_strln = 1; stack_mode = odd; btf = \"x\"; max_probes = no; cpp_demangle = 2 }";
        let (_, diags) = read(text, &[("BPFTRACE_LOG_SIZE", "x")]);
        let expected = [
            "E0040 `max_strln` is not a known configuration option",
            "E0041 invalid value for `stack_mode`",
            "E0042 `btf` can only be set as an environment variable",
            "E0041 invalid value for `max_probes`",
            "E0041 invalid value for `cpp_demangle`",
            "E0041 invalid value for `log_size`",
        ];
        assert_eq!(diags, expected);
    }
}
