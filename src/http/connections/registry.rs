//! Which connections there are, and which one goes when there are too many.
//!
//! There is a limit in all, so that the engine has descriptors for its commands whatever clients do, and one for each client's
//! address. Where it is reached, the connection that has kept the server evictable for longest makes room: first those that have not
//! sent a whole request yet, then those that owe the rest of a body, then those that are kept for a next request. One whose request
//! is being answered, or that follows a stream, is never cut off. If there is no other, the new one is refused.
//!
//! Bodies that are still to come take memory, so there is a limit for those too, whatever the others are.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::guard::Client;

/// How long a new connection waits for the one that makes room for it.
const EVICTION_TIMEOUT: Duration = Duration::from_secs(1);

/// How many connections may owe a body at once. Those that send theirs do it in a moment.
const MAX_RECEIVING_BODIES: usize = 1024;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// From one address. This machine's own has no limit of its own: a proxy there brings everybody's.
    pub per_client: usize,
}

/// What a connection does. The order is that in which they make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ConnectionState {
    /// It has sent no whole request yet.
    AwaitingRequest,
    /// It owes the rest of a request's body.
    ReceivingBody,
    /// Its request was answered; another one may follow.
    Idle,
    /// Its request is being answered.
    Busy,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtCapacity {
    /// There are too many.
    Server,
    /// There are too many from its address.
    Client,
}

type Id = u64;

/// One connection.
struct Entry {
    client: Client,
    state: ConnectionState,
    /// When it began to do that, as a count.
    since: u64,
    /// It was asked to make room.
    is_evicted: bool,
    evicted: CancellationToken,
}

/// What is counted of a client's address.
#[derive(Default)]
struct ClientEntry {
    /// Without those that are leaving.
    count: usize,
    evictable: BTreeSet<(ConnectionState, u64, Id)>,
}

/// The connections. Pure: it knows no clock and no sockets.
#[derive(Default)]
struct Table {
    entries: HashMap<Id, Entry>,
    clients: HashMap<Client, ClientEntry>,
    /// Those that may have to make room, in that order.
    evictable: BTreeSet<(ConnectionState, u64, Id)>,
    /// How many of them are [`ConnectionState::ReceivingBody`].
    sending: usize,
    steps: u64,
}

impl Table {
    fn step(&mut self) -> u64 {
        self.steps += 1;
        self.steps
    }

    fn add(&mut self, client: Client) -> (Id, CancellationToken) {
        let (id, evicted) = (self.step(), CancellationToken::new());
        let entry = Entry {
            client,
            state: ConnectionState::AwaitingRequest,
            since: id,
            is_evicted: false,
            evicted: evicted.clone(),
        };
        self.entries.insert(id, entry);
        let of = self.clients.entry(client).or_default();
        of.count += 1;
        of.evictable.insert((ConnectionState::AwaitingRequest, id, id));
        self.evictable.insert((ConnectionState::AwaitingRequest, id, id));
        (id, evicted)
    }

    /// What it does from now on; `only` if it did that before.
    fn set(&mut self, id: Id, state: ConnectionState, only: Option<ConnectionState>) {
        let since = self.step();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.is_evicted || entry.state == state || only.is_some_and(|only| only != entry.state) {
            return;
        }
        let (before, now) = ((entry.state, entry.since, id), (state, since, id));
        self.sending -= usize::from(before.0 == ConnectionState::ReceivingBody);
        self.sending += usize::from(state == ConnectionState::ReceivingBody);
        (entry.state, entry.since) = (state, since);
        let of = self.clients.entry(entry.client).or_default();
        for evictable in [&mut self.evictable, &mut of.evictable] {
            evictable.remove(&before);
            if state != ConnectionState::Busy {
                evictable.insert(now);
            }
        }
        if self.sending > MAX_RECEIVING_BODIES {
            let first = self
                .evictable
                .range((ConnectionState::ReceivingBody, 0, 0)..(ConnectionState::Idle, 0, 0))
                .next()
                .copied();
            first.into_iter().for_each(|(_, _, id)| self.evict(id));
        }
    }

