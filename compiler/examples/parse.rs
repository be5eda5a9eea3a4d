//! Parses scripts and shows what is wrong with them: `parse [--print] FILE…`; the exit status is 1
//! if any has an error.

use std::process::ExitCode;

use compiler::diag::{Colour, Sources, render};
use compiler::syntax;

fn main() -> ExitCode {
    let (flags, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{file}: {error}");
                code = ExitCode::FAILURE;
                continue;
            }
        };
        let (script, diags) = syntax::parse(&file, &text);
        eprint!("{}", render(&diags, &Sources::of(&file, &text), Colour::Never));
        if flags.iter().any(|flag| flag == "--print") {
            print!("{}", syntax::print_script(&script));
        }
        if diags.iter().any(|d| d.is_error()) {
            code = ExitCode::FAILURE;
        }
    }
    code
}
