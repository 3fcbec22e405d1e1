//! What a worker told of its stack becomes frames of this process, which is of the same executable.

use crate::error::{Frame, Frames};
use crate::process_pool::shared::stack_words::{Told, ToldObject};
use crate::process_pool::sys::Exit;
use crate::remote::executable::{self, Object};

/// Whether it is told of a crash; else the worker was asked.
pub(super) fn is_crash(told: &Told) -> bool {
    Exit::Signal(told.signal).is_crash()
}

/// What ended it, where that is seen better from there than by the signal.
pub(super) fn cause(told: &Told) -> Option<&'static str> {
    told.circumstances.is_overflow.then_some("its stack overflowed")
}

/// The frames, without names yet. Costs a walk over the list of what is loaded.
pub(super) fn of(told: &Told) -> Frames {
    let here = executable::objects();
    let frames = told.addresses.iter().map(|address| frame(*address, &told.objects, &here)).collect();
    let head = match (told.circumstances.is_overflow, told.circumstances.is_elsewhere) {
        (true, _) => "the stack overflowed:\n",
        (_, true) => "in another thread than the one that runs tasks:\n",
        _ => "",
    };
    Frames::new(frames, head)
}

/// An address of the worker, here. The worker may have written anything: numbers wrap, and what comes out is only looked up.
fn frame(address: u64, there: &[ToldObject], here: &[Object]) -> Frame {
    let Some(object) = there.iter().find(|object| object.range.contains(&address)) else {
        return Frame { address: None, is_program: false, place: format!("{address:#x}") };
    };
    let distance = address.wrapping_sub(object.base);
    let is_program = object.name.is_empty();
    let its_name = object.name.rsplit('/').next().unwrap_or_default();
    let name = if is_program { "program" } else { its_name };
    // A name that was too long lost its beginning.
    let own = here.iter().find(|own| match is_program {
        true => own.name.is_empty(),
        false => own.name.ends_with(object.name.as_bytes()),
    });
    let address = own.map(|own| own.base.wrapping_add(distance as usize));
    Frame {
        address: address.filter(|address| own.is_some_and(|own| own.range.contains(address))),
        is_program,
        place: format!("{name}+{distance:#x}"),
    }
}
