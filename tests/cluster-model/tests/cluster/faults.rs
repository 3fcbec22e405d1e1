//! What nobody wants, at any step; and requests that come late.

use super::rules::Rule;
use super::state::{NODES, Node, State};
use super::steps::Steps;

pub(crate) fn steps(steps: &mut Steps<'_>) {
    let State { client, server, budget, late, stray, .. } = *steps.from;
    let scope = steps.scope;
    for (at, request) in late.iter().enumerate() {
        steps.go("a late request arrives", |state| {
            state.late.remove(at);
            state.request(*request, scope);
        });
        steps.go("a late request is lost", |state| {
            state.late.remove(at);
        });
    }
    if let Some(stray) = stray {
        steps.go("a late request of a node's arrives", |state| {
            state.stray = None;
            if let Some(step) = stray.step {
                state.step(&step, scope);
            } else {
                state.give(stray.name);
            }
        });
        steps.go("a late request of a node's is lost", |state| state.stray = None);
    }
    for at in 0..NODES {
        let node = steps.from.nodes[at];
        if node.up && budget.deaths > 0 {
            steps.fault("a node dies", |state| {
                state.nodes[at] = Node::default();
                state.budget.deaths -= 1;
            });
        }
    }
    for (at, registered) in server.names.iter().enumerate() {
        let lives = |node: &Node| node.up && node.name == registered.name;
        if budget.lapses > 0 && registered.leased && steps.from.nodes.iter().any(lives) {
            steps.fault("a lease runs out", |state| {
                state.server.names[at].leased = false;
                state.budget.lapses -= 1;
            });
        }
        if !registered.leased && steps.lacks(Rule::LapsedIsFinal) && steps.from.nodes.iter().any(lives) {
            steps.go("a lease that ran out is renewed", |state| state.server.names[at].leased = true);
        }
    }
    if budget.restarts > 0 {
        steps.fault("the server starts again with nothing", |state| {
            state.restart();
            state.budget.restarts -= 1;
        });
    }
    if budget.breaks > 0 && !client.dead && (client.up || client.scanned.is_some()) {
        steps.fault("the client's connection breaks", |state| {
            state.disconnect();
        });
    }
    if server.client.is_some() {
        if budget.forgets > 0 && !client.dead {
            steps.fault("the client's keys run out", |state| {
                state.server.forget_client(scope);
                state.budget.forgets -= 1;
            });
        }
        if client.dead {
            steps.go("the dead client's keys run out", |state| state.server.forget_client(scope));
        }
    }
    if budget.client_deaths > 0 && !client.dead {
        let die = |state: &mut State| {
            state.client.dead = true;
            state.client.up = false;
            state.budget.client_deaths -= 1;
        };
        steps.fault("the client dies", die);
        if scope.shared && client.up && !client.has_put {
            steps.fault("the client dies, its shared data is on its way", |state| {
                state.late.push(state.blob_request());
                die(state);
            });
        }
    }
}
