//! What this machine can give at all: the same tasks without any pool of ours.
//!
//! Both are told beforehand what a pool has to find out as it goes: who takes which file.

use std::{
    io::{self, Read, Write},
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use crate::{
    Error,
    pictures::Pictures,
    thumbnail::{Order, image_resize},
};

/// Threads of the standard library, a part of the files each. Seconds.
pub(crate) fn threads(pictures: &Pictures, size: u32, workers: usize) -> f64 {
    let start = Instant::now();
    thread::scope(|scope| {
        for part in pictures.parts(workers) {
            // A file that fails has its error in the other runs.
            scope.spawn(move || part.orders(size).map(image_resize).for_each(drop));
        }
    });
    start.elapsed().as_secs_f64()
}

/// This program again, as often as there are workers; each gets its files at once and sends back pixels. Seconds.
pub(crate) fn processes(pictures: &Pictures, size: u32, workers: usize) -> Result<f64, Error> {
    let start = Instant::now();
    thread::scope(|scope| {
        let parts = pictures.parts(workers).into_iter();
        let running: Vec<_> = parts.map(|part| scope.spawn(move || in_process(&part, size))).collect();
        running.into_iter().try_for_each(|one| one.join().map_err(|_| "a thread of the control panicked")?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

fn in_process(part: &Pictures, size: u32) -> Result<(), Error> {
    let orders: Vec<Order> = part.orders(size).collect();
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--bare-worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    // The worker reads all before it writes, so neither waits for the other. Letting go of the pipe ends the input.
    let sent = child.stdin.take().map(|input| serde_json::to_writer(io::BufWriter::new(input), &orders));
    let read = child.stdout.take().map(|mut output| output.read_to_end(&mut Vec::new()));
    let status = child.wait()?;
    sent.transpose()?;
    read.transpose()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("a process of the control ended with {status}").into())
    }
}

/// The other end of the pipes.
pub(crate) fn bare_worker() -> Result<(), Error> {
    let orders: Vec<Order> = serde_json::from_reader(io::BufReader::new(io::stdin().lock()))?;
    let mut output = io::stdout().lock();
    for thumbnail in orders.into_iter().filter_map(|order| image_resize(order).ok()) {
        output.write_all(&thumbnail.pixels)?;
    }
    Ok(output.flush()?)
}
