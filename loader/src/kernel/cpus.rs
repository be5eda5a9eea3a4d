//! CPUs of the host, from `/sys/devices/system/cpu`.

use crate::error::Error;
use std::io;

/// Numbers of the CPUs that run now.
pub fn online() -> Result<Vec<u32>, Error> {
    read("online")
}

/// Numbers of the CPUs that may ever run; per-CPU values have a cell for each.
pub fn possible() -> Result<Vec<u32>, Error> {
    read("possible")
}

fn read(which: &str) -> Result<Vec<u32>, Error> {
    let path = format!("/sys/devices/system/cpu/{which}");
    let error = |source| Error::Io { what: path.clone(), source };
    let text = std::fs::read_to_string(&path).map_err(error)?;
    parse(text.trim()).ok_or_else(|| error(io::Error::new(io::ErrorKind::InvalidData, text)))
}

/// Reads a list such as `0-3,8`.
fn parse(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse().ok()?..=last.parse::<u32>().ok()?);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists() {
        for (text, cpus) in [
            ("0", Some(vec![0])),
            ("0-3", Some(vec![0, 1, 2, 3])),
            ("0-1,4,6-7", Some(vec![0, 1, 4, 6, 7])),
            ("", None),
            ("0-x", None),
        ] {
            assert_eq!(super::parse(text), cpus, "{text}");
        }
    }
}
