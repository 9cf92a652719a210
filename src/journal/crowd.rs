//! Readers that have all of a run and are told together what comes next.
//!
//! Most readers of a live run wait for the same frame. Were each woken for it, waking them would cost more than what they then
//! do. So those at the head sit down in the run's crowd, and one task writes to all of their outlets. It is no second source:
//! it is one [`Reader`], and whoever sits there and does not stand where it stands is sent back to read alone, as are those
//! who cannot keep up.

use std::future::poll_fn;
use std::mem::take;
use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;

use super::reader::{Reader, Step};
use super::sync::{Mutex, MutexGuard};
use crate::store::StoreError;

/// How many outlets are told without a turn for other tasks between them.
const AT_ONCE: usize = if cfg!(test) { 1 } else { 256 };

/// With fewer seats nobody looks for those who have gone.
const SWEEP_AT: usize = if cfg!(test) { 1 } else { 64 };

/// Where the frames for one reader go while it sits in a crowd.
pub trait Outlet: Send + Sync + 'static {
    /// The pieces as all outlets of this kind take them: made once for the whole crowd.
    fn wrap(pieces: &[Bytes]) -> Bytes;

    /// Takes what is wrapped, without waiting.
    fn offer(&self, wrapped: &Bytes) -> Offered;
}

/// What an outlet did with what it was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is written.
    Taken,
    /// It will be written before anything else, but more must not be offered before that.
    Owed,
    /// Nothing of it is written or will be.
    Refused,
}

/// The readers of one run, in one form, that have all of it. Cheap to clone.
pub struct Crowd<O>(Arc<Mutex<Room<O>>>);

struct Room<O> {
    /// Everyone here has this frame, or is being told it.
    told: u64,
    seats: Vec<Arc<Seat<O>>>,
    /// With so many seats, those who have gone are forgotten.
    sweep_at: usize,
    /// Nobody tells anything here any more.
    closed: bool,
}

/// A reader's place, in a crowd or not, and its outlet.
pub struct Seat<O> {
    outlet: Arc<O>,
    place: Mutex<Place>,
}

struct Place {
    /// The last frame that went to the outlet, or was given for it.
    cursor: u64,
    /// Whether the crowd tells it what comes.
    seated: bool,
    /// Wakes the reader when it has to get up.
    waker: Option<Waker>,
}

impl<O> Clone for Crowd<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: Outlet> Crowd<O> {
    /// The crowd that hears what this reader reads, and the task that tells it. The task ends with the run, also if it is deleted; who drops it earlier
    /// sends everyone back to read alone.
    pub fn new(reader: Reader) -> (Self, impl Future<Output = ()> + Send) {
        let room = Room { told: reader.cursor(), seats: Vec::new(), sweep_at: SWEEP_AT, closed: false };
        let crowd = Self(Arc::new(Mutex::new(room)));
        let teller = Teller { crowd: crowd.clone(), reader, telling: Vec::new() };
        (crowd, teller.run())
    }

    /// Whether nobody is told anything here any more.
    pub fn is_closed(&self) -> bool {
        lock(&self.0).closed
    }

    /// For a wrong reader, which the checker must catch.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        lock(&self.0).told = 0;
    }

    /// As [`Reader::next`], but what everyone here waits for goes to the seat's outlet without a word. The reader and the
    /// seat belong together, and the outlet refuses as long as a step that was given is not written.
    ///
    /// Cancel safe: who was sitting goes on to sit.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub async fn next(&self, reader: &mut Reader, seat: &Arc<Seat<O>>) -> Result<Step, StoreError> {
        loop {
            reader.skip_to(seat.up().await);
            if reader.is_at_head() && self.sit_down(seat) {
                continue;
            }
            let step = reader.next().await?;
            lock(&seat.place).cursor = reader.cursor();
            return Ok(step);
        }
    }

    /// False if the crowd is further than the seat.
    pub(super) fn sit_down(&self, seat: &Arc<Seat<O>>) -> bool {
        let mut room = lock(&self.0);
        let mut place = lock(&seat.place);
        // Further than the crowd is no harm: it gets up again if the crowd does not come to where it is with one step.
        if room.closed || place.cursor < room.told {
            return false;
        }
        place.seated = true;
        drop(place);
        // At a cost that is spread over the arrivals.
        if room.seats.len() >= room.sweep_at {
            room.seats.retain(|seat| lock(&seat.place).seated);
            room.sweep_at = SWEEP_AT.max(room.seats.len() * 2);
        }
        room.seats.push(Arc::clone(seat));
        true
    }
}

