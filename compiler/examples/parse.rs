//! Parses and expands scripts and shows what is wrong with them:
//! `parse [--emit=ast | --emit=expanded] FILE…`. The exit status is 1 if any has an error.

use std::collections::BTreeMap;
use std::process::ExitCode;

use compiler::diag::{Colour, Sources, render};
use compiler::{expand, syntax};

fn main() -> ExitCode {
    let (flags, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let emits = |what: &str| flags.iter().any(|flag| flag == what);
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
        let mut sources = Sources::of(&file, &text);
        let (script, mut diags) = syntax::parse(&file, &text);
        if emits("--emit=ast") {
            print!("{}", syntax::print_script(&script));
        }
        if !diags.iter().any(|d| d.is_error()) {
            let (expanded, more) =
                expand::expand(script, &BTreeMap::new(), &expand::World::NONE, &mut sources);
            diags.extend(more);
            if emits("--emit=expanded") {
                print!("{}", syntax::print_script(&expanded.script));
                println!("{:#?}\n{:#?}", expanded.config, expanded.preamble);
            }
        }
        eprint!("{}", render(&diags, &sources, Colour::Never));
        if diags.iter().any(|d| d.is_error()) {
            code = ExitCode::FAILURE;
        }
    }
    code
}
