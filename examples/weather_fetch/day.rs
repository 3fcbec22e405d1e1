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

/// A temperature as it was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) celsius: f32,
    /// 27 and not 27.0.
    pub(crate) whole: bool,
}

impl From<f32> for Sent {
    fn from(celsius: f32) -> Self {
        Self { celsius, whole: false }
    }
}

const SILENT: Sent = Sent { celsius: f32::NAN, whole: false };

/// How much was left out for one reason, and the first instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Dropped<T = String> {
    pub(crate) count: usize,
    pub(crate) first: Option<T>,
}

impl<T> Dropped<T> {
    pub(crate) fn drop_one(&mut self, what: impl FnOnce() -> T) {
        self.count += 1;
        self.first.get_or_insert_with(what);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.take().or(other.first);
    }
}

/// Parts of a day's answers that are not in its table, or came twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Notes {
    /// Rows without a time.
    pub(crate) rows: Dropped,
    pub(crate) other_day: Dropped<DateTime>,
    /// Readings without a station or a temperature.
    pub(crate) readings: Dropped,
    /// Readings whose station had one already at that time.
    pub(crate) twice: usize,
    /// Rows of a time that there was already.
    pub(crate) rows_twice: usize,
    /// What was odd about the pages.
    pub(crate) pages: Dropped,
}

impl Notes {
    fn add(&mut self, other: Self) {
        self.rows.add(other.rows);
        self.other_day.add(other.other_day);
        self.readings.add(other.readings);
        self.twice += other.twice;
        self.rows_twice += other.rows_twice;
        self.pages.add(other.pages);
    }

    /// What is wrong with the first that was left out.
    pub(crate) fn first(&self) -> Option<String> {
        self.rows.first.clone().or_else(|| self.readings.first.clone())
    }

    /// Each kind in a few words; nothing for a day that was kept completely.
    pub(crate) fn lines(&self) -> Vec<String> {
        fn dropped<T: std::fmt::Display>(what: &str, dropped: &Dropped<T>) -> Option<String> {
            let first = dropped.first.as_ref()?;
            let s = if dropped.count == 1 { "" } else { "s" };
            Some(format!("{} {what}{s} dropped ({first})", dropped.count))
        }
        let other_day = self
            .other_day
            .first
            .map(|time| Dropped { count: self.other_day.count, first: Some(format!("of {time}")) });
        let s = if self.rows_twice == 1 { "" } else { "s" };
        let twice = (self.rows_twice > 0).then(|| format!("{} row{s} came twice", self.rows_twice));
        let lines = [
            dropped("row", &self.rows),
            other_day.and_then(|other_day| dropped("row", &other_day)),
            dropped("reading", &self.readings),
            twice,
            self.pages.first.clone(),
        ];
        lines.into_iter().flatten().collect()
    }
}

/// All readings of one day. `values` holds the rows one after the other, `stations.len()` values each;
/// NaN (`null` in JSON) where a station has no reading for that minute.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    pub(crate) date: Date,
    pub(crate) stations: Vec<Station>,
    pub(crate) times: Vec<DateTime>,
    values: Vec<f32>,
    /// Which of the values came as whole numbers.
    whole: Vec<bool>,
    pub(crate) notes: Notes,
    /// The answers themselves, as Python would write them; none unless they are to be kept.
    pub(crate) answers: Vec<String>,
}

impl Day {
    pub(crate) fn new(date: Date) -> Self {
        let (stations, times, values, whole) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { date, stations, times, values, whole, notes: Notes::default(), answers: Vec::new() }
    }

