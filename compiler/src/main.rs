//! `sondec`: arguments in, files and exit status out. Everything else is in the library.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use compiler::diag::{Colour, render};
use compiler::expand::Headers;
use compiler::kernel::Kernel;
use compiler::pipeline::{Output, Request, Stage, compile};

/// Compiles bpftrace-language scripts into BPF objects.
#[derive(Parser)]
#[command(name = "sondec", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand)]
enum Sub {
    /// Compile a script into an object.
    Build(Build),
    /// Compile a script and run it on this host.
    Run(Run),
    /// List probes, or types with `struct NAME`.
    List(List),
}

#[derive(Args)]
struct Script {
    /// The script; `-` is standard input.
    #[arg(required_unless_present = "program")]
    file: Option<String>,
    /// The script itself.
    #[arg(short = 'e', value_name = "PROGRAM", conflicts_with = "file")]
    program: Option<String>,
    /// BTF to compile against: vmlinux's, or a folder like /sys/kernel/btf. This host's by default.
    #[arg(long, value_name = "FILE|DIR")]
    btf: Option<PathBuf>,
    /// Folder to look for included files in.
    #[arg(short = 'I', value_name = "DIR")]
    include_dirs: Vec<String>,
    /// File to include first.
    #[arg(long = "include", value_name = "FILE")]
    includes: Vec<String>,
    /// Folders of separate debug files of user programs.
    #[arg(long, value_name = "DIR[:DIR]", value_delimiter = ':')]
    debuginfo: Vec<PathBuf>,
    /// Allow functions that change the system.
    #[arg(long)]
    r#unsafe: bool,
    /// Show no warnings.
    #[arg(long)]
    no_warnings: bool,
}

