//! How fast the codec is, by kind of value: `cargo test --release -p internal-tests --test throughput -- --ignored --nocapture`.

use concurrent_futures::internals::codec::{decode, encode_into};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize, Clone)]
struct Point {
    x: f64,
    y: f64,
    label: u32,
}

#[derive(Serialize, Deserialize, Clone)]
enum Shape {
    Dot,
    Circle { middle: Point, radius: f64 },
    Text(String),
}

#[test]
#[ignore = "a measurement"]
fn throughput() {
    const MIB: usize = 1 << 20;
    println!("{:<28} {:>9} {:>9} {:>10} {:>10}", "", "bytes", "encoded", "encode", "decode");
    for size in [16 << 10, MIB, 16 * MIB] {
        row("Vec<f64>", size, &(0..size / 8).map(|n| n as f64).collect::<Vec<_>>());
        row("Vec<u32>", size, &(0..size / 4).map(|n| n as u32).collect::<Vec<_>>());
        row("Vec<u8>", size, &vec![7_u8; size]);
        row("ByteBuf", size, &serde_bytes::ByteBuf::from(vec![7_u8; size]));
        row("String", size, &"x".repeat(size));
    }
    row("Vec<(u32, f64)>", 12 * 80_000, &(0..80_000).map(|n| (n, f64::from(n))).collect::<Vec<_>>());
    let point = Point { x: 1.0, y: 2.0, label: 3 };
    row("Vec<Point>", 20 * 50_000, &vec![point.clone(); 50_000]);
    let shapes = [Shape::Dot, Shape::Circle { middle: point.clone(), radius: 1.0 }, Shape::Text("a".into())];
    row("Vec<Shape>", 40 * 30_000, &shapes.iter().cycle().take(30_000).cloned().collect::<Vec<_>>());
    row("Vec<String> of 10", 10 * 100_000, &vec!["0123456789".to_owned(); 100_000]);
    row("u32", 4, &7_u32);
    row("String of 10", 10, &"2017-03-23".to_owned());
    row("Point", 20, &point);
}

fn row<T: Serialize + DeserializeOwned>(name: &str, size: usize, value: &T) {
    let mut out = Vec::new();
    encode_into(value, &mut out).unwrap();
    let encoded = out.len();
    let encode = best(|| {
        out.clear();
        encode_into(black_box(value), &mut out).unwrap();
    });
    let decode = best(|| {
        black_box(decode::<T>(black_box(&out)).unwrap());
    });
    let shown = |time: Duration| {
        if size < 1000 {
            format!("{} ns", time.as_nanos())
        } else {
            format!("{:.2} GB/s", size as f64 / time.as_nanos() as f64)
        }
    };
    println!("{name:<28} {size:>9} {encoded:>9} {:>10} {:>10}", shown(encode), shown(decode));
}

/// Of many batches the fastest: what others do on the machine only adds.
fn best(mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    work();
    let batch = (1_000_000 / start.elapsed().as_nanos().max(100)).max(1) as u32;
    let mut best = Duration::MAX;
    for _ in 0..50 {
        let start = Instant::now();
        (0..batch).for_each(|_| work());
        best = best.min(start.elapsed() / batch);
    }
    best
}
