//! Cases by chance, without coverage.
//!
//! ```text
//! cases [--cases N] [--seed N] [target ...]   so many of each target; one that fails is kept in target/fuzz
//! cases seeds [target ...]                    writes the corpus's seeds again
//! ```
//!
//! Each target runs in a process of its own, since what it finds may end that in any way.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]

use concurrent_futures::internals::fuzz::Target;
use fuzz_tests::{cases, chance, corpus, target, targets};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// The longest that a case may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Of address space, for a process that runs a target: what asks for more than this is a finding.
const MEMORY: u64 = 4 << 30;

struct Asked {
    cases: u64,
    seed: u64,
    targets: Vec<Target>,
    seeds: bool,
    /// To run the one target here, and by this name to say where it is.
    child: Option<u64>,
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked { cases: 100_000, seed: 1, targets: Vec::new(), seeds: false, child: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let number = words.next().and_then(|word| word.parse().ok());
            number.ok_or_else(|| format!("{word} needs a number"))
        };
        match word.as_str() {
            "--cases" => asked.cases = number()?,
            "--seed" => asked.seed = number()?,
            "--child" => asked.child = Some(number()?),
            "seeds" => asked.seeds = true,
            name => asked.targets.push(target(name).ok_or_else(|| format!("there is no target {name}"))?),
        }
    }
    if asked.targets.is_empty() {
        asked.targets = targets().collect();
    }
    Ok(asked)
}

fn main() -> ExitCode {
    match asked().and_then(|asked| run(&asked).map_err(|error| error.to_string())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(asked: &Asked) -> io::Result<bool> {
    let mut good = true;
    for target in &asked.targets {
        good &= match asked {
            Asked { seeds: true, .. } => {
                println!("{}: {} seeds", target.name, corpus::seed(target)?);
                true
            }
            Asked { child: Some(parent), .. } => child(asked, target, *parent)?,
            _ => parent(asked, target)?,
        };
    }
    Ok(good)
}

/// Where the number of the case under way is written, and what failed is kept.
fn place(name: &str) -> io::Result<PathBuf> {
    // In the target folder of cargo, in which this program lies and which has a tag for backup programs.
    let program = std::env::current_exe()?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let folder = target.unwrap_or(Path::new("target")).join("fuzz");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(name))
}

fn child(asked: &Asked, target: &Target, parent: u64) -> io::Result<bool> {
    let limit = rustix::process::Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    rustix::process::setrlimit(rustix::process::Resource::As, limit)?;
    let corpus = corpus::read(target)?;
    let file = File::create(place(&format!("{}-at-{parent}", target.name))?)?;
    let input = cases::by_chance(target, &corpus, asked.seed);
    let tally = cases::run(target, 0..asked.cases, LIMIT, input, |number| {
        // If it can't be written a finding is harder to have again; it is shown all the same.
        let _ = file.write_all_at(&number.to_le_bytes(), 0);
    });
    println!(
        "{:<10} {:>8} cases {:>7.1} s, slowest {:>8.3} ms, largest allocation {:>8} bytes, corpus {:>3}",
        target.name,
        tally.cases,
        tally.took.as_secs_f64(),
        tally.slowest.as_secs_f64() * 1e3,
        tally.largest,
        corpus.len()
    );
    Ok(true)
}

fn parent(asked: &Asked, target: &Target) -> io::Result<bool> {
    let numbers = [u64::from(std::process::id()), asked.cases, asked.seed].map(|number| number.to_string());
    let at = place(&format!("{}-at-{}", target.name, numbers[0]))?;
    let status = Command::new(std::env::current_exe()?)
        .env("RUST_BACKTRACE", "0")
        .args(["--child", &numbers[0], "--cases", &numbers[1], "--seed", &numbers[2], target.name])
        .status()?;
    let number = fs::read(&at).unwrap_or_default().try_into().map_or(0, u64::from_le_bytes);
    let _ = fs::remove_file(&at);
    if status.success() {
        return Ok(true);
    }
    let bytes = chance::case(&corpus::read(target)?, target.words, asked.seed, number);
    let kept = place(&format!("{}-{}-{number}", target.name, asked.seed))?;
    fs::write(&kept, bytes)?;
    eprintln!(
        "{}: {status} at case {number} of seed {}, kept as {}",
        target.name,
        asked.seed,
        kept.display()
    );
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::{Duration, Target, cases, corpus, target};

    /// Long enough on a busy machine, short enough to notice a hang.
    const LIMIT: Duration = Duration::from_secs(30);

    /// The whole corpus, and some cases by chance: always the same ones.
    #[track_caller]
    fn holds(name: &str, more: u64) {
        let target: Target = target(name).expect("one of the list");
        let corpus = corpus::read(&target).expect("it is there");
        assert!(corpus.len() >= 10, "{name} has no corpus");
        cases::run(&target, 0..corpus.len() as u64, LIMIT, |at| corpus[at as usize].clone(), |_| {});
        cases::run(&target, 0..more, LIMIT, cases::by_chance(&target, &corpus, 1), |_| {});
    }

    #[test]
    fn frames() {
        holds("frames", 500);
    }

    #[test]
    fn messages() {
        holds("messages", 5000);
    }

    #[test]
    fn parcels() {
        holds("parcels", 1500);
    }

    #[test]
    fn codec() {
        holds("codec", 600);
    }

    #[test]
    fn ring() {
        holds("ring", 1000);
    }

    #[test]
    fn weather() {
        holds("weather", 500);
    }

    #[test]
    fn arguments() {
        holds("arguments", 200);
    }

    /// The seeds that are kept are those that are made now.
    #[test]
    fn seeds_are_as_they_are_written() {
        for target in fuzz_tests::targets() {
            for (name, bytes) in (target.seeds)() {
                let kept = std::fs::read(corpus::folder(&target).join(&name));
                assert_eq!(kept.ok(), Some(bytes), "{} {name}: run `cases seeds`", target.name);
            }
        }
    }
}
