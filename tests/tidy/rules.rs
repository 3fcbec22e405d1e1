//! The rules, each with a unit test on code that breaks it.

use std::collections::HashMap;

use crate::lexer::Token;
use crate::source::{Source, closing, is_word};

/// Each module with those it may name. Arrows point one way; what isn't listed may not be named.
const LAYERS: &[(&str, &[&str])] = &[
    ("sync", &[]),
    ("clock", &[]),
    ("id", &["sync"]),
    ("contain", &["sync"]),
    ("logging", &["sync", "contain"]),
    ("spans", &["sync", "id", "contain"]),
    ("stack", &["sync"]),
    ("blob", &["sync", "contain", "logging"]),
    ("error", &["sync", "id", "contain", "logging"]),
    ("remote", &["sync", "id", "contain", "logging", "blob", "error"]),
    ("future", &["sync", "clock", "id", "contain", "logging", "spans", "stack", "error", "remote"]),
    ("wait", &["sync", "clock", "id", "contain", "logging", "streamed", "error", "future"]),
    ("since", &["sync", "clock", "id"]),
    ("streamed", &[]),
    ("observe", &["sync", "clock", "id", "contain", "logging", "error", "future"]),
    (
        "executor",
        &[
            "sync", "clock", "id", "contain", "logging", "since", "streamed", "blob", "error", "remote",
            "future", "wait",
        ],
    ),
    (
        "thread_pool",
        &[
            "sync", "clock", "id", "contain", "logging", "since", "spans", "stack", "error", "future",
            "wait", "observe", "executor",
        ],
    ),
    (
        "process_pool",
        &[
            "sync", "clock", "id", "contain", "logging", "since", "spans", "blob", "error", "remote",
            "future", "wait", "observe", "executor",
        ],
    ),
    ("shared_data", &["sync", "blob", "error", "remote", "executor", "process_pool"]),
];

/// Where `unsafe` may stand. On the side of the threads a task's memory (the cell and the pointers to it), the note of the task that
/// runs, the scope's lifetime and the end of a thread's stack are the only reasons; on that of the processes it is code named by an address, and the system.
/// Each has a row in SECURITY.md, with how often.
pub(crate) const UNSAFE: &[&str] = &[
    "src/executor/forwarded.rs",
    "src/executor/map/batch.rs",
    "src/executor/runner.rs",
    "src/future/cell.rs",
    "src/future/current.rs",
    "src/future/memory/depot.rs",
    "src/future/memory/mod.rs",
    "src/future/packed.rs",
    "src/future/pointer.rs",
    "src/process_pool/parent/arena.rs",
    "src/process_pool/sys/mapped.rs",
    "src/process_pool/sys/unix/clock.rs",
    "src/process_pool/sys/unix/crash.rs",
    "src/process_pool/sys/unix/fork.rs",
    "src/process_pool/sys/unix/memory.rs",
    "src/process_pool/sys/unix/sealed.rs",
    "src/process_pool/sys/unix/segment.rs",
    "src/process_pool/sys/unix/signals.rs",
    "src/process_pool/sys/unix/standing.rs",
    "src/process_pool/sys/unix/stdio.rs",
    "src/process_pool/sys/unix/thread.rs",
    "src/process_pool/sys/unix/worker.rs",
    "src/process_pool/sys/windows/child.rs",
    "src/process_pool/sys/windows/clock.rs",
    "src/process_pool/sys/windows/handle.rs",
    "src/process_pool/sys/windows/job.rs",
    "src/process_pool/sys/windows/operation.rs",
    "src/process_pool/sys/windows/sealed.rs",
    "src/process_pool/sys/windows/section.rs",
    "src/process_pool/sys/windows/segment.rs",
    "src/process_pool/sys/windows/signals.rs",
    "src/process_pool/sys/windows/socket.rs",
    "src/process_pool/sys/windows/stdio.rs",
    "src/process_pool/sys/windows/thread.rs",
    "src/process_pool/sys/windows/worker.rs",
    "src/process_pool/sys/unsupported.rs",
    "src/process_pool/worker/entry.rs",
    "src/process_pool/worker/main.rs",
    "src/remote/executable.rs",
    "src/remote/mod.rs",
    "src/remote/pe.rs",
    "src/stack.rs",
    "src/thread_pool/scope.rs",
];

