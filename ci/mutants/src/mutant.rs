//! One mutant: what its file says, and where in the sources that stands.
//!
//! A mutant's file is a list of hunks like those of a diff, but without line numbers and without a file's name:
//!
//! ```text
//! # rule: no thread at all breaks the pool
//! # tests: loom no_thread_at_all
//!
//! @@ fn refused
//! -if left == 0 {
//! +if left == usize::MAX {
//! ```
//!
//! - Lines with `#` are for people and for ci/long/mutants.sh.
//! - A blank line or `@@` begins another hunk. `@@ fn refused` looks within items of that heading only.
//! - `-` goes, `+` comes, and a line that begins with a blank stays. What goes and stays is looked for in all sources
//!   and must stand there exactly once. It may be a part of a line, and white space makes no difference, so neither a
//!   moved function nor a wrapped line asks for a repair.

use std::fmt::Write;
use std::ops::Range;

/// A source file: its path and its text.
pub(crate) type Source = (String, String);

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Hunk {
    /// The heading of the item that it lies in, if `old` alone is not unique.
    within: Option<String>,
    old: String,
    new: String,
}

/// What a mutant makes of the sources: the files that it changes.
pub(crate) fn apply(mutant: &str, sources: &[Source]) -> Result<Vec<Source>, String> {
    let hunks = parse(mutant)?;
    let mut edits = Vec::new();
    for hunk in &hunks {
        let (file, range) = hunk.find(sources)?;
        edits.push((file, range, hunk));
    }
    // From the end, so that what was found before still lies where it was found.
    edits.sort_by_key(|(file, range, _)| (*file, std::cmp::Reverse(range.start)));
    let overlap = edits.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[1].1.end > pair[0].1.start);
    if overlap {
        return Err("two of its hunks change the same text".to_owned());
    }
    let mut changed: Vec<(usize, Source)> = Vec::new();
    for (file, range, hunk) in edits {
        if changed.last().is_none_or(|(last, _)| *last != file) {
            changed.push((file, sources[file].clone()));
        }
        if let Some((_, (_, text))) = changed.last_mut() {
            text.replace_range(range, &hunk.new);
        }
    }
    Ok(changed.into_iter().map(|(_, source)| source).collect())
}

pub(crate) fn parse(mutant: &str) -> Result<Vec<Hunk>, String> {
    let mut hunks = Vec::new();
    let mut hunk = Hunk::default();
    let lines = mutant.lines().map(|line| (line, line.chars().next()));
    for (line, mark) in lines.chain([("", None)]) {
        let rest = line.get(1..).unwrap_or_default();
        match mark {
            Some('#') => {}
            None | Some('@') => {
                if hunk != Hunk::default() {
                    hunks.push(std::mem::take(&mut hunk));
                }
                if let Some(heading) = line.strip_prefix("@@ ") {
                    hunk.within = Some(heading.trim().to_owned());
                }
            }
            Some('-') => add(&mut hunk.old, rest),
            Some('+') => add(&mut hunk.new, rest),
            Some(' ') => {
                add(&mut hunk.old, rest);
                add(&mut hunk.new, rest);
            }
            Some(_) => return Err(format!("a line begins with none of `#@-+` and no blank: {line}")),
        }
    }
    if hunks.is_empty() {
        return Err("it has no hunk".to_owned());
    }
    for hunk in &hunks {
        if dense(&hunk.old).is_empty() {
            return Err("a hunk has nothing to look for".to_owned());
        }
        if hunk.old.split_whitespace().eq(hunk.new.split_whitespace()) {
            return Err(format!("a hunk changes nothing: {}", hunk.old));
        }
    }
    Ok(hunks)
}

