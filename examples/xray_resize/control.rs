//! The most that this machine can give: the same tasks without any pool.
//!
//! The files are assigned to threads and processes in advance, which a pool has to do while it runs.

use std::{
    io::{self, Read, Write},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Error,
    pictures::Pictures,
    run::Runner,
    thumbnail::{Order, image_resize},
};

/// Threads of the standard library, each with a part of the files. Returns seconds, or `None` if interrupted.
pub(crate) fn threads(pictures: &Pictures, runner: &Runner<'_>) -> Option<f64> {
    runner.screen.begin("bare threads", pictures.len());
    let start = Instant::now();
    thread::scope(|scope| {
        for part in pictures.parts(runner.workers) {
            scope.spawn(move || {
                let orders = part.orders(runner.size, runner.draft).take_while(|_| !runner.is_stopping());
                // A file that fails has its error in the other runs.
                orders.map(image_resize).for_each(|_| runner.screen.advance());
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    runner.screen.end();
    (!runner.is_stopping()).then_some(seconds)
}

/// This program again, once for each worker; each gets all its files at once and sends back pixels. Returns seconds, or
/// `None` if interrupted.
pub(crate) fn processes(pictures: &Pictures, runner: &Runner<'_>) -> Result<Option<f64>, Error> {
    runner.screen.begin("bare processes", pictures.len());
    let start = Instant::now();
    let ended = thread::scope(|scope| {
        let parts = pictures.parts(runner.workers).into_iter();
        let running: Vec<_> = parts.map(|part| scope.spawn(move || in_process(&part, runner))).collect();
        let joined =
            running.into_iter().map(|one| one.join().map_err(|_| "a thread of the control panicked")?);
        joined.collect::<Result<Vec<_>, Error>>()
    });
    let seconds = start.elapsed().as_secs_f64();
    runner.screen.end();
    Ok(ended?.into_iter().all(|end| end == End::Done).then_some(seconds))
}

#[derive(PartialEq)]
enum End {
    Done,
    Interrupted,
}

fn in_process(part: &Pictures, runner: &Runner<'_>) -> Result<End, Error> {
    let orders: Vec<Order> = part.orders(runner.size, runner.draft).collect();
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--bare-worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    // The worker reads everything before it writes, so neither waits for the other. Closing the pipe ends the input.
    let sent = child.stdin.take().map(|input| serde_json::to_writer(io::BufWriter::new(input), &orders));
    if let Some(mut output) = child.stdout.take() {
        let mut pixels = vec![0; (runner.size * runner.size) as usize];
        // The stream ends with the worker, whose status says why.
        while output.read_exact(&mut pixels).is_ok() && !runner.is_stopping() {
            runner.screen.advance();
        }
    }
    if runner.is_stopping() {
        child.kill()?;
    }
    let status = child.wait()?;
    // Ctrl-C at a terminal reaches the workers too, perhaps first: on a busy machine the handler runs a moment later.
    for _ in 0..200 {
        if runner.is_stopping() || !is_interrupt(status) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    if runner.is_stopping() || is_interrupt(status) {
        return Ok(End::Interrupted);
    }
    sent.transpose()?;
    if status.success() {
        Ok(End::Done)
    } else {
        Err(format!("a process of the control ended with {status}").into())
    }
}

#[cfg(unix)]
fn is_interrupt(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(2) // as in `kill -2`: SIGINT
}

#[cfg(not(unix))]
fn is_interrupt(_: ExitStatus) -> bool {
    false
}

/// The other end of the pipes.
pub(crate) fn bare_worker() -> Result<(), Error> {
    let orders: Vec<Order> = serde_json::from_reader(io::BufReader::new(io::stdin().lock()))?;
    let mut output = io::stdout().lock();
    let mut thumbnails = orders.into_iter().filter_map(|order| image_resize(order).ok());
    let written = thumbnails.try_for_each(|thumbnail| output.write_all(&thumbnail.pixels));
    match written.and_then(|()| output.flush()) {
        // The parent has ended.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