const ROOT: &str = "src/lib.rs";

/// The one door to locks, atomics, channels and threads.
const DOOR: &str = "src/sync/";

/// What of `std::sync` blocks nobody and is no part of a protocol that loom must see.
const HARMLESS: &[&str] = &["Arc", "Weak", "Once", "OnceLock", "LazyLock"];

/// How long a file may be: one that is longer has a second noun.
const LINES: usize = 600;

/// The one door to `catch_unwind`.
const CONTAIN: &str = "src/contain.rs";

/// The one place where a duration is added to an instant.
const CLOCK: &str = "src/clock.rs";
/// The one door to the program's logger, and what lies behind it.
const LOGGING: &str = "src/logging.rs";
const BEHIND_LOGGING: &str = "src/logging/";

/// What is wrong, where, and what to do instead.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    pub(crate) what: String,
    pub(crate) instead: &'static str,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}: {}; {}", self.path, self.line, self.rule, self.what, self.instead)
    }
}

/// Everything that breaks a rule, in the order of the files.
pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    let exported = sources.iter().find(|source| source.layer().is_empty()).map(exports).unwrap_or_default();
    sources
        .iter()
        .flat_map(|source| {
            let rules = [
                module_doc(source),
                length(source),
                layers(source, &exported),
                door(source),
                unsafe_places(source),
                safety_comments(source),
                ordering_comments(source),
                catching(source),
                instants(source),
                logger(source),
                noise(source),
                unwraps(source),
                pointer_impls(source),
            ];
            rules.into_iter().flatten()
        })
        .collect()
}

fn finding(source: &Source, line: usize, rule: &'static str, what: String, instead: &'static str) -> Finding {
    Finding { path: source.path.clone(), line, rule, what, instead }
}

/// What `lib.rs` re-exports, by name, with the module it comes from: naming `crate::Future` is naming `future`.
fn exports(root: &Source) -> HashMap<String, String> {
    let named = root.named().into_iter().map(|named| named.parts);
    let named = named.map(|parts| if parts[0] == "crate" { parts[1..].to_vec() } else { parts });
    named
        .filter(|parts| parts.len() > 1)
        .map(|parts| (parts[parts.len() - 1].clone(), parts[0].clone()))
        .collect()
}

fn module_doc(source: &Source) -> Vec<Finding> {
    let first = source.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if first.starts_with("//!") {
        return Vec::new();
    }
    vec![finding(
        source,
        1,
        "module doc",
        "the file doesn't begin with `//!`".to_owned(),
        "say in one line what it is",
    )]
}

fn length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if lines <= LINES {
        return Vec::new();
    }
    let why = format!("the file has {lines} lines");
    vec![finding(source, LINES + 1, "length", why, "give its second noun a file")]
}

fn layers(source: &Source, exported: &HashMap<String, String>) -> Vec<Finding> {
    const RULE: &str = "layers";
    const INSTEAD: &str =
        "turn the arrow round (a trait, a callback, a value passed in) or move the item down";
    let from = source.layer();
    if from.is_empty() {
        return Vec::new();
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == from) else {
        let what = format!("the module `{from}` has no layer");
        return vec![finding(
            source,
            1,
            RULE,
            what,
            "give it a line in LAYERS, in tests/tidy/rules.rs, and in ARCHITECTURE.md",
        )];
    };
    let mut found = Vec::new();
    for named in source.named() {
        let [root, to, ..] = named.parts.as_slice() else { continue };
        if root != "crate" {
            continue;
        }
        let layer = exported.get(to).filter(|_| !LAYERS.iter().any(|(layer, _)| layer == to)).unwrap_or(to);
        if layer == from || allowed.contains(&layer.as_str()) {
            continue;
        }
        let what = format!("`{from}` names `{}`", named.parts.join("::"));
        found.push(finding(source, named.line, RULE, what, INSTEAD));
    }
    found
}

