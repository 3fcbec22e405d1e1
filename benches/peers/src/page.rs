//! docs/performance.md, its plots, and the summary in the README: takes the readings, keeps them, and writes tables of them
//! between the marks in the text, which is written by hand.
//!
//! ```text
//!   part           a group of readings, taken or read back    target/performance/threads-scale.jsonl
//!     │            with the circumstances they were taken in
//!     ▼
//!   table, plot    ──▶ block                                  <!-- generated: NAME --> ... <!-- end -->
//! ```

mod block;
mod circumstances;
mod part;
mod plot;
mod speed_up;
mod table;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use part::{Part, Readings};

/// Where the pages lie, seen from the root of the repository.
const DOCS: &str = "docs";
const PAGES: [&str; 2] = ["docs/performance.md", "README.md"];

#[derive(Args)]
pub(crate) struct Options {
    /// Take only these readings again: threads, processes, or a part such as processes-map.
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<String>,
    /// Take only the readings that are missing.
    #[arg(long)]
    reuse: bool,
    /// How often each case is measured with each subject [default: threads 5, processes 3, with --quick 1].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// A twentieth of the work: shows that everything runs, not how fast.
    #[arg(long, requires = "out")]
    quick: bool,
    /// A folder for the pages and plots, in place of those in the repository.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The folder that keeps the readings from one run to the next [default: performance in the target folder].
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// In the target folder of cargo, in which this program lies and which has a tag for backup programs.
fn default_keep() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(Path::new("target")).join("performance")
}

/// To be run from the root of the repository.
pub(crate) fn run(options: &Options) -> ExitCode {
    match write(options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    // Before the measurement: otherwise a missing page would be noticed a quarter of an hour later.
    let read = |page: &str| fs::read_to_string(page).map_err(|error| format!("{page}: {error}"));
    for page in PAGES {
        read(page)?;
    }
    let chosen = part::chosen(&options.only)?;
    // Readings of a quick run mean nothing, so they are kept apart from the others.
    let keep = options.keep.clone().unwrap_or_else(default_keep);
    let keep = if options.quick { keep.join("quick") } else { keep };
    fs::create_dir_all(&keep)?;

    let mut code = ExitCode::SUCCESS;
    for part in Part::all() {
        let file = part.file(&keep);
        if chosen.contains(&part) && !(options.reuse && file.exists()) {
            eprintln!("{}", part.name());
            if !part.take(options.rounds, options.quick, &file)? {
                code = ExitCode::FAILURE;
            }
        }
    }
    let readings = Readings::read(&keep)?;

    let docs = options.out.clone().unwrap_or_else(|| PathBuf::from(DOCS));
    fs::create_dir_all(&docs)?;
    plot::all(&readings, &docs)?;
    for page in PAGES {
        let place = place(page, options.out.as_deref());
        // Read again: the text may have been edited during the measurement.
        let text = block::fill(&read(page)?, |name| table::block(name, &readings))
            .map_err(|error| format!("{page}: {error}"))?;
        fs::write(&place, text)?;
        eprintln!("written: {}", place.display());
    }
    Ok(code)
}

fn place(page: &str, out: Option<&Path>) -> PathBuf {
    let page = Path::new(page);
    match (out, page.file_name()) {
        (Some(out), Some(name)) => out.join(name),
        _ => page.to_owned(),
    }
}
