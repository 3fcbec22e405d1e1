//! The answers, made and compressed before the first question: what a client then waits for is the pause alone.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use jiff::civil::Date;

use super::weather::{Curve, MINUTES_A_DAY, STATIONS};
use crate::decode::Api;

/// One day's pages, each a gzip file. A v1 day has one.
type Pages = Vec<Vec<u8>>;

/// What the server knows, by date.
pub(crate) struct Answers {
    pub(crate) api: Api,
    days: BTreeMap<Date, Pages>,
}

impl Answers {
    /// Makes up the weather of the days, a reading every `interval` minutes, at most `rows` times on a v2 page.
    pub(crate) fn generate(api: Api, dates: &[Date], interval: u32, rows: usize) -> io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = dates.len().div_ceil(threads).max(1);
        let make = |dates: &[Date]| {
            let day = |date: &Date| Ok((*date, pages(api, *date, interval, rows)?));
            dates.iter().map(day).collect::<io::Result<Vec<_>>>()
        };
        let days = std::thread::scope(|scope| {
            let shares: Vec<_> = dates.chunks(share).map(|dates| scope.spawn(move || make(dates))).collect();
            let joined = shares.into_iter().map(|made| made.join().expect("making up weather can't panic"));
            joined.collect::<io::Result<Vec<_>>>()
        })?;
        Ok(Self { api, days: days.into_iter().flatten().collect() })
    }

    /// Takes the days from files named `YYYY-MM-DD.json.gz` or `YYYY-MM-DD.json`, in the shape of v1; other files
    /// are passed over.
    pub(crate) fn from_dir(dir: &Path) -> io::Result<Self> {
        let mut days = BTreeMap::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some((stem, kind)) = name.split_once('.') else { continue };
            let Ok(date) = stem.parse::<Date>() else { continue };
            let page = match kind {
                "json.gz" => fs::read(&path)?,
                "json" => gzip(&fs::read(&path)?)?,
                _ => continue,
            };
            days.insert(date, vec![page]);
        }
        Ok(Self { api: Api::V1, days })
    }

    pub(crate) fn dates(&self) -> Vec<Date> {
        self.days.keys().copied().collect()
    }

    pub(crate) fn pages(&self, date: Date) -> Option<&[Vec<u8>]> {
        self.days.get(&date).map(Vec::as_slice)
    }
}

/// An answer of status 200 that is healthy and holds no reading.
pub(crate) fn empty(api: Api) -> &'static str {
    match api {
        Api::V1 => r#"{"metadata":{"stations":[]},"items":[],"api_info":{"status":"healthy"}}"#,
        Api::V2 => r#"{"code":0,"data":{"stations":[],"readings":[]},"errorMsg":""}"#,
    }
}

fn pages(api: Api, date: Date, interval: u32, rows: usize) -> io::Result<Pages> {
    let curves: Vec<_> = (0..STATIONS.len()).map(|station| Curve::new(date, station)).collect();
    let minutes: Vec<u32> = (0..MINUTES_A_DAY).step_by(interval as usize).collect();
    match api {
        Api::V1 => Ok(vec![gzip(&v1(date, &curves, &minutes))?]),
        Api::V2 => {
            let parts: Vec<_> = minutes.chunks(rows.max(1)).collect();
            let page = |(n, minutes): (usize, &&[u32])| {
                let next = (n + 1 < parts.len()).then(|| token(n + 1));
                gzip(&v2(date, &curves, minutes, next))
            };
            parts.iter().enumerate().map(page).collect()
        }
    }
}

/// The name of a page in `paginationToken`; the first has none.
fn token(page: usize) -> String {
    format!("page-{page}")
}

pub(crate) fn page_of(token: &str) -> Option<usize> {
    token.strip_prefix("page-")?.parse().ok()
}

fn v1(date: Date, curves: &[Curve], minutes: &[u32]) -> Vec<u8> {
    let mut json = String::from(r#"{"metadata":{"#);
    push_stations(&mut json, "device_id");
    json += r#","reading_type":"DBT 1M F","reading_unit":"deg C"},"#;
    push_rows(&mut json, "items", "readings", "station_id", date, curves, minutes);
    json += r#","api_info":{"status":"healthy"}}"#;
    json.into_bytes()
}

fn v2(date: Date, curves: &[Curve], minutes: &[u32], next: Option<String>) -> Vec<u8> {
    let mut json = String::from(r#"{"code":0,"data":{"#);
    push_stations(&mut json, "deviceId");
    json.push(',');
    push_rows(&mut json, "readings", "data", "stationId", date, curves, minutes);
    json += r#","readingType":"DBT 1M F","readingUnit":"deg C""#;
    if let Some(token) = next {
        json += &format!(r#","paginationToken":"{token}""#);
    }
    json += r#"},"errorMsg":""}"#;
    json.into_bytes()
}

fn push_stations(json: &mut String, device: &str) {
    let station = |(id, name, latitude, longitude): &(&str, &str, f64, f64)| {
        format!(
            r#"{{"id":"{id}","{device}":"{id}","name":"{name}","location":{{"latitude":{latitude},"longitude":{longitude}}}}}"#
        )
    };
    let all: Vec<_> = STATIONS.iter().map(station).collect();
    *json += &format!(r#""stations":[{}]"#, all.join(","));
}

/// The rows by hand, since a million readings are made at start: whole degrees are written as the API does, `29`.
fn push_rows(
    json: &mut String,
    rows: &str,
    readings: &str,
    id: &str,
    date: Date,
    curves: &[Curve],
    minutes: &[u32],
) {
    *json += &format!(r#""{rows}":["#);
    let before: Vec<_> =
        STATIONS.iter().map(|station| format!(r#"{{"{id}":"{}","value":"#, station.0)).collect();
    for minute in minutes {
        let (hour, minute_of_hour) = (minute / 60, minute % 60);
        *json += &format!(r#"{{"timestamp":"{date}T{hour:02}:{minute_of_hour:02}:00+08:00","{readings}":["#);
        for (before, curve) in before.iter().zip(curves) {
            if let Some(tenths) = curve.tenths(*minute) {
                *json += before;
                push_tenths(json, tenths);
                *json += "},";
            }
        }
        close(json, "]},");
    }
    close(json, "]");
}

/// Ends a list: without the comma behind its last element.
fn close(json: &mut String, end: &str) {
    if json.ends_with(',') {
        json.pop();
    }
    *json += end;
}

fn push_tenths(json: &mut String, tenths: u32) {
    let digit = |n: u32| char::from(b'0' + (n % 10) as u8);
    json.push(digit(tenths / 100));
    json.push(digit(tenths / 10));
    if !tenths.is_multiple_of(10) {
        json.push('.');
        json.push(digit(tenths));
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}
