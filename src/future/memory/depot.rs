//! [`Depot`]: the memory of cells of one class that no thread has, and the chunks that it is cut from.

use super::{Class, UNIT};
use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// Chunks are made of these, and aligned to them.
const BLOCK: usize = 64 * 1024;

/// At the beginning of each block; the first has the whole [`Chunk`] there.
const HEADER: usize = 64;

/// At the end of each block, for the allocator's own header: blocks that it is asked for one after the other then follow each other.
const TAIL: usize = 64;

/// The largest chunk has this many, 2 MiB.
const MOST_BLOCKS: usize = 32;

/// How much free memory a depot keeps, of each class.
const KEPT: usize = 4 << 20;

/// Memory for one cell, which the holder has alone. In a list it holds the next one.
pub(super) struct Place(pub(super) NonNull<Option<Place>>);

/// Places of one class.
#[derive(Default)]
pub(super) struct List {
    first: Option<Place>,
    pub(super) len: usize,
}

impl List {
    pub(super) const EMPTY: Self = List { first: None, len: 0 };

    #[inline]
    pub(super) fn push(&mut self, place: Place) {
        // SAFETY: nobody else has it; each has room for a pointer and is aligned for one.
        unsafe { place.0.write(self.first.take()) };
        self.first = Some(place);
        self.len += 1;
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Place> {
        let place = self.first.take()?;
        // SAFETY: `push` has written it, and nobody else has had the place since.
        self.first = unsafe { place.0.read() };
        self.len -= 1;
        Some(place)
    }
}

/// At the beginning of each block: the way to its chunk.
#[repr(C)]
struct Block {
    chunk: NonNull<Chunk>,
}

/// At the beginning of a chunk.
#[repr(C)]
pub(super) struct Chunk {
    block: Block,
    blocks: usize,
    /// The neighbours in the depot's list.
    before: Option<NonNull<Chunk>>,
    after: Option<NonNull<Chunk>>,
    free: List,
    /// Where the next place is cut off, from the beginning of the chunk.
    cut: usize,
    /// How many of its places the depot doesn't have.
    out: usize,
}

const _: () = assert!(size_of::<Chunk>() <= HEADER && HEADER.is_multiple_of(UNIT));

impl Chunk {
    /// None if the allocator has none.
    pub(super) fn allocate(blocks: usize) -> Option<Loose> {
        // SAFETY: the size is not zero.
        let memory = NonNull::new(unsafe { alloc::alloc(Self::layout(blocks)) })?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if blocks == MOST_BLOCKS {
            let len = Self::layout(blocks).size();
            // SAFETY: advice on whole pages of memory that was just allocated. Without it the memory is as good.
            unsafe { libc::madvise(memory.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
        }
        let chunk = memory.cast::<Chunk>();
        let first = Chunk {
            block: Block { chunk },
            blocks,
            before: None,
            after: None,
            free: List::EMPTY,
            cut: HEADER,
            out: 0,
        };
        // SAFETY: it has room for a header, and nobody else has it.
        unsafe { chunk.write(first) };
        Some(Loose(Some(chunk)))
    }

    fn layout(blocks: usize) -> Layout {
        let align = if blocks == MOST_BLOCKS { MOST_BLOCKS * BLOCK } else { BLOCK };
        Layout::from_size_align(blocks * BLOCK - TAIL, align).expect("a few blocks, less a tail")
    }

    /// How many places it has in all.
    fn places(blocks: usize, class: Class) -> usize {
        blocks * ((BLOCK - HEADER - TAIL) / class.size())
    }

    fn is_cut_up(&self) -> bool {
        self.cut >= self.blocks * BLOCK
    }

    fn is_empty(&self) -> bool {
        self.free.len == 0 && self.is_cut_up()
    }
}

/// Whole chunks that are no depot's, one after the other. They go back to the allocator with it.
pub(super) struct Loose(Option<NonNull<Chunk>>);

impl Loose {
    pub(super) const NONE: Self = Loose(None);
}

impl Drop for Loose {
    fn drop(&mut self) {
        while let Some(chunk) = self.0 {
            // SAFETY: whole and in no list of a depot's, so it is this list's alone.
            let Chunk { blocks, after, .. } = unsafe { chunk.read() };
            self.0 = after;
            // SAFETY: it is from there, with this layout, and none of its places is out.
            unsafe { alloc::dealloc(chunk.as_ptr().cast(), Chunk::layout(blocks)) };
        }
    }
}

/// What all threads share, of one class.
pub(super) struct Depot {
    /// The chunks that have a free place or are not cut up.
    first: Option<NonNull<Chunk>>,
    /// How many places that are, in all of them.
    spare: usize,
    /// Of all chunks, also of those that have nothing free.
    blocks: usize,
}

// SAFETY: chunks are reached from one thread at a time: by the depot, which is under a lock.
unsafe impl Send for Depot {}

impl Depot {
    pub(super) const NEW: Self = Depot { first: None, spare: 0, blocks: 0 };

    /// A chunk of the depot's.
    fn chunk(&mut self, at: NonNull<Chunk>) -> &mut Chunk {
        // SAFETY: the depot has it alone as long as it lives (point 3 of the module), and is lent meanwhile. When it goes it is whole,
        // in no list, and no place leads to it.
        unsafe { &mut *at.as_ptr() }
    }

    /// How large the next chunk is: as all that there are together, so a program with few tasks takes little.
    pub(super) fn next_blocks(&self) -> usize {
        self.blocks.next_power_of_two().min(MOST_BLOCKS)
    }

    pub(super) fn add(&mut self, mut chunk: Loose, class: Class) {
        let Some(at) = chunk.0.take() else { return };
        let blocks = self.chunk(at).blocks;
        self.blocks += blocks;
        self.spare += Chunk::places(blocks, class);
        self.link(at);
    }

    pub(super) fn take(&mut self, class: Class) -> Option<Place> {
        let at = self.first?;
        let place = match self.chunk(at).free.pop() {
            Some(place) => place,
            None => self.cut(at, class)?,
        };
        self.spare -= 1;
        let chunk = self.chunk(at);
        chunk.out += 1;
        if chunk.is_empty() {
            self.unlink(at);
        }
        Some(place)
    }

    /// Cuts the next place off.
    fn cut(&mut self, at: NonNull<Chunk>, class: Class) -> Option<Place> {
        let chunk = self.chunk(at);
        if chunk.is_cut_up() {
            return None;
        }
        let offset = chunk.cut;
        let within = offset % BLOCK;
        chunk.cut += class.size();
        if within + 2 * class.size() > BLOCK - TAIL {
            chunk.cut = offset - within + BLOCK + HEADER;
        }
        if within == HEADER {
            // SAFETY: a block of the chunk, whose size is `blocks` of them less a tail.
            let block = unsafe { at.byte_add(offset - HEADER) };
            // SAFETY: the memory is the chunk's, aligned to a block, and no place of the block is out.
            unsafe { block.cast::<Block>().write(Block { chunk: at }) };
        }
        // SAFETY: within the chunk, as above.
        Some(Place(unsafe { at.byte_add(offset) }.cast()))
    }

    pub(super) fn give(&mut self, place: Place, class: Class, to: &mut Loose) {
        let block = place.0.as_ptr().map_addr(|at| at & !(BLOCK - 1)).cast::<Block>();
        // SAFETY: the block was begun before the place was cut off, and its chunk can't go while this place is out.
        let at = unsafe { block.read() }.chunk;
        if self.chunk(at).is_empty() {
            self.link(at);
        }
        self.spare += 1;
        let chunk = self.chunk(at);
        chunk.free.push(place);
        chunk.out -= 1;
        if chunk.out == 0 {
            self.whole(at, class, to);
        }
    }

    /// Every place of the chunk is back.
    fn whole(&mut self, at: NonNull<Chunk>, class: Class, to: &mut Loose) {
        let is_too_much = self.spare * class.size() > KEPT;
        let chunk = self.chunk(at);
        // Cut anew in their order, if it stays: neighbours are used one after the other.
        chunk.free = List::EMPTY;
        chunk.cut = HEADER;
        if is_too_much {
            let blocks = chunk.blocks;
            self.unlink(at);
            self.blocks -= blocks;
            self.spare -= Chunk::places(blocks, class);
            self.chunk(at).after = to.0.replace(at);
        }
    }

    fn link(&mut self, at: NonNull<Chunk>) {
        let first = self.first.replace(at);
        let chunk = self.chunk(at);
        chunk.before = None;
        chunk.after = first;
        if let Some(first) = first {
            self.chunk(first).before = Some(at);
        }
    }

    fn unlink(&mut self, at: NonNull<Chunk>) {
        let Chunk { before, after, .. } = *self.chunk(at);
        match before {
            Some(before) => self.chunk(before).after = after,
            None => self.first = after,
        }
        if let Some(after) = after {
            self.chunk(after).before = before;
        }
    }
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{BLOCK, Chunk, Class, Depot, HEADER, KEPT, Loose, MOST_BLOCKS, Place, TAIL};
    use std::collections::BTreeMap;
    use std::num::NonZeroU8;

    /// A depot beside what a model says of it: which places are out, and of which chunk.
    struct Watched {
        depot: Depot,
        class: Class,
        out: BTreeMap<usize, Place>,
        chunks: BTreeMap<usize, usize>,
    }

    impl Watched {
        fn new(units: u8) -> Self {
            Watched {
                depot: Depot::NEW,
                class: Class(NonZeroU8::new(units).expect("the test has made it so")),
                out: BTreeMap::new(),
                chunks: BTreeMap::new(),
            }
        }

        fn take(&mut self) {
            let place = self.depot.take(self.class).unwrap_or_else(|| {
                let blocks = self.depot.next_blocks();
                let chunk = Chunk::allocate(blocks).expect("the test has made it so");
                assert!(
                    self.chunks
                        .insert(chunk.0.expect("the test has made it so").addr().get(), blocks)
                        .is_none()
                );
                self.depot.add(chunk, self.class);
                self.depot.take(self.class).expect("the test has made it so")
            });
            let at = place.0.addr().get();
            let (begin, blocks) = self.chunks.range(..=at).next_back().expect("the test has made it so");
            assert!(at + self.class.size() <= begin + blocks * BLOCK - TAIL, "beyond the chunk");
            assert!(at % BLOCK >= HEADER && at % BLOCK + self.class.size() <= BLOCK - TAIL, "on a header");
            let apart = |other: Option<(&usize, &Place)>| {
                other.is_none_or(|(other, _)| other.abs_diff(at) >= self.class.size())
            };
            assert!(
                apart(self.out.range(..=at).next_back()) && apart(self.out.range(at..).next()),
                "has two"
            );
            // As a cell that is written to its last byte.
            // SAFETY: the place is ours alone, if the depot is right.
            unsafe { place.0.cast::<u8>().write_bytes(0xA5, self.class.size()) };
            self.out.insert(at, place);
        }

        fn give(&mut self, at: usize) {
            let mut gone = Loose(None);
            self.depot.give(self.out.remove(&at).expect("the test has made it so"), self.class, &mut gone);
            let mut next = gone.0;
            while let Some(chunk) = next {
                let blocks = self.chunks.remove(&chunk.addr().get()).expect("one of the depot's");
                let mut inside = self.out.range(chunk.addr().get()..chunk.addr().get() + blocks * BLOCK);
                assert!(inside.next().is_none(), "a chunk went of which something is out");
                next = self.depot.chunk(chunk).after;
            }
            self.check();
        }

        fn check(&self) {
            let places: usize = self.chunks.values().map(|blocks| Chunk::places(*blocks, self.class)).sum();
            assert_eq!(self.depot.spare, places - self.out.len());
            assert_eq!(self.depot.blocks, self.chunks.values().sum::<usize>());
        }
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            while let Some(at) = self.out.keys().next().copied() {
                self.give(at);
            }
            while let Some(at) = self.depot.first {
                self.depot.unlink(at);
                self.depot.chunk(at).after = None;
                drop(Loose(Some(at)));
            }
        }
    }

    #[test]
    fn nothing_is_used_by_two_and_whole_chunks_go() {
        // A small generator of its own: each run the same.
        let mut state = 0x9e37_79b9_u64;
        let mut next = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 8) as usize % below
        };
        for (units, bytes) in [(1, KEPT / 16), (6, 5 * KEPT / 4), (16, 2 * KEPT)] {
            let mut watched = Watched::new(units);
            let many = bytes / watched.class.size();
            for (towards, of_ten) in [(many / 8, 7), (0, 3), (many, 9), (many / 2, 2), (0, 1)] {
                while watched.out.len() != towards {
                    if next(10) < of_ten {
                        watched.take();
                    } else if let Some(at) = watched.out.keys().next().copied() {
                        let from = at + next(1 << 24);
                        let other = watched.out.range(from..).next().map_or(at, |(other, _)| *other);
                        watched.give(other);
                    }
                }
            }
            assert!(watched.depot.spare * watched.class.size() <= KEPT, "all is back, and too much is kept");
            // A whole chunk begins anew.
            let left: usize = watched.chunks.values().sum();
            assert!(left > 0 && left <= KEPT / BLOCK + MOST_BLOCKS);
        }
    }

    #[test]
    fn chunks_grow_with_what_is_there() {
        let mut watched = Watched::new(7);
        for _ in 0..64 {
            watched.take();
        }
        assert_eq!(watched.depot.blocks, 1);
        while watched.depot.blocks <= MOST_BLOCKS {
            watched.take();
        }
        let sizes: Vec<usize> = {
            let mut sizes: Vec<_> = watched.chunks.values().copied().collect();
            sizes.sort_unstable();
            sizes
        };
        assert_eq!(sizes, [1, 1, 2, 4, 8, 16, 32]);
    }
}
