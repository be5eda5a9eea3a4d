//! Names for kernel and user addresses, users and cgroups, read from the running system when first asked for.
//!
//! Ensures nothing is opened before the first question, and memory is bounded: kernel symbols are one
//! compact table, answers about processes and cgroups are kept in caches of fixed size.

mod cgroups;
mod kallsyms;
mod processes;
mod users;

use crate::output::{Symbols, UserSymbol};
use cgroups::Cgroups;
use kallsyms::Kallsyms;
use processes::Processes;
use std::fs::File;
use std::io::BufReader;
use users::Users;

/// [`Symbols`] of the running system.
#[derive(Default)]
pub struct SystemSymbols {
    kernel: Option<Kallsyms>,
    processes: Option<Processes>,
    users: Option<Users>,
    cgroups: Option<Cgroups>,
}

impl SystemSymbols {
    /// A resolver that has opened nothing yet.
    pub fn new() -> SystemSymbols {
        SystemSymbols::default()
    }

    /// Reads the kernel's symbols again if they are in use: modules came, and may be gone when their addresses are
    /// printed.
    pub fn refresh_kernel(&mut self) {
        if self.kernel.is_some() {
            self.kernel = Some(kernel_symbols());
        }
    }
}

fn kernel_symbols() -> Kallsyms {
    match File::open("/proc/kallsyms") {
        Ok(file) => Kallsyms::read(BufReader::new(file)),
        Err(_) => Kallsyms::default(),
    }
}

impl Symbols for SystemSymbols {
    fn ksym(&mut self, addr: u64) -> Option<(String, u64)> {
        self.kernel.get_or_insert_with(kernel_symbols).find(addr)
    }

    fn usym(&mut self, pid: u32, addr: u64) -> Option<UserSymbol> {
        self.processes.get_or_insert_with(Processes::new).find(pid, addr)
    }

    fn username(&mut self, uid: u32) -> Option<String> {
        self.users.get_or_insert_with(Users::of_system).name(uid)
    }

    fn cgroup_path(&mut self, id: u64) -> Option<String> {
        self.cgroups.get_or_insert_with(Cgroups::of_system).path(id)
    }
}
