//! The resources of this process: memory, descriptors, threads, children, shared segments. All zero without `/proc`.

use std::fmt;
use std::fs;

/// At one moment.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct House {
    /// Resident memory of this process, in bytes.
    pub(crate) memory: u64,
    /// The part of it that was allocated and not freed.
    pub(crate) in_use: u64,
    /// Resident memory of its children together; what they share with it counts in both.
    pub(crate) memory_of_children: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) children: usize,
    /// Segments shared with workers.
    pub(crate) pages: usize,
}

impl House {
    pub(crate) fn look() -> Self {
        let children = children();
        let threads = entries("/proc/self/task");
        House {
            memory: resident("self"),
            in_use: crate::memory::in_use(),
            memory_of_children: children.iter().map(|pid| resident(&pid.to_string())).sum(),
            // Without the one that reads the folder.
            descriptors: entries("/proc/self/fd").saturating_sub(1),
            threads,
            children: children.len(),
            pages: fs::read_to_string("/proc/self/maps")
                .map(|maps| maps.matches("/memfd:concurrent-futures").count())
                .unwrap_or_default(),
        }
    }

    /// All but memory, which an allocator keeps.
    pub(crate) fn is_like(&self, other: &House) -> bool {
        let counts = |house: &House| (house.descriptors, house.threads, house.children, house.pages);
        counts(self) == counts(other)
    }
}

impl fmt::Display for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} MB, {} descriptors, {} threads, {} children, {} shared segments",
            self.memory as f64 / 1e6,
            self.descriptors,
            self.threads,
            self.children,
            self.pages
        )
    }
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).map(Iterator::count).unwrap_or_default()
}

/// The children of all threads, including those that have ended and were not waited for.
fn children() -> Vec<u32> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let lists: Vec<String> = lists.collect();
    lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

fn resident(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    1024 * kilobytes.unwrap_or_default()
}

/// Core files of all killed workers would fill the disk.
pub(crate) fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    // If refused, there are core files.
    let _ = setrlimit(Resource::Core, limit);
}
