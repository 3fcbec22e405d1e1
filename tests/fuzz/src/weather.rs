//! Any bytes in the place of an answer of the weather API, of both its versions.
//!
//! ```text
//! mode 1 | answer; or, if the mode is 255, how many rows 2, how many stations 1
//! ```

use crate::day::Day;
use crate::decode::{Api, Page, decode};
use concurrent_futures::internals::fuzz::Target;
use concurrent_futures::internals::memory::in_proportion;
use jiff::civil::{Date, date};
use std::fmt::Write;

pub(crate) const TARGET: Target = Target {
    name: "weather",
    body,
    words: &[
        "1e999",
        "-1e-999",
        "NaN",
        "null",
        "29",
        "{}",
        "[]",
        "{\"",
        "\"\"",
        "\\u0000",
        "\\ud800",
        "healthy",
        "\u{fffd}",
        "2016-12-15T00:00:00+08:00",
        "-009999-01-01T00:00:00",
        "9999-12-31T23:59:60Z",
        "24:00",
        "readings",
        "data",
        "timestamp",
        "station_id",
        "stationId",
        "value",
        "items",
        "stations",
        "paginationToken",
        "api_info",
    ],
    seeds,
};

const DAY: Date = date(2016, 12, 15);

fn body(data: &[u8]) {
    let Some((&mode, bytes)) = data.split_first() else { return };
    let large;
    let bytes = match (mode, bytes) {
        (255, &[low, high, stations, ..]) => {
            large = many(usize::from(u16::from_le_bytes([low, high])) % 800, usize::from(stations) * 4);
            large.as_bytes()
        }
        _ => bytes,
    };
    for api in [Api::V1, Api::V2] {
        // A row takes some 60 bytes, of which a table may make four for each station.
        let page = in_proportion(bytes.len(), 64, 16 << 10, || decode(api, DAY, bytes));
        match page {
            Ok(page) => used(page),
            Err(error) => drop(error.to_string()),
        }
    }
}

/// As the program uses a page.
fn used(page: Page) {
    let Page { mut day, next } = page;
    assert!(day.times.iter().all(|time| time.date() == DAY) && (day.readings() > 0 || next.is_some()));
    assert!(next.is_none_or(|token| !token.is_empty()));
    assert_eq!(day.rows().count(), day.times.len(), "a row for each time");
    let mut merged = Day::new(DAY);
    for (time, row) in day.times.iter().zip(day.rows()) {
        let ids = day.stations.iter().map(|station| station.id.as_str());
        merged.push(*time, ids.zip(row.iter().copied()));
    }
    assert_eq!((merged.readings(), merged.rows().count()), (day.readings(), day.times.len()));
    day.stations.iter().for_each(|station| merged.describe(station.clone()));
    let readings = day.readings();
    day.sort();
    assert!(day.times.is_sorted_by(|one, next| one < next) && day.readings() + day.notes.twice == readings);
    day.notes.lines();
    serde_json::to_string(&day).expect("a day can be written");
}

/// An answer with many rows, each of a station of its own as long as there are some.
fn many(rows: usize, stations: usize) -> String {
    let mut items = String::new();
    for n in 0..rows {
        let station = n.min(stations);
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(
            items,
            r#"{comma}{{"timestamp":"2016-12-15T00:00:00","readings":[{{"station_id":"{station}","value":1}}]}}"#
        );
    }
    format!(r#"{{"metadata":{{"stations":[]}},"items":[{items}],"api_info":{{"status":"healthy"}}}}"#)
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let place = r#""location":{"latitude":1.3,"longitude":103.8}"#;
    let v1 = |items: &str, status: &str| {
        format!(
            r#"{{"metadata":{{"stations":[{{"id":"S1","device_id":"S1","name":"One",{place}}},{{"id":"S2","name":"T\u0077o",{place}}}],"reading_type":"DBT 1M F"}},"items":{items},"api_info":{{"status":"{status}"}}}}"#
        )
    };
    let v2 = |code: i32, readings: &str, token: &str| {
        format!(
            r#"{{"code":{code},"data":{{"stations":[{{"id":"S1","deviceId":"S1","name":"One",{place}}}],"readings":{readings},"readingUnit":"deg C"{token}}},"errorMsg":""}}"#
        )
    };
    let row1 = |minute: u32, value: &str| {
        format!(
            r#"{{"timestamp":"2016-12-15T00:{minute:02}:00+08:00","readings":[{{"station_id":"S1","value":{value}}},{{"station_id":"S2","value":29}}]}}"#
        )
    };
    let row2 = |minute: u32, value: &str| {
        format!(
            r#"{{"timestamp":"2016-12-15T00:{minute:02}:00+08:00","data":[{{"stationId":"S1","value":{value}}}]}}"#
        )
    };
    let answers = [
        ("v1", v1(&format!("[{},{}]", row1(0, "28.7"), row1(1, "28")), "healthy")),
        ("v1-newest-first", v1(&format!("[{},{}]", row1(9, "28.7"), row1(1, "28")), "healthy")),
        ("v1-empty-item", v1("[{}]", "healthy")),
        ("v1-no-items", v1("[]", "healthy")),
        ("v1-unwell", v1("[]", "unhealthy")),
        ("v1-huge-value", v1(&format!("[{}]", row1(0, "1e300")), "healthy")),
        ("v1-value-out-of-range", v1(&format!("[{}]", row1(0, "1e999")), "healthy")),
        ("v1-other-day", v1(&format!("[{}]", row1(0, "1").replace("12-15", "12-16")), "healthy")),
        ("v1-no-time", v1(&format!("[{}]", row1(0, "1").replace("2016-12-15T00", "now")), "healthy")),
        ("v1-far-future", v1(&format!("[{}]", row1(0, "1").replace("2016", "9999")), "healthy")),
        ("v1-same-station-twice", v1(&format!("[{}]", row1(0, "1").replace("S2", "S1")), "healthy")),
        ("v2", v2(0, &format!("[{},{}]", row2(0, "28.7"), row2(1, "28")), "")),
        ("v2-page", v2(0, &format!("[{}]", row2(0, "28.7")), r#","paginationToken":"b2Zmc2V0""#)),
        ("v2-empty-token", v2(0, &format!("[{}]", row2(0, "28.7")), r#","paginationToken":"""#)),
        ("v2-null-token", v2(0, &format!("[{}]", row2(0, "28.7")), r#","paginationToken":null"#)),
        ("v2-failed", r#"{"code":4,"data":null,"errorMsg":"INVALID_PAGINATION_TOKEN"}"#.to_owned()),
        ("v2-failed-without-data", r#"{"code":17,"name":"ERROR","errorMsg":"no \"such\" day"}"#.to_owned()),
        ("v2-no-readings", v2(0, "[]", "")),
        ("no-json", "<html>502 Bad Gateway</html>".to_owned()),
        ("nested", format!("{}{}", r#"{"a":"#, "[".repeat(200))),
        ("nothing", String::new()),
    ];
    let mut named: Vec<_> =
        answers.into_iter().map(|(name, text)| (name.to_owned(), [&[0], text.as_bytes()].concat())).collect();
    named.push(("many-rows".to_owned(), vec![255, 0, 2, 5]));
    named.push(("no-text".to_owned(), vec![0, b'"', 0xff, 0xfe, b'"']));
    named
}
