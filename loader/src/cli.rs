//! The command line of `sonde`.
//!
//! Input    arguments
//! Output   [`Command`]
//! Ensures  bpftrace's options mean what they mean there

use crate::error::Error;
use crate::output::{Buffering, Format, Warnings};
use crate::params::Params;
use lexopt::prelude::*;
use std::ffi::{CString, OsString};
use std::path::PathBuf;

/// What `--help` prints.
pub const USAGE: &str = "\
Usage: sonde run [OPTIONS] OBJECT [PARAMETERS] [-- --name=value ...]
       sonde check OBJECT [PARAMETERS]   load and verify, attach nothing
       sonde inspect OBJECT              what it is and what it needs
       sonde doctor                      what this host offers

Options of run:
  -c COMMAND          run COMMAND once all is attached, end with it
  -p PID              trace one process, end with it
  -f text|json        output format
  -o FILE             write output to FILE
  -B none|line|full   flush after every event, line, or full buffer
  -k                  warn of failed reads and missing map keys too
  -q                  do not say how many probes are attached
  -v                  say what is opened and loaded
  --no-warnings       show no warnings
  --unsafe            allow scripts that change the system
  --dry-run           end once all is attached
  --wait-module       attach to modules that are not loaded yet when they arrive, and again when they come back;
                      detach when rmmod or modprobe -r asks, or for 10 s on SIGUSR2
  -h, --help          print this
  -V, --version       print the version

Exit status: 0, or the script's exit(n); 1 wrong arguments or nothing to attach; 3 bad object; 4 not permitted;
5 the kernel lacks something; 6 refused by the verifier; 255 anything else.
";

/// Largest process id (`PID_MAX_LIMIT`).
const PID_MAX: u32 = 0x40_0000;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Load, attach, drain.
    Run(Run),
    /// Load only.
    Check(Run),
    /// Describe an object.
    Inspect(PathBuf),
    /// Describe the host.
    Doctor,
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

