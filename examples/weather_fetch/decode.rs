//! The two shapes of the air-temperature API's answer, decoded into a [`Day`].
//!
//! A day of one-minute readings is about 1 MB of JSON, so this takes most of the program's processor time: readings go
//! directly into the table, and text is borrowed from the bytes; there is never a `serde_json::Value`.
//!
//! Only a day without usable readings is lost. A row without a time, a reading without a number, a station without a place:
//! each is left out alone, and counted in the day's [`Notes`](crate::day::Notes).

use std::{borrow::Cow, fmt, marker::PhantomData};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz,
};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{
    day::{Day, Dropped, Sent, Station},
    plain, python,
};

/// Which version of the API is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Api {
    /// One answer a day.
    V1,
    /// One or more pages a day, a token leading from each to the next.
    V2,
}

/// The content of an answer: some of a day's readings, or all, and the token for the rest.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) day: Day,
    pub(crate) next: Option<String>,
}

/// Why an answer with status 200 can't be used. Asking again may help with each.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// 200, healthy, but without readings: both versions sometimes answer so.
    Empty,
    /// The API itself reports a fault.
    Unhealthy(String),
    /// Readings of another day than the one asked for, and no others.
    OtherDay(Dropped<DateTime>),
    /// Rows, but no usable one: what is wrong with the first.
    Useless(String),
    /// No JSON at all, such as the page of a proxy: what it is.
    NotJson(String),
    /// Not the JSON that the API's documentation promises.
    Malformed(serde_json::Error),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "status 200, healthy, but no readings"),
            Self::Unhealthy(text) => {
                write!(f, "status 200, but the API reports: {}", plain::line(&shortened(text)))
            }
            Self::OtherDay(rows) => {
                let first = rows.first.unwrap_or_default();
                write!(f, "the answer holds another day's readings, of {first}")
            }
            Self::Useless(why) => write!(f, "the answer has rows, but none that can be used: {why}"),
            Self::NotJson(what) => write!(f, "status 200, but {what}"),
            Self::Malformed(error) => {
                write!(f, "the answer is not the JSON expected: {}", plain::line(&error.to_string()))
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// The begin of what a server sent, for a message: it may be of any length.
fn shortened(text: &str) -> Cow<'_, str> {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}..", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// The text of an answer: without the byte order mark that some servers begin with, and with U+FFFD for what is no UTF-8.
pub(crate) fn text(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body))
}

/// Decodes one answer to a question for `date`.
pub(crate) fn decode(api: Api, date: Date, body: &[u8]) -> Result<Page, DecodeError> {
    let text = text(body);
    if !text.trim_start().starts_with('{') {
        return Err(DecodeError::NotJson(not_json(text.trim_start())));
    }
    let read = match api {
        Api::V1 => v1,
        Api::V2 => v2,
    };
    let page = match read(date, &text) {
        // What Python and JavaScript read and serde_json doesn't: NaN, halves of characters, a key twice.
        Err(DecodeError::Malformed(error)) => match python::strict(&text) {
            Ok(strict) => read(date, &strict)?,
            Err(_) => return Err(DecodeError::Malformed(error)),
        },
        page => page?,
    };
    let notes = &page.day.notes;
    if page.day.readings() > 0 {
        return Ok(page);
    }
    match (notes.other_day.count, &page.next) {
        (0, _) => Err(notes.first().map_or(DecodeError::Empty, DecodeError::Useless)),
        (_, None) => Err(DecodeError::OtherDay(page.day.notes.other_day)),
        (_, Some(_)) => Ok(page), // the rows that are asked for may be on another page
    }
}

