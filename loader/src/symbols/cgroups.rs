//! Paths of cgroups by id, found by walking the mounted hierarchies.
//!
//! A cgroup's id is the inode number of its directory. bpftrace names a v2 path `unified:/path` and a
//! v1 path by the last component of its mount point, v2 first.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Directories one walk visits at the most.
const DIRECTORIES_MAX: usize = 200_000;

/// Answers kept; when there are more all are forgotten.
const CACHED_MAX: usize = 4096;

/// How long an id without a path is not looked for again.
const MISS_LASTS: Duration = Duration::from_secs(1);

/// The mounted hierarchies and what was found in them.
pub(super) struct Cgroups {
    /// Name and mount point.
    roots: Vec<(String, PathBuf)>,
    cached: HashMap<u64, Answer>,
}

struct Answer {
    /// The directories, to see whether they are still there.
    found: Vec<(usize, PathBuf)>,
    at: Instant,
}

impl Cgroups {
    pub(super) fn of_system() -> Cgroups {
        Cgroups::new(&fs::read_to_string("/proc/mounts").unwrap_or_default())
    }

    fn new(mounts: &str) -> Cgroups {
        Cgroups { roots: roots(mounts), cached: HashMap::new() }
    }

    /// `name:/path` in each hierarchy that has the id, joined by commas.
    pub(super) fn path(&mut self, id: u64) -> Option<String> {
        if !self.cached.get(&id).is_some_and(|answer| answer.is_fresh(id)) {
            let find = |(index, (_, mount)): (usize, &(String, PathBuf))| Some((index, walk(mount, id)?));
            let found = self.roots.iter().enumerate().filter_map(find).collect();
            if self.cached.len() >= CACHED_MAX {
                self.cached.clear();
            }
            self.cached.insert(id, Answer { found, at: Instant::now() });
        }
        let found = &self.cached.get(&id)?.found;
        let path = |(root, directory): &(usize, PathBuf)| {
            let (name, mount) = &self.roots[*root];
            let path = directory.strip_prefix(mount).unwrap_or(directory);
            format!("{name}:/{}", path.to_string_lossy())
        };
        (!found.is_empty()).then(|| found.iter().map(path).collect::<Vec<_>>().join(","))
    }
}

impl Answer {
    fn is_fresh(&self, id: u64) -> bool {
        match self.found.as_slice() {
            [] => self.at.elapsed() < MISS_LASTS,
            found => found.iter().all(|(_, directory)| is(directory, id)),
        }
    }
}

fn is(directory: &Path, id: u64) -> bool {
    fs::metadata(directory).is_ok_and(|metadata| metadata.ino() == id)
}

/// Lines `source mount-point type options …`, with spaces of the mount point as `\040`.
fn roots(mounts: &str) -> Vec<(String, PathBuf)> {
    let (mut v2, mut v1) = (Vec::new(), Vec::new());
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let (Some(mount), Some(kind)) = (fields.nth(1), fields.next()) else { continue };
        let mount = PathBuf::from(mount.replace("\\040", " "));
        match kind {
            "cgroup2" => v2.push(("unified".to_owned(), mount)),
            "cgroup" => {
                let name = mount.file_name().unwrap_or_default().to_string_lossy().into_owned();
                v1.push((name, mount));
            }
            _ => {}
        }
    }
    v1.sort();
    v2.extend(v1);
    v2
}

/// The directory with an inode number, breadth first.
fn walk(root: &Path, id: u64) -> Option<PathBuf> {
    if is(root, id) {
        return Some(root.to_owned());
    }
    let mut directories = std::collections::VecDeque::from([root.to_owned()]);
    let mut visited = 0;
    while let Some(directory) = directories.pop_front() {
        visited += 1;
        if visited > DIRECTORIES_MAX {
            return None;
        }
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if is(&entry.path(), id) {
                    return Some(entry.path());
                }
                directories.push_back(entry.path());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts() {
        let roots = roots(
            "proc /proc proc rw 0 0\ncgroup /sys/fs/cgroup/net\\040cls cgroup rw 0 0\n\
             cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\nshort\n",
        );
        let names: Vec<&str> = roots.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["unified", "cpu", "net cls"]);
    }

    #[test]
    fn finds_by_inode() {
        let root = tempfile_directory();
        let inner = root.join("a/b");
        fs::create_dir_all(&inner).expect("temporary directory");
        let id = |path: &Path| fs::metadata(path).expect("it was created").ino();
        let mut cgroups = Cgroups::new(&format!("x {} cgroup2 rw 0 0\n", root.display()));
        assert_eq!(cgroups.path(id(&inner)).as_deref(), Some("unified:/a/b"));
        assert_eq!(cgroups.path(id(&root)).as_deref(), Some("unified:/"));
        let gone = id(&inner);
        assert_eq!(cgroups.path(u64::MAX), None);
        fs::remove_dir(&inner).expect("it is empty");
        assert_eq!(cgroups.path(gone), None);
        fs::remove_dir_all(&root).expect("it is ours");
    }

    fn tempfile_directory() -> PathBuf {
        std::env::temp_dir().join(format!("sonde-cgroups-{}", std::process::id()))
    }
}
