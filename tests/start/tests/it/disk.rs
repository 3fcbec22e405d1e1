//! Full and read-only folders for temporary things, and a root without anything.

use crate::program::{Folder, limit, lines, lines_if_permitted, skip};
use std::path::Path;

const UNTRIED: &str = "no mounts of its own here, so no full or read-only /tmp and /dev/shm were tried";

#[test]
fn full_or_read_only_folders_are_nothing_to_a_pool() {
    limit(|| {
        for folder in ["/tmp", "/dev/shm"] {
            if Path::new(env!("CARGO_BIN_EXE_start")).starts_with(folder) {
                skip(&format!("the program lies in {folder}, so that was neither full nor read-only"));
            }
        }
        for how in ["full", "readonly"] {
            if let Some(lines) = lines_if_permitted(&["disk", how, "check"], UNTRIED) {
                assert_eq!(lines, ["checked"], "{how}");
            }
        }
    });
}

/// Where memfd is refused, memory is shared by a file in /dev/shm: a page that it has no room for must not be found out
/// by a SIGBUS in the parent.
#[test]
fn without_memfd_the_pool_says_that_there_is_no_room() {
    limit(|| {
        for (how, why) in [("full", "No space left on device"), ("readonly", "Read-only file system")] {
            let arguments = ["disk", how, "without", "memfd_create", "error"];
            if let Some(lines) = lines_if_permitted(&arguments, UNTRIED) {
                let start = "error: the pool is broken: no worker can be started: the memory shared with a worker could not \
                             be created: ";
                assert!(lines[0].starts_with(start), "{how}: {lines:?}");
                assert!(lines[0].contains(why), "{how}: {lines:?}");
            }
        }
    });
}

#[test]
fn a_parent_that_changes_its_root_is_told_what_is_missing() {
    limit(|| {
        let folder = Folder::new("empty-root");
        let untried = "only root can change its root, so no pool was left without /proc after it was built";
        if let Some(lines) =
            lines_if_permitted(&["empty-root", folder.0.to_str().expect("a plain path")], untried)
        {
            assert!(
                lines[0].starts_with("error: the pool is broken: no worker can be started: "),
                "{lines:?}"
            );
            assert!(lines[0].ends_with("/proc/self/exe, which can't be read here"), "{lines:?}");
        }
    });
}

#[test]
fn a_task_that_prints_to_a_full_disk_fails_alone() {
    limit(|| {
        let lines = lines(&["full-output"]);
        assert!(
            lines[0].starts_with("error: task ") && lines[0].contains("No space left on device"),
            "{lines:?}"
        );
        assert_eq!(lines[1..], ["next: Some(2)", "deaths 0"]);
    });
}
