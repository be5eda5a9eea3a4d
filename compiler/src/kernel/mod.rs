//! The kernel description: types, functions and tracepoints of the kernel that scripts are compiled
//! against.
//!
//! Input    the live host, or BTF files named as in `/sys/kernel/btf`
//! Output   [`Kernel`]
//! Ensures  vmlinux is read at once, a module only when someone names it or something vmlinux lacks;
//!          a module nobody needs may be broken
//! Breaks   nothing: what was opened stays, handles remain valid
//!
//! | file | holds |
//! | --- | --- |
//! | `source.rs` | where files come from; the only place with I/O |
//! | `events.rs` | tracepoints by category |
//! | `list/` | `sondec list` |
//! | `pattern.rs` | `*` in names |

pub mod events;
pub mod list;
pub mod pattern;
mod source;

pub use source::Source;

use btf::{Btf, Kind, TypeId};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A BTF file of the kernel description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BtfId(pub u32);

impl BtfId {
    /// The kernel's own.
    pub const VMLINUX: BtfId = BtfId(0);
    /// Not a file: the C definitions of the script.
    pub const SCRIPT: BtfId = BtfId(u32::MAX);
    /// From here on user programs.
    const USER: u32 = 1 << 31;

    /// Not a file of the kernel's: the types of user program number `index`.
    pub fn user(index: usize) -> BtfId {
        BtfId(u32::try_from(index).unwrap_or(u32::MAX).saturating_add(BtfId::USER).min(u32::MAX - 1))
    }

    /// The number of the user program, if it is one.
    pub fn user_index(self) -> Option<usize> {
        let index = if self == BtfId::SCRIPT { None } else { self.0.checked_sub(BtfId::USER) };
        usize::try_from(index?).ok()
    }

    /// Whether it is the kernel's or a module's, so that accesses are relocated.
    pub fn is_kernel(self) -> bool {
        self.0 < BtfId::USER
    }
}

/// Name of the kernel's own BTF.
pub const VMLINUX: &str = "vmlinux";

/// Why there is no kernel description.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel that runs here describes no types.
    #[error(
        "this kernel has no BTF ({} does not exist): it needs CONFIG_DEBUG_INFO_BTF; compile against another's with `--btf FILE`",
        path.display()
    )]
    None {
        /// Where it would be.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file is no usable BTF.
    #[error("the BTF of `{name}` is broken")]
    Btf {
        /// The file, or the module.
        name: String,
        /// What is wrong.
        #[source]
        source: btf::Error,
    },
}

/// What is known of a module without BTF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleState {
    /// There are only files; they lack it.
    Unknown,
    /// Not on this host.
    Absent,
    /// Loaded.
    Loaded,
    /// Part of the kernel.
    BuiltIn,
}

/// A kernel as the compiler sees it.
#[derive(Debug)]
pub struct Kernel {
    vmlinux: Arc<Btf>,
    /// By name; `BtfId(n)` is the one at `n - 1`.
    modules: Vec<Module>,
    source: Source,
    traceable: OnceLock<Option<Traceable>>,
}

#[derive(Debug)]
struct Module {
    name: String,
    /// Where its bytes are, unless they were given.
    path: PathBuf,
    bytes: OnceLock<Arc<Vec<u8>>>,
    btf: OnceLock<Result<Btf, btf::Error>>,
}

/// The functions ftrace can hook, as the host tells them, but for those that kprobes must not touch.
#[derive(Debug)]
struct Traceable {
    functions: String,
    /// Module and name, sorted.
    blacklist: Vec<(String, String)>,
}

impl Kernel {
    /// The kernel that runs here.
    ///
    /// # Errors
    /// If its BTF cannot be read.
    pub fn live() -> Result<Kernel, Error> {
        let path = Path::new(source::LIVE_BTF);
        if !path.join(VMLINUX).exists() {
            return Err(Error::None { path: path.join(VMLINUX) });
        }
        Kernel::open(path, Source::live())
    }

    /// A kernel from files: vmlinux's BTF alone, or a folder like `/sys/kernel/btf`.
    ///
    /// # Errors
    /// If vmlinux's BTF cannot be read.
    pub fn from_path(path: &Path) -> Result<Kernel, Error> {
        Kernel::open(path, Source::Files)
    }

