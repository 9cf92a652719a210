//! Deliveries of notifications are attempted one at a time, however many servers look, and one whose lease expired
//! reports nothing.

use std::sync::Arc;

use runtrail::journal::{GroupCommit, Journal, WriteError};
use runtrail::model::notify::{NotifyTarget, ReceiverAddress};
use runtrail::model::{Pipeline, Timestamp};
use runtrail::store::{
    BeginDelivery, CreateRun, Durability, Lease, OutboxDelivery, RecordDelivery, RunKey, RunWrite, Store,
};

use crate::support::TestDatabase;
use crate::support::writes::{claim, complete, new_run, write};

/// A finished run with a notification to send.
async fn finished(journal: &Journal) -> RunKey {
    let run = new_run();
    let notify =
        vec![NotifyTarget { to: ReceiverAddress::Url("http://localhost/".into()), secret: None, on: Vec::new() }];
    let pipeline = Arc::new(Pipeline { notify, ..Pipeline::clone(&run.pipeline) });
    let key = journal.create(CreateRun { pipeline, ..run }).await.unwrap().key;
    let claimed = journal.write(claim(key, 1)).await.unwrap();
    let lease = Lease { run: key, attempt: 1, token: claimed.token };
    assert_eq!(journal.write(complete(lease, "done")).await.unwrap().deliveries, 1);
    key
}

async fn due(store: &Store, now: i64) -> Vec<OutboxDelivery> {
    store.due_deliveries(Timestamp(now), 9, 9).await.unwrap()
}

#[tokio::test]
async fn outbox_delivery_is_claimed_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::of_file(&folder.path().join("t.db"));
    let store = database.open(Durability::Normal).await;
    let (journal, writer) = Journal::new(Arc::new(store.clone()), GroupCommit::default());
    tokio::spawn(writer.run());
    let run = finished(&journal).await;
    let begin = |token, until| {
        let lease_until = Timestamp(until);
        journal.write(RunWrite::new(BeginDelivery { run, delivery: 1, token, lease_until }))
    };
    let end = |token, next: Option<i64>| {
        let next = next.map(Timestamp);
        journal.write(write(RecordDelivery { run, delivery: 1, token, attempt: 1, next }, &["sent"]))
    };
    let now = Timestamp::now().0;
    let [delivery] = &due(&store, now).await[..] else { panic!("one delivery") };
    assert_eq!((delivery.key, delivery.run, delivery.token, delivery.tries), (1, run, 0, 0));

    let begun = futures::future::join_all((0..8).map(|_| begin(0, now + 1000))).await;
    assert_eq!(begun.iter().filter(|begun| begun.is_ok()).count(), 1);
    assert!(begun.iter().all(|begun| matches!(begun, Ok(_) | Err(WriteError::Refused))));
    assert_eq!(due(&store, now + 999).await.len(), 0, "nobody else makes one meanwhile");

    // Its lease expires; the result of the next attempt counts, and the late one is refused.
    assert_eq!(due(&store, now + 1000).await[0].token, 1);
    begin(1, now + 2000).await.unwrap();
    assert!(matches!(end(1, None).await, Err(WriteError::Refused)));
    let head = store.run(run).await.unwrap().unwrap().head;
    assert_eq!(end(2, Some(now + 5000)).await.unwrap().journal.head, head + 1);
    assert_eq!(due(&store, now + 4999).await.len(), 0);
    let again = &due(&store, now + 5000).await[0];
    assert_eq!((again.token, again.tries), (2, 1));

    // After the last attempt nothing is recorded any more.
    begin(2, now + 9000).await.unwrap();
    end(3, None).await.unwrap();
    assert_eq!(due(&store, i64::MAX).await.len(), 0);
    assert!(matches!(end(3, None).await, Err(WriteError::Refused)));
    assert_eq!(store.run(run).await.unwrap().unwrap().head, head + 2);
}
