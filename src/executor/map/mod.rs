//! The iterators of `map`: [`Map`], eager, and [`MapWith`], lazy and bounded.
//!
//! | file | what it is |
//! |---|---|
//! | `eager.rs` | every item submitted at once |
//! | `lazy.rs` | the loop that takes input, waits, and hands out results |
//! | `chunk.rs`, `sizes.rs` | items that are one task, how many of them, and how many are in flight |
//! | `ahead.rs` | how many are in flight where nobody gave a number |
//! | `submit.rs` | how a chunk gets to its executor |
//! | `batch.rs`, `pace.rs` | short items that share a task, and are parted again; when they do |
//! | `intake.rs` | how what the input gives is looked at: an item, or the error of the stage before; how much it weighs |
//! | `weigh.rs` | how much items weigh, in a map's options |
//! | `indexed.rs` | a lazy map that says which item each result is of |
//! | `stream.rs` | the next result, awaited |
//! | `timeout.rs` | a time limit for a whole map |

mod ahead;
#[expect(unsafe_code, reason = "items and results without a lock, argued in the file")]
pub(crate) mod batch;
mod chunk;
mod eager;
mod indexed;
mod intake;
mod lazy;
mod options;
pub(crate) mod pace;
mod remaining;
mod sizes;
#[cfg(feature = "stream")]
mod stream;
mod submit;
mod timeout;
mod weigh;

#[cfg(feature = "process")]
pub(super) use chunk::Rest;
pub(crate) use chunk::{Chunk, ChunkResults, Items, run_chunk};
pub use eager::Map;
pub use indexed::Indexed;
pub(super) use intake::Intake;
pub use lazy::MapWith;
pub use options::MapOptions;
pub(crate) use pace::Pace;
pub(super) use sizes::Sizes;
pub(crate) use submit::Submit;
pub(super) use submit::ToPool;
pub use timeout::MapTimeout;

use crate::error::TimedOut;
use std::time::Instant;

/// A map that can wait with a limit. Sealed: public in a bound only.
pub trait Deadline: Iterator {
    #[doc(hidden)]
    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Self::Item>, TimedOut<()>>;

    #[doc(hidden)]
    fn give_up(&mut self);
}
