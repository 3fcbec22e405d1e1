//! Counting: a thread that waits is counted once, however its waits nest.

use crate::Instance;
use crate::support::{Gate, SOON, soon};
use concurrent_futures::{
    Future, Promise, ReturnWhen, ThreadPoolExecutor, Waitable, Watch, WhenFull, blocking, promise, wait,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

pub(crate) const INSTANCES: &[Instance] = &[
    Instance::new("blocking_in_blocking", &["yugabyte/yugabyte-db#8348"], blocking_in_blocking),
    Instance::new("blocking_many_times_deep", &[], blocking_many_times_deep),
    Instance::new("timed_waits_in_blocking", &[], timed_waits_in_blocking),
    Instance::new("untimed_waits_in_blocking", &[], untimed_waits_in_blocking),
    Instance::new("any_of_in_blocking", &[], any_of_in_blocking),
    Instance::new("a_scope_in_blocking", &[], a_scope_in_blocking),
    Instance::new("bounded_submits_in_blocking", &[], bounded_submits_in_blocking),
    Instance::new("caller_runs_in_blocking", &[], caller_runs_in_blocking),
    Instance::new("blocking_in_a_task_run_in_place", &[], blocking_in_a_task_run_in_place),
    Instance::new("blocking_in_an_initializer", &[], blocking_in_an_initializer),
    Instance::new("waits_in_on_exit", &[], waits_in_on_exit),
    Instance::new("waits_in_thread_local_destructors", &[], waits_in_thread_local_destructors),
    Instance::new("waits_in_callbacks_and_drops", &[], waits_in_callbacks_and_drops),
    Instance::new("a_wait_that_panics", &[], a_wait_that_panics).panics_here(),
    Instance::new("blocking_that_panics", &[], blocking_that_panics).panics_here(),
];

/// How many tasks are active at once, those left out that wait.
#[derive(Clone, Default)]
struct Active(Arc<(AtomicUsize, AtomicUsize)>);

impl Active {
    /// A task's work: long enough for another to be seen beside it.
    fn work(&self) {
        let (now, most) = (&self.0.0, &self.0.1);
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let until = Instant::now() + Duration::from_millis(2);
        while Instant::now() < until {
            most.fetch_max(now.load(Ordering::SeqCst), Ordering::SeqCst);
            std::thread::yield_now();
        }
        now.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }

    fn tasks(&self, pool: &ThreadPoolExecutor, n: usize) -> Vec<Future<()>> {
        (0..n)
            .map(|_| {
                let active = self.clone();
                pool.spawn(move || active.work())
            })
            .collect()
    }
}

/// The pool still runs tasks, two of which depend on each other through a `blocking`.
fn still_works(pool: &ThreadPoolExecutor) {
    let (send, receive) = mpsc::channel();
    let first = pool.spawn(move || blocking(|| receive.recv_timeout(SOON)));
    pool.spawn(move || send.send(7)).detach();
    let first = first.result_timeout(SOON).expect("in time").expect("it ran");
    assert_eq!(first, Ok(7));
    assert!(soon(|| pool.stats().blocked == 0 && pool.stats().running == 0));
}

fn one() -> Arc<ThreadPoolExecutor> {
    Arc::new(ThreadPoolExecutor::new(1))
}

fn blocking_in_blocking() {
    let pool = one();
    let (send, receive) = mpsc::channel();
    let begun = Gate::new();
    let begins = begun.clone();
    let first = pool.spawn(move || {
        blocking(|| {
            blocking(|| {
                begins.open();
                receive.recv_timeout(SOON)
            })
        })
    });
    begun.wait();
    pool.spawn(move || send.send(1)).detach();
    assert_eq!(first.result().expect("it ran"), Ok(1));
    still_works(&pool);
}

fn blocking_many_times_deep() {
    fn deep(n: usize, bottom: &mut dyn FnMut()) {
        if n == 0 { bottom() } else { blocking(|| deep(n - 1, bottom)) }
    }
    let pool = Arc::new(ThreadPoolExecutor::new(2));
    for _ in 0..20 {
        let parents: Vec<_> = (0..4)
            .map(|_| {
                let own = pool.clone();
                pool.spawn(move || {
                    deep(20, &mut || {
                        let child = own.spawn(|| blocking(|| blocking(|| 1)));
                        assert_eq!(child.result().expect("it ran"), 1);
                    });
                })
            })
            .collect();
        parents.into_iter().for_each(|parent| parent.result().expect("it ran"));
    }
    still_works(&pool);
}

/// Runs `wait` in `blocking`, in the only worker, beside strangers: no two tasks are active at once.
fn in_blocking(wait: impl FnOnce(Arc<ThreadPoolExecutor>, Active) + Send + 'static) {
    let pool = one();
    let active = Active::default();
    let (own, of_parent) = (pool.clone(), active.clone());
    let parent = pool.spawn(move || blocking(|| wait(own, of_parent)));
    let strangers = active.tasks(&pool, 20);
    parent.result().expect("it ran");
    strangers.into_iter().for_each(|stranger| stranger.result().expect("it ran"));
    assert_eq!(active.most(), 1, "a pool of one ran several tasks at once");
    still_works(&pool);
}

fn timed_waits_in_blocking() {
    in_blocking(|pool, active| {
        for child in active.tasks(&pool, 5) {
            child.result_timeout(SOON).expect("in time").expect("it ran");
        }
    });
}

fn untimed_waits_in_blocking() {
    in_blocking(|pool, active| {
        for child in active.tasks(&pool, 5) {
            child.result().expect("it ran");
        }
    });
}

fn any_of_in_blocking() {
    in_blocking(|pool, active| {
        let children = active.tasks(&pool, 5);
        assert!(!wait(&children, ReturnWhen::FirstCompleted).done.is_empty());
        assert_eq!(concurrent_futures::as_completed(children).count(), 5);
    });
}

fn a_scope_in_blocking() {
    in_blocking(|pool, active| {
        pool.scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| active.work()).detach();
            }
        });
    });
}

