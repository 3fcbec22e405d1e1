//! [`Note`]: what a worker says beside its replies, through a socket of its own. Writer and reader side by side.
//!
//! ```text
//! each note:  length 4 | kind 1 | what follows          the length is that of what follows it
//! record 1:   level 1 | line 4 | target | module | file | text | pairs 4 | each: key | value
//! lost 2:     how many 8
//! report 3:   batch 4 | index 4 | type 8 | the message, encoded; the type is a number that its name gives
//!
//! a text is its length, 4 bytes, and its bytes; one that is not there has all ones as its length; a line that is not there is 0
//! ```
//!
//! Knows nothing of tasks. What comes is not trusted: no length is believed before so many bytes are there.

use super::message::ProtocolError;
use crate::logging::Record;
use std::borrow::Cow;

/// Bytes of a record's text at most.
pub(crate) const LONGEST_TEXT: usize = 256 << 10;

/// Stands at the end of a text that was longer.
const CUT: &str = " ... (the rest of this text was too long to be forwarded)";

/// Bytes of a note at most, behind its length. Target, keys and values are short in any program that means well.
const LONGEST: usize = 16 << 20;

const LENGTH: usize = 4;

const REPORT: u8 = 3;

/// A note that has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Note<'a> {
    Record(Record<'a>),
    /// So many records found no room.
    Lost(u64),
    Report(Report<'a>),
}

/// What a task has reported: which one, by its place in flight.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report<'a> {
    pub(crate) batch: u32,
    pub(crate) index: u32,
    pub(crate) message_type: u64,
    pub(crate) words: &'a [u8],
}

impl Report<'_> {
    /// Bytes that it counts as, on both sides, until it is done with.
    pub(crate) fn cost(&self) -> u64 {
        /// What it takes beside its message.
        const EACH: u64 = 64;
        self.words.len() as u64 + EACH
    }
}

/// What a worker's reports may count as, together, that are not done with, when the next one goes.
pub(crate) const WINDOW: u64 = 256 << 10;

const INVALID: ProtocolError = ProtocolError("an invalid note");

// ---- writing --------------------------------------------------------------------------------------------

/// A note of a record. `None` for one that is longer than any is.
pub(crate) fn record(record: &Record<'_>) -> Option<Vec<u8>> {
    let mut note = vec![0; LENGTH];
    note.extend([1, record.level]);
    note.extend(record.line.unwrap_or(0).to_le_bytes());
    put(&mut note, Some(&record.target));
    put(&mut note, record.module.as_deref());
    put(&mut note, record.file.as_deref());
    put(&mut note, Some(&shortened(&record.text)));
    note.extend((record.pairs.len() as u32).to_le_bytes());
    for (key, value) in &record.pairs {
        put(&mut note, Some(&shortened(key)));
        put(&mut note, Some(&shortened(value)));
    }
    (note.len() <= LONGEST).then(|| whole(note))
}

/// A note of so many records that found no room.
pub(crate) fn lost(count: u64) -> Vec<u8> {
    let mut note = vec![0; LENGTH];
    note.push(2);
    note.extend(count.to_le_bytes());
    whole(note)
}

/// A note of a report. `None` for one that is longer than 4 GiB.
pub(crate) fn report(report: &Report<'_>) -> Option<Vec<u8>> {
    let mut note = Vec::with_capacity(LENGTH + 17 + report.words.len());
    note.extend([0; LENGTH]);
    note.push(REPORT);
    note.extend(report.batch.to_le_bytes());
    note.extend(report.index.to_le_bytes());
    note.extend(report.message_type.to_le_bytes());
    note.extend(report.words);
    u32::try_from(note.len()).is_ok().then(|| whole(note))
}

fn whole(mut note: Vec<u8>) -> Vec<u8> {
    let len = (note.len() - LENGTH) as u32;
    note[..LENGTH].copy_from_slice(&len.to_le_bytes());
    note
}

fn put(note: &mut Vec<u8>, text: Option<&str>) {
    note.extend(text.map_or(u32::MAX, |text| text.len() as u32).to_le_bytes());
    note.extend(text.unwrap_or_default().as_bytes());
}

fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_TEXT {
        return text.into();
    }
    let end = (0..=LONGEST_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    [&text[..end], CUT].concat().into()
}

// ---- reading --------------------------------------------------------------------------------------------

