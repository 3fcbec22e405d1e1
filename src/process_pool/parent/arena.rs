//! [`Arena`]: the memory for large arguments on their way, one for each pool.
//!
//! The thread that submits copies a long string or run once into an extent of it, and the workers read it where it lies: what goes
//! through the socket stays small. The encoded task holds its extents until its future is resolved, so whatever becomes of the
//! task on its way, they are there for the worker that begins it.
//!
//! Extents and the pages under them are used again and again, the lowest first: a fresh page costs more than the copying.

use crate::process_pool::sys::{GRAIN, Handle, MemoryFile, WritableMemory, longest_memory};
use crate::remote::codec::{Place, Plane};
use crate::sync::{Mutex, OnceLock};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So much that is not in use is kept, however long it has been idle.
const KEPT: usize = 32 << 20;

/// How long memory has to be idle before it goes back to the system.
const IDLE: Duration = Duration::from_secs(1);

pub(crate) struct Arena {
    len: usize,
    /// None once the pool has ended: its tasks may outlive it, its descriptors don't.
    file: Mutex<Option<Arc<MemoryFile>>>,
    /// All of it, from the first large argument on; none if the system refused.
    memory: OnceLock<Option<WritableMemory>>,
    space: Mutex<Space>,
}

struct Space {
    /// The free parts, by place; no two of them touch.
    free: Vec<Place>,
    /// Below this the memory is reserved.
    reserved: usize,
    /// Beyond this nothing is given out, because the system had no memory there.
    end: usize,
    last_used: Option<Instant>,
}

impl Arena {
    /// With room for `bytes` of arguments, or for as much as the limits of this process allow. None if they allow nothing,
    /// or the system has no such memory.
    pub(crate) fn create(bytes: usize) -> Option<Arc<Self>> {
        let len = longest_memory(bytes);
        if len == 0 {
            return None;
        }
        let file = MemoryFile::create(len).ok()?;
        let space = Space { free: vec![Place { at: 0, len }], reserved: 0, end: len, last_used: None };
        let file = Mutex::new(Some(Arc::new(file)));
        Some(Arc::new(Arena { len, file, memory: OnceLock::new(), space: Mutex::new(space) }))
    }

    /// For a worker.
    pub(crate) fn handle_to_read(&self) -> Option<Handle> {
        self.file()?.handle_to_read().ok()
    }

    /// No worker will be started any more.
    pub(crate) fn close(&self) {
        let closed = self.file.lock().take();
        drop(closed);
    }

    fn file(&self) -> Option<Arc<MemoryFile>> {
        self.file.lock().clone()
    }

    fn memory(&self) -> Option<&WritableMemory> {
        self.memory.get_or_init(|| self.file()?.map_to_write(0, self.len).ok()).as_ref()
    }

    /// An extent of that many bytes, with memory under it.
    fn take(&self, len: usize) -> Option<Place> {
        let (place, fresh) = self.space.lock().take(len.checked_next_multiple_of(GRAIN)?)?;
        let Some(fresh) = fresh else { return Some(place) };
        // Without the lock: it may take long.
        if self.file().is_some_and(|file| file.reserve(fresh.at, fresh.len).is_ok()) {
            return Some(place);
        }
        let mut space = self.space.lock();
        space.end = space.end.min(fresh.at);
        space.put(place);
        None
    }

    /// Gives memory back to the system that has been idle for some time, but for 32 MiB.
    pub(crate) fn trim(&self) {
        let Some(file) = self.file() else { return };
        let Some(idle) = self.space.lock().idle_top() else { return };
        file.give_back(idle.at, idle.len);
        let mut space = self.space.lock();
        space.reserved = idle.at;
        space.put(idle);
    }
}

