//! One day of readings: a table with a row for each time and a column for each station.

use jiff::civil::{Date, DateTime};
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// Where a reading was taken.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Station {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
}

/// All readings of one day. `values` holds the rows one after the other, `stations.len()` values each;
/// NaN (`null` in JSON) where a station was silent in that minute.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    pub(crate) date: Date,
    pub(crate) stations: Vec<Station>,
    pub(crate) times: Vec<DateTime>,
    values: Vec<f32>,
}

impl Day {
    pub(crate) fn new(date: Date) -> Self {
        Self { date, stations: Vec::new(), times: Vec::new(), values: Vec::new() }
    }

    /// Adds the row of one time, and a column for each station not seen before.
    pub(crate) fn push<'a>(&mut self, time: DateTime, readings: impl IntoIterator<Item = (&'a str, f32)>) {
        self.times.push(time);
        let mut row = self.values.len();
        self.values.resize(row + self.stations.len(), f32::NAN);
        let mut guess = 0; // the order seldom changes from one time to the next
        for (id, value) in readings {
            let column = match self.stations.get(guess) {
                Some(station) if station.id == id => guess,
                _ => self.column(id).unwrap_or_else(|| {
                    self.add_column(id);
                    row = self.values.len() - self.stations.len();
                    self.stations.len() - 1
                }),
            };
            self.values[row + column] = value;
            guess = column + 1;
        }
    }

    /// Fills in what is known of a station; one that was silent all day has no column and stays out.
    pub(crate) fn describe(&mut self, station: Station) {
        if let Some(column) = self.column(&station.id) {
            self.stations[column] = station;
        }
    }

    /// The rows, in the order of `times`.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.stations.len().max(1))
    }

    /// How many readings there are; a silent station's is none.
    pub(crate) fn readings(&self) -> usize {
        self.values.iter().filter(|value| !value.is_nan()).count()
    }

    /// Brings the rows into the order of their times: the pages of an answer may come newest first.
    pub(crate) fn sort(&mut self) {
        if self.times.is_sorted() {
            return;
        }
        let mut rows: Vec<_> =
            self.times.iter().copied().zip(self.rows()).map(|(time, row)| (time, row.to_vec())).collect();
        rows.sort_by_key(|(time, _)| *time);
        (self.times, self.values) =
            rows.into_iter().fold((Vec::new(), Vec::new()), |(mut times, mut values), (time, row)| {
                times.push(time);
                values.extend(row);
                (times, values)
            });
    }

    fn column(&self, id: &str) -> Option<usize> {
        self.stations.iter().position(|station| station.id == id)
    }

    fn add_column(&mut self, id: &str) {
        let old = self.stations.len();
        let name = id.to_owned();
        self.stations.push(Station { id: name.clone(), name, latitude: f64::NAN, longitude: f64::NAN });
        let mut values = Vec::with_capacity(self.times.len() * (old + 1));
        for row in 0..self.times.len() {
            values.extend_from_slice(&self.values[row * old..(row + 1) * old]);
            values.push(f32::NAN);
        }
        self.values = values;
    }
}

/// `{"date", "stations": [id], "times": [..], "values": [[..]]}`: what stations are called and where they stand is
/// said once, beside the days.
impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Ids<'a>(&'a Day);
        impl Serialize for Ids<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.stations.iter().map(|station| &station.id))
            }
        }
        struct Rows<'a>(&'a Day);
        impl Serialize for Rows<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.rows())
            }
        }
        let mut day = serializer.serialize_struct("Day", 4)?;
        day.serialize_field("date", &self.date)?;
        day.serialize_field("stations", &Ids(self))?;
        day.serialize_field("times", &self.times)?;
        day.serialize_field("values", &Rows(self))?;
        day.end()
    }
}
