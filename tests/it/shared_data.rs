//! `Shared` and `SharedBytes`: what many tasks carry crosses to each process once, and nobody keeps it for longer than there are
//! handles.

use crate::processes_support::{Signals, builder, die, pid};
use crate::support::{LIMIT, eventually, limit};
use concurrent_futures::prelude::*;
use concurrent_futures::{
    InlineExecutor, Json, MapOptions, Parcel, Shared, SharedBytes, Stage, Task, TaskError, remote,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

const LARGE: usize = 1 << 20;

fn pattern(len: usize) -> SharedBytes {
    SharedBytes::with(len, |bytes| bytes.iter_mut().enumerate().for_each(|(n, byte)| *byte = n as u8))
        .unwrap()
}

fn byte((bytes, at): (SharedBytes, usize)) -> u8 {
    bytes[at]
}

/// Counts how often it is encoded and decoded in this process.
struct Counted<const TEST: usize>(Vec<u64>);

/// By test: they run at the same time, in one process.
static ENCODED: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
static DECODED: AtomicUsize = AtomicUsize::new(0);

impl<const TEST: usize> Serialize for Counted<TEST> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODED[TEST].fetch_add(1, Ordering::SeqCst);
        self.0.serialize(serializer)
    }
}

impl<'de, const TEST: usize> Deserialize<'de> for Counted<TEST> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.fetch_add(1, Ordering::SeqCst);
        Vec::deserialize(deserializer).map(Counted)
    }
}

#[test]
fn a_value_is_encoded_once_and_decoded_once_in_each_worker() {
    limit(LIMIT, || {
        let table = Shared::new(Counted((0..20_000).collect()));
        let pool = builder(2).build().unwrap();
        let look_up = |(table, n): (Shared<Counted<0>>, usize)| {
            (std::process::id(), DECODED.load(Ordering::SeqCst), table.0[n])
        };
        let tasks = (0..1000).map(|n| (table.clone(), n));
        let mut workers = HashMap::new();
        for (n, answer) in pool.map(look_up, tasks).enumerate() {
            let (pid, decoded, found) = answer.unwrap();
            assert_eq!((found, decoded), (n as u64, 1));
            *workers.entry(pid).or_insert(0) += 1;
        }
        assert!((1..=2).contains(&workers.len()));
        assert_eq!(ENCODED[0].load(Ordering::SeqCst), 1);
        // In chunks, and by the handles of a lazy map.
        let options = MapOptions::new().chunksize(10).buffersize(200);
        let tasks = (0..1000).map(|n| (table.clone(), n));
        assert!(pool.map_with(options, look_up, tasks).all(|answer| answer.unwrap().1 == 1));
    });
}

#[test]
fn on_threads_nothing_is_encoded() {
    limit(LIMIT, || {
        struct Never;
        impl Serialize for Never {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                panic!("it was encoded")
            }
        }
        impl<'de> Deserialize<'de> for Never {
            fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                panic!("it was decoded")
            }
        }
        let (value, bytes) = (Shared::new(Never), pattern(LARGE));
        fn place((shared, bytes): (Shared<Never>, SharedBytes)) -> (usize, usize) {
            (&raw const *shared as usize, bytes.as_ptr() as usize)
        }
        let here = place((value.clone(), bytes.clone()));
        let executors: [Box<dyn Executor>; 2] =
            [Box::new(ThreadPoolExecutor::new(1)), Box::new(InlineExecutor::new())];
        for executor in executors {
            assert_eq!(executor.submit(place, (value.clone(), bytes.clone())).result().unwrap(), here);
        }
        assert!(value.into_inner().is_ok());
    });
}

#[derive(Serialize, Deserialize)]
struct Request {
    table: Shared<HashMap<String, u64>>,
    #[serde(flatten)]
    more: More,
    either: Either,
}

#[derive(Serialize, Deserialize)]
struct More {
    bytes: SharedBytes,
    small: SharedBytes,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(u64),
    Text(Shared<String>),
}

