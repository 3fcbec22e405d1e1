//! Fetches 100 days of air temperature over HTTP with 40 threads, and reports the speed-up.
//!
//! ```text
//! cargo run --example weather_fetch                     # a server inside this program answers, 1 s a day
//! cargo run --example weather_fetch -- --faults 0.1     # one answer in ten is faulty
//! cargo run --example weather_fetch -- --faults 0.1 --storm --timeout 3
//! cargo run --example weather_fetch -- --live           # data.gov.sg answers
//! cargo run --example weather_fetch -- --answers DIR    # keeps the answers too, as Python's json.dumps writes them
//! ```
//!
//! The part to copy is [`fetch_with_threads`]: a pool, one task a day, results as they complete, a clean end on
//! Ctrl-C. `fetch.rs` fetches one day, with time limits and retries.

mod args;
mod day;
mod decode;
mod fetch;
mod output;
#[path = "../common/place.rs"]
mod place;
#[path = "../common/plain.rs"]
mod plain;
mod python;
mod rate;
mod report;
#[path = "../common/say.rs"]
mod say;
mod screen;
mod server;
#[path = "../common/trace.rs"]
mod trace;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{self, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::{CommandFactory, Parser, error::ErrorKind};
use concurrent_futures::{BuildError, InlineExecutor, Rejected, Shutdown, TaskError, prelude::*};
use jiff::{Timestamp, ToSpan, civil::Date, tz};

use crate::{
    args::{Args, Kind},
    day::{Day, Notes},
    decode::Api,
    fetch::{Cause, FetchError, Fetcher},
    output::Output,
    rate::{Rate, RateLimit},
    report::{Figures, Measured},
    say::{print, say},
    screen::Screen,
    server::{
        Outages, Server, Settings, Tally,
        answers::Answers,
        faults::{self, Faults},
    },
    trace::Trace,
};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// How often the main thread interrupts its wait: to notice Ctrl-C, to redraw the time left.
const TICK: Duration = Duration::from_millis(100);
/// How long running calls may continue after Ctrl-C.
const GRACE: Duration = Duration::from_secs(2);
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(message) = args.check() {
        Args::command().error(ErrorKind::ValueValidation, message).exit();
    }
    run(&args).unwrap_or_else(|error| {
        say(format_args!("error: {}", plain::line(&error.to_string())));
        ExitCode::from(2)
    })
}

