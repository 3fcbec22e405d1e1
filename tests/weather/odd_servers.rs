//! The program and its fetcher against servers that answer oddly.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use jiff::civil::Date;

use crate::{
    days,
    decode::Api,
    faults::{fetcher, options},
    fetch::Options,
    folder::Folder,
    program::Running,
    within,
};

/// Answers each call by a function of its path with its query, and of how often that was asked before; counts calls.
struct Odd {
    url: String,
    calls: Arc<AtomicUsize>,
}

impl Odd {
    fn start(answer: impl Fn(&str, usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let calls = Arc::new(AtomicUsize::new(0));
        let asked: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
        let (answer, counted) = (Arc::new(answer), Arc::clone(&calls));
        // It ends with the test's process: a thread in `accept` has no better end.
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (answer, asked, counted) =
                    (Arc::clone(&answer), Arc::clone(&asked), Arc::clone(&counted));
                thread::spawn(move || {
                    let Some(path) = asked_for(&connection) else { return };
                    counted.fetch_add(1, Ordering::SeqCst);
                    let times = {
                        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
                        let times = asked.entry(path.clone()).or_default();
                        *times += 1;
                        *times - 1
                    };
                    // The client may have seen enough.
                    let _ = (&connection).write_all(answer(&path, times).as_bytes());
                });
            }
        });
        Self { url, calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn live<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let args = ["--live", "--base-url", &self.url, "--start", "2017-03-23", "--first-wait", "0.001"];
        [&args[..], &["--sequential", "0"], more].concat()
    }
}

fn asked_for(connection: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    let first = lines.next()?;
    lines.find(String::is_empty)?;
    first.split(' ').nth(1).map(str::to_owned)
}