fn add(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

impl Hunk {
    /// Where its text stands: the source's index, and the bytes.
    fn find(&self, sources: &[Source]) -> Result<(usize, Range<usize>), String> {
        let mut found = Vec::new();
        for (file, (_, text)) in sources.iter().enumerate() {
            let places = occurrences(text, &self.old);
            let places = places.into_iter().filter(|place| match &self.within {
                Some(heading) => items(text, heading).iter().any(|item| item.contains(&place.start)),
                None => true,
            });
            found.extend(places.map(|place| (file, place)));
        }
        if let [place] = &found[..] {
            return Ok(place.clone());
        }
        let mut error = format!("found {} times and not once", found.len());
        if let Some(heading) = &self.within {
            let _ = write!(error, " in `{heading}`");
        }
        let _ = write!(error, ": {}", self.old);
        for (file, place) in found {
            let (path, text) = &sources[file];
            let line = text[..place.start].matches('\n').count() + 1;
            let _ = write!(error, "\n    {path}:{line}");
        }
        Err(error)
    }
}

/// A text without its white space, each character with its place.
fn dense(text: &str) -> Vec<(usize, char)> {
    text.char_indices().filter(|(_, char)| !char.is_whitespace()).collect()
}

/// Where `text` has `wanted`, white space aside, and not as a part of a longer name.
fn occurrences(text: &str, wanted: &str) -> Vec<Range<usize>> {
    let in_name = |char: char| char.is_alphanumeric() || char == '_';
    let wanted: Vec<char> = dense(wanted).into_iter().map(|(_, char)| char).collect();
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Vec::new() };
    let dense = dense(text);
    let fits = |window: &&[(usize, char)]| window.iter().map(|(_, char)| char).eq(&wanted);
    let ranges = dense.windows(wanted.len()).filter(fits).map(|window| {
        let (end, char) = window[window.len() - 1];
        window[0].0..end + char.len_utf8()
    });
    ranges
        .filter(|range| !(in_name(*first) && text[..range.start].ends_with(in_name)))
        .filter(|range| !(in_name(*last) && text[range.end..].starts_with(in_name)))
        .collect()
}

/// The items whose first line has this heading. By rustfmt's layout, an item ends with the next brace that stands as far
/// left as it begins.
fn items(text: &str, heading: &str) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    for start in occurrences(text, heading).into_iter().map(|range| range.start) {
        let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let indent = &text[line..][..text[line..].len() - text[line..].trim_start().len()];
        let end = text[start..].find(&format!("\n{indent}}}")).map_or(text.len(), |at| start + at);
        items.push(line..end);
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
impl Queue {
    fn push(&self) {
        let mut inbox = self.inbox.lock();
        if inbox.closed {
            self.leave(state);
        }
    }

    pub(super) fn refused(
        &self,
    ) {
        if left == 0 {
            self.leave(state);
        }
        self.leave_all(state);
    }
}
";

    fn applied(mutant: &str) -> Result<String, String> {
        let sources = [("a.rs".to_owned(), "fn a() {}\n".to_owned()), ("b.rs".to_owned(), SOURCE.to_owned())];
        let changed = apply(mutant, &sources)?;
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].0, "b.rs");
        Ok(changed[0].1.clone())
    }

    #[test]
    fn a_part_of_a_line_is_enough() {
        assert_eq!(applied("-left == 0\n+left == 1"), Ok(SOURCE.replace("left == 0", "left == 1")));
    }

    #[test]
    fn white_space_makes_no_difference() {
        let mutant = "-if inbox\n-   .closed {\n-self.leave(state);\n-}\n+";
        let old = "if inbox.closed {\n            self.leave(state);\n        }";
        assert_eq!(applied(mutant), Ok(SOURCE.replace(old, "")));
    }

    #[test]
    fn what_stays_is_looked_for_and_stays() {
        let mutant = " fn push(&self) {\n+return;";
        assert_eq!(applied(mutant), Ok(SOURCE.replace("fn push(&self) {", "fn push(&self) {\nreturn;")));
    }

    #[test]
    fn a_heading_narrows() {
        let error = applied("-self.leave(state);").expect_err("twice");
        assert_eq!(error, "found 2 times and not once: self.leave(state);\n    b.rs:5\n    b.rs:13");
        let changed = applied("@@ fn refused\n-self.leave(state);").expect("once");
        assert!(changed.contains("if left == 0 {\n            \n"), "{changed}");
        let error = applied("@@ fn refuse\n-self.leave(state);").expect_err("another name");
        assert_eq!(error, "found 0 times and not once in `fn refuse`: self.leave(state);");
    }

    #[test]
    fn several_hunks_are_looked_for_in_the_source_as_it_was() {
        let mutant = "# rule: a\n-left == 0\n+self.leave_all(state)\n\n-self.leave_all(state);\n";
        let expected =
            SOURCE.replace("self.leave_all(state);", "").replace("left == 0", "self.leave_all(state)");
        assert_eq!(applied(mutant), Ok(expected));
    }

    #[test]
    fn what_is_no_mutant_is_an_error() {
        for mutant in ["", "# rule: a", "+a", "-\n+a", "-a\n+ a", "s/a/b/", "-left == 0\n\n-left == 0"] {
            assert!(applied(mutant).is_err(), "{mutant}");
        }
    }
}