fn door(source: &Source) -> Vec<Finding> {
    const INSTEAD: &str = "take it from crate::sync, so that loom sees it";
    if source.path.starts_with(DOOR) {
        return Vec::new();
    }
    let paths = source.named().into_iter().filter(|named| {
        let parts: Vec<&str> = named.parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            // The root says which modules a model has.
            ["concurrent_futures_loom"] => source.path != ROOT,
            ["parking_lot" | "crossbeam_channel" | "loom" | "concurrent_futures_delays", ..] => true,
            ["std" | "core", "sync", rest @ ..] => rest.first().is_none_or(|item| !HARMLESS.contains(item)),
            // `use std::thread;` would let `thread::spawn` through under another name.
            ["std", "thread"] => true,
            [
                "std",
                "thread",
                "spawn" | "scope" | "Builder" | "park" | "park_timeout" | "sleep" | "self" | "*",
            ] => true,
            _ => false,
        }
    });
    paths
        .map(|named| {
            finding(
                source,
                named.line,
                "one door",
                format!("`{}` outside {DOOR}", named.parts.join("::")),
                INSTEAD,
            )
        })
        .collect()
}

/// The code with its tests: `unsafe` is no safer there.
fn unsafe_tokens(source: &Source) -> impl Iterator<Item = (usize, &Token)> {
    let all = &source.lexed.tokens;
    all.iter().enumerate().filter(|(_, token)| token.text == "unsafe")
}

/// How often the word stands in a file: before a block, and before all else (a function, an implementation, a declaration,
/// an attribute). A type is neither.
pub(crate) fn unsafe_count(source: &Source) -> (usize, usize) {
    let all = &source.lexed.tokens;
    let code: Vec<usize> = unsafe_tokens(source).map(|(at, _)| at).filter(|at| !is_type(all, *at)).collect();
    let blocks = code.iter().filter(|at| all.get(*at + 1).is_some_and(|token| token.text == "{")).count();
    (blocks, code.len() - blocks)
}

/// `unsafe fn(u8)` is a type: whoever calls it says why it may.
fn is_type(all: &[Token], at: usize) -> bool {
    let mut next = all[at + 1..].iter().map(|token| token.text.as_str()).skip_while(|text| *text == "extern");
    next.next() == Some("fn") && next.next() == Some("(")
}

fn unsafe_places(source: &Source) -> Vec<Finding> {
    if UNSAFE.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let what = "`unsafe` in a file that isn't listed";
    let instead = "find a safe way, or list the file in UNSAFE, in tests/tidy/rules.rs, with the reason";
    unsafe_tokens(source)
        .map(|(_, token)| finding(source, token.line, "unsafe", what.to_owned(), instead))
        .collect()
}

fn safety_comments(source: &Source) -> Vec<Finding> {
    let what = "`unsafe` without a `SAFETY:` comment (a `# Safety` section for an unsafe fn or trait)";
    let instead = "name the fact it rests on and who guarantees it, right above";
    let all = &source.lexed.tokens;
    unsafe_tokens(source)
        .filter(|(at, token)| !is_type(all, *at) && !has_note(source, token.line, &["SAFETY:", "# Safety"]))
        .map(|(_, token)| finding(source, token.line, "safety", what.to_owned(), instead))
        .collect()
}

/// A relaxed operation orders nothing; of any other the reader has to know what it pairs with.
fn ordering_comments(source: &Source) -> Vec<Finding> {
    let what = "an atomic operation that is not relaxed, without an `ORDERING:` comment";
    let instead = "say right above what it pairs with, or make it relaxed";
    let stronger = ["Acquire", "Release", "AcqRel", "SeqCst"];
    let mut lines: Vec<usize> = source
        .code
        .iter()
        .filter(|token| stronger.contains(&token.text.as_str()))
        .map(|token| token.line)
        .collect();
    lines.dedup();
    lines.retain(|line| !has_note(source, *line, &["ORDERING:"]));
    lines.into_iter().map(|line| finding(source, line, "ordering", what.to_owned(), instead)).collect()
}

