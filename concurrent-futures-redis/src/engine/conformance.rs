//! What every engine must do, as a list of cases. Each runs over the server inside this process, and over every server program
//! that is found: those that `CONCURRENT_FUTURES_REDIS_SERVERS` names, with colons between, else `redis-server` and
//! `valkey-server` of the path. Each has a server of its own, and an end.

mod actors;
mod clients;
mod faults;
mod lives;
mod nodes;
mod server;
mod streams;
mod testimonies;
mod values;

use super::Engine;
use super::memory::MemoryServer;
use super::redis::server::{TestServer, programs};
use std::io::Write;
use std::sync::{Once, mpsc};
use std::thread;
use std::time::Duration;

/// How long a case, and a test of nodes, may take on a busy machine.
pub(crate) const HARD_LIMIT: Duration = Duration::from_secs(120);

/// A server that a case has to itself, and its faults.
pub(crate) trait Harness: Send {
    fn engine(&self, queue: &str, build: &str) -> Box<dyn Engine>;
    /// All data is gone, in the same run.
    fn flush(&self);
    fn restart_empty(&self);
    fn restart_with_data(&self);
    fn cut_connections(&self);
    fn set_full(&self, is_full: bool);
}

impl Harness for MemoryServer {
    fn engine(&self, queue: &str, build: &str) -> Box<dyn Engine> {
        Box::new(MemoryServer::engine(self, queue, build))
    }

    fn flush(&self) {
        MemoryServer::flush(self);
    }

    fn restart_empty(&self) {
        MemoryServer::restart_empty(self);
    }

    fn restart_with_data(&self) {
        MemoryServer::restart_with_data(self);
    }

    fn cut_connections(&self) {
        MemoryServer::cut_connections(self);
    }

    fn set_full(&self, is_full: bool) {
        self.set_memory_limit(is_full.then_some(0));
    }
}

/// Runs a case in a thread of its own, which must end in time.
pub(crate) fn in_time(case: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let thread = thread::spawn(move || {
        case();
        let _ = ended.send(());
    });
    match end.recv_timeout(HARD_LIMIT) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the case has not ended within {HARD_LIMIT:?}"),
        // Sent, or dropped by a panic.
        _ => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

/// Says what was not tested.
pub(crate) fn tell_skipped(what: &str) {
    // Not by the macro, whose line the test harness would keep to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

/// Runs a case over each server program, or says aloud that there is none.
pub(crate) fn over_servers(case: fn(&TestServer)) {
    static SKIPPED: Once = Once::new();
    let programs = programs();
    if programs.is_empty() {
        SKIPPED.call_once(|| {
            tell_skipped("no redis-server or valkey-server is here: nothing of engine/redis.rs was tested");
        });
    }
    for program in programs {
        in_time(move || case(&TestServer::start(&program)));
    }
}

macro_rules! cases {
    ($($module:ident: $($case:ident)*;)*) => {
        mod memory {
            $($(#[test]
            fn $case() {
                super::in_time(|| super::$module::$case(&super::MemoryServer::new()));
            })*)*
        }
        mod servers {
            $($(#[test]
            fn $case() {
                super::over_servers(|server| super::$module::$case(server));
            })*)*
        }
    };
}

cases! {
    streams:
        a_task_goes_there_and_back
        entries_are_given_once_and_in_order
        a_submit_to_a_full_stream_does_nothing
        a_submit_of_nothing
        a_submit_of_an_earlier_session_is_fenced
        a_submit_without_a_session_is_fenced
        what_was_not_delivered_can_be_cancelled
        what_was_delivered_can_not_be_cancelled
        a_cancel_of_an_earlier_session_is_fenced
        many_entries_of_one_millisecond_keep_their_order
        history_gives_what_a_lost_answer_had
        history_comes_in_pages_without_what_was_answered
        a_scan_finds_every_attempt_of_its_client
        ten_thousand_entries_in_batches
        a_fetch_waits_for_an_entry
        queues_and_builds_do_not_see_each_other;
    clients:
        a_read_waits_for_an_answer
        a_read_removes_what_lies_before
        a_read_can_be_woken
        a_wake_is_read_once
        sessions_grow
        a_client_runs_out
        a_client_that_leaves_leaves_nothing
        a_client_sees_the_nodes_of_all_builds
        names_with_odd_characters
        orders_reach_every_node
        orders_from_now_on;
    nodes:
        a_step_that_is_repeated_does_no_harm
        a_step_refuses_what_is_not_held
        a_step_asks_for_many
        a_step_refuses_what_nobody_waits_for
        a_step_gives_entries_back
        a_step_drops_entries
        every_kind_of_answer
        a_beat_renews_the_lease
        a_lease_that_ran_out_is_lost_for_good
        a_lost_name_gets_no_leave_and_its_answers_are_taken
        a_beat_tells_the_living_clients
        the_buried_loses_what_it_may_have_begun
        credit_counts_above_the_limit
        the_limit_is_in_force_after_the_burial
        a_fetch_that_waits_outlives_the_burial
        without_a_step_nothing_was_begun
        a_node_that_never_joined_may_have_begun_all
        a_leave_given_is_refused_once_buried
        the_buried_is_forgotten_after_a_lease
        a_burial_of_many_entries
        a_node_that_leaves_is_off_the_list
        a_node_that_leaves_while_it_holds_is_buried;
    values:
        an_argument_goes_with_its_answer
        an_argument_goes_with_its_cancel
        an_argument_goes_with_its_loss
        an_argument_of_nobody_is_fenced
        a_result_goes_with_its_reply
        a_result_stays_until_its_own_reply_goes
        shared_data_stays_until_it_is_removed
        shared_data_goes_with_its_client
        large_values;
    lives:
        a_life_lasts_while_the_server_does
        a_flush_ends_the_life
        a_restart_ends_the_life
        a_restart_with_data_ends_the_life
        every_step_says_that_the_life_is_over
        what_a_node_testifies_is_told
        what_a_buried_witness_held_is_lost
        a_witness_that_leaves_is_none
        an_answer_to_an_earlier_life_is_taken;
    testimonies:
        a_scan_finds_what_is_held
        what_is_answered_is_held_no_more
        what_is_answered_to_nobody_is_held
        a_burial_awaits_the_client
        a_buried_name_is_told_while_it_holds
        a_large_testimony;
    faults:
        a_cut_connection_is_lost
        a_blocked_read_is_cut
        an_ended_connection_carries_nothing
        a_full_server_is_emptied
        a_full_server_keeps_its_leases;
}