/// Describes what came instead of JSON.
fn not_json(text: &str) -> String {
    let words = |text: &str| {
        let words: Vec<_> = text.split_whitespace().collect();
        plain::line(&shortened(&words.join(" ")))
    };
    if text.is_empty() {
        return "the answer is empty".to_owned();
    }
    let is_page = text.starts_with('<') && {
        let begin = shortened(text).to_ascii_lowercase();
        begin.contains("<html") || begin.contains("<!doctype html")
    };
    if !is_page {
        return format!(
            "the answer isn't JSON: it begins with \"{}\"",
            words(text.get(..40).unwrap_or(text))
        );
    }
    // Lower case of ASCII leaves every byte in its place.
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").map(|at| at + "<title>".len());
    let title = title.and_then(|at| Some(&text[at..at + lower[at..].find('<')?]));
    match title.map(words).filter(|title| !title.is_empty()) {
        Some(title) => format!("the answer is an HTML page, not JSON: \"{title}\""),
        None => "the answer is an HTML page, not JSON".to_owned(),
    }
}

fn v1(date: Date, text: &str) -> Result<Page, DecodeError> {
    let V1 { metadata, items, api_info } = object(text)?;
    match api_info.0.unwrap_or_default().status {
        Leaf::Text(status) if status != "healthy" => {
            return Err(DecodeError::Unhealthy(status.into_owned()));
        }
        _ => {}
    }
    let stations = metadata.0.unwrap_or_default().stations;
    Ok(Page { day: items.into_day(date, stations), next: None })
}

fn v2(date: Date, text: &str) -> Result<Page, DecodeError> {
    let V2 { code, data, error_msg } = object(text)?;
    let is_well = !matches!(code, Leaf::Whole(code) if code != 0);
    let Some(data) = data.0.filter(|_| is_well) else {
        return Err(DecodeError::Unhealthy(format!("code {code}, {error_msg}")));
    };
    let next = match data.pagination_token {
        Leaf::Other(_) => None,
        token => Some(token.to_string()).filter(|token| !token.is_empty()),
    };
    Ok(Page { day: data.readings.into_day(date, data.stations), next })
}

fn object<'a, T: Fields<'a>>(text: &'a str) -> Result<T, DecodeError> {
    let answer: Object<T> = serde_json::from_str(text).map_err(DecodeError::Malformed)?;
    answer.0.ok_or_else(|| DecodeError::NotJson("the answer is no JSON object".to_owned()))
}

/// Far more than there are. The table has room for each station in every row: an answer that names another in each would
/// fill the memory.
const MOST_STATIONS: usize = 256;

/// The rows of an answer, put into the table while they are read: a list of them would be as large as the JSON.
struct Rows(Day);

impl Default for Rows {
    fn default() -> Self {
        Self(Day::new(Date::ZERO))
    }
}

impl Rows {
    fn into_day(self, date: Date, stations: List<Object<ApiStation<'_>>>) -> Day {
        let mut day = self.0.only(date);
        for station in stations.0.into_iter().filter_map(|station| station.0) {
            if let (Leaf::Text(id), location) = (station.id, station.location.0.unwrap_or_default()) {
                let name = if let Leaf::Text(name) = station.name { name } else { id.clone() };
                let (id, name) = (id.into_owned(), name.into_owned());
                let (latitude, longitude) = (location.latitude.degrees(), location.longitude.degrees());
                day.describe(Station { id, name, latitude, longitude });
            }
        }
        day
    }