    /// Asks one of these to evicted. Whether there was one.
    fn evict_one(&mut self, from: Option<Client>) -> bool {
        let first = match from {
            Some(client) => self.clients.get(&client).and_then(|of| of.evictable.first().copied()),
            None => self.evictable.first().copied(),
        };
        let Some((_, _, id)) = first else { return false };
        self.evict(id);
        true
    }

    fn evict(&mut self, id: Id) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.is_evicted) else { return };
        entry.is_evicted = true;
        entry.evicted.cancel();
        self.sending -= usize::from(entry.state == ConnectionState::ReceivingBody);
        let (client, slot) = (entry.client, (entry.state, entry.since, id));
        self.evictable.remove(&slot);
        if let Some(of) = self.clients.get_mut(&client) {
            of.evictable.remove(&slot);
            of.count -= 1;
            if of.count == 0 {
                self.clients.remove(&client);
            }
        }
    }

    fn remove(&mut self, id: Id) {
        self.evict(id);
        self.entries.remove(&id);
    }

    fn of(&self, client: Client) -> usize {
        self.clients.get(&client).map_or(0, |of| of.count)
    }

    fn has_evicted(&self) -> bool {
        self.clients.values().map(|of| of.count).sum::<usize>() < self.entries.len()
    }
}

/// All connections of the server.
pub struct ConnectionRegistry {
    limits: ConnectionLimits,
    table: Mutex<Table>,
    /// Rings when one has ended.
    ended: Notify,
    evicted_count: AtomicU64,
    refused: AtomicU64,
}

