//! The program as a user runs it: what it prints, what it writes, how it ends.

use std::{collections::BTreeSet, fs, io::Read, time::Duration};

use serde_json::Value;

use crate::{
    captured, days,
    decode::Api,
    folder::Folder,
    program::Running,
    rate::{Rate, RateLimit},
    server::{Server, Settings, answers::Answers, faults::Faults},
    within,
};

/// Small days, quickly answered.
const QUICK: [&str; 4] = ["--interval", "60", "--latency", "0.01"];

fn quick<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&QUICK, more].concat()
}

fn names(n: usize) -> Vec<String> {
    days(n).iter().map(ToString::to_string).collect()
}

#[test]
fn json_is_one_object_with_just_these_keys() {
    within(70, || {
        let ended = Folder::new().run(&quick(&["--days", "10", "--workers", "4", "--json"]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let figures: Value = serde_json::from_str(&ended.stdout).expect("one object, nothing else");
        let keys: BTreeSet<_> = figures.as_object().expect("an object").keys().map(String::as_str).collect();
        let expected = BTreeSet::from([
            "days",
            "workers",
            "latency_s",
            "sequential_s",
            "sequential_days_measured",
            "parallel_s",
            "speedup",
            "ideal_speedup",
            "efficiency",
            "retries",
            "failed",
        ]);
        assert_eq!(keys, expected);
        let number = |key: &str| figures[key].as_f64().unwrap_or_else(|| panic!("{key} in {figures}"));
        assert_eq!((number("days"), number("workers"), number("latency_s")), (10.0, 4.0, 0.01));
        assert_eq!((number("sequential_days_measured"), number("failed")), (5.0, 0.0));
        assert!((number("ideal_speedup") - 10.0 / 3.0).abs() < 1e-9);
        assert!((number("speedup") - number("sequential_s") / number("parallel_s")).abs() < 1e-9);
        assert!((number("efficiency") - number("speedup") / number("ideal_speedup")).abs() < 1e-9);
        assert!(number("sequential_s") >= 0.1 && number("parallel_s") >= 0.03, "{figures}");
    });
}

#[test]
fn the_table_says_what_was_extrapolated() {
    within(70, || {
        let folder = Folder::new();
        let ended = folder.run(&quick(&["--days", "7"]));
        assert!(ended.stdout.contains("extrapolated from these 5"), "{}", ended.stdout);
        let ended = folder.run(&quick(&["--days", "5"]));
        assert!(!ended.stdout.contains("extrapolated"), "{}", ended.stdout);
        // Not a terminal: no bar, no carriage return, no escape.
        assert!(!ended.stderr.contains(['\r', '\u{1b}', '%']), "{:?}", ended.stderr);
        let ended = folder.run(&quick(&["--days", "5", "--sequential", "0"]));
        assert!(ended.code == Some(0) && ended.stdout.contains("no speed-up"), "{}", ended.stdout);
    });
}

#[test]
fn both_executors_write_the_same_file() {
    within(130, || {
        let run = |executor| {
            let folder = Folder::new();
            let ended = folder.run(&quick(&["--days", "9", "--executor", executor]));
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert_eq!((folder.files(), folder.dates()), (vec!["weather.json".to_owned()], names(9)));
            fs::read(folder.path().join("weather.json")).expect("weather.json")
        };
        assert!(run("loop") == run("threads"));
    });
}

#[test]
fn real_days_arrive_unharmed() {
    within(200, || {
        let Some(captured) = captured() else { return };
        let source = captured.join("v1_days");
        let folder = Folder::new();
        let mut command = folder.command(&["--serve-dir"]);
        command.arg(&source).args(["--latency", "0.01", "--sequential", "1"]);
        let ended = Running::start(command).end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let result = folder.result();
        let days = result["days"].as_array().expect("days");
        assert_eq!(days.len(), 100);
        for day in days {
            let date = day["date"].as_str().expect("a date");
            let file = fs::File::open(source.join(format!("{date}.json.gz"))).expect("the day's file");
            let mut json = String::new();
            flate2::read::GzDecoder::new(file).read_to_string(&mut json).expect("gzip");
            assert_same_readings(&serde_json::from_str(&json).expect("JSON"), day);
        }
        let dates: Vec<_> = days.iter().map(|day| day["date"].as_str()).collect();
        assert!(dates.is_sorted());
    });
}

/// Each reading of the answer is in the day, and the day has no other.
fn assert_same_readings(answer: &Value, day: &Value) {
    let stations: Vec<_> = day["stations"].as_array().expect("stations").iter().collect();
    let (times, values) =
        (day["times"].as_array().expect("times"), day["values"].as_array().expect("values"));
    let items = answer["items"].as_array().expect("items");
    assert_eq!((times.len(), values.len()), (items.len(), items.len()), "{}", day["date"]);
    for ((item, time), row) in items.iter().zip(times).zip(values) {
        assert_eq!(item["timestamp"].as_str().expect("a time").strip_suffix("+08:00"), time.as_str());
        let readings = item["readings"].as_array().expect("readings");
        for reading in readings {
            let column = stations.iter().position(|id| **id == reading["station_id"]).expect("its column");
            let (sent, came) =
                (reading["value"].as_f64().expect("sent"), row[column].as_f64().expect("came"));
            assert!((sent - came).abs() < 1e-9, "{sent} became {came}");
        }
        let row = row.as_array().expect("a row");
        assert_eq!(row.iter().filter(|value| !value.is_null()).count(), readings.len());
    }
}

#[test]
fn with_faults_each_day_is_written_or_reported_and_none_twice() {
    within(130, || {
        let folder = Folder::new();
        let faults = ["--days", "40", "--faults", "0.5", "--sequential", "0"];
        let ended = folder.run(&quick(&[&faults[..], &["--retries", "0"]].concat()));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let missing: Vec<_> = ended
            .stderr
            .lines()
            .filter_map(|line| line.split_once(" is missing: ").map(|(date, _)| date.to_owned()))
            .collect();
        assert!(!missing.is_empty());
        let mut all = [folder.dates(), missing].concat();
        all.sort();
        assert_eq!(all, names(40));
        let ended =
            folder.run(&quick(&[&faults[..], &["--retries", "20", "--first-wait", "0.001"]].concat()));
        assert_eq!((ended.code, folder.dates()), (Some(0), names(40)), "{ended:?}");
        assert!(ended.stdout.contains("were repeated"), "{}", ended.stdout);
    });
}

#[test]
fn a_storm_is_weathered_and_told() {
    within(70, || {
        let folder = Folder::new();
        let storm = ["--days", "40", "--faults", "0.3", "--storm", "--timeout", "0.5", "--sequential", "0"];
        let ended = folder.run(&quick(&[&storm[..], &["--retries", "20", "--first-wait", "0.01"]].concat()));
        assert_eq!((ended.code, folder.dates()), (Some(0), names(40)), "{ended:?}");
        assert!(
            ended.stderr.contains("the server's faults in ") && ended.stderr.contains("not HTTP"),
            "{ended:?}"
        );
    });
}

#[test]
fn live_speaks_both_versions() {
    within(130, || {
        for (api, name) in [(Api::V1, "v1"), (Api::V2, "v2")] {
            let rate = Rate { calls: 6, window: Duration::from_millis(200) };
            let answers = Answers::generate(api, &days(3), 60, 12).expect("answers");
            let server = Server::start(Settings {
                answers,
                latency: Duration::ZERO,
                faults: Faults::default(),
                rate: Some(RateLimit::new(rate)),
                outages: None,
            });
            let url = server.as_ref().expect("a server").base_url();
            let folder = Folder::new();
            let ended = folder.run(&[
                "--live",
                "--base-url",
                &url,
                "--api",
                name,
                "--start",
                "2017-03-23",
                "--days",
                "3",
                "--rate",
                "6/0.3",
                "--json",
            ]);
            assert_eq!((ended.code, folder.dates()), (Some(0), names(3)), "{ended:?}");
            let figures: Value = serde_json::from_str(&ended.stdout).expect("one object");
            assert!(figures["latency_s"].is_null(), "not known of a server that isn't ours: {figures}");
            assert_eq!(folder.result()["days"][2]["times"].as_array().map(Vec::len), Some(24));
        }
    });
}

#[test]
fn wrong_arguments_are_explained() {
    within(130, || {
        let folder = Folder::new();
        for (args, text) in [
            (&["--workers", "0"][..], "1..=10000"),
            (&["--days", "many"], "--days"),
            (&["--faults", "2"], "from 0 to 1"),
            (&["--storm"], "--faults"),
            (&["--latency", "-1"], "--latency"),
            (&["--latency", "60"], "raise the time-out"),
            (&["--rate", "6"], "such as 6/10"),
            (&["--base-url", "http://127.0.0.1:1"], "--live"),
            (&["--live", "--base-url", "127.0.0.1:8080"], "neither http:// nor https://"),
            (&["--live", "--base-url", "localhost:8080"], "neither http:// nor https://"),
            (&["--live", "--base-url", "ftp://127.0.0.1"], "neither http:// nor https://"),
            (&["--live", "--base-url", "http://"], "names no host"),
            (&["--live", "--base-url", "http://:80"], "names no host"),
            (&["--live", "--base-url", "http://a:port"], "no number up to 65535"),
            (&["--live", "--base-url", "http://a?b=c"], "nothing can stand behind"),
            (&["--live", "--base-url", "http://a\u{1b}[2J"], "a URL can't have"),
            (&["--answers", "/dev/null/no"], "choose another place by --answers"),
            (&["--serve-dir", "nowhere"], "nowhere"),
            (&["--serve-dir", "."], "YYYY-MM-DD"),
            (&["--out", "no/such/folder/x.json"], "choose another place by --out"),
            (&["--out", "."], "directory"),
        ] {
            let ended = folder.run(args);
            assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
            assert!(ended.stderr.contains(text), "{args:?}: {}", ended.stderr);
            assert!(ended.stdout.is_empty() && !ended.stderr.contains("making up"), "{args:?}: {ended:?}");
        }
        assert!(folder.files().is_empty());
    });
}

#[test]
fn when_no_day_comes_the_old_file_stays() {
    within(70, || {
        let folder = Folder::new();
        fs::write(folder.path().join("weather.json"), "old").expect("an old file");
        let ended = folder.run(&quick(&["--days", "2", "--faults", "1", "--retries", "0"]));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stdout.contains("no day was fetched"), "{}", ended.stdout);
        // Figures of what failed are no figures.
        assert!(ended.stdout.contains("nothing to measure"), "{}", ended.stdout);
        assert!(!ended.stdout.contains("days/s") && !ended.stdout.contains("measured"), "{}", ended.stdout);
        // And the exit code is the one that help tells.
        let help = folder.run(&["--help"]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains("1 when some or all could not be fetched"), "{help}");
        let ended = folder.run(&quick(&["--days", "2", "--faults", "1", "--retries", "0", "--json"]));
        let figures: Value = serde_json::from_str(&ended.stdout).expect("one object");
        for key in ["speedup", "efficiency", "sequential_s"] {
            assert!(figures[key].is_null(), "{key} of nothing: {figures}");
        }
        assert_eq!(fs::read(folder.path().join("weather.json")).expect("the old file"), b"old");
    });
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    within(70, || {
        let folder = Folder::new();
        fs::write(folder.path().join("weather.json"), "old").expect("an old file");
        // A limit on the size of files stands in for the disk; without the trap it would be a deadly signal.
        let program = folder.command(&quick(&["--days", "20"]));
        let mut limited = std::process::Command::new("sh");
        limited.args(["-c", r#"trap '' XFSZ; ulimit -f 8; exec "$0" "$@""#]).arg(program.get_program());
        limited.args(program.get_args()).current_dir(folder.path());
        let ended = Running::start(limited).end();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("can't write weather.json: File too large"), "{}", ended.stderr);
        assert_eq!(folder.files(), ["weather.json"]);
        assert_eq!(fs::read(folder.path().join("weather.json")).expect("the old file"), b"old");
    });
}

/// BurntSushi/ripgrep#22, sharkdp/fd#24: `2>&1 | head -1`. Nobody reads, and the days are written all the same.
#[cfg(unix)]
#[test]
fn a_reader_that_goes_costs_no_day() {
    within(130, || {
        for redirected in ["2>&1 | head -n 1", "2>&1 | true", "| true", "2>/dev/full >/dev/null", "2>&- >&-"]
        {
            let folder = Folder::new();
            let program = folder.command(&quick(&["--days", "5", "--faults", "0.3", "--verbose"]));
            let mut shell = std::process::Command::new("sh");
            let script = format!(r#"{{ "$0" "$@"; echo $? >code; }} {redirected}"#);
            shell.arg("-c").arg(script).arg(program.get_program());
            shell.args(program.get_args()).current_dir(folder.path());
            let ended = Running::start(shell).end();
            assert_eq!(
                fs::read_to_string(folder.path().join("code")).expect("a code"),
                "0\n",
                "{redirected}"
            );
            assert_eq!(folder.dates(), names(5), "{redirected}");
            assert!(!ended.stderr.contains("panicked") && !ended.stdout.contains("panicked"), "{ended:?}");
        }
    });
}

/// A figure that can't be printed is an error, of which the days know nothing.
#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_an_error_and_the_days_are_written() {
    within(70, || {
        let folder = Folder::new();
        let program = folder.command(&quick(&["--days", "3"]));
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", r#"exec "$0" "$@" >/dev/full"#]).arg(program.get_program());
        shell.args(program.get_args()).current_dir(folder.path());
        let ended = Running::start(shell).end();
        assert_eq!((ended.code, folder.dates()), (Some(2), names(3)), "{ended:?}");
        assert!(ended.stderr.contains("can't print the figures: No space left"), "{}", ended.stderr);
    });
}

/// A link is followed, a device and a pipe are written to; nothing but a regular file is ever replaced.
#[cfg(unix)]
#[test]
fn out_follows_links_and_writes_to_devices_and_pipes() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    within(130, || {
        let folder = Folder::new();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("target.json"), "old").expect("a file");
        symlink("target.json", path("link.json")).expect("a link");
        symlink("link.json", path("chain.json")).expect("a link");
        symlink("made.json", path("dangling.json")).expect("a link");
        let is_json = |name: &str| {
            serde_json::from_slice::<Value>(&fs::read(path(name)).expect(name))
                .is_ok_and(|json| json.is_object())
        };
        for out in ["chain.json", "dangling.json"] {
            let ended = folder.run(&quick(&["--days", "2", "--sequential", "0", "--out", out]));
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert!(fs::symlink_metadata(path(out)).expect(out).is_symlink(), "{out} was replaced");
        }
        assert!(is_json("target.json") && is_json("made.json"));
        let ended = folder.run(&quick(&["--days", "2", "--sequential", "0", "--out", "/dev/null"]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(fs::metadata("/dev/null").expect("it is there").file_type().is_char_device());
        // The program's own output, here a pipe: the days first, then the figures.
        let ended = folder.run(&quick(&["--days", "2", "--sequential", "0", "--out", "/dev/stdout"]));
        let (days, figures) = ended.stdout.split_once("}\n").expect("two parts");
        assert!(days.starts_with(r#"{"days": ["#) && figures.starts_with("Air temperature"), "{ended:?}");
        assert_eq!(folder.files(), ["chain.json", "dangling.json", "link.json", "made.json", "target.json"]);
    });
}

#[cfg(unix)]
#[test]
fn ctrl_c_shows_the_figures_of_what_came() {
    within(70, || {
        let folder = Folder::new();
        let args =
            ["--days", "40", "--workers", "4", "--sequential", "1", "--interval", "60", "--latency", "0.3"];
        let mut running = Running::start(folder.command(&[&args[..], &["--verbose"]].concat()));
        running.wait_for("fetch_1");
        running.wait_for(" has ");
        running.interrupt();
        let ended = running.end();
        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert!(ended.stdout.contains("4 threads") && ended.stdout.contains("measured"), "{}", ended.stdout);
        // What was not asked for any more neither came nor failed.
        assert!(!ended.stderr.contains("is missing"), "{}", ended.stderr);
    });
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_what_came() {
    within(70, || {
        let folder = Folder::new();
        let args =
            ["--days", "40", "--workers", "4", "--sequential", "0", "--interval", "60", "--latency", "0.5"];
        let mut running = Running::start(folder.command(&[&args[..], &["--verbose"]].concat()));
        running.wait_for(" has ");
        let interrupted = std::time::Instant::now();
        running.interrupt();
        let ended = running.end();
        let took = interrupted.elapsed();
        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert!(took < Duration::from_millis(1500), "the prompt came back after {took:?}");
        let dates = folder.dates();
        assert!((1..40).contains(&dates.len()) && dates.is_sorted(), "{dates:?}");
        assert!(ended.stderr.contains(&format!("interrupted: {} of 40", dates.len())), "{}", ended.stderr);
        let after = ended.stderr.split("stopping").nth(1).expect("it says that it stops");
        // Each thread may have been between its look at the stop and its line.
        assert!(after.matches("starts\n").count() <= 4, "nothing new starts: {}", ended.stderr);
        assert_eq!(folder.files(), ["weather.json"]);
    });
}

#[cfg(unix)]
#[test]
fn ctrl_c_in_the_baseline_keeps_its_days() {
    within(70, || {
        let folder = Folder::new();
        let args =
            ["--days", "40", "--sequential", "40", "--interval", "60", "--latency", "0.3", "--verbose"];
        let mut running = Running::start(folder.command(&args));
        running.wait_for(" has ");
        running.interrupt();
        let ended = running.end();
        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert!((1..40).contains(&folder.dates().len()), "{ended:?}");
    });
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_leaves_at_once() {
    within(70, || {
        let folder = Folder::new();
        let args = ["--days", "4", "--workers", "2", "--interval", "60", "--latency", "20", "--verbose"];
        let mut running = Running::start(folder.command(&args));
        running.wait_for(" starts");
        running.interrupt();
        running.wait_for("stopping");
        let again = std::time::Instant::now();
        running.interrupt();
        let ended = running.end();
        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert!(again.elapsed() < Duration::from_secs(2), "{:?}", again.elapsed());
        assert!(folder.files().is_empty());
    });
}
