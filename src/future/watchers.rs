//! [`Watchers`]: who wants to know when one task is done.
//!
//! Nearly every future has none or one, so one entry lives in the cell itself, without an allocation. More of them, a
//! waker or a callback move to a box.

use super::callback::Callback;
use super::cell::{AnyCell, log_panic_in_drop};
use super::hub::{Hub, Key};
use super::state::Phase;
use crate::contain::drop_contained;
use crate::sync::HashMap;
use crate::sync::plain::{AtomicU64, Ordering};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

#[derive(Default)]
pub(crate) enum Watchers {
    #[default]
    None,
    One(Arc<Hub>, Key),
    Many(Box<Crowd>),
}

/// Everybody, once there are several.
#[derive(Default)]
pub(crate) struct Crowd {
    /// By the hub's address and key: a wait that ends early finds its entry at once.
    hubs: HashMap<(usize, Key), Arc<Hub>>,
    /// Dead entries are swept when there are this many: each sweep is paid for by as many insertions.
    sweep_at: usize,
    /// Ordered, so that the task that began to await first is woken first; and found at once, however many they are.
    pub(crate) wakers: BTreeMap<WakerKey, Waker>,
    pub(crate) callbacks: Vec<Callback>,
    /// How to end the worker that runs the task.
    pub(crate) on_kill: Option<KillHook>,
}

/// Tells the awaiting tasks of one future apart; the owner of a `Future` is [`OWNER`].
pub(crate) type WakerKey = u64;
pub(crate) const OWNER: WakerKey = 0;

/// One that nobody else has.
pub(crate) fn new_waker_key() -> WakerKey {
    static NEXT: AtomicU64 = AtomicU64::new(OWNER + 1);
    // ORDERING: Relaxed: only that no two are equal.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) type KillHook = Box<dyn FnOnce() -> bool + Send>;

const SWEEP_AT_LEAST: usize = 8;

impl Watchers {
    pub(crate) fn add_hub(&mut self, hub: &Arc<Hub>, key: Key) {
        match self {
            Watchers::None => *self = Watchers::One(hub.clone(), key),
            Watchers::One(only, _) if only.is_abandoned() => *self = Watchers::One(hub.clone(), key),
            _ => self.crowd().add_hub(hub, key),
        }
    }

    pub(crate) fn remove_hub(&mut self, hub: &Arc<Hub>, key: Key) {
        match self {
            Watchers::One(only, k) if Arc::ptr_eq(only, hub) && *k == key => *self = Watchers::None,
            Watchers::Many(crowd) => drop(crowd.hubs.remove(&(address(hub), key))),
            _ => {}
        }
    }

    /// The box, moving a lone entry into it.
    pub(crate) fn crowd(&mut self) -> &mut Crowd {
        if !matches!(self, Watchers::Many(_)) {
            let mut crowd = Box::<Crowd>::default();
            if let Watchers::One(hub, key) = std::mem::take(self) {
                crowd.add_hub(&hub, key);
            }
            *self = Watchers::Many(crowd);
        }
        let Watchers::Many(crowd) = self else { unreachable!("made so above") };
        crowd
    }

    pub(crate) fn crowd_if_any(&mut self) -> Option<&mut Crowd> {
        match self {
            Watchers::Many(crowd) => Some(crowd),
            _ => None,
        }
    }

    /// How many waits have an entry, dead ones included.
    #[cfg(all(test, not(concurrent_futures_loom)))]
    pub(crate) fn hubs(&self) -> usize {
        match self {
            Watchers::None => 0,
            Watchers::One(..) => 1,
            Watchers::Many(crowd) => crowd.hubs.len(),
        }
    }
}

impl Crowd {
    fn add_hub(&mut self, hub: &Arc<Hub>, key: Key) {
        if self.hubs.len() >= self.sweep_at {
            self.hubs.retain(|_, hub| !hub.is_abandoned());
            self.sweep_at = (2 * self.hubs.len()).max(SWEEP_AT_LEAST);
        }
        self.hubs.insert((address(hub), key), hub.clone());
    }

    /// The waker this one replaces comes back: wakers are the user's, and are dropped without a lock held.
    pub(crate) fn set_waker(&mut self, key: WakerKey, waker: Waker) -> Option<Waker> {
        self.wakers.insert(key, waker)
    }

    pub(crate) fn remove_waker(&mut self, key: WakerKey) -> Option<Waker> {
        self.wakers.remove(&key)
    }

    /// Whether there is nobody but hubs.
    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty() && self.callbacks.is_empty() && self.on_kill.is_none()
    }

    /// The task is done, in this phase.
    pub(crate) fn tell_hubs(&mut self, phase: Phase) {
        for ((_, key), hub) in self.hubs.drain() {
            hub.tell(key, phase);
        }
    }
}

