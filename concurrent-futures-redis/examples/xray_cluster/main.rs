//! Resizes chest X-rays on three nodes, of which one is killed in the middle, and shows that every picture is made.
//!
//! The program is its own node: `xray_cluster redis-node URL --queue xrays` serves. Without that it starts a server, if one is
//! installed, and three nodes on this machine; with `--url` it takes a server that runs, and the nodes that serve there.
//!
//! `cargo run --release -p concurrent-futures-redis --example xray_cluster`

// Ends the program when the reader closes the pipe (`| head -1`), where the standard library's `println!` panics.
#[macro_use]
#[path = "../../../examples/common/println.rs"]
mod println;

#[path = "../../../examples/xray_resize/chest.rs"]
mod chest;
#[path = "../../../examples/xray_resize/jpeg.rs"]
mod jpeg;
mod server;
#[path = "../../../examples/xray_resize/thumbnail.rs"]
mod thumbnail;

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use concurrent_futures::prelude::*;
use concurrent_futures::{MapOptions, TaskOptions};
use concurrent_futures_redis::{RedisExecutor, RedisNode};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use server::Server;
use thumbnail::{ImageError, Order, Thumbnail, image_resize};

const SEED: u64 = 1;

/// Short, so that the killed node is noticed while you look. Thirty seconds is what a network wants.
const LEASE: Duration = Duration::from_secs(2);

/// Resizes chest X-rays on several nodes, and kills one of them in the middle.
#[derive(Parser)]
struct Args {
    /// How many pictures
    #[arg(long, default_value_t = 1431, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    images: u64,
    /// How many nodes to start on this machine
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    nodes: u32,
    /// How many tasks a node runs at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    slots: u32,
    /// A server that runs, in place of one of this program's own; start nodes yourself then
    #[arg(long)]
    url: Option<String>,
    /// Kill no node
    #[arg(long)]
    no_kill: bool,
    /// Where the pictures are drawn and kept
    #[arg(long, default_value_os_t = std::env::temp_dir().join("concurrent-futures-xray-cluster"))]
    cache: PathBuf,
}

/// What a task is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    number: u64,
    order: Order,
    /// The tasks' own log: who began what.
    log: PathBuf,
}

/// What it gives back.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    node: u32,
    thumbnail: Thumbnail,
}

/// The node's process; where a worker isn't told of its parent, the worker's own.
fn node() -> u32 {
    #[cfg(unix)]
    return std::os::unix::process::parent_id();
    #[cfg(not(unix))]
    return std::process::id();
}

/// Makes one thumbnail, on a node.
fn make(job: Job) -> Result<Made, ImageError> {
    let node = node();
    // One write appends a whole line, whoever else writes.
    let line = format!("{} {node}\n", job.number);
    fs::OpenOptions::new().create(true).append(true).open(&job.log)?.write_all(line.as_bytes())?;
    Ok(Made { node, thumbnail: image_resize(job.order)? })
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(node) = RedisNode::from_args()? {
        return Ok(node.serve()?);
    }
    let args = Args::parse();
    if let Err(error) = run(&args) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
    Ok(())
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let own = args.url.is_none().then(Server::start).transpose()?;
    let url = match (&own, &args.url) {
        (Some(server), _) => server.url.clone(),
        (None, Some(url)) => url.clone(),
        (None, None) => unreachable!("one or the other"),
    };
    println!("drawing {} X-rays in {}", args.images, args.cache.display());
    draw(args)?;
    let mut nodes = match &own {
        Some(server) => {
            println!("{} at {}; {} nodes of {} slot(s) each", server.name, url, args.nodes, args.slots);
            start_nodes(args, &url)?
        }
        None => Nodes::default(),
    };

    let log = tempfile::NamedTempFile::new()?;
    let pool = RedisExecutor::builder(&url).queue("xrays").lease(LEASE).build()?;
    await_nodes(&pool, args, own.is_some())?;
    let outcome = resize(args, &pool, &mut nodes, log.path())?;
    report(&outcome, &pool, &nodes, log.path())?;
    Ok(())
}

/// The node processes that this program has started.
#[derive(Default)]
struct Nodes {
    children: Vec<Child>,
    killed: Option<u32>,
}

fn start_nodes(args: &Args, url: &str) -> Result<Nodes, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let mut nodes = Nodes::default();
    for _ in 0..args.nodes {
        let child = Command::new(&program)
            .args(["redis-node", url, "--queue", "xrays", "--slots", &args.slots.to_string()])
            .args(["--lease", &LEASE.as_secs().to_string()])
            .stdin(Stdio::null())
            .spawn()?;
        nodes.children.push(child);
    }
    Ok(nodes)
}

impl Nodes {
    /// Ends the first one as a power cut would, its workers by the system with it.
    fn kill_one(&mut self) -> std::io::Result<()> {
        if let Some(node) = self.children.first_mut() {
            self.killed = Some(node.id());
            node.kill()?;
        }
        Ok(())
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.children {
            // Asked where that can be: a node then gives back what it has not begun.
            let is_asked = cfg!(unix)
                && Command::new("kill")
                    .arg(node.id().to_string())
                    .status()
                    .is_ok_and(|status| status.success());
            if !is_asked {
                let _ = node.kill();
            }
        }
        for node in &mut self.children {
            let _ = node.wait();
        }
    }
}

