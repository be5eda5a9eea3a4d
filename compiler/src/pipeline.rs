//! From text to object: the passes in order.
//!
//! Input    the script's text, a kernel description, options
//! Output   the object, or the text of one stage; and diagnostics either way
//! Ensures  a pass runs only if those before it found no error

use std::collections::BTreeMap;
use std::path::PathBuf;

use codegen_bpf::Module;

use crate::diag::{Diag, Sources};
use crate::expand::{Config, Headers, World, config, expand};
use crate::fields::{Fields, KernelNames, preamble_btf};
use crate::kernel::Kernel;
use crate::lower::{self, Input, Lowered, codes};
use crate::syntax::ast::{Span, Tag};
use crate::types::tree::Program;
use crate::user::{Folders, Programs};
use crate::{resolve, syntax, types};

/// What to print instead of writing an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as on the command line")]
pub enum Stage {
    Ast,
    Typed,
    Clif,
    Asm,
    Manifest,
}

/// One script to compile.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// File name as shown; `stdin` for a script from elsewhere.
    pub name: &'a str,
    /// The script.
    pub text: &'a str,
    /// `BPFTRACE_` variables, which win over the script's `config`.
    pub env: &'a BTreeMap<String, String>,
    /// The kernel compiled against.
    pub kernel: &'a Kernel,
    /// The headers that the script may include.
    pub headers: Headers<'a>,
    /// Stop at a stage and show it.
    pub stage: Option<Stage>,
    /// Functions that change the system may be used.
    pub allow_unsafe: bool,
    /// Folders of separate debug files of user programs, besides the distribution's.
    pub debug_folders: &'a [PathBuf],
}

/// What a compilation gives.
#[derive(Debug)]
pub enum Output {
    /// A relocatable object.
    Object(Vec<u8>),
    /// The text of a stage.
    Text(String),
}

/// Compiles a script. There is no output if a diagnostic is an error.
pub fn compile(request: &Request<'_>) -> (Option<Output>, Vec<Diag>, Sources) {
    let mut sources = Sources::of(request.name, request.text);
    let mut diags = Vec::new();
    let output = run(request, &mut sources, &mut diags).filter(|_| !diags.iter().any(Diag::is_error));
    (output, diags, sources)
}

fn run(request: &Request<'_>, sources: &mut Sources, diags: &mut Vec<Diag>) -> Option<Output> {
    let script = passed(syntax::parse(request.name, request.text), diags)?;
    let names = KernelNames::new(request.kernel);
    let extent = |tag: Option<Tag>, name: &str| names.extent(tag, name);
    let world = World { headers: request.headers, kernel: &extent };
    let expanded = passed(expand(script, request.env, &world, sources), diags)?;
    if request.stage == Some(Stage::Ast) {
        return Some(Output::Text(syntax::print_script(&expanded.script)));
    }
    let preamble = passed(preamble_btf(&expanded.preamble, &names), diags)?;
    let programs = Programs::new(Folders::new(request.debug_folders.to_vec()));
    let fields = Fields::new(request.kernel, preamble).with_programs(programs);
    let settings = type_settings(&expanded.config);
    let resolved = passed(types::resolve(&expanded.script, &fields, &settings), diags)?;
    let program = passed(types::check(&expanded.script, resolved, &fields, &settings), diags)??;
    for note in fields.programs().notes() {
        diags.push(Diag::warning(&resolve::codes::DEBUG_INFO, note, Span::default(), ""));
    }
    if request.stage == Some(Stage::Typed) {
        return Some(Output::Text(types::print(&program, &fields)));
    }
    if program.probes.is_empty() {
        let message = "no probes to attach";
        diags.push(Diag::error(&codes::NO_PROBES, message, Span::default(), ""));
        return None;
    }
    let settings = lower_settings(request, &expanded.config);
    generate(Input { program: &program, fields: &fields, sources, settings: &settings }, request, diags)
}

