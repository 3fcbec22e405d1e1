//! What a task to another process goes through, without the other process.

use concurrent_futures::{Future, Task, remote};
use guard::{BATCH, Frames, Segment};
use serde::{Deserialize, Serialize};

use crate::collect::counted;

/// Something of each kind that serde knows.
#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: u64,
    customer: String,
    paid: Option<f64>,
    lines: Vec<(u32, String)>,
    weights: Vec<f32>,
}

impl Order {
    fn new() -> Self {
        Order {
            id: 4711,
            customer: "somebody".into(),
            paid: Some(19.5),
            lines: vec![(2, "cups".into()), (1, "a pot".into())],
            weights: vec![0.25; 16],
        }
    }
}

fn tasks(times: u32) -> (Vec<Task>, Vec<Future<Order>>) {
    (0..times).map(|_| Task::new(|order: Order| order, Order::new())).unzip()
}

/// A call becomes bytes.
pub(super) fn encode(times: u32) {
    let (mut tasks, _futures) = tasks(times);
    counted(|| tasks.iter_mut().for_each(|task| assert!(task.encode().is_ok())));
    tasks.into_iter().for_each(Task::run);
}

/// In the worker: the argument is decoded, the function called, the result encoded.
pub(super) fn execute(times: u32) {
    let (mut task, _future) = Task::new(|order: Order| order, Order::new());
    let parcel = task.encode().expect("an order can be encoded");
    let bytes: usize = counted(|| {
        // SAFETY: this process has just made the parcel.
        (0..times).map(|_| unsafe { remote::execute(parcel.as_bytes()) }.len()).sum()
    });
    assert!(bytes > parcel.as_bytes().len());
    task.run();
}

/// A reply is decoded into the future of its task.
pub(super) fn complete(times: u32) {
    let (mut tasks, futures) = tasks(times);
    let reply = |task: &mut Task| {
        let parcel = task.encode().expect("an order can be encoded");
        // SAFETY: this process has just made the parcel.
        unsafe { remote::execute(parcel.as_bytes()) }
    };
    let replies: Vec<Vec<u8>> = tasks.iter_mut().map(reply).collect();
    counted(|| tasks.into_iter().zip(&replies).for_each(|(task, reply)| assert!(task.complete(reply))));
    futures.into_iter().for_each(|future| assert!(future.result().is_ok()));
}

/// A task's part in the shared segment: begun by the worker, its reply through the ring.
pub(super) fn page(times: u32) {
    let (segment, mut heard) = (Segment::new(), Vec::new());
    counted(|| (0..times / BATCH).for_each(|number| segment.batch(number, &[7; 40], &mut heard)));
    assert_eq!(heard, [7; 40]);
}

/// A frame of one small task, out and in.
pub(super) fn frame(times: u32) {
    let mut frames = Frames::default();
    counted(|| (0..times).for_each(|number| assert_eq!(frames.frame(number, vec![7; 100]), 100)));
}
