//! Limits the number of connections, and chooses which one is evicted for a new one.
//!
//! There is a limit for all connections, which reserves descriptors for the engine's commands, and a limit for each
//! client address. At a limit, the connection is evicted that has kept the server waiting for longest: first those
//! without a whole request, then those that are sending a body, then idle ones. A connection whose request is
//! being answered, or that carries a stream, is never evicted. If there is no other, the new connection is refused.
//!
//! Bodies that are being received take memory, so their number has a limit of its own.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::guard::Client;

/// How long a new connection waits for an evicted one to close.
const EVICTION_TIMEOUT: Duration = Duration::from_secs(1);

/// How many connections may be sending a body at once. Most send it in a moment.
const MAX_RECEIVING_BODIES: usize = 1024;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In total.
    pub total: usize,
    /// From one address. Loopback has no such limit: a proxy there carries the connections of all clients.
    pub per_client: usize,
}

/// What a connection is doing. In the order of eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ConnectionState {
    /// It has not sent a whole request yet.
    AwaitingRequest,
    /// It has not sent all of a request's body.
    ReceivingBody,
    /// Its last request was answered, and it may send another one.
    Idle,
    /// Its request is being answered.
    Busy,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtCapacity {
    /// The server has too many connections.
    Server,
    /// The client's address has too many.
    Client,
}

type Id = u64;

/// One connection.
struct Entry {
    client: Client,
    state: ConnectionState,
    /// When its state began, as a step count.
    since: u64,
    /// It has to close.
    is_evicted: bool,
    evicted: CancellationToken,
}

/// The connections of one address.
#[derive(Default)]
struct ClientEntry {
    /// Without those that are evicted.
    count: usize,
    evictable: BTreeSet<(ConnectionState, u64, Id)>,
}

/// All connections. Pure: it knows neither clock nor sockets.
#[derive(Default)]
struct Table {
    entries: HashMap<Id, Entry>,
    clients: HashMap<Client, ClientEntry>,
    /// The connections that may be evicted, in that order.
    evictable: BTreeSet<(ConnectionState, u64, Id)>,
    /// How many connections are [`ConnectionState::ReceivingBody`].
    receiving_bodies: usize,
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
        let client_entry = self.clients.entry(client).or_default();
        client_entry.count += 1;
        client_entry.evictable.insert((ConnectionState::AwaitingRequest, id, id));
        self.evictable.insert((ConnectionState::AwaitingRequest, id, id));
        (id, evicted)
    }

    /// Changes a connection's state, if it is `only` now.
    fn set(&mut self, id: Id, state: ConnectionState, only: Option<ConnectionState>) {
        let since = self.step();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.is_evicted || entry.state == state || only.is_some_and(|only| only != entry.state) {
            return;
        }
        let (before, now) = ((entry.state, entry.since, id), (state, since, id));
        self.receiving_bodies -= usize::from(before.0 == ConnectionState::ReceivingBody);
        self.receiving_bodies += usize::from(state == ConnectionState::ReceivingBody);
        (entry.state, entry.since) = (state, since);
        let client_entry = self.clients.entry(entry.client).or_default();
        for evictable in [&mut self.evictable, &mut client_entry.evictable] {
            evictable.remove(&before);
            if state != ConnectionState::Busy {
                evictable.insert(now);
            }
        }
        if self.receiving_bodies > MAX_RECEIVING_BODIES {
            let first = self
                .evictable
                .range((ConnectionState::ReceivingBody, 0, 0)..(ConnectionState::Idle, 0, 0))
                .next()
                .copied();
            first.into_iter().for_each(|(_, _, id)| self.evict(id));
        }
    }

    /// Evicts a connection of this client, or of any. Returns whether there was one to evict.
    fn evict_one(&mut self, from: Option<Client>) -> bool {
        let first = match from {
            Some(client) => self.clients.get(&client).and_then(|client_entry| client_entry.evictable.first().copied()),
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
        self.receiving_bodies -= usize::from(entry.state == ConnectionState::ReceivingBody);
        let (client, slot) = (entry.client, (entry.state, entry.since, id));
        self.evictable.remove(&slot);
        if let Some(client_entry) = self.clients.get_mut(&client) {
            client_entry.evictable.remove(&slot);
            client_entry.count -= 1;
            if client_entry.count == 0 {
                self.clients.remove(&client);
            }
        }
    }

    fn remove(&mut self, id: Id) {
        self.evict(id);
        self.entries.remove(&id);
    }

    fn count_of(&self, client: Client) -> usize {
        self.clients.get(&client).map_or(0, |client_entry| client_entry.count)
    }

    fn has_closing(&self) -> bool {
        self.clients.values().map(|client_entry| client_entry.count).sum::<usize>() < self.entries.len()
    }
}

/// The registry of the server's connections.
pub struct ConnectionRegistry {
    limits: ConnectionLimits,
    table: Mutex<Table>,
    /// Notified when a connection has ended.
    ended: Notify,
    evicted_count: AtomicU64,
    refused: AtomicU64,
}

