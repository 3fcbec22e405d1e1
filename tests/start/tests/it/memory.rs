//! Workers that run out of memory, and who is killed for it.

use crate::program::{START, limit, lines, run, skip};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_kernel_is_to_take_a_worker_before_its_parent() {
    limit(|| {
        let lines = lines(&["scores"]);
        // The most that there is.
        let own: i32 = fs::read_to_string("/proc/self/oom_score_adj")
            .expect("a number")
            .trim()
            .parse()
            .expect("a number");
        assert_eq!(lines, [(own + 500).min(1000).wrapping_sub(own).to_string()]);
    });
}

/// A control group of this test's own, with so little memory; gone with it.
struct Group(PathBuf);

impl Group {
    const MEMORY: &str = "67108864";

    fn new() -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let of = |what: &str| {
            let line = groups.lines().find(|line| line.split(':').nth(1) == Some(what))?;
            Some(line.splitn(3, ':').nth(2)?.trim_start_matches('/').to_owned())
        };
        let name = format!("concurrent-futures-{}", std::process::id());
        let first = of("memory").map(|own| {
            let root = Path::new("/sys/fs/cgroup/memory");
            (
                root.join(own).join(&name),
                [("memory.limit_in_bytes", true), ("memory.memsw.limit_in_bytes", false)],
            )
        });
        let second = of("").map(|own| {
            (
                Path::new("/sys/fs/cgroup").join(own).join(&name),
                [("memory.max", true), ("memory.swap.max", false)],
            )
        });
        [first, second].into_iter().flatten().find_map(|(folder, limits)| {
            fs::create_dir(&folder).ok()?;
            let group = Group(folder);
            let set = limits.iter().all(|(file, is_needed)| {
                let file = group.0.join(file);
                // A file that isn't there would be made by `write`, where this is no control group.
                let bytes = if file.ends_with("memory.swap.max") { "0" } else { Self::MEMORY };
                (file.exists() && fs::write(file, bytes).is_ok()) || !is_needed
            });
            set.then_some(group)
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_task_that_takes_all_memory_costs_itself_alone() {
    limit(|| {
        let Some(group) = Group::new() else {
            return skip(
                "no control group with a bound of memory can be made here, so no task was killed for want of it",
            );
        };
        let file = group.0.join("cgroup.procs");
        let said = run(Command::new(START).arg("devour").arg(file));
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert_eq!([lines[0], lines[2], lines[3]], ["before: Some(2)", "after: Some(3)", "held: 24"]);
        assert!(lines[1].starts_with("died: Some(9), ") && lines[1].contains("want of memory"), "{lines:#?}");
    });
}
