//! A timeline in the JSON of Chrome's trace events, which Perfetto and `chrome://tracing` open.
//!
//! | event | what it shows |
//! |---|---|
//! | `M` | the names of the rows, in the order in which the workers were first heard of |
//! | `X` | a task, a wait within one, a worker's start: a slice of its row |
//! | `C` | how many tasks are queued |
//! | `i` | a worker's end |
//!
//! Moments are microseconds from the first event, with three decimals, so that none is rounded. Of slices that begin at the
//! same moment the longer one stands first: that is how those within others are recognised.

use super::histogram::nanos;
use super::record::Span;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

/// The number of the process that all rows belong to. Workers are rows whatever their process is: a process that takes
/// another's place goes on with its row.
const POOL: u32 = 1;

/// One event: when, how long before others of that moment it stands, and its members beyond the common ones.
struct Event {
    at: u64,
    len: u64,
    members: String,
}

pub(super) fn write(to: impl Write, spans: &[Span], rows: &[Arc<str>], queued: &[Instant]) -> io::Result<()> {
    let moments = spans.iter().flat_map(moments).chain(queued.iter().copied());
    let (first, last) =
        moments.fold((None, None), |(first, last): (Option<Instant>, Option<Instant>), at| {
            (Some(first.map_or(at, |first| first.min(at))), Some(last.map_or(at, |last| last.max(at))))
        });
    let mut events = Vec::new();
    if let (Some(first), Some(last)) = (first, last) {
        let scale = Scale {
            first,
            last,
            row_of: rows.iter().enumerate().map(|(row, name)| (name.clone(), row)).collect(),
        };
        events.extend(spans.iter().filter_map(|span| scale.event(span)));
        events.extend(scale.depths(spans, queued));
    }
    events.sort_by_key(|event| (event.at, u64::MAX - event.len));
    let mut to = io::BufWriter::new(to);
    to.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")?;
    write!(to, r#"{{"ph":"M","pid":{POOL},"tid":0,"name":"process_name","args":{{"name":"pool"}}}}"#)?;
    for (row, name) in rows.iter().enumerate() {
        let (tid, name) = (row + 1, quoted(name));
        write!(
            to,
            ",\n{{\"ph\":\"M\",\"pid\":{POOL},\"tid\":{tid},\"name\":\"thread_name\",\"args\":{{\"name\":{name}}}}}"
        )?;
        write!(
            to,
            ",\n{{\"ph\":\"M\",\"pid\":{POOL},\"tid\":{tid},\"name\":\"thread_sort_index\",\"args\":{{\"sort_index\":{row}}}}}"
        )?;
    }
    for event in events {
        write!(to, ",\n{{\"pid\":{POOL},\"ts\":{},{}}}", Micros(event.at), event.members)?;
    }
    to.write_all(b"\n]}\n")?;
    to.flush()
}

/// Every moment that a span tells of.
fn moments(span: &Span) -> impl Iterator<Item = Instant> {
    let (a, b, c) = match span {
        Span::Task { queued, began, ended, .. } => (*queued, Some(*began), *ended),
        Span::NotRun { queued, ended } => (Some(*queued), Some(*ended), None),
        Span::Wait { began, ended, .. } | Span::Start { began, ended, .. } => {
            (Some(*began), Some(*ended), None)
        }
        Span::End { at, .. } => (Some(*at), None, None),
    };
    [a, b, c].into_iter().flatten()
}

/// What moments and workers are in the trace.
struct Scale {
    first: Instant,
    /// What still runs is drawn up to here.
    last: Instant,
    row_of: HashMap<Arc<str>, usize>,
}

impl Scale {
    fn at(&self, moment: Instant) -> u64 {
        nanos(moment.saturating_duration_since(self.first))
    }

    fn tid(&self, worker: &Arc<str>) -> usize {
        self.row_of.get(worker).map_or(0, |row| row + 1)
    }

    fn event(&self, span: &Span) -> Option<Event> {
        match span {
            Span::Task { task, label, items, worker, queued, began, ended, error } => {
                let name = match (label, items) {
                    (Some(label), _) => label.to_string(),
                    (None, Some(items)) if items.len() == 1 => format!("item {}", items.start),
                    (None, Some(items)) => format!("items {} to {}", items.start, items.end - 1),
                    (None, None) => format!("task {task}"),
                };
                let mut args = format!(r#""task":{task}"#);
                if let Some(items) = items {
                    args += &format!(r#","first_item":{},"items":{}"#, items.start, items.len());
                }
                if let Some(queued) = queued {
                    args += &format!(
                        r#","queued_us":{}"#,
                        Micros(nanos(began.saturating_duration_since(*queued)))
                    );
                }
                if let Some(error) = error {
                    args += &format!(r#","error":{}"#, quoted(error));
                }
                if ended.is_none() {
                    args += r#","runs":true"#;
                }
                let ended = ended.unwrap_or(self.last);
                Some(self.slice("task", &name, worker, (*began, ended), &args))
            }
            Span::Wait { worker, began, ended } => {
                Some(self.slice("wait", "waits", worker, (*began, *ended), ""))
            }
            Span::Start { worker, pid, began, ended } => {
                let args = pid.map_or(String::new(), |pid| format!(r#""pid":{pid}"#));
                Some(self.slice("worker", "starts", worker, (*began, *ended), &args))
            }
            Span::End { worker, at, why, was_killed } => {
                let name = match (why, was_killed) {
                    (None, _) => "leaves",
                    (Some(_), true) => "is killed",
                    (Some(_), false) => "dies",
                };
                let why = why.as_ref().map_or(String::new(), |why| format!(r#""why":{}"#, quoted(why)));
                let tid = self.tid(worker);
                let members = format!(
                    r#""ph":"i","s":"t","cat":"worker","tid":{tid},"name":"{name}","args":{{{why}}}"#
                );
                Some(Event { at: self.at(*at), len: 0, members })
            }
            Span::NotRun { .. } => None,
        }
    }

    fn slice(
        &self,
        kind: &str,
        name: &str,
        worker: &Arc<str>,
        (began, ended): (Instant, Instant),
        args: &str,
    ) -> Event {
        let (at, tid, name) = (self.at(began), self.tid(worker), quoted(name));
        let len = self.at(ended).saturating_sub(at);
        let dur = Micros(len);
        let members =
            format!(r#""ph":"X","cat":"{kind}","tid":{tid},"dur":{dur},"name":{name},"args":{{{args}}}"#);
        Event { at, len, members }
    }

    /// How many tasks are queued, whenever that changes.
    fn depths(&self, spans: &[Span], queued: &[Instant]) -> Vec<Event> {
        let mut changes: Vec<(u64, i64)> = queued.iter().map(|at| (self.at(*at), 1)).collect();
        for span in spans {
            let (came, went) = match span {
                Span::Task { queued: Some(queued), began, .. } => (*queued, *began),
                Span::NotRun { queued, ended } => (*queued, *ended),
                _ => continue,
            };
            changes.extend([(self.at(came), 1), (self.at(went), -1)]);
        }
        // Of one moment the arrivals first: there are never fewer than none.
        changes.sort_by_key(|(at, change)| (*at, -change));
        let mut depth = 0;
        let mut depths: Vec<(u64, i64)> = Vec::new();
        for (at, change) in changes {
            depth += change;
            match depths.last_mut() {
                Some((before, last)) if *before == at => *last = depth,
                _ => depths.push((at, depth)),
            }
        }
        let event = |(at, depth)| {
            let members = format!(r#""ph":"C","tid":0,"name":"queued","args":{{"tasks":{depth}}}"#);
            Event { at, len: 0, members }
        };
        depths.into_iter().map(event).collect()
    }
}

/// Nanoseconds, written as microseconds.
struct Micros(u64);

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => quoted += &format!("\\u{:04x}", control as u32),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::{Span, write};
    use crate::clock::after;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// As google/perfetto#371: what lies in a slice is told by the order, where both begin at one moment.
    #[test]
    fn of_slices_that_begin_together_the_longer_stands_first() {
        let (worker, began): (Arc<str>, _) = ("w".into(), Instant::now());
        let ended = |ms| after(began, Duration::from_millis(ms)).unwrap_or(began);
        let wait = |ms| Span::Wait { worker: worker.clone(), began, ended: ended(ms) };
        let mut trace = Vec::new();
        let written = write(&mut trace, &[wait(1), wait(3), wait(2)], std::slice::from_ref(&worker), &[]);
        assert!(written.is_ok());
        let trace = String::from_utf8_lossy(&trace);
        let places = ["3000.000", "2000.000", "1000.000"].map(|dur| trace.find(&format!("\"dur\":{dur},")));
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{trace}");
    }
}
