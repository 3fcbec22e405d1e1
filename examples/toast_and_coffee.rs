//! Breakfast twice: many toasts in parallel, and coffee that brews while somebody else works.
//!
//! Two different ideas are often called by one name. *Parallel*: four toasters make a hundred toasts in a quarter of
//! the time. *Asynchronous*: one cook starts the coffee and makes toast while it brews. Both pictures are drawn from
//! what really ran, a minute scaled down to some milliseconds, and the figures are checked.
//!
//! `cargo run --example toast_and_coffee`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use clap::Parser;
use concurrent_futures::TaskError;
use concurrent_futures::prelude::*;

const TOASTS: u32 = 100;
const TOAST: u32 = 2;
const COFFEE: u32 = 5;

/// How much longer than on paper it may take: sleeping threads wake late, the later the busier the machine.
const LATE: f64 = 1.25;

#[derive(Parser)]
struct Arguments {
    /// How many milliseconds a minute lasts
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    minute_ms: u64,
}

fn main() -> Result<ExitCode, TaskError> {
    let minute = Duration::from_millis(Arguments::parse().minute_ms);
    println!("A minute lasts {} ms here.\n", minute.as_millis());

    println!("Parallel: {TOASTS} toasts of {TOAST} minutes");
    let mut right = true;
    for (toasters, on_paper) in [(1, 200), (4, 50)] {
        let kitchen = Kitchen::open(minute);
        let bars = toasts(&kitchen, toasters)?;
        right &= kitchen.report(&format!("{toasters} toaster(s)"), on_paper, &bars, 0.25);
    }

    println!("Asynchronous: one coffee of {COFFEE} minutes, one toast of {TOAST}");
    let kitchen = Kitchen::open(minute);
    let bars = [kitchen.make("coffee", COFFEE), kitchen.make("toast", TOAST)];
    right &= kitchen.report("one after the other", 7, &bars, 6.0);

    let kitchen = Kitchen::open(minute);
    let bars = coffee_meanwhile(&kitchen)?;
    right &= kitchen.report("toast while the coffee brews", 5, &bars, 6.0);

    if !right {
        println!("A figure is off: is the machine busy? A longer minute helps, `-- --minute-ms 100`.");
    }
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same lines for one toaster and for four: only `max_workers` differs.
fn toasts(kitchen: &Kitchen, toasters: usize) -> Result<Vec<Bar>, TaskError> {
    let pool = ThreadPoolExecutor::new(toasters);
    let clock = *kitchen;
    let made: Vec<(ThreadId, Bar)> = pool
        .map(move |_| (thread::current().id(), clock.make("", TOAST)), 0..TOASTS)
        .collect::<Result<_, _>>()?;

    // A worker is a toaster; they are numbered as they turn up.
    let mut names = BTreeMap::new();
    let bars = made.into_iter().map(|(thread, bar)| {
        let number = names.len() + 1;
        let name = names.entry(format!("{thread:?}")).or_insert_with(|| format!("toaster {number}"));
        Bar { name: name.clone(), ..bar }
    });
    Ok(bars.collect())
}

/// One cook. The future is the promise of a coffee; nobody stands beside the machine.
fn coffee_meanwhile(kitchen: &Kitchen) -> Result<[Bar; 2], TaskError> {
    let machine = ThreadPoolExecutor::new(1);
    let clock = *kitchen;
    let coffee = machine.spawn(move || clock.make("coffee", COFFEE));
    let toast = kitchen.make("toast", TOAST);
    Ok([coffee.result()?, toast])
}

/// What was made, from when to when, in minutes since the kitchen opened.
struct Bar {
    name: String,
    begin: f64,
    end: f64,
}

#[derive(Clone, Copy)]
struct Kitchen {
    opened: Instant,
    minute: Duration,
}

impl Kitchen {
    fn open(minute: Duration) -> Self {
        Self { opened: Instant::now(), minute }
    }

    fn now(&self) -> f64 {
        self.opened.elapsed().as_secs_f64() / self.minute.as_secs_f64()
    }

    fn make(&self, name: &str, minutes: u32) -> Bar {
        let begin = self.now();
        thread::sleep(self.minute * minutes);
        Bar { name: name.to_owned(), begin, end: self.now() }
    }

    /// Draws the bars and says whether they took the minutes that they take on paper.
    fn report(&self, title: &str, on_paper: u32, bars: &[Bar], columns_a_minute: f64) -> bool {
        let took = bars.iter().map(|bar| bar.end).fold(0.0, f64::max);
        let right = (f64::from(on_paper)..f64::from(on_paper) * LATE).contains(&took);
        println!(
            "  {title}: {on_paper} minutes on paper, {took:.1} measured{}",
            if right { "" } else { "  <- off" }
        );
        draw(bars, columns_a_minute);
        println!();
        right
    }
}

/// A line for each name, and how many bars it is made of.
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
