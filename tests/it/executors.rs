//! The executors that the suite is stamped over. One more is one more line.

/// The executor that the example shows how to write.
#[expect(dead_code, reason = "the example's own main")]
#[path = "../../examples/custom_executor.rs"]
pub(crate) mod custom;

/// Gives `$suite` a name and a maker of each.
macro_rules! for_each_executor {
    ($suite:ident) => {
        $suite!(threads_one, Box::new(concurrent_futures::ThreadPoolExecutor::new(1)));
        $suite!(threads_four, Box::new(concurrent_futures::ThreadPoolExecutor::new(4)));
        $suite!(inline, Box::new(concurrent_futures::InlineExecutor::new()));
        $suite!(custom_executor, Box::new(crate::executors::custom::Crew::new(3)));
        #[cfg(feature = "process")]
        $suite!(processes_one, Box::new(concurrent_futures::ProcessPoolExecutor::new(1)));
        #[cfg(feature = "process")]
        $suite!(processes_four, Box::new(concurrent_futures::ProcessPoolExecutor::new(4)));
    };
}
