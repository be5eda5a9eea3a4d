//! User programs and libraries on the build host: their functions.
//!
//! Input    names of files as scripts write them
//! Output   names of functions
//! Ensures  files are looked at only if a script cannot do without

use std::path::{Path, PathBuf};
use userelf::Image;

/// The file meant by a name.
fn find(name: &str) -> Result<PathBuf, String> {
    let search = std::env::var("PATH").ok();
    userelf::find::target(name, Path::new("/"), search.as_deref())
        .ok_or_else(|| "there is no such file".into())
}

/// Names of the functions of a file that are `wanted`, sorted.
pub fn functions(name: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let path = find(name)?;
    let symbols = Image::open(&path).and_then(|image| image.symbols()).map_err(|error| error.to_string())?;
    let found = symbols.matching(wanted).into_iter().filter(|symbol| symbol.size > 0);
    let mut names: Vec<_> = found.map(|symbol| symbol.name.to_owned()).collect();
    names.sort();
    names.dedup();
    Ok(names)
}