    /// A kernel from bytes: vmlinux's BTF, and those of modules by name.
    ///
    /// # Errors
    /// If vmlinux's BTF is broken.
    pub fn from_bytes(vmlinux: Vec<u8>, modules: Vec<(String, Vec<u8>)>) -> Result<Kernel, Error> {
        let modules = modules.into_iter().map(|(name, bytes)| {
            let module = Module::new(name, PathBuf::new());
            module.bytes.get_or_init(|| Arc::new(bytes));
            module
        });
        Kernel::new(vmlinux, modules.collect(), Source::Files)
    }

    fn open(path: &Path, source: Source) -> Result<Kernel, Error> {
        let is_dir = path.is_dir();
        let file = if is_dir { path.join(VMLINUX) } else { path.to_owned() };
        let modules = if is_dir { source::modules_in(path)? } else { Vec::new() };
        let modules = modules.into_iter().map(|(name, path)| Module::new(name, path)).collect();
        Kernel::new(source::read(&file)?, modules, source).map_err(|error| match error {
            Error::Btf { source, .. } => Error::Btf { name: file.display().to_string(), source },
            other => other,
        })
    }

    fn new(vmlinux: Vec<u8>, mut modules: Vec<Module>, source: Source) -> Result<Kernel, Error> {
        let broken = |source| Error::Btf { name: VMLINUX.to_owned(), source };
        let vmlinux = Arc::new(Btf::from_vec(vmlinux).map_err(broken)?);
        modules.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Kernel { vmlinux, modules, source, traceable: OnceLock::new() })
    }

    /// The types of a file; of vmlinux for an id that is none of ours or whose file is broken.
    pub fn btf(&self, id: BtfId) -> &Btf {
        self.try_btf(id).unwrap_or(&self.vmlinux)
    }

    /// vmlinux's types, to continue them.
    pub fn vmlinux(&self) -> &Arc<Btf> {
        &self.vmlinux
    }

    /// `vmlinux`, or the module's name.
    pub fn name(&self, id: BtfId) -> &str {
        self.module_at(id).map_or(VMLINUX, |module| &module.name)
    }

    /// The file of this name, opened.
    ///
    /// # Errors
    /// If there is a file and it cannot be used.
    pub fn find(&self, name: &str) -> Result<Option<BtfId>, Error> {
        if name == VMLINUX {
            return Ok(Some(BtfId::VMLINUX));
        }
        // The kernel writes `_` in module names where file names may have `-`.
        let name = name.replace('-', "_");
        let Ok(at) = self.modules.binary_search_by(|module| module.name.as_str().cmp(&name)) else {
            return Ok(None);
        };
        match self.modules[at].open(&self.vmlinux) {
            Ok(_) => Ok(Some(module_id(at))),
            Err(source) => Err(Error::Btf { name, source: source.clone() }),
        }
    }

    /// Files whose names match, opened; broken ones are left out.
    pub fn files_matching(&self, pattern: &str) -> Vec<BtfId> {
        let open = |name: &str| self.find(name).ok().flatten();
        if !pattern::is_pattern(pattern) {
            return open(pattern).into_iter().collect();
        }
        let names = std::iter::once(VMLINUX).chain(self.module_names());
        names.filter(|name| pattern::matches(pattern, name)).filter_map(open).collect()
    }

    /// Why a module has no BTF here.
    pub fn module_state(&self, name: &str) -> ModuleState {
        self.source.module_state(&name.replace('-', "_"))
    }

    /// Names of all modules, opened or not.
    pub fn module_names(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(|module| module.name.as_str())
    }

    /// Modules that may hold something of this name, by name. Opens those, and skips broken ones.
    pub fn modules_with(&self, name: &str) -> Vec<BtfId> {
        let base = source::offsets(self.vmlinux.as_bytes(), name);
        let candidates = self.modules.iter().enumerate().filter(|(_, module)| {
            module.btf.get().is_some() || source::mentions(module.bytes(), name, &base)
        });
        let usable = candidates.filter(|(_, module)| module.open(&self.vmlinux).is_ok());
        usable.map(|(at, _)| module_id(at)).collect()
    }

    /// Names of the modules whose files have been read.
    pub fn read_modules(&self) -> impl Iterator<Item = &str> {
        let read = self.modules.iter().filter(|module| module.bytes.get().is_some());
        read.map(|module| module.name.as_str())
    }

    /// Functions of this name in a file.
    pub fn functions_in(&self, file: BtfId, name: &str) -> impl Iterator<Item = (BtfId, TypeId)> {
        self.btf(file).find(name, Kind::Func).map(move |func| (file, func))
    }

    /// Functions of this name: vmlinux's, else all modules'. The id is the function's.
    pub fn functions(&self, name: &str) -> Vec<(BtfId, TypeId)> {
        let built_in: Vec<_> = self.functions_in(BtfId::VMLINUX, name).collect();
        if !built_in.is_empty() {
            return built_in;
        }
        self.modules_with(name).into_iter().flat_map(|file| self.functions_in(file, name)).collect()
    }

    /// The file of the only module, or vmlinux, with a function of this name.
    pub fn file_of(&self, function: &str) -> Option<BtfId> {
        // What compilers append to a name (`.isra.0`) is not in BTF.
        let plain = function.split('.').next().unwrap_or_default();
        let mut files: Vec<_> = self.functions(plain).into_iter().map(|(file, _)| file).collect();
        files.dedup();
        match files[..] {
            [only] => Some(only),
            [] => {
                let mut modules = self.traceable_functions()?.filter(|(_, name)| *name == function);
                let (module, _) = modules.next().filter(|_| modules.next().is_none())?;
                if module.is_empty() { None } else { self.find(module).ok().flatten() }
            }
            _ => None,
        }
    }

    /// Module and name of all functions that ftrace can hook, in the host's order; `""` is vmlinux.
    /// `None` if the host does not tell.
    pub fn traceable_functions(&self) -> Option<impl Iterator<Item = (&str, &str)>> {
        let traceable = || {
            let (functions, blacklist) = (self.source.traceable()?, self.source.blacklist());
            Some(Traceable { functions, blacklist })
        };
        let known = self.traceable.get_or_init(traceable).as_ref()?;
        let refused = |place: (&str, &str)| {
            known.blacklist.binary_search_by(|(module, name)| (&**module, &**name).cmp(&place)).is_ok()
        };
        let functions = known.functions.lines().filter_map(source::parse_traceable);
        Some(functions.filter(move |place| !refused(*place)))
    }

    fn module_at(&self, id: BtfId) -> Option<&Module> {
        self.modules.get(usize::try_from(id.0).ok()?.checked_sub(1)?)
    }

    fn try_btf(&self, id: BtfId) -> Option<&Btf> {
        self.module_at(id)?.open(&self.vmlinux).ok()
    }
}

