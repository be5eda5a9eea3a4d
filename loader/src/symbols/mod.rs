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

    /// Forgets the kernel's symbols: modules came or went.
    pub fn forget_kernel(&mut self) {
        self.kernel = None;
    }
}

impl Symbols for SystemSymbols {
    fn ksym(&mut self, addr: u64) -> Option<(String, u64)> {
        let kernel = self.kernel.get_or_insert_with(|| match File::open("/proc/kallsyms") {
            Ok(file) => Kallsyms::read(BufReader::new(file)),
            Err(_) => Kallsyms::default(),
        });
        kernel.find(addr)
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
