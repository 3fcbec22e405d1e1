//! The example `weather_fetch`: its decoders and its fetcher against servers of our own, and the program as a user
//! runs it. The captured answers lie beside the repository; where they don't, the tests on them say so and pass over.

#![expect(clippy::print_stderr, reason = "a test that finds no data must say so")]

#[path = "../examples/weather_fetch/day.rs"]
mod day;
#[path = "../examples/weather_fetch/decode.rs"]
mod decode;
#[path = "../examples/weather_fetch/fetch.rs"]
mod fetch;
#[path = "../examples/common/plain.rs"]
#[expect(dead_code, reason = "only the program names paths")]
mod plain;
#[path = "../examples/weather_fetch/python.rs"]
mod python;
#[path = "../examples/weather_fetch/rate.rs"]
mod rate;
#[path = "../examples/weather_fetch/server/mod.rs"]
#[expect(dead_code, reason = "only the program serves a folder")]
mod server;

#[path = "weather/answers.rs"]
mod answers;
#[path = "weather/dumps.rs"]
mod dumps;
#[path = "weather/faults.rs"]
mod faults;
#[path = "weather/folder.rs"]
mod folder;
#[path = "weather/odd_servers.rs"]
mod odd_servers;
mod program;
#[path = "weather/run.rs"]
mod run;
// libc comes with the processes.
#[cfg(all(unix, feature = "process"))]
#[path = "weather/screen.rs"]
mod screen;
#[path = "weather/storm.rs"]
mod storm;

use std::{
    path::PathBuf,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use jiff::civil::{Date, date};

/// Runs a test under a hard time limit.
fn within(seconds: u64, test: impl FnOnce() + Send + 'static) {
    let (done, waiting) = mpsc::channel();
    let running = thread::spawn(move || {
        test();
        // The receiver is gone when the limit has passed; the test has failed then.
        let _ = done.send(());
    });
    match waiting.recv_timeout(Duration::from_secs(seconds)) {
        Err(RecvTimeoutError::Timeout) => panic!("not done after {seconds} s"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = running.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// The folder of captured answers, or none, said aloud.
fn captured() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/weather"));
    let found = folder.is_dir().then_some(folder);
    if found.is_none() {
        eprintln!("SKIPPED: there is no ../shared/data/weather, so the captured answers are not tested");
    }
    found
}

/// So many days from 2017-03-23 on: the program's own default.
fn days(n: usize) -> Vec<Date> {
    date(2017, 3, 23).series(jiff::Span::new().days(1)).take(n).collect()
}
