//! A connection to the server inside this process: each step under the server's lock, blocked reads on its condition variable.

use super::world::{Registry, World};
use super::{Clock, Fate, MemoryServer, Place, State};
use crate::engine::{
    ClientBeat, ConnectionId, Fault, Link, NodeBeat, Order, Step, Stepped, Witness, check_name,
};
use crate::wire::{
    Answer, Attempt, AttemptId, BlobName, Entry, EntryId, Life, Name, NodeInfo, Session, Testimony,
};
use std::time::{Duration, Instant};

pub(super) struct MemoryLink {
    server: MemoryServer,
    place: Place,
    number: u64,
    is_dead: bool,
}

/// What a step works on.
struct Scene<'a> {
    world: &'a mut World,
    registry: &'a mut Registry,
    clock: &'a mut Clock,
    now: Instant,
}

impl State {
    fn scene(&mut self, place: &Place, life: &Life) -> Result<Scene<'_>, Fault> {
        let now = Instant::now();
        match self.worlds.get_mut(place) {
            Some((run, current, world)) if *run == self.run && current == life => {
                world.expire(now);
                let registry = self.registries.entry(place.0.clone()).or_default();
                Ok(Scene { world, registry, clock: &mut self.clock, now })
            }
            _ => Err(Fault::Over),
        }
    }
}

impl MemoryLink {
    pub(super) fn new(server: MemoryServer, place: Place, number: u64) -> Self {
        MemoryLink { server, place, number, is_dead: false }
    }

    fn is_cut(&self, state: &State) -> bool {
        self.is_dead || !state.is_up || !state.links.contains(&self.number)
    }

    fn lost<T>(&mut self) -> Result<T, Fault> {
        self.is_dead = true;
        Err(Fault::Lost("the connection was cut".to_owned()))
    }

    /// Makes a step, unless the connection is cut or chance is against it.
    fn attempt<T>(&mut self, step: impl FnOnce(&mut State, &Place) -> Result<T, Fault>) -> Result<T, Fault> {
        let server = self.server.clone();
        let mut state = server.lock();
        if self.is_cut(&state) {
            drop(state);
            return self.lost();
        }
        let fate = state.lossy.as_mut().map_or(Fate::Done, |lossy| lossy.draw());
        let made = if fate == Fate::Undone { None } else { Some(step(&mut state, &self.place)) };
        drop(state);
        server.0.changed.notify_all();
        match made {
            Some(made) if fate == Fate::Done => made,
            _ => self.lost(),
        }
    }

