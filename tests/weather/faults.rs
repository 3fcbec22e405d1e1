//! The fetcher against servers that fail: what it repeats, how long it waits, when it gives up.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use concurrent_futures::ThreadPoolExecutor;
use jiff::{Timestamp, civil::Date};

use crate::{
    day::Day,
    days,
    decode::Api,
    fetch::{Fetcher, Options},
    rate::{Rate, RateLimit},
    server::{
        Server, Settings,
        answers::Answers,
        faults::{Fault, Faults},
        weather::{Curve, STATIONS},
    },
    within,
};

pub(crate) fn options(api: Api, base_url: String) -> Options {
    Options {
        api,
        base_url,
        api_key: None,
        workers: 8,
        timeout: Duration::from_secs(10),
        retries: 20,
        first_wait: Duration::from_millis(1),
        rate: None,
        keep_answers: false,
    }
}

pub(crate) fn fetcher(options: Options) -> Fetcher {
    Fetcher::new(options, |_, _, _| ())
}

/// A server of ours with a reading every hour, four rows to a page.
fn server(api: Api, dates: &[Date], faults: Faults, rate: Option<Rate>) -> Server {
    let answers = Answers::generate(api, dates, 60, 4).expect("answers");
    let settings = Settings {
        answers,
        latency: Duration::from_millis(1),
        faults,
        rate: rate.map(RateLimit::new),
        outages: None,
    };
    Server::start(settings).expect("a server")
}

/// Every reading is the one that was made up for its date, station and time, and none is missing.
pub(crate) fn assert_right(date: Date, day: &Day) {
    assert_eq!((day.date, day.times.len()), (date, 24));
    let mut seen = 0;
    for (station, (id, name, ..)) in STATIONS.iter().enumerate() {
        let curve = Curve::new(date, station);
        let column = day.stations.iter().position(|station| station.id == *id);
        for ((hour, time), row) in (0..24).zip(&day.times).zip(day.rows()) {
            assert_eq!((time.date(), time.hour(), time.minute()), (date, hour, 0));
            let value = column.map_or(f32::NAN, |column| row[column]);
            match curve.tenths(60 * hour as u32) {
                Some(tenths) => assert_eq!(value, tenths as f32 / 10.0, "{id} at {time}"),
                None => assert!(value.is_nan(), "{id} at {time} is {value}"),
            }
            seen += usize::from(!value.is_nan());
        }
        assert!(column.is_none_or(|column| day.stations[column].name == *name));
    }
    assert_eq!(day.readings(), seen);
}

#[test]
fn both_shapes_arrive_unharmed() {
    within(60, || {
        for api in [Api::V1, Api::V2] {
            let dates = days(6);
            let server = server(api, &dates, Faults::default(), None);
            let fetcher = fetcher(options(api, server.base_url()));
            for date in dates {
                assert_right(date, &fetcher.day(date).expect("a day"));
            }
            assert_eq!(fetcher.retries(), 0);
        }
    });
}

#[test]
fn every_kind_of_fault_is_overcome() {
    within(100, || {
        let dates = days(12);
        let faults = Faults { share: 0.4, seed: 7, ..Faults::default() };
        for api in [Api::V1, Api::V2] {
            let server = server(api, &dates, faults, None);
            let fetcher = fetcher(options(api, server.base_url()));
            thread::scope(|scope| {
                for date in &dates {
                    let fetcher = &fetcher;
                    scope.spawn(move || assert_right(*date, &fetcher.day(*date).expect("a day")));
                }
            });
            assert!(fetcher.retries() >= 3, "{api:?}: {} retries", fetcher.retries());
        }
        let drawn: Vec<_> = (0..100).map(|attempt| faults.draw("/", attempt)).collect();
        for fault in [Fault::TooMany, Fault::Internal, Fault::CutOff, Fault::Empty] {
            assert!(drawn.contains(&Some(fault)), "{fault:?} is never drawn");
        }
        assert!((25..=55).contains(&drawn.iter().flatten().count()), "{drawn:?}");
        assert_eq!(drawn, (0..100).map(|attempt| faults.draw("/", attempt)).collect::<Vec<_>>());
    });
}

#[test]
fn what_never_passes_is_reported_with_its_cause() {
    within(60, || {
        let dates = days(1);
        let server = server(Api::V1, &dates, Faults { share: 1.0, seed: 1, ..Faults::default() }, None);
        let fetcher = fetcher(Options { retries: 1, ..options(Api::V1, server.base_url()) });
        let error = fetcher.day(dates[0]).expect_err("always faulty").to_string();
        assert!(error.ends_with("(attempt 2)"), "{error}");
        // No such day: asking again is no use.
        let fetcher = self::fetcher(options(Api::V1, server.base_url()));
        let error = fetcher.day(Date::MIN).expect_err("no such day").to_string();
        assert!(error.contains("404") && fetcher.retries() == 0, "{error}");
        let fetcher =
            self::fetcher(Options { retries: 2, ..options(Api::V1, "http://127.0.0.1:1".to_owned()) });
        fetcher.day(dates[0]).expect_err("nobody listens");
        assert_eq!(fetcher.retries(), 2);
    });
}