impl<O: Outlet> Seat<O> {
    /// A seat, in no crowd yet, of a reader whose outlet has everything up to `cursor`.
    pub fn new(outlet: Arc<O>, cursor: u64) -> Arc<Self> {
        Arc::new(Self { outlet, place: Mutex::new(Place { cursor, seated: false, waker: None }) })
    }

    /// The last frame that went to the outlet.
    pub fn cursor(&self) -> u64 {
        lock(&self.place).cursor
    }

    /// Leaves its crowd for good.
    pub fn leave(&self) {
        let mut place = lock(&self.place);
        place.seated = false;
        // It holds what was woken.
        place.waker = None;
    }

    /// Waits until it sits nowhere.
    async fn up(&self) -> u64 {
        poll_fn(|cx| {
            let mut place = lock(&self.place);
            if !place.seated {
                return Poll::Ready(place.cursor);
            }
            match &mut place.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
        .await
    }

    /// Tells it what comes after `from`, up to `last`. Whether it may stay.
    fn tell(&self, from: u64, last: u64, wrapped: &Bytes) -> bool {
        let mut place = lock(&self.place);
        if !place.seated {
            return false;
        }
        let may_stay = match place.cursor {
            cursor if cursor == last => true,
            cursor if cursor == from => {
                let offered = self.outlet.offer(wrapped);
                if offered != Offered::Refused {
                    place.cursor = last;
                }
                offered == Offered::Taken
            }
            // It has a part of this, or more.
            _ => false,
        };
        if !may_stay {
            place.get_up();
        }
        may_stay
    }
}

impl Place {
    fn get_up(&mut self) {
        self.seated = false;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The task of a crowd.
struct Teller<O: Outlet> {
    crowd: Crowd<O>,
    reader: Reader,
    /// The seats while they are told, so that nobody waits for that who wants to sit down.
    telling: Vec<Arc<Seat<O>>>,
}

impl<O: Outlet> Teller<O> {
    async fn run(mut self) {
        loop {
            let from = self.reader.cursor();
            match self.reader.next().await {
                Ok(Step::Frames(pieces)) => self.tell(from, &pieces).await,
                // Each hears of it from its own reader.
                Ok(Step::End(_)) | Err(StoreError::Gone) => return,
                Err(_) => self.start_again(),
            }
            // A run may go on without pause, and there is always something to read then.
            yield_now().await;
        }
    }

    async fn tell(&mut self, from: u64, pieces: &[Bytes]) {
        let last = self.reader.cursor();
        self.telling = self.now_at(last);
        if self.telling.is_empty() {
            return;
        }
        let wrapped = O::wrap(pieces);
        let (mut kept, mut next) = (0, 0);
        while let Some(seat) = self.telling.get(next) {
            if seat.tell(from, last, &wrapped) {
                self.telling.swap(kept, next);
                kept += 1;
            }
            next += 1;
            if next.is_multiple_of(AT_ONCE) {
                yield_now().await;
            }
        }
        self.telling.truncate(kept);
        let mut room = lock(&self.crowd.0);
        // Those who sat down meanwhile.
        self.telling.append(&mut room.seats);
        room.seats = take(&mut self.telling);
    }

    /// The store cannot be read: each tries that alone, and who has come to the head sits down here again.
    fn start_again(&mut self) {
        self.reader = self.reader.at_head();
        let seats = self.now_at(self.reader.cursor());
        seats.iter().for_each(|seat| lock(&seat.place).get_up());
    }

    /// Says where the crowd is from now on, and takes those who sit in it.
    fn now_at(&self, told: u64) -> Vec<Arc<Seat<O>>> {
        let mut room = lock(&self.crowd.0);
        room.told = told;
        take(&mut room.seats)
    }
}

impl<O: Outlet> Drop for Teller<O> {
    fn drop(&mut self) {
        let mut room = lock(&self.crowd.0);
        room.closed = true;
        self.telling.append(&mut room.seats);
        drop(room);
        self.telling.iter().for_each(|seat| lock(&seat.place).get_up());
    }
}

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The lock, even after a panic elsewhere: what these locks guard is valid between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
