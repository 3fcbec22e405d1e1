//! The two shapes of the air-temperature API's answer, decoded into a [`Day`].
//!
//! A day of one-minute readings is about 1 MB of JSON, so this is where the program's processor time goes: typed
//! structs that borrow from the bytes, never a `serde_json::Value`.

use std::{borrow::Cow, fmt};

use jiff::civil::{Date, DateTime};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

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
    // Checked once as a whole: from bytes, each short string would be checked for itself.
    let text = str::from_utf8(body).map_err(|error| DecodeError::Malformed(Error::custom(error)))?;
    let page = match api {
        Api::V1 => v1(date, text)?,
        Api::V2 => v2(date, text)?,
    };
    match page.day.times.iter().find(|time| time.date() != date) {
        Some(time) => Err(DecodeError::OtherDay(*time)),
        None if page.day.readings() == 0 => Err(DecodeError::Empty),
        None => Ok(page),
    }
}

fn v1(date: Date, text: &str) -> Result<Page, DecodeError> {
    let answer: V1<'_> = serde_json::from_str(text).map_err(DecodeError::Malformed)?;
    if answer.api_info.status != "healthy" {
        return Err(DecodeError::Unhealthy(answer.api_info.status.into_owned()));
    }
    Ok(Page { day: answer.items.into_day(date, answer.metadata.stations), next: None })
}

fn v2(date: Date, text: &str) -> Result<Page, DecodeError> {
    let answer: V2<'_> = serde_json::from_str(text).map_err(DecodeError::Malformed)?;
    let Some(data) = answer.data.filter(|_| answer.code == 0) else {
        return Err(DecodeError::Unhealthy(format!("code {}, {}", answer.code, answer.error_msg)));
    };
    let next = data.pagination_token.filter(|token| !token.is_empty()).map(Cow::into_owned);
    Ok(Page { day: data.readings.into_day(date, data.stations), next })
}

/// Far more than there are. The table has room for each station in every row: an answer that names another in each would
/// fill the memory.
const MOST_STATIONS: usize = 256;

/// The rows of an answer, put into the table while they are read: a list of them would be as large as the JSON.
struct Rows(Day);

impl Rows {
    fn into_day(mut self, date: Date, stations: Vec<ApiStation<'_>>) -> Day {
        self.0.date = date;
        for station in stations {
            self.0.describe(station.into());
        }
        self.0
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Push;
        impl<'de> Visitor<'de> for Push {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of times, each with its readings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Rows, A::Error> {
                let mut day = Day::new(Date::ZERO);
                while let Some(row) = rows.next_element::<Row<'de>>()? {
                    if row.readings.is_empty() {
                        continue; // a day without data may come as one item that is `{}`
                    }
                    // The time on Singapore's clocks; the offset, always +08:00, is read over.
                    let time = row.timestamp.parse().map_err(Error::custom)?;
                    if row.readings.len().max(day.stations.len()) > MOST_STATIONS {
                        return Err(Error::custom("more stations than the country has"));
                    }
                    day.push(time, row.readings.iter().map(|r| (&*r.station_id, r.value)));
                }
                Ok(Rows(day))
            }
        }
        deserializer.deserialize_seq(Push)
    }
}

#[derive(serde::Deserialize)]
struct V1<'a> {
    #[serde(borrow)]
    metadata: V1Metadata<'a>,
    items: Rows,
    #[serde(borrow)]
    api_info: V1Info<'a>,
}

#[derive(serde::Deserialize)]
struct V1Metadata<'a> {
    #[serde(borrow)]
    stations: Vec<ApiStation<'a>>,
}

#[derive(serde::Deserialize)]
struct V1Info<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct V2<'a> {
    code: i64,
    #[serde(borrow)]
    data: Option<V2Data<'a>>,
    #[serde(borrow, default)]
    error_msg: Cow<'a, str>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct V2Data<'a> {
    #[serde(borrow)]
    stations: Vec<ApiStation<'a>>,
    readings: Rows,
    #[serde(borrow)]
    pagination_token: Option<Cow<'a, str>>,
}

/// Only the names differ: `readings` in v1 is `data` in v2.
#[derive(serde::Deserialize)]
struct Row<'a> {
    #[serde(borrow, default)]
    timestamp: Cow<'a, str>,
    #[serde(borrow, default, alias = "data")]
    readings: Vec<Reading<'a>>,
}

#[derive(serde::Deserialize)]
struct Reading<'a> {
    #[serde(borrow, alias = "stationId")]
    station_id: Cow<'a, str>,
    value: f32, // 29 as well as 28.7
}

#[derive(serde::Deserialize)]
struct ApiStation<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    location: Location,
}

#[derive(serde::Deserialize)]
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
