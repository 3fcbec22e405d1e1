//! [`Blobs`]: what lies on the server of the data that this client's tasks share.

use crate::engine::{Fault, Link};
use crate::wire::{BlobName, Life, Name};
use concurrent_futures::SharedBlob;
use std::collections::HashMap;

/// Of one thread, which puts it there, looks whether it is still there, and removes it once the last handle in this process is gone,
/// or others need the room and no task that is out carries it.
#[derive(Default)]
pub(super) struct Blobs {
    /// Where it lies.
    place: Option<(Life, Name)>,
    kept: HashMap<u128, Kept>,
    /// Counts uses.
    uses: u64,
}

/// What may lie there.
pub(super) struct Room<'a> {
    /// So many bytes of what no task that is out carries.
    pub(super) idle: usize,
    /// Whether such a task carries it.
    pub(super) is_out: &'a dyn Fn(u128) -> bool,
}

struct Kept {
    blob: SharedBlob,
    /// The hash of its bytes, computed once.
    name: BlobName,
    len: u64,
    is_there: bool,
    /// The number of its last use.
    used: u64,
}

impl Blobs {
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Removes what has no other handle in this process any more, and looks whether the rest is still there. What is not, or was
    /// changed in length, is put there again.
    pub(super) fn look_after(
        &mut self,
        life: &Life,
        client: &Name,
        link: &mut dyn Link,
    ) -> Result<(), Fault> {
        self.enter(life, client);
        self.remove_last(life, client, link)?;
        let there: Vec<&mut Kept> = self.kept.values_mut().filter(|kept| kept.is_there).collect();
        if there.is_empty() {
            return Ok(());
        }
        let names: Vec<BlobName> = there.iter().map(|kept| kept.name).collect();
        let lens = link.measure_blobs(life, client, &names)?;
        for (kept, _) in there.into_iter().zip(lens).filter(|(kept, len)| kept.len != *len) {
            kept.is_there = match link.put_blob(life, client, kept.name, &kept.blob.to_bytes()) {
                Ok(()) => true,
                // With the next task that carries it.
                Err(Fault::Full) => false,
                Err(fault) => return Err(fault),
            };
        }
        Ok(())
    }

    /// Has all of these on the server, which tasks that are out carry, and gives their names. Before the entry that names them.
    pub(super) fn put(
        &mut self,
        life: &Life,
        client: &Name,
        blobs: &[SharedBlob],
        room: &Room<'_>,
        link: &mut dyn Link,
    ) -> Result<Vec<BlobName>, Fault> {
        self.enter(life, client);
        let mut names = Vec::with_capacity(blobs.len());
        for blob in blobs {
            self.uses += 1;
            if let Some(kept) = self.kept.get_mut(&blob.id()) {
                kept.used = self.uses;
                if kept.is_there {
                    names.push(kept.name);
                    continue;
                }
            }
            // What is not needed any more makes room for it.
            self.remove_last(life, client, link)?;
            let bytes = blob.to_bytes();
            self.remove_idle(room.idle.saturating_sub(bytes.len()), room, link)?;
            let kept = self.kept.entry(blob.id()).or_insert_with(|| Kept {
                blob: blob.clone(),
                name: BlobName::of(&bytes),
                len: bytes.len() as u64,
                is_there: false,
                used: self.uses,
            });
            let name = kept.name;
            match link.put_blob(life, client, name, &bytes) {
                Err(Fault::Full) if self.remove_idle(0, room, link)? => {
                    link.put_blob(life, client, name, &bytes)?
                }
                made => made?,
            }
            self.kept.entry(blob.id()).and_modify(|kept| kept.is_there = true);
            names.push(name);
        }
        Ok(names)
    }

    /// Removes all that no task that is out carries: the server is full.
    pub(super) fn make_room(&mut self, room: &Room<'_>, link: &mut dyn Link) -> Result<(), Fault> {
        self.remove_idle(0, room, link).map(drop)
    }

    /// In another life, and under another name, nothing is there.
    fn enter(&mut self, life: &Life, client: &Name) {
        if self.place.as_ref().is_none_or(|(known, name)| (known, name) != (life, client)) {
            self.place = Some((life.clone(), client.clone()));
            self.kept.values_mut().for_each(|kept| kept.is_there = false);
        }
    }

    /// Removes what no task that is out carries, the longest unused first, until at most so many bytes of such are there. It is put
    /// there again for the next task that carries it. False if there was nothing to remove.
    fn remove_idle(&mut self, most: usize, room: &Room<'_>, link: &mut dyn Link) -> Result<bool, Fault> {
        let Some((life, client)) = &self.place else { return Ok(false) };
        let is_idle = |(id, kept): &(&u128, &mut Kept)| kept.is_there && !(room.is_out)(**id);
        let mut idle: Vec<&mut Kept> = self.kept.iter_mut().filter(is_idle).map(|(_, kept)| kept).collect();
        idle.sort_unstable_by_key(|kept| kept.used);
        let mut bytes: u64 = idle.iter().map(|kept| kept.len).sum();
        let mut is_any = false;
        for kept in idle {
            if bytes <= most as u64 {
                break;
            }
            link.remove_blobs(life, client, &[kept.name])?;
            bytes -= kept.len;
            (kept.is_there, is_any) = (false, true);
        }
        Ok(is_any)
    }

    fn remove_last(&mut self, life: &Life, client: &Name, link: &mut dyn Link) -> Result<(), Fault> {
        loop {
            let gone = self.kept.iter().filter(|(_, kept)| kept.blob.is_last());
            let (ids, gone): (Vec<u128>, Vec<&Kept>) = gone.map(|(id, kept)| (*id, kept)).unzip();
            if ids.is_empty() {
                return Ok(());
            }
            let names: Vec<BlobName> =
                gone.iter().filter(|kept| kept.is_there).map(|kept| kept.name).collect();
            if !names.is_empty() {
                link.remove_blobs(life, client, &names)?;
            }
            // Nobody else has one, so nobody can get one. Those that lay in it come next.
            ids.iter().for_each(|id| drop(self.kept.remove(id)));
        }
    }
}
