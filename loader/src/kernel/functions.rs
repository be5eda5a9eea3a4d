//! Traceable functions and kernel symbols.
//!
//! Input    `available_filter_functions*` of tracefs, `/proc/kallsyms`
//! Output   functions that match a pattern; the address of a symbol
//! Ensures  sorted, without duplicates; nothing is read unless asked

use super::tracefs;
use std::collections::{BTreeSet, HashMap};
use std::io;

/// A function that can be probed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    /// Symbol.
    pub name: String,
    /// Module that has it; none for the kernel proper.
    pub module: Option<String>,
    /// Address; 0 if the kernel does not tell.
    pub address: u64,
}

/// Whether `name` matches `pattern`, in which `*` stands for any text.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            let Some(at) = rest.find(middle) else { return false };
            rest = rest.get(at + middle.len()..).unwrap_or_default();
        }
    }
    match last {
        None => rest.is_empty(),
        Some(last) => rest.ends_with(last),
    }
}

/// Functions whose name and module match; `vmlinux` as module means the kernel proper.
pub fn matching(module: Option<&str>, pattern: &str) -> io::Result<Vec<Function>> {
    let wanted = |name: &str, of: Option<&str>| {
        let in_module = match module {
            None => true,
            Some("vmlinux") => of.is_none(),
            Some(module) => of.is_some_and(|of| matches(module, of)),
        };
        in_module && matches(pattern, name) && (!pattern.contains('*') || !is_excluded(name))
    };
    let mut found = match tracefs::root() {
        Some(root) => match read(&root.join("available_filter_functions_addrs")) {
            Ok(text) => parse(&text, Columns::AddressName, wanted),
            Err(_) => {
                let text = read(&root.join("available_filter_functions"))?;
                let mut found = parse(&text, Columns::Name, wanted);
                add_addresses(&mut found, &read("/proc/kallsyms".as_ref())?);
                found
            }
        },
        None => parse(&read("/proc/kallsyms".as_ref())?, Columns::AddressTypeName, wanted),
    };
    found.sort();
    found.dedup();
    Ok(found)
}

/// Address of a symbol, 0 if the kernel hides it. Symbols of modules only if the module is named.
pub fn address(module: Option<&str>, name: &str) -> io::Result<Option<u64>> {
    let module = module.filter(|&module| module != "vmlinux");
    let text = read("/proc/kallsyms".as_ref())?;
    let found = lines(&text, Columns::AddressAnyName).find(|line| line.name == name && line.module == module);
    Ok(found.map(|line| line.address))
}

/// Where each of some symbols is, for those that exist: in a module, or (none) in the kernel proper.
pub fn owners(names: &BTreeSet<&str>) -> io::Result<HashMap<String, Option<String>>> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(owners_in(&read("/proc/kallsyms".as_ref())?, names))
}

/// Names are searched in the text as it is: most lines need not be taken apart.
fn owners_in(kallsyms: &str, names: &BTreeSet<&str>) -> HashMap<String, Option<String>> {
    let line_at = |at: usize| {
        let (before, after) = kallsyms.split_at_checked(at)?;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = after.find('\n').map_or(kallsyms.len(), |newline| at + newline);
        lines(kallsyms.get(start..end)?, Columns::AddressTypeName).next()
    };
    // The kernel proper comes first in the file, and first when the kernel looks a name up.
    let owner = |&name: &&str| {
        let mut found = kallsyms.match_indices(name).filter_map(|(at, _)| line_at(at));
        let line = found.find(|line| line.name == name)?;
        Some((name.to_owned(), line.module.map(str::to_owned)))
    };
    names.iter().filter(|name| !name.is_empty()).filter_map(owner).collect()
}

/// Everywhere that has a function of one of these names: modules, or (none) the kernel proper.
pub fn all_owners(names: &BTreeSet<&str>) -> io::Result<HashMap<String, Vec<Option<String>>>> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(all_owners_in(&read("/proc/kallsyms".as_ref())?, names))
}

fn all_owners_in(kallsyms: &str, names: &BTreeSet<&str>) -> HashMap<String, Vec<Option<String>>> {
    let mut owners: HashMap<String, Vec<Option<String>>> = HashMap::new();
    for line in lines(kallsyms, Columns::AddressTypeName).filter(|line| names.contains(line.name)) {
        owners.entry(line.name.to_owned()).or_default().push(line.module.map(str::to_owned));
    }
    owners
}

/// How many functions of this name there are in a module or the kernel proper.
pub fn count(module: Option<&str>, name: &str) -> io::Result<usize> {
    let text = read("/proc/kallsyms".as_ref())?;
    let is_it = |line: &Line<'_>| line.name == name && line.module == module;
    Ok(lines(&text, Columns::AddressTypeName).filter(is_it).count())
}