/// Lowers and generates code. If a program's stack is too small for it, objects move to per-CPU memory.
fn generate(input: Input<'_>, request: &Request<'_>, diags: &mut Vec<Diag>) -> Option<Output> {
    let mut settings = input.settings.clone();
    loop {
        let lowered =
            lower::lower(Input { settings: &settings, ..input }).map_err(|e| diags.extend(e)).ok()?;
        if let Some(span) = lowered.changes_system
            && !request.allow_unsafe
        {
            let message = "the script changes the system";
            diags.push(Diag::error(&codes::NEEDS_UNSAFE, message, span, "").help("allow it with `--unsafe`"));
            return None;
        }
        match request.stage {
            Some(Stage::Manifest) => return Some(Output::Text(manifest_text(&lowered))),
            Some(Stage::Clif) => return Some(Output::Text(clif(&lowered.module))),
            Some(Stage::Ast | Stage::Typed | Stage::Asm) | None => {}
        }
        match codegen_bpf::compile(lowered.module, &codegen_bpf::Options::default()) {
            Ok(object) if request.stage == Some(Stage::Asm) => return Some(Output::Text(asm(&object))),
            Ok(object) => return Some(Output::Object(object.bytes)),
            Err(codegen_bpf::Error::Stack { .. }) if settings.on_stack_limit > ON_STACK_MIN => {
                settings.on_stack_limit = ON_STACK_MIN;
            }
            Err(error) => {
                diags.push(Diag::error(&codes::LIMIT, error.to_string(), whole(input.program), ""));
                return None;
            }
        }
    }
}

/// Objects of up to a register's size always fit.
const ON_STACK_MIN: u32 = 8;

/// The first attach point, for messages about the object as a whole.
fn whole(program: &Program) -> Span {
    program.probes.first().map(|probe| probe.span).unwrap_or_default()
}

fn asm(object: &codegen_bpf::Object) -> String {
    let programs = object.programs.iter();
    programs
        .map(|p| format!("{} ({}): {} instructions\n{}\n", p.name, p.section, p.insns, p.disasm))
        .collect()
}

/// The manifest as it is stored, but with lines and indents.
fn manifest_text(lowered: &Lowered) -> String {
    let json = serde_json::to_string_pretty(&lowered.manifest);
    json.expect("a manifest holds only strings, integers and lists of them") + "\n"
}

fn clif(module: &Module) -> String {
    module.functions.iter().map(|f| format!("; {} ({})\n{}\n", f.name, f.section, f.clif.display())).collect()
}

/// What a pass found, unless it reported an error.
fn passed<T>((found, new): (T, Vec<Diag>), diags: &mut Vec<Diag>) -> Option<T> {
    diags.extend(new);
    (!diags.iter().any(Diag::is_error)).then_some(found)
}

fn type_settings(config: &Config) -> types::Settings {
    types::Settings {
        max_strlen: limited(config.max_strlen),
        stack_mode: match config.stack_mode {
            config::StackMode::Bpftrace => manifest::StackMode::Bpftrace,
            config::StackMode::Perf => manifest::StackMode::Perf,
            // Kernel stacks have no build ids; bpftrace falls back to addresses, too.
            config::StackMode::Raw | config::StackMode::BuildId => manifest::StackMode::Raw,
        },
        missing_probes: missing_probes(config),
        max_bpf_progs: config.max_bpf_progs,
    }
}

fn missing_probes(config: &Config) -> manifest::MissingProbes {
    match config.missing_probes {
        config::MissingProbes::Error => manifest::MissingProbes::Error,
        config::MissingProbes::Warn => manifest::MissingProbes::Warn,
        config::MissingProbes::Ignore => manifest::MissingProbes::Ignore,
    }
}

fn lower_settings(request: &Request<'_>, config: &Config) -> lower::Settings {
    lower::Settings {
        name: request.name.to_owned(),
        text: request.text.to_owned(),
        license: config.license.clone(),
        max_map_keys: limited(config.max_map_keys),
        on_stack_limit: limited(config.on_stack_limit),
        run: manifest::Config {
            missing_probes: missing_probes(config),
            print_maps_on_exit: config.print_maps_on_exit,
            perf_rb_pages: limited(config.perf_rb_pages),
            str_trunc_trailer: config.str_trunc_trailer.clone(),
            max_cat_bytes: config.max_cat_bytes,
            max_probes: config.max_probes,
            cpp_demangle: config.cpp_demangle,
        },
    }
}

fn limited(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
