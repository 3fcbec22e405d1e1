//! [`Nodes`]: node processes, which are this program.

use crate::Failure;
use concurrent_futures_redis::RedisExecutor;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

/// How long nodes may take to come up, on a machine that has much to do.
const START: Duration = Duration::from_secs(60);

pub(crate) struct Nodes(Vec<Child>);

impl Nodes {
    /// Starts nodes of one slot each, and waits until this client knows of them.
    pub(crate) fn start(url: &str, queue: &str, count: usize, pool: &RedisExecutor) -> Result<Self, Failure> {
        let mut nodes = Nodes(Vec::new());
        for _ in 0..count {
            let node = Command::new(env::current_exe()?)
                .args(["redis-node", url, "--queue", queue, "--slots", "1"])
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            nodes.0.push(node);
        }
        let begun = Instant::now();
        while pool.stats().nodes.iter().filter(|node| node.is_same_build).count() < count {
            if begun.elapsed() > START {
                return Err(format!("{count} nodes have not come up within {START:?}").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(nodes)
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.0 {
            // By its own id. Its workers end with it.
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}