fn run(args: &Args) -> Result<ExitCode, Error> {
    // A place that can't be written to is reported now rather than after the fetch.
    let output = Output::new(&args.out, args.answers.as_deref())?;
    let trace = args.trace.as_deref().map(Trace::new).transpose()?;
    let (dates, server) = prepare(args)?;
    let base_url = server.as_ref().map_or_else(|| live_url(args), Server::base_url);

    let stopping = Arc::new(AtomicBool::new(false));
    // The loop is an executor too, so that a call of its own finds out that it is to stop.
    let alone = Arc::new(InlineExecutor::new());
    ctrlc::set_handler({
        let (stopping, alone, unfinished) = (stopping.clone(), alone.clone(), output.unfinished());
        move || {
            if stopping.swap(true, Ordering::Relaxed) {
                unfinished.remove();
                process::exit(INTERRUPTED.into());
            }
            say("\nstopping: no new call starts; Ctrl-C again to exit at once");
            alone.shutdown(Shutdown::Stop);
        }
    })?;

    let screen = Screen::new(args.verbose);
    let fetcher = Fetcher::new(fetch_options(args, base_url), {
        let screen = screen.clone();
        move |date, error, wait| {
            screen.log(|| format!("{date} again in {:.2} s: {error}", wait.as_secs_f64()))
        }
    });

    // The baseline, days one by one: the first few before the threads get all, or all with `--executor loop`.
    let first = match args.executor {
        Kind::Loop => dates.len(),
        Kind::Threads => args.sequential.min(dates.len()),
    };
    let baseline = fetch_in_a_loop(&alone, &dates[..first], &fetcher, &screen);
    let (sequential_days, sequential_s) = (baseline.days.len(), baseline.seconds);
    let mut workers = 1;
    let mut fetched = if args.executor == Kind::Loop || stopping.load(Ordering::Relaxed) {
        baseline
    } else {
        workers = args.workers;
        let pool = pool(workers, trace.as_ref())?;
        let mut fetched = fetch_with_threads(pool, &dates, &fetcher, &stopping, &screen, grace(args));
        if stopping.load(Ordering::Relaxed) {
            fetched.add(baseline);
        }
        fetched
    };

    let writing = Instant::now();
    for day in fetched.days.values_mut() {
        output.keep_answers(day)?;
    }
    // An empty result must not replace what an earlier run has fetched.
    let bytes = if fetched.days.is_empty() { 0 } else { output.write(&fetched.days)? };
    let serial_s = writing.elapsed().as_secs_f64();
    let interrupted = stopping.load(Ordering::Relaxed);
    if interrupted {
        let place = plain::path(&args.out);
        say(format_args!(
            "interrupted: {} of {} days were written to {place}",
            fetched.days.len(),
            dates.len()
        ));
    }
    if let Some(server) = server.as_ref().filter(|_| args.storm) {
        say(weathered(&server.tally()));
    }
    let figures = Figures::new(&Measured {
        days: fetched.days.len() + fetched.failed.len(),
        workers,
        latency_s: server.map(|_| args.latency.as_secs_f64()),
        sequential_days,
        sequential_s,
        parallel_s: fetched.seconds,
        retries: fetched.retries,
        failed: fetched.failed.len(),
    });
    let text = match args.json {
        true => serde_json::to_string(&figures)? + "\n",
        false => format!("{}\n{}\n", figures.table(serial_s)?, summary(&fetched, &args.out, bytes)),
    };
    let printed = print(&text);
    trace.map_or(Ok(()), Trace::finish)?;
    for (date, day) in &fetched.days {
        let lines = day.notes.lines();
        if !lines.is_empty() {
            say(format_args!("{date}: {}", plain::line(&lines.join("; "))));
        }
    }
    for (date, error) in &fetched.failed {
        say(format_args!("{date} is missing: {}", plain::line(error)));
    }
    printed.map_err(|error| format!("can't print the figures: {error}"))?;
    Ok(match interrupted {
        true => ExitCode::from(INTERRUPTED),
        false => ExitCode::from(u8::from(!fetched.failed.is_empty())),
    })
}

fn summary(fetched: &Fetched, out: &Path, bytes: u64) -> String {
    let (days, place) = (fetched.days.len(), plain::path(out));
    if days == 0 {
        return format!("no day was fetched, so {place} was left unchanged");
    }
    let readings: usize = fetched.days.values().map(Day::readings).sum();
    let mut text =
        format!("{days} days with {readings} readings were written to {place}, {:.1} MB", bytes as f64 / 1e6);
    let noted = fetched.days.values().filter(|day| day.notes != Notes::default());
    let (mut rows, mut dropped, mut twice) = (0, 0, 0);
    for Notes { rows: no_time, other_day, readings, rows_twice, .. } in noted.map(|day| &day.notes) {
        rows += no_time.count + other_day.count;
        dropped += readings.count;
        twice += rows_twice;
    }
    if rows + dropped + twice > 0 {
        text += &format!(
            "\nleft out: {rows} rows, {dropped} readings that can't be used; rows that came twice: {twice}"
        );
    }
    text
}

/// The faults of the server.
fn weathered(tally: &Tally) -> String {
    let faults: Vec<_> = tally.faults.iter().map(|(fault, times)| format!("{times} x {fault}")).collect();
    let (answers, faults) = (tally.answers, faults.join(", "));
    format!("the server's faults in {answers} answers: {faults}; it was unreachable {} times", tally.outages)
}

/// The days that came, the days that failed for good, and how long that took.
#[derive(Default)]
struct Fetched {
    days: BTreeMap<Date, Day>,
    failed: BTreeMap<Date, String>,
    seconds: f64,
    retries: u64,
}

