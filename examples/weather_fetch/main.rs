//! Fetches 100 days of air temperature over HTTP with 40 threads, and says what that gained.
//!
//! ```text
//! cargo run --example weather_fetch                     # a server inside this program answers, 1 s a day
//! cargo run --example weather_fetch -- --faults 0.1     # one answer in ten is faulty
//! cargo run --example weather_fetch -- --faults 0.1 --storm --timeout 3
//! cargo run --example weather_fetch -- --live           # data.gov.sg answers
//! ```
//!
//! The part to copy is [`fetch_with_threads`]: a pool, one task a day, results as they complete, a clean end on
//! Ctrl-C. How one day is fetched, with its time-outs and retries, stands in `fetch.rs`.

#![expect(clippy::print_stderr, reason = "a program talks to its user")]

mod args;
mod day;
mod decode;
mod fetch;
mod output;
mod rate;
mod report;
mod screen;
mod server;
mod stop;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    process::{self, ExitCode},
    time::{Duration, Instant},
};

use clap::{CommandFactory, Parser, error::ErrorKind};
use concurrent_futures::{Shutdown, prelude::*};
use jiff::{Timestamp, ToSpan, civil::Date, tz};

use crate::{
    args::{Args, Kind},
    day::Day,
    decode::Api,
    fetch::{FetchError, Fetcher},
    output::Output,
    rate::{Rate, RateLimit},
    report::{Figures, Measured},
    screen::Screen,
    server::{
        Outages, Server, Settings, Tally,
        answers::Answers,
        faults::{self, Faults},
    },
    stop::Stop,
};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// How often the main thread looks up from waiting: to see a Ctrl-C, to redraw the time left.
const TICK: Duration = Duration::from_millis(100);
/// How long calls under way may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(2);
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(message) = args.check() {
        Args::command().error(ErrorKind::ValueValidation, message).exit();
    }
    run(&args).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}