fn bounded(when_full: WhenFull) -> Arc<ThreadPoolExecutor> {
    let pool = ThreadPoolExecutor::builder().max_workers(1).queue_capacity(1, when_full).build();
    Arc::new(pool.expect("good numbers"))
}

fn bounded_submits_in_blocking() {
    let pool = bounded(WhenFull::Block);
    let active = Active::default();
    let (own, of_parent) = (pool.clone(), active.clone());
    let parent = pool.spawn(move || blocking(|| of_parent.tasks(&own, 20)));
    for child in parent.result().expect("it ran") {
        child.result().expect("it ran");
    }
    assert_eq!(active.most(), 1, "a pool of one ran several tasks at once");
    still_works(&pool);
}

/// What a full queue makes the submitter run may wait as well.
fn caller_runs_in_blocking() {
    let pool = bounded(WhenFull::CallerRuns);
    let own = pool.clone();
    let parent = pool.spawn(move || {
        blocking(|| {
            let children = (0..50).map(|n| {
                let pool = own.clone();
                own.spawn(move || {
                    blocking(|| blocking(std::thread::yield_now));
                    n + pool.stats().workers
                })
            });
            children.collect::<Vec<_>>()
        })
    });
    for child in parent.result().expect("it ran") {
        assert!(child.result().expect("it ran") >= 1);
    }
    still_works(&pool);
}

fn blocking_in_a_task_run_in_place() {
    let pool = one();
    let own = pool.clone();
    let parent = pool.spawn(move || {
        let inner = own.clone();
        let child = own.spawn(move || {
            blocking(|| {
                let (send, receive) = mpsc::channel();
                inner.spawn(move || blocking(|| send.send(3))).detach();
                receive.recv_timeout(SOON)
            })
        });
        child.result()
    });
    assert_eq!(parent.result().expect("it ran").expect("child"), Ok(3));
    still_works(&pool);
}

/// The first worker's initializer waits for what another worker's task does.
fn blocking_in_an_initializer() {
    let opened = Gate::new();
    let first = AtomicBool::new(true);
    let waits = opened.clone();
    let pool = ThreadPoolExecutor::builder()
        .max_workers(1)
        .initializer(move || {
            if first.swap(false, Ordering::SeqCst) {
                blocking(|| blocking(|| waits.wait()));
            }
        })
        .build()
        .expect("good numbers");
    let opens = opened.clone();
    pool.spawn(move || opens.open()).result_timeout(SOON).expect("in time").expect("it ran");
    still_works(&pool);
    pool.join_timeout(SOON).expect("every worker ends");
}

type Own = Arc<OnceLock<std::sync::Weak<ThreadPoolExecutor>>>;

/// Waits in every way, on a thread that is no worker any more.
fn wait_in_every_way(pool: &ThreadPoolExecutor) {
    blocking(|| blocking(|| {}));
    let _ = pool.spawn(|| blocking(|| 1)).result();
    let _ = blocking(|| pool.spawn(|| 1).result_timeout(SOON).expect("in time"));
    let future = pool.spawn(|| 1);
    let _ = wait(&[future], ReturnWhen::FirstCompleted);
}

