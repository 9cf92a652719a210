use super::store;
use crate::model::Timestamp;
use crate::model::trigger::{DeliveryFilter, DeliveryResult, HookDelivery};
use crate::store::{MAX_HOOK_DELIVERY_AGE_MS, RecordHookDelivery, SenderTrust, Store, StoreCommand};

fn call(at: i64, trust: SenderTrust, pipeline: &str) -> RecordHookDelivery {
    RecordHookDelivery {
        at: Timestamp(at),
        calls: 1,
        trust,
        pipeline: pipeline.into(),
        forge: "github".into(),
        event: Some("push".into()),
        delivery: None,
        result: if trust == SenderTrust::Signed { DeliveryResult::Ignored } else { DeliveryResult::Refused },
        code: None,
        reason: Some("because".into()),
        run: None,
    }
}

async fn put(store: &Store, calls: Vec<RecordHookDelivery>) {
    store.commit(&calls.into_iter().map(StoreCommand::RecordHookDelivery).collect::<Vec<_>>()).await.unwrap();
}

async fn all(store: &Store, filter: DeliveryFilter) -> Vec<HookDelivery> {
    store.hook_deliveries(&filter, 10_000, None).await.unwrap().0
}

#[tokio::test]
async fn hook_deliveries_have_quotas_by_sender_trust() {
    let (_folder, store) = store().await;
    put(&store, (0..2100).map(|at| call(at, SenderTrust::Signed, "p")).collect()).await;
    // Callers without the secret, naming many pipelines that do not exist, and some that do.
    put(&store, (0..500).map(|at| call(3000 + at, SenderTrust::Unknown, &format!("x{at}"))).collect()).await;
    put(&store, (0..500).map(|at| call(4000 + at, SenderTrust::Unsigned, &format!("p{}", at % 3))).collect()).await;
    let found = all(&store, DeliveryFilter::default()).await;
    let of = |name: &str| found.iter().filter(|one| one.pipeline.starts_with(name)).count();
    assert_eq!(found.iter().filter(|one| one.pipeline == "p").count(), 2000);
    assert_eq!((of("x"), found.len()), (20, 2000 + 20 + 3));
    assert_eq!((found[0].calls, found[0].since, found[0].at), (167, Timestamp(4001), Timestamp(4499)));
    assert!(found.windows(2).all(|pair| pair[0].key > pair[1].key));
    // Long texts are cut.
    let long = RecordHookDelivery {
        reason: Some("é".repeat(5000)),
        event: Some("x".repeat(5000)),
        ..call(5000, SenderTrust::Signed, "p")
    };
    put(&store, vec![long]).await;
    let newest = all(&store, DeliveryFilter::default()).await.remove(0);
    assert_eq!((newest.reason.unwrap().chars().count(), newest.event.unwrap().len()), (1001, 203));
    // And all are deleted with time.
    put(&store, vec![call(MAX_HOOK_DELIVERY_AGE_MS + 10_000, SenderTrust::Signed, "q")]).await;
    assert_eq!(all(&store, DeliveryFilter::default()).await.len(), 1);
}

#[tokio::test]
async fn hook_deliveries_are_each_on_one_page() {
    let (_folder, store) = store().await;
    put(&store, (0..90).map(|at| call(at, SenderTrust::Signed, ["a", "b"][at as usize % 2])).collect()).await;
    for (filter, expected) in [
        (DeliveryFilter::default(), 90),
        (DeliveryFilter { pipeline: Some("a".into()), ..Default::default() }, 45),
        (DeliveryFilter { result: Some(DeliveryResult::Ignored), ..Default::default() }, 90),
        (DeliveryFilter { result: Some(DeliveryResult::Started), ..Default::default() }, 0),
        (
            DeliveryFilter { pipeline: Some("b".into()), result: Some(DeliveryResult::Ignored), ..Default::default() },
            45,
        ),
    ] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let (page, next) = store.hook_deliveries(&filter, 7, before).await.unwrap();
            seen.extend(page.into_iter().map(|one| one.key));
            before = next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), expected, "{filter:?}");
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{filter:?}");
    }
}