impl ConnectionRegistry {
    /// None yet.
    pub fn new(limits: ConnectionLimits) -> Self {
        let (evicted_count, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { limits, table: Mutex::default(), ended: Notify::new(), evicted_count, refused }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.table().entries.len()
    }

    /// How many had to make room for others, and how many were refused.
    pub fn turned_away(&self) -> [(&'static str, u64); 2] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("made_room", read(&self.evicted_count)), ("refused", read(&self.refused))]
    }

    /// The slot of a new connection from this address.
    pub(super) async fn admit(self: &Arc<Self>, client: Client) -> Result<ConnectionSlot, AtCapacity> {
        let entered = self.try_admit(client).await;
        if entered.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        entered
    }

    async fn try_admit(self: &Arc<Self>, client: Client) -> Result<ConnectionSlot, AtCapacity> {
        let mut asked = false;
        loop {
            // Before the look: an end after it rings.
            let ended = self.ended.notified();
            {
                let mut table = self.table();
                if !client.is_loopback() && table.of(client) >= self.limits.per_client {
                    if !table.evict_one(Some(client)) {
                        return Err(AtCapacity::Client);
                    }
                    self.evicted_count.fetch_add(1, Ordering::Relaxed);
                    asked = true;
                }
                if table.entries.len() < self.limits.total {
                    let (id, evicted) = table.add(client);
                    return Ok(ConnectionSlot { id, evicted, register: Arc::clone(self) });
                }
                if !asked && table.evict_one(None) {
                    self.evicted_count.fetch_add(1, Ordering::Relaxed);
                } else if !table.has_evicted() {
                    return Err(AtCapacity::Server);
                }
                asked = true;
            }
            timeout(EVICTION_TIMEOUT, ended).await.map_err(|_| AtCapacity::Server)?;
        }
    }

    /// The lock, even after a panic elsewhere.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's slot in the register, until it is dropped.
pub(super) struct ConnectionSlot {
    id: Id,
    evicted: CancellationToken,
    register: Arc<ConnectionRegistry>,
}

impl ConnectionSlot {
    pub(super) fn set(&self, state: ConnectionState) {
        self.register.table().set(self.id, state, None);
    }

    /// The body is there, or nobody reads it.
    pub(super) fn body_received(&self) {
        self.register.table().set(self.id, ConnectionState::Busy, Some(ConnectionState::ReceivingBody));
    }

    /// When it has to make room for others.
    pub(super) async fn eviction(&self) {
        self.evicted.cancelled().await;
    }

    /// Whether a request of it is answered, or was.
    pub(super) fn was_answered(&self) -> bool {
        let table = self.register.table();
        table.entries.get(&self.id).is_some_and(|entry| entry.state >= ConnectionState::Idle)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.register.table().remove(self.id);
        self.register.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Client {
        Client::at(Some([10, 0, 0, last].into()))
    }

    fn register(total: usize, per_client: usize) -> Arc<ConnectionRegistry> {
        Arc::new(ConnectionRegistry::new(ConnectionLimits { total, per_client }))
    }

    fn eviction(slots: &[ConnectionSlot]) -> Vec<usize> {
        let leaving = slots.iter().enumerate().filter(|(_, slot)| slot.evicted.is_cancelled());
        leaving.map(|(index, _)| index).collect()
    }

    #[tokio::test]
    async fn whoever_keeps_the_server_waiting_for_longest_makes_room_for_others_of_its_address() {
        let register = register(100, 5);
        let mut slots = Vec::new();
        for state in [
            ConnectionState::Idle,
            ConnectionState::Busy,
            ConnectionState::ReceivingBody,
            ConnectionState::AwaitingRequest,
            ConnectionState::AwaitingRequest,
        ] {
            slots.push(register.admit(client(1)).await.unwrap());
            slots.last().unwrap().set(state);
        }
        for expected in [&[3][..], &[3, 4], &[2, 3, 4], &[0, 2, 3, 4]] {
            // Others do not count.
            let _other = register.admit(client(2)).await.unwrap();
            let new = register.admit(client(1)).await.unwrap();
            new.set(ConnectionState::Busy);
            slots.push(new);
            assert_eq!(eviction(&slots), expected);
        }
        assert_eq!(register.admit(client(1)).await.err(), Some(AtCapacity::Client));
        assert!(register.admit(client(2)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_in_all_holds_while_others_make_room() {
        let register = register(3, 100);
        let mut slots = Vec::new();
        for _ in 0..3 {
            slots.push(register.admit(client(1)).await.unwrap());
        }
        // Who is asked does not go: the new one is refused in the end.
        assert_eq!(register.admit(client(2)).await.err(), Some(AtCapacity::Server));
        assert_eq!((eviction(&slots), register.count()), (vec![0], 3));
        // It goes, and another one comes.
        let (entered, ()) = tokio::join!(register.admit(client(2)), async {
            slots.remove(0);
        });
        assert!(entered.is_ok());
        assert_eq!(register.count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_answered_are_not_cut_off() {
        let register = register(2, 100);
        let slots = [register.admit(client(1)).await.unwrap(), register.admit(client(1)).await.unwrap()];
        slots.iter().for_each(|slot| slot.set(ConnectionState::Busy));
        assert_eq!(register.admit(client(2)).await.err(), Some(AtCapacity::Server));
        assert_eq!(eviction(&slots), [0; 0]);
        assert_eq!(register.turned_away(), [("made_room", 0), ("refused", 1)]);
        // A body that ends after its answer changes nothing.
        slots[0].set(ConnectionState::Idle);
        slots[0].body_received();
        let _ = register.admit(client(2)).await;
        assert_eq!(eviction(&slots), [0]);
    }

    #[tokio::test]
    async fn no_more_bodies_are_waited_for_than_there_is_memory() {
        let register = register(10_000, 10_000);
        let mut slots = Vec::new();
        for _ in 0..MAX_RECEIVING_BODIES + 3 {
            let slot = register.admit(client(1)).await.unwrap();
            slot.set(ConnectionState::ReceivingBody);
            slots.push(slot);
        }
        assert_eq!(eviction(&slots), [0, 1, 2]);
        // One that has sent all counts no more.
        slots[3].body_received();
        let slot = register.admit(client(1)).await.unwrap();
        slot.set(ConnectionState::ReceivingBody);
        slots.push(slot);
        assert_eq!(eviction(&slots), [0, 1, 2]);
        drop(slots);
        assert_eq!(register.table().sending, 0);
    }

    #[tokio::test]
    async fn this_machine_has_no_limit_of_its_own() {
        let register = register(100, 2);
        let local = Client::at(Some([127, 0, 0, 1].into()));
        let mut slots = Vec::new();
        for _ in 0..50 {
            slots.push(register.admit(local).await.unwrap());
        }
        assert_eq!(eviction(&slots), [0; 0]);
        drop(slots);
        let table = register.table();
        assert!(table.entries.is_empty() && table.clients.is_empty() && table.evictable.is_empty());
    }
}
