//! Programs that have closed standard input, output or error: their descriptors' numbers must not become the pool's.

use crate::program::{Folder, START, limit, run};
use std::process::Command;

/// What a program says that has closed these, whose workers' output goes there.
fn closed(numbers: &str, output: &str) {
    let folder = Folder::new(&format!("closed-{numbers}-{output}"));
    let report = folder.0.join("report");
    run(Command::new(START).args(["closed", numbers, output]).arg(&report));
    let report = std::fs::read_to_string(report).expect("a report");
    let null: Vec<&str> = numbers.chars().map(|_| "/dev/null").collect();
    let expected = [
        "right 100".to_owned(),
        "deaths 0".to_owned(),
        "of the pool's: []".to_owned(),
        format!("in a worker: {null:?} true"),
        "over".to_owned(),
    ];
    assert_eq!(report.lines().collect::<Vec<_>>(), expected, "without {numbers}, workers' output {output}");
}

#[test]
fn a_parent_that_has_closed_all_three() {
    limit(|| {
        closed("012", "inherit");
        closed("012", "null");
    });
}

#[test]
fn a_parent_that_has_closed_its_output() {
    limit(|| {
        closed("1", "inherit");
        closed("12", "inherit");
    });
}

#[test]
fn a_parent_that_has_closed_its_input() {
    limit(|| {
        closed("0", "inherit");
        closed("01", "null");
    });
}
