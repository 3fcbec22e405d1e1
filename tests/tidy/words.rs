//! Words that are gone: private names of the process pool, for which the field has a word.
//!
//! Each is looked for as a whole word, in code, comments and text: `Sentence`, `the_book`, `KIND_SORRY`.

/// The word, and what stands in its place. These name nothing anywhere in `src/`, in `PROTOCOL.md` or in its model.
const GONE: &[(&str, &str)] = &[
    ("bury", "reap"),
    ("condemn", "kill"),
    ("condemned", "killed, KillReason"),
    ("blamed", "lost"),
    ("book", "Dispatcher"),
    ("brisk", "replies_are_frequent"),
    ("deaf", "reading_stopped_until"),
    ("desk", "Lane"),
    ("excuse", "start_failure"),
    ("forsake", "give_up_on_silent"),
    ("garbled", "ProtocolError"),
    ("judge", "handle_kills, confirm_kill"),
    ("laden", "may_have_stealable"),
    ("loot", "stealable"),
    ("mercy", "kill_at"),
    ("parting", "ExitFlags"),
    ("recipe", "LaunchConfig"),
    ("sentence", "KillReason"),
    ("sorry", "CannotStart"),
    ("verdict", "Reaped"),
];

/// Of the process pool and its model only: elsewhere they mean something else.
const GONE_FROM_PROCESSES: &[(&str, &str)] = &[("door", "Outbound")];

/// What is wrong in a file: each such word with its line.
pub(crate) fn gone(path: &str, text: &str) -> Vec<String> {
    let of_processes = path.contains("process_pool/") || path.contains("tests/protocol/");
    let of_processes = if of_processes { GONE_FROM_PROCESSES } else { &[] };
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for word in words(line) {
            if let Some((_, instead)) = GONE.iter().chain(of_processes).find(|(gone, _)| *gone == word) {
                found.push(format!("{path}:{}: {word:?}; say {instead}", at + 1));
            }
        }
    }
    found
}

/// The words of a line, in lower case. Underscores and humps separate.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for letter in line.chars() {
        if !letter.is_alphabetic() || (letter.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        if letter.is_alphabetic() {
            words.last_mut().expect("one at least").extend(letter.to_lowercase());
        }
        after_lower = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::{gone, words};

    #[test]
    fn words_end_at_underscores_and_humps() {
        assert_eq!(words("let x: KillReason = the_book(1);"), ["let", "x", "kill", "reason", "the", "book"]);
        assert_eq!(words("KIND_SORRY, doorbell"), ["kind", "sorry", "doorbell"]);
    }

    #[test]
    fn a_word_that_is_gone_is_found_where_it_is_gone() {
        assert_eq!(gone("src/process_pool/mod.rs", "a\nstruct TheBook;").len(), 1);
        assert_eq!(gone("src/process_pool/mod.rs", "a handbook, a bookshelf"), [""; 0]);
        assert_eq!(gone("src/process_pool/sys/mod.rs", "the one door").len(), 1);
        assert_eq!(gone("src/sync/mod.rs", "the one door"), [""; 0]);
        assert_eq!(gone("tests/protocol/tests/protocol.rs", "fn judge() {}").len(), 1);
    }
}
