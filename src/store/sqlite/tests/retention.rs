use std::sync::LazyLock;

use proptest::prelude::*;

use crate::model::{Retention, Status, Timestamp};
use crate::store::sqlite::fixtures;
use crate::store::{Durability, RunKey, Store};

/// A run as the rule sees it.
#[derive(Clone, Debug)]
struct Seen {
    pipeline: &'static str,
    status: Status,
    finished_at: Option<i64>,
    pinned: bool,
    deleted: bool,
}

fn seen() -> impl Strategy<Value = Seen> {
    let pipeline = prop::sample::select(vec!["a", "b"]);
    let status = prop::sample::select(Status::ALL.to_vec());
    // Few moments, so that many runs end at the same.
    (pipeline, status, 0i64..20, prop::bool::weighted(0.2), prop::bool::weighted(0.1)).prop_map(
        |(pipeline, status, at, pinned, deleted)| {
            let deleted = deleted && status.is_finished() && !pinned;
            Seen { pipeline, status, finished_at: status.is_finished().then_some(at), pinned, deleted }
        },
    )
}

/// The rule in plain words: of the runs of a pipeline that are finished, not pinned and not gone already, the newest
/// first, those beyond the count go, and those that ended so long ago.
fn list_model(runs: &[Seen], pipeline: &str, rule: Retention, now: i64) -> Vec<i64> {
    let mut may_go: Vec<(i64, i64)> = (1..)
        .zip(runs)
        .filter(|(_, run)| run.pipeline == pipeline && run.status.is_finished() && !run.pinned && !run.deleted)
        .map(|(key, run)| (run.finished_at.unwrap(), key))
        .collect();
    may_go.sort_unstable();
    may_go.reverse();
    let goes = |(place, (ended, _)): &(usize, (i64, i64))| {
        let too_many = rule.count.is_some_and(|count| *place >= count as usize);
        let too_old = rule.age_ms.is_some_and(|age| now - ended >= age as i64);
        too_many || too_old
    };
    let mut gone: Vec<_> = may_go.into_iter().enumerate().filter(goes).map(|(_, run)| run).collect();
    gone.reverse();
    gone.into_iter().map(|(_, key)| key).collect()
}

/// A store of these runs; they are put there without the engine, since only their ends matter.
async fn store_of(runs: &[Seen]) -> (tempfile::TempDir, Store) {
    static EMPTY: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    let (folder, empty) = (tempfile::tempdir().unwrap(), EMPTY.path().join("x.db"));
    if !empty.exists() {
        drop(Store::open_sqlite(&empty, Durability::Normal).await.unwrap());
        // Its readers may close it later: all of it is to be in the one file that is copied.
        let log = rusqlite::Connection::open(&empty).unwrap();
        log.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
    let file = folder.path().join("x.db");
    std::fs::copy(empty, &file).unwrap();
    let db = rusqlite::Connection::open(&file).unwrap();
    for run in runs {
        let key = fixtures::run(&db, run.pipeline, run.status, run.finished_at.unwrap_or_default());
        let change = "UPDATE runs SET pinned = ?2, deleted_at = ?3 WHERE key = ?1";
        db.execute(change, rusqlite::params![key, run.pinned, run.deleted.then_some(1)]).unwrap();
    }
    drop(db);
    (folder, Store::open_sqlite(&file, Durability::Normal).await.unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn expired_runs_matches_model(
        runs in prop::collection::vec(seen(), 0..30),
        age_ms in prop::option::of(0u64..25),
        count in prop::option::of(0u32..12),
        now in 0i64..40,
        limit in 1u32..40,
    ) {
        let rule = Retention { age_ms, count };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, store) = store_of(&runs).await;
            for pipeline in ["a", "b", "c"] {
                let found = store.expired_runs(pipeline, rule, Timestamp(now), limit).await.unwrap();
                let found: Vec<i64> = found.into_iter().map(|run| run.run.0).collect();
                let mut expected = list_model(&runs, pipeline, rule, now);
                expected.truncate(limit as usize);
                prop_assert_eq!(found, expected);
            }
            let candidates = store.retention_candidates().await.unwrap();
            let all = Retention { age_ms: Some(0), count: None };
            for pipeline in ["a", "b"] {
                let first = list_model(&runs, pipeline, all, 100).first().map(|key| runs[*key as usize - 1].finished_at.unwrap());
                let oldest = candidates.iter().find(|candidate| candidate.pipeline == pipeline).map(|found| found.oldest.0);
                prop_assert_eq!(oldest, first);
            }
            let deleted = (1..).zip(&runs).filter(|(_, run)| run.deleted).map(|(key, _)| key).collect::<Vec<i64>>();
            let found = store.tombstones(RunKey(0), 100).await.unwrap();
            prop_assert_eq!(found.into_iter().map(|(run, _)| run.0).collect::<Vec<_>>(), deleted);
            Ok(())
        })?;
    }
}
