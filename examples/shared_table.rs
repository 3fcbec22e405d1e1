//! One big table and many look-ups: what it costs to send the table with each task, and what it costs to share it.
//!
//! A table of a million prices, a million look-ups in packets of a thousand, and a pool of processes. Three ways:
//!
//! 1. The table is an argument of each task: encoded, copied and decoded a thousand times. Only a few packets are done this way, and
//!    the whole is reckoned from them.
//! 2. The table is a `Shared<Vec<f64>>`: encoded once, decoded once in each worker.
//! 3. The table is bytes, in `SharedBytes`: they lie in memory once, and each worker reads them where they are.
//!
//! `cargo run --release --example shared_table`

// Ends the program when the reader closes the pipe (`| head -1`), where the standard library's `println!` panics.
#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::time::{Duration, Instant};

use concurrent_futures::prelude::*;
use concurrent_futures::{Shared, SharedBytes, TaskError};

const PRICES: usize = 1_000_000;
const PACKETS: usize = 1_000;
/// Look-ups of one task.
const PACKET: usize = 1_000;
/// So many packets are done the slow way.
const FEW: usize = 10;

fn price(item: usize) -> f64 {
    (item % 997) as f64 / 4.0
}

/// The items of one packet, all over the table.
fn items(packet: usize) -> impl Iterator<Item = usize> {
    (0..PACKET).map(move |n| (packet * PACKET + n).wrapping_mul(2_654_435_761) % PRICES)
}

fn by_argument((table, packet): (Vec<f64>, usize)) -> f64 {
    items(packet).map(|item| table[item]).sum()
}

fn by_handle((table, packet): (Shared<Vec<f64>>, usize)) -> f64 {
    items(packet).map(|item| table[item]).sum()
}

fn by_bytes((table, packet): (SharedBytes, usize)) -> f64 {
    let (prices, _) = table.as_chunks::<8>();
    items(packet).map(|item| f64::from_le_bytes(prices[item])).sum()
}

fn total(sums: impl Iterator<Item = Result<f64, TaskError>>) -> Result<f64, TaskError> {
    sums.sum()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = ProcessPoolExecutor::new(2);
    // The workers are up before anything is measured.
    pool.map(|n: u32| n, 0..2).for_each(drop);

    let table: Vec<f64> = (0..PRICES).map(price).collect();
    let expected: f64 = (0..PACKETS).flat_map(items).map(price).sum();

    let start = Instant::now();
    total(pool.map(by_argument, (0..FEW).map(|packet| (table.clone(), packet))))?;
    let with_each_task = start.elapsed() * (PACKETS / FEW) as u32;
    show("as an argument of each task, reckoned", with_each_task);

    let start = Instant::now();
    let shared = Shared::new(table);
    assert_eq!(total(pool.map(by_handle, (0..PACKETS).map(|packet| (shared.clone(), packet))))?, expected);
    show("Shared<Vec<f64>>", start.elapsed());

    let start = Instant::now();
    let bytes = SharedBytes::with(8 * PRICES, |bytes| {
        let (prices, _) = bytes.as_chunks_mut::<8>();
        prices.iter_mut().enumerate().for_each(|(item, place)| *place = price(item).to_le_bytes());
    })?;
    assert_eq!(total(pool.map(by_bytes, (0..PACKETS).map(|packet| (bytes.clone(), packet))))?, expected);
    show("SharedBytes", start.elapsed());
    Ok(())
}

fn show(way: &str, time: Duration) {
    println!("{way:40} {:>9.1} ms for {} look-ups", time.as_secs_f64() * 1e3, PACKETS * PACKET);
}