/// Answers one call after the other as written; tells when each came.
fn scripted(answers: Vec<String>) -> (String, thread::JoinHandle<Vec<Instant>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = thread::spawn(move || {
        let serve = |answer: String| {
            let (mut connection, _) = listener.accept().expect("a call");
            let came = Instant::now();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).expect("a request");
                head.push(byte[0]);
            }
            connection.write_all(answer.as_bytes()).expect("an answer");
            came
        };
        answers.into_iter().map(serve).collect()
    });
    (url, serving)
}

fn too_many(retry_after: &str) -> String {
    format!(
        "HTTP/1.1 429 Too Many\r\nRetry-After: {retry_after}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

fn good(date: Date) -> String {
    let json = format!(
        r#"{{"metadata":{{"stations":[]}},"items":[{{"timestamp":"{date}T00:00:00+08:00","readings":[{{"station_id":"A","value":29}}]}}],"api_info":{{"status":"healthy"}}}}"#
    );
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{json}", json.len())
}

#[test]
fn retry_after_is_honoured_as_seconds_and_as_a_date() {
    within(60, || {
        let date = days(1)[0];
        let soon = Timestamp::now() + Duration::from_secs(4);
        let soon =
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&soon).expect("a date");
        let (url, serving) = scripted(vec![too_many("1"), too_many(&soon), good(date)]);
        let started = Timestamp::now();
        let day = fetcher(options(Api::V1, url)).day(date).expect("a day");
        assert_eq!(day.readings(), 1);
        let calls = serving.join().expect("three calls");
        assert!(calls[1] - calls[0] >= Duration::from_secs(1), "{calls:?}");
        // The date has whole seconds, so up to one of the four is cut off.
        assert!(Timestamp::now().duration_since(started).as_secs_f64() >= 3.0, "{calls:?}");
    });
}

#[test]
fn too_long_a_wait_is_refused() {
    within(20, || {
        let (url, serving) = scripted(vec![too_many("86400")]);
        let error = fetcher(options(Api::V1, url)).day(days(1)[0]).expect_err("a day's wait").to_string();
        assert!(error.contains("429"), "{error}");
        serving.join().expect("one call");
    });
}

#[test]
fn a_body_cut_off_is_asked_for_again() {
    within(20, || {
        let date = days(1)[0];
        let whole = good(date);
        let (url, serving) = scripted(vec![whole[..whole.len() - 30].to_owned(), whole]);
        let fetcher = fetcher(options(Api::V1, url));
        assert_eq!(fetcher.day(date).expect("a day").readings(), 1);
        assert_eq!(fetcher.retries(), 1);
        serving.join().expect("two calls");
    });
}

#[test]
fn the_rate_limit_is_kept() {
    within(60, || {
        let dates = days(3); // six pages each
        let rate = Rate { calls: 6, window: Duration::from_millis(300) };
        let unlimited = server(Api::V2, &dates, Faults::default(), None);
        let polite = fetcher(Options { rate: Some(rate), ..options(Api::V2, unlimited.base_url()) });
        let start = Instant::now();
        thread::scope(|scope| {
            for date in &dates {
                let polite = &polite;
                scope.spawn(move || assert_right(*date, &polite.day(*date).expect("a day")));
            }
        });
        assert!(start.elapsed() >= 2 * rate.window, "{:?}", start.elapsed());
        // Without a limit of its own a fetcher runs into the server's, and still gets there.
        let limited = server(Api::V2, &dates, Faults::default(), Some(rate));
        let hasty = fetcher(options(Api::V2, limited.base_url()));
        dates.iter().for_each(|date| assert_right(*date, &hasty.day(*date).expect("a day")));
        assert!(hasty.retries() > 0);
    });
}

#[test]
fn a_stop_ends_the_wait_for_a_retry() {
    within(20, || {
        let (url, serving) = scripted(vec![too_many("100")]);
        let (waits, waiting) = mpsc::channel();
        let fetcher = Fetcher::new(options(Api::V1, url), move |_, _, _| waits.send(()).expect("a test"));
        let pool = ThreadPoolExecutor::new(1);
        let day = pool.try_spawn(move || fetcher.day(days(1)[0]));
        waiting.recv().expect("a retry");
        assert!(day.ask_to_stop());
        let error = day.result().expect_err("stopped").to_string();
        assert!(error.contains("stopped"), "{error}");
        serving.join().expect("one call");
    });
}