fn run(args: &Args) -> Result<ExitCode, Error> {
    let output = Output::new(&args.out)?; // no place to write to? Better said now than after the fetch
    let (dates, server) = prepare(args)?;
    let base_url = server.as_ref().map_or_else(|| live_url(args), Server::base_url);

    let stop = Stop::default();
    ctrlc::set_handler({
        let stop = stop.clone();
        move || match stop.raise() {
            true => eprintln!("\nstopping: nothing new starts; Ctrl-C again to leave at once"),
            false => process::exit(INTERRUPTED.into()),
        }
    })?;

    let screen = Screen::new(args.verbose);
    let fetcher = Fetcher::new(fetch_options(args, base_url), stop.clone(), {
        let screen = screen.clone();
        move |date, error, wait| {
            screen.log(|| format!("{date} again in {:.2} s: {error}", wait.as_secs_f64()))
        }
    });

    // The baseline, days one by one: the first few before the threads get all, or all with `--executor loop`.
    let alone = match args.executor {
        Kind::Loop => dates.len(),
        Kind::Threads => args.sequential.min(dates.len()),
    };
    let baseline = fetch_in_a_loop(&dates[..alone], &fetcher, &stop, &screen);
    let sequential_s = baseline.seconds;
    let fetched = if args.executor == Kind::Loop || stop.is_raised() {
        baseline
    } else {
        let mut fetched = fetch_with_threads(args.workers, &dates, &fetcher, &stop, &screen, grace(args))?;
        if stop.is_raised() {
            fetched.days.extend(baseline.days);
        }
        fetched
    };

    let writing = Instant::now();
    // An empty result must not replace what an earlier run has fetched.
    let bytes = if fetched.days.is_empty() { 0 } else { output.write(&fetched.days)? };
    let serial_s = writing.elapsed().as_secs_f64();
    if stop.is_raised() {
        let place = output.path().display();
        eprintln!("interrupted: {} of {} days were written to {place}", fetched.days.len(), dates.len());
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if let Some(server) = server.as_ref().filter(|_| args.storm) {
        eprintln!("{}", weathered(&server.tally()));
    }
    let figures = Figures::new(&Measured {
        days: dates.len(),
        workers: if args.executor == Kind::Loop { 1 } else { args.workers },
        latency_s: server.map(|_| args.latency.as_secs_f64()),
        sequential_days: alone,
        sequential_s,
        parallel_s: fetched.seconds,
        retries: fetched.retries,
        failed: fetched.failed.len(),
    });
    let text = match args.json {
        true => serde_json::to_string(&figures)? + "\n",
        false => format!("{}\n{}\n", figures.table(serial_s)?, summary(&fetched, &output, bytes)),
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    for (date, error) in &fetched.failed {
        eprintln!("{date} is missing: {error}");
    }
    Ok(ExitCode::from(u8::from(!fetched.failed.is_empty())))
}

fn summary(fetched: &Fetched, output: &Output, bytes: u64) -> String {
    let (days, place) = (fetched.days.len(), output.path().display());
    if days == 0 {
        return format!("no day came, so {place} was left as it was");
    }
    let readings: usize = fetched.days.values().map(Day::readings).sum();
    format!("{days} days with {readings} readings were written to {place}, {:.1} MB", bytes as f64 / 1e6)
}

/// What the server did to make it hard.
fn weathered(tally: &Tally) -> String {
    let faults: Vec<_> = tally.faults.iter().map(|(fault, times)| format!("{times} x {fault}")).collect();
    let (answers, faults) = (tally.answers, faults.join(", "));
    format!("the server's faults in {answers} answers: {faults}; it was away {} times", tally.outages)
}

/// The days that came, the days that failed for good, and how long that took.
#[derive(Default)]
struct Fetched {
    days: BTreeMap<Date, Day>,
    failed: BTreeMap<Date, String>,
    seconds: f64,
    retries: u64,
}

/// One pool, one task a day; each result is taken as it completes.
fn fetch_with_threads(
    workers: usize,
    dates: &[Date],
    fetcher: &Fetcher,
    stop: &Stop,
    screen: &Screen,
    grace: Duration,
) -> Result<Fetched, Error> {
    let pool = ThreadPoolExecutor::builder().max_workers(workers).thread_name_prefix("fetch").build()?;
    let mut fetched = Fetched::default();
    let (start, retries) = (Instant::now(), fetcher.retries());
    screen.begin(&format!("{workers} threads"), dates.len());

    let mut futures = as_completed(dates.iter().map(|&date| {
        let (fetcher, screen) = (fetcher.clone(), screen.clone());
        (date, pool.try_submit(move |date| fetch_one(&fetcher, date, &screen), date))
    }));
    let mut give_up = None;
    loop {
        match futures.next_timeout(TICK) {
            Ok(Some((date, future))) => {
                screen.advance();
                match future.result() {
                    Ok(day) => drop(fetched.days.insert(date, day)),
                    Err(error) => drop(fetched.failed.insert(date, error.to_string())),
                }
            }
            Ok(None) => break,
            Err(_) => screen.tick(),
        }
        if stop.is_raised() {
            let give_up = *give_up.get_or_insert_with(|| {
                pool.shutdown(Shutdown::CancelQueued);
                Instant::now() + grace
            });
            if Instant::now() >= give_up {
                break;
            }
        }
    }
    fetched.seconds = start.elapsed().as_secs_f64();
    fetched.retries = fetcher.retries() - retries;
    screen.end();
    if stop.is_raised() {
        pool.detach(); // calls that are still under way end with the program
    }
    Ok(fetched)
}

/// The same without a pool: what the threads are measured against.
fn fetch_in_a_loop(dates: &[Date], fetcher: &Fetcher, stop: &Stop, screen: &Screen) -> Fetched {
    let mut fetched = Fetched::default();
    let (start, retries) = (Instant::now(), fetcher.retries());
    screen.begin("one by one", dates.len());
    for &date in dates {
        if stop.is_raised() {
            break;
        }
        match fetch_one(fetcher, date, screen) {
            Ok(day) => drop(fetched.days.insert(date, day)),
            Err(error) => drop(fetched.failed.insert(date, error.to_string())),
        }
        screen.advance();
    }
    fetched.seconds = start.elapsed().as_secs_f64();
    fetched.retries = fetcher.retries() - retries;
    screen.end();
    fetched
}

/// The task itself. It runs on whatever thread the executor gives it.
fn fetch_one(fetcher: &Fetcher, date: Date, screen: &Screen) -> Result<Day, FetchError> {
    fetcher.check_stop()?; // a queued day ends here after Ctrl-C, as if it had been cancelled
    screen.log(|| format!("{date} starts"));
    let fetched = fetcher.day(date);
    screen.log(|| match &fetched {
        Ok(day) => format!("{date} has {} readings", day.readings()),
        Err(error) => format!("{date} failed: {error}"),
    });
    fetched
}

/// The days to ask for, and the server to ask unless that is a real one.
fn prepare(args: &Args) -> Result<(Vec<Date>, Option<Server>), Error> {
    if args.live {
        let today = Timestamp::now().to_zoned(tz::offset(8).to_time_zone()).date();
        let start = args.start.unwrap_or(today.checked_sub((args.days as i64).days())?);
        return Ok((consecutive(start, args.days)?, None));
    }
    let answers = match &args.serve_dir {
        Some(dir) => Answers::from_dir(dir)
            .map_err(|error| format!("can't read --serve-dir {}: {error}", dir.display()))?,
        None => {
            let dates = consecutive(args.start.unwrap_or(jiff::civil::date(2017, 3, 23)), args.days)?;
            let (days, interval) = (dates.len(), args.interval);
            eprintln!(
                "making up {days} days of weather, a reading every {interval} min, for a server in here"
            );
            Answers::generate(args.api(), &dates, args.interval, ROWS_A_PAGE)?
        }
    };
    let mut dates = answers.dates();
    if dates.is_empty() {
        return Err(format!(
            "there is no YYYY-MM-DD.json.gz in {}",
            args.serve_dir.iter().map(|dir| dir.display().to_string()).collect::<String>()
        )
        .into());
    }
    if dates.len() < args.days {
        eprintln!("the folder has {} days, not {}", dates.len(), args.days);
    }
    dates.truncate(args.days);
    let kinds = if args.storm { faults::ALL } else { faults::POLITE };
    let faults = Faults { share: args.faults, seed: args.seed, kinds };
    let rate = args.rate.map(RateLimit::new);
    // It stays long enough for an answer.
    let every = Duration::from_secs(1) + 5 * args.latency;
    let outages = args.storm.then_some(Outages { every, last: Duration::from_millis(300) });
    let server = Server::start(Settings { answers, latency: args.latency, faults, rate, outages })?;
    Ok((dates, Some(server)))
}

/// Four pages to a day of a reading a minute.
const ROWS_A_PAGE: usize = 360;

fn consecutive(start: Date, days: usize) -> Result<Vec<Date>, Error> {
    let nth = |n: usize| start.checked_add((n as i64).days());
    (0..days)
        .map(nth)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("--start is too late: {error}").into())
}

fn live_url(args: &Args) -> String {
    let real = match args.api() {
        Api::V1 => "https://api.data.gov.sg",
        Api::V2 => "https://api-open.data.gov.sg",
    };
    args.base_url.as_deref().unwrap_or(real).trim_end_matches('/').to_owned()
}

fn fetch_options(args: &Args, base_url: String) -> fetch::Options {
    let real = args.live && args.base_url.is_none(); // the key is for nobody else
    let api_key = std::env::var("DATA_GOV_SG_API_KEY").ok().filter(|_| real);
    let calls = if api_key.is_some() { 12 } else { 6 };
    let published =
        (real && args.api() == Api::V2).then_some(Rate { calls, window: Duration::from_secs(10) });
    fetch::Options {
        api: args.api(),
        base_url,
        api_key,
        workers: args.workers,
        timeout: args.timeout,
        retries: args.retries,
        first_wait: args.first_wait,
        rate: args.rate.or(published),
    }
}

/// An answer of our own server is waited for after Ctrl-C, if that is short.
fn grace(args: &Args) -> Duration {
    if args.live { GRACE } else { args.latency.min(GRACE) }
}
