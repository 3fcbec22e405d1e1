//! The executors that the suite of every executor (tests/it/suite.rs) is stamped over here: each engine there is, with one node
//! or with three.

use crate::engine::Engine;
use crate::engine::conformance::{Harness as _, tell_skipped};
use crate::engine::memory::MemoryServer;
use crate::engine::redis::server::{TestServer, programs};
use crate::executor::options::Options;
use crate::node::{NodeHandle, RedisNode};
use crate::{RedisExecutor, wire::Name};
use concurrent_futures::{Executor, Shutdown, Task, remote};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Short: a task that is lost is to be told of within a test.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// A client and nodes in this process; the nodes' workers are processes.
pub(crate) struct Cluster {
    /// Dropped first: it waits for its tasks.
    pub(crate) executor: Option<RedisExecutor>,
    pub(crate) nodes: Vec<NodeHandle>,
}

impl Cluster {
    pub(crate) fn over(engine: Arc<dyn Engine>, nodes: usize, slots: usize) -> Self {
        let start = |_| {
            let node = RedisNode::builder("redis://here").queue("q").slots(slots).lease(LEASE);
            let node = node.build_on(engine.clone()).expect("a node can be built");
            node.spawn().expect("a node starts")
        };
        let nodes = (0..nodes).map(start).collect();
        let options = Options { queue: "q".into(), lease: LEASE, ..Options::default() };
        let executor = RedisExecutor::over(engine, options).expect("a client starts");
        Cluster { executor: Some(executor), nodes }
    }

    /// Over a server in this process.
    pub(crate) fn in_memory(nodes: usize, slots: usize) -> Box<dyn Executor> {
        let build: Name = remote::build_id().to_string().into();
        let server = MemoryServer::new();
        Box::new(Cluster::over(Arc::new(server.engine("q", &build)), nodes, slots))
    }
}

/// A cluster and the server that it is over, which ends last.
struct OnServer {
    cluster: Option<Cluster>,
    _server: TestServer,
}

impl Cluster {
    /// Over a server of this name, with three nodes; none if there is no such server here.
    pub(crate) fn on_server(name: &str) -> Option<Box<dyn Executor>> {
        let program = programs().into_iter().find(|program| program.ends_with(name));
        let Some(program) = program else {
            static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
            if TOLD.lock().insert(name.to_owned()) {
                tell_skipped(&format!("{name} isn't here: the suite of every executor didn't run over it"));
            }
            return None;
        };
        let server = TestServer::start(&program);
        let build: Name = remote::build_id().to_string().into();
        let cluster = Cluster::over(Arc::from(server.engine("q", &build)), 3, 1);
        Some(Box::new(OnServer { cluster: Some(cluster), _server: server }))
    }
}

impl Executor for OnServer {
    fn execute(&self, task: Task) {
        self.cluster.as_ref().expect("there until the end").execute(task);
    }

    fn shutdown(&self, mode: Shutdown) {
        self.cluster.as_ref().expect("there until the end").shutdown(mode);
    }

    fn max_workers(&self) -> Option<usize> {
        self.cluster.as_ref().expect("there until the end").max_workers()
    }
}

impl Drop for OnServer {
    fn drop(&mut self) {
        drop(self.cluster.take());
    }
}

impl Executor for Cluster {
    fn execute(&self, task: Task) {
        self.executor.as_ref().expect("there until the end").execute(task);
    }

    fn shutdown(&self, mode: Shutdown) {
        self.executor.as_ref().expect("there until the end").shutdown(mode);
    }

    fn max_workers(&self) -> Option<usize> {
        self.executor.as_ref().expect("there until the end").max_workers()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.executor.take());
        for node in std::mem::take(&mut self.nodes) {
            node.stop();
            node.join().expect("a node ends");
        }
    }
}

/// Gives `$suite` a name and a maker of each.
macro_rules! for_each_executor {
    ($suite:ident) => {
        $suite!(memory_one, crate::executors::Cluster::in_memory(1, 1));
        $suite!(memory_three, crate::executors::Cluster::in_memory(3, 1));
        // Without the server, `return` leaves the case; what was skipped is told once.
        $suite!(
            redis,
            match crate::executors::Cluster::on_server("redis-server") {
                Some(cluster) => cluster,
                None => return,
            }
        );
        $suite!(
            valkey,
            match crate::executors::Cluster::on_server("valkey-server") {
                Some(cluster) => cluster,
                None => return,
            }
        );
    };
}
