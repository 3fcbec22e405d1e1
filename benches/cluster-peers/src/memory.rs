//! A million tasks: the memory of the client and of the server on the way, in a map with a bound and as futures that all wait
//! at once.

use crate::Failure;
use crate::case::Case;
use crate::nodes::Nodes;
use crate::ours::same;
use crate::readings::Readings;
use crate::server::Server;
use clap::{Args, ValueEnum};
use concurrent_futures::MapOptions;
use concurrent_futures::prelude::*;
use concurrent_futures_redis::RedisExecutor;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::{env, fs, process};

const QUEUE: &str = "memory";

/// How often the memory is looked at.
const SAMPLES: u64 = 20;

/// How many tasks of the map are submitted ahead.
const AHEAD: usize = 1024;

/// A client in a process of its own.
#[derive(Args)]
pub(crate) struct Arguments {
    url: String,
    server: u32,
    way: Way,
    tasks: u64,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Map,
    Futures,
}

pub(crate) fn read(server: &Server, is_quick: bool, readings: &mut Readings) -> Result<(), Failure> {
    let tasks: u64 = if is_quick { 20_000 } else { 1_000_000 };
    let pid = process_id(&server.url)?;
    for (way, word, client, at_server) in [
        (Way::Map, "map", "client, map", "server, map"),
        (Way::Futures, "futures", "client, futures", "server, futures"),
    ] {
        eprintln!("{tasks} tasks: {word}");
        let mut child = Command::new(env::current_exe()?)
            .args(["client", &server.url, &pid.to_string(), word, &tasks.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut samples = Vec::new();
        for line in BufReader::new(child.stdout.take().ok_or("no pipe")?).lines() {
            let line = line?;
            let (own, of_server) = line.split_once(' ').ok_or("not two numbers")?;
            samples.push((own.parse::<f64>()?, of_server.parse::<f64>()?));
        }
        if !child.wait()?.success() {
            return Err("the client with many tasks failed".into());
        }
        for (own, of_server) in &samples {
            readings.note(Case::Memory, client, *own);
            readings.note(Case::Memory, at_server, *of_server);
        }
        if let (Way::Futures, Some((before, _))) = (way, samples.first()) {
            let most = samples.iter().map(|(own, _)| *own).max_by(f64::total_cmp).unwrap_or(*before);
            readings.note(Case::Future, "ours", (most - before) * f64::from(1 << 20) / tasks as f64);
        }
    }
    Ok(())
}

/// The client: prints its memory and the server's, in MiB, line by line.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { url, server, way, tasks } = arguments;
    let pool = RedisExecutor::builder(url).queue(QUEUE).build()?;
    let _nodes = Nodes::start(url, QUEUE, 3, &pool)?;
    let each = (tasks / SAMPLES).max(1);
    let look = |n: u64| if n.is_multiple_of(each) { print_memory(*server) } else { Ok(()) };
    match way {
        Way::Map => {
            let options = MapOptions::new().buffersize(AHEAD);
            for (n, result) in (1..).zip(pool.map_with(options, same, 0..*tasks)) {
                result?;
                look(n)?;
            }
        }
        Way::Futures => {
            print_memory(*server)?;
            let futures: Vec<_> = (0..*tasks).map(|n| pool.submit(same, n)).collect();
            print_memory(*server)?;
            for (n, future) in (1..).zip(futures) {
                future.result()?;
                look(n)?;
            }
        }
    }
    Ok(())
}

fn print_memory(server: u32) -> Result<(), Failure> {
    println!("{} {}", resident(process::id())?, resident(server)?);
    Ok(())
}

/// The process that serves, as it says itself.
fn process_id(url: &str) -> Result<u32, Failure> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let info: String = redis::cmd("INFO").arg("server").query(&mut connection)?;
    let id = info.lines().find_map(|line| line.strip_prefix("process_id:")).ok_or("no process_id")?;
    Ok(id.trim().parse()?)
}

/// The memory that a process has now, in MiB.
fn resident(pid: u32) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_memory() {
        assert!(super::resident(std::process::id()).is_ok_and(|mib| mib > 0.1));
    }
}