/// A hub in the map keeps itself alive, so its address stays its own.
fn address(hub: &Arc<Hub>) -> usize {
    Arc::as_ptr(hub).addr()
}

/// Who watches a cell.
impl dyn AnyCell + '_ {
    /// Puts an entry into the watchers; false if the task is done already, and the hub won't hear of it.
    ///
    /// Nothing is lost: the entry is made and the word marked in one section of the cell's lock. If the publisher
    /// changed the word first, the mark's answer says so and the entry is taken back; if it changes it later, it sees
    /// the mark and takes the lock after us.
    pub(crate) fn watch(&self, hub: &Arc<Hub>, key: Key) -> bool {
        let header = self.header();
        if header.word.load().is_resolved() {
            return false;
        }
        header.with_packed(|watchers, short| {
            watchers.add_hub(short, hub, key);
            let resolved = header.word.mark_watched().is_resolved();
            if resolved {
                watchers.remove_hub(short, hub, key);
            }
            !resolved
        })
    }

    pub(crate) fn unwatch(&self, hub: &Arc<Hub>, key: Key) {
        self.header().with_packed(|watchers, short| watchers.remove_hub(short, hub, key));
    }

    /// Puts `item` into the box of watchers by `change`, which gives back what it replaces: that is dropped without the
    /// lock. The item comes back if the task is done, by the same argument as in `watch`.
    pub(crate) fn add_to_crowd<C, R>(
        &self,
        item: C,
        change: impl FnOnce(&mut Crowd, C) -> R,
    ) -> Result<R, C> {
        let header = self.header();
        header.with_watchers(|watchers| {
            if header.word.mark_watched().is_resolved() {
                Err(item)
            } else {
                Ok(change(watchers.crowd(), item))
            }
        })
    }

    /// Takes something out of the box of watchers, if there is one.
    pub(crate) fn take_from_crowd<R>(&self, take: impl FnOnce(&mut Crowd) -> Option<R>) -> Option<R> {
        self.header().with_watchers(|watchers| watchers.crowd_if_any().and_then(take))
    }
}

/// Drops a waker that is no longer in a task's watchers: that is its executor's code.
pub(crate) fn drop_waker(cell: &dyn AnyCell, waker: Option<Waker>) {
    if waker.is_some() {
        log_panic_in_drop(cell, drop_contained(waker));
    }
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::Watchers;
    use crate::future::hub::{Hub, RingWhen};
    use std::sync::Arc;

    #[test]
    fn an_abandoned_wait_leaves_at_most_one_entry() {
        let mut watchers = Watchers::default();
        for _ in 0..1000 {
            let hub = Hub::new(RingWhen::Completed(1));
            watchers.add_hub(&hub, 0);
            hub.abandon();
        }
        assert_eq!(watchers.hubs(), 1);
    }

    #[test]
    fn many_abandoned_waits_beside_a_live_one_stay_few() {
        let mut watchers = Watchers::default();
        let live = Hub::new(RingWhen::Completed(1));
        watchers.add_hub(&live, 0);
        for _ in 0..1000 {
            let hub = Hub::new(RingWhen::Completed(1));
            watchers.add_hub(&hub, 0);
            hub.abandon();
        }
        assert!(watchers.hubs() <= super::SWEEP_AT_LEAST, "{}", watchers.hubs());
        watchers.remove_hub(&live, 0);
        assert_eq!(Arc::strong_count(&live), 1);
    }

    #[test]
    fn one_hub_may_watch_twice() {
        let (mut watchers, hub) = (Watchers::default(), Hub::new(RingWhen::Completed(2)));
        watchers.add_hub(&hub, 0);
        watchers.add_hub(&hub, 1);
        assert_eq!(watchers.hubs(), 2);
        watchers.remove_hub(&hub, 0);
        assert_eq!(watchers.hubs(), 1);
    }
}