#[test]
fn they_are_carried_wherever_serde_puts_them() {
    limit(LIMIT, || {
        let pool = builder(1).build().unwrap();
        let table = Shared::new(HashMap::from([("one".to_owned(), 1), ("two".to_owned(), 2)]));
        let (bytes, small) = (pattern(LARGE), SharedBytes::from(vec![4, 5, 6]));
        let text = Shared::new("text".to_owned());
        let request = || Request {
            table: table.clone(),
            more: More { bytes: bytes.slice(256..), small: small.clone() },
            either: Either::Text(text.clone()),
        };
        let answer = |request: Request| {
            let Either::Text(text) = &request.either else { panic!("it was no number") };
            let More { bytes, small } = &request.more;
            (request.table["two"], bytes[3], bytes.len(), small.to_vec(), text.to_string())
        };
        let expected = (2, 3, LARGE - 256, vec![4, 5, 6], "text".to_owned());
        assert_eq!(pool.submit(answer, request()).result().unwrap(), expected);
        let all = pool
            .submit(|all: Vec<Option<Shared<String>>>| all.len(), vec![Some(text.clone()), None, Some(text)]);
        assert_eq!(all.result().unwrap(), 3);
    });
}

#[cfg(feature = "json")]
#[test]
fn they_are_carried_inside_json() {
    limit(LIMIT, || {
        let pool = builder(1).build().unwrap();
        let shared = Shared::new(vec![1.5, 2.5]);
        let sum =
            |Json((numbers, bytes)): Json<(Shared<Vec<f64>>, SharedBytes)>| numbers[1] + f64::from(bytes[2]);
        assert_eq!(pool.submit(sum, Json((shared, pattern(LARGE)))).result().unwrap(), 4.5);
    });
}

#[test]
fn shared_values_may_lie_in_one_another() {
    limit(LIMIT, || {
        let pool = builder(1).build().unwrap();
        let inner = Shared::new("inner".to_owned());
        let outer = Shared::new((vec![inner.clone(), inner.clone()], pattern(LARGE)));
        let read =
            |shared: Shared<(Vec<Shared<String>>, SharedBytes)>| (shared.0[1].to_string(), shared.1[7]);
        assert_eq!(pool.submit(read, outer.clone()).result().unwrap(), ("inner".to_owned(), 7));
        // The inner one was sent with it, and is no other by itself.
        assert_eq!(pool.submit(|text: Shared<String>| text.len(), inner).result().unwrap(), 5);
        assert_eq!(pool.submit(read, outer).result().unwrap().1, 7);
    });
}

#[derive(Serialize, Deserialize)]
struct Link(Option<Shared<Link>>);

#[test]
fn a_chain_of_shared_values_has_an_end() {
    limit(LIMIT, || {
        let pool = builder(1).build().unwrap();
        let chain = |links| (0..links).fold(Link(None), |next, _| Link(Some(Shared::new(next))));
        let len = |mut link: &Link| {
            let mut len = 0;
            while let Some(next) = &link.0 {
                (link, len) = (next, len + 1);
            }
            len
        };
        assert_eq!(len(&chain(3)), 3);
        let has_next = |link: Link| link.0.is_some_and(|next| next.0.is_some());
        assert!(pool.submit(has_next, chain(10)).result().unwrap());
        let error = pool.submit(has_next, chain(40)).result().unwrap_err();
        assert!(error.to_string().contains("more than 16 shared values lie inside one another"), "{error}");
    });
}