    fn take(day: &mut Day, row: Object<Row<'_>>) -> Result<(), &'static str> {
        let Some(Row { timestamp, readings }) = row.0 else {
            day.notes.rows.drop_one(not_a_row);
            return Ok(());
        };
        if readings.0.is_empty() {
            return Ok(()); // a day without data may come as one item that is `{}`
        }
        let Some(time) = timestamp.time() else {
            day.notes.rows.drop_one(|| format!("{} is no time", timestamp.shown()));
            return Ok(());
        };
        if readings.0.len().max(day.stations.len()) > MOST_STATIONS {
            return Err("more stations than the country has");
        }
        let mut dropped = Dropped::default();
        let found = readings.0.iter().filter_map(|reading| {
            let found = reading.0.as_ref().and_then(Reading::found);
            if found.is_none() {
                dropped.drop_one(|| reading.0.as_ref().map_or_else(not_a_row, Reading::fault));
            }
            found
        });
        let mut found = found.peekable();
        if found.peek().is_some() {
            day.push(time, found);
        }
        day.notes.readings.add(dropped);
        Ok(())
    }
}

fn not_a_row() -> String {
    "something else stands there".to_owned()
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Push;
        impl<'de> Visitor<'de> for Push {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of times, each with its readings")
            }

            fn visit_unit<E: Error>(self) -> Result<Rows, E> {
                Ok(Rows::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Rows, A::Error> {
                let Rows(mut day) = Rows::default();
                while let Some(row) = rows.next_element()? {
                    Rows::take(&mut day, row).map_err(Error::custom)?;
                }
                Ok(Rows(day))
            }
        }
        deserializer.deserialize_any(Push)
    }
}

/// The members of a JSON object that are wanted; of one that is there twice the last counts.
trait Fields<'de>: Default {
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

macro_rules! fields {
    ($object:ident<'de> { $($($key:literal)|+ => $field:ident,)+ }) => {
        impl<'de> Fields<'de> for $object<'de> {
            fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
                match key {
                    $($($key)|+ => self.$field = map.next_value()?,)+
                    _ => drop(map.next_value::<IgnoredAny>()?),
                }
                Ok(())
            }
        }
    };
}

#[derive(Default)]
struct V1<'a> {
    metadata: Object<V1Metadata<'a>>,
    items: Rows,
    api_info: Object<V1Info<'a>>,
}
fields!(V1<'de> { "metadata" => metadata, "items" => items, "api_info" => api_info, });

#[derive(Default)]
struct V1Metadata<'a> {
    stations: List<Object<ApiStation<'a>>>,
}
fields!(V1Metadata<'de> { "stations" => stations, });

#[derive(Default)]
struct V1Info<'a> {
    status: Leaf<'a>,
}
fields!(V1Info<'de> { "status" => status, });

#[derive(Default)]
struct V2<'a> {
    code: Leaf<'a>,
    data: Object<V2Data<'a>>,
    error_msg: Leaf<'a>,
}
fields!(V2<'de> { "code" => code, "data" => data, "errorMsg" => error_msg, });

#[derive(Default)]
struct V2Data<'a> {
    stations: List<Object<ApiStation<'a>>>,
    readings: Rows,
    pagination_token: Leaf<'a>,
}
fields!(V2Data<'de> {
    "stations" => stations,
    "readings" => readings,
    "paginationToken" => pagination_token,
});

/// Only the names differ: `readings` in v1 is `data` in v2.
#[derive(Default)]
struct Row<'a> {
    timestamp: Leaf<'a>,
    readings: List<Object<Reading<'a>>>,
}
fields!(Row<'de> { "timestamp" => timestamp, "readings" | "data" => readings, });

#[derive(Default)]
struct Reading<'a> {
    station_id: Leaf<'a>,
    value: Leaf<'a>,
}
fields!(Reading<'de> { "station_id" | "stationId" => station_id, "value" => value, });

impl Reading<'_> {
    fn found(&self) -> Option<(&str, Sent)> {
        let Leaf::Text(id) = &self.station_id else { return None };
        let sent = match self.value {
            Leaf::Whole(number) => {
                let celsius = number as f32;
                Sent { celsius, whole: celsius as i64 == number }
            }
            Leaf::Number(number) => Sent { celsius: number as f32, whole: false },
            _ => return None,
        };
        sent.celsius.is_finite().then_some((id, sent))
    }

    /// Why nothing was found.
    fn fault(&self) -> String {
        match &self.station_id {
            Leaf::Text(_) => format!("{} is no temperature", self.value.shown()),
            other => format!("{} is no station", other.shown()),
        }
    }
}

