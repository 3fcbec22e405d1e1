//! The protocol of the process pool, searched: every state that two workers, their drivers and a few tasks can
//! reach, with a death, a cancel, a kill or a shutdown at any step.
//!
//! The protocol is told in `src/process_pool/PROTOCOL.md`. Here it is written as steps ([`worker`], [`driver`], [`user`],
//! [`waiter`], over the [`dispatcher`]), and [`explorer`] takes every order of them there is, in [`scopes`] small enough to come to an
//! end. [`checks`] says what must hold. That the search can fail is a test too: [`mutations`] takes one rule after
//! another away.
//!
//! `cargo test` runs what takes seconds; `ci/long/protocol.sh` everything, with a line for each search.

#[path = "protocol/checks.rs"]
mod checks;
#[path = "protocol/dispatcher.rs"]
mod dispatcher;
#[path = "protocol/driver.rs"]
mod driver;
#[path = "protocol/explorer.rs"]
mod explorer;
#[path = "protocol/mutations.rs"]
mod mutations;
#[path = "protocol/rules.rs"]
mod rules;
#[path = "protocol/scopes.rs"]
mod scopes;
#[path = "protocol/show.rs"]
mod show;
#[path = "protocol/state.rs"]
mod state;
#[path = "protocol/steps.rs"]
mod steps;
#[path = "protocol/user.rs"]
mod user;
#[path = "protocol/waiter.rs"]
mod waiter;
#[path = "protocol/worker.rs"]
mod worker;

use explorer::{Found, explore};
use mutations::{MUTATIONS, Mutation};
use rules::{Rule, Scope};
use std::time::Instant;

/// No scope comes near; a protocol that broke might.
const MOST: usize = 20_000_000;

#[test]
fn every_small_scope_holds() {
    hold(&scopes::quick());
}

#[test]
#[ignore = "minutes, and gigabytes: ci/long/protocol.sh"]
fn every_long_scope_holds() {
    hold(&scopes::long());
}

#[test]
fn no_rule_can_be_left_out() {
    for mutation in MUTATIONS {
        let Some(property) = mutation.fails else { continue };
        let scope =
            scopes::all().into_iter().find(|scope| scope.name == mutation.scope).expect("it is listed");
        let found = search(&Scope { without: Some(mutation.rule), ..scope });
        let violation = found.violation.unwrap_or_else(|| panic!("without {:?} all holds", mutation.rule));
        let (rule, seen, trace) = (mutation.rule, violation.property, violation.trace);
        assert_eq!(seen, property, "without {rule:?} something else is seen first:\n{trace}");
    }
}

/// These are kept for speed, or for more workers than a scope has. Should one be needed after all, this says where.
#[test]
#[ignore = "a minute: ci/long/protocol.sh"]
fn the_others_can() {
    for Mutation { rule, .. } in MUTATIONS.iter().filter(|mutation| mutation.fails.is_none()) {
        for scope in scopes::quick() {
            let found = search(&Scope { without: Some(*rule), ..scope });
            assert!(found.violation.is_none(), "{rule:?} is needed, in {:?}", scope.name);
        }
    }
}

#[test]
fn each_rule_is_taken_away() {
    for rule in Rule::ALL {
        assert!(MUTATIONS.iter().any(|mutation| mutation.rule == *rule), "{rule:?}");
    }
}

const DOCUMENT: &str = include_str!("../../../src/process_pool/PROTOCOL.md");

#[test]
fn the_document_explains_each_rule() {
    for rule in Rule::ALL {
        assert!(DOCUMENT.contains(&format!("`{rule:?}`")), "PROTOCOL.md doesn't name {rule:?}");
    }
}

/// "What was searched": as many scopes as it says, and each row of its table, but for the number of states.
#[test]
fn the_document_says_what_was_searched() {
    let words = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    let (quick, long) = (scopes::quick().len(), scopes::long().len());
    for count in [format!("searches {quick} scopes"), format!("`ci/long/protocol.sh` {long} more")] {
        assert!(words.contains(&count), "PROTOCOL.md doesn't say {count:?}");
    }
    let row = |mutation: &Mutation| {
        mutation.fails.map(|seen| format!("| `{:?}` | {seen} | {} | ", mutation.rule, mutation.scope))
    };
    let mut rows: Vec<String> = MUTATIONS.iter().filter_map(row).collect();
    for line in DOCUMENT.lines().skip_while(|line| !line.starts_with("| left out")).skip(2) {
        if !line.starts_with('|') {
            break;
        }
        let said = rows.iter().position(|row| line.starts_with(row.as_str()));
        rows.remove(said.unwrap_or_else(|| panic!("no longer so: {line}")));
    }
    assert!(rows.is_empty(), "not in PROTOCOL.md: {rows:#?}");
}

fn hold(scopes: &[Scope]) {
    for scope in scopes {
        if let Some(violation) = search(scope).violation {
            panic!("{}: {}\n{}", scope.name, violation.property, violation.trace);
        }
    }
}

fn search(scope: &Scope) -> Found {
    let began = Instant::now();
    let found = explore(scope, MOST);
    let without = scope.without.map(|rule| format!(", without {rule:?}")).unwrap_or_default();
    let result = found.violation.as_ref().map_or_else(|| "holds".into(), |seen| seen.property.to_string());
    report(format_args!(
        "{}{without}: {} states, {} steps, {} at rest, {} ends, {:.1} s: {result}",
        scope.name,
        found.states,
        found.steps,
        found.at_rest,
        found.ends,
        began.elapsed().as_secs_f32(),
    ));
    found
}

fn report(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}
