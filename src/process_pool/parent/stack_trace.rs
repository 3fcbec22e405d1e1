//! What a worker told of its stack becomes frames of this process, which is of the same executable.

use crate::error::{Frame, Frames};
use crate::process_pool::shared::stack_words::{FRAMES, Told, ToldObject};
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
    let is_cut = told.addresses.len() == FRAMES;
    Frames::new(frames, head, if is_cut { "      (of so many calls the innermost are kept)\n" } else { "" })
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

#[cfg(test)]
mod tests {
    use super::of;
    use crate::process_pool::shared::stack_words::StackWords;

    /// xorshift: any bits do.
    fn words(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Large numbers, small ones, and those in between.
            state >> (state % 64)
        }
    }

    #[test]
    fn what_a_worker_out_of_control_leaves_is_a_text_like_any_other() {
        for seed in 0..300 {
            let words = StackWords::scribbled(seed % 2 == 0, words(seed));
            assert!(seed % 2 != 0 || words.told().is_some());
            let text = words.told().map(|told| of(&told).text().to_owned()).unwrap_or_default();
            assert!(text.lines().count() < 10_000);
        }
        for byte in 0..=255 {
            let words = StackWords::scribbled(false, || u64::from_ne_bytes([byte; 8]));
            assert!(words.told().is_none() && words.walks_after().is_none(), "{byte}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_address_is_found_where_the_same_object_lies_here() {
        use super::frame;
        use crate::process_pool::shared::stack_words::ToldObject;
        use crate::remote::executable;
        let here = executable::objects();
        let own = &here[0];
        let there = [ToldObject {
            base: 0x1000,
            range: 0x1000..0x1000 + own.range.len() as u64,
            name: String::new(),
        }];
        let found = frame(0x1234, &there, &here);
        assert_eq!(found.address, Some(own.base + 0x234).filter(|address| own.range.contains(address)));
        assert_eq!((found.is_program, found.place.as_str()), (true, "program+0x234"));
        let nowhere = frame(0x999, &there, &here);
        assert_eq!((nowhere.address, nowhere.place.as_str()), (None, "0x999"));
        // Of an object that isn't loaded here there is a name and a distance.
        let there = [ToldObject { base: 0x1000, range: 0x1000..0x2000, name: "/lib/other.so".to_owned() }];
        let other = frame(0x1234, &there, &here);
        assert_eq!((other.address, other.place.as_str()), (None, "other.so+0x234"));
    }
}