/// Functions that wildcards leave out, as bpftrace does: parts the compiler split off, placeholders, and what
/// the kernel's own tracing runs.
fn is_excluded(name: &str) -> bool {
    name.contains(".part.")
        || name.contains(".cold")
        || name.starts_with("__ftrace_invalid_address")
        || matches!(name, "__rcu_read_lock" | "__rcu_read_unlock" | "rcu_read_lock" | "rcu_read_unlock")
}

/// Two functions of one name in one place cannot be told apart by it, so both keep address 0.
fn add_addresses(functions: &mut [Function], kallsyms: &str) {
    let mut wanted: HashMap<(&str, Option<&str>), Vec<u64>> = HashMap::new();
    for function in functions.iter() {
        wanted.insert((&function.name, function.module.as_deref()), Vec::new());
    }
    for line in lines(kallsyms, Columns::AddressTypeName) {
        if let Some(addresses) = wanted.get_mut(&(line.name, line.module)) {
            addresses.push(line.address);
        }
    }
    let addresses: Vec<u64> = functions
        .iter()
        .map(|function| {
            match wanted.get(&(function.name.as_str(), function.module.as_deref())).map(Vec::as_slice) {
                Some([address]) => *address,
                _ => 0,
            }
        })
        .collect();
    for (function, address) in functions.iter_mut().zip(addresses) {
        function.address = address;
    }
}

fn read(path: &std::path::Path) -> io::Result<String> {
    let bytes = std::fs::read(path)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Columns {
    Name,
    AddressName,
    /// kallsyms, functions only.
    AddressTypeName,
    /// kallsyms, all symbols.
    AddressAnyName,
}

struct Line<'a> {
    address: u64,
    name: &'a str,
    module: Option<&'a str>,
}

fn lines(text: &str, columns: Columns) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(move |line| {
        let mut words = line.split_ascii_whitespace();
        let address = match columns {
            Columns::Name => 0,
            _ => u64::from_str_radix(words.next()?, 16).ok()?,
        };
        match columns {
            Columns::Name | Columns::AddressName => {}
            Columns::AddressTypeName if !matches!(words.next()?, "t" | "T" | "w" | "W") => return None,
            Columns::AddressTypeName => {}
            Columns::AddressAnyName => drop(words.next()?),
        }
        let name = words.next()?;
        let module = words.next().and_then(|word| word.strip_prefix('[')?.strip_suffix(']'));
        Some(Line { address, name, module })
    })
}

fn parse(text: &str, columns: Columns, wanted: impl Fn(&str, Option<&str>) -> bool) -> Vec<Function> {
    lines(text, columns)
        .filter(|line| wanted(line.name, line.module))
        .map(|line| Function {
            name: line.name.to_owned(),
            module: line.module.map(str::to_owned),
            address: line.address,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("vfs_read", "vfs_read", true),
            ("vfs_read", "vfs_readv", false),
            ("vfs_*", "vfs_read", true),
            ("*read", "vfs_read", true),
            ("v*r*d", "vfs_read", true),
            ("v*r*x", "vfs_read", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("*fs*re*", "vfs_read", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_kernel_proper_owns_a_symbol_first() {
        let kallsyms =
            "ffff00 t two_one_two\nffff01 t one\nffff05 t one\t[nf]\nffff06 t two\t[nf]\nffff07 d three";
        let owners = owners_in(kallsyms, &BTreeSet::from(["one", "two", "three"]));
        assert_eq!(
            owners,
            HashMap::from([("one".to_owned(), None), ("two".to_owned(), Some("nf".to_owned()))])
        );
    }

    #[test]
    fn a_function_may_have_several_owners() {
        let kallsyms = "ffff01 t one\nffff05 t one\t[nf]\nffff06 t two\t[nf]\nffff07 d two\n";
        let owners = all_owners_in(kallsyms, &BTreeSet::from(["one", "two"]));
        let nf = || Some("nf".to_owned());
        let expected = [("one".to_owned(), vec![None, nf()]), ("two".to_owned(), vec![nf()])];
        assert_eq!(owners, HashMap::from(expected));
    }

    #[test]
    fn kallsyms_gives_addresses_to_names_that_are_unique() {
        let kallsyms = "ffff01 t one\nffff02 T two\nffff03 t two\nffff04 d three\nffff05 t one\t[nf]\n";
        let mut functions = parse("one\ntwo\nthree\none [nf]\n", Columns::Name, |_, _| true);
        add_addresses(&mut functions, kallsyms);
        let addresses: Vec<u64> = functions.iter().map(|f| f.address).collect();
        assert_eq!(addresses, [0xffff01, 0, 0, 0xffff05]);
    }
}
