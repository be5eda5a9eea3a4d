//! What is known on every path to the current point: values of pure helpers, results of look-ups.
//!
//! Lowering follows the structure of the script, so dominance is nesting: a branch starts with the
//! facts of its condition, and behind the branches only facts that hold on all of them remain.
//! Calls are fences to the optimiser (CODEGEN section 5.9): without this, `pid` would call its helper
//! each time.

use cranelift_codegen::ir;

use crate::types::tree::MapId;

/// Something whose value stays the same while a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pure {
    /// `bpf_get_current_pid_tgid`.
    PidTgid,
    /// `bpf_get_current_uid_gid`.
    UidGid,
    /// `bpf_get_current_task_btf`.
    CurrentTask,
    /// `bpf_get_func_ip`.
    FuncIp,
    /// This program's slot of the per-CPU scratch map, not null.
    Scratch,
}

/// A map element that was looked up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// The map.
    pub map: MapId,
    /// The key, as text that only equal pure expressions share.
    pub key: String,
    /// Pointer to the value, not null.
    pub value: ir::Value,
}

/// The facts at one point.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pure: Vec<(Pure, ir::Value)>,
    found: Vec<Found>,
}

impl Facts {
    /// The value of `what`, if it was computed.
    pub(crate) fn get(&self, what: Pure) -> Option<ir::Value> {
        self.pure.iter().find(|(known, _)| *known == what).map(|(_, value)| *value)
    }

    /// From here on `what` is `value`.
    pub(crate) fn set(&mut self, what: Pure, value: ir::Value) {
        self.pure.push((what, value));
    }

    /// The element of `map` under `key`, if it was found.
    pub(crate) fn found(&self, map: MapId, key: &str) -> Option<ir::Value> {
        self.found.iter().find(|f| f.map == map && f.key == key).map(|f| f.value)
    }

    /// From here on the element exists.
    pub(crate) fn set_found(&mut self, found: Found) {
        self.found.push(found);
    }

    /// Elements of `map` may be gone or new.
    pub(crate) fn forget_map(&mut self, map: MapId) {
        self.found.retain(|f| f.map != map);
    }

    /// Keys that depend on variable `name` (as [`Found::key`] spells it) may mean others.
    pub(crate) fn forget_var(&mut self, name: &str) {
        self.found.retain(|f| !f.key.contains(name));
    }

    /// Any element may be gone.
    pub(crate) fn forget_elements(&mut self) {
        self.found.clear();
    }

    /// What holds on both of two paths.
    pub(crate) fn meet(mut self, other: &Facts) -> Facts {
        self.pure.retain(|fact| other.pure.contains(fact));
        self.found.retain(|fact| other.found.contains(fact));
        self
    }
}
