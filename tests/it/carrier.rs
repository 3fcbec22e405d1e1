//! What another crate's executor needs: a task that is handed elsewhere, its parcel, its reply, and the way back from its
//! future.

use crate::processes_support::{ABORTED, end};
use crate::support::{LIMIT, SOON, eventually, keep_log, limit, was_logged};
use concurrent_futures::prelude::*;
use concurrent_futures::remote::{self, ReturnAddress};
use concurrent_futures::{
    BusyWorker, Carrier, FutureId, InlineExecutor, Parcel, Registration, Rejected, Stage, State, StillBusy,
    Task, TaskError, TaskOptions, WorkerDied, is_worker, works_for,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread;
use std::time::Duration;

type GivesBack = Box<dyn Fn(&Depot, FutureId) -> Option<Task> + Send + Sync>;

/// Keeps tasks, and does as a test says.
struct Depot {
    registration: Registration,
    tasks: Mutex<HashMap<FutureId, Task>>,
    gives_back: GivesBack,
    kills: AtomicUsize,
}

impl Depot {
    fn new(gives_back: impl Fn(&Depot, FutureId) -> Option<Task> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new_cyclic(|me: &Weak<Depot>| Depot {
            registration: Registration::new(me.clone()),
            tasks: Mutex::default(),
            gives_back: Box::new(gives_back),
            kills: AtomicUsize::new(0),
        })
    }

    fn keeping() -> Arc<Self> {
        Depot::new(|depot, id| depot.take(id))
    }

    fn take(&self, id: FutureId) -> Option<Task> {
        self.tasks.lock().unwrap().remove(&id)
    }

    fn put(&self, task: Task) {
        assert!(task.dispatch(&self.registration));
        self.tasks.lock().unwrap().insert(task.id(), task);
    }
}

impl Carrier for Depot {
    fn take_back(&self, id: FutureId) -> Option<Task> {
        (self.gives_back)(self, id)
    }

    fn state(&self, id: FutureId) -> State {
        if self.tasks.lock().unwrap().contains_key(&id) { State::Queued } else { State::Running }
    }

    fn kill(&self, _: FutureId) -> bool {
        self.kills.fetch_add(1, Ordering::Relaxed);
        true
    }
}

fn plus_one(n: u32) -> u32 {
    n + 1
}

fn reply_to(parcel: &Parcel) -> Vec<u8> {
    // SAFETY: this process has just made the parcel.
    unsafe { remote::execute(parcel.as_bytes()) }
}

#[test]
fn a_task_that_is_given_back_is_cancelled() {
    limit(LIMIT, || {
        let depot = Depot::keeping();
        let (task, future) = Task::new(plus_one, 1);
        depot.put(task);
        assert_eq!(future.state(), State::Queued);
        let (sender, told) = mpsc::channel();
        future.add_done_callback(move |done| sender.send(done.is_cancelled()).unwrap());
        assert!(future.cancel() && future.cancel() && future.kill());
        assert!(told.try_recv().unwrap() && told.try_recv().is_err());
        assert!(depot.tasks.lock().unwrap().is_empty());
        assert_eq!(future.state(), State::Cancelled);
        assert!(matches!(future.result(), Err(TaskError::Cancelled)));
    });
}

#[test]
fn a_task_that_is_not_given_back_can_be_killed_again_and_again() {
    limit(LIMIT, || {
        let depot = Depot::new(|_, _| None);
        let (mut task, future) = Task::new(plus_one, 1);
        let parcel = task.encode_once().unwrap();
        assert!(task.dispatch(&depot.registration));
        assert_eq!(future.state(), State::Running);
        assert!(!future.cancel());
        assert!(future.kill() && future.kill());
        assert_eq!(depot.kills.load(Ordering::Relaxed), 2);
        assert!(task.complete(&reply_to(&parcel)));
        assert!(!future.kill());
        assert_eq!(future.result().unwrap(), 2);
    });
}

#[test]
fn another_task_that_is_given_back_is_abandoned_and_nothing_is_cancelled() {
    limit(LIMIT, || {
        let depot = Depot::new(|depot, _| {
            let other = depot.tasks.lock().unwrap().keys().next().copied();
            other.and_then(|id| depot.take(id))
        });
        let (other, its_future) = Task::new(plus_one, 1);
        depot.put(other);
        let (task, future) = Task::new(plus_one, 2);
        assert!(task.dispatch(&depot.registration));
        assert!(!future.cancel());
        assert!(matches!(its_future.result(), Err(TaskError::Abandoned)));
        task.run();
        assert_eq!(future.result().unwrap(), 3);
    });
}

#[test]
fn a_carrier_that_panics_counts_as_no() {
    limit(LIMIT, || {
        keep_log();
        let depot = Depot::new(|_, _| panic!("a carrier's own fault"));
        let (task, future) = Task::new(plus_one, 1);
        assert!(task.dispatch(&depot.registration));
        assert!(!future.cancel());
        assert!(was_logged(&["a carrier's `take_back` panicked: a carrier's own fault"]));
        drop(task);
        assert!(matches!(future.result(), Err(TaskError::Abandoned)));
    });
}

#[test]
fn a_carrier_may_ask_and_cancel_other_futures_meanwhile() {
    limit(LIMIT, || {
        let inner = Depot::keeping();
        let (task, inner_future) = Task::new(plus_one, 1);
        inner.put(task);
        let asked = Mutex::new(Some(inner_future));
        let outer = Depot::new(move |depot, id| {
            let future = asked.lock().unwrap().take();
            assert!(future.is_some_and(|future| future.cancel()));
            depot.take(id)
        });
        let (task, future) = Task::new(plus_one, 1);
        outer.put(task);
        assert!(future.cancel());
    });
}

#[test]
fn without_its_carrier_a_task_can_only_be_ended() {
    limit(LIMIT, || {
        let depot = Depot::keeping();
        let (task, future) = Task::new(plus_one, 1);
        assert!(task.dispatch(&depot.registration));
        drop(depot);
        assert_eq!(future.state(), State::Dispatched);
        assert!(!future.cancel() && !future.kill());
        assert!(task.fail(TaskError::WorkerDied(WorkerDied::new(7).with_host("node7"))));
        let error = future.result().unwrap_err();
        assert_eq!(error.to_string(), "worker process 7 on node7 died");
    });
}

#[test]
fn a_dispatched_task_can_go_to_another_executor() {
    limit(LIMIT, || {
        let depot = Depot::keeping();
        let executors: [Box<dyn Executor>; 3] = [
            Box::new(ThreadPoolExecutor::new(1)),
            Box::new(InlineExecutor::new()),
            Box::new(ProcessPoolExecutor::new(1)),
        ];
        for executor in executors {
            let (task, future) = Task::new(plus_one, 1);
            assert!(task.dispatch(&depot.registration));
            executor.execute(task);
            assert_eq!(future.result().unwrap(), 2);
        }
    });
}

#[test]
fn a_cancelled_task_is_not_dispatched() {
    limit(LIMIT, || {
        let depot = Depot::keeping();
        let (task, future) = Task::new(plus_one, 1);
        assert!(future.cancel());
        assert!(!task.dispatch(&depot.registration));
        assert!(!task.fail(TaskError::Abandoned));
    });
}

/// A cancel and a reply at the same moment: one of them wins, and both sides agree which.
#[test]
fn one_of_cancel_and_reply_wins() {
    limit(LIMIT, || {
        let depot = Depot::keeping();
        for _ in 0..2000 {
            let (mut task, future) = Task::new(plus_one, 1);
            let reply = reply_to(&task.encode_once().unwrap());
            let id = task.id();
            depot.put(task);
            let handle = future.cancel_handle();
            let cancels = thread::spawn(move || handle.cancel());
            let completed = depot.take(id).is_some_and(|task| task.complete(&reply));
            let cancelled = cancels.join().unwrap();
            assert_ne!(completed, cancelled);
            match future.result() {
                Ok(2) => assert!(completed),
                Err(TaskError::Cancelled) => assert!(cancelled),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn an_argument_that_went_into_its_parcel_runs_only_from_there() {
    limit(LIMIT, || {
        let pools: [Box<dyn Executor>; 2] =
            [Box::new(ThreadPoolExecutor::new(1)), Box::new(ProcessPoolExecutor::new(1))];
        for pool in pools {
            let (mut task, future) = Task::new(plus_one, 1);
            task.encode_once().unwrap();
            assert!(task.is_portable());
            let again = task.encode().unwrap_err();
            assert!(matches!(again, TaskError::Rejected(Rejected::Encoded)), "{again}");
            pool.execute(task);
            assert!(matches!(future.result(), Err(TaskError::Rejected(Rejected::Encoded))));
        }
        let (mut task, future) = Task::new(plus_one, 1);
        let mut parcel = task.encode_once().unwrap();
        parcel.try_again();
        assert_eq!((parcel.attempt(), parcel.return_address().attempt()), (2, 2));
        assert!(task.complete(&reply_to(&parcel)));
        assert_eq!(future.result().unwrap(), 2);
    });
}

#[test]
fn a_parcel_is_checked_before_it_is_believed() {
    limit(LIMIT, || {
        let (mut task, _future) = Task::new(plus_one, 1);
        let bytes = task.encode().unwrap().into_bytes();
        assert!(Parcel::from_bytes(bytes.clone()).is_ok());
        let stage = |bytes: Vec<u8>| match Parcel::from_bytes(bytes) {
            Err(TaskError::Codec(error)) => Some(error.stage()),
            _ => None,
        };
        for cut in 0..bytes.len() {
            assert_eq!(stage(bytes[..cut].to_vec()), Some(Stage::Parcel));
        }
        let mut foreign = bytes;
        foreign[45] ^= 1;
        let refused = Parcel::from_bytes(foreign.clone()).unwrap_err();
        assert!(matches!(refused, TaskError::Rejected(Rejected::ForeignBuild)), "{refused}");
        // SAFETY: of a parcel of another build nothing is run.
        let reply = unsafe { remote::execute(&foreign) };
        assert!(task.complete(&reply));
        let told = _future.result().unwrap_err();
        assert!(matches!(told, TaskError::Rejected(Rejected::ForeignBuild)), "{told}");
    });
}

#[test]
fn a_reply_that_is_none_costs_nothing() {
    limit(LIMIT, || {
        let (mut task, future) = Task::new(plus_one, 1);
        let (mut other, _) = Task::new(plus_one, 5);
        let good = reply_to(&task.encode().unwrap());
        let foreign = reply_to(&other.encode().unwrap());
        for bad in [&b""[..], b"rubbish", &[0; 100], &good[..20], &foreign] {
            let (same, error) = task.try_complete(bad).unwrap_err();
            assert_eq!(error.stage(), Stage::DecodeResult);
            task = same;
        }
        assert!(!future.is_done());
        assert_eq!(ReturnAddress::of_reply(&good).unwrap().task(), future.id().get());
        assert!(task.try_complete(&good).unwrap());
        assert_eq!(future.result().unwrap(), 2);
    });
}

/// Runs `parcel` as the node of a cluster would.
fn forward(executor: &dyn Executor, parcel: Parcel, options: TaskOptions) -> Vec<u8> {
    let address = parcel.return_address();
    // SAFETY: this process has made the parcel.
    let (task, reply) = unsafe { Task::forward(parcel) };
    executor.execute(task.with_options(options));
    address.reply(reply.result())
}

fn fails(what: u32) -> u32 {
    match what {
        0 => std::process::abort(),
        1 => panic!("a fault of its own"),
        _ => loop {
            thread::park();
        },
    }
}

#[test]
fn a_forwarded_parcel_ends_as_its_task_would_here() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::builder().max_workers(1).name_prefix("far").build().unwrap();
        let run = |what: u32, options: TaskOptions| {
            let (task, future) = Task::new(fails, what);
            let mut task = task.with_options(TaskOptions::new().label("the day"));
            let reply = forward(&pool, task.encode_once().unwrap(), options);
            assert!(task.complete(&reply));
            (future.id(), future.result().unwrap_err())
        };
        match run(0, TaskOptions::new()) {
            (id, TaskError::WorkerDied(died)) => {
                assert_eq!((end(&died), died.task()), (ABORTED, Some(id)));
                assert_eq!((died.label(), died.worker()), (Some("the day"), Some("far_0")));
            }
            other => panic!("{other:?}"),
        }
        match run(1, TaskOptions::new()) {
            (_, TaskError::Panicked(panic)) => {
                assert_eq!((panic.message(), panic.label()), ("a fault of its own", Some("the day")));
                assert_eq!(panic.worker(), Some("far_0"));
            }
            other => panic!("{other:?}"),
        }
        match run(2, TaskOptions::new().timeout(Duration::from_millis(50))) {
            (id, TaskError::TimeLimit(over)) => {
                assert_eq!((over.limit(), over.task()), (Duration::from_millis(50), Some(id)));
                assert_eq!((over.label(), over.worker()), (Some("the day"), Some("far_0")));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_forwarded_parcel_carries_values_of_any_size() {
    limit(LIMIT, || {
        let executors: [Box<dyn Executor>; 3] = [
            Box::new(ProcessPoolExecutor::new(1)),
            Box::new(ThreadPoolExecutor::new(1)),
            Box::new(InlineExecutor::new()),
        ];
        for executor in executors {
            for len in [0, 1, 100, 70_000, 3 << 20] {
                let (mut task, future) = Task::new(|text: String| (text.len(), text), "x".repeat(len));
                let reply = forward(&*executor, task.encode_once().unwrap(), TaskOptions::new());
                assert!(task.complete(&reply));
                assert_eq!(future.result().unwrap(), (len, "x".repeat(len)));
            }
        }
    });
}

#[test]
fn on_done_owns_the_result() {
    limit(LIMIT, || {
        let pool = ThreadPoolExecutor::new(1);
        let (sender, receiver) = mpsc::channel();
        let send = |sender: &mpsc::Sender<_>| {
            let sender = sender.clone();
            move |result: Result<Vec<u32>, TaskError>| sender.send(result).unwrap()
        };
        pool.spawn(|| vec![1]).on_done(send(&sender));
        assert_eq!(receiver.recv_timeout(SOON).unwrap().unwrap(), [1]);
        concurrent_futures::Future::ready(Ok(vec![2])).on_done(send(&sender));
        assert_eq!(receiver.try_recv().unwrap().unwrap(), [2]);
        let (promise, future) = concurrent_futures::promise::<Vec<u32>>();
        let handle = future.cancel_handle();
        future.on_done(send(&sender));
        assert!(handle.cancel());
        assert!(matches!(receiver.try_recv().unwrap(), Err(TaskError::Cancelled)));
        drop(promise);
        pool.spawn(|| panic!("the task's")).on_done(send(&sender));
        assert!(matches!(receiver.recv_timeout(SOON).unwrap(), Err(TaskError::Panicked(_))));
    });
}

#[test]
fn on_done_that_panics_costs_nobody_anything() {
    limit(LIMIT, || {
        keep_log();
        let pool = ThreadPoolExecutor::new(1);
        pool.spawn(|| 1).on_done(|_| panic!("on_done's own fault"));
        assert_eq!(pool.spawn(|| 2).result().unwrap(), 2);
        eventually(|| was_logged(&["on_done's own fault"]));
    });
}

#[test]
fn a_worker_knows_whom_it_works_for() {
    limit(LIMIT, || {
        let asked = |name: String| (is_worker(), works_for(&name));
        let pool = ProcessPoolExecutor::builder().max_workers(1).on_behalf_of("queue a").build().unwrap();
        assert_eq!(pool.submit(asked, "queue a".into()).result().unwrap(), (true, true));
        assert_eq!(pool.submit(asked, "queue b".into()).result().unwrap(), (true, false));
        // Workers of a pool that a task builds work for the same.
        let nested = |name: String| {
            let asked = |name: String| works_for(&name);
            ProcessPoolExecutor::new(1).submit(asked, name).result().unwrap()
        };
        assert!(pool.submit(nested, "queue a".into()).result().unwrap());
        assert_eq!(asked("queue a".into()), (false, false));
    });
}

#[test]
fn an_executor_of_ones_own_says_who_is_busy() {
    limit(LIMIT, || {
        let (task, _future) = Task::new(plus_one, 1);
        let worker = BusyWorker::new("node-7", task.id(), Some("a day".into()));
        let busy = StillBusy::new(vec![worker], 2);
        assert_eq!(busy.to_string(), "1 worker still busy: node-7 with task `a day`; 2 tasks queued");
    });
}
