//! What a worker under `panic = "abort"` leaves in the segment: the panic that ends it.

use crate::contain::Told;
use crate::error::{Panicked, TaskError};
use crate::process_pool::shared::Layout;
use crate::process_pool::shared::last_words::LAST_WORDS;
use crate::remote::codec::Output;
use crate::remote::outcome;

/// Stands at the end of a panic's message that was too long for the segment.
pub(super) const CUT: &str = " ... (the rest of this message was too long to be kept)";

/// Nothing catches such a panic: it goes to the segment before it ends the process.
pub(super) fn leave_last_words(segment: &Layout, told: &Told<'_>) {
    let panic = Panicked::new(told.message);
    let panic = told.location.iter().fold(panic, Panicked::with_location);
    let panic = told.backtrace.iter().fold(panic, Panicked::with_backtrace);
    let mut words = Output::default();
    outcome::write::<()>(Err(TaskError::Panicked(panic)), &mut words);
    // A long backtrace is left out rather than cut in its middle.
    if words.len() > LAST_WORDS {
        write_without_backtrace(told.message, told, &mut words);
    }
    // A long message loses its end, and not its place.
    if words.len() > LAST_WORDS {
        let surplus = words.len() - LAST_WORDS + CUT.len();
        let kept = boundary(told.message, told.message.len().saturating_sub(surplus));
        write_without_backtrace(&[&told.message[..kept], CUT].concat(), told, &mut words);
    }
    segment.last_words.leave(&words);
}

fn write_without_backtrace(message: &str, told: &Told<'_>, words: &mut Output) {
    words.clear();
    let panic = told.location.iter().fold(Panicked::new(message), Panicked::with_location);
    outcome::write::<()>(Err(TaskError::Panicked(panic)), words);
}

/// The last place up to `most` where a text can be cut.
pub(super) fn boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
