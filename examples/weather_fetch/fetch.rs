//! Fetching one day: ask, check, decode; ask again when that may help.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use concurrent_futures::current;
use jiff::{
    Timestamp,
    civil::Date,
    fmt::{rfc2822, strtime},
};
use ureq::{
    Agent,
    http::{HeaderMap, StatusCode},
};

use crate::{
    day::Day,
    decode::{self, Api, DecodeError, Page},
    plain, python,
    rate::{Rate, RateLimit},
};

/// If a server asks for a longer pause than this, the call fails instead.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// More pages than a day can have: a server must not hold a thread for ever.
const MOST_PAGES: usize = 2000;
/// After this many pages in a row without anything new, no more are requested.
const MOST_STALE_PAGES: usize = 3;

/// The options of a [`Fetcher`].
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) api: Api,
    /// Scheme, host and port.
    pub(crate) base_url: String,
    pub(crate) api_key: Option<String>,
    /// How many threads will call at once: as many connections are kept open for the next call.
    pub(crate) workers: usize,
    /// For one call, from connecting to the body's last byte.
    pub(crate) timeout: Duration,
    /// How often a call is repeated, and the wait before the first time; the wait doubles each time.
    pub(crate) retries: usize,
    pub(crate) first_wait: Duration,
    pub(crate) rate: Option<Rate>,
    /// Whether a day has its answers beside its readings.
    pub(crate) keep_answers: bool,
}

/// One connection pool and one rate limit for all threads. Cloning it is cheap.
#[derive(Clone)]
pub(crate) struct Fetcher(Arc<Shared>);

struct Shared {
    agent: Agent,
    options: Options,
    limit: Option<RateLimit>,
    retries: AtomicU64,
    /// Called for each retry: the day, the error, the wait.
    on_retry: Box<OnRetry>,
}

type OnRetry = dyn Fn(Date, &FetchError, Duration) + Send + Sync;

impl Fetcher {
    pub(crate) fn new(
        options: Options,
        on_retry: impl Fn(Date, &FetchError, Duration) + Send + Sync + 'static,
    ) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false) // a 429 has a Retry-After to be read
            .timeout_global(Some(options.timeout))
            .timeout_connect(Some(options.timeout.min(Duration::from_secs(10))))
            .max_idle_connections(options.workers)
            .max_idle_connections_per_host(options.workers)
            .user_agent(concat!("concurrent-futures-example/", env!("CARGO_PKG_VERSION")));
        // A proxy from the environment is for other machines: its 127.0.0.1 is not ours.
        let agent = if is_this_machine(&options.base_url) { agent.proxy(None) } else { agent };
        let agent = agent.build().new_agent();
        let limit = options.rate.map(RateLimit::new);
        let retries = AtomicU64::new(0);
        Self(Arc::new(Shared { agent, options, limit, retries, on_retry: Box::new(on_retry) }))
    }

    /// All readings of a day: every page, each requested again while that may help.
    pub(crate) fn day(&self, date: Date) -> Result<Day, FetchError> {
        let Page { mut day, mut next } = self.page_with_retries(date, None)?;
        let (mut tokens, mut stale) = (HashSet::new(), 0);
        while let Some(token) = next {
            if tokens.len() >= MOST_PAGES {
                return Err(FetchError::new(Cause::Endless));
            }
            if !tokens.insert(token.clone()) {
                day.notes.pages.drop_one(|| format!("the page tokens repeat after {}", tokens.len()));
                break;
            }
            let page = match self.page_with_retries(date, Some(&token)) {
                Ok(page) => page,
                // The pages before it are still good.
                Err(FetchError { cause: Cause::Answer(DecodeError::Empty), .. }) => {
                    day.notes.pages.drop_one(|| "an empty page was taken as the last one".to_owned());
                    break;
                }
                Err(error) => return Err(error),
            };
            let rows = day.times.len();
            day.add(page.day);
            day.sort();
            stale = if day.times.len() > rows { 0 } else { stale + 1 };
            if stale == MOST_STALE_PAGES && page.next.is_some() {
                day.notes.pages.drop_one(|| format!("{stale} pages in a row had nothing new"));
                break;
            }
            next = page.next;
        }
        day.sort();
        match (day.readings(), day.notes.other_day.count) {
            (0, 0) => Err(DecodeError::Empty.into()),
            (0, _) => Err(DecodeError::OtherDay(day.notes.other_day).into()),
            _ => Ok(day),
        }
    }

    /// The number of repeated calls so far.
    pub(crate) fn retries(&self) -> u64 {
        self.0.retries.load(Ordering::Relaxed)
    }

    /// The waits come from backon: exponential, with jitter so that the threads do not all come back at once.
    fn page_with_retries(&self, date: Date, token: Option<&str>) -> Result<Page, FetchError> {
        let options = &self.0.options;
        let mut waits = ExponentialBuilder::new()
            .with_min_delay(options.first_wait)
            .with_max_delay(Duration::from_secs(30))
            .with_max_times(options.retries)
            .with_jitter()
            .build();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut error = match self.page(date, token) {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            error.attempts = attempts;
            if !error.cause.may_pass() || error.asks_too_long().is_some() {
                return Err(error);
            }
            let asked = error.retry_after.unwrap_or_default();
            let Some(wait) = waits.next() else { return Err(error) };
            let wait = asked + wait; // not the bare wish of the server, which all threads were told alike
            self.0.retries.fetch_add(1, Ordering::Relaxed);
            (self.0.on_retry)(date, &error, wait);
            sleep(wait);
        }
    }

    /// One call, one answer.
    fn page(&self, date: Date, token: Option<&str>) -> Result<Page, FetchError> {
        let Shared { agent, options, limit, .. } = &*self.0;
        if let Some(limit) = limit {
            sleep(limit.reserve(Instant::now()).saturating_duration_since(Instant::now()));
        }
        check_stop()?;
        let path = match options.api {
            Api::V1 => "/v1/environment/air-temperature",
            Api::V2 => "/v2/real-time/api/air-temperature",
        };
        let mut request = agent.get(format!("{}{path}", options.base_url)).query("date", date.to_string());
        if let Some(token) = token {
            request = request.query("paginationToken", token);
        }
        if let Some(key) = &options.api_key {
            request = request.header("x-api-key", key);
        }
        let mut response = request.call()?;
        let status = response.status();
        if status != StatusCode::OK {
            let asked = retry_after(response.headers());
            // If the server doesn't say when, a 429 ends when the limit's window has passed.
            let window = limit.as_ref().map(RateLimit::window);
            let retry_after = asked.or(window.filter(|_| status == StatusCode::TOO_MANY_REQUESTS));
            return Err(FetchError { retry_after, ..FetchError::new(Cause::Status(status)) });
        }
        let body = response.body_mut().read_to_vec()?;
        let mut page = match decode::decode(options.api, date, &body) {
            // A last page may hold nothing but the next midnight.
            Err(DecodeError::OtherDay(rows)) if token.is_some() => {
                let mut day = Day::new(date);
                day.notes.other_day = rows;
                Page { day, next: None }
            }
            decoded => decoded?,
        };
        if options.keep_answers {
            let answer = python::dumps(&decode::text(&body));
            page.day.answers.push(answer.map_err(|error| DecodeError::NotJson(error.to_string()))?);
        }
        Ok(page)
    }
}

