//! A day's JSON is what Python's `json.dumps(json.loads(answer), sort_keys=True)` makes of the same answer. What Python
//! 3.11 made is kept in `tests/weather/python`: all of it for odd values, length and CRC-32 for the captured days.

use std::{fs, io::Read, path::PathBuf};

use crate::{captured, folder::Folder, program::Running, python, within};

fn kept(name: &str) -> String {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/weather/python")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn unquoted(line: &str) -> String {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn odd_values_are_written_as_python_writes_them() {
    within(10, || {
        let mut count = 0;
        for line in kept("odd.txt").lines() {
            let (json, expected) = line.split_once('\t').expect("two columns");
            let json = unquoted(json);
            assert_eq!(python::dumps(&json).as_deref(), Ok(expected), "{json}");
            // What Python wrote it reads and writes again, and so do we.
            assert_eq!(python::dumps(expected).as_deref(), Ok(expected), "{expected}");
            count += 1;
        }
        assert!(count > 20, "{count} lines");
    });
}

#[test]
fn what_python_refuses_is_refused() {
    within(10, || {
        for line in kept("refused.txt").lines() {
            let json = unquoted(line);
            assert!(python::dumps(&json).is_err(), "{json}: {:?}", python::dumps(&json));
        }
        assert!(python::dumps(&"[".repeat(100_000)).is_err());
        assert!(python::dumps(&r#"{"a":"#.repeat(100_000)).is_err());
    });
}

#[test]
fn what_only_python_reads_is_made_json() {
    within(10, || {
        let strict = python::strict(r#"{"b":[NaN,-Infinity,1e999],"a":"\ud800","b2":"\ud83d\ude00"}"#);
        let expected = r#"{"a": "\ufffd", "b": [null, null, null], "b2": "\ud83d\ude00"}"#;
        assert_eq!(strict.as_deref(), Ok(expected));
        serde_json::from_str::<serde_json::Value>(expected).expect("strict JSON");
    });
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A captured day, as it was sent.
fn sent(folder: &std::path::Path, date: &str) -> String {
    let file =
        fs::File::open(folder.join("v1_days").join(format!("{date}.json.gz"))).expect("the day's file");
    let mut sent = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut sent).expect("gzip");
    sent
}

#[test]
fn captured_days_are_written_as_python_writes_them() {
    within(200, || {
        let Some(captured) = captured() else { return };
        let days = kept("real-days.txt");
        assert_eq!(days.lines().count(), 100);
        // Each tenth: all are alike, and each takes a while without optimization.
        for line in days.lines().step_by(10) {
            let (date, of_python) = line.split_once(' ').expect("three columns");
            let answer = python::dumps(&sent(&captured, date)).expect("JSON");
            assert_eq!(format!("{} {:08x}", answer.len(), crc(answer.as_bytes())), of_python, "{date}");
        }
    });
}

#[test]
fn captured_days_come_through_the_program_as_python_writes_them() {
    within(130, || {
        let Some(captured) = captured() else { return };
        let folder = Folder::new();
        let mut command = folder.command(&["--serve-dir"]);
        command.arg(captured.join("v1_days")).args(["--latency", "0.01", "--sequential", "0", "--days", "5"]);
        command.args(["--answers", "answers"]);
        let ended = Running::start(command).end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for line in kept("real-days.txt").lines().take(5) {
            let (date, of_python) = line.split_once(' ').expect("three columns");
            let name = folder.path().join("answers").join(format!("{date}.json"));
            let answer = fs::read(&name).unwrap_or_else(|error| panic!("{}: {error}", name.display()));
            assert_eq!(format!("{} {:08x}", answer.len(), crc(&answer)), of_python, "{date}");
        }
        // The table of all days is in the same form: Python would read it and write it again to the byte.
        let table = fs::read_to_string(folder.path().join("weather.json")).expect("weather.json");
        assert_eq!(python::dumps(&table).map(|table| table + "\n").as_ref(), Ok(&table));
        // Whole numbers as they came, without a point.
        assert!(sent(&captured, "2017-03-23").contains(r#""value":27}"#) && !table.contains("27.0"));
    });
}
