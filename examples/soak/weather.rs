//! Days fetched by threads from a server that fails one answer in ten and is unreachable now and then.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use concurrent_futures::prelude::*;
use concurrent_futures::{TaskError, as_completed};
use jiff::civil::{Date, date};

use crate::day::Day;
use crate::decode::Api;
use crate::fetch::{FetchError, Fetcher, Options};
use crate::progress;
use crate::report::Report;
use crate::server::answers::Answers;
use crate::server::faults::{ALL, Faults};
use crate::server::weather::{Curve, STATIONS};
use crate::server::{Outages, Server, Settings};

const WORKERS: usize = 32;

/// Days that a server has ready at once.
const AT_ONCE: usize = 500;

pub(crate) fn run(days: u32, seed: u64) -> Report {
    let mut report =
        Report::new("weather: 32 threads, one answer in ten is faulty, the server goes away once a second");
    let dates: Vec<Date> = date(2000, 1, 1).series(jiff::Span::new().days(1)).take(days as usize).collect();
    let pool = ThreadPoolExecutor::new(WORKERS);
    for (dates, seed) in dates.chunks(AT_ONCE).zip(seed..).take_while(|_| !progress::is_stopping()) {
        fetch(&pool, dates, seed, &mut report);
    }
    report
}

fn fetch(pool: &ThreadPoolExecutor, dates: &[Date], seed: u64, report: &mut Report) {
    let answers = Answers::generate(Api::V1, dates, 60, 4).expect("answers");
    let settings = Settings {
        answers,
        latency: Duration::from_millis(5),
        faults: Faults { share: 0.1, seed, kinds: ALL },
        rate: None,
        outages: Some(Outages { every: Duration::from_secs(1), last: Duration::from_millis(30) }),
    };
    let server = Server::start(settings).expect("a server");
    let options = Options {
        api: Api::V1,
        base_url: server.base_url(),
        api_key: None,
        workers: WORKERS,
        timeout: Duration::from_millis(500),
        // Some days are given up; these must be reported.
        retries: 1,
        first_wait: Duration::from_millis(1),
        rate: None,
        keep_answers: false,
    };
    let fetcher = Fetcher::new(options, |_, _, _| ());
    let ask = |date: Date| {
        let fetcher = fetcher.clone();
        pool.try_submit(move |date| fetcher.day(date).map_err(|error| GivenUp(date, error)), date)
    };
    let mut came = BTreeSet::new();
    let mut missing = 0;
    for future in as_completed(dates.iter().copied().map(ask)) {
        progress::done(1);
        match future.result() {
            Ok(day) => {
                if !came.insert(day.date) {
                    report.is_wrong(format!("{} came twice", day.date));
                }
                if !is_right(&day) {
                    report.is_wrong(format!("{} is not what it was", day.date));
                }
            }
            Err(TaskError::Failed(failed)) => {
                missing += 1;
                let known =
                    failed.downcast_ref::<GivenUp>().is_some_and(|given_up| dates.contains(&given_up.0));
                if !known {
                    report.is_wrong(format!("a day failed, nobody knows which: {failed}"));
                }
            }
            Err(error) => report.is_wrong(error.to_string()),
        }
    }
    report.count("days right", came.len() as u64);
    report.count("days given up, and told of", missing);
    report.count("calls repeated", fetcher.retries());
    report.must_be_equal("days, and those right or told of", dates.len() as u64, came.len() as u64 + missing);
    drop(server);
    // The server's last connections end with its clients.
    drop(fetcher);
    thread::yield_now();
}

/// Why a day is missing.
#[derive(Debug, thiserror::Error)]
#[error("{0}: {1}")]
struct GivenUp(Date, FetchError);

/// Every reading is the one that was made up for its date, station and time.
fn is_right(day: &Day) -> bool {
    let curves: Vec<Curve> = (0..STATIONS.len()).map(|station| Curve::new(day.date, station)).collect();
    let right = |hour: u32, row: &[f32]| {
        STATIONS.iter().zip(&curves).all(|((id, ..), curve)| {
            let column = day.stations.iter().position(|station| station.id == *id);
            let value = column.map_or(f32::NAN, |column| row[column]);
            match curve.tenths(60 * hour) {
                Some(tenths) => (value - tenths as f32 / 10.0).abs() < 0.001,
                None => value.is_nan(),
            }
        })
    };
    day.times.len() == 24 && (0..).zip(day.rows()).all(|(hour, row)| right(hour, row))
}