impl ConnectionRegistry {
    /// An empty registry.
    pub fn new(limits: ConnectionLimits) -> Self {
        let (evicted_count, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { limits, table: Mutex::default(), ended: Notify::new(), evicted_count, refused }
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.table().entries.len()
    }

    /// How many connections were evicted, and how many were refused.
    pub fn rejections(&self) -> [(&'static str, u64); 2] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("made_room", read(&self.evicted_count)), ("refused", read(&self.refused))]
    }

    /// Admits a new connection from this address, evicting another one if necessary.
    pub(super) async fn admit(self: &Arc<Self>, client: Client) -> Result<ConnectionSlot, AtCapacity> {
        let admitted = self.try_admit(client).await;
        if admitted.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    async fn try_admit(self: &Arc<Self>, client: Client) -> Result<ConnectionSlot, AtCapacity> {
        let mut has_evicted = false;
        loop {
            // Registered before the check, so that no end in between is missed.
            let ended = self.ended.notified();
            {
                let mut table = self.table();
                if !client.is_loopback() && table.count_of(client) >= self.limits.per_client {
                    if !table.evict_one(Some(client)) {
                        return Err(AtCapacity::Client);
                    }
                    self.evicted_count.fetch_add(1, Ordering::Relaxed);
                    has_evicted = true;
                }
                if table.entries.len() < self.limits.total {
                    let (id, evicted) = table.add(client);
                    return Ok(ConnectionSlot { id, evicted, registry: Arc::clone(self) });
                }
                if !has_evicted && table.evict_one(None) {
                    self.evicted_count.fetch_add(1, Ordering::Relaxed);
                } else if !table.has_closing() {
                    return Err(AtCapacity::Server);
                }
                has_evicted = true;
            }
            timeout(EVICTION_TIMEOUT, ended).await.map_err(|_| AtCapacity::Server)?;
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

/// A connection's entry in the registry. It is removed when this is dropped.
pub(super) struct ConnectionSlot {
    id: Id,
    evicted: CancellationToken,
    registry: Arc<ConnectionRegistry>,
}

impl ConnectionSlot {
    pub(super) fn set(&self, state: ConnectionState) {
        self.registry.table().set(self.id, state, None);
    }

    /// The request's body has been read, or dropped.
    pub(super) fn body_received(&self) {
        self.registry.table().set(self.id, ConnectionState::Busy, Some(ConnectionState::ReceivingBody));
    }

    /// Waits until the connection has to close for another one.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// Whether a request of this connection has been received.
    pub(super) fn has_request(&self) -> bool {
        let table = self.registry.table();
        table.entries.get(&self.id).is_some_and(|entry| entry.state >= ConnectionState::Idle)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.registry.table().remove(self.id);
        self.registry.ended.notify_waiters();
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

    fn evicted_slots(slots: &[ConnectionSlot]) -> Vec<usize> {
        let leaving = slots.iter().enumerate().filter(|(_, slot)| slot.evicted.is_cancelled());
        leaving.map(|(index, _)| index).collect()
    }

    #[tokio::test]
    async fn registry_evicts_the_longest_waiting_of_a_client() {
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
            // Connections of other addresses do not count.
            let _other = register.admit(client(2)).await.unwrap();
            let new = register.admit(client(1)).await.unwrap();
            new.set(ConnectionState::Busy);
            slots.push(new);
            assert_eq!(evicted_slots(&slots), expected);
        }
        assert_eq!(register.admit(client(1)).await.err(), Some(AtCapacity::Client));
        assert!(register.admit(client(2)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn registry_limit_holds_during_evictions() {
        let register = register(3, 100);
        let mut slots = Vec::new();
        for _ in 0..3 {
            slots.push(register.admit(client(1)).await.unwrap());
        }
        // The evicted connection does not close, so the new one is refused in the end.
        assert_eq!(register.admit(client(2)).await.err(), Some(AtCapacity::Server));
        assert_eq!((evicted_slots(&slots), register.count()), (vec![0], 3));
        // It closes, and another one is admitted.
        let (admitted, ()) = tokio::join!(register.admit(client(2)), async {
            slots.remove(0);
        });
        assert!(admitted.is_ok());
        assert_eq!(register.count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn registry_does_not_evict_busy_connections() {
        let register = register(2, 100);
        let slots = [register.admit(client(1)).await.unwrap(), register.admit(client(1)).await.unwrap()];
        slots.iter().for_each(|slot| slot.set(ConnectionState::Busy));
        assert_eq!(register.admit(client(2)).await.err(), Some(AtCapacity::Server));
        assert_eq!(evicted_slots(&slots), [0; 0]);
        assert_eq!(register.rejections(), [("made_room", 0), ("refused", 1)]);
        // A body that ends after the response changes nothing.
        slots[0].set(ConnectionState::Idle);
        slots[0].body_received();
        let _ = register.admit(client(2)).await;
        assert_eq!(evicted_slots(&slots), [0]);
    }

    #[tokio::test]
    async fn registry_limits_bodies_being_received() {
        let register = register(10_000, 10_000);
        let mut slots = Vec::new();
        for _ in 0..MAX_RECEIVING_BODIES + 3 {
            let slot = register.admit(client(1)).await.unwrap();
            slot.set(ConnectionState::ReceivingBody);
            slots.push(slot);
        }
        assert_eq!(evicted_slots(&slots), [0, 1, 2]);
        // A body that was received no longer counts.
        slots[3].body_received();
        let slot = register.admit(client(1)).await.unwrap();
        slot.set(ConnectionState::ReceivingBody);
        slots.push(slot);
        assert_eq!(evicted_slots(&slots), [0, 1, 2]);
        drop(slots);
        assert_eq!(register.table().receiving_bodies, 0);
    }

    #[tokio::test]
    async fn registry_does_not_limit_loopback() {
        let register = register(100, 2);
        let local = Client::at(Some([127, 0, 0, 1].into()));
        let mut slots = Vec::new();
        for _ in 0..50 {
            slots.push(register.admit(local).await.unwrap());
        }
        assert_eq!(evicted_slots(&slots), [0; 0]);
        drop(slots);
        let table = register.table();
        assert!(table.entries.is_empty() && table.clients.is_empty() && table.evictable.is_empty());
    }
}
