//! Models of the crate: small programs, each run in every interleaving that a bounded number of preemptions allows.
//!
//! One binary, a file per part. What a model can't carry (time limits that strike, keep-alive, thousands of threads) is
//! in `tests/model`. A model that fails ends the whole binary at once: there is no way on from a deadlock.
//!
//! `LOOM_MAX_PREEMPTIONS` overrides every model's bound; `ci/long/loom.sh` runs them with larger ones.

#[path = "models/batch.rs"]
mod batch;
#[path = "models/broadcast.rs"]
mod broadcast;
#[path = "models/cell.rs"]
mod cell;
#[path = "models/claim.rs"]
mod claim;
#[path = "models/hands.rs"]
mod hands;
#[path = "models/pointer.rs"]
mod pointer;
#[path = "models/queue.rs"]
mod queue;
#[path = "models/replies.rs"]
mod replies;
#[path = "models/resize.rs"]
mod resize;
#[path = "models/results.rs"]
mod results;
#[path = "models/shutdown.rs"]
mod shutdown;
#[path = "models/support.rs"]
mod support;
#[path = "models/waiters.rs"]
mod waiters;
#[path = "models/waiting.rs"]
mod waiting;