/// In the comments on the line itself or above it, across attributes and the beginning of the same statement.
fn has_note(source: &Source, line: usize, marks: &[&str]) -> bool {
    const LINES_OF_A_STATEMENT: usize = 2;
    let lexed = &source.lexed;
    let says = |line: usize| marks.iter().any(|mark| lexed.comment(line).contains(mark));
    let mut of_statement = 0;
    for above in (1..=line).rev() {
        if says(above) {
            return true;
        }
        if above == line || (!lexed.has_code(above) && !lexed.comment(above).is_empty()) {
            continue;
        }
        let of_line: Vec<&str> =
            lexed.tokens.iter().filter(|t| t.line == above).map(|t| t.text.as_str()).collect();
        match (of_line.first(), of_line.last()) {
            (Some(&"#"), _) => {}
            (None, _) | (_, Some(&(";" | "{" | "}" | ","))) => return false,
            _ => of_statement += 1,
        }
        if of_statement > LINES_OF_A_STATEMENT {
            return false;
        }
    }
    false
}

fn catching(source: &Source) -> Vec<Finding> {
    if source.path == CONTAIN {
        return Vec::new();
    }
    let what = format!("`catch_unwind` outside {CONTAIN}");
    let caught = source.code.iter().filter(|token| token.text == "catch_unwind");
    caught.map(|token| finding(source, token.line, "contain", what.clone(), "call crate::contain")).collect()
}

/// `Instant::now() + timeout`, and the same with a name that the file declares as an instant or makes of `now`.
fn instants(source: &Source) -> Vec<Finding> {
    const INSTEAD: &str =
        "use crate::clock, which knows what is for ever: the sum panics where the clock ends";
    if source.path == CLOCK {
        return Vec::new();
    }
    let code = &source.code;
    let text = |at: usize| code.get(at).map_or("", |token| token.text.as_str());
    let is_at = |at: usize, wanted: &[&str]| wanted.iter().enumerate().all(|(i, part)| text(at + i) == *part);
    const NOW: &[&str] = &["Instant", "::", "now", "(", ")"];
    let names: Vec<&str> = (0..code.len())
        .filter(|at| {
            is_at(at + 1, &[":", "Instant"])
                || is_at(at + 1, &[":", "Option", "<", "Instant", ">"])
                || (text(at + 1) == "=" && is_at(at + 2, NOW))
        })
        .map(text)
        .filter(|name| is_word(name))
        .collect();
    let is_sum = |at: usize| {
        ["+", "+=", "-", "-="].contains(&text(at))
            || (text(at) == "." && ["checked_add", "checked_sub"].contains(&text(at + 1)))
    };
    (0..code.len())
        .filter(|at| {
            (is_at(*at, NOW) && is_sum(at + NOW.len())) || (names.contains(&text(*at)) && is_sum(at + 1))
        })
        .map(|at| {
            let what = format!("a sum with the instant `{}`", text(at));
            finding(source, code[at].line, "clock", what, INSTEAD)
        })
        .collect()
}

/// The logger is the user's code: called elsewhere it could panic into a worker, or be called with a lock held.
fn logger(source: &Source) -> Vec<Finding> {
    if source.path == LOGGING || source.path.starts_with(BEHIND_LOGGING) {
        return Vec::new();
    }
    let named = source.named().into_iter().filter(|named| named.parts[0] == "log");
    named
        .map(|named| {
            let what = format!("`{}` outside {LOGGING}", named.parts.join("::"));
            finding(source, named.line, "logger", what, "call crate::logging, with no lock held")
        })
        .collect()
}

fn noise(source: &Source) -> Vec<Finding> {
    const MACROS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg", "todo", "unimplemented"];
    let code = &source.code;
    let mut found = Vec::new();
    for (at, token) in code.iter().enumerate() {
        if MACROS.contains(&token.text.as_str()) && code.get(at + 1).is_some_and(|next| next.text == "!") {
            let what = format!("`{}!` in a library", token.text);
            found.push(finding(source, token.line, "quiet", what, "return an error, or use crate::logging"));
        }
    }
    for named in source
        .named()
        .iter()
        .filter(|named| named.parts.ends_with(&["process".to_owned(), "exit".to_owned()]))
    {
        let what = "a library ends the process".to_owned();
        found.push(finding(source, named.line, "quiet", what, "return an error; only `main` may exit"));
    }
    found
}

