//! BTF of vmlinux and of modules, each read when first named.
//!
//! Input    `/sys/kernel/btf`
//! Output   shared [`Btf`]s
//! Ensures  a module's file is opened only if its name is asked for; a broken one is an error only for who asks

use crate::error::Error;
use crate::sys::memory::FrozenFile;
use btf::{Btf, Bytes};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

/// Name that stands for the kernel proper.
pub const VMLINUX: &str = "vmlinux";

const FOLDER: &str = "/sys/kernel/btf";

/// The running kernel's types.
#[derive(Debug)]
pub struct KernelTypes {
    folder: PathBuf,
    verbose: bool,
    vmlinux: Option<Arc<Btf>>,
    modules: BTreeMap<String, Arc<Btf>>,
}

impl KernelTypes {
    /// Opens nothing yet. With `verbose`, says on stderr what it opens.
    pub fn new(verbose: bool) -> Self {
        Self::in_folder(FOLDER.into(), verbose)
    }

    pub(crate) fn in_folder(folder: PathBuf, verbose: bool) -> Self {
        Self { folder, verbose, vmlinux: None, modules: BTreeMap::new() }
    }

    /// Whether to say on stderr what is done with the types.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Types of the kernel proper.
    pub fn vmlinux(&mut self) -> Result<Arc<Btf>, Error> {
        if let Some(btf) = &self.vmlinux {
            return Ok(btf.clone());
        }
        let bytes = self.read(VMLINUX)?;
        let btf = Btf::parse(bytes).map_err(|source| self.error(VMLINUX, source))?;
        Ok(self.vmlinux.insert(Arc::new(btf)).clone())
    }

    /// Types of a module, or of the kernel proper.
    pub fn module(&mut self, name: &str) -> Result<Arc<Btf>, Error> {
        if name == VMLINUX {
            return self.vmlinux();
        }
        if let Some(btf) = self.modules.get(name) {
            return Ok(btf.clone());
        }
        let base = self.vmlinux()?;
        let bytes = self.read(name)?;
        let btf = Btf::parse_split(bytes, base).map_err(|source| self.error(name, source))?;
        let btf = Arc::new(btf);
        self.modules.insert(name.to_owned(), btf.clone());
        Ok(btf)
    }

    /// Forgets the types of modules: they may have been loaded again, from another build.
    pub fn forget_modules(&mut self) {
        self.modules.clear();
    }

    /// Whether a module has types, without opening them.
    pub fn has_module(&self, name: &str) -> bool {
        is_module_name(name) && self.folder.join(name).exists()
    }

    /// Names of the modules whose types are open.
    pub fn opened_modules(&self) -> Vec<String> {
        self.modules.keys().cloned().collect()
    }

    /// Names of all loaded modules that have types.
    pub fn module_names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name != VMLINUX).collect();
        names.sort();
        names
    }

    fn error(&self, module: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::KernelTypes { module: module.into(), path: self.folder.join(module), source: source.into() }
    }

    fn read(&self, name: &str) -> Result<Bytes, Error> {
        let path = self.folder.join(name);
        if !is_module_name(name) {
            return Err(self.error(name, "not a module's name"));
        }
        let mut file = File::open(&path).map_err(|source| self.error(name, source))?;
        if self.verbose {
            eprintln!("opened BTF {}", path.display());
        }
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        let len = usize::try_from(len).unwrap_or(0);
        // Saves a copy of some 6 MB; most kernels cannot do it.
        if name == VMLINUX
            && let Ok(mapped) = FrozenFile::map(&file, len)
        {
            return Ok(Arc::new(mapped));
        }
        let mut bytes = Vec::with_capacity(len + 1);
        file.read_to_end(&mut bytes).map_err(|source| self.error(name, source))?;
        Ok(Arc::new(bytes))
    }
}

/// Whether a name from a manifest can be a file of the folder, and no way out of it.
pub(crate) fn is_module_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_folder() {
        let mut types = KernelTypes::new(false);
        for name in ["", "../x", "a/b", ".", ".."] {
            assert!(!types.has_module(name), "{name}");
            assert!(types.module(name).is_err(), "{name}");
        }
    }
}
