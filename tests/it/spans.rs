//! Each task is a span of `tracing`, whose parent is the submitter's span.

#[cfg(feature = "process")]
use crate::processes_support::{builder, die};
use crate::support::{LIMIT, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{InlineExecutor, TaskOptions};
use std::collections::HashMap;
use std::sync::{Mutex, Once};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What became of a span.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<u64>,
    fields: HashMap<&'static str, String>,
    /// How often it was entered, and is still.
    entered: usize,
    inside: usize,
    /// Copies that are left.
    copies: usize,
    events: Vec<String>,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

/// Keeps every span of the process.
struct Tree;

static SPANS: Mutex<Vec<Seen>> = Mutex::new(Vec::new());

thread_local! {
    static STACK: std::cell::RefCell<Vec<u64>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn with(id: &Id, change: impl FnOnce(&mut Seen)) {
    change(&mut SPANS.lock().unwrap()[id.into_u64() as usize - 1]);
}

impl Subscriber for Tree {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let current = STACK.with_borrow(|stack| stack.last().copied());
        let parent = if span.is_contextual() { current } else { span.parent().map(Id::into_u64) };
        let mut seen = Seen { name: span.metadata().name(), parent, copies: 1, ..Seen::default() };
        span.record(&mut seen);
        let mut spans = SPANS.lock().unwrap();
        spans.push(seen);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        with(span, |seen| values.record(seen));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut said = Seen::default();
        event.record(&mut said);
        if let Some(current) = STACK.with_borrow(|stack| stack.last().copied()) {
            let text = said.fields.remove("message").unwrap_or_default();
            with(&Id::from_u64(current), |seen| seen.events.push(text));
        }
    }

    fn enter(&self, span: &Id) {
        STACK.with_borrow_mut(|stack| stack.push(span.into_u64()));
        with(span, |seen| (seen.entered, seen.inside) = (seen.entered + 1, seen.inside + 1));
    }

    fn exit(&self, span: &Id) {
        STACK.with_borrow_mut(|stack| assert_eq!(stack.pop(), Some(span.into_u64())));
        with(span, |seen| seen.inside -= 1);
    }

    fn clone_span(&self, span: &Id) -> Id {
        with(span, |seen| seen.copies += 1);
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        with(&span, |seen| seen.copies -= 1);
        false
    }
}

fn keep_spans() {
    static SET: Once = Once::new();
    SET.call_once(|| tracing::subscriber::set_global_default(Tree).unwrap());
}

/// The only span with this label, and which one it is.
fn labelled(label: &str) -> (u64, Seen) {
    let spans = SPANS.lock().unwrap();
    let label = format!("{label:?}");
    let mut found = spans.iter().enumerate().filter(|(_, seen)| seen.fields.get("label") == Some(&label));
    let (at, seen) = found.next().expect("a span");
    assert!(found.next().is_none());
    (at as u64 + 1, seen.clone())
}

fn label(label: &str) -> TaskOptions {
    TaskOptions::new().label(label)
}

#[test]
fn on_threads_and_inline_a_task_is_entered_and_its_parent_is_the_submitters_span() {
    limit(LIMIT, || {
        keep_spans();
        let request = tracing::info_span!("request");
        let request_id = request.id().unwrap().into_u64();
        let pool = ThreadPoolExecutor::builder().max_workers(1).name_prefix("spans").build().unwrap();
        let work = |n: u32| {
            tracing::info!("at work");
            n
        };
        let _in_request = request.entered();
        let future = pool.submit_with(label("outer"), work, 1);
        let id = future.id();
        assert_eq!(future.result().unwrap(), 1);
        let (_, seen) = labelled("outer");
        assert_eq!((seen.name, seen.parent), ("task", Some(request_id)));
        assert_eq!((seen.entered, seen.inside, seen.copies), (1, 0, 0), "closed before its end is known");
        assert_eq!(seen.events, ["at work"]);
        let field = |name| seen.fields[name].clone();
        assert_eq!((field("worker"), field("attempt")), (r#""spans_0""#.to_owned(), "1".to_owned()));
        assert_eq!(field("id"), id.get().to_string());
        assert!(field("queued_us").parse::<u64>().is_ok());
        // Without options, and with nobody who waits, a task is published by a shorter way.
        let plain = pool.submit(work, 3);
        let id = plain.id().get().to_string();
        crate::support::eventually(|| plain.is_done());
        let spans = SPANS.lock().unwrap().clone();
        let seen = spans.iter().find(|seen| seen.fields.get("id") == Some(&id)).unwrap();
        assert_eq!((seen.parent, seen.entered, seen.copies), (Some(request_id), 1, 0));
        assert_eq!(plain.result().unwrap(), 3);
        assert_eq!(InlineExecutor::new().submit_with(label("inline"), work, 2).result().unwrap(), 2);
        let (_, seen) = labelled("inline");
        assert_eq!((seen.parent, seen.entered, seen.copies), (Some(request_id), 1, 0));
    });
}

#[test]
fn tasks_of_tasks_are_a_tree_also_in_place() {
    limit(LIMIT, || {
        keep_spans();
        let pool = std::sync::Arc::new(ThreadPoolExecutor::new(1));
        let inner = pool.clone();
        let outer = move |()| {
            // The only worker runs it in place.
            inner.submit_with(label("leaf"), |()| tracing::info!("in the leaf"), ()).result().unwrap();
            tracing::info!("in the root");
        };
        pool.submit_with(label("root"), outer, ()).result().unwrap();
        let ((root, seen), (_, leaf)) = (labelled("root"), labelled("leaf"));
        assert_eq!((seen.parent, leaf.parent), (None, Some(root)));
        assert_eq!(
            (&seen.events[..], &leaf.events[..]),
            (&["in the root".to_owned()][..], &["in the leaf".to_owned()][..])
        );
    });
}

#[test]
fn what_never_runs_or_panics_is_closed_as_well() {
    limit(LIMIT, || {
        keep_spans();
        let pool = ThreadPoolExecutor::new(1);
        let held = crate::support::hold(&pool);
        let cancelled = pool.submit_with(label("cancelled"), |()| (), ());
        assert!(cancelled.cancel());
        held.release();
        let panics = pool.submit_with(label("panics"), |()| panic!("on purpose"), ());
        assert!(panics.result().is_err());
        pool.shutdown(concurrent_futures::Shutdown::Drain);
        assert!(pool.submit_with(label("refused"), |()| (), ()).result().is_err());
        for (name, entered) in [("cancelled", 0), ("panics", 1), ("refused", 0)] {
            let (_, seen) = labelled(name);
            assert_eq!((seen.entered, seen.inside, seen.copies), (entered, 0, 0), "{name}");
        }
    });
}

#[cfg(feature = "process")]
fn dies_once(path: std::path::PathBuf) -> u32 {
    if std::fs::File::create_new(path).is_ok() {
        die(());
    }
    7
}

#[cfg(feature = "process")]
#[test]
fn of_processes_the_parent_tells_worker_attempt_and_how_long_it_was_queued() {
    limit(LIMIT, || {
        keep_spans();
        let request = tracing::info_span!("request");
        let request_id = request.id().unwrap().into_u64();
        let folder = tempfile::tempdir().unwrap();
        let pool = builder(1).name_prefix("away").build().unwrap();
        let _in_request = request.entered();
        let twice = label("twice").retries(1);
        let future = pool.submit_with(twice, dies_once, folder.path().join("once"));
        assert_eq!(future.result().unwrap(), 7);
        let (_, seen) = labelled("twice");
        assert_eq!((seen.parent, seen.entered, seen.copies), (Some(request_id), 0, 0));
        assert_eq!((&*seen.fields["worker"], &*seen.fields["attempt"]), (r#""away_0""#, "2"));
        assert!(seen.fields["queued_us"].parse::<u64>().is_ok());
        assert!(pool.submit_with(label("dies"), die, ()).result().is_err());
        let (_, seen) = labelled("dies");
        assert_eq!((seen.copies, &*seen.fields["attempt"]), (0, "1"));
    });
}
