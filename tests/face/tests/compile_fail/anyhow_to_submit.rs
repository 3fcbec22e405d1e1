//! `anyhow::Result` implements none of serde's traits; as a task's failure it may go everywhere, with `try_submit`.
use concurrent_futures::prelude::*;

fn parse(text: String) -> anyhow::Result<u32> {
    Ok(text.parse()?)
}

fn main() {
    let executor: Box<dyn Executor> = Box::new(ThreadPoolExecutor::new(1));
    executor.submit(parse, "7".to_string()).detach();
}
