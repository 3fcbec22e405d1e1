//! Every inherent verb is there, on every executor of this process, for closures that capture and types that know no
//! serde. A verb that were missing would be the trait's by the same name, and these calls would not compile.

use concurrent_futures::{InlineExecutor, MapOptions, TaskOptions, ThreadPoolExecutor};
use std::cell::Cell;
use std::sync::Arc;

/// Neither serde's nor `Sync`; what a trait's verb could never take.
struct NoSerde(Cell<u32>);

fn no_serde(n: u32) -> NoSerde {
    NoSerde(Cell::new(n))
}

macro_rules! every_verb {
    ($name:ident, $executor:expr) => {
        #[test]
        fn $name() {
            let k = Arc::new(7);
            let add = {
                let k = k.clone();
                move |n: NoSerde| no_serde(n.0.get() + *k)
            };
            let try_add = {
                let k = k.clone();
                move |n: NoSerde| if n.0.get() == 0 { Err("zero") } else { Ok(no_serde(n.0.get() + *k)) }
            };
            let options = || TaskOptions::new().label("verb");
            let ones = || [no_serde(1), no_serde(2)];
            let executor = $executor;

            let (here, there) = (k.clone(), k.clone());
            assert_eq!(executor.spawn(move || no_serde(*here)).result().unwrap().0.get(), 7);
            assert_eq!(
                executor.try_spawn(move || Ok::<_, String>(no_serde(*there))).result().unwrap().0.get(),
                7
            );
            assert_eq!(executor.submit(add.clone(), no_serde(1)).result().unwrap().0.get(), 8);
            assert_eq!(
                executor.submit_with(options(), add.clone(), no_serde(1)).result().unwrap().0.get(),
                8
            );
            assert_eq!(executor.try_submit(try_add.clone(), no_serde(1)).result().unwrap().0.get(), 8);
            assert!(executor.try_submit_with(options(), try_add.clone(), no_serde(0)).result().is_err());
            let total = |n: Result<NoSerde, _>| -> u32 {
                n.map(|n| n.0.get()).map_err(|_: concurrent_futures::TaskError| ()).unwrap()
            };
            assert_eq!(executor.map(add.clone(), ones()).map(total).sum::<u32>(), 17);
            assert_eq!(executor.try_map(try_add.clone(), ones()).map(total).sum::<u32>(), 17);
            assert_eq!(executor.map_with(MapOptions::new(), add, ones()).map(total).sum::<u32>(), 17);
            assert_eq!(executor.try_map_with(MapOptions::new(), try_add, ones()).map(total).sum::<u32>(), 17);
        }
    };
}

every_verb!(on_threads, ThreadPoolExecutor::new(2));
every_verb!(inline, InlineExecutor::new());
every_verb!(through_a_reference, &ThreadPoolExecutor::new(2));
every_verb!(through_an_arc, Arc::new(ThreadPoolExecutor::new(2)));
every_verb!(through_a_box_of_a_box, Box::new(Box::new(InlineExecutor::new())));

#[test]
fn the_same_with_the_trait_in_scope() {
    use concurrent_futures::prelude::*;
    let (pool, k) = (ThreadPoolExecutor::new(1), 7);
    let _: &dyn Executor = &pool;
    assert_eq!(
        pool.submit(move |n: NoSerde| no_serde(n.0.get() + k), no_serde(1)).result().unwrap().0.get(),
        8
    );
    assert_eq!(pool.map(move |n: NoSerde| n.0.get() + k, [no_serde(1)]).map(Result::unwrap).sum::<u32>(), 8);
}
