//! `sonde`: arguments in, exit status out. Everything else is in the library.

use loader::cli::{self, Command};
use loader::error::{Error, chain};
use loader::globals::Pids;
use loader::object::Object;
use loader::output::{Options, Warnings};
use loader::run::{RunOptions, run};
use loader::session::{Settings, prepare_all};
use loader::sys::host::is_terminal;
use loader::wait::prepare_free;
use loader::{doctor, environment, inspect, open};
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    match execute() {
        Ok(code) => ExitCode::from(code),
        // bpftrace prints this one on stdout.
        Err(Error::NothingToAttach) => {
            println!("{}", Error::NothingToAttach);
            ExitCode::from(Error::NothingToAttach.status())
        }
        // The reader of our output has gone away: nobody wants to know.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ERROR: {}", chain(&error));
            ExitCode::from(error.status())
        }
    }
}

fn execute() -> Result<u8, Error> {
    let args = std::env::args_os().skip(1);
    match cli::parse(args)? {
        Command::Help => print(cli::USAGE),
        Command::Version => print(concat!("sonde v", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Doctor => print(&doctor::report()),
        Command::Inspect(file) => print(&inspect::Description(&read(&file)?).to_string()),
        Command::Check(options) => check(&options),
        Command::Run(options) => start(options),
    }
}

fn print(text: &str) -> Result<u8, Error> {
    let mut stdout = std::io::stdout();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map(|()| 0).map_err(|source| Error::Io { what: "stdout".into(), source })
}

/// Reads and opens an object; `-` is standard input.
fn read(file: &Path) -> Result<Object, Error> {
    let error = |source| Error::Read { file: file.to_owned(), source };
    let input: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(file).map_err(error)?),
    };
    let mut bytes = Vec::new();
    // One byte more than allowed, so that the reader sees what is too much.
    input.take(open::LIMITS.file_bytes + 1).read_to_end(&mut bytes).map_err(error)?;
    let artifact = |source| Error::Artifact { file: file.to_owned(), source: Box::new(source) };
    let mut object = open::parse(&bytes).map_err(artifact)?;
    let config = &mut Arc::make_mut(&mut object.manifest).config;
    environment::apply(config, |name| std::env::var(name).ok())?;
    Ok(object)
}

fn settings(options: &cli::Run) -> Settings {
    Settings {
        params: options.params.clone(),
        pids: Pids { target: options.pid.unwrap_or(0), child: 0 },
        allow_unsafe: options.allow_unsafe,
        verbose: options.verbose,
        wait_module: options.wait_module,
    }
}

fn warner(options: &cli::Run) -> impl FnMut(&str) + use<> {
    let silent = options.warnings == Warnings::None;
    move |text: &str| {
        if !silent {
            eprintln!("WARNING: {text}");
        }
    }
}

fn check(options: &cli::Run) -> Result<u8, Error> {
    let object = read(&options.object)?;
    let programs = verify(object, options).inspect_err(|error| show_log(error, options))?;
    print(&format!("ok: {programs} program{} verified\n", if programs == 1 { "" } else { "s" }))
}

/// How many programs the verifier passed.
fn verify(object: Object, options: &cli::Run) -> Result<usize, Error> {
    let (settings, mut warn) = (settings(options), warner(options));
    if !options.wait_module {
        return Ok(prepare_all(object, &settings, &mut warn)?.loaded.len());
    }
    let (session, mut waiting) = prepare_free(object, &settings, options.quiet, &mut warn)?;
    Ok(session.loaded.len() + waiting.check(&session, &mut warn)?)
}

fn start(options: cli::Run) -> Result<u8, Error> {
    let object = read(&options.object)?;
    let out: Box<dyn Write> = match &options.out {
        None => Box::new(BufWriter::new(std::io::stdout())),
        Some(path) => {
            let error = |source| Error::Io { what: path.display().to_string(), source };
            Box::new(BufWriter::new(File::create(path).map_err(error)?))
        }
    };
    let output = Options {
        format: options.format,
        buffering: options.buffering,
        warnings: options.warnings,
        terminal: options.out.is_none() && is_terminal(1),
        colour: wants_colour(),
        quiet: options.quiet,
    };
    let run_options = RunOptions {
        settings: settings(&options),
        command: options.command.clone(),
        dry_run: options.dry_run,
        output,
        out,
    };
    run(object, run_options, &mut warner(&options)).inspect_err(|error| show_log(error, &options))
}

/// With `-v` a refusal shows the verifier's whole log.
fn show_log(error: &Error, options: &cli::Run) {
    if let (Error::Verifier(refusal), true) = (error, options.verbose) {
        eprintln!("{}", refusal.log());
    }
}

fn wants_colour() -> bool {
    match std::env::var("BPFTRACE_COLOR").as_deref() {
        Ok("always") => true,
        Ok("never") => false,
        _ => std::env::var_os("NO_COLOR").is_none() && is_terminal(1) && is_terminal(2),
    }
}
