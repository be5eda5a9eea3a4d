//! Kernel types for `sondec --btf`, taken from the kernel package: the image and the modules carry in
//! `.BTF` exactly the bytes that `/sys/kernel/btf` shows on the running kernel.

use crate::{Failure, lab};
use goblin::elf::Elf;
use std::path::{Path, PathBuf};

/// A directory shaped like `/sys/kernel/btf` with `vmlinux` and the named modules of `kernel`.
pub fn directory(kernel: &str, modules: &[&str]) -> Result<PathBuf, Failure> {
    let home = lab::lab().join("kernels").join(kernel);
    let dir = home.join("btf");
    std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    extract(&home.join("vmlinux"), &dir.join("vmlinux"))?;
    for module in modules {
        extract(&module_file(&home, module)?, &dir.join(module.replace('-', "_")))?;
    }
    Ok(dir)
}

fn extract(elf: &Path, to: &Path) -> Result<(), Failure> {
    if to.exists() {
        return Ok(());
    }
    let failed = |e: String| format!("{}: {e}", elf.display());
    let bytes = std::fs::read(elf).map_err(|e| failed(e.to_string()))?;
    let parsed = Elf::parse(&bytes).map_err(|e| failed(e.to_string()))?;
    let section = parsed
        .section_headers
        .iter()
        .find(|s| parsed.shdr_strtab.get_at(s.sh_name) == Some(".BTF"))
        .and_then(|s| s.file_range())
        .ok_or_else(|| failed("has no .BTF section".into()))?;
    let btf = bytes.get(section).ok_or_else(|| failed(".BTF leaves the file".into()))?;
    // Several test programs may be here at once: the name appears with the whole contents only.
    let partial = to.with_extension(std::process::id().to_string());
    std::fs::write(&partial, btf)
        .and_then(|()| std::fs::rename(&partial, to))
        .map_err(|e| format!("{}: {e}", to.display()))
}

fn module_file(kernel_home: &Path, module: &str) -> Result<PathBuf, Failure> {
    let root = kernel_home.join("modules");
    let dep = root.join("modules.dep");
    let text = std::fs::read_to_string(&dep).map_err(|e| format!("{}: {e}", dep.display()))?;
    let want = module.replace('-', "_");
    text.lines()
        .filter_map(|line| line.split(':').next())
        .find(|path| {
            Path::new(path).file_stem().is_some_and(|s| s.to_string_lossy().replace('-', "_") == want)
        })
        .map(|path| root.join(path))
        .ok_or_else(|| format!("no module {module} in {}", dep.display()))
}
