//! [`Packed`]: a cell's watchers, in a pointer and three bytes ([`ShortKey`]).
//!
//! Each of a million pending tasks has room for its watchers, and hardly any has some. So they are a [`Watchers`] only while
//! somebody changes them, with the cell's lock held.

use super::hub::{Hub, Key};
use super::watchers::{Crowd, Watchers};
use std::ptr::NonNull;
use std::sync::Arc;

/// Nothing, or what an `Arc` of a hub or a box of many became; the lowest bit says which.
pub(super) struct Packed(Option<NonNull<()>>);

/// Of the lone hub. One whose key is longer goes into a box.
#[derive(Clone, Copy, Default)]
pub(super) struct ShortKey([u8; 3]);

const MANY: usize = 1;

const _: () = assert!(align_of::<Hub>() > MANY && align_of::<Crowd>() > MANY);

// What becomes a pointer here goes from thread to thread.
const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Watchers>();
};

// SAFETY: it is the watchers, which are `Send`, as asserted above.
unsafe impl Send for Packed {}

impl Packed {
    pub(super) const NONE: Self = Packed(None);

    /// [`Watchers::add_hub`], which nearly always finds nobody. `short` is beside the watchers in their cell, and nobody else's.
    #[inline]
    pub(super) fn add_hub(&mut self, short: &mut ShortKey, hub: &Arc<Hub>, key: Key) {
        match ShortKey::of(key).filter(|_| self.0.is_none()) {
            Some(only) => (*self, *short) = (Self::of_one(hub.clone()), only),
            None => self.change(short, |watchers| watchers.add_hub(hub, key)),
        }
    }

    /// [`Watchers::remove_hub`], which often finds nobody: they were told.
    #[inline]
    pub(super) fn remove_hub(&mut self, short: &mut ShortKey, hub: &Arc<Hub>, key: Key) {
        let only = Arc::as_ptr(hub).cast::<()>().cast_mut();
        match self.0 {
            // The same hub, not another with its address: this one is there.
            Some(at) if at.as_ptr() == only && short.get() == key => drop(self.take(*short)),
            Some(at) if at.as_ptr() == only => {}
            Some(_) => self.change(short, |watchers| watchers.remove_hub(hub, key)),
            None => {}
        }
    }

    /// Does something with them.
    pub(super) fn change<R>(&mut self, key: &mut ShortKey, change: impl FnOnce(&mut Watchers) -> R) -> R {
        let mut watchers = self.take(*key);
        let done = change(&mut watchers);
        (*self, *key) = Self::pack(watchers);
        done
    }

    fn pack(mut watchers: Watchers) -> (Self, ShortKey) {
        if let Watchers::One(_, key) = &watchers
            && ShortKey::of(*key).is_none()
        {
            watchers.crowd();
        }
        match watchers {
            Watchers::None => (Packed::NONE, ShortKey::default()),
            Watchers::One(hub, key) => (Self::of_one(hub), ShortKey::of(key).unwrap_or_default()),
            Watchers::Many(crowd) => {
                let at = NonNull::from(Box::leak(crowd)).cast().map_addr(|at| at | MANY);
                (Packed(Some(at)), ShortKey::default())
            }
        }
    }

    fn of_one(hub: Arc<Hub>) -> Self {
        Packed(NonNull::new(Arc::into_raw(hub).cast_mut()).map(NonNull::cast))
    }

    /// Takes them all out.
    #[inline]
    pub(super) fn take(&mut self, key: ShortKey) -> Watchers {
        let Some(at) = self.0.take() else { return Watchers::None };
        let at = at.as_ptr();
        if at.addr() & MANY == 0 {
            // SAFETY: it was an `Arc` of a hub, made a pointer in `of_one`, and is no longer one here.
            Watchers::One(unsafe { Arc::from_raw(at.cast_const().cast()) }, key.get())
        } else {
            // SAFETY: it was a box of many, given up in `pack`, and is no longer a pointer here; the mark is taken off.
            Watchers::Many(unsafe { Box::from_raw(at.map_addr(|at| at & !MANY).cast()) })
        }
    }

    #[cold]
    fn drop_watchers(&mut self) {
        drop(self.take(ShortKey::default()));
    }
}

impl Drop for Packed {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            self.drop_watchers();
        }
    }
}

impl ShortKey {
    fn of(key: Key) -> Option<Self> {
        let [a, b, c, 0] = key.to_le_bytes() else { return None };
        Some(ShortKey([a, b, c]))
    }

    fn get(self) -> Key {
        let [a, b, c] = self.0;
        Key::from_le_bytes([a, b, c, 0])
    }
}

#[cfg(all(test, not(concurrent_futures_loom)))]
mod tests {
    use super::{Key, Packed, ShortKey};
    use crate::future::cell::Header;
    use crate::future::hub::{Hub, RingWhen};
    use crate::future::watchers::Watchers;
    use crate::spans::TaskSpan;
    use std::sync::Arc;

    /// With 16 of the body, and of the two pointers, in the queue and in the future, a task with a number takes 80 bytes.
    #[test]
    fn a_header_takes_32_bytes() {
        let most = if size_of::<usize>() == 8 { 32 } else { 28 };
        assert!(size_of::<Header>() - size_of::<TaskSpan>() <= most, "{} bytes", size_of::<Header>());
    }

    #[test]
    fn what_goes_in_comes_out_and_is_dropped_once() {
        let hub = Hub::new(RingWhen::Completed(1));
        for key in [0, 1, 0xff_ffff, 0x100_0000, Key::MAX] {
            let (mut packed, mut short) = (Packed::NONE, ShortKey::default());
            packed.change(&mut short, |watchers| watchers.add_hub(&hub, key));
            let is_one =
                packed.change(&mut short, |watchers| matches!(watchers, Watchers::One(_, k) if *k == key));
            assert_eq!(is_one, key <= 0xff_ffff);
            assert_eq!(Arc::strong_count(&hub), 2);
            // A second one makes them many.
            packed.change(&mut short, |watchers| watchers.add_hub(&hub, key.wrapping_add(1)));
            assert_eq!((Arc::strong_count(&hub), packed.change(&mut short, |all| all.hubs())), (3, 2));
            packed.change(&mut short, |watchers| watchers.remove_hub(&hub, key));
            assert_eq!(Arc::strong_count(&hub), 2);
            drop(packed);
            assert_eq!(Arc::strong_count(&hub), 1);
        }
        let (mut packed, mut short) = (Packed::NONE, ShortKey::default());
        packed.change(&mut short, |watchers| watchers.add_hub(&hub, 7));
        assert!(matches!(packed.change(&mut short, std::mem::take), Watchers::One(_, 7)));
        assert!(matches!(packed.change(&mut short, std::mem::take), Watchers::None));
        packed.change(&mut short, |watchers| watchers.add_hub(&hub, 7));
        drop(packed);
        assert_eq!(Arc::strong_count(&hub), 1);
    }
}
