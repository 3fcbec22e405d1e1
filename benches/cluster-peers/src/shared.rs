//! Tasks that all need the same 16 MiB: as data that they share, and each by value.

use crate::case::Case;
use crate::nodes::Nodes;
use crate::readings::Readings;
use crate::{Arguments, Failure};
use concurrent_futures::prelude::*;
use concurrent_futures::{Future, SharedBytes};
use concurrent_futures_redis::RedisExecutor;
use serde_bytes::ByteBuf;
use std::time::Instant;

const QUEUE: &str = "shared";

const LEN: usize = 16 << 20;

/// Tasks of a reading. What is shared crosses once for all of them, so their number says what each bears of it.
const SHARED: usize = 300;
const BY_VALUE: usize = 10;

pub(crate) fn read(url: &str, arguments: &Arguments, readings: &mut Readings) -> Result<(), Failure> {
    let pool = RedisExecutor::builder(url).queue(QUEUE).build()?;
    let _nodes = Nodes::start(url, QUEUE, 3, &pool)?;
    let part = if arguments.quick { 5 } else { 1 };
    // What has slept is woken first, and not measured.
    share(&pool, 3)?;
    for round in 0..arguments.rounds {
        for turn in 0..2 {
            if (turn + round) % 2 == 0 {
                readings.note(Case::Shared, "ours, shared", share(&pool, SHARED / part)?);
            } else {
                readings.note(Case::Shared, "ours, by value", give(&pool, BY_VALUE / part)?);
            }
        }
    }
    Ok(())
}

/// Microseconds a task, with data that neither server nor nodes have seen.
fn share(pool: &RedisExecutor, tasks: usize) -> Result<f64, Failure> {
    let bytes = vec![7; LEN];
    let begun = Instant::now();
    let table = SharedBytes::from(bytes);
    let futures: Vec<_> = (0..tasks)
        .map(|at| pool.submit(|(table, at): (SharedBytes, usize)| table[at], (table.clone(), at)))
        .collect();
    end(futures, begun)
}

/// The same with the data in each task.
fn give(pool: &RedisExecutor, tasks: usize) -> Result<f64, Failure> {
    let table = ByteBuf::from(vec![7; LEN]);
    let begun = Instant::now();
    let futures: Vec<_> = (0..tasks)
        .map(|at| pool.submit(|(table, at): (ByteBuf, usize)| table[at], (table.clone(), at)))
        .collect();
    end(futures, begun)
}

fn end(futures: Vec<Future<u8>>, begun: Instant) -> Result<f64, Failure> {
    let tasks = futures.len();
    for future in futures {
        if future.result()? != 7 {
            return Err("a table is another".into());
        }
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / tasks as f64)
}
