use super::*;
use crate::store::{Durability, JournalStore, Op};

async fn store() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("t.db"), Durability::Normal).await.unwrap();
    (folder, store)
}

fn call(at: i64, trust: Trust, pipeline: &str) -> NewDelivery {
    NewDelivery {
        at: Timestamp(at),
        calls: 1,
        trust,
        pipeline: pipeline.into(),
        forge: "github".into(),
        event: Some("push".into()),
        delivery: None,
        result: if trust == Trust::Signed { DeliveryResult::Ignored } else { DeliveryResult::Refused },
        code: None,
        reason: Some("because".into()),
        run: None,
    }
}

async fn put(store: &SqliteStore, calls: Vec<NewDelivery>) {
    let ops: Vec<Op> = calls.into_iter().map(|call| Op::Trigger(TriggerOp::Deliver(call), None)).collect();
    store.commit(&ops).await.unwrap();
}

async fn all(store: &SqliteStore, filter: DeliveryFilter) -> Vec<HookDelivery> {
    store.deliveries(&filter, 10_000, None).await.unwrap().0
}

#[tokio::test]
async fn deliveries_are_bounded_and_garbage_pushes_out_none_of_the_others() {
    let (_folder, store) = store().await;
    put(&store, (0..2100).map(|at| call(at, Trust::Signed, "p")).collect()).await;
    // Callers without the secret, of many pipelines that are not there, and of some that are.
    put(&store, (0..500).map(|at| call(3000 + at, Trust::Unknown, &format!("x{at}"))).collect()).await;
    put(&store, (0..500).map(|at| call(4000 + at, Trust::Unsigned, &format!("p{}", at % 3))).collect()).await;
    let found = all(&store, DeliveryFilter::default()).await;
    let of = |name: &str| found.iter().filter(|one| one.pipeline.starts_with(name)).count();
    assert_eq!(found.iter().filter(|one| one.pipeline == "p").count(), 2000);
    assert_eq!((of("x"), found.len()), (20, 2000 + 20 + 3));
    assert_eq!((found[0].calls, found[0].since, found[0].at), (167, Timestamp(4001), Timestamp(4499)));
    assert!(found.windows(2).all(|pair| pair[0].key > pair[1].key));
    // Long texts are cut.
    let long =
        NewDelivery {
            reason: Some("é".repeat(5000)), event: Some("x".repeat(5000)), ..call(5000, Trust::Signed, "p")
        };
    put(&store, vec![long]).await;
    let newest = all(&store, DeliveryFilter::default()).await.remove(0);
    assert_eq!((newest.reason.unwrap().chars().count(), newest.event.unwrap().len()), (1001, 203));
    // And all go with time.
    put(&store, vec![call(KEPT_MS + 10_000, Trust::Signed, "q")]).await;
    assert_eq!(all(&store, DeliveryFilter::default()).await.len(), 1);
}

#[tokio::test]
async fn pages_of_deliveries_have_each_once() {
    let (_folder, store) = store().await;
    put(&store, (0..90).map(|at| call(at, Trust::Signed, ["a", "b"][at as usize % 2])).collect()).await;
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
            let (page, next) = store.deliveries(&filter, 7, before).await.unwrap();
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

/// No statement looks through a table that grows.
#[tokio::test]
async fn reads_of_triggers_use_an_index() {
    let (_folder, store) = store().await;
    let active = "SELECT key FROM runs INDEXED BY runs_of_schedule
         WHERE pipeline = 'p' AND schedule = 's' AND status IN ('pending', 'running') AND status = 'pending' LIMIT 1";
    let statements = [
        list_statement(false, false),
        list_statement(true, false),
        list_statement(false, true),
        list_statement(true, true),
        REFUSED_SINCE.to_owned(),
        active.to_owned(),
    ];
    for statement in statements {
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"))).fetch_all(&store.reads).await;
        let plan: Vec<String> = plan.unwrap().iter().map(|row| row.get("detail")).collect();
        assert!(plan.iter().all(|step| step.starts_with("SEARCH")), "{statement}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{statement}: {plan:?}");
    }
}
