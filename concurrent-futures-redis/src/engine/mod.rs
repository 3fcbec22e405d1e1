//! [`Engine`]: the server, as the protocol sees it. Its methods are the atomic steps of `PROTOCOL.md`, and nothing else in the
//! crate talks to a server.
//!
//! Two implementations: `redis` talks to Redis or Valkey, `memory` is a server inside this process whose faults are injected by
//! a seed. Both run the same tests, `conformance.rs`.

#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod redis;

use crate::wire::{
    Answer, Attempt, AttemptId, BlobName, Entry, EntryId, Life, Name, NodeInfo, Session, Testimony,
};
use std::time::Duration;

/// A server that clients and nodes share.
pub(crate) trait Engine: Send + Sync {
    /// A connection. Each thread that talks to the server has one of its own: a blocked read holds up nobody else.
    fn connect(&self) -> Result<Box<dyn Link>, Fault>;

    /// The server's address for messages, without user and password.
    fn address(&self) -> String;
}

/// Why a step was not made, or it isn't known whether it was.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The connection is of no use any more: whether the step was made is not known.
    #[error("the connection to the server was lost: {0}")]
    Lost(String),
    /// The life that the caller believes in is over: another one has begun, or none. Nothing was done.
    #[error("the server has begun another life")]
    Over,
    /// A later session of this client exists: nothing was done, nor ever will be by this one.
    #[error("a later session of this client has begun")]
    Fenced,
    /// The server or the stream is full: nothing was done; try again later.
    #[error("the server is full")]
    Full,
    /// The server will never do it: a wrong password, a missing right, an option that is refused.
    #[error("{0}")]
    Refused(String),
}

/// Refuses a name that is empty or has control characters: names are parts of keys and of lines.
fn check_name(name: &Name) -> Result<(), Fault> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Fault::Refused(format!("no client or node can be called {name:?}")));
    }
    Ok(())
}

/// What a node says and asks in one step.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Step {
    pub(crate) answers: Vec<Answer>,
    /// Entries it asks leave to begin, and the client of each: the server need not look it up.
    pub(crate) begins: Vec<(EntryId, Name)>,
    /// Entries it has not begun and gives back: they go to the stream's end.
    pub(crate) backs: Vec<EntryId>,
    /// Entries it has not begun and whose client is gone: they are removed, and nobody is told.
    pub(crate) drops: Vec<EntryId>,
    /// What it may begin by itself from here on: everything up to this entry has begun,
    pub(crate) limit: EntryId,
    /// and so many of the next.
    pub(crate) credit: u32,
}

/// What came of a step.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stepped {
    /// The lease had run out: none of `begins` was granted, the limit is as it was. The answers were taken all the same.
    pub(crate) is_name_lost: bool,
    /// Which of `begins` were refused, by their index: the node does not hold them (any more). One whose client is gone was
    /// removed, and is refused too.
    pub(crate) refused: Vec<usize>,
    /// Of each of `answers`, its place in its client's reply stream; none if there is no such client.
    pub(crate) replies: Vec<Option<EntryId>>,
}

/// What a node learns at its beat.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct NodeBeat {
    /// The lease had run out: the name is lost for good.
    pub(crate) is_name_lost: bool,
    /// The clients that live.
    pub(crate) clients: Vec<Name>,
}

/// What a client learns at its beat.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct ClientBeat {
    /// The server has forgotten the client: its keys ran out, or were removed.
    pub(crate) is_forgotten: bool,
    /// Every node whose lease lives, of this build and of others.
    pub(crate) nodes: Vec<NodeInfo>,
    /// The names of this build's nodes that have joined in this life, living or not, and were not buried more than a
    /// lease ago, or still hold something of this client.
    pub(crate) joined: Vec<Name>,
}

/// A connection, as the server names it; never used again in the same start of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// What a node said when it joined a new life.
pub(crate) type Witness = (Name, Testimony);

/// An order to a node, from a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// End whatever runs this attempt.
    Kill(AttemptId),
    /// Nothing: it wakes a read that waits, of the node of this name.
    Wake(Name),
}

/// A connection. Each method is one atomic step, but for `scan` and what waits; those that take a life return [`Fault::Over`]
/// if it is over.
///
/// After a `Lost` the link is dropped and another is made.
pub(crate) trait Link: Send {
    // ---- both ends ----------------------------------------------------------------------------------

    /// ENTER: the server's life, of this queue and build; begins one if there is none, or if the one it kept is of an earlier
    /// start of the server.
    /// Refused if the server is set to throw data away when its memory is full.
    fn enter(&mut self) -> Result<Life, Fault>;

    /// Takes a value out of the way of the stream. `put` before what refers to it is submitted or answered. They are gone
    /// with the attempt's answer (arguments), when the answer was read and is removed (results), or with the client. An
    /// argument of a client that the server has forgotten is [`Fault::Fenced`]; a result of one is dropped. A full server takes
    /// no argument, and takes results: what makes room are answers.
    fn put_argument(&mut self, life: &Life, id: &AttemptId, bytes: &[u8]) -> Result<(), Fault>;
    fn get_argument(&mut self, life: &Life, id: &AttemptId) -> Result<Option<Vec<u8>>, Fault>;
    fn put_result(&mut self, life: &Life, id: &AttemptId, bytes: &[u8]) -> Result<(), Fault>;
    fn get_result(&mut self, life: &Life, id: &AttemptId) -> Result<Option<Vec<u8>>, Fault>;

