//! What a worker process does last: the program's hook before an ordered leave, and nothing after any other end.

use crate::processes_support::Signals;
use crate::support::{LIMIT, eventually, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{BuildError, ProcessPoolBuilder, TaskError, current};
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

thread_local! {
    /// Rows that a worker has not written yet.
    static ROWS: RefCell<Option<BufWriter<File>>> = const { RefCell::new(None) };
}

fn add_row((folder, row): (PathBuf, u32)) -> u32 {
    ROWS.with_borrow_mut(|rows| {
        let name = format!("{}.rows", std::process::id());
        let rows = rows.get_or_insert_with(|| BufWriter::new(File::create(folder.join(name)).unwrap()));
        writeln!(rows, "{row}").unwrap();
    });
    row
}

fn flush(folder: PathBuf) {
    assert!(current().is_none());
    ROWS.with_borrow_mut(|rows| {
        if let Some(rows) = rows.as_mut() {
            rows.flush().unwrap();
        }
    });
    std::fs::write(folder.join(format!("{}.left", std::process::id())), "").unwrap();
}

fn builder(signals: &Signals) -> ProcessPoolBuilder {
    let folder = signals.path("");
    ProcessPoolExecutor::builder().max_workers(1).on_exit(flush, folder)
}

/// The files in the folder with this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|end| end == ending)).collect()
}

fn rows(folder: &Path) -> usize {
    files(folder, "rows").iter().map(|file| std::fs::read_to_string(file).unwrap().lines().count()).sum()
}

#[test]
fn what_a_worker_keeps_is_written_when_it_leaves() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let folder = signals.path("");
        // Drained.
        let pool = builder(&signals).build().unwrap();
        let added = pool.map(add_row, (0..100).map(|n| (folder.clone(), n))).filter(Result::is_ok).count();
        assert_eq!((added, rows(&folder)), (100, 0));
        pool.join();
        assert_eq!((rows(&folder), files(&folder, "left").len()), (100, 1));
        assert_eq!(pool.stats().deaths, 0);
        // Replaced after three tasks each.
        let pool = builder(&signals).max_tasks_per_child(3).build().unwrap();
        let added = pool.map(add_row, (0..6).map(|n| (folder.clone(), n))).filter(Result::is_ok).count();
        assert_eq!(added, 6);
        drop(pool);
        assert_eq!((rows(&folder), files(&folder, "left").len()), (106, 3));
        // Idle for too long.
        let pool = builder(&signals).keep_alive(Duration::from_millis(1)).build().unwrap();
        pool.submit(add_row, (folder.clone(), 1)).result().unwrap();
        eventually(|| rows(&folder) == 107 && files(&folder, "left").len() == 4);
    });
}

fn die(_: u32) {
    std::process::abort();
}

#[test]
fn it_is_not_called_in_a_worker_that_dies() {
    limit(LIMIT, || {
        let signals = Signals::new();
        let folder = signals.path("");
        let pool = builder(&signals).build().unwrap();
        pool.submit(add_row, (folder.clone(), 1)).result().unwrap();
        assert!(matches!(pool.submit(die, 1).result(), Err(TaskError::WorkerDied(_))));
        let killed = signals.hold(&pool, "killed");
        assert!(killed.kill());
        killed.result().unwrap_err();
        let _held = signals.hold(&pool, "held");
        pool.kill_workers();
        pool.join();
        assert!(files(&folder, "left").is_empty());
        assert_eq!(rows(&folder), 0);
    });
}

fn panic_or_hang(hangs: bool) {
    if hangs {
        loop {
            std::thread::park();
        }
    }
    panic!("on purpose");
}

#[test]
fn one_that_panics_or_hangs_holds_up_nothing_for_long() {
    limit(LIMIT, || {
        let begins = |hangs| {
            let pool =
                ProcessPoolExecutor::builder().max_workers(1).on_exit(panic_or_hang, hangs).build().unwrap();
            assert_eq!(pool.submit(|n: u32| n + 1, 1).result().unwrap(), 2);
            pool
        };
        let pool = begins(false);
        pool.join();
        assert_eq!(pool.stats().deaths, 0);
        let pool = begins(true);
        let start = Instant::now();
        pool.join();
        assert!(start.elapsed() >= Duration::from_secs(4), "it has five seconds");
        assert_eq!(pool.stats().deaths, 0);
    });
}

#[test]
fn an_argument_that_cannot_be_encoded_is_an_error_of_build() {
    limit(LIMIT, || {
        #[derive(Debug)]
        struct Bad;
        impl serde::Serialize for Bad {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("not today"))
            }
        }
        impl<'de> serde::Deserialize<'de> for Bad {
            fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Ok(Bad)
            }
        }
        let built = ProcessPoolExecutor::builder().on_exit(drop, Bad).build();
        let error = built.err().unwrap();
        assert!(matches!(error, BuildError::OnExit(_)), "{error}");
        assert!(error.to_string().contains("not today"), "{error}");
    });
}
