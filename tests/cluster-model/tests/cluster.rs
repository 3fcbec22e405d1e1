//! The protocol of the cluster, searched: every state that a server, two nodes and a client with two tasks can reach,
//! while the server starts again, nodes die, leases run out, connections break and clients vanish.
//!
//! The protocol is told in `concurrent-futures-redis/PROTOCOL.md`. Here it is written as steps ([`client`], [`node`], over
//! the [`server`], with [`faults`]), and [`explore`] takes every order of them there is, in [`scopes`] small enough to come
//! to an end. [`properties`] says what must hold. That the search can fail is a test too: [`mutations`] takes one rule
//! after another away.
//!
//! `cargo test` runs what takes seconds; `ci/long/cluster-model.sh` everything, with a line for each search.

#[path = "cluster/client.rs"]
mod client;
#[path = "cluster/explore.rs"]
mod explore;
#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/list.rs"]
mod list;
#[path = "cluster/mutations.rs"]
mod mutations;
#[path = "cluster/node.rs"]
mod node;
#[path = "cluster/properties.rs"]
mod properties;
#[path = "cluster/rules.rs"]
mod rules;
#[path = "cluster/scopes.rs"]
mod scopes;
#[path = "cluster/server.rs"]
mod server;
#[path = "cluster/show.rs"]
mod show;
#[path = "cluster/state.rs"]
mod state;
#[path = "cluster/steps.rs"]
mod steps;
#[path = "cluster/tidy.rs"]
mod tidy;

use explore::{Found, explore};
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
#[ignore = "minutes, and gigabytes: ci/long/cluster-model.sh"]
fn every_long_scope_holds() {
    hold(&scopes::long());
}

#[test]
fn no_rule_can_be_left_out() {
    let mut wrong = Vec::new();
    for Mutation { rule, fails, scope } in MUTATIONS {
        let found = search(&Scope { without: Some(*rule), ..*scope });
        let seen = found.violation.as_ref().map(|violation| violation.property);
        if seen != Some(*fails) {
            let trace = found.violation.map_or_else(String::new, |violation| violation.trace);
            wrong.push(format!("without {rule:?} in {scope}: {seen:?}\n{trace}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_rule_is_taken_away() {
    for rule in Rule::ALL {
        assert!(MUTATIONS.iter().any(|mutation| mutation.rule == *rule), "{rule:?}");
    }
}

const DOCUMENT: &str = include_str!("../../../concurrent-futures-redis/PROTOCOL.md");

#[test]
fn the_document_explains_each_rule() {
    for rule in Rule::ALL {
        assert!(DOCUMENT.contains(&format!("`{rule:?}`")), "PROTOCOL.md doesn't name {rule:?}");
    }
}

/// "What was searched": each row of its table.
#[test]
fn the_document_says_what_each_rule_is_for() {
    let row = |mutation: &Mutation| {
        let Mutation { rule, fails, scope } = mutation;
        format!("| `{rule:?}` | {fails} | {scope} |")
    };
    let rows: Vec<String> = MUTATIONS.iter().map(row).collect();
    let table = DOCUMENT.lines().skip_while(|line| !line.starts_with("| left out")).skip(2);
    let said: Vec<&str> = table.take_while(|line| line.starts_with('|')).collect();
    assert_eq!(said, rows, "PROTOCOL.md should say\n{}", rows.join("\n"));
}

fn hold(scopes: &[Scope]) {
    let mut wrong = Vec::new();
    for scope in scopes {
        if let Some(violation) = search(scope).violation {
            wrong.push(format!("{scope}: {}\n{}", violation.property, violation.trace));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn search(scope: &Scope) -> Found {
    let began = Instant::now();
    let found = explore(scope, MOST);
    let without = scope.without.map(|rule| format!(", without {rule:?}")).unwrap_or_default();
    let result = found.violation.as_ref().map_or_else(|| "holds".into(), |seen| seen.property.to_string());
    report(format_args!(
        "{scope}{without}: {} states, {} steps, {} ends, {} with a lost task, {:.1} s: {result}",
        found.states,
        found.steps,
        found.ends,
        found.lost,
        began.elapsed().as_secs_f32(),
    ));
    found
}

fn report(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}