impl Space {
    /// The lowest place of that length, and the part of it whose memory isn't reserved yet. The caller reserves that.
    fn take(&mut self, len: usize) -> Option<(Place, Option<Place>)> {
        let end = self.end;
        let fits = |free: &Place| free.len >= len && free.at + len <= end;
        let found = self.free.iter().position(fits)?;
        let free = &mut self.free[found];
        let place = Place { at: free.at, len };
        *free = Place { at: free.at + len, len: free.len - len };
        if free.len == 0 {
            self.free.remove(found);
        }
        let end = place.at + place.len;
        let from = self.reserved.max(place.at);
        // What lies between is reserved when it is given out: no place above `reserved` ever is before the one below it.
        let fresh = (end > self.reserved).then(|| Place { at: from, len: end - from });
        self.reserved = self.reserved.max(end);
        Some((place, fresh))
    }

    fn put(&mut self, place: Place) {
        let next = self.free.partition_point(|free| free.at < place.at);
        self.free.insert(next, place);
        if let Some(above) = self.free.get(next + 1).copied()
            && place.at + place.len == above.at
        {
            self.free[next].len += above.len;
            self.free.remove(next + 1);
        }
        if let Some(below) = next.checked_sub(1)
            && self.free[below].at + self.free[below].len == place.at
        {
            self.free[below].len += self.free[next].len;
            self.free.remove(next);
        }
        self.last_used = Some(Instant::now());
    }

    /// Takes what is free at the top of the reserved memory, as far as more than enough of it is idle.
    fn idle_top(&mut self) -> Option<Place> {
        if self.last_used?.elapsed() < IDLE {
            return None;
        }
        let reserved = self.reserved;
        let idle: usize = self.free.iter().map(|free| reserved.saturating_sub(free.at).min(free.len)).sum();
        let top =
            self.free.last().copied().filter(|top| top.at < reserved && top.at + top.len >= reserved)?;
        let surplus = idle.saturating_sub(KEPT).min(reserved - top.at);
        let mut at = reserved - surplus / GRAIN * GRAIN;
        if self.end < reserved {
            // Where the system had no memory, it is asked anew.
            at = at.min(self.end.max(top.at));
        }
        if at == reserved {
            return None;
        }
        // The part above `reserved` is taken as well, so that nobody extends into it meanwhile.
        self.free.pop();
        if at > top.at {
            self.free.push(Place { at: top.at, len: at - top.at });
        }
        self.last_used = None;
        if at <= self.end {
            self.end = top.at + top.len;
        }
        Some(Place { at, len: top.at + top.len - at })
    }
}

impl Plane for Arena {
    fn hold(&self, len: usize, places: &mut Vec<Place>) -> Option<u64> {
        self.memory()?;
        let place = self.take(len)?;
        places.push(place);
        Some(place.at as u64)
    }

    fn write(&self, number: u64, at: usize, bytes: &[u8], places: &[Place]) {
        let Some(memory) = self.memory() else { return };
        let place = places.iter().rfind(|place| place.at as u64 == number).expect("it is held");
        assert!(at <= place.len && bytes.len() <= place.len - at, "more than was held");
        // SAFETY: no two extents overlap, and this one is our caller's until it is freed.
        unsafe { memory.write_part(place.at + at, bytes) };
    }

    fn read_back(&self, number: u64, len: usize, _: &[Place]) -> Option<Vec<u8>> {
        self.file()?.read(usize::try_from(number).ok()?, len)
    }

    fn free(&self, place: Place) {
        self.space.lock().put(place);
    }
}

#[cfg(test)]
mod tests {
    use super::{Arena, Place};
    #[cfg(unix)]
    use super::{IDLE, KEPT};
    use crate::process_pool::sys::GRAIN;
    use crate::remote::codec::Plane;
    #[cfg(unix)]
    use std::time::Instant;

    fn arena(len: usize) -> std::sync::Arc<Arena> {
        Arena::create(len).expect("this system has memfd and no limits here")
    }