/// An error once the task that calls this was asked to stop.
pub(crate) fn check_stop() -> Result<(), FetchError> {
    if is_to_stop() { Err(FetchError::new(Cause::Stopped)) } else { Ok(()) }
}

fn is_to_stop() -> bool {
    current().is_some_and(|task| task.should_stop())
}

/// Sleeps, though hardly longer than until the task that calls this is asked to stop.
fn sleep(duration: Duration) {
    /// Between two looks.
    const LOOK: Duration = Duration::from_millis(20);
    let until = Instant::now() + duration;
    while !is_to_stop() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(LOOK));
    }
}

/// Whether a URL leads to the machine itself.
fn is_this_machine(base_url: &str) -> bool {
    let Ok(url) = base_url.parse::<ureq::http::Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback() || address.is_unspecified())
}

/// `Retry-After` comes as a number of seconds or as a date, in one of the three forms that HTTP has had.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        // Negative: at once. More than a duration holds is still more than anybody waits.
        return (!seconds.is_nan())
            .then(|| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX));
    }
    let old = |format| strtime::parse(format, text).and_then(|parsed| parsed.to_datetime());
    let at: Timestamp = match rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text) {
        Ok(at) => at,
        Err(_) => old("%A, %d-%b-%y %H:%M:%S GMT")
            .or_else(|_| old("%a %b %e %H:%M:%S %Y"))
            .and_then(|at| jiff::tz::TimeZone::UTC.to_timestamp(at))
            .ok()?,
    };
    Some(Duration::try_from(at - Timestamp::now()).unwrap_or_default()) // in the past: at once
}

/// Why a day, or one call for it, failed.
#[derive(Debug)]
pub(crate) struct FetchError {
    pub(crate) cause: Cause,
    retry_after: Option<Duration>,
    attempts: usize,
}

#[derive(Debug)]
pub(crate) enum Cause {
    Network(ureq::Error),
    Status(StatusCode),
    Answer(DecodeError),
    Endless,
    Stopped,
}

impl Cause {
    /// Whether the same question may get a better answer later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Network(error) => !matches!(
                error,
                ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::BodyExceedsLimit(_)
            ),
            Self::Status(status) => *status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error(),
            Self::Answer(_) => true,
            Self::Endless | Self::Stopped => false,
        }
    }
}

impl FetchError {
    fn new(cause: Cause) -> Self {
        Self { cause, retry_after: None, attempts: 1 }
    }

    /// A pause that the server asks for and that is too long.
    fn asks_too_long(&self) -> Option<Duration> {
        self.retry_after.filter(|asked| self.cause.may_pass() && *asked > LONGEST_WAIT)
    }
}

impl From<ureq::Error> for FetchError {
    fn from(error: ureq::Error) -> Self {
        Self::new(Cause::Network(error))
    }
}

impl From<DecodeError> for FetchError {
    fn from(error: DecodeError) -> Self {
        Self::new(Cause::Answer(error))
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Network(error) => f.write_str(&plain::line(&error.to_string()))?,
            Cause::Status(status) => write!(f, "the server answered {status}")?,
            Cause::Answer(error) => write!(f, "{error}")?,
            Cause::Endless => write!(f, "more than {MOST_PAGES} pages")?,
            Cause::Stopped => write!(f, "stopped before it was done")?,
        }
        if let Some(asked) = self.asks_too_long() {
            let (asked, most) = (asked.as_secs(), LONGEST_WAIT.as_secs());
            write!(f, " and asks for a pause of {asked} s; the limit is {most} s")?;
        }
        match self.attempts {
            1 => Ok(()),
            n => write!(f, " (attempt {n})"),
        }
    }
}

impl std::error::Error for FetchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Network(error) => error.source(), // the error itself is part of our text
            Cause::Answer(error) => error.source(),
            Cause::Status(_) | Cause::Endless | Cause::Stopped => None,
        }
    }
}
