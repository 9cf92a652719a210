//! The crowds of all runs that someone reads here, and a reader that is told with its crowd.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio_util::task::AbortOnDropHandle;

use crate::http::connections::SharedSocket;
use crate::journal::{BroadcastGroup, FrameEncoding, Member, ReadStep, Reader};
use crate::model::RunId;
use crate::store::StoreError;

/// The crowds that a listener may sit in.
#[derive(Clone, Default)]
pub struct BroadcastRegistry(Arc<Mutex<Live>>);

/// By run, and by whether frames name it.
type Live = HashMap<(RunId, bool), Weak<ActiveGroup>>;

/// A crowd, told as long as a listener holds this.
struct ActiveGroup {
    crowd: BroadcastGroup<SharedSocket>,
    _teller: AbortOnDropHandle<()>,
}

impl BroadcastRegistry {
    /// How many crowds are known, those that nobody is in any more and that are not forgotten yet among them.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The crowd of this reader's run and form.
    fn of(&self, run: &RunId, reader: &Reader) -> Arc<ActiveGroup> {
        let mut live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (run.clone(), matches!(reader.encoding(), FrameEncoding::Multiplexed(_)));
        if let Some(led) = live.get(&key).and_then(Weak::upgrade).filter(|led| !led.crowd.is_closed()) {
            return led;
        }
        // Those that nobody is in any more are forgotten here, at a cost that is spread over the arrivals.
        if live.len() >= 64 && live.len() == live.capacity() {
            live.retain(|_, led| led.strong_count() > 0);
        }
        let (crowd, teller) = BroadcastGroup::new(reader.at_head());
        let led = Arc::new(ActiveGroup { crowd, _teller: AbortOnDropHandle::new(tokio::spawn(teller)) });
        live.insert(key, Arc::downgrade(&led));
        led
    }
}

/// A run's reader. What it waits for together with others goes past it, to the connection's socket.
pub struct GroupReader {
    reader: Reader,
    company: Option<(Arc<ActiveGroup>, Arc<Member<SharedSocket>>)>,
}

impl GroupReader {
    /// Reads alone if the run is finished.
    pub fn new(crowds: &BroadcastRegistry, run: &RunId, reader: Reader, socket: &Arc<SharedSocket>) -> Self {
        let lives = !reader.pulse().status.is_finished();
        let company = lives.then(|| (crowds.of(run, &reader), Member::new(Arc::clone(socket), reader.cursor())));
        Self { reader, company }
    }

    /// The last frame that its steps gave, or that it knows to be told without one.
    pub fn cursor(&self) -> u64 {
        self.reader.cursor()
    }

    /// Where it is told things without a step.
    pub fn seat(&self) -> Option<Arc<Member<SharedSocket>>> {
        self.company.as_ref().map(|(_, seat)| Arc::clone(seat))
    }

    /// How far the journal goes.
    pub fn head(&self) -> u64 {
        self.reader.pulse().head
    }

    /// As [`Reader::next`].
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub async fn next(&mut self) -> Result<ReadStep, StoreError> {
        match &self.company {
            Some((led, seat)) => led.crowd.next(&mut self.reader, seat).await,
            None => self.reader.next().await,
        }
    }
}

impl Drop for GroupReader {
    fn drop(&mut self) {
        if let Some((_, seat)) = &self.company {
            seat.leave();
        }
    }
}
