//! What tasks log in worker processes reaches this process's logger.

use crate::processes_support::{builder, die};
use crate::support::{LIMIT, eventually, keep_log, limit, logged, was_logged};
use concurrent_futures::prelude::*;
use concurrent_futures::{ProcessPoolBuilder, TaskError};
use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

fn named(prefix: &str, workers: usize) -> ProcessPoolBuilder {
    keep_log();
    builder(workers).name_prefix(prefix)
}

fn log_many((name, count): (String, u32)) {
    for n in 0..count {
        log::info!(target: "many", "{name} {n}");
    }
    die(());
}

#[test]
fn ten_thousand_records_are_whole_and_in_order_with_the_one_before_an_abort() {
    limit(LIMIT, || {
        let pool = named("whole", 2).build().unwrap();
        let ends = ["first", "second"].map(|name| pool.submit(log_many, (name.to_owned(), 5000)));
        for end in ends {
            assert!(matches!(end.result(), Err(TaskError::WorkerDied(_))));
        }
        drop(pool);
        for name in ["first", "second"] {
            let records = logged(&["INFO many::whole_", &format!(": {name} ")]);
            let texts: Vec<&str> = records.iter().filter_map(|record| record.split(": ").nth(1)).collect();
            let expected: Vec<String> = (0..5000).map(|n| format!("{name} {n}")).collect();
            assert_eq!(texts, expected);
        }
    });
}

#[test]
fn what_was_logged_before_a_death_comes_before_its_error() {
    limit(LIMIT, || {
        let pool = named("before", 1).build().unwrap();
        let last = |()| {
            log::error!("the last words of before_0");
            die(());
        };
        assert!(pool.submit(last, ()).result().is_err());
        assert!(was_logged(&["ERROR it::processes_logs::before_0: the last words of before_0"]));
    });
}

struct Counts;
static SHOWN: AtomicU32 = AtomicU32::new(0);
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SHOWN.fetch_add(1, Ordering::Relaxed);
        f.write_str("counted")
    }
}
fn log_both((): ()) -> (u32, bool) {
    log::debug!("{Counts}");
    log::info!("{Counts}");
    (SHOWN.load(Ordering::Relaxed), log::log_enabled!(log::Level::Debug))
}

#[test]
fn what_lies_above_the_level_is_not_even_written_down() {
    limit(LIMIT, || {
        let pool = named("filtered", 1).build().unwrap();
        assert_eq!(pool.submit(log_both, ()).result().unwrap(), (1, false));
        drop(pool);
        assert!(was_logged(&["INFO", "filtered_0: counted"]) && !was_logged(&["DEBUG", "filtered_0"]));
    });
}

fn log_and_die((): ()) {
    let text = format!("{} end of it", "long ".repeat(10_000));
    let logs = move || loop {
        log::info!(target: "cut", "{text}");
    };
    std::thread::spawn(logs);
    std::thread::park_timeout(std::time::Duration::from_millis(20));
    die(());
}

#[test]
fn threads_that_a_task_started_log_as_well_and_a_cut_record_is_none() {
    limit(LIMIT, || {
        let pool = named("threads", 1).build().unwrap();
        for _ in 0..3 {
            assert!(pool.submit(log_and_die, ()).result().is_err());
        }
        drop(pool);
        let records = logged(&["INFO cut::threads_0: "]);
        assert!(!records.is_empty());
        assert!(records.iter().all(|record| record.ends_with(" end of it") && record.len() > 50_000));
    });
}

#[test]
fn a_pool_that_forwards_none() {
    limit(LIMIT, || {
        let pool = named("none", 1).forward_logs(false).build().unwrap();
        let log = |()| {
            log::error!("said to nobody");
            log::max_level() == log::LevelFilter::Off
        };
        assert!(pool.submit(log, ()).result().unwrap());
        drop(pool);
        assert!(!was_logged(&["said to nobody"]));
    });
}

/// A logger of the worker's own, which writes to a file.
struct ToFile(PathBuf);

impl log::Log for ToFile {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut file = std::fs::File::options().create(true).append(true).open(&self.0).unwrap();
        writeln!(file, "{}", record.args()).unwrap();
    }

    fn flush(&self) {}
}

fn set_own(path: PathBuf) {
    log::set_logger(Box::leak(Box::new(ToFile(path)))).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
    log::info!("by the initializer");
}

#[test]
fn a_logger_that_an_initializer_sets_stays() {
    limit(LIMIT, || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let pool = named("own", 1).initializer(set_own, path.clone()).build().unwrap();
        pool.submit(|()| log::debug!("to its own logger"), ()).result().unwrap();
        drop(pool);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "by the initializer\nto its own logger\n");
        assert!(!was_logged(&["to its own logger"]) && !was_logged(&["by the initializer"]));
    });
}

fn inner((): ()) {
    log::warn!(target: "nested", "from within");
}
fn outer((): ()) {
    let pool = ProcessPoolExecutor::builder().max_workers(1).name_prefix("inner").build().unwrap();
    pool.submit(inner, ()).result().unwrap();
}

#[test]
fn a_pool_in_a_task_logs_by_way_of_its_worker() {
    limit(LIMIT, || {
        let pool = named("outer", 1).build().unwrap();
        pool.submit(outer, ()).result().unwrap();
        drop(pool);
        assert!(was_logged(&["WARN nested::inner_0::outer_0: from within"]));
    });
}

fn log_all((): ()) {
    log::info!(target: "whence", shape = "round", size:? = (1, 2); "with keys");
}

#[test]
fn a_record_keeps_its_place_and_its_keys() {
    limit(LIMIT, || {
        let pool = named("place", 1).build().unwrap();
        pool.submit(log_all, ()).result().unwrap();
        drop(pool);
        let records = logged(&["whence::place_0: with keys"]);
        let place = ["[it::processes_logs ", concat!(file!(), ":")];
        assert!(records.len() == 1 && place.iter().all(|part| records[0].contains(part)), "{records:?}");
        assert!(records[0].ends_with("] shape=round size=(1, 2)"), "{records:?}");
    });
}

#[test]
fn workers_that_take_turns_all_log() {
    limit(LIMIT, || {
        let pool = named("turns", 1).max_tasks_per_child(1).build().unwrap();
        for n in 0..3 {
            pool.submit(|n: u32| log::info!("turn {n}"), n).result().unwrap();
        }
        eventually(|| (0..3).all(|n| was_logged(&[&format!("turns_0: turn {n}")])));
    });
}
