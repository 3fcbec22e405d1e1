//! The whole model in one small program: `submit`, `as_completed`, `map`, and a failure.
//!
//! `cargo run --example quickstart`

// Ends the program when the reader closes the pipe (`| head -1`), where the standard library's `println!` panics.
#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::num::ParseIntError;
use std::thread::sleep;
use std::time::Duration;

use concurrent_futures::TaskError;
use concurrent_futures::prelude::*;

fn main() -> Result<(), TaskError> {
    let pool = ThreadPoolExecutor::new(4);

    // One task, one future. `result` waits and returns the value.
    let future = pool.submit(|x: u32| x * x, 12);
    println!("submit        12 squared is {}", future.result()?);

    // Three naps at once, in the order in which they end. A value that is passed in with a future is returned with it.
    let naps = [90, 30, 60].map(|ms| (ms, pool.submit(sleep, Duration::from_millis(ms))));
    for (ms, future) in as_completed(naps) {
        future.result()?;
        println!("as_completed  the nap of {ms} ms is over");
    }

    // One task for each input; the results have the order of the inputs.
    let squares: Vec<u32> = pool.map(|x| x * x, 1..=5).collect::<Result<_, _>>()?;
    println!("map           {squares:?}");

    // `try_` takes a function that returns a Result: its `Err` is the failure of that task; the others continue.
    let texts = ["7", "seven", "70"];
    for (text, number) in texts.iter().zip(pool.try_map(parse, texts)) {
        match number {
            Ok(number) => println!("try_map       {text} is {number}"),
            Err(TaskError::Failed(error)) => println!("try_map       {text} is not a number: {error}"),
            Err(other) => return Err(other),
        }
    }

    // A panic is also a failure of that task only.
    println!("panic         the next task panics on purpose; the panic hook prints a note about it");
    let divide = |by: u32| 100 / by;
    match pool.submit(divide, 0).result() {
        Ok(number) => println!("panic         none, but {number}"),
        Err(error) => println!("panic         {error}"),
    }
    println!("after it      100 / 4 is {}, by the same workers", pool.submit(divide, 4).result()?);
    Ok(())
    // Here the pool is dropped: it finishes the queued tasks and joins its threads, as Python's `with` does.
}

fn parse(text: &str) -> Result<u32, ParseIntError> {
    text.parse()
}