    /// Adds the row of one time, and a column for each station not seen before.
    pub(crate) fn push<'a, V: Into<Sent>>(
        &mut self,
        time: DateTime,
        readings: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        self.times.push(time);
        let mut row = self.values.len();
        self.values.resize(row + self.stations.len(), SILENT.celsius);
        self.whole.resize(row + self.stations.len(), SILENT.whole);
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
            let Sent { celsius, whole } = value.into();
            (self.values[row + column], self.whole[row + column]) = (celsius, whole);
            guess = column + 1;
        }
    }

    /// Fills in a station's name and place; a station without readings has no column and is left out.
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

    /// What there is in one row, by station.
    fn row(&self, row: usize) -> impl Iterator<Item = (&str, Sent)> {
        let first = row * self.stations.len();
        self.stations.iter().enumerate().filter_map(move |(column, station)| {
            let (celsius, whole) = (self.values[first + column], self.whole[first + column]);
            (!celsius.is_nan()).then_some((station.id.as_str(), Sent { celsius, whole }))
        })
    }

    /// The same without the rows of other days.
    pub(crate) fn only(mut self, date: Date) -> Self {
        self.date = date;
        if self.times.iter().all(|time| time.date() == date) {
            return self;
        }
        let mut kept = Self { notes: self.notes.clone(), ..Self::new(date) };
        for (row, time) in self.times.iter().enumerate() {
            if time.date() == date {
                kept.push(*time, self.row(row));
            } else {
                kept.notes.other_day.drop_one(|| *time);
            }
        }
        kept
    }

    /// Adds another page of the same day.
    pub(crate) fn add(&mut self, page: Self) {
        for (row, time) in page.times.iter().enumerate() {
            self.push(*time, page.row(row));
        }
        page.stations.into_iter().for_each(|station| self.describe(station));
        self.notes.add(page.notes);
        self.answers.extend(page.answers);
    }

    /// Brings the rows into the order of their times, each time once: the pages of an answer may come newest first, and
    /// may overlap. Where a station has two readings of one time, the first stays.
    pub(crate) fn sort(&mut self) {
        if self.times.is_sorted_by(|one, next| one < next) {
            return;
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|row| self.times[*row]);
        let columns = self.stations.len();
        let mut times: Vec<DateTime> = Vec::with_capacity(order.len());
        let mut values = Vec::with_capacity(self.values.len());
        let mut whole = Vec::with_capacity(self.whole.len());
        for row in order {
            let cells = row * columns..(row + 1) * columns;
            if times.last() != Some(&self.times[row]) {
                times.push(self.times[row]);
                values.extend_from_slice(&self.values[cells.clone()]);
                whole.extend_from_slice(&self.whole[cells]);
                continue;
            }
            self.notes.rows_twice += 1;
            let last = values.len() - columns;
            for (column, cell) in cells.enumerate() {
                match (self.values[cell].is_nan(), values[last + column].is_nan()) {
                    (true, _) => {}
                    (false, true) => {
                        (values[last + column], whole[last + column]) = (self.values[cell], self.whole[cell]);
                    }
                    (false, false) => self.notes.twice += 1,
                }
            }
        }
        (self.times, self.values, self.whole) = (times, values, whole);
    }

    fn column(&self, id: &str) -> Option<usize> {
        self.stations.iter().position(|station| station.id == id)
    }

    fn add_column(&mut self, id: &str) {
        let old = self.stations.len();
        let name = id.to_owned();
        self.stations.push(Station { id: name.clone(), name, latitude: f64::NAN, longitude: f64::NAN });
        let rows = self.times.len();
        self.values = widened(&self.values, rows, old, SILENT.celsius);
        self.whole = widened(&self.whole, rows, old, SILENT.whole);
    }
}

fn widened<T: Copy>(cells: &[T], rows: usize, columns: usize, more: T) -> Vec<T> {
    let mut wider = Vec::with_capacity(rows * (columns + 1));
    for row in 0..rows {
        wider.extend_from_slice(&cells[row * columns..(row + 1) * columns]);
        wider.push(more);
    }
    wider
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
                let columns = self.0.stations.len().max(1);
                let rows = self.0.rows().zip(self.0.whole.chunks_exact(columns));
                serializer.collect_seq(rows.map(|(row, whole)| Cells(row, whole)))
            }
        }
        struct Cells<'a>(&'a [f32], &'a [bool]);
        impl Serialize for Cells<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer
                    .collect_seq(self.0.iter().zip(self.1).map(|(&celsius, &whole)| Cell(celsius, whole)))
            }
        }
        struct Cell(f32, bool);
        impl Serialize for Cell {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match *self {
                    Self(celsius, true) => serializer.serialize_i64(celsius as i64),
                    Self(celsius, false) => serializer.serialize_f32(celsius),
                }
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