#[derive(Default)]
struct ApiStation<'a> {
    id: Leaf<'a>,
    name: Leaf<'a>,
    location: Object<Location<'a>>,
}
fields!(ApiStation<'de> { "id" => id, "name" => name, "location" => location, });

#[derive(Default)]
struct Location<'a> {
    latitude: Leaf<'a>,
    longitude: Leaf<'a>,
}
fields!(Location<'de> { "latitude" => latitude, "longitude" => longitude, });

/// A JSON object, or none where something else stands.
struct Object<T>(Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Fields<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData::<Self>))
    }
}

/// A JSON array, or an empty one where something else stands.
struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData::<Self>))
    }
}

/// A value that has no parts.
#[derive(Debug)]
enum Leaf<'a> {
    Text(Cow<'a, str>),
    Whole(i64),
    Number(f64),
    /// Nothing of use, by its name.
    Other(&'static str),
}

const NULL: &str = "null";

impl Default for Leaf<'_> {
    fn default() -> Self {
        Self::Other(NULL)
    }
}

impl<'de> Deserialize<'de> for Leaf<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData::<Self>))
    }
}

impl fmt::Display for Leaf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl Leaf<'_> {
    /// The time on Singapore's clocks, whatever the offset that it came with; one without an offset is Singapore's.
    fn time(&self) -> Option<DateTime> {
        let Self::Text(text) = self else { return None };
        match text.parse::<Timestamp>() {
            Ok(at) => Some(tz::offset(8).to_datetime(at)),
            Err(_) => text.parse().ok(),
        }
    }

    fn degrees(&self) -> f64 {
        match *self {
            Self::Whole(number) => number as f64,
            Self::Number(number) => number,
            _ => f64::NAN,
        }
    }

    /// For a message.
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("\"{}\"", plain::line(&shortened(text))),
            leaf => leaf.to_string(),
        }
    }
}

/// Reads what is wanted, and reads over anything that stands there instead.
struct Reader<T>(PhantomData<T>);

/// What each kind of JSON value becomes; by default nothing.
trait Loose<'de>: Default {
    fn text(_: Cow<'de, str>) -> Self {
        Self::default()
    }
    fn whole(_: i64) -> Self {
        Self::default()
    }
    fn number(_: f64) -> Self {
        Self::default()
    }
    fn other(_: &'static str) -> Self {
        Self::default()
    }
    fn array<A: SeqAccess<'de>>(mut array: A) -> Result<Self, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::other("a list"))
    }
    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::other("an object"))
    }
}

impl<'de, T: Fields<'de>> Loose<'de> for Object<T> {
    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        #[derive(serde::Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut fields = T::default();
        while let Some(Key(key)) = object.next_key()? {
            fields.take(&key, &mut object)?;
        }
        Ok(Self(Some(fields)))
    }
}

impl<'de, T: Deserialize<'de>> Loose<'de> for List<T> {
    fn array<A: SeqAccess<'de>>(mut array: A) -> Result<Self, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = array.next_element()? {
            elements.push(element);
        }
        Ok(Self(elements))
    }
}

impl<'de> Loose<'de> for Leaf<'de> {
    fn text(text: Cow<'de, str>) -> Self {
        Self::Text(text)
    }
    fn whole(number: i64) -> Self {
        Self::Whole(number)
    }
    fn number(number: f64) -> Self {
        Self::Number(number)
    }
    fn other(what: &'static str) -> Self {
        Self::Other(what)
    }
}

impl<'de, T: Loose<'de>> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok(T::text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(Cow::Owned(text.to_owned())))
    }
    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(T::whole(number))
    }
    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(i64::try_from(number).map_or_else(|_| T::number(number as f64), T::whole))
    }
    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        Ok(T::number(number))
    }
    fn visit_bool<E>(self, is: bool) -> Result<T, E> {
        Ok(T::other(if is { "true" } else { "false" }))
    }
    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::other(NULL))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<T, A::Error> {
        T::array(array)
    }
    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        T::object(object)
    }
}
