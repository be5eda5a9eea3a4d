//! Kernel types for `sondec --btf`, taken from the kernel package: the image and the modules carry in
//! `.BTF` exactly the bytes that `/sys/kernel/btf` shows on the running kernel. A module built outside the
//! kernel's tree has a base of its own in `.BTF.base`: it is moved onto the kernel's, as loading it would.

use crate::{Failure, lab};
use btf::{Btf, relocate_split};
use goblin::elf::Elf;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory shaped like `/sys/kernel/btf` with `vmlinux` and the named modules of `kernel`.
pub fn directory(kernel: &str, modules: &[&str]) -> Result<PathBuf, Failure> {
    let home = lab::lab().join("kernels").join(kernel);
    let dir = home.join("btf");
    std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let vmlinux = dir.join("vmlinux");
    extract(&home.join("vmlinux"), &vmlinux, &vmlinux)?;
    for module in modules {
        extract(&module_file(&home, module)?, &dir.join(module.replace('-', "_")), &vmlinux)?;
    }
    Ok(dir)
}

/// Whether the module's types stand on a base of its own.
pub fn has_own_base(kernel: &str, module: &str) -> Result<bool, Failure> {
    let elf = module_file(&lab::lab().join("kernels").join(kernel), module)?;
    let failed = |e: String| format!("{}: {e}", elf.display());
    let bytes = std::fs::read(&elf).map_err(|e| failed(e.to_string()))?;
    let parsed = Elf::parse(&bytes).map_err(|e| failed(e.to_string()))?;
    Ok(section(&parsed, &bytes, ".BTF.base").is_some())
}

/// Writes the BTF of `elf`, over the kernel's in `vmlinux`, to `to`, unless it is there since `elf` was made.
fn extract(elf: &Path, to: &Path, vmlinux: &Path) -> Result<(), Failure> {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified());
    if changed(to).is_ok_and(|made| changed(elf).is_ok_and(|source| source < made)) {
        return Ok(());
    }
    let failed = |e: String| format!("{}: {e}", elf.display());
    let bytes = std::fs::read(elf).map_err(|e| failed(e.to_string()))?;
    let parsed = Elf::parse(&bytes).map_err(|e| failed(e.to_string()))?;
    let own = section(&parsed, &bytes, ".BTF").ok_or_else(|| failed("has no .BTF section".into()))?;
    let own = match section(&parsed, &bytes, ".BTF.base") {
        Some(base) => moved(own, base, vmlinux).map_err(failed)?,
        None => own.to_vec(),
    };
    // Several test programs may be here at once: the name appears with the whole contents only.
    let partial = to.with_extension(std::process::id().to_string());
    std::fs::write(&partial, own)
        .and_then(|()| std::fs::rename(&partial, to))
        .map_err(|e| format!("{}: {e}", to.display()))
}

fn section<'a>(elf: &Elf<'_>, bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let header = elf.section_headers.iter().find(|s| elf.shdr_strtab.get_at(s.sh_name) == Some(name))?;
    bytes.get(header.file_range()?)
}

fn moved(own: &[u8], base: &[u8], vmlinux: &Path) -> Result<Vec<u8>, Failure> {
    let kernel = std::fs::read(vmlinux).map_err(|e| format!("{}: {e}", vmlinux.display()))?;
    let kernel = Btf::from_vec(kernel).map_err(|e| format!("{}: {e}", vmlinux.display()))?;
    let base = Btf::from_vec(base.to_vec()).map_err(|e| format!(".BTF.base: {e}"))?;
    let split = Btf::parse_split(Arc::new(own.to_vec()), Arc::new(base)).map_err(|e| format!(".BTF: {e}"))?;
    let moved = relocate_split(&split, &Arc::new(kernel)).map_err(|e| format!(".BTF.base: {e}"))?;
    Ok(moved.as_bytes().to_vec())
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