    fn within<T>(
        &mut self,
        life: &Life,
        step: impl FnOnce(Scene<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.attempt(|state, place| step(state.scene(place, life)?))
    }

    /// Like [`within`](Self::within), of a step that must find room.
    fn within_memory<T>(
        &mut self,
        life: &Life,
        step: impl FnOnce(Scene<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.attempt(|state, place| {
            let is_full = state.is_full();
            let scene = state.scene(place, life)?;
            if is_full { Err(Fault::Full) } else { step(scene) }
        })
    }

    /// Looks again and again until there is something, at most for `wait`.
    fn wait<T>(
        &mut self,
        life: &Life,
        wait: Duration,
        mut look: impl FnMut(Scene<'_>) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let server = self.server.clone();
        let deadline = Instant::now() + wait;
        let mut state = server.lock();
        if self.is_cut(&state) {
            drop(state);
            return self.lost();
        }
        let fate = state.lossy.as_mut().map_or(Fate::Done, |lossy| lossy.draw());
        if fate == Fate::Undone {
            drop(state);
            return self.lost();
        }
        loop {
            let found = look(state.scene(&self.place, life)?);
            let is_late = found.is_none() && server.0.changed.wait_until(&mut state, deadline).timed_out();
            if found.is_some() || is_late {
                drop(state);
                return if fate == Fate::Done { Ok(found) } else { self.lost() };
            }
            if self.is_cut(&state) {
                drop(state);
                return self.lost();
            }
        }
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        self.server.lock().links.remove(&self.number);
    }
}

impl Link for MemoryLink {
    fn enter(&mut self) -> Result<Life, Fault> {
        self.attempt(|state, place| {
            if let Some((run, life, _)) = state.worlds.get(place)
                && *run == state.run
            {
                return Ok(life.clone());
            }
            state.lives += 1;
            let life = Life(format!("{}:{}", state.run, state.lives).into());
            state.worlds.insert(place.clone(), (state.run, life.clone(), World::default()));
            Ok(life)
        })
    }

    fn put_argument(&mut self, life: &Life, id: &AttemptId, bytes: &[u8]) -> Result<(), Fault> {
        self.within_memory(life, |it| it.world.put_argument(id, bytes))
    }

    fn get_argument(&mut self, life: &Life, id: &AttemptId) -> Result<Option<Vec<u8>>, Fault> {
        self.within(life, |it| Ok(it.world.get_argument(id)))
    }

    fn put_result(&mut self, life: &Life, id: &AttemptId, bytes: &[u8]) -> Result<(), Fault> {
        self.within(life, |it| {
            it.world.put_result(id, bytes);
            Ok(())
        })
    }

    fn get_result(&mut self, life: &Life, id: &AttemptId) -> Result<Option<Vec<u8>>, Fault> {
        self.within(life, |it| Ok(it.world.get_result(id)))
    }

    fn put_blob(&mut self, life: &Life, client: &Name, name: BlobName, bytes: &[u8]) -> Result<(), Fault> {
        self.within_memory(life, |it| it.world.put_blob(client, name, bytes))
    }

    fn get_blob(&mut self, life: &Life, client: &Name, name: BlobName) -> Result<Option<Vec<u8>>, Fault> {
        self.within(life, |it| Ok(it.world.get_blob(client, name)))
    }

    fn measure_blobs(&mut self, life: &Life, client: &Name, names: &[BlobName]) -> Result<Vec<u64>, Fault> {
        self.within(life, |it| Ok(names.iter().map(|name| it.world.measure_blob(client, *name)).collect()))
    }

    fn remove_blobs(&mut self, life: &Life, client: &Name, names: &[BlobName]) -> Result<(), Fault> {
        self.within(life, |it| {
            names.iter().for_each(|name| it.world.remove_blob(client, *name));
            Ok(())
        })
    }

    fn connection(&mut self) -> Result<ConnectionId, Fault> {
        let number = self.number;
        self.attempt(|_, _| Ok(ConnectionId(number)))
    }

    fn end_connection(&mut self, connection: ConnectionId) -> Result<(), Fault> {
        self.attempt(|state, _| {
            state.links.remove(&connection.0);
            Ok(())
        })
    }

    fn bury(&mut self, life: &Life) -> Result<Vec<Name>, Fault> {
        self.within(life, |it| Ok(it.world.bury(it.registry, it.clock, it.now)))
    }

    fn open_session(&mut self, life: &Life, client: &Name, ttl: Duration) -> Result<Session, Fault> {
        check_name(client)?;
        self.within(life, |it| Ok(it.world.open_session(client, ttl, it.now)))
    }

    fn submit(&mut self, life: &Life, most: u64, attempts: &[Attempt]) -> Result<Vec<EntryId>, Fault> {
        self.within_memory(life, |it| it.world.submit(most, attempts, it.clock))
    }

    fn cancel(
        &mut self,
        life: &Life,
        session: Session,
        id: &AttemptId,
        entry: EntryId,
    ) -> Result<bool, Fault> {
        self.within(life, |it| it.world.cancel(session, id, entry))
    }

    fn scan(&mut self, life: &Life, client: &Name) -> Result<Vec<(AttemptId, Option<EntryId>)>, Fault> {
        self.within(life, |it| Ok(it.world.scan(client)))
    }

    fn read(
        &mut self,
        life: &Life,
        client: &Name,
        after: EntryId,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Answer>, Fault> {
        let read = self.wait(life, wait, |it| {
            it.world.mark(client, after);
            it.world.replies(client, after, most)
        })?;
        Ok(read.unwrap_or_default())
    }

    fn wake_client(&mut self, life: &Life, client: &Name) -> Result<(), Fault> {
        self.within(life, |it| {
            it.world.wake_client(client, it.clock);
            Ok(())
        })
    }

    fn beat_client(&mut self, life: &Life, client: &Name, ttl: Duration) -> Result<ClientBeat, Fault> {
        self.within(life, |it| Ok(it.world.beat_client(client, ttl, it.registry, it.now)))
    }

    fn witnesses(&mut self, life: &Life) -> Result<Vec<Witness>, Fault> {
        self.within(life, |it| Ok(it.world.witnesses()))
    }

    fn order(&mut self, life: &Life, order: &Order) -> Result<(), Fault> {
        self.within(life, |it| {
            it.world.order(order, it.clock);
            Ok(())
        })
    }

    fn leave_client(&mut self, life: &Life, client: &Name) -> Result<(), Fault> {
        self.within(life, |it| {
            it.world.leave_client(client);
            Ok(())
        })
    }

    fn join(
        &mut self,
        life: &Life,
        node: &NodeInfo,
        lease: Duration,
        testimony: &Testimony,
    ) -> Result<(), Fault> {
        check_name(&node.name)?;
        self.within(life, |it| {
            it.world.join(it.registry, node, lease, testimony, it.now);
            Ok(())
        })
    }

    fn beat_node(&mut self, life: &Life, node: &NodeInfo, lease: Duration) -> Result<NodeBeat, Fault> {
        self.within(life, |it| Ok(it.world.beat_node(it.registry, node, lease, it.now)))
    }

    fn fetch(&mut self, life: &Life, node: &Name, most: usize, wait: Duration) -> Result<Vec<Entry>, Fault> {
        let fetched = self.wait(life, wait, |it| {
            let page = it.world.fetch(node, most);
            (!page.is_empty()).then_some(page)
        })?;
        Ok(fetched.unwrap_or_default())
    }

    fn history(
        &mut self,
        life: &Life,
        node: &Name,
        after: EntryId,
        most: usize,
    ) -> Result<Vec<Entry>, Fault> {
        self.within(life, |it| Ok(it.world.history(node, after, most)))
    }

    fn step(&mut self, life: &Life, node: &Name, step: &Step) -> Result<Stepped, Fault> {
        self.within(life, |it| Ok(it.world.step(it.registry, node, step, it.clock, it.now)))
    }

    fn read_marks(&mut self, life: &Life, clients: &[Name]) -> Result<Vec<Option<EntryId>>, Fault> {
        self.within(life, |it| Ok(it.world.read_marks(clients)))
    }

    fn orders(
        &mut self,
        life: &Life,
        after: Option<EntryId>,
        wait: Duration,
    ) -> Result<(Option<EntryId>, Vec<Order>), Fault> {
        let mut from = after;
        let found = self.wait(life, wait, |it| {
            let from = *from.get_or_insert(it.world.last_order());
            let orders = it.world.orders(from);
            (!orders.is_empty()).then_some(orders)
        })?;
        let orders = found.unwrap_or_default();
        let last = orders.last().map(|(id, _)| *id).or(from);
        Ok((last, orders.into_iter().map(|(_, order)| order).collect()))
    }

    fn leave_node(&mut self, life: &Life, node: &Name) -> Result<(), Fault> {
        self.within(life, |it| {
            it.world.leave_node(it.registry, node);
            Ok(())
        })
    }
}