fn await_nodes(pool: &RedisExecutor, args: &Args, own: bool) -> Result<(), Box<dyn Error>> {
    let wanted = if own { args.nodes as usize } else { 1 };
    let begun = Instant::now();
    while pool.stats().nodes.iter().filter(|node| node.is_same_build).count() < wanted {
        if begun.elapsed() > Duration::from_secs(30) {
            return Err(format!("no node came up; the server knows {:?}", pool.stats().nodes).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Draws what is not there from an earlier run.
fn draw(args: &Args) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(&args.cache)?;
    let missing = (0..args.images).map(|n| (n, path(&args.cache, n))).filter(|(_, path)| !path.exists());
    let pool = ThreadPoolExecutor::builder().build()?;
    let draw = |(n, path): (u64, PathBuf)| -> std::io::Result<()> {
        // Whole or not at all, should this be stopped in the middle.
        let unfinished = path.with_extension("part");
        fs::write(&unfinished, chest::draw(SEED, n))?;
        fs::rename(unfinished, path)
    };
    for drawn in pool.try_map_with(MapOptions::new().buffersize(64).unordered(), draw, missing) {
        drawn?;
    }
    Ok(())
}

fn path(cache: &Path, number: u64) -> PathBuf {
    cache.join(format!("xray-{SEED}-{number:05}.jpeg"))
}

struct Outcome {
    made: HashMap<u32, u64>,
    failed: Vec<String>,
    seconds: f64,
}

fn resize(
    args: &Args,
    pool: &RedisExecutor,
    nodes: &mut Nodes,
    log: &Path,
) -> Result<Outcome, Box<dyn Error>> {
    let bar = ProgressBar::new(args.images)
        .with_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} images, {per_sec}, {eta} left")?);
    let jobs = (0..args.images).map(|number| Job {
        number,
        order: Order { path: path(&args.cache, number), size: 64, crash: false, draft: false },
        log: log.to_owned(),
    });
    // What a node has begun when it dies may run again: a thumbnail that is made twice does no harm.
    let options = MapOptions::new().buffersize(256).unordered().tasks(TaskOptions::new().retries(2));
    let mut outcome = Outcome { made: HashMap::new(), failed: Vec::new(), seconds: 0.0 };
    let begun = Instant::now();
    for (n, made) in (1..).zip(pool.try_map_with(options, make, jobs)) {
        match made {
            Ok(made) => *outcome.made.entry(made.node).or_default() += 1,
            Err(error) => outcome.failed.push(error.to_string()),
        }
        bar.inc(1);
        if n == args.images / 2 && !args.no_kill && !nodes.children.is_empty() {
            nodes.kill_one()?;
            let killed = nodes.killed.unwrap_or_default();
            bar.suspend(|| println!("half of them are made: node process {killed} is killed"));
        }
    }
    outcome.seconds = begun.elapsed().as_secs_f64();
    bar.finish_and_clear();
    Ok(outcome)
}

fn report(outcome: &Outcome, pool: &RedisExecutor, nodes: &Nodes, log: &Path) -> Result<(), Box<dyn Error>> {
    let stats = pool.stats();
    let mut begun: HashMap<u64, u64> = HashMap::new();
    let mut begun_by: HashMap<u32, u64> = HashMap::new();
    for line in fs::read_to_string(log)?.lines() {
        let (number, node) = line.split_once(' ').ok_or("a line that is none in the tasks' log")?;
        *begun.entry(number.parse()?).or_default() += 1;
        *begun_by.entry(node.parse()?).or_default() += 1;
    }
    println!("\n| node (process) | began | made | |");
    println!("|---|---|---|---|");
    let mut all: Vec<u32> = begun_by.keys().chain(outcome.made.keys()).copied().collect();
    all.sort_unstable();
    all.dedup();
    for node in all {
        let count = |of: &HashMap<u32, u64>| of.get(&node).copied().unwrap_or(0);
        let end = if nodes.killed == Some(node) { "killed" } else { "" };
        println!("| {node} | {} | {} | {end} |", count(&begun_by), count(&outcome.made));
    }
    let again: u64 = begun.values().map(|times| times - 1).sum();
    println!(
        "\n{} of {} pictures made in {:.1} s; {} lost with the node and submitted again, as `retries` allows; \
         begun twice: {again}, of which not asked for: {}",
        outcome.made.values().sum::<u64>(),
        begun.len(),
        outcome.seconds,
        stats.lost,
        again.saturating_sub(stats.resubmitted),
    );
    for failed in outcome.failed.iter().take(10) {
        println!("  {failed}");
    }
    if outcome.failed.is_empty() { Ok(()) } else { Err(format!("{} failed", outcome.failed.len()).into()) }
}
