//! The two shapes of the air-temperature API's answer, decoded into a [`Day`].
//!
//! A day of one-minute readings is about 1 MB of JSON, so this is where the program's processor time goes: typed
//! structs that borrow from the bytes, never a `serde_json::Value`.

use std::{borrow::Cow, fmt};

use jiff::civil::{Date, DateTime};
use serde::Deserialize;

use crate::day::{Day, Station};

/// Which version of the API is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Api {
    /// One answer a day.
    V1,
    /// One or more pages a day, a token leading from each to the next.
    V2,
}

/// What an answer holds: some of a day's readings, or all, and the way to the rest.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) day: Day,
    pub(crate) next: Option<String>,
}

/// Why an answer with status 200 can't be used.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// 200, healthy, and not one reading: both versions do this now and then. Asking again helps.
    Empty,
    /// The API itself says that it is not well.
    Unhealthy(String),
    /// Readings of another day than the one asked for.
    OtherDay(DateTime),
    /// Not the JSON that the API's documentation promises.
    Malformed(serde_json::Error),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "status 200, healthy, but no readings"),
            Self::Unhealthy(text) => write!(f, "status 200, but the API reports: {text}"),
            Self::OtherDay(time) => write!(f, "the answer holds another day's readings, of {time}"),
            Self::Malformed(error) => write!(f, "the answer is not the JSON expected: {error}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Decodes one answer to a question for `date`.
pub(crate) fn decode(api: Api, date: Date, body: &[u8]) -> Result<Page, DecodeError> {
    let page = match api {
        Api::V1 => v1(date, body)?,
        Api::V2 => v2(date, body)?,
    };
    match page.day.times.iter().find(|time| time.date() != date) {
        Some(time) => Err(DecodeError::OtherDay(*time)),
        None if page.day.readings() == 0 => Err(DecodeError::Empty),
        None => Ok(page),
    }
}

fn v1(date: Date, body: &[u8]) -> Result<Page, DecodeError> {
    let answer: V1<'_> = serde_json::from_slice(body).map_err(DecodeError::Malformed)?;
    if answer.api_info.status != "healthy" {
        return Err(DecodeError::Unhealthy(answer.api_info.status.into_owned()));
    }
    let mut day = Day::new(date, answer.metadata.stations.into_iter().map(Station::from).collect());
    for item in answer.items.iter().filter(|item| !item.readings.is_empty()) {
        day.push(time(&item.timestamp)?, item.readings.iter().map(|r| (&*r.station_id, r.value)));
    }
    Ok(Page { day, next: None })
}

fn v2(date: Date, body: &[u8]) -> Result<Page, DecodeError> {
    let answer: V2<'_> = serde_json::from_slice(body).map_err(DecodeError::Malformed)?;
    let Some(data) = answer.data.filter(|_| answer.code == 0) else {
        return Err(DecodeError::Unhealthy(format!("code {}, {}", answer.code, answer.error_msg)));
    };
    let mut day = Day::new(date, data.stations.into_iter().map(Station::from).collect());
    for row in &data.readings {
        day.push(time(&row.timestamp)?, row.data.iter().map(|r| (&*r.station_id, r.value)));
    }
    let next = data.pagination_token.filter(|token| !token.is_empty()).map(Cow::into_owned);
    Ok(Page { day, next })
}

/// The time on Singapore's clocks; the offset, always +08:00, is read over.
fn time(text: &str) -> Result<DateTime, DecodeError> {
    text.parse().map_err(|error| DecodeError::Malformed(serde::de::Error::custom(error)))
}

#[derive(Deserialize)]
struct V1<'a> {
    #[serde(borrow)]
    metadata: V1Metadata<'a>,
    #[serde(borrow)]
    items: Vec<V1Item<'a>>,
    #[serde(borrow)]
    api_info: V1Info<'a>,
}

#[derive(Deserialize)]
struct V1Metadata<'a> {
    #[serde(borrow)]
    stations: Vec<ApiStation<'a>>,
}

#[derive(Deserialize)]
struct V1Item<'a> {
    // A day without data may come as one item that is `{}`.
    #[serde(borrow, default)]
    timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    readings: Vec<Reading<'a>>,
}

#[derive(Deserialize)]
struct V1Info<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct V2<'a> {
    code: i64,
    #[serde(borrow)]
    data: Option<V2Data<'a>>,
    #[serde(borrow, default)]
    error_msg: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct V2Data<'a> {
    #[serde(borrow)]
    stations: Vec<ApiStation<'a>>,
    #[serde(borrow)]
    readings: Vec<V2Row<'a>>,
    #[serde(borrow)]
    pagination_token: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct V2Row<'a> {
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    data: Vec<Reading<'a>>,
}

#[derive(Deserialize)]
struct Reading<'a> {
    #[serde(borrow, alias = "stationId")]
    station_id: Cow<'a, str>,
    value: f32, // 29 as well as 28.7
}

#[derive(Deserialize)]
struct ApiStation<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    location: Location,
}

#[derive(Deserialize)]
struct Location {
    latitude: f64,
    longitude: f64,
}

impl From<ApiStation<'_>> for Station {
    fn from(station: ApiStation<'_>) -> Self {
        Self {
            id: station.id.into_owned(),
            name: station.name.into_owned(),
            latitude: station.location.latitude,
            longitude: station.location.longitude,
        }
    }
}
