//! The broadcast groups of all runs with streams on this server, and readers that join them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio_util::task::AbortOnDropHandle;

use crate::http::connections::SharedSocket;
use crate::journal::{BroadcastGroup, BroadcastOptions, FrameEncoding, Member, ReadStep, Reader};
use crate::model::RunId;
use crate::store::StoreError;

/// All broadcast groups. Cheap to clone.
#[derive(Clone, Default)]
pub struct BroadcastRegistry(Arc<Mutex<GroupMap>>);

/// By run, and by whether the frames name their run.
type GroupMap = HashMap<(RunId, bool), Weak<ActiveGroup>>;

/// A group and its broadcaster, which runs as long as a reader holds this.
struct ActiveGroup {
    group: BroadcastGroup<SharedSocket>,
    _broadcaster: AbortOnDropHandle<()>,
}

impl BroadcastRegistry {
    /// How many entries there are, including those without readers that are not removed yet.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// The group for this reader's run and encoding.
    fn group(&self, run: &RunId, reader: &Reader) -> Arc<ActiveGroup> {
        let mut groups = self.lock();
        let key = (run.clone(), matches!(reader.encoding(), FrameEncoding::Multiplexed(_)));
        if let Some(active) = groups.get(&key).and_then(Weak::upgrade).filter(|active| !active.group.is_closed()) {
            return active;
        }
        // Entries without readers are removed here, amortized over the new streams.
        if groups.len() >= 64 && groups.len() == groups.capacity() {
            groups.retain(|_, active| active.strong_count() > 0);
        }
        let (group, broadcaster) = BroadcastGroup::new(reader.at_head(), BroadcastOptions::default());
        let broadcaster = AbortOnDropHandle::new(tokio::spawn(broadcaster));
        let active = Arc::new(ActiveGroup { group, _broadcaster: broadcaster });
        groups.insert(key, Arc::downgrade(&active));
        active
    }

    fn lock(&self) -> MutexGuard<'_, GroupMap> {
        self.0.lock()
    }
}

/// A reader that joins its run's broadcast group when it reaches the head. Broadcast frames go straight to the
/// connection's socket.
pub struct GroupReader {
    reader: Reader,
    membership: Option<(Arc<ActiveGroup>, Arc<Member<SharedSocket>>)>,
}

impl GroupReader {
    /// A reader for the stream on this socket. The reader of a finished run joins no group.
    pub fn new(registry: &BroadcastRegistry, run: &RunId, reader: Reader, socket: &Arc<SharedSocket>) -> Self {
        let is_live = !reader.head().status.is_finished();
        let membership =
            is_live.then(|| (registry.group(run, &reader), Member::new(Arc::clone(socket), reader.cursor())));
        Self { reader, membership }
    }

    /// The seq of the last frame that was returned, or that is known to have been broadcast.
    pub fn cursor(&self) -> u64 {
        self.reader.cursor()
    }

    /// The reader's membership, whose cursor also counts broadcast frames.
    pub fn member(&self) -> Option<Arc<Member<SharedSocket>>> {
        self.membership.as_ref().map(|(_, member)| Arc::clone(member))
    }

    /// The seq of the journal's head.
    pub fn head_seq(&self) -> u64 {
        self.reader.head().head
    }

    /// As [`Reader::next`], without the frames that were broadcast.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub async fn next(&mut self) -> Result<ReadStep, StoreError> {
        match &self.membership {
            Some((active, member)) => active.group.next(&mut self.reader, member).await,
            None => self.reader.next().await,
        }
    }
}

impl Drop for GroupReader {
    fn drop(&mut self) {
        if let Some((_, member)) = &self.membership {
            member.leave();
        }
    }
}
