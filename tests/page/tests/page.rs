//! The page protocol of the process pool, searched: every state that two workers, their drivers and a few tasks can
//! reach, with a kill, a crash, a cancel or a shutdown at any step.
#[path = "page/book.rs"]
mod book;
#[path = "page/checks.rs"]
mod checks;
#[path = "page/driver.rs"]
mod driver;
#[path = "page/explorer.rs"]
mod explorer;
#[path = "page/rules.rs"]
mod rules;
#[path = "page/scopes.rs"]
mod scopes;
#[path = "page/show.rs"]
mod show;
#[path = "page/state.rs"]
mod state;
#[path = "page/steps.rs"]
mod steps;
#[path = "page/user.rs"]
mod user;
#[path = "page/worker.rs"]
mod worker;

use std::time::Instant;

#[test]
fn trial() {
    let only = std::env::var("ONLY").ok();
    let mut total = 0;
    for s in scopes::all() {
        if only.as_ref().is_some_and(|o| !s.name.contains(o.as_str())) { continue }
        let t = Instant::now();
        let f = explorer::explore(&s, 30_000_000);
        total += f.states;
        println!("{:<40} {:>9} states {:>10} steps {:>6} rest {:>4} ends {:>6.1} s {}", s.name, f.states, f.steps, f.at_rest, f.ends, t.elapsed().as_secs_f32(),
            f.violation.as_ref().map_or("holds".into(), |v| format!("{}\n{}", v.property, v.trace)));
    }
    println!("total {total}");
}
