//! The whole model in one small program: submit, as they come, map, and what a failure looks like.
//!
//! `cargo run --example quickstart`

// Ends the program when nobody reads on (`| head -1`); std's `println!`, in use without these lines, panics there.
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

    // One task, one future. `result` waits and moves the value out.
    let future = pool.submit(|x: u32| x * x, 12);
    println!("submit        12 squared is {}", future.result()?);

    // Three naps at once, in the order in which they end. What goes in with a future comes out with it.
    let naps = [90, 30, 60].map(|ms| (ms, pool.submit(sleep, Duration::from_millis(ms))));
    for (ms, future) in as_completed(naps) {
        future.result()?;
        println!("as_completed  the nap of {ms} ms is over");
    }

    // One task for each input; the results in the order of the inputs.
    let squares: Vec<u32> = pool.map(|x| x * x, 1..=5).collect::<Result<_, _>>()?;
    println!("map           {squares:?}");

    // `try_` takes a function that returns a Result: its `Err` is the failure of that task, the others go on.
    let texts = ["7", "seven", "70"];
    for (text, number) in texts.iter().zip(pool.try_map(parse, texts)) {
        match number {
            Ok(number) => println!("try_map       {text} is {number}"),
            Err(TaskError::Failed(error)) => println!("try_map       {text} is not a number: {error}"),
            Err(other) => return Err(other),
        }
    }

    // A panic is a failure too, of that task alone.
    println!("panic         one comes now, on purpose; Rust prints its own note about it");
    let divide = |by: u32| 100 / by;
    match pool.submit(divide, 0).result() {
        Ok(number) => println!("panic         none, but {number}"),
        Err(error) => println!("panic         {error}"),
    }
    println!("after it      100 / 4 is {}, by the same workers", pool.submit(divide, 4).result()?);
    Ok(())
    // Here the pool is dropped: it finishes what is queued and joins its threads, as Python's `with` does.
}

fn parse(text: &str) -> Result<u32, ParseIntError> {
    text.parse()
}