/// `.lock().unwrap()` and its like: on a lock, a channel, a thread, a condition variable.
fn unwraps(source: &Source) -> Vec<Finding> {
    const CALLS: &[&str] = &[
        "lock",
        "try_lock",
        "read",
        "write",
        "recv",
        "try_recv",
        "recv_timeout",
        "recv_deadline",
        "send",
        "try_send",
        "join",
        "wait_while",
        "wait_timeout",
    ];
    if source.path.starts_with(DOOR) {
        return Vec::new();
    }
    let code = &source.code;
    let text = |at: usize| code.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for at in 0..code.len() {
        if text(at) != "." || !CALLS.contains(&text(at + 1)) || text(at + 2) != "(" {
            continue;
        }
        let end = closing(code, at + 2);
        if text(end) == "." && ["unwrap", "expect"].contains(&text(end + 1)) {
            let what = format!("`.{}(..).{}(..)`", text(at + 1), text(end + 1));
            let instead = "use the types of crate::sync, which aren't poisoned, or say what happens when the other side is gone";
            found.push(finding(source, code[at + 1].line, "unwrap", what, instead));
        }
    }
    found
}

/// `impl Executor for &E` would make `pool.submit(closure)` find the trait's verb before the pool's own.
fn pointer_impls(source: &Source) -> Vec<Finding> {
    let code = &source.code;
    let text = |at: usize| code.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for at in (0..code.len()).filter(|at| text(*at) == "impl") {
        // The generics of the impl, `<E: Executor + ?Sized>`.
        let mut generics = Vec::new();
        let mut next = at + 1;
        if text(next) == "<" {
            let end = angle(code, next);
            generics = code[next..end]
                .iter()
                .map(|token| token.text.as_str())
                .filter(|text| is_word(text))
                .collect();
            next = end;
        }
        while is_word(text(next)) && text(next) != "for" || text(next) == "::" {
            next += 1;
        }
        if text(next) != "for" || text(next - 1) != "Executor" {
            continue;
        }
        let target: Vec<&str> = code[next + 1..]
            .iter()
            .map(|token| token.text.as_str())
            .take_while(|t| !["{", "where"].contains(t))
            .collect();
        let head = target.iter().position(|text| *text == "<").unwrap_or(target.len());
        let pointer = ["Box", "Arc", "Rc", "Pin"]
            .contains(head.checked_sub(1).and_then(|last| target.get(last)).unwrap_or(&""));
        let generic = target.len() == 1 && generics.contains(&target[0]);
        if target.first() == Some(&"&") || generic || (pointer && target.get(head + 1) != Some(&"dyn")) {
            let what = format!("`Executor` for `{}`", target.join(" "));
            let instead = "implement it for the pool itself, or for Box<dyn Executor> and Arc<dyn Executor>";
            found.push(finding(source, code[at].line, "pointer impl", what, instead));
        }
    }
    found
}

