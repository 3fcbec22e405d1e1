//! The zoo's animals between real processes: as an argument and as a result, plain where the codec carries them and
//! inside `Json<T>` where serde_json does. The rest of the zoo has the codec alone.

use crate::animals::{Exotic, Wild, any_scalar, attributed, exotic, json_value, tagged};
use concurrent_futures::{ExecutorExt, Json, ProcessPoolExecutor, TaskError};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Long enough on a busy machine, short enough to notice a hang.
const LIMIT: Duration = Duration::from_secs(60);

/// Ends the whole process if `body` takes too long: a thread that hangs can't be ended otherwise.
fn limit(limit: Duration, body: impl FnOnce() + Send + 'static) {
    let (over, ended) = mpsc::channel::<()>();
    let test = std::thread::spawn(move || {
        let _over = over; // dropped at the end, also by a panic
        body();
    });
    if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        eprintln!("it hangs");
        std::process::abort();
    }
    if let Err(panic) = test.join() {
        std::panic::resume_unwind(panic);
    }
}

/// How many of each kind.
const COUNT: usize = 64;

fn echo<T>(value: T) -> T {
    value
}

fn some<T: Debug>(strategy: &impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::default();
    (0..COUNT).map(|_| strategy.new_tree(&mut runner).expect("a value").current()).collect()
}

/// There and back: two trips, as through serde_json.
fn by_json<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let trip = |value: &T| serde_json::from_slice(&serde_json::to_vec(value).unwrap()).unwrap();
    trip(&trip(value))
}

/// They come back as the function says.
#[track_caller]
fn travel<T>(pool: &ProcessPoolExecutor, values: Vec<T>, wanted: impl Fn(&T) -> T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + Send + 'static,
{
    let wanted: Vec<T> = values.iter().map(wanted).collect();
    let futures: Vec<_> = values.into_iter().map(|value| pool.submit(echo::<T>, value)).collect();
    for (future, wanted) in futures.into_iter().zip(wanted) {
        assert_eq!(future.result().unwrap(), wanted);
    }
}

/// Plain and inside `Json<T>`.
#[track_caller]
fn travel_both_ways<T>(pool: &ProcessPoolExecutor, strategy: impl Strategy<Value = T>)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + Send + 'static,
{
    travel(pool, some(&strategy), by_json);
    travel(pool, some(&strategy).into_iter().map(Json).collect(), |value| Json(by_json(&value.0)));
}

#[test]
fn the_whole_zoo_between_processes() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::new(2);
        let here = std::process::id();
        assert_ne!(pool.submit(|()| std::process::id(), ()).result().unwrap(), here, "it travels");
        travel_both_ways(&pool, attributed());
        travel_both_ways(&pool, tagged());
        travel_both_ways(&pool, prop::collection::vec(tagged(), 0..5));
        travel_both_ways(&pool, json_value());
        travel_both_ways(&pool, any::<(u128, i128)>());
        travel_both_ways(
            &pool,
            ".*".prop_map(|text| (Cow::<'static, str>::Owned(text.clone()), Box::<str>::from(text))),
        );
        // JSON can't tell apart what is in these, or can't carry it.
        travel(&pool, some(&exotic()), Exotic::clone);
        travel(&pool, some(&prop::collection::vec(any_scalar(), 0..300)), Vec::clone);
        // And this can be carried by JSON alone.
        let wild = |text: &str| serde_json::from_str::<Wild>(text).unwrap();
        let text = r#"{ "as": [1, 2.50], "it": "is" }"#;
        let back = pool.submit(echo::<Json<Wild>>, Json(wild(text))).result().unwrap();
        assert_eq!(back.0.get(), text);
        let error = pool.submit(echo::<Wild>, wild(text)).result().unwrap_err();
        assert!(matches!(&error, TaskError::Codec(codec) if codec.reason().contains("Json<T>")), "{error}");
    });
}

/// A float is its bits on the way there and back.
#[test]
fn odd_floats_between_processes() {
    limit(LIMIT, || {
        let pool = ProcessPoolExecutor::new(1);
        let bits = [0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000, 0x7ff8_0000_0000_0000, u64::MAX, 1 << 63];
        let back = pool.submit(echo::<Vec<f64>>, bits.map(f64::from_bits).to_vec()).result().unwrap();
        assert_eq!(back.iter().map(|float| float.to_bits()).collect::<Vec<_>>(), bits);
        let bits = [0x7f80_0000, 0xff80_0000, 0x7fc0_0000, u32::MAX, 1 << 31];
        let back = pool.submit(echo::<Vec<f32>>, bits.map(f32::from_bits).to_vec()).result().unwrap();
        assert_eq!(back.iter().map(|float| float.to_bits()).collect::<Vec<_>>(), bits);
        // JSON has no word for them: an error in time, not another number.
        let error = pool.submit(echo::<Json<f64>>, Json(f64::NAN)).result().unwrap_err();
        assert!(matches!(&error, TaskError::Codec(_)), "{error}");
    });
}
