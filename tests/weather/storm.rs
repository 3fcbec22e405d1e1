//! A storm: faults of every kind, a server that goes away and comes back, and 64 threads that fetch through it as the
//! program does. Each day must be right or reported, none twice, and nothing may be left behind.
//!
//! `WEATHER_STORM=10000` makes it so many days; `ci/long/weather-storm.sh` does.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use concurrent_futures::{TaskError, prelude::*};
use jiff::civil::Date;

use crate::{
    day::Day,
    days,
    decode::Api,
    faults::assert_right,
    fetch::{Cause, FetchError, Fetcher, Options, check_stop},
    program::in_own_process,
    server::{
        Outages, Server, Settings, Tally,
        answers::Answers,
        faults::{ALL, Faults},
    },
    within,
};

const WORKERS: usize = 64;
/// Days that the server knows nothing of: the one cause that is known beforehand.
const UNKNOWN: usize = 5;
const TIMEOUT: Duration = Duration::from_millis(400);
const RETRIES: usize = 3;
/// A call may end so much after its time-out, where 64 threads share few processors with others.
const SLACK: Duration = Duration::from_secs(5);

#[test]
fn each_day_is_right_or_reported() {
    let wanted = std::env::var("WEATHER_STORM").ok().map(|text| text.parse().expect("a number of days"));
    let limit = if wanted.is_some() { 600 } else { 100 };
    within(limit + 20, move || {
        in_own_process("storm::each_day_is_right_or_reported", move || {
            within(limit, move || storm(wanted));
        });
    });
}

/// So many days at 10 % faults; by default a hundred at 30 %, so that each kind comes.
fn storm(wanted: Option<usize>) {
    let (n, share) = wanted.map_or((100, 0.3), |n| (n, 0.1));
    let all = days(n + UNKNOWN);
    let before = House::look();
    let start = Instant::now();
    let storm = weather(&all, n, share, wanted.is_some());
    let seconds = start.elapsed().as_secs_f64();
    House::wait_for(&before);

    let mut results: Vec<_> = storm.results.keys().copied().collect();
    results.sort();
    assert_eq!(results, all, "a day is missing");
    let mut reported: BTreeMap<String, usize> = BTreeMap::new();
    for (date, result) in &storm.results {
        if let Err(error) = result {
            *reported.entry(cause(error)).or_default() += 1;
            let again = format!("(attempt {})", RETRIES + 1);
            let unknown = all[n..].contains(date) && error.to_string().contains("404");
            assert!(unknown || error.to_string().ends_with(&again), "{date} was given up early: {error}");
        }
    }
    let failed: usize = reported.values().sum();
    assert!(all[n..].iter().all(|date| storm.results[date].is_err()), "a day came from nowhere");
    assert!(failed * 2 < n, "{failed} of {n} days were reported: {reported:?}");
    let missing: Vec<_> =
        ALL.iter().filter(|fault| !storm.tally.faults.contains_key(fault)).map(ToString::to_string).collect();
    assert!(missing.is_empty(), "never committed: {missing:?}");
    assert!(
        storm.tally.outages >= if wanted.is_some() { 5 } else { 1 },
        "the server was away {} times",
        storm.tally.outages
    );
    // Time-outs were reached, and kept. An outage ends the longest of silences too.
    assert!(
        storm.time_outs > 0 && (TIMEOUT..TIMEOUT + SLACK).contains(&storm.longest),
        "{:?}",
        storm.longest
    );
    let peak = status_kib("VmHWM").map(|kib| kib / 1024);
    // A client that kept what it had read, or a thread for each call, would need more.
    assert!(peak.is_none_or(|mib| mib < 512), "{peak:?} MiB");

    println!("days right {}, reported {failed}: {reported:?}", n + UNKNOWN - failed);
    println!(
        "calls answered {}, repeated {}, {} after a time-out, the longest {:.2} s",
        storm.tally.answers,
        storm.retries,
        storm.time_outs,
        storm.longest.as_secs_f64()
    );
    let faults: Vec<_> = storm.tally.faults.iter().map(|(fault, n)| format!("{n} x {fault}")).collect();
    let committed: usize = storm.tally.faults.values().sum();
    println!("{committed} faults: {}; away {} times", faults.join(", "), storm.tally.outages);
    println!("{seconds:.1} s, at most {} MiB", peak.map_or("?".to_owned(), |mib| mib.to_string()));
}

/// What a storm left.
struct Storm {
    /// None is twice in it: that is checked as they come. A day that came right is not kept.
    results: HashMap<Date, Result<(), TaskError>>,
    retries: u64,
    /// Of the calls that were repeated.
    time_outs: usize,
    longest: Duration,
    tally: Tally,
}