fn module_id(at: usize) -> BtfId {
    BtfId(u32::try_from(at + 1).expect("fewer modules than a folder can hold"))
}

impl Module {
    fn new(name: String, path: PathBuf) -> Module {
        Module { name, path, bytes: OnceLock::new(), btf: OnceLock::new() }
    }

    /// The file's bytes; none if it cannot be read, which then is no BTF.
    fn bytes(&self) -> &Arc<Vec<u8>> {
        self.bytes.get_or_init(|| Arc::new(source::read(&self.path).unwrap_or_default()))
    }

    fn open(&self, base: &Arc<Btf>) -> Result<&Btf, &btf::Error> {
        let parse = || {
            let bytes: btf::Bytes = self.bytes().clone();
            Btf::parse_split(bytes, Arc::clone(base))
        };
        self.btf.get_or_init(parse).as_ref()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use btf::{Builder, IntEncoding, Linkage};

    #[test]
    fn host() {
        let path = Path::new(source::LIVE_BTF);
        if !path.exists() && std::env::var_os("CI").is_none() {
            return;
        }
        let kernel = Kernel::live().expect("Linux hosts have BTF");
        assert_eq!(kernel.functions("vfs_read").len(), 1);
        assert!(kernel.functions("no_such_function_at_all").is_empty());
    }

    #[test]
    fn broken_files_are_named() {
        let file = std::env::temp_dir().join(format!("broken.{}.btf", std::process::id()));
        std::fs::write(&file, b"no BTF").expect("writable");
        let said = Kernel::from_path(&file).map(|_| ()).map_err(|error| error.to_string());
        std::fs::remove_file(&file).expect("just written");
        assert_eq!(said, Err(format!("the BTF of `{}` is broken", file.display())));
    }

    #[test]
    fn functions_of_vmlinux() {
        let mut b = Builder::new();
        let int = b.add_int("int", 4, IntEncoding { signed: true, ..IntEncoding::default() });
        let proto = b.add_func_proto(int, &[]);
        b.add_func("f", proto, Linkage::Static);
        let kernel = Kernel::from_bytes(b.finish().expect("small"), Vec::new()).expect("just written");
        assert_eq!(kernel.functions("f").len(), 1);
        assert_eq!(kernel.name(BtfId::VMLINUX), "vmlinux");
        assert!(kernel.find("nf_tables").expect("no file").is_none());
    }
}