#[test]
fn the_initializer_may_have_them_and_its_worker_keeps_what_it_decoded() {
    limit(LIMIT, || {
        static SUM: AtomicUsize = AtomicUsize::new(0);
        let (table, bytes) = (Shared::new(Counted((0..20_000).collect())), pattern(LARGE));
        let prepare = |(table, bytes): (Shared<Counted<1>>, SharedBytes)| {
            SUM.store(table.0.len() + usize::from(bytes[5]), Ordering::SeqCst);
        };
        let pool =
            builder(2).initializer(prepare, (table.clone(), bytes)).max_tasks_per_child(2).build().unwrap();
        let look_up = |(table, n): (Shared<Counted<1>>, usize)| {
            (SUM.load(Ordering::SeqCst), DECODED.load(Ordering::SeqCst), table.0[n])
        };
        // Workers come and go; each has them before its first task, also when nobody else has a handle any more.
        let answers: Vec<_> =
            pool.map(look_up, (0..9).map(|n| (table.clone(), n))).map(Result::unwrap).collect();
        assert_eq!(answers, (0..9).map(|n| (20_005, 1, n)).collect::<Vec<_>>());
        drop(table);
        let sum = |()| SUM.load(Ordering::SeqCst);
        assert!(pool.map(sum, [(); 5]).all(|sum| sum.unwrap() == 20_005));
    });
}

#[test]
fn a_worker_that_takes_the_place_of_another_gets_them_again() {
    limit(LIMIT, || {
        let pool = builder(2).build().unwrap();
        let (table, bytes) = (Shared::new((0..20_000).collect::<Vec<u64>>()), pattern(LARGE));
        let task = |(table, bytes, n): (Shared<Vec<u64>>, SharedBytes, usize)| {
            if n % 5 == 4 {
                die(());
            }
            table[n] + u64::from(bytes[n])
        };
        let tasks = (0..50).map(|n| (table.clone(), bytes.clone(), n));
        for (n, answer) in pool.map(task, tasks).enumerate() {
            match answer {
                Ok(sum) => assert_eq!(sum, 2 * n as u64),
                Err(error) => {
                    assert!(n % 5 == 4 && matches!(error, TaskError::WorkerDied(_)), "{n}: {error}")
                }
            }
        }
    });
}

/// Bytes of sealed memory that this process has mapped, where the system tells that.
fn mapped((): ()) -> Option<usize> {
    let maps = cfg!(target_os = "linux").then(|| std::fs::read_to_string("/proc/self/maps").unwrap())?;
    let sealed =
        maps.lines().filter(|line| line.contains("r--p") && line.contains("memfd:concurrent-futures"));
    let range = |line: &str| {
        let (start, rest) = line.split_once('-')?;
        let end = rest.split_once(' ')?.0;
        Some(usize::from_str_radix(end, 16).ok()? - usize::from_str_radix(start, 16).ok()?)
    };
    Some(sealed.filter_map(range).sum())
}

#[test]
fn a_worker_forgets_them_with_the_last_handle_queued_tasks_included() {
    limit(LIMIT, || {
        let (signals, pool) = (Signals::new(), builder(1).build().unwrap());
        let held = signals.hold(&pool, "first");
        let bytes = pattern(LARGE);
        let queued = pool.submit(byte, (bytes.clone(), 300));
        drop(bytes);
        signals.release("first");
        held.result().unwrap();
        assert_eq!(queued.result().unwrap(), 44);
        eventually(|| pool.submit(mapped, ()).result().unwrap().is_none_or(|bytes| bytes == 0));
        // One that is held elsewhere stays.
        let bytes = pattern(LARGE);
        assert_eq!(pool.submit(byte, (bytes.clone(), 1)).result().unwrap(), 1);
        assert!(pool.submit(mapped, ()).result().unwrap().is_none_or(|bytes| bytes == LARGE));
        drop(pool);
        assert_eq!(bytes[300], 44);
    });
}

