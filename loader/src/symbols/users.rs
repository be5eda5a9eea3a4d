//! Names of users, from `/etc/passwd` as it was at the first question.

use std::collections::BTreeMap;

/// Names by uid; the first line of a uid counts.
pub(super) struct Users {
    names: BTreeMap<u32, String>,
}

impl Users {
    pub(super) fn of_system() -> Users {
        Users::parse(&std::fs::read("/etc/passwd").unwrap_or_default())
    }

    fn parse(passwd: &[u8]) -> Users {
        let mut names = BTreeMap::new();
        for line in String::from_utf8_lossy(passwd).lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) {
                names.entry(uid).or_insert_with(|| name.to_owned());
            }
        }
        Users { names }
    }

    pub(super) fn name(&self, uid: u32) -> Option<String> {
        self.names.get(&uid).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let users =
            Users::parse(b"root:x:0:0:root:/root:/bin/sh\n\nbad\nalso:x:0:\nweb:x:33\nhuge:x:99999999999\n");
        for (uid, expected) in [(0, Some("root")), (33, Some("web")), (1, None)] {
            assert_eq!(users.name(uid).as_deref(), expected, "{uid}");
        }
    }
}
