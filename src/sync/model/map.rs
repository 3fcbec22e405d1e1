//! [`HashMap`], in an order of its own.

/// The part of the standard library's that the crate uses, in the order of insertion: that of a hash map changes
/// from run to run, and with it what a model explores.
pub(crate) struct HashMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for HashMap<K, V> {
    fn default() -> Self {
        HashMap(Vec::new())
    }
}

impl<K: PartialEq, V> HashMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        self.0.push((key, value));
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (K, V)> + '_ {
        self.0.drain(..)
    }
}
