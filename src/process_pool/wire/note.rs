//! [`Note`]: what a worker says beside its replies, through a socket of its own. Writer and reader side by side.
//!
//! ```text
//! each note:  length 4 | kind 1 | what follows          the length is that of what follows it
//! record 1:   level 1 | line 4 | target | module | file | text | pairs 4 | each: key | value
//! lost 2:     how many 8
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

/// A note that has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Note<'a> {
    Record(Record<'a>),
    /// So many records found no room.
    Lost(u64),
}

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
    if len > LONGEST {
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
    use super::{CUT, LONGEST_TEXT, Note, lost, next, record};
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
        let bytes = [record(&some_record()).expect("short"), lost(u64::MAX)].concat();
        let mut rest = &bytes[..];
        assert_eq!(next(&mut rest), Ok(Some(Note::Record(some_record()))));
        assert_eq!(next(&mut rest), Ok(Some(Note::Lost(u64::MAX))));
        assert_eq!((next(&mut rest), rest.len()), (Ok(None), 0));
        let first = record(&some_record()).expect("short").len();
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
        // No kind, no level, a text beyond the note's end, a length beyond all.
        for bytes in [change(4, 9), change(5, 0), change(5, 6), change(10, 200), change(3, 255)] {
            assert!(next(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
        let mut longer = [&good[..], &[0]].concat();
        longer[0] += 1;
        assert!(next(&mut &longer[..]).is_err());
        assert!(next(&mut &[0; 4][..]).is_err());
    }
}