    #[test]
    fn extents_do_not_overlap_and_the_lowest_is_used_again() {
        let arena = arena(64 * GRAIN);
        let mut held: Vec<(Place, Vec<u8>)> = Vec::new();
        let mut seed = 7_u32;
        // The coarser the grain, the more there is to be copied.
        let rounds = if GRAIN > 16 << 10 { 300 } else { 2000 };
        for round in 0..rounds {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let bytes = vec![round as u8; (seed >> 8) as usize % (9 * GRAIN)];
            let mut places = Vec::new();
            if !seed.is_multiple_of(3) && arena.put(&bytes, &mut places).is_some() {
                let new = places[0];
                assert!(new.at + new.len <= 64 * GRAIN && new.at % GRAIN == 0);
                for (old, _) in &held {
                    assert!(new.at + new.len <= old.at || old.at + old.len <= new.at, "{new:?} {old:?}");
                }
                held.push((new, bytes));
            } else if !held.is_empty() {
                let (place, bytes) = held.swap_remove(seed as usize % held.len());
                assert_eq!(arena.file().unwrap().read(place.at, bytes.len()), Some(bytes));
                arena.free(place);
            }
        }
        held.into_iter().for_each(|(place, _)| arena.free(place));
        assert_eq!(arena.space.lock().free, [Place { at: 0, len: 64 * GRAIN }]);
        let two_grains = vec![1; GRAIN + 1];
        assert_eq!(arena.put(&two_grains, &mut Vec::new()), Some(0));
        assert_eq!(arena.put(&two_grains, &mut Vec::new()), Some(2 * GRAIN as u64));
    }

    #[test]
    fn what_has_no_room_is_refused_and_costs_nothing() {
        assert!(Arena::create(0).is_none() && Arena::create(GRAIN - 1).is_none());
        let arena = arena(4 * GRAIN);
        let mut places = Vec::new();
        assert_eq!(arena.put(&vec![1; 4 * GRAIN + 1], &mut places), None);
        assert_eq!(arena.put(&vec![1; 4 * GRAIN], &mut places), Some(0));
        assert_eq!(arena.put(&[1], &mut places), None);
        assert_eq!(places.len(), 1);
    }

    /// Elsewhere the system gives no part of such memory back, and doesn't tell how much of it there is.
    #[cfg(unix)]
    #[test]
    fn idle_memory_goes_back_but_for_some() {
        use std::os::fd::AsFd;
        let arena = arena(8 * KEPT);
        let bytes = vec![1; KEPT];
        let mut places = Vec::new();
        for _ in 0..3 {
            arena.put(&bytes, &mut places).expect("room");
        }
        let file = arena.file().unwrap();
        let taken = || rustix::fs::fstat(file.as_fd()).expect("its state").st_blocks as usize * 512;
        assert_eq!(taken(), 3 * KEPT);
        arena.free(places[0]);
        arena.free(places[2]);
        arena.trim();
        assert_eq!(taken(), 3 * KEPT, "it was in use just now");
        let age = || arena.space.lock().last_used = Instant::now().checked_sub(2 * IDLE);
        age();
        arena.trim();
        assert_eq!(taken(), 2 * KEPT);
        arena.free(places[1]);
        age();
        arena.trim();
        assert_eq!(taken(), KEPT);
        assert_eq!(arena.space.lock().free, [Place { at: 0, len: 8 * KEPT }]);
        assert_eq!(arena.put(&bytes, &mut places), Some(0));
    }

    #[test]
    fn what_is_in_it_outlives_its_descriptor() {
        let arena = arena(8 * GRAIN);
        let mut places = Vec::new();
        assert_eq!(arena.put(&[1; GRAIN], &mut places), Some(0));
        arena.close();
        assert!(arena.handle_to_read().is_none());
        // Where memory is reserved there is room still, and nowhere else.
        assert_eq!(arena.put(&[1; GRAIN], &mut places), None);
        arena.free(places[0]);
        assert_eq!(arena.put(&[1; GRAIN], &mut places), Some(0));
        arena.trim();
    }
}