#[test]
fn what_cannot_be_encoded_or_decoded_is_the_error_of_each_task_that_carries_it() {
    limit(LIMIT, || {
        #[derive(Serialize)]
        struct Unreadable(u32);
        impl<'de> Deserialize<'de> for Unreadable {
            fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Err(serde::de::Error::custom("it is unreadable"))
            }
        }
        #[derive(Deserialize)]
        struct Unwritable(u32);
        impl Serialize for Unwritable {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("it is unwritable"))
            }
        }
        let pool = builder(1).build().unwrap();
        let (unreadable, unwritable) = (Shared::new(Unreadable(1)), Shared::new(Unwritable(1)));
        let first = pool.submit(pid, ()).result().unwrap();
        for _ in 0..3 {
            let error =
                pool.submit(|shared: Shared<Unreadable>| shared.0, unreadable.clone()).result().unwrap_err();
            let TaskError::Codec(codec) = &error else { panic!("{error}") };
            assert_eq!(codec.stage(), Stage::DecodeArgument);
            assert!(error.to_string().contains("it is unreadable"), "{error}");
            let error =
                pool.submit(|shared: Shared<Unwritable>| shared.0, unwritable.clone()).result().unwrap_err();
            let TaskError::Codec(codec) = &error else { panic!("{error}") };
            assert_eq!(codec.stage(), Stage::EncodeArgument);
            assert!(error.to_string().contains("it is unwritable"), "{error}");
        }
        assert_eq!(pool.submit(pid, ()).result().unwrap(), first, "nobody died of it");
    });
}

#[test]
fn another_serializer_is_told_that_it_cannot_carry_them() {
    limit(LIMIT, || {
        let error = serde_json::to_string(&Shared::new(1)).unwrap_err().to_string();
        assert!(error.contains("can be sent only inside a task") && error.contains("`&*shared`"), "{error}");
        let error = serde_json::to_string(&SharedBytes::from(vec![1])).unwrap_err().to_string();
        assert!(error.contains("can be sent only inside a task") && error.contains("`&*bytes`"), "{error}");
        assert_eq!(serde_json::to_string(&*Shared::new(1)).unwrap(), "1");
        // What names nothing is no handle either.
        assert!(serde_json::from_str::<Shared<u32>>("[1, 2]").is_err());
        assert!(serde_json::from_str::<SharedBytes>("[1, 2, 0, 0]").is_err());
    });
}

#[test]
fn a_submit_inside_serialize_has_handles_of_its_own() {
    limit(LIMIT, || {
        /// Has another task run while it is encoded.
        struct Submits;
        impl Serialize for Submits {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let pool = builder(1).build().unwrap();
                let inner = pool.submit(|text: Shared<String>| text.len(), Shared::new("inner".to_owned()));
                inner.result().unwrap().serialize(serializer)
            }
        }
        impl<'de> Deserialize<'de> for Submits {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                assert_eq!(usize::deserialize(deserializer)?, 5);
                Ok(Submits)
            }
        }
        let pool = builder(1).build().unwrap();
        let arg = (Shared::new(1_u32), Submits, Shared::new(2_u32));
        let sum = |(one, _, two): (Shared<u32>, Submits, Shared<u32>)| *one + *two;
        assert_eq!(pool.submit(sum, arg).result().unwrap(), 3);
    });
}

#[test]
fn they_come_back_in_results_and_go_on_to_other_tasks() {
    limit(LIMIT, || {
        let pool = builder(2).build().unwrap();
        let make = |len: usize| (pattern(len), Shared::new(len));
        for len in [10, LARGE] {
            let (bytes, shared) = pool.submit(make, len).result().unwrap();
            assert_eq!((bytes.len(), bytes[9], *shared), (len, 9, len));
            let tasks = (0..20).map(|_| (bytes.clone(), shared.clone()));
            let same = |(bytes, shared): (SharedBytes, Shared<usize>)| bytes.len() == *shared;
            assert!(pool.map(same, tasks).all(|same| same.unwrap()));
        }
        // One that came as an argument is the same again.
        let bytes = pattern(LARGE);
        let (part, all) =
            pool.submit(|bytes: SharedBytes| (bytes.slice(7..9), bytes), bytes).result().unwrap();
        assert_eq!((&*part, all.len()), (&[7, 8][..], LARGE));
        let results: Vec<_> =
            pool.map_with(MapOptions::new().chunksize(3), make, 1..8).map(Result::unwrap).collect();
        assert!(
            results.iter().enumerate().all(|(n, (bytes, shared))| bytes.len() == n + 1 && **shared == n + 1)
        );
    });
}

