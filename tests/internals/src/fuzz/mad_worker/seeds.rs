//! Good input, and bad: each fault that a worker may show, by itself.

use super::{LIES, WORDS};

pub(super) fn seeds() -> Vec<(String, Vec<u8>)> {
    /// The second worker's.
    const OTHER: u8 = 128;
    let few = |steps: &[u8]| [&[0], steps].concat();
    let restless = |whims: &[u8], steps: &[u8]| [&[whims.len() as u8], steps, whims].concat();
    let sane = [2, 2 | OTHER, 0, 1, 0, 2, 0, 3, 0, 4, 7, 0, 5, 1, 15, 2, 7 | OTHER, 8, 15 | OTHER, 2 | OTHER];
    let six = [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 2, 2, 4, 0];
    let scribble = |place: u8, word: u8| [8, place, word];
    let with = |steps: &[u8], more: &[u8]| few(&[steps, more].concat());
    let named = |name: &str, bytes: Vec<u8>| (name.to_owned(), bytes);
    let mut all = vec![
        named("nothing", few(&[])),
        named("sane", few(&sane)),
        named("sane-and-heard-by-who-waits", few(&[2, 2 | OTHER, 0, 7, 7 | OTHER, 0, 23 | OTHER, 17, 0])),
        named("cancel", with(&six, &[18, 3, 18, 4, 18, 0])),
        named("kill", with(&six, &[19, 0, 2, 15, 2])),
        named("steal", with(&six, &[2 | OTHER, 2 | OTHER, 15, 15 | OTHER])),
        named("death", with(&six, &[22])),
        named("shutdown", with(&six, &[27, 0])),
        named("breakdown", with(&six, &[28, 0, 22])),
        named("cancelled-in-the-queue", few(&[0, 1, 0, 2, 29, 1, 2, 29, 0])),
        named("all-ones", with(&six, &[14, 255, 15, 2])),
        named("all-zeros", with(&six, &[14, 0, 15, 2])),
        named("last-words", few(&[8, 11, 11, 24])),
        named("by-socket", with(&six, &[21, 0, 0, 21, 0, 0])),
        named("large-reply", with(&six, &[6, 0, 0, 239, 15])),
        named("forsaken", few(&[2, 0, 1, 2, 2, 2])),
    ];
    for (n, place) in [0, 2, 3, 4, 5, 6, 7].into_iter().enumerate() {
        let scribbles = [scribble(place, 10), scribble(place, 12), scribble(place, 6)].concat();
        all.push(named(
            &format!("scribble-{n}"),
            with(&six, &[&scribbles[..], &[15, 18, 2, 2, 22]].concat()),
        ));
    }
    // A reply that is there, whose length lies.
    for word in 0..WORDS.len() as u8 {
        let steps = [&six[..12], &[2, 7, 0], &scribble(7, word), &[15, 22]].concat();
        all.push(named(&format!("length-{word}"), few(&steps)));
    }
    // Tasks of each type, that begin, and replies with large values.
    let typed =
        |kind: u8, more: &[u8]| few(&[&[0, 8 * kind, 0, 8 * kind + 1, 2][..], more, &[15, 2, 22]].concat());
    for kind in 0..4 {
        all.push(named(&format!("apart-{kind}"), typed(kind, &[30, 8 * kind, 30, 8 * kind, 30, 255])));
        // In no slot, in one that is not, in one of another reply.
        for slot in [0, 3, 255] {
            all.push(named(
                &format!("anywhere-{kind}-{slot}"),
                typed(kind, &[31, 0, slot, 1, kind, 6, 3, 0, 30, 8 * kind]),
            ));
        }
    }
    for (n, lie) in (0..LIES.len() as u8).enumerate() {
        let far = [31, 0, 1, 1, 2, 6, 1, lie, 31, 0, 1, 1, 2, 6, lie, 1];
        all.push(named(&format!("lie-{n}"), typed(1, &far)));
        let three = [31, 0, 2, 3, 0, 0, 3, lie, 1, 0, 3, 3 + lie, 2, 12, 2, lie];
        all.push(named(&format!("lies-{n}"), typed(2, &three)));
    }
    // The same bytes again and again, and each value behind the other.
    let again = [2, 2, 8, 0].repeat(63);
    all.push(named("again", typed(3, &[&[31, 0, 0, 63], &again[..]].concat())));
    let behind: Vec<u8> = (0..7).flat_map(|n| [2, 2, 2, 128 + n]).collect();
    all.push(named("behind", typed(3, &[&[31, 0, 0, 7], &behind[..]].concat())));
    for place in 12..17 {
        let steps = [&[30, 8][..], &scribble(place, 1), &[30, 8], &scribble(place, 12)].concat();
        all.push(named(&format!("slot-word-{place}"), typed(1, &steps)));
    }
    // What happens between two looks: each whim is below 64.
    for whim in 0..16 {
        let steps = [&six[..], &[18, 4, 7, 0, 15, 2, 27, 0]].concat();
        all.push(named(&format!("restless-{whim}"), restless(&[whim], &steps)));
        let large = [0, 8, 0, 9, 2, 30, 8, 30, 8, 15, 2];
        all.push(named(&format!("restless-slots-{whim}"), restless(&[255, 255, 255, 255, whim], &large)));
        all.push(named(&format!("now-and-then-{whim}"), restless(&[255, 255, whim, 255, 255], &steps)));
    }
    all
}
