//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use jiff::civil::Date;

use crate::{decode::Api, rate::Rate};

/// Fetches days of air temperature in Singapore over HTTP, many at once, and reports the speed-up.
///
/// By default a server inside this program answers, with made-up weather and a pause before each answer, so no network
/// is needed.
///
/// Exit code: 0 when all days were written; 1 when some or all could not be fetched (the others are written);
/// 2 for wrong arguments, and when a result can't be written; 130 after Ctrl-C (the days so far are written).
#[derive(Parser, Clone, Debug)]
#[command(name = "weather_fetch", version)]
pub(crate) struct Args {
    /// How many days to fetch
    #[arg(long, default_value_t = 100, value_parser = count(1..=20_000))]
    pub(crate) days: usize,

    /// The number of threads; for calls that mostly wait, more threads than processors are faster
    #[arg(long, default_value_t = 40, value_parser = count(1..=10_000))]
    pub(crate) workers: usize,

    /// What runs the calls
    #[arg(long, value_enum, default_value = "threads")]
    pub(crate) executor: Kind,

    /// The embedded server's pause before each answer, in seconds
    #[arg(long, default_value = "1.0", value_parser = seconds, allow_negative_numbers = true, value_name = "SECONDS")]
    pub(crate) latency: Duration,

    /// Minutes between two readings of made-up weather; 60 makes days small
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1440), value_name = "MINUTES")]
    pub(crate) interval: u32,

    /// The share of the embedded server's answers that are faulty: 429, 500, cut off or empty
    #[arg(long, default_value_t = 0.0, value_parser = share, allow_negative_numbers = true, value_name = "SHARE")]
    pub(crate) faults: f64,

    /// Add worse faults: byte by byte, without an end, no answer, a reset, not HTTP, a wrong length; and make the server
    /// unreachable now and then. Two of these faults take a whole --timeout, so lower that
    #[arg(long, requires = "faults")]
    pub(crate) storm: bool,

    /// The seed that chooses the faulty answers
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// How many days to fetch one by one first, as the baseline; 0 for none
    #[arg(long, default_value_t = 5, value_name = "DAYS")]
    pub(crate) sequential: usize,

    /// Write the days to this file, as JSON
    #[arg(long, default_value = "weather.json", value_name = "FILE")]
    pub(crate) out: PathBuf,

    /// Also write the answers, into this folder: YYYY-MM-DD.json as Python's json.dumps(answer, sort_keys=True) writes
    /// it, YYYY-MM-DD.2.json for a second page
    #[arg(long, value_name = "DIR")]
    pub(crate) answers: Option<PathBuf>,

    /// Write what the threads did to this file, for Perfetto (ui.perfetto.dev), and a table to stderr
    #[arg(long, value_name = "FILE.json")]
    pub(crate) trace: Option<PathBuf>,

    /// Print the figures as one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Print which thread fetches which day, and when
    #[arg(long, short)]
    pub(crate) verbose: bool,

    /// Serve the days of this folder from the embedded server: YYYY-MM-DD.json.gz in the format of v1
    #[arg(long, value_name = "DIR", conflicts_with_all = ["live", "interval", "start"])]
    pub(crate) serve_dir: Option<PathBuf>,

    /// Ask data.gov.sg, with the key in the environment's DATA_GOV_SG_API_KEY if there is one
    #[arg(long, conflicts_with_all = ["latency", "interval", "faults", "storm", "seed"])]
    pub(crate) live: bool,

    /// The API's version; by default v1 of the embedded server, v2 of data.gov.sg
    #[arg(long, value_enum)]
    pub(crate) api: Option<Api>,

    /// A server other than data.gov.sg, such as http://127.0.0.1:8080
    #[arg(long, requires = "live", value_name = "URL")]
    pub(crate) base_url: Option<String>,

    /// The first day [default: 2017-03-23; with --live so that the last day is yesterday]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) start: Option<Date>,

    /// Calls allowed in a number of seconds, such as 6/10 [default: none; v2 of data.gov.sg 6/10, with a key 12/10]
    #[arg(long, value_name = "CALLS/SECONDS")]
    pub(crate) rate: Option<Rate>,

    /// The time limit of one call, in seconds
    #[arg(long, default_value = "30", value_parser = seconds, allow_negative_numbers = true, value_name = "SECONDS")]
    pub(crate) timeout: Duration,

    /// How often a failed call is repeated
    #[arg(long, default_value_t = 5)]
    pub(crate) retries: usize,

    /// The wait before a call is repeated, in seconds; doubled each time, and extended at random
    #[arg(long, default_value = "0.2", value_parser = seconds, allow_negative_numbers = true, value_name = "SECONDS")]
    pub(crate) first_wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// One after the other, on the main thread
    Loop,
    /// A pool of threads
    Threads,
}

impl Args {
    /// What clap can't check by itself: values that must fit each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.live && self.latency >= self.timeout {
            let (latency, timeout) = (self.latency.as_secs_f64(), self.timeout.as_secs_f64());
            return Err(format!(
                "each answer takes --latency {latency} s, but a call's --timeout is {timeout} s: raise the time-out"
            ));
        }
        if self.serve_dir.is_some() && self.api == Some(Api::V2) {
            return Err("the files of --serve-dir have the shape of v1: leave --api out".to_owned());
        }
        self.base_url.as_deref().map_or(Ok(()), check_url)
    }

    pub(crate) fn api(&self) -> Api {
        self.api.unwrap_or(if self.live { Api::V2 } else { Api::V1 })
    }
}

/// Only what the calls need: a scheme and a host, behind which the API's own path has room.
fn check_url(url: &str) -> Result<(), String> {
    let wrong = |what: &str| {
        let shown = url.escape_debug();
        Err(format!("--base-url {shown}: {what}; write it as http://127.0.0.1:8080 or https://example.org"))
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return wrong("it begins with neither http:// nor https://");
    };
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return wrong("it begins with neither http:// nor https://");
    }
    if url.contains(|char: char| char.is_whitespace() || char.is_control() || !char.is_ascii()) {
        return wrong("it has a character that a URL can't have");
    }
    if url.contains(['?', '#']) {
        return wrong("nothing can stand behind its path");
    }
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    // Colons stand inside the brackets of an IPv6 address too.
    let behind = host.rfind(']').map_or(0, |bracket| bracket + 1);
    let (name, port) = match host[behind..].find(':') {
        Some(colon) => (&host[..behind + colon], Some(&host[behind + colon + 1..])),
        None => (host, None),
    };
    if name.is_empty() {
        return wrong("it names no host");
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return wrong("its port is no number up to 65535");
    }
    Ok(())
}

fn count(range: std::ops::RangeInclusive<u64>) -> impl clap::builder::TypedValueParser<Value = usize> {
    use clap::builder::{RangedU64ValueParser, TypedValueParser};
    RangedU64ValueParser::<u64>::new().range(range).map(|n| n as usize)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds, such as 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= Duration::from_secs(3600))
        .ok_or_else(|| "write a number of seconds from 0 to 3600".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "write a share from 0 to 1".to_owned())
}
