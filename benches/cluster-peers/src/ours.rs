//! [`Ours`]: a client of this process and three node processes.

use crate::Failure;
use crate::case::Case;
use crate::nodes::Nodes;
use crate::stage::{Subject, median_of};
use concurrent_futures::prelude::*;
use concurrent_futures_redis::RedisExecutor;
use serde_bytes::ByteBuf;
use std::time::Instant;

pub(crate) const MIB: usize = 1 << 20;

const QUEUE: &str = "peers";

pub(crate) struct Ours {
    pool: RedisExecutor,
    _nodes: Nodes,
}

impl Ours {
    pub(crate) fn start(url: &str) -> Result<Self, Failure> {
        let pool = RedisExecutor::builder(url).queue(QUEUE).build()?;
        let nodes = Nodes::start(url, QUEUE, 3, &pool)?;
        Ok(Ours { pool, _nodes: nodes })
    }

    fn many(&self, times: usize) -> Result<f64, Failure> {
        let begun = Instant::now();
        let futures: Vec<_> = (0..times as u64).map(|n| self.pool.submit(same, n)).collect();
        for (n, future) in (0..).zip(futures) {
            if future.result()? != n {
                return Err("a result is another's".into());
            }
        }
        Ok(times as f64 / begun.elapsed().as_secs_f64())
    }
}

impl Subject for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn read(&mut self, case: Case, times: usize) -> Result<Option<f64>, Failure> {
        let trip =
            |n: u64| if self.pool.submit(same, n).result()? == n { Ok(()) } else { Err("another".into()) };
        let large = |body| {
            let back = self.pool.submit(same_bytes, body).result()?;
            if back.len() == MIB { Ok(()) } else { Err("another".into()) }
        };
        match case {
            Case::Trip => median_of(times, || 7, trip).map(Some),
            Case::Mib => median_of(times, || ByteBuf::from(vec![7; MIB]), large).map(Some),
            Case::Many => self.many(times).map(Some),
            Case::Shared | Case::Xray | Case::Memory | Case::Future => Ok(None),
        }
    }
}

/// What runs on a node.
pub(crate) fn same(n: u64) -> u64 {
    n
}

fn same_bytes(bytes: ByteBuf) -> ByteBuf {
    bytes
}
