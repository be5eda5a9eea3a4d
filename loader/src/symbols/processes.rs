//! Symbols of processes, through blazesym.
//!
//! A process that is gone has no maps, so only addresses asked for while it lived have names. Answers are
//! kept by process, and dropped when the pid stands for another process or another program.

use crate::output::UserSymbol;
use blazesym::Pid;
use blazesym::symbolize::source::{Process, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Answers kept; when there are more all are forgotten, and with them the files blazesym has open.
const CACHED_MAX: usize = 1 << 16;

/// How long a process is taken to be the one it was.
const IDENTITY_LASTS: Duration = Duration::from_millis(100);

/// Symbols of processes asked about so far.
pub(super) struct Processes {
    symbolizer: Symbolizer,
    cached: HashMap<u32, Known>,
    answers: usize,
}

struct Known {
    identity: Option<Identity>,
    checked: Instant,
    symbols: HashMap<u64, Option<UserSymbol>>,
}

/// What changes when a pid is reused, or its process executes another program.
#[derive(PartialEq, Eq)]
struct Identity {
    start_time: String,
    program: PathBuf,
}

impl Processes {
    pub(super) fn new() -> Processes {
        let symbolizer = Symbolizer::builder().enable_code_info(false).enable_inlined_fns(false).build();
        Processes { symbolizer, cached: HashMap::new(), answers: 0 }
    }

    pub(super) fn find(&mut self, pid: u32, addr: u64) -> Option<UserSymbol> {
        if self.answers >= CACHED_MAX {
            *self = Processes::new();
        }
        let known = self.cached.entry(pid).or_insert_with(|| Known::new(pid));
        if known.checked.elapsed() > IDENTITY_LASTS {
            let identity = identity(pid);
            known.checked = Instant::now();
            // Of a process that has ended the answers stay right.
            if identity.is_some() && identity != known.identity {
                self.answers -= known.symbols.len();
                *known = Known { identity, checked: Instant::now(), symbols: HashMap::new() };
            }
        }
        if let Some(symbol) = known.symbols.get(&addr) {
            return symbol.clone();
        }
        let symbol = symbol(&self.symbolizer, pid, addr);
        known.symbols.insert(addr, symbol.clone());
        self.answers += 1;
        symbol
    }
}

impl Known {
    fn new(pid: u32) -> Known {
        Known { identity: identity(pid), checked: Instant::now(), symbols: HashMap::new() }
    }
}

fn symbol(symbolizer: &Symbolizer, pid: u32, addr: u64) -> Option<UserSymbol> {
    // Pid 0 is the idle task, which has no user memory; to blazesym it would mean this process.
    if pid == 0 {
        return None;
    }
    let mut process = Process::new(Pid::from(pid));
    process.debug_syms = false;
    let source = Source::Process(process);
    let symbolized = symbolizer.symbolize_single(&source, Input::AbsAddr(addr)).ok()?;
    let Symbolized::Sym(symbol) = symbolized else { return None };
    Some(UserSymbol {
        name: symbol.name.into_owned(),
        offset: symbol.offset as u64,
        module: symbol.module.map_or(String::new(), |module| module.to_string_lossy().into_owned()),
    })
}

/// Field 22 of `/proc/PID/stat` counts after the program's name, which may itself hold spaces and parentheses.
fn identity(pid: u32) -> Option<Identity> {
    let stat = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?).into_owned();
    let (_, fields) = stat.rsplit_once(')')?;
    Some(Identity {
        start_time: fields.split_ascii_whitespace().nth(19)?.to_owned(),
        program: fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    extern "C" fn a_function_of_this_test() -> u32 {
        std::hint::black_box(7)
    }

    #[test]
    fn own_function() {
        let addr = a_function_of_this_test as *const () as u64;
        let pid = std::process::id();
        let mut processes = Processes::new();
        for _ in 0..2 {
            let symbol = processes.find(pid, addr + 1).expect("test programs have symbols");
            assert!(symbol.name.contains("a_function_of_this_test"), "{symbol:?}");
            assert_eq!(symbol.offset, 1);
            assert!(symbol.module.contains("loader"), "{symbol:?}");
        }
        assert_eq!(processes.find(pid, 8), None);
    }

    #[test]
    fn no_process() {
        let mut processes = Processes::new();
        assert_eq!(processes.find(0, 0x1000), None);
        assert_eq!(processes.find(u32::MAX, 0x1000), None);
    }
}