impl Fetched {
    /// What came or failed earlier, and hasn't again.
    fn add(&mut self, earlier: Self) {
        for (date, day) in earlier.days {
            self.failed.remove(&date);
            self.days.entry(date).or_insert(day);
        }
        for (date, error) in earlier.failed {
            if !self.days.contains_key(&date) {
                self.failed.entry(date).or_insert(error);
            }
        }
    }
}

fn pool(workers: usize, trace: Option<&Trace>) -> Result<ThreadPoolExecutor, BuildError> {
    let builder = ThreadPoolExecutor::builder().max_workers(workers).name_prefix("fetch");
    match trace {
        Some(trace) => builder.observer(trace.timeline.clone()).build(),
        None => builder.build(),
    }
}

/// One pool, one task a day; each result is taken as it completes.
fn fetch_with_threads(
    pool: ThreadPoolExecutor,
    dates: &[Date],
    fetcher: &Fetcher,
    stopping: &AtomicBool,
    screen: &Screen,
    grace: Duration,
) -> Fetched {
    let workers = pool.max_workers();
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
                    Err(error) if was_stopped(&error) => {}
                    Err(error) => drop(fetched.failed.insert(date, error.to_string())),
                }
            }
            Ok(None) => break,
            Err(_) => screen.tick(),
        }
        if stopping.load(Ordering::Relaxed) {
            let give_up = *give_up.get_or_insert_with(|| {
                pool.shutdown(Shutdown::Stop);
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
    if stopping.load(Ordering::Relaxed) {
        pool.detach(); // calls that are still under way end with the program
    }
    fetched
}

/// Whether a day neither came nor failed, because of Ctrl-C.
fn was_stopped(error: &TaskError) -> bool {
    match error {
        // The loop's executor takes no more.
        TaskError::Cancelled | TaskError::Rejected(Rejected::ShutDown) => true,
        TaskError::Failed(error) => {
            let error = error.downcast_ref::<FetchError>();
            error.is_some_and(|error| matches!(error.cause, Cause::Stopped))
        }
        _ => false,
    }
}

/// The same without a pool: the baseline for the threads.
fn fetch_in_a_loop(alone: &InlineExecutor, dates: &[Date], fetcher: &Fetcher, screen: &Screen) -> Fetched {
    let mut fetched = Fetched::default();
    let (start, retries) = (Instant::now(), fetcher.retries());
    screen.begin("one by one", dates.len());
    for &date in dates {
        let (fetcher, screen_of_task) = (fetcher.clone(), screen.clone());
        match alone.try_submit(move |date| fetch_one(&fetcher, date, &screen_of_task), date).result() {
            Ok(day) => drop(fetched.days.insert(date, day)),
            Err(error) if was_stopped(&error) => break,
            Err(error) => drop(fetched.failed.insert(date, error.to_string())),
        }
        screen.advance();
    }
    fetched.seconds = start.elapsed().as_secs_f64();
    fetched.retries = fetcher.retries() - retries;
    screen.end();
    fetched
}

/// The task itself. It runs on any thread of the executor.
fn fetch_one(fetcher: &Fetcher, date: Date, screen: &Screen) -> Result<Day, FetchError> {
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
            .map_err(|error| format!("can't read --serve-dir {}: {error}", plain::path(dir)))?,
        None => {
            let dates = consecutive(args.start.unwrap_or(jiff::civil::date(2017, 3, 23)), args.days)?;
            let (days, interval) = (dates.len(), args.interval);
            say(format_args!(
                "making up {days} days of weather, a reading every {interval} min, for the embedded server"
            ));
            Answers::generate(args.api(), &dates, args.interval, ROWS_A_PAGE)?
        }
    };
    let mut dates = answers.dates();
    if dates.is_empty() {
        return Err(format!(
            "there is no YYYY-MM-DD.json.gz in {}",
            args.serve_dir.iter().map(|dir| plain::path(dir)).collect::<String>()
        )
        .into());
    }
    if dates.len() < args.days {
        say(format_args!("the folder has {} days, not {}", dates.len(), args.days));
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
        keep_answers: args.answers.is_some(),
    }
}

/// After Ctrl-C, a running call to our own server may finish if its pause is short.
fn grace(args: &Args) -> Duration {
    if args.live { GRACE } else { args.latency.min(GRACE) }
}
