//! Any words in the place of the examples' arguments.
//!
//! ```text
//! which program 1 | arguments, a newline between each two
//! ```

use crate::rate::{Rate, RateLimit};
use crate::{weather_args, xray_args};
use clap::{Command, CommandFactory, FromArgMatches};
use concurrent_futures::internals::fuzz::Target;
use concurrent_futures::internals::memory::in_proportion;
use std::cell::RefCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;
use std::time::Instant;

pub(crate) const TARGET: Target = Target {
    name: "arguments",
    body,
    words: &[
        "\n",
        "=",
        "--",
        "-",
        "-v",
        "0",
        "-1",
        "+1",
        "1e18",
        "1e19",
        "1e308",
        "-0.0",
        "NaN",
        "inf",
        "18446744073709551616",
        "9223372036854775807",
        "0x10",
        " ",
        "\u{fffd}",
        "9999-12-31",
        "-009999-01-01",
        "2023-02-29",
        "--rate\n1/1e18",
        "--start\n",
        "--days\n",
        "--size\n",
        "--timeout\n",
        "--latency\n",
        "--live\n",
        "--json\n",
        "--help\n",
        "--version\n",
        "--executor\n",
        "all",
        "processes",
        "threads",
        "loop",
        "--workers\n",
        "--faults\n",
        "--contact-sheet\n",
        "--out\n",
        "--crash-at\n",
        "--sample\n",
        "--bare-worker\n",
        "--api\n",
        "v1",
        "v2",
    ],
    seeds,
};

thread_local! {
    /// Made once: it takes longer than what is looked for.
    static COMMANDS: RefCell<[Command; 2]> =
        RefCell::new([weather_args::Args::command(), xray_args::Args::command()]);
}

fn body(data: &[u8]) {
    let Some((&which, words)) = data.split_first() else { return };
    let which = usize::from(which % 2);
    let words = [&b"program"[..]]
        .into_iter()
        .chain(words.split(|byte| *byte == b'\n').filter(|word| !word.is_empty()));
    // What clap keeps is its own; the texts of an error quote what they are about.
    let mut command = COMMANDS.with_borrow(|commands| commands[which].clone());
    in_proportion(data.len(), 256, 1 << 20, || {
        match command.try_get_matches_from_mut(words.map(OsStr::from_bytes)) {
            Ok(matches) if which == 0 => {
                weather(&weather_args::Args::from_arg_matches(&matches).expect("clap has checked them"));
            }
            Ok(matches) => xray(&xray_args::Args::from_arg_matches(&matches).expect("clap has checked them")),
            Err(error) => drop(error.to_string()),
        }
    });
}

/// As the program uses them before it does anything.
fn weather(args: &weather_args::Args) {
    const HOUR: Duration = Duration::from_secs(3600);
    assert!((1..=20_000).contains(&args.days) && (1..=10_000).contains(&args.workers));
    assert!((1..=1440).contains(&args.interval) && (0.0..=1.0).contains(&args.faults));
    assert!([args.latency, args.timeout, args.first_wait].iter().all(|duration| *duration <= HOUR));
    if args.check().is_ok() && !args.live {
        assert!(args.latency < args.timeout);
    }
    let _ = args.api();
    if let Some(rate) = args.rate {
        kept(rate);
    }
}

/// A limit grants what its rate says: whoever asks once more waits, though not if it is all over.
fn kept(rate: Rate) {
    assert!(rate.calls > 0);
    let limit = RateLimit::new(rate);
    for _ in 0..3 {
        limit.reserve(Instant::now());
        limit.try_acquire();
    }
    let limit = RateLimit::new(rate);
    let granted = (0..3).filter(|_| limit.try_acquire()).count();
    assert!(granted == rate.calls.min(3) || rate.window < Duration::from_secs(5), "{granted} of {rate:?}");
}

fn xray(args: &xray_args::Args) {
    assert!((1..=1024).contains(&args.size) && (1..=100_000).contains(&args.images));
    assert!((1..=10_000).contains(&args.repeat) && args.crash_at != Some(0) && args.workers() > 0);
    let images = args.images * args.repeat;
    assert!((1..=images).contains(&args.sample(images)));
    let _ = (args.check(), args.executor.to_string());
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let weather = [
        ("nothing", ""),
        ("days", "--days 3 --workers 2"),
        (
            "all",
            "--days 20000 --workers 10000 --executor threads --latency 0.5 --interval 60 --faults 0.1 --seed 7 --sequential 0 --out a.json --json -v --timeout 1e1 --retries 3 --first-wait 0 --start 2017-03-23 --rate 6/10",
        ),
        ("live", "--live --api v1 --base-url http://127.0.0.1:1 --rate 12/10.5"),
        ("folder", "--serve-dir days --api v2"),
        ("conflict", "--live --latency 1"),
        ("too-many", "--days 20001"),
        ("none", "--days 0"),
        ("negative", "--latency -1 --timeout -0.0 --faults -0"),
        ("no-number", "--latency NaN --faults inf --timeout 1e308"),
        ("last-day", "--start 9999-12-31 --days 2"),
        ("no-day", "--start 2023-02-29"),
        ("rate-of-ages", "--rate 1/1e18"),
        ("rate-past-the-clocks-end", "--rate 1/1e19"),
        ("rate-of-nothing", "--rate 0/1"),
        ("rate-at-once", "--rate 3/0"),
        ("rate-without-number", "--rate /"),
        ("equals", "--days=5 --out= --executor=loop"),
        ("behind-dashes", "-- --days 3"),
        ("help", "--help"),
        ("version", "--version"),
        ("slow", "--latency 30 --timeout 30"),
    ];
    let xray = [
        ("nothing", ""),
        (
            "all",
            "--executor all --workers 1024 --images 100000 --seed 2 --cache c --repeat 10000 --size 1024 --sample 0 --out a.npy --contact-sheet a.png --json -v",
        ),
        ("folder", "--dir pictures --executor map"),
        ("crash", "--executor processes --crash-at 18446744073709551615"),
        ("crash-in-threads", "--executor threads --crash-at 1"),
        ("same-file", "--out a --contact-sheet a"),
        ("no-size", "--size 0"),
        ("bare", "--bare-worker"),
        ("bare-and-more", "--bare-worker --json"),
    ];
    let line = |which: u8, text: &str| [&[which][..], text.replace(' ', "\n").as_bytes()].concat();
    let weather = weather.iter().map(|(name, text)| (format!("weather-{name}"), line(0, text)));
    weather.chain(xray.iter().map(|(name, text)| (format!("xray-{name}"), line(1, text)))).collect()
}