/// The index behind the `>` that closes the `<` at `open`; the `>` of `->` closes nothing.
fn angle(code: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for at in open..code.len() {
        match code[at].text.as_str() {
            "<" => depth += 1,
            ">" if code[at - 1].text != "-" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::{Source, check};

    /// The findings in one file, beside a `lib.rs` that exports a name of each of two layers.
    fn findings(path: &str, text: &str) -> Vec<String> {
        let root = Source::new(
            "src/lib.rs",
            "//! Root.\npub use future::Future; pub use thread_pool::{Pool, Scope};",
        );
        let found = check(&[root, Source::new(path, &format!("//! Doc.\n{text}"))]);
        found.iter().map(|finding| format!("{}:{} {}", finding.line, finding.rule, finding.what)).collect()
    }

    #[track_caller]
    fn breaks(rule: &str, path: &str, text: &str) {
        let found = findings(path, text);
        assert!(found.len() == 1 && found[0].starts_with(rule), "wanted one `{rule}`, found {found:?}");
    }

    #[track_caller]
    fn passes(path: &str, text: &str) {
        assert_eq!(findings(path, text), Vec::<String>::new());
    }

    #[test]
    fn a_file_needs_its_doc() {
        let found = check(&[Source::new("src/wait/mod.rs", "use std::fmt;\n//! Late.")]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "src/wait/mod.rs:1: module doc: the file doesn't begin with `//!`; say in one line what it is"
        );
    }

    #[test]
    fn a_file_has_one_noun_and_its_length() {
        breaks("601:length", "src/wait/mod.rs", &"\n".repeat(600));
        passes("src/wait/mod.rs", &"\n".repeat(599));
    }

    #[test]
    fn layers_point_one_way() {
        breaks("2:layers", "src/future/mod.rs", "use crate::wait::wait;");
        breaks("3:layers", "src/future/cell.rs", "use crate::{error::TaskError,\nthread_pool::Scope};");
        breaks("2:layers", "src/process_pool/parent/driver.rs", "fn f(_: crate::thread_pool::Scope) {}");
        breaks("2:layers", "src/thread_pool/worker.rs", "use super::super::process_pool;");
        breaks("2:layers", "src/error/mod.rs", "use crate::Future;");
        breaks("2:layers", "src/executor/mod.rs", "use super::Pool;");
        breaks("1:layers", "src/helpers.rs", "");
        passes(
            "src/wait/mod.rs",
            "use crate::{Future, future::Cell, error::*, wait::hub}; use super::sync::Mutex;",
        );
        passes(
            "src/future/mod.rs",
            "//! See [`crate::wait`].\nconst S: &str = \"crate::wait\"; #[cfg(test)] use crate::wait;",
        );
        passes("src/future/mod.rs", "mod inner { use super::cell; } use self::cell::Cell;");
    }

    #[test]
    fn locks_and_threads_come_through_one_door() {
        for bad in [
            "use parking_lot::Mutex;",
            "fn f(_: crossbeam_channel::Sender<u8>) {}",
            "use std::sync::{Arc, Mutex};",
            "use std::sync::atomic::AtomicU8;",
            "use std::sync;",
            "use std::sync::*;",
            "use std::{fmt, thread};",
            "fn f() { std::thread::spawn(|| {}); }",
            "#[cfg(concurrent_futures_loom)] use std::fmt;",
            "fn f() { loom::model(|| {}) }",
        ] {
            breaks("2:one door", "src/future/cell.rs", bad);
        }
        passes(
            "src/sync/real.rs",
            "use parking_lot::Mutex; use std::sync::atomic; use std::thread::Builder;",
        );
        passes("src/future/cell.rs", "use std::sync::{Arc, OnceLock}; use std::thread::ThreadId;");
        passes(
            "src/future/cell.rs",
            "use std::thread::panicking; #[cfg(test)] mod tests { use std::sync::Mutex; }",
        );
    }

    #[test]
    fn unsafe_stands_where_it_is_listed() {
        breaks("3:unsafe", "src/future/hub.rs", "// SAFETY: not here.\nunsafe { f() }");
        breaks(
            "4:unsafe",
            "src/future/hub.rs",
            "#[cfg(test)] mod tests {\n// SAFETY: in a test.\nunsafe {} }",
        );
        passes("src/future/hub.rs", "#![forbid(unsafe_code)] // unsafe\nconst S: &str = \"unsafe\";");
    }

    #[test]
    fn unsafe_says_why() {
        let scope = "src/thread_pool/scope.rs";
        breaks("2:safety", scope, "fn f() { unsafe { g() } }");
        breaks(
            "4:safety",
            scope,
            "// SAFETY: for the first only.\nfn f() { unsafe { g() } }\nfn h() { unsafe { g() } }",
        );
        breaks("5:safety", scope, "// SAFETY: too far.\nlet x = 1;\n\nunsafe { g() }");
        breaks("2:safety", scope, "unsafe fn f() {}");
        breaks("2:safety", scope, "unsafe impl Send for S {}");
        passes(scope, "// SAFETY: g needs nothing.\nlet x =\n    unsafe { g() };");
        passes(scope, "/// # Safety\n///\n/// Never twice.\n#[inline]\nunsafe fn f() {}");
        passes(scope, "unsafe { g() } // SAFETY: on the line.");
        passes(scope, "struct S { f: unsafe fn(u8) }");
    }

    #[test]
    fn an_ordering_says_what_it_pairs_with() {
        let meter = "src/future/meter.rs";
        breaks("2:ordering", meter, "fn f() { N.load(Ordering::Acquire); }");
        breaks("4:ordering", meter, "// ORDERING: pairs with g.\nfn f() {\nN.swap(1, AcqRel); }");
        passes(meter, "// ORDERING: pairs with g.\nlet was = N\n.compare_exchange(1, 2, AcqRel, Acquire);");
        passes(meter, "fn f() { N.load(Ordering::Relaxed); } // never Acquire");
    }

    #[test]
    fn panics_are_caught_in_one_place() {
        breaks("2:contain", "src/thread_pool/worker.rs", "use std::panic::catch_unwind;");
        passes("src/contain.rs", "use std::panic::catch_unwind;");
    }

    #[test]
    fn instants_are_added_to_in_one_place() {
        for bad in [
            "fn f() { let at = Instant::now() + timeout; }",
            "fn f() { let now = Instant::now(); g(now + LONG) }",
            "fn f(since: Instant) -> Option<Instant> { since.checked_add(d) }",
            "fn f(mut at: Instant) { at += d; }",
            "struct S { until: Option<Instant> } fn f(s: S) { s.until.map(|until| until - d) }",
            "fn f() { Instant::now().checked_sub(d) }",
        ] {
            breaks("2:clock", "src/wait/mod.rs", bad);
        }
        let sum = "fn f() { Instant::now() + timeout }";
        passes("src/clock.rs", sum);
        passes(
            "src/wait/mod.rs",
            "fn f() { start.elapsed() + d; Instant::now() >= at; g(Instant::now(), 1 + 2) }",
        );
        passes("src/wait/mod.rs", &format!("#[cfg(test)] mod tests {{ {sum} }}"));
    }

    #[test]
    fn the_logger_is_called_in_one_place() {
        breaks("2:logger", "src/future/cell.rs", "fn f() { log::error!(\"x\") }");
        breaks("2:logger", "src/thread_pool/queue/threads.rs", "use log::warn;");
        breaks("2:logger", "src/thread_pool/queue/threads.rs", "use ::log::{self as diary};");
        breaks("2:logger", "src/process_pool/parent/driver.rs", "fn f() { ::log::logger().flush() }");
        breaks("2:logger", "src/process_pool/parent/driver.rs", "use log as diary;");
        passes("src/logging.rs", "use log::Level; fn f() { log::log!(Level::Warn, \"x\") }");
        passes("src/future/cell.rs", "use crate::logging; fn f(logged: u8) { logging::warn(logged) }");
    }

    #[test]
    fn the_library_is_quiet() {
        breaks("2:quiet", "src/wait/mod.rs", "fn f() { println!(\"x\") }");
        breaks("2:quiet", "src/wait/mod.rs", "fn f() { todo!() }");
        breaks("2:quiet", "src/wait/mod.rs", "fn f() { std::process::exit(1) }");
        breaks("2:quiet", "src/wait/mod.rs", "use std::process::{Command, exit};");
        passes(
            "src/wait/mod.rs",
            "/// println!(\"in a doc\")\nfn print() { print() } #[test] fn t() { println!() }",
        );
    }

    #[test]
    fn locks_arent_unwrapped() {
        breaks("2:unwrap", "src/wait/mod.rs", "fn f() { m.lock().unwrap(); }");
        breaks("3:unwrap", "src/wait/mod.rs", "fn f() { rx\n.recv_timeout(d(1))\n.expect(\"sender\"); }");
        breaks("2:unwrap", "src/wait/mod.rs", "fn f() { tx.send((1, g(2))).unwrap(); }");
        passes("src/wait/mod.rs", "fn f() { m.lock().take().unwrap(); x.unwrap().join(); }");
    }

    #[test]
    fn no_pointer_is_an_executor() {
        for bad in [
            "impl<E: Executor + ?Sized> Executor for &E {}",
            "impl<E: Executor> Executor for Box<E> {}",
            "impl<E> crate::executor::Executor for std::sync::Arc<E> where E: Executor {}",
            "impl Executor for &'static Inline {}",
            "impl<E: Fn() -> u8> Executor for E {}",
            "impl Executor for Arc<Inline> {}",
        ] {
            breaks("2:pointer impl", "src/executor/mod.rs", bad);
        }
        passes(
            "src/executor/mod.rs",
            "impl Executor for Box<dyn Executor + '_> {} impl Executor for Arc<dyn Executor> {}",
        );
        passes(
            "src/executor/mod.rs",
            "impl<E: Executor + ?Sized> ExecutorExt for E {} impl Executor for Inline {}",
        );
        passes("src/executor/mod.rs", "impl<T> Executor for Counting<T> {} impl<'a> Iterator for Map<'a> {}");
    }
}