/// Options of `run`.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// The object.
    pub object: PathBuf,
    /// Parameters of the script.
    pub params: Params,
    /// `-c`, in words.
    pub command: Option<Vec<CString>>,
    /// `-p`.
    pub pid: Option<u32>,
    /// `-f`.
    pub format: Format,
    /// `-o`.
    pub out: Option<PathBuf>,
    /// `-B`.
    pub buffering: Buffering,
    /// `-k`, `--no-warnings`.
    pub warnings: Warnings,
    /// `-q`.
    pub quiet: bool,
    /// `-v`.
    pub verbose: bool,
    /// `--unsafe`.
    pub allow_unsafe: bool,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--wait-module`.
    pub wait_module: bool,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            object: PathBuf::new(),
            params: Params::default(),
            command: None,
            pid: None,
            format: Format::Text,
            out: None,
            buffering: Buffering::Line,
            warnings: Warnings::Default,
            quiet: false,
            verbose: false,
            allow_unsafe: false,
            dry_run: false,
            wait_module: false,
        }
    }
}

fn usage(text: impl std::fmt::Display) -> Error {
    Error::Usage(text.to_string())
}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        usage(format!("{error} (sonde --help lists the options)"))
    }
}

/// Reads arguments, without the program's name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Error> {
    let mut parser = lexopt::Parser::from_args(args);
    let command = match parser.next()? {
        Some(Value(word)) => word.string()?,
        Some(Short('h') | Long("help")) => return Ok(Command::Help),
        Some(Short('V') | Long("version")) => return Ok(Command::Version),
        Some(other) => return Err(other.unexpected().into()),
        None => return Err(usage(USAGE)),
    };
    match command.as_str() {
        "run" => parse_run(parser).map(|run| run.map_or(Command::Help, Command::Run)),
        "check" => parse_run(parser).map(|run| run.map_or(Command::Help, Command::Check)),
        "inspect" => {
            Ok(Command::Inspect(parser.value().map_err(|_| usage("inspect needs an object"))?.into()))
        }
        "doctor" => Ok(Command::Doctor),
        "help" => Ok(Command::Help),
        other => Err(usage(format!("unknown command `{other}`: run, check, inspect or doctor"))),
    }
}

/// `None` if help is asked for.
fn parse_run(mut parser: lexopt::Parser) -> Result<Option<Run>, Error> {
    let mut run = Run::default();
    let mut object: Option<PathBuf> = None;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    loop {
        if let Some(mut raw) = parser.try_raw_args()
            && raw.peek() == Some(std::ffi::OsStr::new("--"))
        {
            raw.next();
            after = raw.map(ValueExt::string).collect::<Result<_, _>>()?;
            break;
        }
        let Some(arg) = parser.next()? else { break };
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Value(word) if object.is_none() => object = Some(word.into()),
            Value(word) => before.push(word.string()?),
            Short('c') | Long("cmd") => run.command = Some(split_command(&parser.value()?.string()?)?),
            Short('p') | Long("pid") => run.pid = Some(parse_pid(&parser.value()?.string()?)?),
            Short('f') => run.format = parse_format(&parser.value()?.string()?)?,
            Short('o') | Long("output") => run.out = Some(parser.value()?.into()),
            Short('B') => run.buffering = parse_buffering(&parser.value()?.string()?)?,
            Short('k') | Long("warnings") => set_warnings(&mut run, Warnings::All)?,
            Long("no-warnings") => set_warnings(&mut run, Warnings::None)?,
            Short('q') | Long("quiet") => run.quiet = true,
            Short('v') | Long("verbose") => run.verbose = true,
            Long("unsafe") => run.allow_unsafe = true,
            Long("dry-run") => run.dry_run = true,
            Long("wait-module") => run.wait_module = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if run.command.is_some() && run.pid.is_some() {
        return Err(usage("-c and -p exclude each other"));
    }
    run.object = object.ok_or_else(|| usage("an object is needed: sonde run OBJECT"))?;
    run.params = Params::new(before, after);
    Ok(Some(run))
}

fn set_warnings(run: &mut Run, warnings: Warnings) -> Result<(), Error> {
    match std::mem::replace(&mut run.warnings, warnings) {
        Warnings::Default => Ok(()),
        before if before == warnings => Err(usage("-k or --no-warnings is given twice")),
        _ => Err(usage("-k and --no-warnings exclude each other")),
    }
}

fn parse_format(text: &str) -> Result<Format, Error> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        other => Err(usage(format!("Invalid output format \"{other}\""))),
    }
}

fn parse_buffering(text: &str) -> Result<Buffering, Error> {
    match text {
        "none" => Ok(Buffering::None),
        "line" => Ok(Buffering::Line),
        "full" => Ok(Buffering::Full),
        other => Err(usage(format!("-B takes none, line or full, not {other}"))),
    }
}

fn parse_pid(text: &str) -> Result<u32, Error> {
    let pid: u32 = text.parse().map_err(|_| usage(format!("Failed to parse pid: {text}")))?;
    match pid {
        1..=PID_MAX => Ok(pid),
        _ => Err(usage(format!("Pid out of range: {pid}"))),
    }
}

/// Words of a command: separated by blanks; quotes keep blanks, a backslash keeps the next character.
fn split_command(text: &str) -> Result<Vec<CString>, Error> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() || words.is_empty() {
        return Err(usage(format!("-c: cannot be split into words: {text}")));
    }
    words.into_iter().map(|word| CString::new(word).map_err(usage)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, Error> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn run_with_everything() {
        let line = "run -c ls -f json -Bnone -k -qv a.o 12 x -- --n=1 y -v";
        let Ok(Command::Run(run)) = parsed(line) else { panic!("no run") };
        assert_eq!(run.object, PathBuf::from("a.o"));
        assert_eq!(run.params.positional, ["12", "x", "y", "-v"]);
        assert_eq!(run.params.named, [("n".to_owned(), Some("1".to_owned()))]);
        assert_eq!((run.format, run.buffering, run.warnings), (Format::Json, Buffering::None, Warnings::All));
        assert!(run.quiet && run.verbose && !run.dry_run);
    }

    #[test]
    fn wrong_arguments() {
        for (line, text) in [
            ("run", "an object is needed: sonde run OBJECT"),
            ("run -f xml a.o", "Invalid output format \"xml\""),
            ("run -p x a.o", "Failed to parse pid: x"),
            ("run -p 5000000 a.o", "Pid out of range: 5000000"),
            ("run -p 1 -c ls a.o", "-c and -p exclude each other"),
            ("run -kk a.o", "-k or --no-warnings is given twice"),
            ("jump", "unknown command `jump`: run, check, inspect or doctor"),
        ] {
            let error = parsed(line).expect_err(line);
            assert_eq!(error.to_string(), text);
            assert_eq!(error.status(), 1);
        }
    }

    #[test]
    fn commands_in_words() {
        let words = split_command(r#"sh -c 'a "b" c' "d\"e" f\ g "#).expect("splits");
        let words: Vec<&str> = words.iter().map(|w| w.to_str().expect("text")).collect();
        assert_eq!(words, ["sh", "-c", "a \"b\" c", "d\"e", "f g"]);
        assert!(split_command("'open").is_err() && split_command(" ").is_err());
    }
}
