//! [`Weigh`]: how much items weigh, in the options of a map; [`Scales`], the same for the items of one map.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

type AnyWeight = dyn Fn(&dyn Any) -> usize + Send + Sync;

/// A function of whatever type the map's items have.
#[derive(Clone)]
pub(super) struct Weigh {
    limit: usize,
    of: (TypeId, &'static str),
    weigh: Arc<AnyWeight>,
}

impl Weigh {
    pub(super) fn new<A: 'static>(limit: usize, f: impl Fn(&A) -> usize + Send + Sync + 'static) -> Self {
        // Another type never comes here: see `scales`.
        let weigh = move |item: &dyn Any| item.downcast_ref().map_or(0, &f);
        Weigh { limit, of: (TypeId::of::<A>(), type_name::<A>()), weigh: Arc::new(weigh) }
    }

    /// # Panics
    ///
    /// If the items are of another type.
    pub(super) fn scales<A: 'static>(&self) -> Scales<A> {
        let (id, name) = self.of;
        assert!(
            id == TypeId::of::<A>(),
            "`MapOptions::weigh` was given a function of `&{name}`, and the items of this map are `{}`",
            type_name::<A>()
        );
        let weigh = self.weigh.clone();
        Scales { limit: self.limit, weigh: Box::new(move |item| weigh(item)) }
    }
}

// A panic in the user's function leaves nothing of ours half changed.
impl UnwindSafe for Weigh {}
impl RefUnwindSafe for Weigh {}

impl fmt::Debug for Weigh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weigh").field("limit", &self.limit).field("items", &self.of.1).finish_non_exhaustive()
    }
}

/// Weighs the items of one map.
pub(in crate::executor) struct Scales<A> {
    pub(super) limit: usize,
    pub(super) weigh: Box<dyn Fn(&A) -> usize + Send>,
}
