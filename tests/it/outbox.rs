//! Deliveries of notifications are attempted one at a time, however many servers look, and one whose lease expired
//! reports nothing.

use std::sync::Arc;

use runtrail::journal::{GroupCommit, Journal, WriteError};
use runtrail::model::notify::{NotifyTarget, ReceiverAddress};
use runtrail::model::{FinalStatus, Pipeline, Timestamp};
use runtrail::store::{
    Change, Delivery, Durability, Guard, Lease, NewRun, OutboxStore, RunKey, RunStore, SqliteStore, Store, Write,
};

use crate::support::writes::{claim, new_run, write};

/// A finished run with a notification to send.
async fn finished(journal: &Journal) -> RunKey {
    let run = new_run();
    let notify =
        vec![NotifyTarget { to: ReceiverAddress::Url("http://localhost/".into()), secret: None, on: Vec::new() }];
    let pipeline = Arc::new(Pipeline { notify, ..Pipeline::clone(&run.pipeline) });
    let key = journal.create(NewRun { pipeline, ..run }).await.unwrap().key;
    let claimed = journal.write(claim(key, 1)).await.unwrap();
    let guard = Guard::Lease(Lease { run: key, attempt: 1, token: claimed.token });
    let finish = Change::Finish { to: FinalStatus::Completed, error: None, next: None };
    assert_eq!(journal.write(write(key, guard, finish, &["done"])).await.unwrap().deliveries, 1);
    key
}

async fn due(store: &SqliteStore, now: i64) -> Vec<Delivery> {
    store.due(Timestamp(now), 9, 9).await.unwrap()
}

#[tokio::test]
async fn outbox_delivery_is_claimed_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.path().join("t.db"), Durability::Normal).await.unwrap());
    let (journal, writer) = Journal::new(Arc::clone(&store) as Arc<dyn Store>, GroupCommit::default());
    tokio::spawn(writer.run());
    let run = finished(&journal).await;
    let begin = |token, until| {
        let guard = Guard::Delivery(1, token);
        journal.write(Write::new(run, guard, Change::Try { until: Timestamp(until) }))
    };
    let end = |token, next: Option<i64>| {
        let change = Change::Tried { attempt: 1, next: next.map(Timestamp) };
        journal.write(write(run, Guard::Delivery(1, token), change, &["tried"]))
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
    assert_eq!(end(2, Some(now + 5000)).await.unwrap().pulse.head, head + 1);
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
