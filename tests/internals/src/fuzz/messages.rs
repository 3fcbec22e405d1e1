//! Any bytes in the place of what frames say: heads, welcomes, the parts of a batch, last words.

use super::Target;
use crate::process_pool::internals::memory::in_proportion;
use crate::process_pool::wire::message::{HEAD, Head, LENGTH, Message, Welcome, get, put_length};
use crate::remote::outcome;

pub(crate) const TARGET: Target = Target { name: "messages", body, words: &[], seeds };

fn body(data: &[u8]) {
    if let Some(bytes) = data.get(..HEAD)
        && let Ok(head) = Head::from_bytes(bytes)
    {
        assert_eq!(head.to_bytes(), bytes, "a head there and back");
    }
    // A text that is none becomes three bytes for each of its own; what is written to grows by doubling.
    let welcome = in_proportion(data.len(), 16, 1024, || Welcome::from_bytes(data));
    if let Ok(welcome) = welcome {
        let bytes = welcome.to_bytes();
        assert_eq!(Welcome::from_bytes(&bytes).as_ref(), Ok(&welcome), "a welcome there and back");
    }
    let (mut rest, mut parts) = (data, 0);
    in_proportion(data.len(), 0, 0, || {
        while let Some(part) = get(&mut rest) {
            parts += LENGTH + part.len();
        }
    });
    assert!(parts + rest.len() <= data.len(), "parts overlap");
    // As a driver reads what a worker left before it aborted.
    let _ = in_proportion(data.len(), 64, 4096, || outcome::read::<()>(data));
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let welcome = Welcome {
        parent: 1234,
        number: 5,
        name: "fetch-5".into(),
        ancestry: vec![1, u64::MAX],
        may_spin: true,
        address_space: Some(1 << 30),
        notes_times: false,
        initializer: b"initializer".to_vec(),
        on_exit: b"on exit".to_vec(),
    };
    let parts = |parts: &[&[u8]]| {
        parts.iter().fold(Vec::new(), |mut bytes, part| {
            put_length(&mut bytes, part.len());
            bytes.extend_from_slice(part);
            bytes
        })
    };
    let mut last_words = crate::remote::codec::Output::default();
    let panic = crate::error::Panicked::new("it was too much").with_location("src/main.rs:3");
    outcome::write::<()>(Err(crate::error::TaskError::Panicked(panic)), &mut last_words);
    let named = |name: &str, bytes: Vec<u8>| (name.to_owned(), bytes);
    vec![
        named("nothing", Vec::new()),
        named("welcome", welcome.to_bytes()),
        named("welcome-bare", Welcome::default().to_bytes()),
        named("welcome-cut", welcome.to_bytes()[..30].to_vec()),
        named("welcome-no-text", Welcome { name: "\u{fffd}".repeat(9), ..welcome.clone() }.to_bytes()),
        named(
            "head-batch",
            Head { message: Message::Batch { number: 1, tasks: 2 }, len: 3 }.to_bytes().to_vec(),
        ),
        named(
            "head-reply",
            Head { message: Message::Reply { batch: u32::MAX, index: 2 }, len: usize::MAX }
                .to_bytes()
                .to_vec(),
        ),
        named("parts", parts(&[b"one", b"", b"three"])),
        named("part-that-lies", [&u64::MAX.to_le_bytes()[..], b"abc"].concat()),
        named("part-that-lies-by-one", [&4_u64.to_le_bytes()[..], b"abc"].concat()),
        named("last-words", last_words.to_vec()),
    ]
}