    /// Keeps a client's shared data, until it is removed or the client is gone. `put` before what carries it is submitted. Of a
    /// client that the server has forgotten it is [`Fault::Fenced`]; a full server takes none.
    fn put_blob(&mut self, life: &Life, client: &Name, name: BlobName, bytes: &[u8]) -> Result<(), Fault>;
    /// What lies under that name; whether it is what the name says, the caller looks.
    fn get_blob(&mut self, life: &Life, client: &Name, name: BlobName) -> Result<Option<Vec<u8>>, Fault>;
    /// How many bytes lie under each of these names.
    fn measure_blobs(&mut self, life: &Life, client: &Name, names: &[BlobName]) -> Result<Vec<u64>, Fault>;
    /// It may not be said that the life is over, when nothing is there any more.
    fn remove_blobs(&mut self, life: &Life, client: &Name, names: &[BlobName]) -> Result<(), Fault>;

    /// Names this connection at the server, for `end_connection`.
    fn connection(&mut self) -> Result<ConnectionId, Fault>;

    /// Ends another connection, if it is still there: nothing that it carries is done after this returns.
    fn end_connection(&mut self, connection: ConnectionId) -> Result<(), Fault>;

    /// BURY: of each node whose lease ran out: what it may have begun is answered [`Lost`](crate::wire::Kind::Lost), what it
    /// held of an old life by its testimony too, the rest goes back into the stream. What it held of a client that has not
    /// come to this life stays for a later BURY; so does what else it testified. Gives the names of the buried.
    fn bury(&mut self, life: &Life) -> Result<Vec<Name>, Fault>;

    // ---- clients ------------------------------------------------------------------------------------

    /// Begins a session: from here on, what an earlier one of this client submits is fenced. The client lives for `ttl`.
    fn open_session(&mut self, life: &Life, client: &Name, ttl: Duration) -> Result<Session, Fault>;

    /// SUBMIT: puts all of them into the stream, or none. [`Fault::Full`] if the stream holds `most` entries or more, all
    /// clients together.
    fn submit(&mut self, life: &Life, most: u64, attempts: &[Attempt]) -> Result<Vec<EntryId>, Fault>;

    /// CANCEL: removes an entry that was not delivered to any node: true, and it never begins. False if it was delivered.
    /// [`Fault::Fenced`] if a later session of the client has begun: it may have found the entry already.
    fn cancel(
        &mut self,
        life: &Life,
        session: Session,
        id: &AttemptId,
        entry: EntryId,
    ) -> Result<bool, Fault>;

    /// SCAN: which attempts of this client are in the stream, delivered or not; and, without an entry, which a testimony
    /// holds. Those that are there all the while are found, at their last place; nothing is said of others.
    fn scan(&mut self, life: &Life, client: &Name) -> Result<Vec<(AttemptId, Option<EntryId>)>, Fault>;

    /// READ: the next answers behind `after`, at most `most`; waits until there is one, at most `wait`. What lies up to
    /// `after` is removed, and nodes may forget it.
    fn read(
        &mut self,
        life: &Life,
        client: &Name,
        after: EntryId,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Answer>, Fault>;

    /// Wakes this client's `read`, which then returns nothing new.
    fn wake_client(&mut self, life: &Life, client: &Name) -> Result<(), Fault>;

    /// BEAT(c): the client lives for another `ttl`.
    fn beat_client(&mut self, life: &Life, client: &Name, ttl: Duration) -> Result<ClientBeat, Fault>;

    /// What the nodes of this build have testified in this life, up to now, the buried too; of what they held, what is not
    /// answered since.
    fn witnesses(&mut self, life: &Life) -> Result<Vec<Witness>, Fault>;

    /// Gives an order to the nodes.
    fn order(&mut self, life: &Life, order: &Order) -> Result<(), Fault>;

    /// Removes all that is the client's own.
    fn leave_client(&mut self, life: &Life, client: &Name) -> Result<(), Fault>;

    // ---- nodes --------------------------------------------------------------------------------------

    /// JOIN: registers a name that nobody has used, with its lease; in a new life with what it has to tell.
    fn join(
        &mut self,
        life: &Life,
        node: &NodeInfo,
        lease: Duration,
        testimony: &Testimony,
    ) -> Result<(), Fault>;

    /// BEAT(n): renews the lease, if it lives.
    fn beat_node(&mut self, life: &Life, node: &NodeInfo, lease: Duration) -> Result<NodeBeat, Fault>;

    /// FETCH: at most `most` entries that no node was given; waits until there is one, at most `wait`.
    fn fetch(&mut self, life: &Life, node: &Name, most: usize, wait: Duration) -> Result<Vec<Entry>, Fault>;

    /// HISTORY: what this node was given and has not answered, behind `after`: the answer to a fetch may have been lost.
    fn history(&mut self, life: &Life, node: &Name, after: EntryId, most: usize)
    -> Result<Vec<Entry>, Fault>;

    /// STEP.
    fn step(&mut self, life: &Life, node: &Name, step: &Step) -> Result<Stepped, Fault>;

    /// How far each of these clients has read: the last answer that it has removed. None of a client that is gone.
    fn read_marks(&mut self, life: &Life, clients: &[Name]) -> Result<Vec<Option<EntryId>>, Fault>;

    /// The next orders behind `after`, and where the last one lies; waits until there is one, at most `wait`. With no
    /// `after`, those that come from now on.
    fn orders(
        &mut self,
        life: &Life,
        after: Option<EntryId>,
        wait: Duration,
    ) -> Result<(Option<EntryId>, Vec<Order>), Fault>;

    /// The node ends and holds nothing: it is taken off the list.
    fn leave_node(&mut self, life: &Life, node: &Name) -> Result<(), Fault>;
}
