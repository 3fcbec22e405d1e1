//! Breakfast twice: many toasts in parallel, and toast that is made while the coffee brews.
//!
//! Two different ideas are often confused. *Parallel*: four toasters make a hundred toasts in a quarter of the time.
//! *Asynchronous*: one cook starts the coffee and makes toast while it brews. Both pictures show what really ran, with a
//! minute scaled down to some milliseconds, and the figures are checked.
//!
//! `cargo run --example toast_and_coffee`; with `-- --executor processes` each worker is a process

// Ends the program when the reader closes the pipe (`| head -1`), where the standard library's `println!` panics.
#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::{self, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use std::{iter, thread};

use clap::{Parser, ValueEnum};
use concurrent_futures::prelude::*;
use concurrent_futures::{BuildError, TaskError};
use serde::{Deserialize, Serialize};

const TOASTS: u32 = 100;
const TOAST: u32 = 2;
const COFFEE: u32 = 5;

/// How much longer it may take than expected: sleeping threads wake up late, especially on a busy machine.
const LATE: f64 = 1.25;

/// Prepares breakfast twice, in parallel and asynchronously, and draws what ran when.
#[derive(Parser)]
struct Arguments {
    /// How many milliseconds a minute lasts
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    minute_ms: u64,
    /// What the toasters and the coffee machine are
    #[arg(long, value_enum, default_value = "threads")]
    executor: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Threads,
    Processes,
}

impl Kind {
    fn pool(self, workers: usize) -> Result<Box<dyn Executor>, BuildError> {
        Ok(match self {
            Self::Threads => Box::new(ThreadPoolExecutor::builder().max_workers(workers).build()?),
            Self::Processes => Box::new(ProcessPoolExecutor::builder().max_workers(workers).build()?),
        })
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Arguments { minute_ms, executor } = Arguments::parse();
    let minute = Duration::from_millis(minute_ms);
    ctrlc::set_handler(|| {
        let made = SO_FAR.lock().unwrap_or_else(PoisonError::into_inner);
        println!("\n  interrupted; made until then: {}", made.bars.len());
        draw(&made.bars, made.columns_a_minute);
        process::exit(130);
    })?;
    println!("A minute lasts {} ms here.\n", minute.as_millis());

    println!("Parallel: {TOASTS} toasts of {TOAST} minutes");
    let mut right = true;
    for (toasters, on_paper) in [(1, 200), (4, 50)] {
        let pool = executor.pool(toasters)?;
        pool.submit(|()| (), ()).result()?; // plugged in: a process takes some milliseconds to start
        let kitchen = Kitchen::open(minute, 0.25);
        let bars = toasts(&kitchen, &*pool)?;
        right &= kitchen.report(&format!("{toasters} toaster(s)"), on_paper, &bars);
    }

    println!("Asynchronous: one coffee of {COFFEE} minutes, one toast of {TOAST}");
    let kitchen = Kitchen::open(minute, 6.0);
    let bars = [keep(kitchen.make("coffee", COFFEE)), keep(kitchen.make("toast", TOAST))];
    right &= kitchen.report("one after the other", 7, &bars);

    let machine = executor.pool(1)?;
    machine.submit(|()| (), ()).result()?;
    let kitchen = Kitchen::open(minute, 6.0);
    let bars = coffee_meanwhile(&kitchen, &*machine)?;
    right &= kitchen.report("toast while the coffee brews", 5, &bars);

    if !right {
        println!("A figure is off: is the machine busy? A longer minute helps, `-- --minute-ms 100`.");
    }
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same code for one toaster and for four, threads or processes.
fn toasts(kitchen: &Kitchen, toasters: &dyn Executor) -> Result<Vec<Bar>, TaskError> {
    let toasts = iter::repeat_n(*kitchen, TOASTS as usize);
    // A worker is a toaster, numbered in the order of appearance.
    let mut names = BTreeMap::new();
    let bars = toasters.map(make_toast, toasts).map(|bar| {
        let bar: Bar = bar?;
        let number = names.len() + 1;
        let name = names.entry(bar.name).or_insert_with(|| format!("toaster {number}"));
        Ok(keep(Bar { name: name.clone(), ..bar }))
    });
    bars.collect()
}

/// One cook. The future stands for the coffee, and the cook doesn't wait beside the machine.
fn coffee_meanwhile(kitchen: &Kitchen, machine: &dyn Executor) -> Result<[Bar; 2], TaskError> {
    let coffee = machine.submit(|kitchen: Kitchen| kitchen.make("coffee", COFFEE), *kitchen);
    let toast = keep(kitchen.make("toast", TOAST));
    Ok([keep(coffee.result()?), toast])
}

/// The task: one toast, on any free toaster.
fn make_toast(kitchen: Kitchen) -> Bar {
    let worker = format!("{} {:?}", process::id(), thread::current().id());
    kitchen.make(&worker, TOAST)
}

/// What was made, with its beginning and end in minutes since the kitchen opened.
#[derive(Clone, Serialize, Deserialize)]
struct Bar {
    name: String,
    begin: f64,
    end: f64,
}

/// The bars of the current picture, for Ctrl-C.
struct SoFar {
    bars: Vec<Bar>,
    columns_a_minute: f64,
}

static SO_FAR: Mutex<SoFar> = Mutex::new(SoFar { bars: Vec::new(), columns_a_minute: 1.0 });

fn keep(bar: Bar) -> Bar {
    SO_FAR.lock().unwrap_or_else(PoisonError::into_inner).bars.push(bar.clone());
    bar
}

/// Its clock is the time of day, which is the same in each process.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Kitchen {
    opened: SystemTime,
    minute: Duration,
    columns_a_minute: f64,
}

impl Kitchen {
    fn open(minute: Duration, columns_a_minute: f64) -> Self {
        *SO_FAR.lock().unwrap_or_else(PoisonError::into_inner) = SoFar { bars: Vec::new(), columns_a_minute };
        Self { opened: SystemTime::now(), minute, columns_a_minute }
    }

    fn now(&self) -> f64 {
        self.opened.elapsed().unwrap_or_default().as_secs_f64() / self.minute.as_secs_f64()
    }

    fn make(&self, name: &str, minutes: u32) -> Bar {
        let begin = self.now();
        thread::sleep(self.minute * minutes);
        Bar { name: name.to_owned(), begin, end: self.now() }
    }

    /// Draws the bars, and returns whether they took the expected number of minutes.
    fn report(&self, title: &str, on_paper: u32, bars: &[Bar]) -> bool {
        let took = bars.iter().map(|bar| bar.end).fold(0.0, f64::max);
        let right = (f64::from(on_paper)..f64::from(on_paper) * LATE).contains(&took);
        println!(
            "  {title}: {on_paper} minutes on paper, {took:.1} measured{}",
            if right { "" } else { "  <- off" }
        );
        draw(bars, self.columns_a_minute);
        println!();
        right
    }
}

/// A line for each name, with the number of its bars.
fn draw(bars: &[Bar], columns_a_minute: f64) {
    let mut lines: BTreeMap<&str, (Vec<char>, u32)> = BTreeMap::new();
    for bar in bars {
        let column = |minutes: f64| (minutes * columns_a_minute).round() as usize;
        let (line, count) = lines.entry(&bar.name).or_default();
        line.resize(line.len().max(column(bar.end)), ' ');
        line[column(bar.begin)..column(bar.end)].fill('█');
        *count += 1;
    }
    for (name, (line, count)) in lines {
        println!("    {name:<10} |{}| {count}", line.into_iter().collect::<String>());
    }
}