fn waits_in_on_exit() {
    let own = Own::default();
    let (of_hook, exits) = (own.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = exits.clone();
    let pool = ThreadPoolExecutor::builder().max_workers(1).keep_alive(Duration::from_millis(1)).on_exit(
        move || {
            // A few times only: each starts a worker, which ends.
            if counted.fetch_add(1, Ordering::SeqCst) < 3
                && let Some(pool) = of_hook.get().and_then(std::sync::Weak::upgrade)
            {
                wait_in_every_way(&pool);
                std::mem::forget(pool);
            }
            blocking(|| {});
        },
    );
    let pool = Arc::new(pool.build().expect("good numbers"));
    own.set(Arc::downgrade(&pool)).expect("set once");
    pool.spawn(|| ()).result().expect("it ran");
    assert!(soon(|| exits.load(Ordering::SeqCst) >= 4), "{:?}", pool.stats());
    for _ in 0..20 {
        still_works(&pool);
    }
    assert!(soon(|| pool.stats().workers == 0), "{:?}", pool.stats());
    pool.join_timeout(SOON).expect("every worker ends");
}

/// Waits when its thread's variables are destroyed.
struct Late(Arc<ThreadPoolExecutor>, Promise<()>);

impl Drop for Late {
    fn drop(&mut self) {
        wait_in_every_way(&self.0);
        let (send, _) = promise();
        std::mem::replace(&mut self.1, send).set_result(());
    }
}

thread_local! {
    static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) };
}

fn waits_in_thread_local_destructors() {
    let pool = ThreadPoolExecutor::builder().max_workers(2).keep_alive(Duration::from_millis(1)).build();
    let pool = Arc::new(pool.expect("good numbers"));
    for _ in 0..5 {
        let (own, (send, destroyed)) = (pool.clone(), promise());
        pool.spawn(move || LATE.set(Some(Late(own, send)))).result().expect("it ran");
        destroyed.result_timeout(SOON).expect("in time").expect("it was destroyed");
    }
    still_works(&pool);
}

fn waits_in_callbacks_and_drops() {
    struct Waits(Arc<ThreadPoolExecutor>);
    impl Drop for Waits {
        fn drop(&mut self) {
            blocking(|| blocking(|| {}));
            let _ = blocking(|| self.0.spawn(|| 1).result_timeout(SOON).expect("in time"));
        }
    }
    let pool = one();
    let (called, calls) = mpsc::channel();
    for _ in 0..10 {
        let (argument, result) = (Waits(pool.clone()), Waits(pool.clone()));
        let (own, called) = (pool.clone(), called.clone());
        let future = pool.spawn(move || {
            drop(argument);
            result
        });
        future.add_done_callback(move |_| {
            let inner = own.clone();
            let child = blocking(|| own.spawn(move || blocking(|| inner.spawn(|| 1).result())).result());
            called.send(child.is_ok()).expect("it listens");
        });
        future.detach();
    }
    for _ in 0..10 {
        assert_eq!(calls.recv_timeout(SOON), Ok(true));
    }
    still_works(&pool);
}

/// A wait ends by a panic of the user's own type in it, at each of its looks.
fn a_wait_that_panics() {
    struct Moody(Future<()>, std::cell::Cell<usize>);
    impl Waitable for Moody {
        fn watch(&self) -> Watch<'_> {
            let left = self.1.get().checked_sub(1).expect("on purpose");
            self.1.set(left);
            self.0.watch()
        }
    }
    let pool = one();
    let active = Active::default();
    for looks in 0..30 {
        let (own, of_parent) = (pool.clone(), active.clone());
        let parent = pool.spawn(move || {
            let children: Vec<_> =
                of_parent.tasks(&own, 2).into_iter().map(|child| Moody(child, looks.into())).collect();
            wait(&children, ReturnWhen::FirstCompleted).done.len()
        });
        let _ = parent.result();
        let (own, of_parent) = (pool.clone(), active.clone());
        let parent = pool.spawn(move || {
            let children = of_parent.tasks(&own, 2);
            concurrent_futures::as_completed(children.into_iter().map(|child| Moody(child, looks.into())))
                .count()
        });
        let _ = parent.result();
    }
    still_works(&pool);
}

fn blocking_that_panics() {
    let pool = one();
    for _ in 0..5 {
        assert!(pool.spawn(|| blocking(|| blocking(|| panic!("on purpose")))).result().is_err());
    }
    still_works(&pool);
}