fn in_a_pool_of_its_own((bytes, shared): (SharedBytes, Shared<(Shared<String>, u64)>)) -> (u8, u64, usize) {
    let pool = builder(1).recursive().build().unwrap();
    let read =
        |(bytes, shared): (SharedBytes, Shared<(Shared<String>, u64)>)| (bytes[5], shared.1, shared.0.len());
    let first = pool.submit(read, (bytes.clone(), shared.clone())).result().unwrap();
    assert_eq!(pool.submit(read, (bytes, shared)).result().unwrap(), first);
    first
}

#[test]
fn a_worker_passes_them_on_to_workers_of_its_own() {
    limit(LIMIT, || {
        let pool = builder(1).build().unwrap();
        let arg = (pattern(LARGE), Shared::new((Shared::new("text".to_owned()), 9)));
        assert_eq!(pool.submit(in_a_pool_of_its_own, arg.clone()).result().unwrap(), (5, 9, 4));
        assert_eq!(pool.submit(in_a_pool_of_its_own, arg).result().unwrap(), (5, 9, 4));
    });
}

#[test]
fn a_parcel_has_them_by_value_and_once() {
    limit(LIMIT, || {
        let bytes = pattern(LARGE);
        let ends = |(one, other): (SharedBytes, SharedBytes)| (one[3], other.len());
        let (mut task, future) = Task::new(ends, (bytes.slice(0..9), bytes.slice(100..)));
        let parcel = task.encode().unwrap();
        let size = parcel.as_bytes().len();
        assert!((LARGE..LARGE + 1000).contains(&size), "{size}");
        assert_eq!(parcel.clone().into_bytes(), parcel.as_bytes());
        // SAFETY: this process has just made the parcel.
        #[expect(unsafe_code, reason = "the only way to run a parcel")]
        let reply = unsafe { remote::execute(parcel.as_bytes()) };
        task.complete(&reply);
        assert_eq!(future.result().unwrap(), (3, LARGE - 100));

        // Through a process that passes it on to a pool.
        let (mut task, future) = Task::new(ends, (bytes.slice(0..9), bytes));
        let mut parcel = Parcel::from_bytes(task.encode().unwrap().into_bytes()).unwrap();
        parcel.try_again();
        let (address, pool) = (parcel.return_address(), builder(1).build().unwrap());
        // SAFETY: as above.
        #[expect(unsafe_code, reason = "the only way to run a parcel")]
        let (forwarded, reply) = unsafe { Task::forward(parcel) };
        pool.execute(forwarded);
        task.complete(&address.reply(reply.result()));
        assert_eq!(future.result().unwrap(), (3, LARGE));

        // A cut one is none.
        let (mut task, _) = Task::new(ends, (pattern(100), pattern(100)));
        let whole = task.encode().unwrap().into_bytes();
        for len in whole.len() - 150..whole.len() {
            assert!(Parcel::from_bytes(whole[..len].to_vec()).is_err(), "{len} of {}", whole.len());
        }
    });
}

#[test]
fn slices_are_parts_of_the_same_memory() {
    limit(LIMIT, || {
        let bytes = pattern(LARGE);
        let part = bytes.slice(10..=19).slice(5..);
        assert_eq!(&*part, [15, 16, 17, 18, 19]);
        assert_eq!(part.as_ptr(), bytes[15..].as_ptr());
        assert_eq!((bytes.slice(..).len(), part.slice(5..).len()), (LARGE, 0));
        assert_eq!(format!("{part:?}"), "SharedBytes(5 bytes)");
        assert!(std::panic::catch_unwind(|| part.slice(..6)).is_err());
        assert!(std::panic::catch_unwind(|| part.slice(..=usize::MAX)).is_err());
        assert_eq!(&*SharedBytes::from(vec![7; 100_000]), [7; 100_000]);
        assert_eq!(SharedBytes::with(0, |_| {}).unwrap().len(), 0);
    });
}
