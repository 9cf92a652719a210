//! Which connections there are, and which one goes when there are too many.
//!
//! There is a limit in all, so that the engine has descriptors for its commands whatever clients do, and one for each client's
//! address. Where it is reached, the connection that has kept the server waiting for longest makes room: first those that have not
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
const ROOM: Duration = Duration::from_secs(1);

/// How many connections may owe a body at once. Those that send theirs do it in a moment.
const SENDING: usize = 1024;

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
pub(super) enum Doing {
    /// It has sent no whole request yet.
    Nothing,
    /// It owes the rest of a request's body.
    Sending,
    /// Its request was answered; another one may follow.
    Idle,
    /// Its request is being answered.
    Busy,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There are too many.
    Server,
    /// There are too many from its address.
    Client,
}

type Id = u64;

/// One connection.
struct Entry {
    client: Client,
    doing: Doing,
    /// When it began to do that, as a count.
    since: u64,
    /// It was asked to make room.
    is_leaving: bool,
    leave: CancellationToken,
}

/// What is counted of a client's address.
#[derive(Default)]
struct Of {
    /// Without those that are leaving.
    count: usize,
    waiting: BTreeSet<(Doing, u64, Id)>,
}

/// The connections. Pure: it knows no clock and no sockets.
#[derive(Default)]
struct Table {
    entries: HashMap<Id, Entry>,
    clients: HashMap<Client, Of>,
    /// Those that may have to make room, in that order.
    waiting: BTreeSet<(Doing, u64, Id)>,
    /// How many of them are [`Doing::Sending`].
    sending: usize,
    steps: u64,
}

impl Table {
    fn step(&mut self) -> u64 {
        self.steps += 1;
        self.steps
    }

    fn add(&mut self, client: Client) -> (Id, CancellationToken) {
        let (id, leave) = (self.step(), CancellationToken::new());
        let entry = Entry { client, doing: Doing::Nothing, since: id, is_leaving: false, leave: leave.clone() };
        self.entries.insert(id, entry);
        let of = self.clients.entry(client).or_default();
        of.count += 1;
        of.waiting.insert((Doing::Nothing, id, id));
        self.waiting.insert((Doing::Nothing, id, id));
        (id, leave)
    }

    /// What it does from now on; `only` if it did that before.
    fn set(&mut self, id: Id, doing: Doing, only: Option<Doing>) {
        let since = self.step();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.is_leaving || entry.doing == doing || only.is_some_and(|only| only != entry.doing) {
            return;
        }
        let (before, now) = ((entry.doing, entry.since, id), (doing, since, id));
        self.sending -= usize::from(before.0 == Doing::Sending);
        self.sending += usize::from(doing == Doing::Sending);
        (entry.doing, entry.since) = (doing, since);
        let of = self.clients.entry(entry.client).or_default();
        for waiting in [&mut self.waiting, &mut of.waiting] {
            waiting.remove(&before);
            if doing != Doing::Busy {
                waiting.insert(now);
            }
        }
        if self.sending > SENDING {
            let first = self.waiting.range((Doing::Sending, 0, 0)..(Doing::Idle, 0, 0)).next().copied();
            first.into_iter().for_each(|(_, _, id)| self.leave(id));
        }
    }

    /// Asks one of these to leave. Whether there was one.
    fn make_room(&mut self, from: Option<Client>) -> bool {
        let first = match from {
            Some(client) => self.clients.get(&client).and_then(|of| of.waiting.first().copied()),
            None => self.waiting.first().copied(),
        };
        let Some((_, _, id)) = first else { return false };
        self.leave(id);
        true
    }

    fn leave(&mut self, id: Id) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.is_leaving) else { return };
        entry.is_leaving = true;
        entry.leave.cancel();
        self.sending -= usize::from(entry.doing == Doing::Sending);
        let (client, place) = (entry.client, (entry.doing, entry.since, id));
        self.waiting.remove(&place);
        if let Some(of) = self.clients.get_mut(&client) {
            of.waiting.remove(&place);
            of.count -= 1;
            if of.count == 0 {
                self.clients.remove(&client);
            }
        }
    }

    fn remove(&mut self, id: Id) {
        self.leave(id);
        self.entries.remove(&id);
    }

    fn of(&self, client: Client) -> usize {
        self.clients.get(&client).map_or(0, |of| of.count)
    }

    fn are_leaving(&self) -> bool {
        self.clients.values().map(|of| of.count).sum::<usize>() < self.entries.len()
    }
}

/// All connections of the server.
pub struct Register {
    limits: ConnectionLimits,
    table: Mutex<Table>,
    /// Rings when one has ended.
    ended: Notify,
    made_room: AtomicU64,
    refused: AtomicU64,
}