/// The fetch of the program: a pool, one task a day, results as they complete.
fn weather(all: &[Date], known: usize, share: f64, long: bool) -> Storm {
    let (every, last) = if long { (1000, 400) } else { (600, 150) };
    let outages = Outages { every: Duration::from_millis(every), last: Duration::from_millis(last) };
    let server = Server::start(Settings {
        answers: Answers::generate(Api::V1, &all[..known], 60, 24).expect("answers"),
        latency: Duration::from_millis(20),
        faults: Faults { share, seed: 5, kinds: ALL },
        rate: None,
        outages: Some(outages),
    });
    let server = server.expect("a server");
    let watch = Arc::new(Watch::default());
    let options = Options {
        api: Api::V1,
        base_url: server.base_url(),
        api_key: None,
        workers: WORKERS,
        timeout: TIMEOUT,
        retries: RETRIES,
        first_wait: Duration::from_millis(50),
        rate: None,
        keep_answers: false,
    };
    let fetcher = Fetcher::new(options, {
        let watch = Arc::clone(&watch);
        move |date, error, wait| {
            watch.next(date, wait);
            if matches!(error.cause, Cause::Network(ureq::Error::Timeout(_))) {
                watch.time_outs.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let pool = ThreadPoolExecutor::builder().max_workers(WORKERS).name_prefix("fetch").build();
    let pool = pool.expect("a pool");
    let mut futures = as_completed(all.iter().map(|&date| {
        let (fetcher, watch) = (fetcher.clone(), Arc::clone(&watch));
        (date, pool.try_submit(move |date| fetch_one(&fetcher, date, &watch), date))
    }));
    let mut results = HashMap::new();
    loop {
        match futures.next_timeout(Duration::from_millis(100)) {
            Ok(Some((date, future))) => {
                let result = future.result().map(|day| assert_right(date, &day));
                assert!(results.insert(date, result).is_none(), "{date} came twice");
            }
            Ok(None) => break,
            Err(_) => {} // the program redraws its bar here
        }
    }
    let (retries, tally) = (fetcher.retries(), server.tally());
    let time_outs = watch.time_outs.load(Ordering::Relaxed);
    Storm { results, retries, time_outs, longest: watch.longest(), tally }
}

fn fetch_one(fetcher: &Fetcher, date: Date, watch: &Watch) -> Result<Day, FetchError> {
    check_stop()?;
    watch.next(date, Duration::ZERO);
    let fetched = fetcher.day(date);
    watch.next(date, Duration::ZERO);
    fetched
}

/// How long calls take: each ends where the next begins, less the wait between.
#[derive(Default)]
struct Watch {
    calls: Mutex<Calls>,
    time_outs: AtomicUsize,
}

#[derive(Default)]
struct Calls {
    begun: HashMap<Date, Instant>,
    longest: Duration,
}

impl Watch {
    /// The day's call has ended, if it had one; its next begins after a wait.
    fn next(&self, date: Date, wait: Duration) {
        let now = Instant::now();
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = calls.begun.insert(date, now + wait) {
            calls.longest = calls.longest.max(now.saturating_duration_since(begun));
        }
    }

    fn longest(&self) -> Duration {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).longest
    }
}

/// The cause of a day's failure, without what differs from day to day.
fn cause(error: &TaskError) -> String {
    let TaskError::Failed(failed) = error else { panic!("no fault of a server: {error}") };
    let error = failed.downcast_ref::<FetchError>().expect("the fetcher's own error");
    match &error.cause {
        Cause::Network(ureq::Error::Io(error)) => error.kind().to_string(),
        Cause::Network(ureq::Error::Timeout(_)) => "time-out".to_owned(),
        Cause::Network(ureq::Error::Protocol(_)) => "not HTTP".to_owned(),
        Cause::Network(error) => error.to_string(),
        Cause::Status(status) => status.as_u16().to_string(),
        Cause::Answer(error) => error.to_string(),
        Cause::Endless | Cause::Stopped => panic!("nobody stopped it: {error}"),
    }
}

/// What a fetch takes of its process, and must give back.
#[derive(Debug, PartialEq)]
struct House {
    threads: usize,
    descriptors: usize,
}

impl House {
    fn look() -> Self {
        // Where there is no such folder, nothing is looked at.
        let count = |folder| std::fs::read_dir(folder).map_or(0, Iterator::count);
        Self { threads: count("/proc/self/task"), descriptors: count("/proc/self/fd") }
    }

    /// A thread's end is seen a moment after it was joined.
    fn wait_for(before: &Self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while Self::look() != *before && Instant::now() < deadline {
            thread::park_timeout(Duration::from_millis(1));
        }
        assert_eq!(Self::look(), *before, "something is left behind");
    }
}

/// A line of this process's status, in KiB; none where the system keeps no such file.
fn status_kib(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
