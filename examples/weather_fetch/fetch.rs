//! Fetching one day: ask, check, decode; ask again when that may help.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::{Timestamp, civil::Date, fmt::rfc2822};
use ureq::{
    Agent,
    http::{HeaderMap, StatusCode},
};

use crate::{
    day::Day,
    decode::{self, Api, DecodeError, Page},
    rate::{Rate, RateLimit},
    stop::Stop,
};

/// A server that asks for a longer pause than this is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// More pages than a day can have: a server whose tokens lead in a circle must not hold a thread for ever.
const MOST_PAGES: usize = 2000;

/// What a [`Fetcher`] is told.
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
}

/// One connection pool and one rate limit for all threads. Cloning it is cheap.
#[derive(Clone)]
pub(crate) struct Fetcher(Arc<Shared>);

struct Shared {
    agent: Agent,
    options: Options,
    limit: Option<RateLimit>,
    retries: AtomicU64,
    stop: Stop,
    /// Told of each retry: the day, the error, the wait.
    on_retry: Box<OnRetry>,
}

type OnRetry = dyn Fn(Date, &FetchError, Duration) + Send + Sync;

impl Fetcher {
    pub(crate) fn new(
        options: Options,
        stop: Stop,
        on_retry: impl Fn(Date, &FetchError, Duration) + Send + Sync + 'static,
    ) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false) // a 429 has a Retry-After to be read
            .timeout_global(Some(options.timeout))
            .timeout_connect(Some(options.timeout.min(Duration::from_secs(10))))
            .max_idle_connections(options.workers)
            .max_idle_connections_per_host(options.workers)
            .user_agent(concat!("concurrent-futures-example/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let limit = options.rate.map(RateLimit::new);
        let retries = AtomicU64::new(0);
        Self(Arc::new(Shared { agent, options, limit, retries, stop, on_retry: Box::new(on_retry) }))
    }

    /// All readings of a day: every page of them, each asked for again while that may help.
    pub(crate) fn day(&self, date: Date) -> Result<Day, FetchError> {
        let Page { mut day, mut next } = self.page_with_retries(date, None)?;
        for _ in 1..MOST_PAGES {
            let Some(token) = next else {
                day.sort();
                return Ok(day);
            };
            let page = self.page_with_retries(date, Some(&token))?;
            for (time, row) in page.day.times.iter().zip(page.day.rows()) {
                let ids = page.day.stations.iter().map(|station| station.id.as_str());
                day.push(*time, ids.zip(row.iter().copied()));
            }
            page.day.stations.into_iter().for_each(|station| day.describe(station));
            next = page.next;
        }
        Err(FetchError::new(Cause::Endless))
    }

    /// An error once the stop was raised.
    pub(crate) fn check_stop(&self) -> Result<(), FetchError> {
        if self.0.stop.is_raised() { Err(FetchError::new(Cause::Stopped)) } else { Ok(()) }
    }

    /// How often a call was repeated so far.
    pub(crate) fn retries(&self) -> u64 {
        self.0.retries.load(Ordering::Relaxed)
    }

    /// The waits come from backon: exponential, with jitter so that the threads do not all come back at once.
    fn page_with_retries(&self, date: Date, token: Option<&str>) -> Result<Page, FetchError> {
        let Shared { options, stop, .. } = &*self.0;
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
            let asked = error.retry_after.unwrap_or_default();
            if !error.cause.may_pass() || asked > LONGEST_WAIT {
                return Err(error);
            }
            let Some(wait) = waits.next() else { return Err(error) };
            let wait = asked + wait; // not the bare wish of the server, which all threads were told alike
            self.0.retries.fetch_add(1, Ordering::Relaxed);
            (self.0.on_retry)(date, &error, wait);
            stop.sleep(wait);
        }
    }

    /// One call, one answer.
    fn page(&self, date: Date, token: Option<&str>) -> Result<Page, FetchError> {
        let Shared { agent, options, limit, stop, .. } = &*self.0;
        if let Some(limit) = limit {
            limit.acquire(stop);
        }
        self.check_stop()?;
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
            // Without a word from the server, a 429 ends when the limit's window has passed.
            let window = limit.as_ref().map(RateLimit::window);
            let retry_after = asked.or(window.filter(|_| status == StatusCode::TOO_MANY_REQUESTS));
            return Err(FetchError { retry_after, ..FetchError::new(Cause::Status(status)) });
        }
        let body = response.body_mut().read_to_vec()?;
        Ok(decode::decode(options.api, date, &body)?)
    }
}

/// `Retry-After` comes as a number of seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at: Timestamp = rfc2822::parse(text).ok()?.timestamp();
            Some(Duration::try_from(at - Timestamp::now()).unwrap_or_default()) // in the past: at once
        }
    }
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
            Self::Answer(DecodeError::Malformed(error)) => error.is_eof(), // cut off on the way
            Self::Answer(_) => true,
            Self::Endless | Self::Stopped => false,
        }
    }
}

impl FetchError {
    fn new(cause: Cause) -> Self {
        Self { cause, retry_after: None, attempts: 1 }
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
            Cause::Network(error) => write!(f, "{error}")?,
            Cause::Status(status) => write!(f, "the server answered {status}")?,
            Cause::Answer(error) => write!(f, "{error}")?,
            Cause::Endless => write!(f, "more than {MOST_PAGES} pages")?,
            Cause::Stopped => write!(f, "stopped before it was done")?,
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
