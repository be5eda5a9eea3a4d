//! Modules that are loaded, and why one has no types.

use std::path::Path;

const FOLDER: &str = "/sys/module";

/// Whether there is nothing of this name; a pattern may mean anything.
pub fn is_absent(module: &str) -> bool {
    !module.contains('*') && !Path::new(FOLDER).join(module).exists()
}

/// Why a module's types are not there, and how to get them.
pub fn why_no_types(module: &str) -> String {
    let folder = Path::new(FOLDER).join(module);
    // Built-in code has a folder too if it has parameters; only modules have a state.
    if folder.join("initstate").exists() {
        format!(
            "Module `{module}` is loaded, but the kernel has no BTF of it: it was built without, CONFIG_DEBUG_INFO_BTF_MODULES is off, or the BTF did not match this kernel, which dmesg tells"
        )
    } else if folder.exists() {
        format!("Of this kernel `{module}` is no module but built in: name `vmlinux` instead")
    } else {
        format!("Module `{module}` is not loaded: modprobe {module}")
    }
}
