//! The weather example, small: 24 days with one reading an hour, 5 ms a call, in a loop and with 8 threads.
//!
//! 8 threads need at least three rounds of 5 ms, a loop 24.

#[path = "../examples/weather_fetch/day.rs"]
#[expect(dead_code, reason = "only the program tells what it left out")]
mod day;
#[path = "../examples/weather_fetch/decode.rs"]
mod decode;
#[path = "../examples/weather_fetch/fetch.rs"]
#[expect(dead_code, reason = "what only the program needs")]
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

use std::{hint::black_box, time::Duration};

use concurrent_futures::prelude::*;
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::{Span, civil::date};

use crate::{
    decode::Api,
    fetch::{Fetcher, Options},
    server::{Server, Settings, answers::Answers, faults::Faults},
};

const DAYS: usize = 24;
const WORKERS: usize = 8;
const LATENCY: Duration = Duration::from_millis(5);

fn weather(criterion: &mut Criterion) {
    let dates: Vec<_> = date(2017, 3, 23).series(Span::new().days(1)).take(DAYS).collect();
    let answers = Answers::generate(Api::V1, &dates, 60, usize::MAX).expect("answers");
    let server = Server::start(Settings {
        answers,
        latency: LATENCY,
        faults: Faults::default(),
        rate: None,
        outages: None,
    })
    .expect("a server on 127.0.0.1");
    let options = Options {
        api: Api::V1,
        base_url: server.base_url(),
        api_key: None,
        workers: WORKERS,
        timeout: Duration::from_secs(10),
        retries: 0,
        first_wait: Duration::ZERO,
        rate: None,
        keep_answers: false,
    };
    let fetcher = Fetcher::new(options, |_, _, _| ());

    let mut group = criterion.benchmark_group("weather");
    group.sample_size(20);
    group.bench_function("loop", |bencher| {
        bencher.iter(|| {
            for &date in &dates {
                black_box(fetcher.day(date).expect("a day"));
            }
        });
    });
    let pool = ThreadPoolExecutor::new(WORKERS);
    group.bench_function("threads", |bencher| {
        bencher.iter(|| {
            let fetch = |&date| {
                let fetcher = fetcher.clone();
                pool.try_submit(move |date| fetcher.day(date), date)
            };
            for future in as_completed(dates.iter().map(fetch)) {
                black_box(future.result().expect("a day"));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, weather);
criterion_main!(benches);