impl Register {
    /// None yet.
    pub fn new(limits: ConnectionLimits) -> Self {
        let (made_room, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { limits, table: Mutex::default(), ended: Notify::new(), made_room, refused }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.table().entries.len()
    }

    /// How many had to make room for others, and how many were refused.
    pub fn turned_away(&self) -> [(&'static str, u64); 2] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("made_room", read(&self.made_room)), ("refused", read(&self.refused))]
    }

    /// The place of a new connection from this address.
    pub(super) async fn enter(self: &Arc<Self>, client: Client) -> Result<Place, Full> {
        let entered = self.try_enter(client).await;
        if entered.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        entered
    }

    async fn try_enter(self: &Arc<Self>, client: Client) -> Result<Place, Full> {
        let mut asked = false;
        loop {
            // Before the look: an end after it rings.
            let ended = self.ended.notified();
            {
                let mut table = self.table();
                if !client.is_loopback() && table.of(client) >= self.limits.per_client {
                    if !table.make_room(Some(client)) {
                        return Err(Full::Client);
                    }
                    self.made_room.fetch_add(1, Ordering::Relaxed);
                    asked = true;
                }
                if table.entries.len() < self.limits.total {
                    let (id, leave) = table.add(client);
                    return Ok(Place { id, leave, register: Arc::clone(self) });
                }
                if !asked && table.make_room(None) {
                    self.made_room.fetch_add(1, Ordering::Relaxed);
                } else if !table.are_leaving() {
                    return Err(Full::Server);
                }
                asked = true;
            }
            timeout(ROOM, ended).await.map_err(|_| Full::Server)?;
        }
    }

    /// The lock, even after a panic elsewhere.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the register, until it is dropped.
pub(super) struct Place {
    id: Id,
    leave: CancellationToken,
    register: Arc<Register>,
}

impl Place {
    pub(super) fn set(&self, doing: Doing) {
        self.register.table().set(self.id, doing, None);
    }

    /// The body is there, or nobody reads it.
    pub(super) fn has_sent(&self) {
        self.register.table().set(self.id, Doing::Busy, Some(Doing::Sending));
    }

    /// When it has to make room for others.
    pub(super) async fn has_to_leave(&self) {
        self.leave.cancelled().await;
    }

    /// Whether a request of it is answered, or was.
    pub(super) fn was_answered(&self) -> bool {
        let table = self.register.table();
        table.entries.get(&self.id).is_some_and(|entry| entry.doing >= Doing::Idle)
    }
}

impl Drop for Place {
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

    fn register(total: usize, per_client: usize) -> Arc<Register> {
        Arc::new(Register::new(ConnectionLimits { total, per_client }))
    }

    fn has_to_leave(places: &[Place]) -> Vec<usize> {
        let leaving = places.iter().enumerate().filter(|(_, place)| place.leave.is_cancelled());
        leaving.map(|(index, _)| index).collect()
    }

    #[tokio::test]
    async fn whoever_keeps_the_server_waiting_for_longest_makes_room_for_others_of_its_address() {
        let register = register(100, 5);
        let mut places = Vec::new();
        for doing in [Doing::Idle, Doing::Busy, Doing::Sending, Doing::Nothing, Doing::Nothing] {
            places.push(register.enter(client(1)).await.unwrap());
            places.last().unwrap().set(doing);
        }
        for expected in [&[3][..], &[3, 4], &[2, 3, 4], &[0, 2, 3, 4]] {
            // Others do not count.
            let _other = register.enter(client(2)).await.unwrap();
            let new = register.enter(client(1)).await.unwrap();
            new.set(Doing::Busy);
            places.push(new);
            assert_eq!(has_to_leave(&places), expected);
        }
        assert_eq!(register.enter(client(1)).await.err(), Some(Full::Client));
        assert!(register.enter(client(2)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_in_all_holds_while_others_make_room() {
        let register = register(3, 100);
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(register.enter(client(1)).await.unwrap());
        }
        // Who is asked does not go: the new one is refused in the end.
        assert_eq!(register.enter(client(2)).await.err(), Some(Full::Server));
        assert_eq!((has_to_leave(&places), register.count()), (vec![0], 3));
        // It goes, and another one comes.
        let (entered, ()) = tokio::join!(register.enter(client(2)), async {
            places.remove(0);
        });
        assert!(entered.is_ok());
        assert_eq!(register.count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_answered_are_not_cut_off() {
        let register = register(2, 100);
        let places = [register.enter(client(1)).await.unwrap(), register.enter(client(1)).await.unwrap()];
        places.iter().for_each(|place| place.set(Doing::Busy));
        assert_eq!(register.enter(client(2)).await.err(), Some(Full::Server));
        assert_eq!(has_to_leave(&places), [0; 0]);
        assert_eq!(register.turned_away(), [("made_room", 0), ("refused", 1)]);
        // A body that ends after its answer changes nothing.
        places[0].set(Doing::Idle);
        places[0].has_sent();
        let _ = register.enter(client(2)).await;
        assert_eq!(has_to_leave(&places), [0]);
    }

    #[tokio::test]
    async fn no_more_bodies_are_waited_for_than_there_is_memory() {
        let register = register(10_000, 10_000);
        let mut places = Vec::new();
        for _ in 0..SENDING + 3 {
            let place = register.enter(client(1)).await.unwrap();
            place.set(Doing::Sending);
            places.push(place);
        }
        assert_eq!(has_to_leave(&places), [0, 1, 2]);
        // One that has sent all counts no more.
        places[3].has_sent();
        let place = register.enter(client(1)).await.unwrap();
        place.set(Doing::Sending);
        places.push(place);
        assert_eq!(has_to_leave(&places), [0, 1, 2]);
        drop(places);
        assert_eq!(register.table().sending, 0);
    }

    #[tokio::test]
    async fn this_machine_has_no_limit_of_its_own() {
        let register = register(100, 2);
        let local = Client::at(Some([127, 0, 0, 1].into()));
        let mut places = Vec::new();
        for _ in 0..50 {
            places.push(register.enter(local).await.unwrap());
        }
        assert_eq!(has_to_leave(&places), [0; 0]);
        drop(places);
        let table = register.table();
        assert!(table.entries.is_empty() && table.clients.is_empty() && table.waiting.is_empty());
    }
}