fn status(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn ok(body: &str) -> String {
    status("200 OK", "", body)
}

fn v1(day: &str) -> String {
    format!(
        r#"{{"metadata":{{"stations":[]}},"items":[{{"timestamp":"{day}T00:00:00+08:00","readings":[{{"station_id":"A","value":27}}]}}],"api_info":{{"status":"healthy"}}}}"#
    )
}

/// A page with a row for each of these times.
fn v2(times: &[&str], token: &str) -> String {
    let row = |time: &&str| format!(r#"{{"timestamp":"{time}","data":[{{"stationId":"A","value":27}}]}}"#);
    let rows: Vec<_> = times.iter().map(row).collect();
    let token = if token.is_empty() { String::new() } else { format!(r#","paginationToken":"{token}""#) };
    format!(r#"{{"code":0,"data":{{"stations":[],"readings":[{}]{token}}},"errorMsg":""}}"#, rows.join(","))
}

fn date() -> Date {
    days(1)[0]
}

fn patient(api: Api, odd: &Odd) -> Options {
    Options { retries: 2, ..options(api, odd.url.clone()) }
}

/// curl/curl#6150, rust-secure-code/cargo-supply-chain#52: what a server sent is shown, and not obeyed.
#[test]
fn a_servers_text_is_no_command_to_the_terminal() {
    within(70, || {
        let evil = "\\u001b]0;mine\\u0007\\u001b[2J\\u009b31m\\u202e\u{1b}";
        let evil = evil.replace('\u{1b}', "\\r");
        let odd = Odd::start(move |_, _| {
            ok(&format!(r#"{{"code":4,"data":null,"errorMsg":"{evil}{}"}}"#, "long".repeat(10_000)))
        });
        let ended = Folder::new().run(&odd.live(&["--days", "1", "--retries", "1", "--verbose"]));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let obeyed = |char: char| (char.is_control() && char != '\n') || char == '\u{202e}';
        assert!(!ended.stderr.contains(obeyed), "{:?}", ended.stderr);
        assert!(
            ended.stderr.contains(r"is missing") && ended.stderr.contains(r"\u{1b}[2J"),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.len() < 5000, "{} bytes of stderr", ended.stderr.len());
    });
}

/// boto/botocore#3778, apache/iceberg-go#1484: A, B, A, B ..
#[test]
fn a_circle_of_pages_is_noticed() {
    within(70, || {
        let odd = Odd::start(|path, _| {
            let (hour, next) = match path.split_once("paginationToken=") {
                None => ("00", "a"),
                Some((_, "a")) => ("01", "b"),
                Some(_) => ("02", "a"),
            };
            ok(&v2(&[&format!("2017-03-23T{hour}:00:00+08:00")], next))
        });
        let day = fetcher(patient(Api::V2, &odd)).day(date()).expect("what the pages have");
        assert_eq!((day.times.len(), odd.calls()), (3, 3));
        assert!(day.notes.lines().join(" ").contains("tokens repeat"), "{:?}", day.notes);
        let folder = Folder::new();
        let ended = folder.run(&odd.live(&["--days", "1"]));
        assert_eq!((ended.code, odd.calls()), (Some(0), 6), "{ended:?}");
        assert!(ended.stderr.contains("2017-03-23: the page tokens repeat after 2"), "{}", ended.stderr);
        // Tokens that are new each time, and rows that never are.
        let tokens = AtomicUsize::new(0);
        let odd = Odd::start(move |_, _| {
            let token = tokens.fetch_add(1, Ordering::SeqCst);
            ok(&v2(&["2017-03-23T00:00:00+08:00"], &format!("t{token}")))
        });
        let day = fetcher(patient(Api::V2, &odd)).day(date()).expect("what the pages have");
        assert!(day.times.len() == 1 && odd.calls() < 10, "{} calls", odd.calls());
        assert!(day.notes.lines().join(" ").contains("nothing new"), "{:?}", day.notes);
    });
}

#[test]
fn pages_that_overlap_give_each_row_once() {
    within(20, || {
        let odd = Odd::start(|path, _| {
            let (times, next) = match path.split_once("paginationToken=") {
                None => (["2017-03-23T03:00:00+08:00", "2017-03-23T02:00:00+08:00"], "a"),
                Some((_, "a")) => (["2017-03-23T02:00:00+08:00", "2017-03-23T01:00:00+08:00"], "b"),
                Some(_) => (["2017-03-23T01:00:00+08:00", "2017-03-23T00:00:00+08:00"], ""),
            };
            ok(&v2(&times, next))
        });
        let day = fetcher(patient(Api::V2, &odd)).day(date()).expect("a day");
        let hours: Vec<_> = day.times.iter().map(|time| time.hour()).collect();
        assert_eq!((hours, day.readings()), (vec![0, 1, 2, 3], 4));
        assert_eq!(day.notes.lines(), ["2 rows came twice"]);
    });
}

/// A last page may be empty, or hold nothing but the next midnight; a first one nothing but that.
#[test]
fn a_page_without_a_row_of_the_day_costs_no_day() {
    within(20, || {
        for last in [&[][..], &["2017-03-24T00:00:00+08:00"]] {
            let odd = Odd::start(move |path, _| match path.contains("paginationToken") {
                false => ok(&v2(&["2017-03-23T00:00:00+08:00"], "a")),
                true => ok(&v2(last, "")),
            });
            let day = fetcher(patient(Api::V2, &odd)).day(date()).expect("a day");
            assert_eq!((day.times.len(), day.notes.lines().len()), (1, 1), "{last:?}: {:?}", day.notes);
            assert_eq!(odd.calls(), if last.is_empty() { 4 } else { 2 }, "an empty page is asked for again");
        }
        let odd = Odd::start(|path, _| match path.contains("paginationToken") {
            false => ok(&v2(&["2017-03-24T00:00:00+08:00"], "a")),
            true => ok(&v2(&["2017-03-23T00:00:00+08:00"], "")),
        });
        let day = fetcher(patient(Api::V2, &odd)).day(date()).expect("a day");
        assert_eq!((day.times.len(), odd.calls()), (1, 2));
    });
}

/// seanmonstar/reqwest#426.
#[test]
fn a_proxys_page_is_asked_for_again_and_a_mark_is_none_of_our_business() {
    within(70, || {
        let odd = Odd::start(|_, times| match times {
            0 => ok("<html><head><title>One moment</title></head></html>"),
            _ => ok(&format!("\u{feff}{}", v1("2017-03-23"))),
        });
        let fetcher = fetcher(patient(Api::V1, &odd));
        assert_eq!(fetcher.day(date()).expect("a day").readings(), 1);
        assert_eq!(fetcher.retries(), 1);
        let odd = Odd::start(|_, _| ok("<html><head><title>Log in</title></head></html>"));
        let ended = Folder::new().run(&odd.live(&["--days", "1", "--api", "v1", "--retries", "1"]));
        assert_eq!((ended.code, odd.calls()), (Some(1), 2), "{ended:?}");
        assert!(ended.stderr.contains("an HTML page, not JSON: \"Log in\" (attempt 2)"), "{}", ended.stderr);
    });
}

/// urllib3/urllib3#1338 and #3743: a pause of an hour, and one beyond the end of the clock.
#[test]
fn a_pause_that_is_too_long_is_told() {
    within(70, || {
        for (asked, told) in [
            ("86400", "a pause of 86400 s; the limit is 120 s"),
            ("99999999999999999999999", "the limit is 120 s"),
            ("Fri, 31 Dec 2999 23:59:59 GMT", "the limit is 120 s"),
            ("Friday, 31-Dec-66 23:59:59 GMT", "the limit is 120 s"),
            ("Tue Dec 31 23:59:59 2999", "the limit is 120 s"),
        ] {
            let odd =
                Odd::start(move |_, _| status("429 Too Many", &format!("Retry-After: {asked}\r\n"), ""));
            let error = fetcher(patient(Api::V1, &odd)).day(date()).expect_err("no day").to_string();
            assert!(error.contains("429") && error.contains(told), "{asked}: {error}");
            assert_eq!(odd.calls(), 1, "{asked}");
        }
        // In the past, negative, or nonsense: asked again at once.
        for asked in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "-5", "soon", "0"] {
            let odd = Odd::start(move |_, times| match times {
                0 => status("503 Busy", &format!("Retry-After: {asked}\r\n"), ""),
                _ => ok(&v1("2017-03-23")),
            });
            assert_eq!(fetcher(patient(Api::V1, &odd)).day(date()).expect(asked).readings(), 1);
        }
        let odd = Odd::start(|_, _| status("404 Gone", "Retry-After: 86400\r\n", ""));
        let error = fetcher(patient(Api::V1, &odd)).day(date()).expect_err("no day").to_string();
        assert!(!error.contains("pause"), "it would not be asked again in any case: {error}");
    });
}

/// algesten/ureq#668, seanmonstar/reqwest#2152: what is on this machine is not asked for through a proxy.
#[test]
fn a_proxy_of_the_environment_catches_no_call_to_this_machine() {
    within(130, || {
        let proxied = |args: &[&str]| {
            let folder = Folder::new();
            let mut command = folder.command(args);
            for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
                command.env(name, "http://127.0.0.1:1");
            }
            command.env_remove("no_proxy").env_remove("NO_PROXY");
            Running::start(command).end()
        };
        let own = ["--days", "3", "--interval", "60", "--latency", "0.01", "--retries", "0"];
        let ended = proxied(&own);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let odd = Odd::start(|_, _| ok(&v1("2017-03-23")));
        let ended = proxied(&odd.live(&["--days", "1", "--api", "v1", "--retries", "0"]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let named = odd.url.replace("127.0.0.1", "localhost");
        let args = ["--live", "--base-url", &named, "--start", "2017-03-23", "--days", "1", "--api", "v1"];
        let ended = proxied(&[&args[..], &["--retries", "0"]].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
    });
}

#[test]
fn rows_that_are_left_out_are_counted_and_told() {
    within(70, || {
        let odd = Odd::start(|_, _| {
            ok(&v1("2017-03-23").replace(
                r#""items":["#,
                r#""items":[{"timestamp":"2017-03-24T00:00:00+08:00","readings":[{"station_id":"A","value":27}]},{"timestamp":"2017-03-23T00:01:00+08:00","readings":[{"station_id":"A","value":null},{"station_id":"B","value":1}]},"#,
            ))
        });
        let folder = Folder::new();
        let ended = folder.run(&odd.live(&["--days", "1", "--api", "v1"]));
        assert_eq!((ended.code, folder.dates().len()), (Some(0), 1), "{ended:?}");
        let told =
            "2017-03-23: 1 row dropped (of 2017-03-24T00:00:00); 1 reading dropped (null is no temperature)";
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert!(ended.stdout.contains("left out: 1 rows, 1 readings"), "{}", ended.stdout);
    });
}
