//! When to attach to modules and when to let go, from what sysfs shows of them.
//!
//! Input    `/sys/module`
//! Output   a [`Step`]
//! Ensures  a module that was unloaded and loaded again between two looks is not taken for the old one: its folder
//!          in sysfs has another inode

use crate::kernel::types::is_module_name;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

/// One time that some modules are loaded: the inodes of their folders, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Life(Vec<u64>);

/// What a look at some modules shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// One of them is not there.
    Gone,
    /// All are there, but one is on its way in or out.
    Moving(Life),
    /// All are loaded and ready.
    Live(Life),
}

/// Looks at modules below `root`, which is `/sys/module` but in tests.
pub(super) fn look(root: &Path, modules: &[String]) -> Sight {
    let mut life = Vec::new();
    let mut is_live = true;
    for module in modules {
        let folder = root.join(module);
        // Code that is built in may have a folder with parameters, but no state.
        let state = std::fs::read_to_string(folder.join("initstate"));
        match (is_module_name(module), folder.metadata(), state) {
            (true, Ok(folder), Ok(state)) => {
                life.push(folder.ino());
                is_live &= state.trim_end() == "live";
            }
            _ => return Sight::Gone,
        }
    }
    if is_live { Sight::Live(Life(life)) } else { Sight::Moving(Life(life)) }
}

impl Sight {
    fn life(&self) -> Option<&Life> {
        match self {
            Sight::Gone => None,
            Sight::Moving(life) | Sight::Live(life) => Some(life),
        }
    }
}

/// How far the probes of some modules have got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Their modules are not there.
    Away,
    /// The first attempts failed: the kernel may not be done with the modules.
    Settling(Life, Instant),
    /// Attached.
    Attached(Life),
    /// Let go of, until the modules are gone or time is over.
    Released(Life, Instant),
    /// Cannot be attached, however often it is tried.
    Failed(Life),
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Stay,
    /// The modules are not those of before: forget what is known of them, and look again.
    Leave,
    /// Attach.
    Attach,
}

impl State {
    /// What to do in this state, at this sight.
    pub(super) fn step(&self, sight: &Sight, now: Instant) -> Step {
        let is_live = matches!(sight, Sight::Live(_));
        let (life, is_due) = match self {
            State::Away if is_live => return Step::Attach,
            State::Away => return Step::Stay,
            State::Settling(life, _) => (life, true),
            State::Released(life, until) => (life, now >= *until),
            State::Attached(life) | State::Failed(life) => (life, false),
        };
        match sight.life() == Some(life) {
            false => Step::Leave,
            true if is_live && is_due => Step::Attach,
            true => Step::Stay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn life(inode: u64) -> Life {
        Life(vec![inode])
    }

    #[test]
    fn steps() {
        let now = Instant::now();
        let (past, later) = (now, now + Duration::from_secs(1));
        let (gone, live, moving, other) =
            (Sight::Gone, Sight::Live(life(1)), Sight::Moving(life(1)), Sight::Live(life(2)));
        for (state, at_gone, at_moving, at_live, at_other) in [
            (State::Away, Step::Stay, Step::Stay, Step::Attach, Step::Attach),
            (State::Settling(life(1), past), Step::Leave, Step::Stay, Step::Attach, Step::Leave),
            (State::Attached(life(1)), Step::Leave, Step::Stay, Step::Stay, Step::Leave),
            (State::Released(life(1), later), Step::Leave, Step::Stay, Step::Stay, Step::Leave),
            (State::Released(life(1), past), Step::Leave, Step::Stay, Step::Attach, Step::Leave),
            (State::Failed(life(1)), Step::Leave, Step::Stay, Step::Stay, Step::Leave),
        ] {
            let steps = [&gone, &moving, &live, &other].map(|sight| state.step(sight, now));
            assert_eq!(steps, [at_gone, at_moving, at_live, at_other], "{state:?}");
        }
    }

    #[test]
    fn sights() {
        let root = std::env::temp_dir().join(format!("sonde-life-{}", std::process::id()));
        let put = |module: &str, state: &str| {
            std::fs::create_dir_all(root.join(module)).expect("folder");
            std::fs::write(root.join(module).join("initstate"), state).expect("file");
        };
        put("a", "live\n");
        put("b", "coming\n");
        std::fs::create_dir_all(root.join("builtin/parameters")).expect("folder");
        let look = |modules: &[&str]| {
            let modules: Vec<String> = modules.iter().map(|module| (*module).to_owned()).collect();
            super::look(&root, &modules)
        };
        assert!(matches!(look(&["a"]), Sight::Live(_)));
        assert!(matches!(look(&["a", "b"]), Sight::Moving(_)));
        for modules in [&["a", "c"][..], &["builtin"], &["../a"], &["."], &[""]] {
            assert_eq!(look(modules), Sight::Gone, "{modules:?}");
        }
        let first = look(&["a"]);
        std::fs::rename(root.join("a"), root.join("old")).expect("rename");
        put("a", "live\n");
        assert_ne!(look(&["a"]), first, "loaded again");
        std::fs::remove_dir_all(&root).expect("clean");
    }
}