#[derive(Args)]
struct Build {
    #[command(flatten)]
    script: Script,
    /// Where the object goes.
    #[arg(short = 'o', value_name = "OUT", required_unless_present = "emit")]
    out: Option<PathBuf>,
    /// Show a stage of the compilation instead.
    #[arg(long, value_enum, value_name = "STAGE")]
    emit: Option<Emit>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Emit {
    Ast,
    Typed,
    Clif,
    Asm,
    Manifest,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    script: Script,
    /// Run a command, and end with it.
    #[arg(short = 'c', value_name = "CMD", conflicts_with = "pid")]
    cmd: Option<OsString>,
    /// Only events of this process.
    #[arg(short = 'p', value_name = "PID")]
    pid: Option<OsString>,
    /// `text` or `json`.
    #[arg(short = 'f', value_name = "FORMAT")]
    format: Option<OsString>,
    /// Where output goes.
    #[arg(short = 'o', value_name = "FILE")]
    out: Option<OsString>,
    /// `line`, `full` or `none`.
    #[arg(short = 'B', value_name = "MODE")]
    buffering: Option<OsString>,
    /// Report failed reads and missing map keys.
    #[arg(short = 'k')]
    helper_errors: bool,
    /// Less output.
    #[arg(short = 'q')]
    quiet: bool,
    /// More messages.
    #[arg(short = 'v')]
    verbose: bool,
    /// Load, but attach nothing.
    #[arg(long)]
    dry_run: bool,
    /// Parameters of the script.
    #[arg(last = true)]
    params: Vec<OsString>,
}

#[derive(Args)]
struct List {
    /// What to list: `kprobe:vfs_*`, `struct file`; all kernel probes by default.
    pattern: Option<String>,
    /// With arguments, or members.
    #[arg(short = 'v')]
    verbose: bool,
    /// BTF of another kernel.
    #[arg(long, value_name = "FILE|DIR")]
    btf: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way, too. A reader that has gone away is nobody's concern.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let result = match cli.command {
        Sub::Build(args) => build(&args),
        Sub::Run(args) => run(&args),
        Sub::List(args) => list(&args),
    };
    match result {
        Ok(code) => code,
        Err(message) => {
            eprintln!("ERROR: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build(args: &Build) -> Result<ExitCode, String> {
    let stage = args.emit.map(|emit| match emit {
        Emit::Ast => Stage::Ast,
        Emit::Typed => Stage::Typed,
        Emit::Clif => Stage::Clif,
        Emit::Asm => Stage::Asm,
        Emit::Manifest => Stage::Manifest,
    });
    let output = translate(&args.script, stage)?;
    match (output, &args.out) {
        (None, _) => return Ok(ExitCode::FAILURE),
        (Some(Output::Text(text)), None) => {
            io::stdout().write_all(text.as_bytes()).map_err(|e| format!("cannot write: {e}"))?;
        }
        (Some(Output::Text(text)), Some(out)) => write(out, text.as_bytes())?,
        (Some(Output::Object(bytes)), Some(out)) => write(out, &bytes)?,
        (Some(Output::Object(_)), None) => unreachable!("without a stage clap asks for a file"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Compiles, and shows what there is to say about the script.
fn translate(script: &Script, stage: Option<Stage>) -> Result<Option<Output>, String> {
    let (name, text) = read(script)?;
    let system = system_headers();
    let headers = Headers {
        script_dir: name.rfind('/').map_or("", |at| &name[..=at]),
        dirs: &script.include_dirs,
        system: &system,
        first: &script.includes,
        read: &|path| fs::read(path).ok(),
    };
    let kernel = kernel(script.btf.as_deref())?;
    let env: BTreeMap<String, String> =
        std::env::vars().filter(|(name, _)| name.starts_with("BPFTRACE_")).collect();
    let request = Request {
        name: &name,
        text: &text,
        env: &env,
        kernel: &kernel,
        headers,
        stage,
        allow_unsafe: script.r#unsafe,
        debug_folders: &script.debuginfo,
    };
    let (output, mut diags, sources) = compile(&request);
    if script.no_warnings {
        diags.retain(|diag| diag.is_error());
    }
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = if io::stderr().is_terminal() && !plain { Colour::Always } else { Colour::Never };
    eprint!("{}", render(&diags, &sources, colour));
    Ok(output)
}

fn read(script: &Script) -> Result<(String, String), String> {
    match (&script.program, script.file.as_deref()) {
        (Some(program), _) => Ok(("stdin".into(), program.clone())),
        (None, Some("-") | None) => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(|e| format!("cannot read standard input: {e}"))?;
            Ok(("stdin".into(), text))
        }
        (None, Some(file)) => {
            let text = fs::read_to_string(file).map_err(|e| format!("cannot read `{file}`: {e}"))?;
            Ok((file.to_owned(), text))
        }
    }
}

/// Where C compilers look for headers.
fn system_headers() -> [String; 3] {
    let arch = std::env::consts::ARCH;
    ["/usr/local/include".to_owned(), format!("/usr/include/{arch}-linux-gnu"), "/usr/include".to_owned()]
}

fn kernel(btf: Option<&Path>) -> Result<Kernel, String> {
    let from_env = std::env::var_os("BPFTRACE_BTF").map(PathBuf::from);
    let kernel = match btf.or(from_env.as_deref()) {
        Some(path) => Kernel::from_path(path),
        None => Kernel::live(),
    };
    kernel.map_err(|error| chain(&error))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

/// Writes a file as a whole or not at all.
fn write(out: &Path, bytes: &[u8]) -> Result<(), String> {
    let error = |e: io::Error| format!("cannot write `{}`: {e}", out.display());
    if fs::metadata(out).is_ok_and(|meta| !meta.is_file()) {
        // A pipe or a device: there is nothing to replace.
        return fs::write(out, bytes).map_err(error);
    }
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temp = out.with_file_name(name);
    fs::write(&temp, bytes).and_then(|()| fs::rename(&temp, out)).map_err(|e| {
        // Whatever is left of it is of no use.
        let _ = fs::remove_file(&temp);
        error(e)
    })
}

fn run(args: &Run) -> Result<ExitCode, String> {
    let bytes = match translate(&args.script, None)? {
        Some(Output::Object(bytes)) => bytes,
        Some(Output::Text(_)) => unreachable!("no stage was asked for"),
        None => return Ok(ExitCode::FAILURE),
    };
    let object = in_memory(&bytes).map_err(|e| format!("cannot keep the object in memory: {e}"))?;
    let mut command = Command::new(loader());
    command.arg("run");
    let options = [
        ("-c", &args.cmd),
        ("-p", &args.pid),
        ("-f", &args.format),
        ("-o", &args.out),
        ("-B", &args.buffering),
    ];
    for (option, value) in options {
        command.args(value.iter().flat_map(|value| [option.into(), value.clone()]));
    }
    let flags = [
        ("-k", args.helper_errors),
        ("-q", args.quiet),
        ("-v", args.verbose),
        ("--dry-run", args.dry_run),
        ("--unsafe", args.script.r#unsafe),
        ("--no-warnings", args.script.no_warnings),
    ];
    command.args(flags.iter().filter(|(_, given)| *given).map(|(flag, _)| flag));
    command.arg(&object).arg("--").args(&args.params);
    let error = command.exec();
    Err(format!("cannot run `{}`: {error}", command.get_program().display()))
}

fn list(args: &List) -> Result<ExitCode, String> {
    let kernel = kernel(args.btf.as_deref())?;
    let text = compiler::kernel::list::list(&kernel, args.pattern.as_deref(), args.verbose);
    // A reader that has gone away (`sondec list | head`) is no error.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

/// A file that exists as long as someone has it open; gives a path that leads there after `exec`.
fn in_memory(bytes: &[u8]) -> io::Result<PathBuf> {
    let fd = rustix::fs::memfd_create("sonde", rustix::fs::MemfdFlags::empty())?;
    let mut file = fs::File::from(fd);
    file.write_all(bytes)?;
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    // The loader opens it by that path; it stays open until this process has become the loader.
    std::mem::forget(file);
    Ok(path.into())
}

/// `sonde` beside this program, else the one on the path.
fn loader() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name("sonde"));
    beside.filter(|path| path.exists()).unwrap_or_else(|| "sonde".into())
}