/// Takes the next whole note off the front of `bytes`; `None` if there is none yet.
pub(crate) fn next<'b>(bytes: &mut &'b [u8]) -> Result<Option<Note<'b>>, ProtocolError> {
    let Some((len, rest)) = bytes.split_first_chunk::<LENGTH>() else { return Ok(None) };
    let len = u32::from_le_bytes(*len) as usize;
    // A report is as long as its message.
    if len > LONGEST && rest.first().is_some_and(|kind| *kind != REPORT) {
        return Err(ProtocolError("a note longer than any is"));
    }
    let Some((mut note, rest)) = rest.split_at_checked(len) else { return Ok(None) };
    *bytes = rest;
    let read = read(&mut note).filter(|_| note.is_empty());
    read.map(Some).ok_or(INVALID)
}

fn read<'b>(note: &mut &'b [u8]) -> Option<Note<'b>> {
    let [kind] = *chunk::<1>(note)?;
    match kind {
        1 => {
            let [level] = *chunk::<1>(note)?;
            let line = number(note)?;
            let (target, module, file) = (get(note)??, get(note)?, get(note)?);
            let text = get(note)??;
            let count = number(note)?;
            let pairs = (0..count).map(|_| Some((get(note)??, get(note)??))).collect::<Option<_>>()?;
            let line = (line != 0).then_some(line);
            let is_level = (1..=5).contains(&level);
            is_level.then_some(Note::Record(Record { level, target, module, file, line, text, pairs }))
        }
        2 => Some(Note::Lost(u64::from_le_bytes(*chunk(note)?))),
        REPORT => {
            let (batch, index) = (number(note)?, number(note)?);
            let message_type = u64::from_le_bytes(*chunk(note)?);
            let words = std::mem::take(note);
            Some(Note::Report(Report { batch, index, message_type, words }))
        }
        _ => None,
    }
}

/// A text, which may be absent.
fn get<'b>(note: &mut &'b [u8]) -> Option<Option<Cow<'b, str>>> {
    let len = number(note)?;
    if len == u32::MAX {
        return Some(None);
    }
    let (text, rest) = note.split_at_checked(len as usize)?;
    *note = rest;
    Some(Some(String::from_utf8_lossy(text)))
}

fn number(note: &mut &[u8]) -> Option<u32> {
    chunk(note).map(|number| u32::from_le_bytes(*number))
}

fn chunk<'b, const N: usize>(note: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (chunk, rest) = note.split_first_chunk()?;
    *note = rest;
    Some(chunk)
}

#[cfg(test)]
mod tests {
    use super::{CUT, LONGEST_TEXT, Note, Report, lost, next, record, report};
    use crate::logging::Record;

    fn some_record() -> Record<'static> {
        Record {
            level: 2,
            target: "thumbs::decode".into(),
            module: Some("thumbs".into()),
            file: None,
            line: Some(7),
            text: "größer als 1".into(),
            pairs: vec![("path".into(), "a.png".into()), ("".into(), "".into())],
        }
    }

    #[test]
    fn notes_there_and_back_and_half_a_note_is_none() {
        let said = Report { batch: 1, index: 2, message_type: 3, words: b"half of it" };
        let notes = [report(&said).expect("short"), record(&some_record()).expect("short"), lost(u64::MAX)];
        let bytes = notes.concat();
        let mut rest = &bytes[..];
        assert_eq!(next(&mut rest), Ok(Some(Note::Report(said))));
        assert_eq!(next(&mut rest), Ok(Some(Note::Record(some_record()))));
        assert_eq!(next(&mut rest), Ok(Some(Note::Lost(u64::MAX))));
        assert_eq!((next(&mut rest), rest.len()), (Ok(None), 0));
        let first = notes[0].len();
        for cut in 0..first {
            let mut rest = &bytes[..cut];
            assert_eq!((next(&mut rest), rest.len()), (Ok(None), cut));
        }
    }

    #[test]
    fn a_long_text_keeps_its_beginning() {
        let long = Record { text: "é".repeat(LONGEST_TEXT).into(), ..some_record() };
        let bytes = record(&long).expect("it was cut");
        let Ok(Some(Note::Record(read))) = next(&mut &bytes[..]) else { panic!("a record") };
        let kept = read.text.strip_suffix(CUT).expect("it says that it was cut");
        assert!(long.text.starts_with(kept) && kept.len() + 1 >= LONGEST_TEXT);
    }

    #[test]
    fn what_no_worker_writes_is_an_error() {
        let good = record(&some_record()).expect("short");
        let change = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            bytes
        };
        // No kind, no level, a text beyond the note's end, a length beyond all; a report without a task.
        for bytes in
            [change(4, 9), change(5, 0), change(5, 6), change(10, 200), change(3, 255), vec![1, 0, 0, 0, 3]]
        {
            assert!(next(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
        let mut longer = [&good[..], &[0]].concat();
        longer[0] += 1;
        assert!(next(&mut &longer[..]).is_err());
        assert!(next(&mut &[0; 4][..]).is_err());
    }
}
